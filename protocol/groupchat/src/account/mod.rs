//! Accounts: keys, contact card, account log, registration record, inbox, linking.
//!
//! Pure functions and values: time and randomness enter as arguments, nothing is kept besides what
//! a value holds. Byte layouts and vectors: `docs/spec/accounts.md`.
//!
//! | file | what |
//! |---|---|
//! | `keys` | phrase, root key, installation key, secrets |
//! | `card`, `text` | contact card; bech32m text |
//! | `entry`, `entry_body`, `log`, `live`, `history` | entries, the log as a set, who is live, who was |
//! | `day` | UTC days, inbox |
//! | `parts`, `record` | parcels in four parts; the registration record |
//! | `recovery` | the recovery record: what the phrase alone needs |
//! | `link_request`, `link_step`, `link_compare`, `link` | taking in a further installation |

mod card;
mod day;
mod entry;
mod entry_body;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod history;
mod keys;
mod link;
mod link_compare;
mod link_request;
mod link_step;
mod live;
mod log;
mod parts;
pub(crate) mod proto;
mod record;
mod recovery;
mod text;
#[cfg(test)]
mod vectors;

pub use card::{Card, CardError};
pub use day::{day_start, inbox_key, inbox_topic, utc_day};
pub use entry::{
    AddProposal, Author, ENTRY_BYTES, ENTRY_PARENTS, Entry, EntryBody, EntryError, EntryKind,
    MOST_LIVE, SigningKey,
};
pub use history::{Ended, History};
pub use keys::{
    InstallationKey, LinkSecret, PHRASE_WORDS, Phrase, PhraseError, RecoveryKey, RecoverySecret,
    RegistrationSecret, RootKey, Signature, is_public_key, verify,
};
pub use link::{
    AccountSecrets, Answered, Finished, LinkError, Linked, accept_done, answer_offer, finish,
    make_offer, make_request, may_offer, offered,
};
pub use link_compare::{
    CHECK_DIGITS, CheckDigits, CheckDigitsError, Compared, LinkOpening, make_commitment,
    make_nonce, make_reveal,
};
pub use link_request::{LINK_REQUEST_LIFE, LinkAssembler, LinkRequest, LinkRequestError, LinkStep};
pub use live::LiveInfo;
pub use log::{EntryRefused, Inserted, LOG_ENTRIES, LOG_WAITING, Log, LogError};
pub use parts::{CHUNK_BYTES, PARCEL_BYTES, PART_CLASS, PARTS, PartOutcome, PartRefused};
pub use record::{
    KEY_PACKAGE_BYTES, KeyPackages, Record, RecordAssembler, RecordError, RecordOutcome,
    record_topics, seal_record,
};
pub use recovery::{
    KNOWN_BYTES, RecoveryAssembler, RecoveryContent, RecoveryGroup, RecoveryOutcome,
    RecoveryRecord, recovery_topics, seal_recovery,
};
