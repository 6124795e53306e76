//! UTC days, the period of records and inboxes, and the inbox itself.

use waku_groupchat_waku::ContentTopic;

use super::keys::RegistrationSecret;
use crate::Timestamp;
use crate::kdf::{SealKey, derive_key, derive_topic, label};

const DAY_SECONDS: u64 = 86_400;

/// The UTC day of a point in time, counted from 1970-01-01.
pub const fn utc_day(time: Timestamp) -> u64 {
    time.as_secs() / DAY_SECONDS
}

/// When a UTC day begins.
pub const fn day_start(day: u64) -> Timestamp {
    Timestamp::from_secs(day.saturating_mul(DAY_SECONDS))
}

/// The topic of an account's inbox on a day.
pub fn inbox_topic(secret: &RegistrationSecret, day: u64) -> ContentTopic {
    derive_topic(secret.as_bytes(), label::INBOX_TOPIC, &day.to_be_bytes())
}

/// The key that seals what comes to an account's inbox on a day. Every holder of the card has it.
pub fn inbox_key(secret: &RegistrationSecret, day: u64) -> SealKey {
    derive_key(secret.as_bytes(), label::INBOX_KEY, &day.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_utc() {
        // 2026-01-01T00:00:00Z.
        let new_year = Timestamp::from_secs(1_767_225_600);
        assert_eq!(utc_day(new_year), 20_454);
        assert_eq!(day_start(20_454), new_year);
        assert_eq!(utc_day(Timestamp::from_nanos(new_year.as_nanos() - 1)), 20_453);
        assert_eq!(day_start(u64::MAX), Timestamp::from_nanos(u64::MAX));
    }

    #[test]
    fn inboxes_of_two_days_have_nothing_in_common() {
        let secret = RegistrationSecret::from_bytes([7; 32]);
        assert_ne!(inbox_topic(&secret, 1), inbox_topic(&secret, 2));
        assert_ne!(inbox_key(&secret, 1).as_bytes(), inbox_key(&secret, 2).as_bytes());
    }
}
