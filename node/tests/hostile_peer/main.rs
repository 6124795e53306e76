//! A node under attack: what peers that flood, stall, or send what is too large and never ends cost
//! it in memory, and whether others are still served.
//!
//! The node is a process of its own ([`victim`]); its memory is what the system says of it. Two
//! honest peers know each other through it alone, and one sends to the other all the while.

mod attacker;
mod bare;
mod floods;
#[path = "../native_support/mod.rs"]
mod native_support;
mod stalls;
mod stores;
mod victim;

use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use native_support::{Node, TOPIC, config, message, soon};
use tokio::task::JoinHandle;
use victim::Victim;
use waku_groupchat_node::engine::{Engine, PublishError};
use waku_groupchat_node::native::{NativeConfig, NativeEngine};
use waku_groupchat_waku::MessageHash;

/// How long an attack lasts at least.
const ATTACK: Duration = Duration::from_secs(3);

/// Pause between two messages of the honest peers.
const PACE: Duration = Duration::from_millis(100);

/// Two peers that are connected to the victim, and not to each other.
struct Honest {
    sender: Arc<NativeEngine>,
    receiver: Node,
    sent: i64,
}

impl Honest {
    /// Connects both, and sees a first message through.
    async fn meet(victim: &Victim) -> Self {
        let peers = [victim.address.clone()];
        let (mut sender, mut receiver) = (Self::peer(&peers).await, Self::peer(&peers).await);
        sender.until("the victim", |peers, _| peers == 1).await;
        receiver.until("the victim", |peers, _| peers == 1).await;
        // What comes to the sender is taken as well: a node whose events nobody reads stands still.
        let Node { engine: sender, mut events, .. } = sender;
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        let mut honest = Self { sender, receiver, sent: 0 };
        // The first ones are lost where the victim has not heard yet what the receiver is subscribed
        // to.
        let mut pace = tokio::time::interval(PACE);
        let heard = async {
            loop {
                tokio::select! {
                    _ = pace.tick() => drop(honest.send().await),
                    _ = honest.receiver.message() => break,
                }
            }
        };
        soon("a first message", heard).await;
        honest
    }

    /// Takes whatever the victim passes on, as fast as it can: what is measured is the victim.
    async fn peer(victim: &[Multiaddr]) -> Node {
        let config = NativeConfig { intake: 0, ..config(victim) };
        let node = Node::start(config, None).await;
        node.engine.subscribe(TOPIC).await.expect("subscribed");
        node
    }

    async fn send(&mut self) -> MessageHash {
        self.sent += 1;
        loop {
            match self.sender.publish(TOPIC, message(self.sent)).await {
                Ok(published) => break published.hash,
                // The victim's subscription is on its way.
                Err(PublishError::NoPeers(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("not published: {error}"),
            }
        }
    }

    /// One message from the one to the other; how long it took.
    async fn talk(&mut self) -> Duration {
        let start = Instant::now();
        let hash = self.send().await;
        let receiver = &mut self.receiver;
        soon("an honest message", async { while receiver.message().await.0 != hash {} }).await;
        start.elapsed()
    }

    /// Talks while the attack lasts, at least [`ATTACK`]. The longest that a message took.
    async fn talk_through(&mut self, mut attack: Vec<JoinHandle<()>>) -> Duration {
        let (start, mut longest) = (Instant::now(), Duration::ZERO);
        let mut pace = tokio::time::interval(PACE);
        while start.elapsed() < ATTACK {
            pace.tick().await;
            longest = longest.max(self.talk().await);
        }
        attack.drain(..).for_each(|task| task.abort());
        longest
    }
}

/// Says what an attack cost, and holds it against the bound: MiB above what the node had before.
fn check(victim: &Victim, before: u64, bound: u64, longest: Duration) {
    let (now, most) = victim.memory();
    println!(
        "{before} MiB before, {most} at most, {now} now; a message took {longest:.1?} at most"
    );
    assert!(
        most <= before + bound,
        "{most} MiB, {before} before the attack; allowed: {bound} more"
    );
}
