//! Relay between native engines, and against peers that misbehave.

mod native_support;

use std::collections::{BTreeSet, HashMap};

use native_support::raw::{Raw, Seen};
use native_support::{CLUSTER, Node, TOPIC, config, message, soon};
use tokio::sync::mpsc::error::TryRecvError;
use waku_groupchat_node::engine::{Engine, EngineError, PublishError};
use waku_groupchat_node::native::{NativeConfig, Observed};
use waku_groupchat_waku::{PubsubTopic, WakuMessage, metadata, relay};

#[tokio::test]
async fn a_message_crosses_a_line_of_three_unchanged() {
    let mut middle = Node::relay(&[]).await;
    let mut first = Node::relay(&[middle.address().await]).await;
    let mut last = Node::relay(&[middle.address().await]).await;
    middle.until("two peers", |peers, _| peers == 2).await;
    first.until("one peer", |peers, _| peers == 1).await;
    last.until("one peer", |peers, _| peers == 1).await;

    let sent = message(1);
    let published = first.engine.publish(TOPIC, sent.clone()).await.expect("published");
    assert_eq!(published.peers, 1);
    assert_eq!(published.hash, sent.hash(&TOPIC));
    let (hash, received, from) = middle.message().await;
    assert_eq!((hash, &received, from), (published.hash, &sent, first.peer().await));
    assert_eq!(received.encode(), sent.encode());
    let (hash, received, from) = last.message().await;
    assert_eq!((hash, received, from), (published.hash, sent, middle.peer().await));
    assert_eq!(first.facts.count(|fact| *fact == Observed::Published(TOPIC)), 1);
    for node in [first, middle, last] {
        node.engine.shutdown().await;
    }
}

#[tokio::test]
async fn each_message_is_reported_once_and_not_to_its_sender() {
    const EACH: i64 = 20;
    let first = Node::relay(&[]).await;
    let second = Node::relay(&[first.address().await]).await;
    let third = Node::relay(&[first.address().await, second.address().await]).await;
    let mut nodes = [first, second, third];
    for node in &mut nodes {
        node.until("two peers", |peers, _| peers == 2).await;
    }
    for number in 0..EACH {
        for (index, node) in (0..).zip(&nodes) {
            let published = node.engine.publish(TOPIC, message(index * EACH + number)).await;
            assert_eq!(published.expect("published").peers, 2);
        }
    }
    for (index, node) in (0..).zip(&mut nodes) {
        let mut seen = HashMap::new();
        while seen.len() < 2 * EACH as usize {
            let (hash, received, _) = node.message().await;
            assert_eq!(seen.insert(hash, received.timestamp), None, "reported twice");
        }
        let own = index * EACH..(index + 1) * EACH;
        assert!(!seen.values().any(|time| own.contains(&time.expect("a timestamp"))));
    }
}

#[tokio::test]
async fn what_cannot_be_published_says_why() {
    let mut node = Node::relay(&[]).await;
    let other = PubsubTopic::new(CLUSTER, 9);
    let error = node.engine.publish(other, message(1)).await.expect_err("not subscribed");
    assert!(matches!(error, PublishError::NotSubscribed(topic) if topic == other), "{error}");
    let error = node.engine.publish(TOPIC, message(1)).await.expect_err("alone");
    assert!(matches!(error, PublishError::NoPeers(TOPIC)), "{error}");

    let peer = Node::relay(&[node.address().await]).await;
    node.until("a peer", |peers, _| peers == 1).await;
    node.engine.publish(TOPIC, message(1)).await.expect("the same message, now that there is one");
    let error = node.engine.publish(TOPIC, message(1)).await.expect_err("again");
    assert!(matches!(error, PublishError::Duplicate), "{error}");

    let mut large = message(2);
    let room = relay::MAX_MESSAGE_SIZE - large.encode().len();
    large.payload.resize(large.payload.len() + room + 100, 7);
    let error = node.engine.publish(TOPIC, large.clone()).await.expect_err("too large");
    let max = relay::MAX_MESSAGE_SIZE;
    assert!(
        matches!(error, PublishError::TooLarge { size, max: m } if size > max && m == max),
        "{error}"
    );
    large.payload.truncate(large.payload.len() - (large.encode().len() - max));
    assert_eq!(large.encode().len(), max);
    node.engine.publish(TOPIC, large.clone()).await.expect("the largest there is");
    let mut peer = peer;
    assert_eq!(peer.message().await.1, message(1));
    assert_eq!(peer.message().await.1, large);

    let elsewhere = PubsubTopic::new(CLUSTER + 1, 0);
    let error = node.engine.subscribe(elsewhere).await.expect_err("another cluster");
    assert!(matches!(error, EngineError::OtherCluster { cluster: CLUSTER, .. }), "{error}");
    node.engine.unsubscribe(TOPIC).await.expect("left");
    let error = node.engine.publish(TOPIC, message(3)).await.expect_err("left");
    assert!(matches!(error, PublishError::NotSubscribed(TOPIC)), "{error}");
    peer.until("the leave", |peers, _| peers == 0).await;
}

#[tokio::test]
async fn a_peer_that_sends_rubbish_is_refused_and_stops_nobody() {
    let mut node = Node::relay(&[]).await;
    let mut behind = Node::relay(&[node.address().await]).await;
    let mut raw = Raw::start(TOPIC).await;
    let metadata = metadata::WakuMetadata { cluster_id: Some(CLUSTER.into()), shards: vec![3] };
    raw.answer(metadata::PROTOCOL, framed(&metadata.encode()), true);
    raw.dial(node.address().await).await;
    node.until("two peers", |peers, _| peers == 2).await;
    raw.until("subscription", |seen| matches!(seen, Seen::Subscribed(_))).await;

    let mut large = message(1);
    large.payload = vec![7; relay::MAX_MESSAGE_SIZE];
    let mut meta = message(2);
    meta.meta = vec![7; 65];
    let rubbish = [vec![0xff; 40], vec![], large.encode(), meta.encode()];
    let count = rubbish.len();
    for data in rubbish {
        raw.publish(data).await;
    }
    node.facts.wait("refusals", count, |fact| *fact == Observed::Rejected).await;
    raw.publish(message(3).encode()).await;
    assert_eq!(node.message().await.1, message(3), "from the very same peer");
    assert_eq!(behind.message().await.1, message(3), "and only that was passed on");
    node.engine.publish(TOPIC, message(4)).await.expect("published");
    assert_eq!(behind.message().await.1, message(4));
    assert_eq!(behind.facts.count(|fact| *fact == Observed::Rejected), 0);
}

#[tokio::test]
async fn a_reader_that_waits_holds_up_messages_but_not_commands() {
    const COUNT: i64 = 40;
    let slow = NativeConfig { event_queue: 1, ..config(&[]) };
    let mut slow = Node::start(slow, None).await;
    slow.engine.subscribe(TOPIC).await.expect("subscribed");
    let mut fast = Node::relay(&[slow.address().await]).await;
    fast.until("a peer", |peers, _| peers == 1).await;
    slow.until("a peer", |peers, _| peers == 1).await;
    for number in 0..COUNT {
        fast.engine.publish(TOPIC, message(number)).await.expect("published");
    }
    // One message in the queue, one before it; the rest stays at the peer or on the way.
    slow.facts.wait("two messages", 2, |fact| matches!(fact, Observed::Received(_))).await;
    let info = soon("answer", slow.engine.info()).await.expect("info");
    assert_eq!(info.topics, [TOPIC]);
    soon("answer", slow.engine.subscribe(PubsubTopic::new(CLUSTER, 5))).await.expect("subscribed");
    assert_eq!(slow.facts.count(|fact| matches!(fact, Observed::Received(_))), 2);
    let mut numbers = Vec::new();
    for _ in 0..COUNT {
        numbers.push(slow.message().await.1.timestamp.expect("a timestamp"));
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..COUNT).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_burst_beyond_the_queues_waits_and_arrives() {
    const COUNT: i64 = 3_000;
    let mut to = Node::relay(&[]).await;
    let mut from = Node::relay(&[to.address().await]).await;
    from.until("a peer", |peers, _| peers == 1).await;
    let sender = tokio::spawn(async move {
        for number in 0..COUNT {
            from.engine.publish(TOPIC, message(number)).await.expect("published");
        }
        from
    });
    let mut numbers = BTreeSet::new();
    while numbers.len() < COUNT as usize {
        numbers.insert(to.message().await.1.timestamp);
    }
    drop(sender.await.expect("all are sent"));
}

/// What the queues and the connection hold is far less than this burst, and the peer takes nothing
/// for longer than a publish waits.
#[tokio::test]
async fn what_was_published_to_a_peer_that_did_not_read_arrives() {
    const COUNT: i64 = 1_200;
    const SIZE: usize = 64 * 1024;
    let slow = NativeConfig { event_queue: 1, ..config(&[]) };
    let mut slow = Node::start(slow, None).await;
    slow.engine.subscribe(TOPIC).await.expect("subscribed");
    let mut fast = Node::relay(&[slow.address().await]).await;
    fast.until("a peer", |peers, _| peers == 1).await;
    slow.until("a peer", |peers, _| peers == 1).await;
    let (refused, mut refusal) = tokio::sync::mpsc::channel(1);
    let mut sender = tokio::spawn(async move {
        let mut published = BTreeSet::new();
        for number in 0..COUNT {
            let message = WakuMessage { payload: vec![7; SIZE], ..message(number) };
            match fast.engine.publish(TOPIC, message).await {
                Ok(_) => drop(published.insert(Some(number))),
                // Told once; the reader begins then.
                Err(PublishError::Busy) => drop(refused.try_send(())),
                Err(error) => panic!("{error}"),
            }
        }
        (fast, published)
    });
    soon("a refusal", refusal.recv()).await.expect("the burst is larger than what the queues hold");
    let mut arrived = BTreeSet::new();
    let (_fast, published) = loop {
        tokio::select! {
            sent = &mut sender => break sent.expect("no panic"),
            (_, message, _) = slow.message() => drop(arrived.insert(message.timestamp)),
        }
    };
    while !arrived.is_superset(&published) {
        arrived.insert(slow.message().await.1.timestamp);
    }
    // One that was refused may still come: whoever hears of it by gossip asks for it.
    let refused = COUNT as usize - published.len();
    assert!(refused > 0 && arrived.len() <= COUNT as usize, "{refused} refused");
}

#[tokio::test]
async fn without_a_reader_the_engine_goes_on() {
    let node = Node::relay(&[]).await;
    let Node { engine, events, facts } = node;
    drop(events);
    let mut peer = Node::relay(&[engine.info().await.expect("info").addresses[0]
        .parse()
        .expect("an address")])
    .await;
    peer.until("a peer", |peers, _| peers == 1).await;
    for number in 0..5 {
        peer.engine.publish(TOPIC, message(number)).await.expect("published");
    }
    facts.wait("messages", 5, |fact| matches!(fact, Observed::Received(_))).await;
    engine.publish(TOPIC, message(9)).await.expect("published");
    assert_eq!(peer.message().await.1, message(9));
}

#[tokio::test]
async fn shutdown_ends_all_and_so_does_dropping() {
    let mut first = Node::relay(&[]).await;
    let mut second = Node::relay(&[first.address().await]).await;
    first.until("a peer", |peers, _| peers == 1).await;
    soon("shutdown", first.engine.shutdown()).await;
    soon("second shutdown", first.engine.shutdown()).await;
    let error = first.engine.publish(TOPIC, message(1)).await.expect_err("closed");
    assert!(matches!(error, PublishError::Closed), "{error}");
    assert!(matches!(first.engine.subscribe(TOPIC).await, Err(EngineError::Closed)));
    soon("end of the events", async { while first.events.recv().await.is_some() {} }).await;

    second.until("the loss", |peers, _| peers == 0).await;
    let Node { engine, mut events, .. } = second;
    drop(engine);
    soon("end of the events", async { while events.recv().await.is_some() {} }).await;
    assert_eq!(events.try_recv().expect_err("ended"), TryRecvError::Disconnected);
}

fn framed(payload: &[u8]) -> Vec<u8> {
    waku_groupchat_waku::framing::encode_frame(payload)
}
