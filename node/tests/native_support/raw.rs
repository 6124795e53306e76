//! A peer made of libp2p alone: gossipsub under Waku's protocol id, identify, and bare streams.

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId, ValidationMode, Version,
};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use waku_groupchat_waku::{framing, gossip_message_id, relay};

use super::soon;

#[derive(NetworkBehaviour)]
struct Protocols {
    gossip: gossipsub::Behaviour,
    identify: identify::Behaviour,
    streams: libp2p_stream::Behaviour,
}

/// What happens at the peer.
#[derive(Debug)]
pub enum Seen {
    Listening(Multiaddr),
    Connected(PeerId),
    Disconnected(PeerId),
    DialFailed,
    Subscribed(PeerId),
    Message(Vec<u8>),
}

/// The peer, on a task of its own until it is dropped.
pub struct Raw {
    pub address: Multiaddr,
    pub seen: mpsc::Receiver<Seen>,
    publish: mpsc::Sender<Vec<u8>>,
    dial: mpsc::Sender<Multiaddr>,
    streams: libp2p_stream::Control,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Raw {
    /// Listens on loopback, subscribed to `topic`.
    pub async fn start(topic: impl ToString) -> Self {
        let mut swarm = swarm();
        let topic = IdentTopic::new(topic.to_string());
        swarm.behaviour_mut().gossip.subscribe(&topic).expect("subscribed");
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("an address")).expect("listens");
        let streams = swarm.behaviour().streams.new_control();
        let own = *swarm.local_peer_id();
        let (publish, to_publish) = mpsc::channel(16);
        let (dial, to_dial) = mpsc::channel(16);
        let (report, mut seen) = mpsc::channel(1024);
        let task = tokio::spawn(drive(swarm, topic, to_publish, to_dial, report));
        let Some(Seen::Listening(address)) = soon("listen address", seen.recv()).await else {
            panic!("something before the listen address")
        };
        let address = address.with_p2p(own).expect("an address without a peer id");
        Self { address, seen, publish, dial, streams, tasks: vec![task] }
    }

    pub async fn dial(&self, address: Multiaddr) {
        self.dial.send(address).await.expect("it runs");
    }

    /// Publishes bytes as they are on the peer's topic.
    pub async fn publish(&self, data: Vec<u8>) {
        self.publish.send(data).await.expect("it runs");
    }

    /// Waits for something to happen; what happens before it is passed over.
    pub async fn until(&mut self, what: &str, fits: impl Fn(&Seen) -> bool) -> Seen {
        soon(what, async {
            loop {
                let seen = self.seen.recv().await.expect("it runs");
                if fits(&seen) {
                    return seen;
                }
            }
        })
        .await
    }

    /// Reads one frame of each stream of a protocol, writes these bytes, and closes it if told so.
    pub fn answer(&mut self, protocol: &'static str, bytes: Vec<u8>, close: bool) {
        let mut incoming =
            self.streams.accept(StreamProtocol::new(protocol)).expect("not accepted yet");
        self.tasks.push(tokio::spawn(async move {
            let mut open = Vec::new();
            while let Some((_, mut stream)) = incoming.next().await {
                let mut request = vec![0; 64 * 1024];
                let mut read = 0;
                while framing::decode_frame(&request[..read], request.len()) == Ok(None) {
                    read += stream.read(&mut request[read..]).await.expect("a request");
                }
                stream.write_all(&bytes).await.expect("writes");
                stream.flush().await.expect("flushes");
                if close {
                    stream.close().await.expect("closes");
                } else {
                    open.push(stream);
                }
            }
        }));
    }
}

fn swarm() -> Swarm<Protocols> {
    let config = ConfigBuilder::default()
        .protocol_id(relay::PROTOCOL, Version::V1_1)
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message| MessageId::new(&gossip_message_id(&message.data)))
        .max_transmit_size(1024 * 1024)
        .build()
        .expect("parameters");
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("a transport")
        .with_behaviour(|key| Protocols {
            gossip: gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, config)
                .expect("gossipsub"),
            identify: identify::Behaviour::new(identify::Config::new(
                "ipfs/0.1.0".to_owned(),
                key.public(),
            )),
            streams: libp2p_stream::Behaviour::new(),
        })
        .expect("a behaviour")
        .build()
}

async fn drive(
    mut swarm: Swarm<Protocols>,
    topic: IdentTopic,
    mut to_publish: mpsc::Receiver<Vec<u8>>,
    mut to_dial: mpsc::Receiver<Multiaddr>,
    report: mpsc::Sender<Seen>,
) {
    loop {
        let event = tokio::select! {
            Some(data) = to_publish.recv() => {
                swarm.behaviour_mut().gossip.publish(topic.clone(), data).expect("published");
                continue;
            }
            Some(address) = to_dial.recv() => {
                swarm.dial(address).expect("dials");
                continue;
            }
            event = swarm.select_next_some() => event,
        };
        let seen = match event {
            SwarmEvent::NewListenAddr { address, .. } => Seen::Listening(address),
            SwarmEvent::ConnectionEstablished { peer_id, .. } => Seen::Connected(peer_id),
            SwarmEvent::ConnectionClosed { peer_id, num_established: 0, .. } => {
                Seen::Disconnected(peer_id)
            }
            SwarmEvent::OutgoingConnectionError { .. } => Seen::DialFailed,
            SwarmEvent::Behaviour(ProtocolsEvent::Gossip(event)) => match event {
                gossipsub::Event::Subscribed { peer_id, topic: of_peer }
                    if of_peer == topic.hash() =>
                {
                    Seen::Subscribed(peer_id)
                }
                gossipsub::Event::Message { message, .. } => Seen::Message(message.data),
                _ => continue,
            },
            _ => continue,
        };
        if report.send(seen).await.is_err() {
            return;
        }
    }
}
