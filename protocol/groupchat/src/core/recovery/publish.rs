//! The recovery record: beside each registration record, in the same form, whatever happened.

use zeroize::Zeroizing;

use crate::account::{
    KNOWN_BYTES, PARTS, RecoveryContent, RecoveryGroup, RecoveryKey, RecoveryRecord,
    RecoverySecret, seal_recovery,
};
use crate::core::group::Group;
use crate::core::records::OutgoingKind;
use crate::core::register::if_it_fits;
use crate::core::{Fault, Inner, Tx};
use crate::order::roles::Role;
use crate::{AccountId, GroupId, Timestamp};

/// Most groups that are looked at for one record; about 300 fit.
const GROUPS: usize = 512;
/// Most accounts of a group that it names.
const KNOWN: usize = 16;

impl Inner {
    /// Queues the recovery record of a period, its parts at these times.
    pub(in crate::core) fn publish_recovery(
        &mut self,
        tx: &Tx<'_>,
        number: u64,
        expiry: Timestamp,
        due: [Timestamp; PARTS],
    ) -> Result<(), Fault> {
        let log = self.own_log()?;
        let Some(own) = &self.account else { return Ok(()) };
        let to = RecoveryKey::from_bytes(own.recovery_key);
        let content = self.recovery_content(own.account);
        let mut rng = self.rng.clone();
        let signed =
            RecoveryRecord::sign(&own.key(), &log, number, (&to, &content), expiry, &mut rng);
        let Some((record, within)) = if_it_fits(signed)? else { return Ok(()) };
        if within < content.groups.len() {
            let left_out = content.groups.len() - within;
            tracing::warn!(left_out, "groups do not fit the recovery record");
        }
        for (part, due) in (0u8..).zip(due) {
            let kind = OutgoingKind::Recovery { period: number, part };
            self.enqueue(tx, kind, record.clone(), due)?;
        }
        Ok(())
    }

    /// The registration secret, and the groups that the account is in: those first in which
    /// something was read last.
    fn recovery_content(&self, own: AccountId) -> RecoveryContent {
        let registration = self.account.as_ref().map(|own| own.registration());
        let mut groups: Vec<(Timestamp, RecoveryGroup)> = self
            .groups
            .iter()
            .filter(|(id, group)| group.stays() && !self.is_own_group(id))
            .filter_map(|(id, group)| Some((group.ask.heard, recovery_group(own, *id, group)?)))
            .collect();
        // it asks to be brought into these itself
        groups.extend(self.returns.iter().map(|(id, record)| (record.since, record.again(*id))));
        groups.sort_by_key(|group| std::cmp::Reverse(group.0));
        groups.truncate(GROUPS);
        RecoveryContent {
            registration: registration
                .unwrap_or_else(|| crate::account::RegistrationSecret::from_bytes([0; 32])),
            groups: groups.into_iter().map(|(_, group)| group).collect(),
        }
    }

    /// Seals one part of a recovery record.
    pub(in crate::core) fn seal_recovery_part(
        &self,
        record: &[u8],
        period: u64,
        part: u8,
        timestamp: Timestamp,
    ) -> Result<waku_groupchat_waku::WakuMessage, Fault> {
        let own = self.account.as_ref().ok_or(Fault::Bug("a record without an account"))?;
        let secret = RecoverySecret::from_bytes(own.recovery_secret.0);
        let mut rng = self.rng.clone();
        let parts = seal_recovery(&secret, period, record, [timestamp; PARTS], &mut rng)
            .map_err(|_| Fault::Bug("the own recovery record does not fit"))?;
        parts.into_iter().nth(usize::from(part)).ok_or(Fault::Bug("a record has four parts"))
    }
}

fn recovery_group(own: AccountId, id: GroupId, group: &Group) -> Option<RecoveryGroup> {
    let tip = group.open_tip()?;
    let state = tip.keys.as_ref()?.name;
    let secret = Zeroizing::new(group.rejoin.get(&state)?.secret.0);
    let authority = &tip.agreed.authority;
    let mut accounts: Vec<(Role, AccountId)> = group
        .members()
        .into_iter()
        .filter(|(_, account)| *account != own)
        .map(|(_, account)| (authority.role(account), account))
        .collect();
    // those in a role last longest
    accounts.sort_unstable_by(|a, b| b.cmp(a));
    accounts.dedup();
    accounts.truncate(KNOWN);
    let known = accounts.iter().map(|(_, account)| known(account)).collect();
    Some(RecoveryGroup { group: id, state, secret, known })
}

/// By which an account is known in a record.
pub(super) fn known(account: &AccountId) -> [u8; KNOWN_BYTES] {
    std::array::from_fn(|at| account.as_bytes()[at])
}
