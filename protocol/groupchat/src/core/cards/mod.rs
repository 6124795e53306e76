//! Contact cards that change, and others' that are kept.
//!
//! The registration secret changes by hand, and after a revocation: what finds the account's records
//! and its inbox is then known to who was put out. A rotate entry says so in the log. The account's
//! own installations are told the new secret once nobody who was put out is in their group any more;
//! contacts are told in the groups they share, where they alone can read it.
//!
//! | module | what |
//! |---|---|
//! | [`rotate`] | the own card changes |
//! | [`tell`] | contacts are told of it, and tell |
//! | [`contacts`] | cards that were given here, and what is heard of their accounts |

mod contacts;
mod rotate;
mod tell;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(super) use self::contacts::{Contacts, replaced};
use super::records::{Secret32, key, read, write};
use super::{Fault, Tx};
use crate::store::Overlay;
use crate::{GroupId, Timestamp};

/// Where it is kept.
const KEY: &[u8] = b"cards";

/// Own cards before, and who is still to be told of the one that counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct CardsRecord {
    /// The oldest first.
    former: Vec<FormerSecret>,
    /// When the new card is told in a group.
    tell: BTreeMap<GroupId, Timestamp>,
    /// When the card changes because somebody was put out.
    rotate_at: Option<Timestamp>,
    /// The own installations are told once nobody who was put out can read it.
    tell_own: Option<Timestamp>,
}

/// A registration secret that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FormerSecret {
    secret: Secret32,
    replaced: Timestamp,
    /// The period from which on the next one seals the account's records.
    until: u64,
}

impl CardsRecord {
    pub(super) fn load(overlay: &Overlay<'_>) -> Result<Self, Fault> {
        Ok(read(overlay, KEY)?.unwrap_or_default())
    }

    fn save(&self, tx: &Tx<'_>) -> Result<(), Fault> {
        Ok(write(tx.overlay, key("cards", &[]), self)?)
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        let told = self.tell.values().copied();
        told.chain(self.rotate_at).chain(self.tell_own).min()
    }
}
