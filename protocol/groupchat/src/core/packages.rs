//! This installation's key packages: replaced with each record, and kept for a while after.
//!
//! Others invite with the package of the newest record that they hold, which may be a month old, so
//! the private parts of those before are kept for [`PACKAGE_AGE`] after they were replaced.
//!
//! A new one is told to the account's others in a message of their group. That comes at a random time
//! of the second half of the period, when no record leaves: messages that follow a record would show
//! which group is the account's own, and how many installations are in it.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::invite::SLOT_BYTES;
use super::join::parse_slot;
use super::records::{decode, key, write};
use super::{Fault, Inner, Tx};
use crate::limits::{FORMER_PACKAGES, PACKAGE_AGE};
use crate::mls::{self, slot::Opener, slot::Use};
use crate::proto::group as pb;
use crate::store::Overlay;
use crate::{Timestamp, account::KeyPackages};

/// Where the time is kept at which the key package is replaced.
const RENEWAL: &[u8] = b"renewal";

/// Own key packages besides the newest one.
#[derive(Debug, Default)]
pub(super) struct Packages {
    /// Those that were replaced, the newest last.
    former: Vec<FormerPackage>,
    /// When the newest one is replaced.
    renew_at: Option<Timestamp>,
}

/// An own key package that was replaced.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct FormerPackage {
    bytes: Vec<u8>,
    replaced: Timestamp,
}

impl Packages {
    pub(super) fn load(overlay: &Overlay<'_>) -> Result<Self, Fault> {
        let mut former = Vec::new();
        for (_, value) in overlay.scan(b"package/")? {
            former.push(decode(&value)?);
        }
        former.sort_by_key(|package: &FormerPackage| package.replaced);
        let renew_at = overlay.get(RENEWAL)?.map(|value| decode(&value)).transpose()?;
        Ok(Self { former, renew_at })
    }
}

impl Inner {
    /// Makes the key package by which this installation is invited from now on.
    pub(super) fn new_key_package(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        let Some(own) = &self.account else { return Ok(()) };
        let (installation, signing) = (own.installation, own.key());
        let identity = super::members::identity(own.account, installation);
        let provider = self.global_provider(tx);
        let made = mls::package::create(&provider, &signing, &identity)?;
        let Some(own) = &mut self.account else { return Ok(()) };
        let known: KeyPackages = std::mem::take(&mut own.key_packages).into_iter().collect();
        let former = known.get(&installation).cloned();
        own.key_packages = known.into_iter().filter(|(i, _)| *i != installation).collect();
        own.key_packages.push((installation, made.bytes));
        if let Some(bytes) = former {
            let former = FormerPackage { bytes, replaced: tx.now };
            write(tx.overlay, former_key(&former), &former)?;
            self.packages.former.push(former);
        }
        self.prune_packages(tx)
    }

    /// The record of a period is out: the key package in it is to be replaced.
    pub(super) fn plan_new_package(&mut self, tx: &Tx<'_>, number: u64) -> Result<(), Fault> {
        let half = self.period_begin(number) + self.config.registration_period / 2;
        let end = self.period_begin(number + 1);
        let from = half.max(tx.now);
        let at = from + self.rng.duration_below(end.since(from));
        self.packages.renew_at = Some(at);
        Ok(write(tx.overlay, RENEWAL.to_vec(), &at)?)
    }

    pub(super) fn next_new_package(&self) -> Option<Timestamp> {
        self.packages.renew_at
    }

    /// Replaces this installation's key package, and tells the account's others, if it is time.
    pub(super) fn new_package_due(&mut self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        if self.packages.renew_at.is_none_or(|at| at > tx.now) {
            return Ok(());
        }
        self.packages.renew_at = None;
        tx.overlay.delete(RENEWAL.to_vec());
        self.new_key_package(tx)?;
        self.save_account(tx)?;
        self.tell_package(tx)
    }

    /// Lets go of private parts that nobody can have been offered lately.
    pub(super) fn prune_packages(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        let over = self.packages.former.len().saturating_sub(FORMER_PACKAGES);
        let old = |package: &FormerPackage| tx.now.since(package.replaced) > PACKAGE_AGE;
        let gone = self.packages.former.iter().take_while(|package| old(package)).count().max(over);
        for package in self.packages.former.drain(..gone).collect::<Vec<_>>() {
            mls::package::forget(&self.global_provider(tx), &package.bytes)?;
            tx.overlay.delete(former_key(&package));
        }
        Ok(())
    }

    /// The slot of an envelope that one of this installation's key packages opens.
    pub(super) fn open_slot(
        &self,
        tx: &Tx<'_>,
        content: &[u8],
    ) -> Result<Option<pb::InvitationSlot>, Fault> {
        let Some(own) = &self.account else { return Ok(None) };
        let newest = own.key_packages.iter().filter(|(i, _)| *i == own.installation);
        let newest = newest.map(|(_, package)| package);
        let former = self.packages.former.iter().rev().map(|package| &package.bytes);
        let provider = self.global_provider(tx);
        for package in newest.chain(former) {
            let Some(opener) = Opener::new(&provider, package)? else { continue };
            let opened = content
                .chunks_exact(SLOT_BYTES)
                .find_map(|slot| opener.open(&provider, Use::Slot, slot));
            if let Some(plain) = opened {
                return Ok(parse_slot(&plain));
            }
        }
        Ok(None)
    }
}

fn former_key(package: &FormerPackage) -> Vec<u8> {
    let name: [u8; 32] = Sha256::digest(&package.bytes).into();
    key("package/", &[&name[..16]])
}
