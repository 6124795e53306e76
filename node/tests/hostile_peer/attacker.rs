//! A peer that opens streams and does with them what no other peer does. It answers for its
//! metadata, or it would be sent away.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, identify, noise, ping, tcp,
    yamux,
};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use waku_groupchat_waku::metadata::{self, WakuMetadata};
use waku_groupchat_waku::{framing, relay};

use crate::native_support::{CLUSTER, TOPIC, soon};

#[derive(NetworkBehaviour)]
struct Protocols {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// An RPC of gossipsub (its `rpc.proto`), as far as it is used here.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Rpc {
    #[prost(message, repeated, tag = "1")]
    pub(crate) subscriptions: Vec<Subscription>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) publish: Vec<Published>,
    #[prost(message, optional, tag = "3")]
    pub(crate) control: Option<Control>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Subscription {
    #[prost(bool, optional, tag = "1")]
    subscribe: Option<bool>,
    #[prost(string, optional, tag = "2")]
    topic: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Published {
    #[prost(bytes = "vec", optional, tag = "2")]
    data: Option<Vec<u8>>,
    #[prost(string, required, tag = "4")]
    topic: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Control {
    #[prost(message, repeated, tag = "3")]
    graft: Vec<Graft>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graft {
    #[prost(string, optional, tag = "1")]
    topic: Option<String>,
}

impl Rpc {
    /// Subscribes to the tests' topic and asks into its mesh, so that everything is forwarded here.
    pub(crate) fn join() -> Vec<u8> {
        let topic = Some(TOPIC.to_string());
        let subscriptions = vec![Subscription { subscribe: Some(true), topic: topic.clone() }];
        let control = Some(Control { graft: vec![Graft { topic }] });
        framing::encode_frame(&Self { subscriptions, control, ..Self::default() }.encode_to_vec())
    }

    /// Publishes these bytes.
    pub(crate) fn publish(data: Vec<u8>) -> Vec<u8> {
        let publish = vec![Published { data: Some(data), topic: TOPIC.to_string() }];
        framing::encode_frame(&Self { publish, ..Self::default() }.encode_to_vec())
    }
}

/// What the attacker does with what the victim relays to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Takes it and throws it away.
    Everything,
    /// Lets it lie.
    Nothing,
}

/// A connected peer, on tasks of its own until it is dropped.
pub(crate) struct Attacker {
    /// Its peer id.
    pub(crate) name: PeerId,
    streams: libp2p_stream::Control,
    victim: PeerId,
    connected: watch::Receiver<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Attacker {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Attacker {
    /// Connects and waits until the connection stands.
    pub(crate) async fn connect(victim: &Multiaddr, reads: Reads) -> Self {
        let mut attacker = Self::dial(victim, reads);
        soon("a connection", attacker.connected.wait_for(|connected| *connected))
            .await
            .expect("it runs");
        attacker
    }

    /// Waits until the victim has ended the connection.
    pub(crate) async fn sent_away(&mut self) {
        soon("an end", self.connected.wait_for(|connected| !*connected)).await.expect("it runs");
    }

    /// Dials, whatever comes of it.
    pub(crate) fn dial(address: &Multiaddr, reads: Reads) -> Self {
        let mut swarm = swarm();
        let name = *swarm.local_peer_id();
        let mut streams = swarm.behaviour().streams.new_control();
        let metadata =
            streams.accept(StreamProtocol::new(metadata::PROTOCOL)).expect("not accepted yet");
        let relayed =
            streams.accept(StreamProtocol::new(relay::PROTOCOL)).expect("not accepted yet");
        swarm.dial(address.clone()).expect("it dials");
        let (report, connected) = watch::channel(false);
        let tasks = vec![
            tokio::spawn(drive(swarm, report)),
            tokio::spawn(answer_for_metadata(metadata)),
            tokio::spawn(take_in(relayed, reads)),
        ];
        let Some(libp2p::multiaddr::Protocol::P2p(victim)) = address.iter().last() else {
            panic!("no peer id")
        };
        Self { name, streams, victim, connected, tasks }
    }

    /// A stream of a protocol; `None` if the victim does not want it.
    pub(crate) async fn open(&self, protocol: &'static str) -> Option<Stream> {
        let mut streams = self.streams.clone();
        let opened = streams.open_stream(self.victim, StreamProtocol::new(protocol));
        tokio::time::timeout(Duration::from_secs(10), opened).await.ok()?.ok()
    }

    /// The streams of a protocol that the victim opens.
    pub(crate) fn accept(&self, protocol: &'static str) -> mpsc::Receiver<Stream> {
        let mut incoming =
            self.streams.clone().accept(StreamProtocol::new(protocol)).expect("not accepted yet");
        let (give, streams) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some((_, stream)) = incoming.next().await {
                if give.send(stream).await.is_err() {
                    return;
                }
            }
        });
        streams
    }
}

fn swarm() -> Swarm<Protocols> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|key| Protocols {
            identify: identify::Behaviour::new(identify::Config::new(
                "ipfs/0.1.0".to_owned(),
                key.public(),
            )),
            ping: ping::Behaviour::default(),
            streams: libp2p_stream::Behaviour::new(),
        })
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build()
}

async fn drive(mut swarm: Swarm<Protocols>, connected: watch::Sender<bool>) {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::ConnectionEstablished { .. } => drop(connected.send_replace(true)),
            SwarmEvent::ConnectionClosed { .. } => drop(connected.send_replace(false)),
            _ => {}
        }
    }
}

async fn answer_for_metadata(mut incoming: libp2p_stream::IncomingStreams) {
    let own = WakuMetadata { cluster_id: Some(CLUSTER.into()), shards: vec![TOPIC.shard().into()] };
    let answer = framing::encode_frame(&own.encode());
    while let Some((_, mut stream)) = incoming.next().await {
        // It may have been sent away meanwhile.
        let _ = stream.write_all(&answer).await;
        let _ = stream.close().await;
    }
}

async fn take_in(mut incoming: libp2p_stream::IncomingStreams, reads: Reads) {
    let mut open = Vec::new();
    while let Some((_, mut stream)) = incoming.next().await {
        if reads == Reads::Nothing {
            open.push(stream);
            continue;
        }
        let mut bytes = vec![0; 64 * 1024];
        tokio::spawn(async move { while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {} });
    }
}
