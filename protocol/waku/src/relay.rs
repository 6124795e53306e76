//! Protocol id and limits of the relay (11/WAKU2-RELAY).

/// The protocol id: gossipsub 1.1 under Waku's name.
pub const PROTOCOL: &str = "/vac/waku/relay/2.0.0";

/// Most bytes of an encoded message that a relay takes, unless configured otherwise: 150 KiB.
pub const MAX_MESSAGE_SIZE: usize = 150 * 1024;
