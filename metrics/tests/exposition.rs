//! What a scrape sees: names, types, labels and values.

use std::collections::BTreeMap;
use std::time::Duration;

use waku_groupchat_metrics::{
    ChangeKind, ChatMetrics, DeliveryState, DialOutcome, Direction, GapState, HttpMetrics, Label,
    MessageDirection, Metrics, NodeError, Protocol, PublishKind, RefusedReason, Registry, Resource,
    ServiceState, Shard, StatusClass, Traffic,
};

/// Every family but `process_*`, with its type.
const FAMILIES: &[(&str, &str)] = &[
    ("libp2p_gossipsub_peers_per_topic_mesh", "gauge"),
    ("libp2p_network_bytes_total", "counter"),
    ("libp2p_open_streams", "gauge"),
    ("libp2p_peers", "gauge"),
    ("libp2p_pubsub_messages_published_total", "counter"),
    ("libp2p_pubsub_validation_failure_total", "counter"),
    ("libp2p_pubsub_validation_success_total", "counter"),
    ("libp2p_successful_dials_total", "counter"),
    ("waku_archive_insert_duration_seconds", "histogram"),
    ("waku_archive_messages", "gauge"),
    ("waku_archive_query_duration_seconds", "histogram"),
    ("waku_connected_peers", "gauge"),
    ("waku_groupchat_clock_ahead_seconds", "gauge"),
    ("waku_groupchat_database_faults_total", "counter"),
    ("waku_groupchat_deliveries_total", "counter"),
    ("waku_groupchat_epochs_total", "counter"),
    ("waku_groupchat_failed_changes_total", "counter"),
    ("waku_groupchat_reorders_total", "counter"),
    ("waku_groupchat_gaps", "gauge"),
    ("waku_groupchat_groups", "gauge"),
    ("waku_groupchat_http_request_duration_seconds", "histogram"),
    ("waku_groupchat_http_requests_total", "counter"),
    ("waku_groupchat_messages_total", "counter"),
    ("waku_groupchat_publishes_held", "gauge"),
    ("waku_groupchat_publishes_total", "counter"),
    ("waku_groupchat_queue_overflow_total", "counter"),
    ("waku_groupchat_refused_total", "counter"),
    ("waku_groupchat_rest_cache_dropped_total", "counter"),
    ("waku_histogram_message_size", "histogram"),
    ("waku_node_errors_total", "counter"),
    ("waku_node_messages_total", "counter"),
    ("waku_peer_store_size", "gauge"),
    ("waku_peers_dials_total", "counter"),
    ("waku_relay_network_bytes_total", "counter"),
    ("waku_service_peers", "gauge"),
    ("waku_service_requests_total", "counter"),
    ("waku_store_queries_total", "counter"),
    ("waku_version", "gauge"),
];

fn full() -> (Metrics, ChatMetrics) {
    let metrics = Metrics::new("v0.1.0-test").expect("names are free");
    let chat = ChatMetrics::register(metrics.registry()).expect("names are free");
    (metrics, chat)
}

fn types(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| !name.starts_with("process_"))
        .collect()
}

#[track_caller]
fn assert_line(text: &str, line: &str) {
    assert!(text.lines().any(|l| l == line), "no line `{line}` in\n{text}");
}

#[test]
fn families_have_the_names_and_types_that_dashboards_read() {
    let (metrics, _chat) = full();
    metrics.relay().published(Shard::new(1, 0));
    metrics.relay().mesh_peers(Shard::new(1, 0), 0);
    metrics.relay().bytes_out(Shard::new(1, 0), 0);
    metrics.node().service_peer(Protocol::Store, "/ip4/127.0.0.1/tcp/1/p2p/x");
    let text = metrics.encode().expect("encodes");
    assert_eq!(types(&text), FAMILIES.iter().copied().collect());
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_is_measured() {
    let (metrics, _chat) = full();
    let text = metrics.encode().expect("encodes");
    for name in ["process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"] {
        assert!(text.lines().any(|l| l.starts_with(name)), "no {name} in\n{text}");
    }
}

#[test]
fn bounded_labels_stand_at_zero_from_the_start() {
    let (metrics, _chat) = full();
    let text = metrics.encode().expect("encodes");
    for line in [
        "waku_version{version=\"v0.1.0-test\"} 1",
        "waku_node_messages_total{type=\"relay\"} 0",
        "waku_node_errors_total{type=\"insert_failure\"} 0",
        "waku_peers_dials_total{outcome=\"timed out\"} 0",
        "waku_connected_peers{direction=\"In\",protocol=\"/vac/waku/store-query/3.0.0\"} 0",
        "waku_archive_messages{type=\"stored\"} 0",
        "waku_groupchat_gaps{state=\"unavailable\"} 0",
        "waku_groupchat_deliveries_total{state=\"stored\"} 0",
        "libp2p_open_streams{dir=\"In\",type=\"YamuxChannel\"} 0",
        "libp2p_network_bytes_total{direction=\"in\"} 0",
        "waku_groupchat_http_requests_total{resource=\"chat\",status=\"429\"} 0",
    ] {
        assert_line(&text, line);
    }
}

#[test]
fn node_network_relay_and_store_recorders_feed_their_families() {
    let (metrics, _chat) = full();
    let topic = Shard::new(16, 3);
    metrics.node().error(NodeError::KeepAlive);
    metrics.node().connected_peers(Direction::Out, Protocol::Relay, 3);
    metrics.node().dialed(DialOutcome::Successful);
    metrics.node().known_peers(6);
    metrics.node().service_peer(Protocol::Store, "/ip4/127.0.0.1/tcp/1/p2p/x");
    metrics.network().peers(4);
    metrics.network().dialed();
    metrics.network().read(70);
    metrics.network().written(50);
    metrics.network().stream_opened(Direction::In);
    metrics.network().stream_opened(Direction::In);
    metrics.network().stream_closed(Direction::In);
    metrics.relay().received(2_500);
    metrics.relay().published(topic);
    metrics.relay().validated(true);
    metrics.relay().validated(false);
    metrics.relay().mesh_peers(topic, 5);
    metrics.store().archived(7);
    metrics.store().inserted(Duration::from_micros(80));
    metrics.store().queried(Duration::from_millis(2));
    metrics.relay().bytes_in(topic, Traffic::Gross, 30);
    metrics.relay().bytes_in(topic, Traffic::Net, 10);
    metrics.relay().bytes_out(topic, 20);
    metrics.store().query_received(ServiceState::Served);
    metrics.store().query_received(ServiceState::Rejected);
    let text = metrics.encode().expect("encodes");
    for line in [
        "waku_node_errors_total{type=\"keep_alive_failure\"} 1",
        "waku_connected_peers{direction=\"Out\",protocol=\"/vac/waku/relay/2.0.0\"} 3",
        "waku_peers_dials_total{outcome=\"successful\"} 1",
        "libp2p_peers 4",
        "libp2p_successful_dials_total 1",
        "libp2p_network_bytes_total{direction=\"in\"} 70",
        "libp2p_network_bytes_total{direction=\"out\"} 50",
        "libp2p_open_streams{dir=\"In\",type=\"YamuxChannel\"} 1",
        "waku_peer_store_size 6",
        "waku_service_peers{peerId=\"/ip4/127.0.0.1/tcp/1/p2p/x\",protocol=\"/vac/waku/store-query/3.0.0\"} 1",
        "waku_relay_network_bytes_total{direction=\"in\",topic=\"/waku/2/rs/16/3\",type=\"gross\"} 30",
        "waku_relay_network_bytes_total{direction=\"in\",topic=\"/waku/2/rs/16/3\",type=\"net\"} 10",
        "waku_relay_network_bytes_total{direction=\"out\",topic=\"/waku/2/rs/16/3\",type=\"net\"} 20",
        "waku_service_requests_total{service=\"/vac/waku/store-query/3.0.0\",state=\"served\"} 1",
        "waku_service_requests_total{service=\"/vac/waku/store-query/3.0.0\",state=\"rejected\"} 1",
        "waku_node_messages_total{type=\"relay\"} 1",
        "waku_histogram_message_size_sum 2.5",
        "waku_histogram_message_size_bucket{le=\"1\"} 0",
        "waku_histogram_message_size_bucket{le=\"3\"} 1",
        "libp2p_pubsub_messages_published_total{topic=\"/waku/2/rs/16/3\"} 1",
        "libp2p_pubsub_validation_success_total 1",
        "libp2p_pubsub_validation_failure_total 1",
        "libp2p_gossipsub_peers_per_topic_mesh{topic=\"/waku/2/rs/16/3\"} 5",
        "waku_archive_messages{type=\"stored\"} 7",
        "waku_archive_insert_duration_seconds_count 1",
        "waku_archive_query_duration_seconds_bucket{le=\"0.001\"} 0",
        "waku_archive_query_duration_seconds_bucket{le=\"0.0025\"} 1",
        "waku_store_queries_total 1",
    ] {
        assert_line(&text, line);
    }
    metrics.relay().unsubscribed(topic);
    let text = metrics.encode().expect("encodes");
    assert!(!text.contains("libp2p_gossipsub_peers_per_topic_mesh{"), "{text}");
}

#[test]
fn http_and_chat_recorders_feed_their_families() {
    let (metrics, chat) = full();
    metrics.http().answered(
        Resource::of_path("/relay/v1/messages/%2Fwaku%2F2%2Frs%2F0%2F0"),
        StatusClass::of_code(200),
        Duration::from_millis(1),
    );
    chat.published(PublishKind::InvitationEnvelope);
    chat.gaps(GapState::Missing, 2);
    chat.message(MessageDirection::Received);
    chat.delivered(DeliveryState::Acknowledged);
    chat.refused(RefusedReason::NumberReused);
    chat.epochs(3);
    chat.reordered();
    chat.change_failed(ChangeKind::Role);
    chat.database_fault();
    chat.groups(6);
    chat.queue_overflow();
    let text = metrics.encode().expect("encodes");
    for line in [
        "waku_groupchat_http_requests_total{resource=\"relay\",status=\"2xx\"} 1",
        "waku_groupchat_http_request_duration_seconds_count{resource=\"relay\"} 1",
        "waku_groupchat_publishes_total{kind=\"invitation-envelope\"} 1",
        "waku_groupchat_gaps{state=\"missing\"} 2",
        "waku_groupchat_messages_total{direction=\"received\"} 1",
        "waku_groupchat_refused_total{reason=\"number-reused\"} 1",
        "waku_groupchat_groups 6",
        "waku_groupchat_deliveries_total{state=\"acknowledged\"} 1",
        "waku_groupchat_epochs_total 3",
        "waku_groupchat_reorders_total 1",
        "waku_groupchat_failed_changes_total{change=\"role\"} 1",
        "waku_groupchat_database_faults_total 1",
        "waku_groupchat_queue_overflow_total 1",
    ] {
        assert_line(&text, line);
    }
}

#[test]
fn paths_and_codes_fall_into_bounded_classes() {
    let resources = [
        ("/health", Resource::Health),
        ("/debug/v1/info", Resource::Info),
        ("/store/v3/messages", Resource::Store),
        ("/chat/v1/groups/00/messages", Resource::Chat),
        ("/", Resource::Other),
        ("/etc/passwd", Resource::Other),
    ];
    for (path, resource) in resources {
        assert_eq!(Resource::of_path(path), resource, "{path}");
    }
    let codes =
        [(204, "2xx"), (404, "4xx"), (429, "429"), (500, "5xx"), (503, "503"), (599, "5xx")];
    for (code, class) in codes {
        assert_eq!(StatusClass::of_code(code).as_str(), class, "{code}");
    }
}

#[test]
fn a_second_registration_is_an_error_that_names_the_metric() {
    let registry = Registry::new();
    HttpMetrics::register(&registry).expect("names are free");
    let error = HttpMetrics::register(&registry).expect_err("names are taken").to_string();
    assert!(error.contains("waku_groupchat_http_requests_total"), "{error}");
}
