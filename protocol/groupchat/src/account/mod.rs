//! Accounts: keys, contact card, account log, registration record, linking.
//!
//! Pure functions and values: time and randomness enter as arguments. Byte layouts and vectors:
//! `docs/spec/accounts.md`.

mod card;
mod entry;
mod entry_body;
mod keys;
mod live;
mod log;
mod proto;
mod text;

pub use card::{Card, CardError};
pub use entry::{
    AddProposal, Author, ENTRY_BYTES, ENTRY_PARENTS, Entry, EntryBody, EntryError, EntryKind,
    MOST_LIVE, SigningKey,
};
pub use keys::{
    InstallationKey, LinkSecret, PHRASE_WORDS, Phrase, PhraseError, RecoveryKey, RecoverySecret,
    RegistrationSecret, RootKey, Signature, is_public_key, verify,
};
pub use live::LiveInfo;
pub use log::{EntryRefused, Inserted, LOG_ENTRIES, LOG_WAITING, Log, LogError};
