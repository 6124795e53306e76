//! Looks after peers: reports changes, and dials static peers again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::debug;
use waku_groupchat_waku::PubsubTopic;

use super::client::{CallError, Client};
use super::config::StartError;
use super::engine::State;
use crate::engine::EngineEvent;

/// Pause after a dial. Each failure doubles it, up to [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// Longest pause between two dials of a static peer.
const MAX_RETRY: Duration = Duration::from_secs(30);

/// How long a dial may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Connected peers, by peer id. `None` until go-waku was asked for the first time.
pub(super) type Connected = Option<BTreeSet<String>>;

/// The peer id at the end of a static peer's address.
pub(super) fn peer_id(address: &Multiaddr) -> Result<PeerId, StartError> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Ok(peer),
        _ => Err(StartError::StaticPeer(address.clone())),
    }
}

/// Asks go-waku again and again for its peers, keeps `connected` up to date, and reports changes.
/// Ends with the program.
pub(super) async fn observe(
    client: Arc<Client>,
    state: Arc<State>,
    changed: Arc<Notify>,
    every: Duration,
    connected: watch::Sender<Connected>,
    events: mpsc::Sender<EngineEvent>,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = changed.notified() => {}
        }
        match look(&client, &state, &connected).await {
            Ok(relay_peers) => {
                if reported.as_ref() != Some(&relay_peers) {
                    reported = Some(relay_peers.clone());
                    let event = EngineEvent::Connectivity { relay_peers, store_peers: 0 };
                    // Without a receiver nobody wants events.
                    let _ = events.send(event).await;
                }
            }
            Err(CallError::Closed) => return,
            Err(error) => debug!(%error, "go-waku's peers are unknown"),
        }
    }
}

/// One look: who is connected, and for each topic whether a peer is subscribed, as 1 or 0, for the
/// bindings tell no more.
async fn look(
    client: &Client,
    state: &State,
    connected: &watch::Sender<Connected>,
) -> Result<Vec<(PubsubTopic, usize)>, CallError> {
    let peers = client.peers().await?;
    let now: BTreeSet<_> =
        peers.into_iter().filter(|peer| peer.connected).map(|peer| peer.peer_id).collect();
    connected.send_if_modified(|known| {
        let changed = known.as_ref() != Some(&now);
        *known = Some(now);
        changed
    });
    let mut relay_peers = Vec::new();
    for topic in state.topics() {
        relay_peers.push((topic, usize::from(client.ready(topic).await?)));
    }
    Ok(relay_peers)
}

/// Dials a static peer whenever it is not connected. Ends with the program.
pub(super) async fn keep_connected(
    client: Arc<Client>,
    address: Multiaddr,
    peer: PeerId,
    mut connected: watch::Receiver<Connected>,
) {
    let (address, peer) = (address.to_string(), peer.to_string());
    let missing =
        |connected: &Connected| connected.as_ref().is_some_and(|set| !set.contains(&peer));
    let mut pause = FIRST_RETRY;
    while connected.wait_for(missing).await.is_ok() {
        match client.connect(&address, DIAL_TIMEOUT).await {
            Ok(()) => pause = FIRST_RETRY,
            Err(CallError::Closed) => return,
            Err(error) => {
                debug!(%error, peer, ?pause, "a static peer cannot be reached");
                pause = (pause * 2).min(MAX_RETRY);
            }
        }
        // Also after success: the next look at the peers has to come first.
        sleep(pause).await;
    }
}
