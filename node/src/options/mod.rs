//! The node's options: nwaku's names, the same in TOML, on the command line and in the environment.
//!
//! | place | form | list |
//! |---|---|---|
//! | command line | `--tcp-port=60000`, `--tcp-port 60000`; `--store` alone is `true` | given again |
//! | environment | `WAKU_GROUPCHAT_TCP_PORT=60000` | separated by commas |
//! | TOML file | `tcp-port = 60000`, flat keys | an array |
//!
//! The command line wins over the environment, which wins over the file, which wins over the
//! default; a list is taken whole from the place that wins. The chat's options stand in the table
//! `[group-chat]` of a file, and behind `group-chat-` elsewhere: `enabled` in the table is
//! `--group-chat-enabled`.
//!
//! All options are declared once, in `sections.rs`: from there come the structs below, the help
//! text ([`help`]), the sample file ([`sample`]) and the defaults. What stands in no section stops
//! the start with an [`OptionError`], one line that names place, key and reason; so do options of
//! nwaku's that are not carried out yet.
//!
//! ```
//! use waku_groupchat_node::options::Options;
//!
//! let arguments = ["--tcp-port=0", "--shard=0", "--num-shards-in-network", "8"];
//! let options = Options::load(arguments.map(Into::into), [])?;
//! assert_eq!(options.network.num_shards_in_network, 8);
//!
//! let error = Options::load(["--tcp-prt=0".into()], []).expect_err("no such option");
//! assert_eq!(error.to_string(), "command line: tcp-prt: there is no such option");
//! # Ok::<(), waku_groupchat_node::options::OptionError>(())
//! ```

mod error;
mod help;
mod sections;
mod settings;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod value;

use std::ffi::OsString;
use std::path::PathBuf;

use waku_groupchat_waku::PubsubTopic;

pub use error::{OptionError, Place, Reason};
pub use help::{help, sample};
pub use sections::{General, GroupChat, Logging, Metrics, Network, Relay, Rest, Store, Transport};
pub use types::{
    ArchiveUrl, LogFormat, LogLevel, MessageSize, OriginPattern, ParsePeerAddressError, PeerAddress,
};

use self::settings::Settings;
use self::source::{command_line, environment, file};
pub(crate) use self::value::Scalar;

/// All options of a node.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data directory and file.
    pub general: General,
    /// Cluster, shards, key, peers.
    pub network: Network,
    /// Addresses, ports, connections.
    pub transport: Transport,
    /// The relay.
    pub relay: Relay,
    /// The Store.
    pub store: Store,
    /// The HTTP API.
    pub rest: Rest,
    /// The metrics server.
    pub metrics: Metrics,
    /// The log.
    pub logging: Logging,
    /// The group chat.
    pub group_chat: GroupChat,
}

impl Options {
    /// Reads the options from the arguments after the subcommand, the environment, and the file
    /// that one of them names.
    ///
    /// # Errors
    ///
    /// [`OptionError`]: the first thing that is wrong, looking at the command line first, then the
    /// environment, the file, and what does not go together.
    pub fn load(
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, OptionError> {
        let mut settings = Settings::default();
        settings.add_below(command_line::read(arguments)?);
        settings.add_below(environment::read(environment)?);
        if let Some(path) = settings.value::<Option<PathBuf>>("config-file")? {
            let text = file::load(&path, |reason| settings.refuse("config-file", reason))?;
            settings.add_below(file::read(&path, &text)?);
        }
        Self::build(&settings)
    }

    fn build(settings: &Settings) -> Result<Self, OptionError> {
        let mut options = Self {
            general: General::build(settings)?,
            network: Network::build(settings)?,
            transport: Transport::build(settings)?,
            relay: Relay::build(settings)?,
            store: Store::build(settings)?,
            rest: Rest::build(settings)?,
            metrics: Metrics::build(settings)?,
            logging: Logging::build(settings)?,
            group_chat: GroupChat::build(settings)?,
        };
        options.check(settings)?;
        options.shift_ports(settings)?;
        Ok(options)
    }

    /// What no option shows alone.
    fn check(&self, settings: &Settings) -> Result<(), OptionError> {
        let shards = self.network.num_shards_in_network;
        if shards > 0 && self.network.shards.iter().any(|shard| *shard >= shards) {
            let why = "a shard is not below num-shards-in-network";
            return Err(settings.conflict(&["shard", "num-shards-in-network"], why));
        }
        if !self.transport.keep_alive {
            let why = "peers are always pinged: only true is taken";
            return Err(settings.conflict(&["keep-alive"], why));
        }
        if self.group_chat.enabled {
            self.check_group_chat(settings)?;
        }
        Ok(())
    }

    fn check_group_chat(&self, settings: &Settings) -> Result<(), OptionError> {
        if !self.relay.enabled {
            let why = "the group chat needs the relay: leave relay on, or set group-chat-enabled to \
                       false";
            return Err(settings.conflict(&["relay", "group-chat-enabled"], why));
        }
        if self.network.num_shards_in_network == 0 {
            let why = "the group chat finds its shard by autosharding: set num-shards-in-network \
                       to 1 or more, or group-chat-enabled to false";
            return Err(settings.conflict(&["num-shards-in-network", "group-chat-enabled"], why));
        }
        if self.relay.max_msg_size.bytes() < waku_groupchat_waku::relay::MAX_MESSAGE_SIZE {
            let why = "the group chat sends messages of up to 150KiB: leave max-msg-size at that \
                       or more, or set group-chat-enabled to false";
            return Err(settings.conflict(&["max-msg-size", "group-chat-enabled"], why));
        }
        if self.group_chat.key_file.is_some() && self.group_chat.passphrase_file.is_some() {
            let why = "the chat's database is under a key file or a passphrase, not both";
            let names = ["group-chat-key-file", "group-chat-passphrase-file"];
            return Err(settings.conflict(&names, why));
        }
        for (name, value) in [
            ("group-chat-topic-period", self.group_chat.topic_period),
            ("group-chat-gap-retry", self.group_chat.gap_retry),
            ("group-chat-publish-retry", self.group_chat.publish_retry),
        ] {
            if value.is_zero() {
                return Err(settings.conflict(&[name], "must be longer than nothing"));
            }
        }
        Ok(())
    }

    /// Adds `ports-shift` to every port but 0, which means any free one.
    fn shift_ports(&mut self, settings: &Settings) -> Result<(), OptionError> {
        let shift = self.transport.ports_shift;
        for port in [&mut self.transport.tcp_port, &mut self.rest.port, &mut self.metrics.port] {
            if *port == 0 {
                continue;
            }
            *port = port.checked_add(shift).ok_or_else(|| {
                let why = "a port plus ports-shift is over 65535";
                settings.conflict(&["ports-shift"], why)
            })?;
        }
        Ok(())
    }

    /// The pubsub topics to subscribe to at the start, without those of extensions. Empty without
    /// the relay.
    pub fn pubsub_topics(&self) -> Vec<PubsubTopic> {
        if !self.relay.enabled {
            return Vec::new();
        }
        let cluster = self.network.cluster_id;
        if self.network.shards.is_empty() {
            (0..self.network.num_shards_in_network)
                .map(|shard| PubsubTopic::new(cluster, shard))
                .collect()
        } else {
            self.network.shards.iter().map(|shard| PubsubTopic::new(cluster, *shard)).collect()
        }
    }

    /// The folder of the archive.
    pub fn archive_path(&self) -> PathBuf {
        match &self.store.db_url {
            Some(url) => url.path().clone(),
            None => self.general.data_dir.join("archive"),
        }
    }

    /// The folder of the chat's database.
    pub fn chat_path(&self) -> PathBuf {
        self.general.data_dir.join(crate::chat::DATABASE)
    }

    /// The file with the bearer token of the chat API.
    pub fn token_file(&self) -> PathBuf {
        match &self.group_chat.token_file {
            Some(path) => path.clone(),
            None => self.general.data_dir.join("api-token"),
        }
    }
}

impl Default for Options {
    /// What holds where nothing is set.
    fn default() -> Self {
        match Self::build(&Settings::default()) {
            Ok(options) => options,
            // The tests build them; nothing from outside enters.
            Err(error) => unreachable!("a default is refused: {error}"),
        }
    }
}

impl GroupChat {
    /// The chat core's configuration on the chat's pubsub topic.
    pub fn core_config(&self, pubsub_topic: PubsubTopic) -> waku_groupchat_core::api::Config {
        waku_groupchat_core::api::Config {
            topic_period: self.topic_period,
            gap_grace: self.gap_grace,
            gap_retry: self.gap_retry,
            gap_attempts: self.gap_attempts.get(),
            publish_retry: self.publish_retry,
            registration_period: self.registration_period,
            registration_delay: self.registration_delay,
            invitation_delay: self.invitation_delay,
            installation_delay: self.installation_delay,
            read_delay: self.read_delay,
            history: self.history,
            history_pause: self.history_pause,
            catch_up: self.catch_up,
            ..waku_groupchat_core::api::Config::new(pubsub_topic)
        }
    }
}
