//! The TOML file of a node: nwaku's option names and the `[group-chat]` table.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::Serialize;
use waku_groupchat_waku::{ContentTopic, PubsubTopic, TopicError, autoshard};

/// The cluster of the run: nobody else's.
pub const CLUSTER: u16 = 66;
/// Shards of the cluster.
pub const SHARDS: u16 = 8;
/// File name of a node's API token in its data folder.
pub const TOKEN_FILE: &str = "chat-token";
/// How long a message may be late before it is reported missing.
pub const GAP_GRACE_SECS: u64 = 2;

/// One node's configuration.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeConfig {
    data_dir: PathBuf,
    cluster_id: u16,
    num_shards_in_network: u16,
    shard: Vec<u16>,
    listen_address: Ipv4Addr,
    tcp_port: u16,
    ip_colocation_limit: u32,
    staticnode: Vec<String>,
    store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    storenode: Option<String>,
    rest: bool,
    rest_address: Ipv4Addr,
    rest_port: u16,
    metrics_server: bool,
    metrics_server_port: u16,
    log_level: &'static str,
    log_format: &'static str,
    group_chat: GroupChat,
}

/// Short times, so that a run shows in a minute what otherwise takes an afternoon.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
enum GroupChat {
    #[serde(rename_all = "kebab-case")]
    Off { enabled: bool },
    #[serde(rename_all = "kebab-case")]
    On {
        enabled: bool,
        gap_grace: String,
        gap_retry: String,
        gap_attempts: u32,
        publish_retry: String,
        registration_delay: String,
        invitation_delay: String,
        token_file: PathBuf,
    },
}

/// Where a node listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// libp2p over TCP.
    pub tcp: u16,
    /// The HTTP API.
    pub rest: u16,
    /// `/metrics`.
    pub metrics: u16,
}

/// The pubsub topic of the extension's shard: all its content topics have one application and
/// version, so any of them gives it.
pub fn pubsub_topic() -> Result<PubsubTopic, TopicError> {
    let topic: ContentTopic = "/wgc/1/conversation/proto".parse()?;
    autoshard(CLUSTER, SHARDS, &topic)
}

impl NodeConfig {
    /// The store node, without chat.
    pub fn store(folder: &Path, ports: Ports, shard: u16) -> Self {
        let off = GroupChat::Off { enabled: false };
        Self { store: true, ..Self::base(folder, ports, shard, off) }
    }

    /// A chat node that asks the store node behind this address.
    pub fn chat(folder: &Path, ports: Ports, shard: u16, storenode: String) -> Self {
        let on = GroupChat::On {
            enabled: true,
            gap_grace: format!("{GAP_GRACE_SECS}s"),
            gap_retry: "1s".to_owned(),
            gap_attempts: 3,
            publish_retry: "3s".to_owned(),
            // Long enough that the second installation is linked before the first record leaves.
            registration_delay: "3s".to_owned(),
            invitation_delay: "1s".to_owned(),
            token_file: folder.join(TOKEN_FILE),
        };
        Self { storenode: Some(storenode), ..Self::base(folder, ports, shard, on) }
    }

    /// Peers to dial: `/ip4/…/tcp/…/p2p/…`.
    #[must_use]
    pub fn with_static_nodes(self, staticnode: Vec<String>) -> Self {
        Self { staticnode, ..self }
    }

    /// Writes it as TOML.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        Ok(std::fs::write(file, toml::to_string(self)?)?)
    }

    fn base(folder: &Path, ports: Ports, shard: u16, group_chat: GroupChat) -> Self {
        Self {
            data_dir: folder.join("data"),
            cluster_id: CLUSTER,
            num_shards_in_network: SHARDS,
            shard: vec![shard],
            listen_address: Ipv4Addr::LOCALHOST,
            tcp_port: ports.tcp,
            // All nodes of the run share one address.
            ip_colocation_limit: 0,
            staticnode: Vec::new(),
            store: false,
            storenode: None,
            rest: true,
            rest_address: Ipv4Addr::LOCALHOST,
            rest_port: ports.rest,
            metrics_server: true,
            metrics_server_port: ports.metrics,
            log_level: "INFO",
            log_format: "JSON",
            group_chat,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_nwakus_names() {
        let ports = Ports { tcp: 20_000, rest: 20_001, metrics: 20_002 };
        let config = NodeConfig::chat(Path::new("/r/a"), ports, 3, "/ip4/x".to_owned())
            .with_static_nodes(vec!["/ip4/y".to_owned()]);
        let text = toml::to_string(&config).expect("TOML");
        for line in [
            "cluster-id = 66",
            "shard = [3]",
            "staticnode = [\"/ip4/y\"]",
            "storenode = \"/ip4/x\"",
            "tcp-port = 20000",
            "[group-chat]",
            "gap-grace = \"2s\"",
            "token-file = \"/r/a/chat-token\"",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        let store = NodeConfig::store(Path::new("/r/s"), ports, 3);
        let text = toml::to_string(&store).expect("TOML");
        assert!(text.contains("store = true") && text.contains("enabled = false"));
        assert!(!text.contains("storenode") && !text.contains("token-file"));
    }
}
