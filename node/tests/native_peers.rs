//! Who a native engine stays connected to: clusters, metadata, static peers, limits.

mod native_support;

use std::error::Error;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use native_support::raw::{Raw, Seen};
use native_support::{CLUSTER, Node, TOPIC, config, message, soon};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use waku_groupchat_node::engine::{Engine, EngineEvent};
use waku_groupchat_node::native::{
    Dial, NativeConfig, NativeEngine, NodeKey, Observed, StartError,
};
use waku_groupchat_waku::metadata::{self, WakuMetadata};
use waku_groupchat_waku::{PubsubTopic, framing};

#[tokio::test]
async fn a_peer_of_another_cluster_is_disconnected() {
    let other = NativeConfig { cluster: CLUSTER + 1, ..config(&[]) };
    let other = Node::start(other, None).await;
    let mut node = Node::relay(&[other.address().await]).await;
    let failed = |fact: &Observed| *fact == Observed::MetadataFailed;
    node.facts.wait("disconnections", 2, failed).await;
    let connected = |fact: &Observed| *fact == Observed::Dialed(Dial::Connected);
    assert!(node.facts.count(connected) >= 2, "it is tried again, as a static peer is");

    // The engine is none the worse.
    let peer = Node::relay(&[node.address().await]).await;
    node.until("a peer", |peers, _| peers == 1).await;
    node.engine.publish(TOPIC, message(1)).await.expect("published");
    drop(peer);
}

#[tokio::test]
async fn a_peer_without_metadata_is_kept_on_cluster_0_alone() {
    let topic = PubsubTopic::new(0, 1);
    let node = Node::start(NativeConfig { cluster: 0, ..config(&[]) }, None).await;
    node.engine.subscribe(topic).await.expect("subscribed");
    let mut raw = Raw::start(topic).await;
    raw.dial(node.address().await).await;
    let mut events = node.events;
    soon("the peer on the topic", async {
        loop {
            let event = events.recv().await.expect("it runs");
            if matches!(&event, EngineEvent::Connectivity { relay_peers, .. } if relay_peers == &[(topic, 1)]) {
                return;
            }
        }
    })
    .await;
    raw.until("subscription", |seen| matches!(seen, Seen::Subscribed(_))).await;
    raw.publish(message(1).encode()).await;
    node.facts.wait("message", 1, |fact| matches!(fact, Observed::Received(_))).await;
    assert_eq!(node.facts.count(|fact| *fact == Observed::MetadataFailed), 0);
    assert_eq!(node.engine.peers().await.expect("peers").len(), 1);

    let node = Node::relay(&[]).await;
    raw.dial(node.address().await).await;
    node.facts.wait("disconnection", 1, |fact| *fact == Observed::MetadataFailed).await;
    raw.until("disconnection", |seen| matches!(seen, Seen::Disconnected(_))).await;
}

#[tokio::test]
async fn metadata_that_names_no_cluster_or_makes_no_sense_disconnects() {
    let nameless = WakuMetadata { cluster_id: None, shards: vec![3] }.encode();
    for answer in [framing::encode_frame(&nameless), framing::encode_frame(&[0xff]), vec![0xff; 9]]
    {
        let node = Node::relay(&[]).await;
        let mut raw = Raw::start(TOPIC).await;
        raw.answer(metadata::PROTOCOL, answer, true);
        raw.dial(node.address().await).await;
        raw.until("disconnection", |seen| matches!(seen, Seen::Disconnected(_))).await;
        assert_eq!(node.facts.count(|fact| *fact == Observed::MetadataFailed), 1);
    }
}

#[tokio::test]
async fn peers_are_known_with_protocols_agent_and_shards() {
    let mut node = Node::relay(&[]).await;
    let peer = NativeConfig {
        shards: vec![9],
        agent: "someone/1".to_owned(),
        ..config(&[node.address().await])
    };
    let peer = Node::start(peer, None).await;
    peer.engine.subscribe(TOPIC).await.expect("subscribed");
    node.until("a peer", |peers, _| peers == 1).await;
    let known = soon("its metadata and protocols", async {
        loop {
            let peers = node.engine.peers().await.expect("peers");
            let known = peers.into_iter().find(|p| !p.shards.is_empty() && !p.agent.is_empty());
            if let Some(known) = known {
                return known;
            }
        }
    })
    .await;
    assert_eq!(known.peer, peer.peer().await);
    assert_eq!((known.agent.as_str(), known.is_static), ("someone/1", false));
    assert!(known.shards.contains(&9));
    for protocol in ["/vac/waku/relay/2.0.0", "/vac/waku/metadata/1.0.0"] {
        assert!(known.protocols.iter().any(|p| p == protocol), "{:?}", known.protocols);
    }
    assert!(!known.protocols.iter().any(|p| p.contains("store")), "{:?}", known.protocols);
    let of_peer = peer.engine.peers().await.expect("peers");
    assert!(of_peer.iter().all(|p| p.is_static), "it dialled this one as a static peer");
}

#[tokio::test]
async fn a_static_peer_is_found_again_after_it_restarts() {
    let key = NodeKey::generate();
    let mut peer = Node::start(NativeConfig { node_key: key.clone(), ..config(&[]) }, None).await;
    peer.engine.subscribe(TOPIC).await.expect("subscribed");
    let address = peer.address().await;
    let mut node = Node::relay(std::slice::from_ref(&address)).await;
    node.until("the peer", |peers, _| peers == 1).await;

    for round in 0..2 {
        let refused = node.facts.count(failed_dial);
        peer.engine.shutdown().await;
        node.until("its loss", |peers, _| peers == 0).await;
        node.facts.wait("dials in vain", refused + 2, failed_dial).await;
        let again = NativeConfig {
            node_key: key.clone(),
            listen: vec![without_peer(&address)],
            ..config(&[])
        };
        peer = Node::start(again, None).await;
        peer.engine.subscribe(TOPIC).await.expect("subscribed");
        assert_eq!(peer.address().await, address);
        node.until("its return", |peers, _| peers == 1).await;
        let sent = node.engine.publish(TOPIC, message(round)).await.expect("published");
        assert_eq!(peer.message().await.0, sent.hash);
    }
}

fn failed_dial(fact: &Observed) -> bool {
    *fact == Observed::Dialed(Dial::Failed)
}

fn without_peer(address: &Multiaddr) -> Multiaddr {
    let mut address = address.clone();
    address.pop();
    address
}

#[tokio::test]
async fn both_sides_may_name_each_other() {
    let (one, two) = (NodeKey::generate(), NodeKey::generate());
    let first = Node::start(NativeConfig { node_key: one.clone(), ..config(&[]) }, None).await;
    let at_first = first.address().await;
    let second = NativeConfig { node_key: two, ..config(std::slice::from_ref(&at_first)) };
    let mut second = Node::start(second, None).await;
    second.engine.subscribe(TOPIC).await.expect("subscribed");
    first.engine.shutdown().await;
    // The restarted one dials while it is being dialled.
    let again = NativeConfig {
        node_key: one,
        listen: vec![without_peer(&at_first)],
        ..config(&[second.address().await])
    };
    let mut first = Node::start(again, None).await;
    first.engine.subscribe(TOPIC).await.expect("subscribed");
    first.until("the other", |peers, _| peers == 1).await;
    second.until("the other", |peers, _| peers == 1).await;
    second.engine.publish(TOPIC, message(1)).await.expect("published");
    assert_eq!(first.message().await.1, message(1));
    assert_eq!(first.engine.peers().await.expect("peers").len(), 1);
}

#[tokio::test]
async fn limits_hold_for_all_but_static_peers() {
    let key = NodeKey::generate();
    let friend: Multiaddr =
        format!("/ip4/127.0.0.1/tcp/1/p2p/{}", key.peer_id()).parse().expect("an address");
    for limits in [
        NativeConfig { ip_colocation_limit: 1, ..config(std::slice::from_ref(&friend)) },
        NativeConfig { max_connections: 1, ..config(std::slice::from_ref(&friend)) },
    ] {
        let node = Node::start(limits, None).await;
        let address = [node.address().await];
        let first = Node::start(config(&address), None).await;
        let connected = |fact: &Observed| *fact == Observed::Dialed(Dial::Connected);
        first.facts.wait("connection", 1, connected).await;
        soon("the peer", async { while node.engine.peers().await.expect("peers").is_empty() {} })
            .await;
        let second = Node::start(config(&address), None).await;
        second.facts.wait("connections, each closed", 3, connected).await;
        let static_one = NativeConfig { node_key: key.clone(), ..config(&address) };
        let static_one = Node::start(static_one, None).await;
        soon("the static peer", async {
            while node.engine.peers().await.expect("peers").iter().all(|peer| !peer.is_static) {}
        })
        .await;
        let peers = node.engine.peers().await.expect("peers");
        let mut peers: Vec<_> = peers.into_iter().map(|peer| peer.peer).collect();
        peers.sort();
        let mut expected = [first.peer().await, static_one.peer().await];
        expected.sort();
        assert_eq!(peers, expected);
    }
}

/// An engine that others reach through a port of the test's own.
async fn behind(listener: &TcpListener, config: NativeConfig) -> (Node, u16, Multiaddr) {
    let node = Node::start(config, None).await;
    node.engine.subscribe(TOPIC).await.expect("subscribed");
    let mut address = node.address().await;
    let peer = address.pop().expect("a peer id");
    let Some(Protocol::Tcp(port)) = address.pop() else { panic!("no port") };
    let via = listener.local_addr().expect("an address").port();
    (node, port, address.with(Protocol::Tcp(via)).with(peer))
}

/// Passes bytes of the next connection on for a while. Gives both ends, still open.
async fn pass_for(time: Duration, listener: &TcpListener, port: u16) -> (TcpStream, TcpStream) {
    let (mut near, _) = listener.accept().await.expect("accepts");
    let mut far = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let passing = tokio::io::copy_bidirectional(&mut near, &mut far);
    assert!(tokio::time::timeout(time, passing).await.is_err(), "nobody closed it");
    (near, far)
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_given_up() {
    let quick = |static_peers: &[Multiaddr]| NativeConfig {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(300),
        ..config(static_peers)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let (_far, port, via) = behind(&listener, quick(&[])).await;
    let cut = tokio::spawn(async move {
        let ends = pass_for(Duration::from_secs(2), &listener, port).await;
        (ends, listener)
    });
    let mut near = Node::start(quick(&[via]), None).await;
    near.engine.subscribe(TOPIC).await.expect("subscribed");
    near.until("the peer", |peers, _| peers == 1).await;
    let ends = cut.await.expect("cut");
    near.until("its loss", |peers, _| peers == 0).await;
    assert!(near.facts.count(|fact| *fact == Observed::KeepAliveFailed) >= 1);
    drop(ends);
}

#[tokio::test]
async fn a_peer_may_come_back_before_its_loss_was_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let (mut far, port, via) = behind(&listener, config(&[])).await;
    let relay = tokio::spawn(async move {
        let (near, ghost) = pass_for(Duration::from_millis(2_500), &listener, port).await;
        // One side sees its end, the other does not.
        drop(near);
        let mut passing = JoinSet::new();
        loop {
            let (mut near, _) = listener.accept().await.expect("accepts");
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
            passing.spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
            assert!(ghost.peer_addr().is_ok(), "still open");
        }
    });
    let mut near = Node::relay(&[via]).await;
    near.until("the peer", |peers, _| peers == 1).await;
    near.until("its loss", |peers, _| peers == 0).await;
    near.until("its return", |peers, _| peers == 1).await;
    far.until("the loss of the first connection", |peers, _| peers == 0).await;
    far.until("the peer again", |peers, _| peers == 1).await;
    near.engine.publish(TOPIC, message(1)).await.expect("published");
    assert_eq!(far.message().await.1, message(1));
    far.engine.publish(TOPIC, message(2)).await.expect("published");
    assert_eq!(near.message().await.1, message(2));
    relay.abort();
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let node = Node::relay(&[]).await;
    let taken = without_peer(&node.address().await);
    let failure =
        |config| async { NativeEngine::start(config, None).await.expect_err("it must not start") };
    let error = failure(NativeConfig { listen: vec![taken.clone()], ..config(&[]) }).await;
    assert!(matches!(error, StartError::AddressInUse(_)));
    assert_eq!(error.to_string(), format!("address {taken} is in use"));

    let far: Multiaddr = "/ip4/192.0.2.1/tcp/60000".parse().expect("an address");
    let error = failure(NativeConfig { listen: vec![far], ..config(&[]) }).await;
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
    assert!(error.source().is_some() && error.to_string().contains("192.0.2.1"), "{error}");
    let udp: Multiaddr = "/ip4/127.0.0.1/udp/1".parse().expect("an address");
    let error = failure(NativeConfig { listen: vec![udp], ..config(&[]) }).await;
    assert!(matches!(error, StartError::ListenAddress(_)), "{error}");
    let error = failure(config(&[taken])).await;
    assert!(matches!(error, StartError::StaticPeer(_)), "{error}");
    let error = failure(NativeConfig { store: true, ..config(&[]) }).await;
    assert!(matches!(error, StartError::NoArchive), "{error}");
    let error = failure(NativeConfig { max_message_size: 2 << 20, ..config(&[]) }).await;
    assert!(matches!(error, StartError::MessageSize { .. }), "{error}");
}
