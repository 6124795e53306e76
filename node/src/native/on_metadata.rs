//! Metadata: each new peer is asked for its cluster (66/WAKU2-METADATA).
//!
//! As nwaku does: a peer that names another cluster, none, or does not answer is disconnected. On
//! cluster 0 a peer that does not answer is kept: go-waku does not start the protocol there.

use libp2p::PeerId;
use libp2p::request_response::{Message as Exchange, OutboundFailure};
use waku_groupchat_waku::metadata::WakuMetadata;

use super::on_event::ExchangeEvent;
use super::recorder::Observed;
use super::task::Task;

/// Shards that are named to peers: nwaku reads 1024 bytes.
const MAX_SHARDS: usize = 256;

/// Why a peer is disconnected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("it is on cluster {0}")]
    OtherCluster(u32),
    #[error("it names no cluster")]
    NoCluster,
    #[error("its metadata is malformed")]
    Malformed,
    #[error("it does not answer for its metadata: {0}")]
    NoAnswer(String),
}

impl Task {
    /// Asks a peer that has just connected.
    pub(super) fn ask_metadata(&mut self, peer: &PeerId) {
        let own = self.own_metadata();
        self.swarm.behaviour_mut().metadata.send_request(peer, own);
    }

    fn own_metadata(&self) -> Vec<u8> {
        let mut shards = self.shards.clone();
        shards.extend(self.topics.iter().map(|topic| topic.shard()));
        let shards = shards.into_iter().take(MAX_SHARDS).map(u32::from).collect();
        WakuMetadata { cluster_id: Some(self.cluster.into()), shards }.encode()
    }

    pub(super) fn on_metadata(&mut self, event: ExchangeEvent) {
        match event {
            ExchangeEvent::Message { message: Exchange::Request { channel, .. }, .. } => {
                let own = self.own_metadata();
                // An error says that the peer no longer waits.
                let _ = self.swarm.behaviour_mut().metadata.send_response(channel, own);
            }
            ExchangeEvent::Message {
                peer, message: Exchange::Response { response, .. }, ..
            } => match judge(&response, self.cluster) {
                Ok(shards) => {
                    tracing::debug!(%peer, ?shards, "metadata");
                    self.peers.shards(&peer, shards);
                    self.static_peers.confirmed(&peer);
                }
                Err(unfit) => self.disconnect(peer, &unfit),
            },
            ExchangeEvent::OutboundFailure { peer, error, .. } => self.on_no_metadata(peer, &error),
            ExchangeEvent::InboundFailure { .. } | ExchangeEvent::ResponseSent { .. } => {}
        }
    }

    fn on_no_metadata(&mut self, peer: PeerId, error: &OutboundFailure) {
        if !self.swarm.is_connected(&peer) {
            return;
        }
        if self.cluster == 0 {
            tracing::info!(%peer, %error, "peer without metadata is kept on cluster 0");
            self.static_peers.confirmed(&peer);
        } else {
            self.disconnect(peer, &Unfit::NoAnswer(error.to_string()));
        }
    }

    fn disconnect(&mut self, peer: PeerId, reason: &Unfit) {
        tracing::info!(%peer, %reason, own_cluster = self.cluster, "disconnecting");
        self.recorder.record(Observed::MetadataFailed);
        // An error says that it has just gone.
        let _ = self.swarm.disconnect_peer_id(peer);
    }
}

/// The shards of a peer that is on the own cluster.
fn judge(response: &[u8], own_cluster: u16) -> Result<Vec<u16>, Unfit> {
    let metadata = WakuMetadata::decode(response).map_err(|_| Unfit::Malformed)?;
    match metadata.cluster_id {
        Some(cluster) if cluster == u32::from(own_cluster) => {}
        Some(other) => return Err(Unfit::OtherCluster(other)),
        None => return Err(Unfit::NoCluster),
    }
    let shards = metadata.shards.into_iter().filter_map(|shard| shard.try_into().ok());
    Ok(shards.take(MAX_SHARDS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_cluster_is_fit() {
        let answer = |cluster_id, shards: &[u32]| {
            judge(&WakuMetadata { cluster_id, shards: shards.to_vec() }.encode(), 3)
        };
        assert_eq!(answer(Some(3), &[0, 7, 70_000]), Ok(vec![0, 7]));
        assert_eq!(answer(Some(4), &[0]), Err(Unfit::OtherCluster(4)));
        assert_eq!(answer(Some(65_536 + 3), &[]), Err(Unfit::OtherCluster(65_539)));
        assert_eq!(answer(None, &[0]), Err(Unfit::NoCluster));
        assert_eq!(judge(&[0xff], 3), Err(Unfit::Malformed));
    }
}
