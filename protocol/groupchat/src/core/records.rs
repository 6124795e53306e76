//! What the core keeps in the store, and under which keys.
//!
//! | key | value |
//! |---|---|
//! | `schema` | the version of all this: [`super::schema`] |
//! | `copied` | [`super::copied::CopiedRecord`] |
//! | `guard` | [`super::strangers::GuardRecord`] |
//! | `account` | [`AccountRecord`] |
//! | `linking` | [`LinkRecord`] |
//! | `own/label/` installation, `own/mark/` group, `own/read/` group | [`super::own_group`]: what own installations share |
//! | `package/` 16 bytes of the hash of a key package | an own key package that was replaced: [`super::packages`] |
//! | `renewal` | when the newest own key package is replaced |
//! | `cards` | [`super::cards::CardsRecord`]: own cards before the one that counts |
//! | `contact/` account | [`CardRecord`]: a card that was given here |
//! | `return/` group | [`super::recovery::ReturnRecord`]: where a recovered installation asks to be let in |
//! | `known/` account | its log's entries, where somebody in a group here departed |
//! | `clock` | [`ClockRecord`] |
//! | `group/` group | [`GroupRecord`] |
//! | `state/` group state | [`StateRecord`] |
//! | `commit/` group state | the content of the handshake that led there |
//! | `leaf/` group installation | [`LeafRecord`]: who is in the oldest kept state |
//! | `entry/` group, hash | an account log entry that proves somebody in it |
//! | `change/` group sequence | [`ChangeRecord`] |
//! | `past/` group time, 8 bytes of the hash | [`PastWish`] |
//! | `rejoin/` group name | [`RejoinRecord`]: a state from which a member can come back |
//! | `chain/` group name | the content of the handshake that led to such a state |
//! | `asking/` group | [`AskRecord`] |
//! | `heard/` group installation | [`HeardRecord`] |
//! | `split/` group name | [`SplitRecord`]: two sides that went on apart from a state |
//! | `welcome/` group state | [`WelcomeRecord`]: for the member whose leaf an own commit swaps |
//! | `inviter/` group | [`InviterRecord`] |
//! | `repeat/` group state | [`RepeatRecord`]: invitations that wait for an answer |
//! | `shared/` group state | the shared part of these |
//! | `again/` group | [`AgainRecord`]: an invitation to a group that was known before |
//! | `sealed/` group state number | nothing: an own message that was sealed under it |
//! | `send/` group | [`SendRecord`] |
//! | `sender/` group installation | [`SenderRecord`] |
//! | `gap/` group installation number | [`GapRecord`] |
//! | `handed/` group installation | [`super::handover::PastRecord`]: what was handed over of before the join |
//! | `handover` | [`super::handover::HandoverRecord`] |
//! | `message/` group time installation number | [`MessageRecord`] |
//! | `place/` group installation number | the time in the message's key |
//! | `seen/` group, 16 bytes of the hash of MLS bytes | when they came |
//! | `made/` group, 16 bytes of the hash of own MLS bytes | the [`StateId`] they were made in |
//! | `out/` sequence | [`OutgoingRecord`] |
//! | `intent/` group account | [`IntentRecord`] |
//! | `awaited/` topic, 16 bytes of the hash of the own secrets | [`AwaitedRecord`] |
//! | `declined/` group | nothing: no invitation to it is taken (from before `answered/`) |
//! | `answered/` group, 16 bytes of the hash of the Welcome | when it was accepted or declined |
//! | `handled/` topic | when the shared part of an invitation was judged |
//! | `event/` cursor | JSON of an [`crate::api::EventRecord`] |
//! | `mls/` … | OpenMLS ([`crate::mls`]) |
//!
//! Values are postcard, but for events. Numbers in keys are big-endian, so that scans ascend.

mod group;
mod rejoin;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use waku_groupchat_waku::MessageHash;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub(crate) use self::group::{
    Change, ChangeRecord, GroupRecord, LeafRecord, PastWish, PendingCommit, StateKeys, StateRecord,
    Wish,
};
pub(crate) use self::rejoin::{
    AgainRecord, AskRecord, AskedPackage, HeardRecord, InviterRecord, RejoinRecord, RepeatRecord,
    SplitRecord, StateName, WaitingEnvelope, WelcomeRecord,
};
use super::agreed::Agreed;
use crate::account::{Card, InstallationKey, RecoverySecret, RegistrationSecret};
use crate::api::views::{GapState, SendState, TryView};
use crate::group::frontier::Said;
use crate::group::tracker::Tracker;
use crate::mls::StateId;
use crate::segment::WholeName;
use crate::store::{Overlay, StoreError};
use crate::{AccountId, CoreHash, GroupId, InstallationId, MessageId, Timestamp};

/// 32 secret bytes: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Secret32(pub(crate) [u8; 32]);

impl std::fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret32(..)")
    }
}

/// The installation's key at rest: its 32-byte seed.
#[derive(Clone, Debug)]
pub(crate) struct KeptKey(pub(crate) InstallationKey);

impl Serialize for KeptKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.0.to_bytes().serialize(s)
    }
}

impl<'de> Deserialize<'de> for KeptKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let seed = Secret32::deserialize(d)?;
        Ok(Self(InstallationKey::from_bytes(&seed.0)))
    }
}

/// The own account, as this installation is part of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    pub(crate) account: AccountId,
    pub(crate) installation: InstallationId,
    pub(crate) installation_key: KeptKey,
    pub(crate) registration_secret: Secret32,
    pub(crate) recovery_secret: Secret32,
    /// HPKE public key that the phrase opens.
    pub(crate) recovery_key: [u8; 32],
    /// Encoded log entries.
    pub(crate) log: Vec<Vec<u8>>,
    /// The newest key package of each live installation that is known here.
    pub(crate) key_packages: Vec<(InstallationId, Vec<u8>)>,
    /// Whether `register_at` is when a record leaves. Else a period begins then, and it is decided
    /// when this installation's turn is.
    pub(crate) turn_known: bool,
    /// See `turn_known`.
    pub(crate) register_at: Timestamp,
    /// The newest period whose record the network took.
    pub(crate) registered: Option<u64>,
}

impl AccountRecord {
    pub(crate) fn registration(&self) -> RegistrationSecret {
        RegistrationSecret::from_bytes(self.registration_secret.0)
    }

    pub(crate) fn card(&self) -> Card {
        Card {
            account: self.account,
            registration: self.registration(),
            recovery: RecoverySecret::from_bytes(self.recovery_secret.0),
        }
    }

    pub(crate) fn key(&self) -> InstallationKey {
        self.installation_key.0.clone()
    }
}

/// How far the filling of downtime got.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ClockRecord {
    /// Everything up to here was asked of a Store.
    pub(crate) caught_up: Timestamp,
    /// Whether a Store was ever connected: then own publishes wait until one has them.
    pub(crate) store_seen: bool,
}

/// A linking that is under way, on either side.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct LinkRecord {
    /// The request's text. It holds a secret.
    pub(crate) request: String,
    pub(crate) side: LinkSide,
    /// Bytes of the steps so far, from the first.
    pub(crate) steps: Vec<Vec<u8>>,
    /// A person here has compared the digits.
    pub(crate) confirmed: bool,
    /// Given up after this.
    pub(crate) expires: Timestamp,
}

/// What each side of a linking keeps for itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum LinkSide {
    /// It asks: its key, and its first key package once it answered.
    New { key: Secret32, package: Option<Vec<u8>> },
    /// It accepts: the random bytes that it committed to.
    Existing { random: Secret32 },
}

impl std::fmt::Debug for LinkRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkRecord(until {})", self.expires)
    }
}

/// What goes out once the commit that adds the accounts is applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingInvitations {
    pub(crate) content_key: Secret32,
    pub(crate) shared: Vec<u8>,
    pub(crate) envelopes: Vec<PendingEnvelope>,
}

/// One account's envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PendingEnvelope {
    pub(crate) account: AccountId,
    pub(crate) registration_secret: Secret32,
    /// Key package and EncryptedGroupSecrets of each of its installations.
    pub(crate) slots: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an invited installation holds until it answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvitationRecord {
    pub(crate) from: AccountId,
    pub(crate) agreed: Agreed,
    pub(crate) members: Vec<(InstallationId, AccountId)>,
    /// Every account log entry attached on the path.
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) welcome: Vec<u8>,
    pub(crate) tree: Vec<u8>,
    /// When the shared part was made: nothing of the state that it leads to is older.
    pub(crate) at: Timestamp,
}

/// The shared part of an invitation whose envelope came.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AwaitedRecord {
    pub(crate) content_key: Secret32,
    /// Own EncryptedGroupSecrets of the Welcome.
    pub(crate) group_secrets: Vec<u8>,
    /// When the shared part was made.
    pub(crate) at: Timestamp,
    /// When the envelope came.
    pub(crate) came: Timestamp,
    /// Name of the whole, where the shared part travels in segments.
    pub(crate) whole: Option<WholeName>,
}

/// The own side of a group's numbers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct SendRecord {
    /// The last number given; 0 before the first.
    pub(crate) number: u64,
    pub(crate) previous: Option<(CoreHash, u64)>,
    /// Another account holds everything up to this number.
    pub(crate) acknowledged: u64,
    pub(crate) said: Said,
    /// The highest precise time read or written here.
    pub(crate) time: Timestamp,
}

/// Another sender of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SenderRecord {
    pub(crate) account: AccountId,
    pub(crate) tracker: Tracker,
    /// Precise time of the newest message read.
    pub(crate) last_time: Timestamp,
}

/// How a gap is known, and at which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum GapEvidence {
    Proven { by_number: u64 },
    Claimed { by: InstallationId, at: Timestamp },
}

/// A number that is known to exist and was not here when it was noticed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GapRecord {
    pub(crate) account: AccountId,
    pub(crate) evidence: GapEvidence,
    pub(crate) noticed: Timestamp,
    /// Its Waku timestamp is not before this.
    pub(crate) from: Timestamp,
    /// `None` during the grace: noticed, not reported.
    pub(crate) state: Option<GapState>,
    /// When something is to be done; `None` once there is nothing more to do.
    pub(crate) due: Option<Timestamp>,
    /// How often archives answered.
    pub(crate) answered: u32,
    /// When one last did.
    pub(crate) answered_at: Timestamp,
    /// How often archives were asked.
    pub(crate) asked: u32,
    pub(crate) tried: Vec<TryView>,
}

/// [`SendState`] at rest, and of messages that came by another way than the group's who handed them
/// over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sending {
    Queued,
    Published(u32),
    Stored,
    Acknowledged,
    /// Not sent here: another installation of the account handed it over.
    HandedOver(InstallationId),
}

impl Sending {
    /// How far an own message got.
    pub(crate) fn state(self) -> Option<SendState> {
        match self {
            Self::Queued => Some(SendState::Queued),
            Self::Published(peers) => Some(SendState::Published { peers: peers as usize }),
            Self::Stored => Some(SendState::Stored),
            Self::Acknowledged => Some(SendState::Acknowledged),
            Self::HandedOver(_) => None,
        }
    }

    /// Who handed the message over.
    pub(crate) fn handed_by(self) -> Option<InstallationId> {
        match self {
            Self::HandedOver(by) => Some(by),
            _ => None,
        }
    }
}

/// A message that can be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct MessageRecord {
    pub(crate) account: AccountId,
    pub(crate) core: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) waku_hash: MessageHash,
    pub(crate) sending: Option<Sending>,
}

/// What kind of thing waits to be published, and how to seal it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum OutgoingKind {
    Message {
        id: MessageId,
        state: StateId,
    },
    Commit {
        group: GroupId,
        state: StateId,
    },
    InvitationShared {
        group: GroupId,
        content_key: Secret32,
    },
    InvitationEnvelope {
        group: GroupId,
        account: AccountId,
        registration_secret: Secret32,
    },
    /// One part of a period's record; the content is the whole record.
    Registration {
        period: u64,
        part: u8,
    },
    /// A step of linking; the content is the sealed message.
    Link,
    /// Something between installations; handed out once.
    Note {
        group: GroupId,
        state: StateId,
        repair: bool,
    },
    /// A commit again, for who missed it; handed out once.
    CommitAgain {
        group: GroupId,
        state: StateId,
    },
    /// To or from a member that cannot follow from this state on.
    Rejoin {
        group: GroupId,
        name: StateName,
    },
    /// One part of a period's recovery record; the content is the whole record.
    Recovery {
        period: u64,
        part: u8,
    },
    /// Messages of before, between the account's installations; handed out once.
    History {
        group: GroupId,
        state: StateId,
    },
}

impl OutgoingKind {
    /// Whether it is handed out once, whatever becomes of it.
    pub(crate) fn is_said_once(&self) -> bool {
        matches!(self, Self::Note { .. } | Self::CommitAgain { .. } | Self::History { .. })
    }
}

/// How far a queue entry got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OutgoingState {
    /// Nobody took it yet.
    Waiting,
    /// Relay peers took it; a Store is asked for it when it is due.
    Published,
}

/// Something to publish until it is confirmed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OutgoingRecord {
    pub(crate) kind: OutgoingKind,
    /// What is sealed; for what is sealed already, the encoded Waku message.
    pub(crate) content: Vec<u8>,
    pub(crate) state: OutgoingState,
    pub(crate) due: Timestamp,
    /// How often it was handed to the driver.
    pub(crate) attempts: u32,
    /// How often in a row it failed or was not found.
    pub(crate) failures: u32,
    /// Hashes and Waku timestamps of what was handed out.
    pub(crate) sent: Vec<(MessageHash, Timestamp)>,
    /// Where this is one segment of something longer.
    pub(crate) part: Option<PartRecord>,
}

/// An entry's place among those that carry one thing in segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartRecord {
    /// Sequence of the first; the others follow it.
    pub(crate) first: u64,
    pub(crate) count: u64,
    /// Whether relay peers ever took this one.
    pub(crate) taken: bool,
}

/// An account that somebody here wants in a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IntentRecord {
    pub(crate) card: CardRecord,
    /// When archives are asked again for its record.
    pub(crate) due: Timestamp,
    pub(crate) asked: u32,
    /// Its log entries and key packages, once found.
    pub(crate) found: Option<FoundAccount>,
    /// The state whose commit adds it; made again if that does not stand.
    pub(crate) done: Option<StateId>,
    /// When a commit is tried again.
    pub(crate) retry: Timestamp,
}

/// A contact card at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CardRecord {
    pub(crate) account: AccountId,
    pub(crate) registration_secret: Secret32,
    pub(crate) recovery_secret: Secret32,
}

impl CardRecord {
    pub(crate) fn card(&self) -> Card {
        Card {
            account: self.account,
            registration: RegistrationSecret::from_bytes(self.registration_secret.0),
            recovery: RecoverySecret::from_bytes(self.recovery_secret.0),
        }
    }
}

impl From<&Card> for CardRecord {
    fn from(card: &Card) -> Self {
        Self {
            account: card.account,
            registration_secret: Secret32(*card.registration.as_bytes()),
            recovery_secret: Secret32(*card.recovery.as_bytes()),
        }
    }
}

/// What a registration record gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FoundAccount {
    /// The registration period of the record: the newest one counts.
    pub(crate) period: u64,
    pub(crate) log: Vec<Vec<u8>>,
    pub(crate) key_packages: Vec<(InstallationId, Vec<u8>)>,
}

/// A key: a prefix and fixed-size parts.
pub(crate) fn key(prefix: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 80);
    key.extend_from_slice(prefix.as_bytes());
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// Reads a value; one that does not decode is a fault of the store, never of input.
pub(crate) fn read<T: DeserializeOwned>(
    overlay: &Overlay<'_>,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    overlay.get(key)?.map(|bytes| decode(&bytes)).transpose()
}

/// Writes a value.
pub(crate) fn write<T: Serialize>(
    overlay: &Overlay<'_>,
    key: Vec<u8>,
    value: &T,
) -> Result<(), StoreError> {
    overlay.put(key, encode(value)?);
    Ok(())
}

/// Encodes a value.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(|e| StoreError::new("encoding a record of the core", e))
}

/// Decodes a value.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(bytes).map_err(|e| StoreError::new("decoding a record of the core", e))
}
