//! Accepted is durable: nodes are killed again and again, and in the end everything is there.
//!
//! Three processes of the real binary: a sender, a receiver, and a store node that both dial. The
//! sender dies at each named point (`waku_groupchat_node::crash`) and at random moments within 50 ms
//! of an answer, the receiver and the store node at such moments too, in the middle of what they are
//! told. Each starts again on its folder with the next life. In the end every message that was
//! accepted is at the receiver once, under its number and with its text, and no number was given to
//! two texts.
//!
//! The seed is printed; `WGC_SEED=<seed>` runs it again, `WGC_KILLS=<n>` with more deaths: `make
//! soak-kills`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tempfile::TempDir;
use waku_groupchat_node::crash::POINTS;

use crate::client::{Client, may, meet};
use crate::process::Node;

/// Deaths, if nothing else is asked for. Of ten, six are the sender's, four of them at named points.
const DEATHS: usize = 25;
/// A named point is passed this often at most before death.
const PASSES: usize = 3;
/// Messages that are tried in one life.
const MESSAGES_A_LIFE: usize = 5;
/// A random death comes within this time of an answer.
const SOON: Duration = Duration::from_millis(50);
/// Below the ports that the system gives out by itself, so that the store node finds its own again.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Sender,
    Receiver,
    Store,
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// The sender's, at a named point, the n-th time it is passed.
    At(&'static str, usize),
    /// This long after the answer to the n-th message.
    After(Victim, usize, Duration),
}

impl Death {
    fn victim(self) -> Victim {
        match self {
            Self::At(..) => Victim::Sender,
            Self::After(victim, ..) => victim,
        }
    }
}

/// The three nodes; one that is dead starts again on its folder.
struct Nodes {
    folders: [TempDir; 3],
    running: [Option<Node>; 3],
    port: u16,
}

impl Nodes {
    fn new(rng: &mut StdRng) -> Self {
        let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let mut ports = std::iter::repeat_with(|| rng.random_range(PORTS));
        let port = ports.find(free).expect("a free port");
        let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
        let mut nodes = Self { folders, running: [const { None }; 3], port };
        nodes.up(Victim::Store);
        nodes
    }

    /// Has it run, if it does not.
    fn up(&mut self, who: Victim) -> &mut Node {
        if self.running[who as usize].is_none() {
            self.start(who, None);
        }
        self.running[who as usize].as_mut().expect("it was started")
    }

    /// Starts it; what ran of it is killed.
    fn start(&mut self, who: Victim, death: Option<&str>) {
        let options = match who {
            Victim::Store => {
                vec![format!("--tcp-port={}", self.port), "--store=true".to_owned()]
            }
            _ => vec![format!("--storenode={}", self.store())],
        };
        self.running[who as usize] = None;
        let node = Node::start(self.folders[who as usize].path(), &options, death);
        self.running[who as usize] = Some(node);
    }

    /// The store node's address, which stays.
    fn store(&mut self) -> String {
        self.up(Victim::Store).address().to_owned()
    }

    fn client(&mut self, who: Victim) -> Client {
        Client::of(self.up(who))
    }

    fn all_up(&mut self) {
        // who dials comes last
        for who in [Victim::Store, Victim::Receiver, Victim::Sender] {
            self.up(who);
        }
    }

    fn kill(&mut self, who: Victim) {
        self.up(who).kill();
        self.running[who as usize] = None;
    }
}

#[test]
fn nothing_accepted_is_lost_and_no_number_comes_twice() {
    let seed = match std::env::var("WGC_SEED") {
        Ok(seed) => seed.parse().expect("WGC_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").subsec_nanos(),
    };
    println!("seed {seed}: run again with WGC_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed.into());

    let mut nodes = Nodes::new(&mut rng);
    let (sender, receiver) = (nodes.client(Victim::Sender), nodes.client(Victim::Receiver));
    let group = meet(&sender, &receiver, "Crash");

    let mut accepted = BTreeMap::new();
    let deaths = deaths(&mut rng);
    assert!(deaths.len() >= 20);
    for point in POINTS {
        assert!(deaths.iter().any(|d| matches!(d, Death::At(at, _) if *at == point)), "{point}");
    }
    for victim in [Victim::Receiver, Victim::Store] {
        assert!(deaths.iter().any(|death| death.victim() == victim), "{victim:?}");
    }
    for (life, death) in deaths.iter().enumerate() {
        println!("life {life} ends {death:?}");
        nodes.all_up();
        live(&mut nodes, *death, life, &group, &mut accepted);
    }
    assert!(!accepted.is_empty(), "some messages are accepted before their sender dies");

    nodes.all_up();
    let (sender, receiver) = (nodes.client(Victim::Sender), nodes.client(Victim::Receiver));
    check(&receiver, &sender, &group, &accepted);
    println!("{} deaths, {} accepted messages, none lost", deaths.len(), accepted.len());
}

/// Each point, and random moments of everybody, in a random order.
fn deaths(rng: &mut StdRng) -> Vec<Death> {
    let count = std::env::var("WGC_KILLS")
        .map_or(DEATHS, |kills| kills.parse().expect("WGC_KILLS is a number"));
    let at_points = count * 2 / 5;
    let mut deaths: Vec<_> = (0..at_points)
        .map(|n| Death::At(POINTS[n % POINTS.len()], n / POINTS.len() % PASSES + 1))
        .collect();
    for n in at_points..count {
        let delay = rng.random_range(Duration::ZERO..SOON);
        let victim = [Victim::Receiver, Victim::Store, Victim::Sender][n % 3];
        deaths.push(Death::After(victim, rng.random_range(1..=MESSAGES_A_LIFE), delay));
    }
    for i in (1..deaths.len()).rev() {
        deaths.swap(i, rng.random_range(0..=i));
    }
    deaths
}

/// Sends until somebody dies; who sends goes on where it is another. Notes what was accepted, by
/// number.
fn live(
    nodes: &mut Nodes,
    death: Death,
    life: usize,
    group: &str,
    accepted: &mut BTreeMap<u64, String>,
) {
    if let Death::At(point, n) = death {
        nodes.start(Victim::Sender, Some(&format!("{point}:{n}")));
    }
    let sender = nodes.running[Victim::Sender as usize].as_mut().expect("it was started");
    // It may die before it serves: what the last life left is published at once.
    if let Some(client) = Client::try_of(sender) {
        for n in 1..=MESSAGES_A_LIFE {
            let text = format!("life {life}, message {n}");
            let answer =
                client.post(&format!("/groups/{group}/messages"), json!({ "text": &text }));
            let Some(answer) = answer else { break };
            let number = answer["id"]["number"].as_u64().expect("a number");
            let other = accepted.insert(number, text);
            assert_eq!(other, None, "number {number} was given twice");
            if let Death::After(victim, at, delay) = death
                && at == n
            {
                thread::sleep(delay);
                nodes.kill(victim);
                if victim == Victim::Sender {
                    return;
                }
            }
        }
    }
    if let Death::At(..) = death {
        nodes.running[Victim::Sender as usize].take().expect("it was started").wait_for_death();
    }
}

/// What both sides say of the messages that are not at the receiver.
fn lacking(
    receiver: &Client,
    sender: &Client,
    group: &str,
    held: &BTreeMap<u64, String>,
) -> String {
    let page = sender.get(&format!("/groups/{group}/messages?limit=200"));
    let own = page["messages"].as_array().expect("a list").iter();
    let lacking: Vec<_> = own
        .filter(|m| !held.contains_key(&m["id"]["number"].as_u64().expect("a number")))
        .map(|m| (m["id"]["number"].clone(), m["sending"].clone()))
        .collect();
    let gaps = receiver.get(&format!("/groups/{group}/missing"));
    format!("{lacking:?}; its gaps: {gaps}; {:?} and {:?}", sender.health(), receiver.health())
}

/// Waits until the receiver has all that was accepted, and looks at every number it has.
fn check(receiver: &Client, sender: &Client, group: &str, accepted: &BTreeMap<u64, String>) {
    let mut held = BTreeMap::new();
    let all = may(|| {
        held = receiver.messages(group);
        accepted.keys().all(|number| held.contains_key(number))
    });
    assert!(
        all,
        "the receiver lacks what was accepted: {}",
        lacking(receiver, sender, group, &held)
    );
    for (number, text) in accepted {
        assert_eq!(&held[number], text, "number {number}");
    }
    let events = receiver.all_events();
    let refused: Vec<_> = events.iter().filter(|e| e["type"] == json!("refused")).collect();
    assert!(
        refused.iter().all(|event| event["reason"] != json!("number-reused")),
        "a number came twice: {refused:?}"
    );
    let mut texts: Vec<_> = held.values().collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), held.len(), "a text came under two numbers");
}
