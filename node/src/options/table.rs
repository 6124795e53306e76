//! The table of all options, and the macro that makes a section's struct and its rows at once.

use super::error::{OptionError, Place, Reason};
use super::sections::{
    General, GroupChat, Logging, Metrics, Network, Relay, Rest, Store, Transport,
};
use super::settings::Setting;
use super::value::Kind;

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec {
    /// Its name on the command line, without the dashes; unique.
    pub name: &'static str,
    /// The TOML table it stands in; empty for the top level.
    pub table: &'static str,
    /// Its key in that table.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The default, as on the command line; empty if it is not set by default.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
}

impl Spec {
    /// Its name in the environment: `WAKU_GROUPCHAT_` and the name in upper snake case.
    pub(crate) fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.replace('-', "_").to_ascii_uppercase())
    }

    /// The texts of its default.
    pub(crate) fn default_texts(&self) -> Vec<String> {
        if self.default.is_empty() { Vec::new() } else { vec![self.default.to_owned()] }
    }
}

/// What all variables of this project begin with.
pub(crate) const ENVIRONMENT_PREFIX: &str = "WAKU_GROUPCHAT_";

/// A group of options: its title and its rows.
pub(crate) struct Section {
    pub title: &'static str,
    pub specs: &'static [Spec],
}

/// All options that are carried out, in the order they are shown.
pub(crate) const SECTIONS: &[Section] = &[
    Section { title: "General", specs: General::SPECS },
    Section { title: "Network", specs: Network::SPECS },
    Section { title: "Transport", specs: Transport::SPECS },
    Section { title: "Relay", specs: Relay::SPECS },
    Section { title: "Store", specs: Store::SPECS },
    Section { title: "REST", specs: Rest::SPECS },
    Section { title: "Metrics", specs: Metrics::SPECS },
    Section { title: "Logging", specs: Logging::SPECS },
    Section { title: "Group chat", specs: GroupChat::SPECS },
];

/// All rows.
pub(crate) fn specs() -> impl Iterator<Item = &'static Spec> {
    SECTIONS.iter().flat_map(|section| section.specs)
}

/// nwaku's options that this node does not have yet (its `--help` of v0.37, and the names before
/// it). Beside these, every name that begins with `rln-relay`.
pub(crate) const NOT_CARRIED_OUT: &[&str] = &[
    "agent-string",
    "content-topic",
    "discv5-bits-per-hop",
    "discv5-bootstrap-node",
    "discv5-bucket-ip-limit",
    "discv5-discovery",
    "discv5-enr-auto-update",
    "discv5-table-ip-limit",
    "discv5-udp-port",
    "dns-addrs-name-server",
    "dns-discovery",
    "dns-discovery-url",
    "dns4-domain-name",
    "ext-multiaddr-only",
    "filter",
    "filter-max-criteria",
    "filter-max-peers-to-serve",
    "filter-subscription-timeout",
    "filternode",
    "legacy-store",
    "lightpush",
    "lightpushnode",
    "max-relay-peers",
    "metrics-logging",
    "mix",
    "mixkey",
    "nat",
    "peer-exchange",
    "peer-exchange-node",
    "peer-persistence",
    "peer-store-capacity",
    "preset",
    "protected-shard",
    "rate-limit",
    "relay-client",
    "relay-peer-exchange",
    "relay-service-ratio",
    "relay-shard-manager",
    "reliability",
    "rendezvous",
    "rest-admin",
    "store-max-num-db-connections",
    "store-message-db-migration",
    "store-message-db-vacuum",
    "store-resume",
    "store-sync",
    "store-sync-interval",
    "store-sync-range",
    "store-sync-relay-jitter",
    "websocket-port",
    "websocket-secure-cert-path",
    "websocket-secure-key-path",
    "websocket-secure-support",
    "websocket-support",
];

/// Whether this is a name of nwaku's that has no row yet.
pub(crate) fn is_not_carried_out(name: &str) -> bool {
    NOT_CARRIED_OUT.contains(&name) || name.starts_with("rln-relay")
}

/// The row with this name. `key` is what was written at `place`.
pub(crate) fn find(name: &str, key: &str, place: &Place) -> Result<&'static Spec, OptionError> {
    if let Some(spec) = specs().find(|spec| spec.name == name) {
        return Ok(spec);
    }
    let reason = if is_not_carried_out(name) {
        Reason::NotCarriedOut
    } else {
        let plain = name.replace(['_', '.'], "-").to_ascii_lowercase();
        let meant = specs().find(|spec| spec.name == plain);
        Reason::Unknown(meant.map(|spec| format!("did you mean {}?", spec.name)))
    };
    Err(OptionError { place: place.clone(), key: key.to_owned(), reason })
}

/// The error of a setting.
pub(crate) fn refuse(setting: &Setting, reason: Reason) -> OptionError {
    OptionError { place: setting.place.clone(), key: setting.key.clone(), reason }
}

/// Makes a section: the struct with its documented fields, and its rows in the table.
///
/// The first literal is the TOML table, empty for the top level; the second comes before the keys
/// on the command line; a field is `name: Type = "key", "default";`, where an empty default means
/// that it is not set.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $Section:ident in $table:literal as $prefix:literal {
            $($(#[doc = $doc:literal])+ $field:ident: $Type:ty = $key:literal, $default:literal;)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $Section {
            $(
                $(#[doc = $doc])+
                #[doc = concat!("\n\nKey `", $key, "`, default `", $default, "`.")]
                pub $field: $Type,
            )+
        }

        impl $Section {
            pub(crate) const SPECS: &'static [$crate::options::table::Spec] = &[$(
                $crate::options::table::Spec {
                    name: concat!($prefix, $key),
                    table: $table,
                    key: $key,
                    kind: <$Type as $crate::options::value::OptionValue>::KIND,
                    default: $default,
                    doc: concat!($($doc),+),
                },
            )+];

            pub(crate) fn build(
                settings: &$crate::options::settings::Settings,
            ) -> Result<Self, $crate::options::OptionError> {
                Ok(Self { $($field: settings.value(concat!($prefix, $key))?,)+ })
            }
        }
    };
}
pub(crate) use section;
