//! The sections: one struct each, from which the table, the documentation and the defaults come.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use libp2p::Multiaddr;
use waku_groupchat_storage::RetentionPolicy;

use super::table::section;
use super::types::{ArchiveUrl, LogFormat, LogLevel, MessageSize, OriginPattern, PeerAddress};
use crate::native::NodeKey;

section! {
    /// Where the node keeps things and reads its options.
    General in "" as "" {
        /// A TOML file with options. Command line and environment win over it.
        config_file: Option<PathBuf> = "config-file", "";
        /// The folder for the node key, the archive, the chat and the API token; made on the first
        /// start, for its owner only.
        data_dir: PathBuf = "data-dir", "waku-groupchat-data";
    }
}

section! {
    /// Which network the node is in.
    Network in "" as "" {
        /// The cluster; peers of other clusters are disconnected.
        cluster_id: u16 = "cluster-id", "0";
        /// Number of shards in the cluster, for autosharding; 0 for static sharding only.
        num_shards_in_network: u16 = "num-shards-in-network", "1";
        /// Shards to subscribe to. If none is given: all shards with autosharding, none without.
        /// The group chat's shard is always subscribed to.
        shards: Vec<u16> = "shard", "";
        /// Secp256k1 key of the node as 64 hex digits. If it is not set, one is made on the first
        /// start and kept in the data directory, which is the better place for it.
        nodekey: Option<NodeKey> = "nodekey", "";
        /// Peers to stay connected to; lost ones are dialled again.
        static_nodes: Vec<PeerAddress> = "staticnode", "";
    }
}

section! {
    /// Addresses, ports and connections.
    Transport in "" as "" {
        /// Address to listen on.
        listen_address: IpAddr = "listen-address", "0.0.0.0";
        /// TCP port to listen on; 0 for any free one.
        tcp_port: u16 = "tcp-port", "60000";
        /// Added to every port but 0.
        ports_shift: u16 = "ports-shift", "0";
        /// Further addresses to tell peers, for instance those behind a NAT.
        ext_multiaddr: Vec<Multiaddr> = "ext-multiaddr", "";
        /// Connections at most.
        max_connections: NonZeroU32 = "max-connections", "50";
        /// Peers from one IP address at most; 0 for no limit.
        ip_colocation_limit: u32 = "ip-colocation-limit", "5";
        /// Ping peers so that connections stay open and dead ones are noticed. Always so: only `true`
        /// is taken.
        keep_alive: bool = "keep-alive", "true";
    }
}

section! {
    /// The relay.
    Relay in "" as "" {
        /// Take part in the relay. Without it the node only asks and serves the Store.
        enabled: bool = "relay", "true";
        /// Largest message after encoding; larger ones are neither sent nor passed on.
        max_msg_size: MessageSize = "max-msg-size", "150KiB";
        /// New messages taken a second from all peers together, and 4 KiB of traffic for each. A
        /// peer that sends more than its share is read from more slowly; 0 for no limit.
        intake: u32 = "relay-intake", "10000";
    }
}

section! {
    /// The Store, version 3.
    Store in "" as "" {
        /// Keep messages and serve them to peers.
        enabled: bool = "store", "false";
        /// A peer whose Store is asked; dialled and kept like a static peer.
        node: Option<PeerAddress> = "storenode", "";
        /// Where the archive is. If it is not set: `archive` in the data directory.
        db_url: Option<ArchiveUrl> = "store-message-db-url", "";
        /// What the archive keeps: `none` for everything, or bounds by age in seconds, number of
        /// messages and size, for instance `time:172800;capacity:1000000;size:30GB`.
        retention: RetentionPolicy = "store-message-retention-policy", "time:172800";
    }
}

section! {
    /// The HTTP API.
    Rest in "" as "" {
        /// Serve HTTP.
        enabled: bool = "rest", "true";
        /// Address to listen on. The chat API wants its token on any address; the others are open
        /// to whoever reaches them.
        address: IpAddr = "rest-address", "127.0.0.1";
        /// Port to listen on; 0 for any free one.
        port: u16 = "rest-port", "8645";
        /// Origins that may use the API from a browser. `*` stands for any characters, `?` for one
        /// or none; without `http://` or `https://` both are meant.
        allow_origin: Vec<OriginPattern> = "rest-allow-origin", "";
        /// Messages kept a topic until they are read over REST; when it is full, the oldest goes
        /// and is counted.
        relay_cache_capacity: NonZeroU32 = "rest-relay-cache-capacity", "50";
    }
}

section! {
    /// The metrics server.
    Metrics in "" as "" {
        /// Serve `/metrics` for Prometheus.
        enabled: bool = "metrics-server", "false";
        /// Address to listen on.
        address: IpAddr = "metrics-server-address", "127.0.0.1";
        /// Port to listen on; 0 for any free one.
        port: u16 = "metrics-server-port", "8008";
    }
}

section! {
    /// The log, on standard output.
    Logging in "" as "" {
        /// The least grave level that is logged.
        level: LogLevel = "log-level", "INFO";
        /// `TEXT` for people, `JSON` for one object a line.
        format: LogFormat = "log-format", "TEXT";
    }
}

section! {
    /// The group chat. On the command line, each key follows `group-chat-`:
    /// `--group-chat-enabled=false`.
    GroupChat in "group-chat" as "group-chat-" {
        /// Run the group chat in this node.
        enabled: bool = "enabled", "true";
        /// How long a group keeps a topic before it moves to the next. All members need the same.
        topic_period: Duration = "topic-period", "1h";
        /// How long a message may be late before it is reported missing.
        gap_grace: Duration = "gap-grace", "10s";
        /// First delay before archives are asked again for a gap; doubles up to 64 times that.
        gap_retry: Duration = "gap-retry", "10s";
        /// How often archives that answered are asked before a gap is unavailable.
        gap_attempts: NonZeroU32 = "gap-attempts", "3";
        /// First delay before an unconfirmed message is looked for in a Store, and else published
        /// again; doubles up to 64 times that.
        publish_retry: Duration = "publish-retry", "15s";
        /// Length of a registration period; all accounts that talk to each other need the same.
        registration_period: Duration = "registration-period", "1d";
        /// The first registration record leaves at a random time within this after the account was
        /// made, the next ones once in each period.
        registration_delay: Duration = "registration-delay", "30m";
        /// Invitations leave at a random time within this.
        invitation_delay: Duration = "invitation-delay", "30s";
        /// A new installation of the account is brought into each of its groups at a random time
        /// within this; if who took it in does not, by others within as long again.
        installation_delay: Duration = "installation-delay", "10m";
        /// What was read is told to the account's other installations, all at once, after half of
        /// this and a random part of it.
        read_delay: Duration = "read-delay", "1m";
        /// Ask the account's other installations for the messages of before, when this one is new.
        history: bool = "history", "true";
        /// Between two questions for such messages there is half of this and a random part of it.
        history_pause: Duration = "history-pause", "15s";
        /// How often store peers are asked for everything since the last time.
        catch_up: Duration = "catch-up", "5m";
        /// Commands that wait for the chat at most; what is over is answered with 429 or 503.
        queue_capacity: NonZeroUsize = "queue-capacity", "256";
        /// A file with 32 to 4096 random bytes, for its owner only, under which the chat's database is
        /// encrypted; keep a copy elsewhere. Encrypt one that is there with `waku-groupchat chat-key
        /// set`.
        key_file: Option<PathBuf> = "key-file", "";
        /// A file with the passphrase under which the chat's database is encrypted, for its owner
        /// only. The passphrase itself can stand in WAKU_GROUPCHAT_GROUP_CHAT_PASSPHRASE, or is
        /// asked for at the terminal.
        passphrase_file: Option<PathBuf> = "passphrase-file", "";
        /// The file with the bearer token of the chat API, made on the first start. If it is not
        /// set: `api-token` in the data directory.
        token_file: Option<PathBuf> = "token-file", "";
    }
}
