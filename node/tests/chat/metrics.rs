//! What a scrape of two running nodes shows: every name of `docs/metrics.md` with its type and
//! labels and nothing else, values of labels within their bounds, and numbers that move.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use waku_groupchat_metrics::{
    ChangeKind, DeliveryState, DialOutcome, Direction, GapState, HoldReason, Label,
    MessageDirection, NodeError, Protocol, PublishKind, RefusedReason, Resource, ServiceState,
    StatusClass, Traffic,
};
use waku_groupchat_waku::PubsubTopic;

use crate::client::{Client, meet, until};
use crate::process::Node;

/// Where the chat is on the cluster of the tests.
const TOPIC: &str = "/waku/2/rs/16/0";

/// A series: its labels and its value.
type Series = (BTreeMap<String, String>, f64);

/// A scrape: types and series by name. Those of a histogram stand under its own name, with the
/// suffix as the label `series`.
#[derive(Debug, Default)]
struct Scrape {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, Vec<Series>>,
}

impl Scrape {
    /// Reads the text exposition format, and nothing that only looks like it.
    fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("name and type");
                let twice = scrape.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(twice, None, "{name} is declared twice");
            } else if !line.starts_with("# HELP ") {
                let (name, mut labels, value) = sample(line);
                let (family, suffix) = scrape.family(name);
                labels.extend(suffix.map(|suffix| ("series".to_owned(), suffix.to_owned())));
                scrape.series.entry(family.to_owned()).or_default().push((labels, value));
            }
        }
        scrape
    }

    /// The family of a sample, and what a histogram adds to its name.
    fn family<'n>(&self, name: &'n str) -> (&'n str, Option<&'n str>) {
        for suffix in ["_bucket", "_sum", "_count"] {
            if let Some(family) = name.strip_suffix(suffix)
                && self.types.get(family).is_some_and(|kind| kind == "histogram")
            {
                return (family, Some(suffix));
            }
        }
        assert!(self.types.contains_key(name), "{name} has no type");
        (name, None)
    }

    /// The sum of a family's series that have these labels, the buckets of histograms apart.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |has: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| has.get(*label).is_some_and(|has| has == value))
                && has.get("series").is_none_or(|suffix| suffix == "_count")
        };
        let series = self.series.get(name).into_iter().flatten();
        series.filter(|(has, _)| fits(has)).map(|(_, value)| value).sum()
    }

    /// Names and labels of all series, without values.
    fn names(&self) -> BTreeSet<(String, BTreeMap<String, String>)> {
        let of = |(name, series): (&String, &Vec<Series>)| -> Vec<_> {
            series.iter().map(|(labels, _)| (name.clone(), labels.clone())).collect()
        };
        self.series.iter().flat_map(of).collect()
    }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> (&str, BTreeMap<String, String>, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
    let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    let Some((name, labels)) = series.split_once('{') else {
        return (series, BTreeMap::new(), value);
    };
    let labels = labels.strip_suffix("\"}").unwrap_or_else(|| panic!("no labels: {line}"));
    let pair = |label: &str| {
        let (name, value) = label.split_once("=\"").expect("a label");
        (name.to_owned(), value.to_owned())
    };
    (name, labels.split("\",").map(pair).collect(), value)
}

/// Types and labels by name, as `docs/metrics.md` has them.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let text = fs::read_to_string(path).expect("the documentation");
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, _when, _] = cells[..] else { panic!("five columns: {line}") };
        let [name] = &quoted(name)[..] else { panic!("one name: {line}") };
        let labels = quoted(labels).into_iter().collect();
        let twice = all.insert(name.clone(), (kind.to_owned(), labels));
        assert_eq!(twice, None, "{name} stands twice");
    }
    all
}

fn texts<L: Label>() -> Vec<&'static str> {
    L::ALL.iter().map(|value| value.as_str()).collect()
}

/// Whether a label of a family may have a value.
fn allowed(name: &str, label: &str, value: &str) -> bool {
    let allowed = match (name, label) {
        (_, "series") => vec!["_bucket", "_sum", "_count"],
        (_, "le") => return value == "+Inf" || value.parse::<f64>().is_ok(),
        (_, "topic") => return value == TOPIC && value.parse::<PubsubTopic>().is_ok(),
        ("waku_version", "version") => return value.starts_with('v') && value.len() < 40,
        ("waku_service_peers", "peerId") => return value.starts_with("/ip4/127.0.0.1/tcp/"),
        ("waku_node_messages_total", "type") => vec!["relay"],
        ("waku_node_errors_total", "type") => texts::<NodeError>(),
        ("waku_archive_messages", "type") => vec!["stored"],
        ("waku_relay_network_bytes_total", "type") => texts::<Traffic>(),
        ("libp2p_open_streams", "type") => vec!["YamuxChannel"],
        ("waku_connected_peers", "direction") | ("libp2p_open_streams", "dir") => {
            texts::<Direction>()
        }
        ("libp2p_network_bytes_total" | "waku_relay_network_bytes_total", "direction") => {
            vec!["in", "out"]
        }
        ("waku_groupchat_messages_total", "direction") => texts::<MessageDirection>(),
        (_, "protocol" | "service") => texts::<Protocol>(),
        ("waku_peers_dials_total", "outcome") => texts::<DialOutcome>(),
        ("waku_service_requests_total", "state") => texts::<ServiceState>(),
        ("waku_groupchat_gaps", "state") => texts::<GapState>(),
        ("waku_groupchat_deliveries_total", "state") => texts::<DeliveryState>(),
        ("waku_groupchat_failed_changes_total", "change") => texts::<ChangeKind>(),
        (_, "kind") => texts::<PublishKind>(),
        ("waku_groupchat_publishes_held", "reason") => texts::<HoldReason>(),
        (_, "reason") => texts::<RefusedReason>(),
        (_, "resource") => texts::<Resource>(),
        (_, "status") => texts::<StatusClass>(),
        _ => Vec::new(),
    };
    allowed.contains(&value)
}

/// Holds a scrape against the documentation: nothing else is there, and as it says.
fn check(scrape: &Scrape) {
    let documented = documented();
    for (name, kind) in &scrape.types {
        let (wanted, labels) =
            documented.get(name).unwrap_or_else(|| panic!("{name} is not in docs/metrics.md"));
        assert_eq!(kind, wanted, "{name}");
        for (has, _) in &scrape.series[name] {
            let names: BTreeSet<String> =
                has.keys().filter(|l| !["series", "le"].contains(&l.as_str())).cloned().collect();
            assert_eq!(&names, labels, "{name}");
            for (label, value) in has {
                assert!(allowed(name, label, value), "{name}: {label}={value}");
            }
        }
    }
}

/// Holds that all that is documented is there, but for families without a series before there is
/// something to count.
fn check_complete(scrape: &Scrape, late: &[&str]) {
    check(scrape);
    for name in documented().keys() {
        let there = scrape.types.contains_key(name);
        assert!(there || late.contains(&name.as_str()), "{name} is documented and not there");
    }
}

/// A node whose metrics are scraped.
struct Watched {
    node: Node,
    chat: Client,
}

impl Watched {
    fn start(dir: &Path, options: &[&str]) -> Self {
        let mut all = vec!["--metrics-server=true".to_owned()];
        all.extend(options.iter().map(|option| (*option).to_owned()));
        let node = Node::start(dir, &all, None);
        // Without a chat there is no token, and no need of one.
        let token = fs::read_to_string(dir.join("api-token")).unwrap_or_default();
        let chat = Client::with_token(&node, token.trim());
        Self { node, chat }
    }

    fn scrape(&self) -> Scrape {
        let url = format!("http://{}/metrics", self.node.metrics());
        let mut answer = ureq::get(url).call().expect("a scrape");
        let kind = answer.headers().get("content-type").expect("a content type");
        assert_eq!(kind.to_str().ok(), Some("text/plain; version=0.0.4"));
        Scrape::parse(&answer.body_mut().read_to_string().expect("text"))
    }

    /// Waits until the series that have these labels come to at least `least` in sum.
    fn comes_to(&self, least: f64, name: &str, labels: &[(&str, &str)]) {
        until(&format!("{name}{labels:?} comes to {least}"), || {
            self.scrape().sum(name, labels) >= least
        });
    }

    /// Waits until they are exactly this.
    fn is(&self, exactly: f64, name: &str, labels: &[(&str, &str)]) {
        until(&format!("{name}{labels:?} is {exactly}"), || {
            self.scrape().sum(name, labels) == exactly
        });
    }
}

/// Families without a series at the start.
const LATE: [&str; 3] = [
    "libp2p_gossipsub_peers_per_topic_mesh",
    "libp2p_pubsub_messages_published_total",
    "waku_relay_network_bytes_total",
];

/// Two nodes with a chat, and between them one without, which serves the Store and takes messages
/// of up to 64 KiB.
struct Network {
    between: Watched,
    first: Watched,
    second: Watched,
}

impl Network {
    fn start(folders: &[TempDir; 3]) -> Self {
        let [between, first, second] = folders.each_ref().map(|folder| folder.path());
        let options = ["--group-chat-enabled=false", "--store=true", "--max-msg-size=64KiB"];
        let between = Watched::start(between, &options);
        let peer = format!("--storenode={}", between.node.address());
        let [first, second] = [first, second].map(|folder| Watched::start(folder, &[&peer]));
        Self { between, first, second }
    }

    fn chats(&self) -> [&Watched; 2] {
        [&self.first, &self.second]
    }
}

#[test]
fn all_names_are_there_and_move() {
    let network = Network::start(&[(); 3].map(|()| tempfile::tempdir().expect("a folder")));
    for chat in network.chats() {
        check_complete(&chat.scrape(), &LATE);
    }
    connected(&network);
    let group = conversed(&network);
    let before = network.chats().map(Watched::scrape);
    missed(&network, &group);
    asked(&network);

    // More of everything makes no more series.
    for (chat, before) in network.chats().into_iter().zip(before) {
        let after = chat.scrape();
        check_complete(&after, &[]);
        assert_eq!(after.names(), before.names());
        assert!(after.names().len() < 500, "{}", after.names().len());
        assert!(after.sum("process_resident_memory_bytes", &[]) > 1e6);
        assert!(after.sum("process_open_fds", &[]) > 3.0);
        assert_eq!(after.sum("waku_version", &[]), 1.0);
    }
    check(&network.between.scrape());
    left(network);
}

/// What a connection moves.
fn connected(network: &Network) {
    let (relay, store) = (Protocol::Relay.as_str(), Protocol::Store.as_str());
    let between = network.between.node.address();
    for node in network.chats() {
        node.is(1.0, "libp2p_peers", &[]);
        node.is(1.0, "libp2p_successful_dials_total", &[]);
        node.is(1.0, "libp2p_gossipsub_peers_per_topic_mesh", &[("topic", TOPIC)]);
        node.is(1.0, "waku_peer_store_size", &[]);
        node.is(1.0, "waku_peers_dials_total", &[("outcome", "successful")]);
        node.is(1.0, "waku_connected_peers", &[("direction", "Out"), ("protocol", store)]);
        node.is(1.0, "waku_service_peers", &[("peerId", between), ("protocol", store)]);
    }
    let node = &network.between;
    node.is(2.0, "libp2p_peers", &[]);
    node.is(0.0, "libp2p_successful_dials_total", &[]);
    node.is(2.0, "libp2p_gossipsub_peers_per_topic_mesh", &[("topic", TOPIC)]);
    node.is(2.0, "waku_connected_peers", &[("direction", "In"), ("protocol", relay)]);
    node.is(0.0, "waku_connected_peers", &[("protocol", store)]);
    for direction in ["in", "out"] {
        node.comes_to(1000.0, "libp2p_network_bytes_total", &[("direction", direction)]);
    }
    for direction in ["In", "Out"] {
        node.comes_to(2.0, "libp2p_open_streams", &[("dir", direction)]);
    }
}

/// What two accounts with a group and a message each move. Gives the group.
fn conversed(network: &Network) -> String {
    let Network { between, first, second } = network;
    let group = meet(&first.chat, &second.chat, "Metrics");
    first.chat.send(&group, "to the second");
    second.chat.reads(&group, "to the second");
    second.chat.send(&group, "to the first");
    first.chat.reads(&group, "to the first");
    let profile = json!({ "name": "Renamed", "description": "" }).to_string();
    let path = format!("/chat/v1/groups/{group}/profile");
    assert_eq!(first.chat.ask("PUT", &path, Some(&profile)).0, 204);

    for node in network.chats() {
        node.is(1.0, "waku_groupchat_groups", &[]);
        node.is(1.0, "waku_groupchat_messages_total", &[("direction", "sent")]);
        node.is(1.0, "waku_groupchat_messages_total", &[("direction", "received")]);
        node.comes_to(1.0, "waku_groupchat_epochs_total", &[]);
        node.comes_to(1.0, "waku_groupchat_publishes_total", &[("kind", "message")]);
        node.comes_to(1.0, "waku_groupchat_publishes_total", &[("kind", "registration")]);
        node.comes_to(1.0, "waku_groupchat_deliveries_total", &[("state", "published")]);
        node.comes_to(3.0, "libp2p_pubsub_messages_published_total", &[("topic", TOPIC)]);
        relayed(node);
    }
    first.comes_to(1.0, "waku_groupchat_deliveries_total", &[("state", "acknowledged")]);
    // Nobody says anything after it, so it is looked for in the Store.
    second.comes_to(1.0, "waku_groupchat_deliveries_total", &[("state", "stored")]);
    for kind in ["commit", "invitation-shared", "invitation-envelope"] {
        first.comes_to(1.0, "waku_groupchat_publishes_total", &[("kind", kind)]);
        second.is(0.0, "waku_groupchat_publishes_total", &[("kind", kind)]);
    }
    relayed(between);
    let service = ("service", Protocol::Store.as_str());
    between.comes_to(2.0, "waku_service_requests_total", &[service, ("state", "served")]);
    between.comes_to(2.0, "waku_store_queries_total", &[]);
    between.comes_to(2.0, "waku_archive_query_duration_seconds", &[]);
    group
}

/// What messages that come and go on the relay move.
fn relayed(node: &Watched) {
    node.comes_to(3.0, "libp2p_pubsub_validation_success_total", &[]);
    node.comes_to(3.0, "waku_node_messages_total", &[("type", "relay")]);
    node.comes_to(3.0, "waku_histogram_message_size", &[]);
    node.comes_to(6.0, "waku_archive_messages", &[("type", "stored")]);
    node.comes_to(2.0, "waku_archive_insert_duration_seconds", &[]);
    let bytes = "waku_relay_network_bytes_total";
    for (kind, direction) in [("gross", "in"), ("net", "in"), ("net", "out")] {
        let labels = [("topic", TOPIC), ("type", kind), ("direction", direction)];
        node.comes_to(3000.0, bytes, &labels);
    }
    let scrape = node.scrape();
    let came = |kind| scrape.sum(bytes, &[("direction", "in"), ("type", kind)]);
    assert!(came("gross") >= came("net"));
}

/// What a message moves that the node between refuses, so that the second one never sees it.
fn missed(network: &Network, group: &str) {
    let Network { between, first, second } = network;
    for state in ["missing", "fetching", "recovered", "unavailable", "withdrawn"] {
        second.is(0.0, "waku_groupchat_gaps", &[("state", state)]);
    }
    first.chat.send(group, &"long ".repeat(16 * 1024));
    between.comes_to(1.0, "libp2p_pubsub_validation_failure_total", &[]);
    first.chat.send(group, "short");
    second.chat.reads(group, "short");
    second.is(1.0, "waku_groupchat_gaps", &[("state", "unavailable")]);
    second.is(2.0, "waku_groupchat_messages_total", &[("direction", "received")]);
    first.comes_to(1.0, "waku_groupchat_publishes_total", &[("kind", "retry")]);
}

/// What requests move, right and wrong ones.
fn asked(network: &Network) {
    let Network { between, second, .. } = network;
    let count = |node: &Watched, resource, status| {
        let labels = [("resource", resource), ("status", status)];
        node.scrape().sum("waku_groupchat_http_requests_total", &labels)
    };
    let stranger = Client::with_token(&second.node, &"00".repeat(32));
    let before = count(second, "chat", "4xx");
    assert_eq!(stranger.ask("GET", "/chat/v1/groups", None).0, 401);
    assert_eq!(count(second, "chat", "4xx"), before + 1.0);
    assert_eq!(second.chat.ask("GET", "/health", None).0, 200);
    assert_eq!(count(second, "health", "2xx"), 1.0);
    assert!(count(second, "metrics", "2xx") > 10.0);
    assert_eq!(between.chat.ask("GET", "/store/v3/messages", None).0, 200);
    assert_eq!(count(between, "store", "2xx"), 1.0);
    let seconds = "waku_groupchat_http_request_duration_seconds";
    assert!(second.scrape().sum(seconds, &[("resource", "chat")]) > 5.0);
}

/// What moves when all peers go.
fn left(network: Network) {
    let Network { between, first, second } = network;
    drop((first, second));
    between.is(0.0, "libp2p_gossipsub_peers_per_topic_mesh", &[("topic", TOPIC)]);
    for name in
        ["libp2p_peers", "waku_peer_store_size", "waku_connected_peers", "libp2p_open_streams"]
    {
        between.is(0.0, name, &[]);
    }
}
