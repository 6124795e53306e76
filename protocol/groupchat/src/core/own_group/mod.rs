//! The account's own group: an MLS group of its installations, on the same engine as any other.
//!
//! It is made when the account takes in its second installation, is never shown, and carries
//! [`updates`](pb::OwnUpdate): log entries, key packages, labels, in which groups the account is and
//! which it left, and the registration secret. Its nonce is derived from the account and from the
//! create or root entry that counts, so an installation knows it by its id, and after a root entry
//! there is another one: who is not listed there is not in it.
//!
//! | module | what |
//! |---|---|
//! | [`say`] | what this installation tells the others |
//! | [`hear`] | what others tell |
//! | [`read`] | up to where somebody has read the groups |
//! | [`spread`] | bringing installations into the account's groups |

mod hear;
mod read;
mod say;
mod spread;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::read::ReadRecord;
pub(in crate::core) use self::read::all_read;
use super::records::{GroupRecord, decode, key, write};
use super::{Fault, Inner, Stop, Tx};
use crate::account::Log;
use crate::kdf::{self, label};
use crate::store::Overlay;
use crate::{AccountId, EntryHash, GroupId, InstallationId, Timestamp};

/// The name that the group has; nobody sees it.
const NAME: &str = "own";

/// What the own account's installations share, as far as it is no log.
#[derive(Debug, Default)]
pub(in crate::core) struct Shared {
    /// Create and root entries of the own log, the one that counts last.
    roots: Vec<EntryHash>,
    labels: BTreeMap<InstallationId, LabelRecord>,
    marks: BTreeMap<GroupId, MarkRecord>,
    /// Up to where groups were read, and how much of them was not.
    reads: BTreeMap<GroupId, ReadRecord>,
    /// When the others are told of that.
    reads_at: Option<Timestamp>,
    /// Somebody came in: when it is told everything, unless another one does before.
    tell_at: Option<Timestamp>,
}

/// What people call an installation.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) struct LabelRecord {
    text: String,
    /// Who said so last, and when.
    at: (Timestamp, InstallationId),
}

impl std::fmt::Debug for LabelRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LabelRecord({} bytes)", self.text.len())
    }
}

/// Where the account stands in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) struct MarkRecord {
    mark: Mark,
    at: (Timestamp, InstallationId),
}

/// What somebody decided for the whole account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::core) enum Mark {
    /// To join it.
    Joined,
    /// To leave it.
    Left,
    /// Not to join it.
    Declined,
}

impl Shared {
    pub(in crate::core) fn load(overlay: &Overlay<'_>) -> Result<Self, Fault> {
        let mut shared = Self::default();
        for (k, value) in overlay.scan(b"own/label/")? {
            let id = k.get(b"own/label/".len()..).and_then(InstallationId::from_slice);
            shared.labels.insert(id.ok_or(Fault::Bug("a label's key"))?, decode(&value)?);
        }
        for (k, value) in overlay.scan(b"own/mark/")? {
            let id = k.get(b"own/mark/".len()..).and_then(GroupId::from_slice);
            shared.marks.insert(id.ok_or(Fault::Bug("a mark's key"))?, decode(&value)?);
        }
        shared.reads = read::load(overlay)?;
        Ok(shared)
    }

    /// The own log, whenever it has changed.
    pub(in crate::core) fn see(&mut self, log: &Log) {
        self.roots = log.roots();
    }

    /// What an installation is called.
    pub(in crate::core) fn label(&self, installation: &InstallationId) -> Option<String> {
        self.labels.get(installation).map(|label| label.text.clone()).filter(|t| !t.is_empty())
    }
}

/// The nonce of the own group that `creator` makes after the entry `root`.
fn nonce(account: AccountId, root: &EntryHash, creator: &InstallationId) -> [u8; 16] {
    let parts = [account.as_bytes().as_slice(), root.as_bytes(), creator.as_bytes()];
    let hash = kdf::hash(label::OWN_GROUP, &parts);
    std::array::from_fn(|i| hash[i])
}

impl Inner {
    /// Whether a group is one of the account's own, and of the entry that counts now.
    fn kind_of(&self, record: &GroupRecord) -> Option<Own> {
        let account = self.account.as_ref()?.account;
        let fits = |root: &EntryHash| nonce(account, root, &record.creator) == record.nonce;
        let place = self.shared.roots.iter().position(fits)?;
        Some(if place + 1 == self.shared.roots.len() { Own::Current } else { Own::Former })
    }

    /// Whether a group is the account's own business, and shown nowhere.
    pub(in crate::core) fn is_own_group(&self, id: &GroupId) -> bool {
        self.groups.get(id).is_some_and(|group| self.kind_of(&group.record).is_some())
    }

    /// The account's own group, once this installation is in it. Of several, the one of lowest id.
    pub(in crate::core) fn own_group(&self) -> Option<GroupId> {
        let inside = self.groups.iter().filter(|(_, group)| group.stays());
        inside
            .filter(|(_, group)| self.kind_of(&group.record) == Some(Own::Current))
            .map(|(id, _)| *id)
            .min()
    }

    /// Makes the own group, if the account needs one and this installation is in none.
    pub(in crate::core) fn ensure_own_group(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let (account, installation) = (own.account, own.installation);
        let Some(root) = self.shared.roots.last().copied() else { return Ok(()) };
        let alone = self.own_live().len() < 2;
        if alone || !self.is_live() || self.copied.is_some() || self.own_group().is_some() {
            return Ok(());
        }
        let nonce = nonce(account, &root, &installation);
        if self.groups.contains_key(&super::agreed::group_id(installation, &nonce)) {
            return Ok(());
        }
        match self.make_group(tx, nonce, NAME.to_owned(), String::new()) {
            Ok(_) => Ok(()),
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Command(_)) => Err(Fault::Bug("the own group cannot be made")),
        }
    }
}

/// A group of the account's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Current,
    /// Of a create or root entry before the one that counts.
    Former,
}

fn save_label(
    tx: &Tx<'_>,
    installation: &InstallationId,
    label: &LabelRecord,
) -> Result<(), Fault> {
    Ok(write(tx.overlay, key("own/label/", &[installation.as_bytes()]), label)?)
}

fn save_mark(tx: &Tx<'_>, group: &GroupId, mark: &MarkRecord) -> Result<(), Fault> {
    Ok(write(tx.overlay, key("own/mark/", &[group.as_bytes()]), mark)?)
}
