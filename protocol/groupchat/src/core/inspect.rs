//! What tests and simulations look at: states as MLS and the choice of the standing path see them.

use std::collections::BTreeMap;

use super::{Core, Fault, Tx};
use crate::mls::View;
use crate::order::roles::{Policy, Role};
use crate::store::{Overlay, Store};
use crate::{AccountId, GroupId, InstallationId, Timestamp};

/// Where a core stands in a group. Members that stand in one state show the same.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// MLS epoch authenticator (RFC 9420, section 8.7) of the tip.
    pub authenticator: Vec<u8>,
    /// MLS epoch of the tip.
    pub epoch: u64,
    /// The group's name.
    pub name: String,
    /// The group's description.
    pub description: String,
    /// Who is in it.
    pub members: BTreeMap<InstallationId, AccountId>,
    /// The accounts that have more than the least role.
    pub roles: BTreeMap<AccountId, Role>,
    /// Which role each right needs.
    pub policy: Policy,
}

/// The states of a group that a core keeps, each by the name that all members know it by.
#[doc(hidden)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The standing path from the oldest kept state to the tip.
    pub path: Vec<[u8; 32]>,
    /// States that several commits leave.
    pub forks: Vec<[u8; 32]>,
    /// Number of states.
    pub states: usize,
    /// The epoch from which on this core is in the group.
    pub joined: u64,
    /// Whether a commit is known that takes this core out, off the path that it stands on: it is
    /// silent until it reads which of the two the others stand on.
    pub unsettled: bool,
}

impl<S: Store> Core<S> {
    /// Where the core stands in a group; `None` if it is not in it.
    #[doc(hidden)]
    pub fn standing(&self, id: GroupId) -> Result<Option<Standing>, Fault> {
        let Some(group) = self.inner.groups.get(&id) else { return Ok(None) };
        let Some(tip) = group.open_tip() else { return Ok(None) };
        let overlay = Overlay::new(&self.store);
        let tx = Tx { overlay: &overlay, now: Timestamp::ZERO, outputs: Vec::new() };
        let provider = self.inner.provider(&tx, View::Reading(id, tip.id));
        let mls = super::state::load(&provider)?;
        let authority = &tip.agreed.authority;
        let named = authority.owners.iter().chain(&authority.admins);
        Ok(Some(Standing {
            authenticator: mls.epoch_authenticator().as_slice().to_vec(),
            epoch: tip.epoch,
            name: tip.agreed.name.clone(),
            description: tip.agreed.description.clone(),
            members: group.members().into_iter().collect(),
            roles: named.map(|account| (*account, authority.named(*account))).collect(),
            policy: authority.policy,
        }))
    }

    /// The states of a group that are kept. One that a commit leads to which took this core out
    /// has no name, and is left out.
    #[doc(hidden)]
    pub fn kept_states(&self, id: GroupId) -> Kept {
        let Some(line) = self.inner.groups.get(&id).and_then(|g| g.line.as_ref()) else {
            return Kept::default();
        };
        let name = |state| line.states.get(&state)?.keys.as_ref().map(|keys| keys.name);
        let mut path: Vec<_> = line.graph.ancestry(line.tip).filter_map(name).collect();
        path.reverse();
        let forked = line.states.keys().filter(|id| line.graph.children(**id).nth(1).is_some());
        let forks = forked.filter_map(|id| name(*id)).collect();
        let group = self.inner.groups.get(&id);
        let unsettled = group.is_some_and(|group| group.unsettled());
        let joined = group.map_or(0, |group| group.record.joined);
        Kept { path, forks, states: line.states.len(), joined, unsettled }
    }

    /// Whether the core stands where the rules, written down a second time, say.
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn follows_the_rules(&self, id: GroupId) -> bool {
        let line = self.inner.groups.get(&id).and_then(|g| g.line.as_ref());
        line.is_none_or(|line| line.graph.follows_the_rules())
    }

    /// The states of a group that are kept, one a line, for people who look for a fault: what led to
    /// each, whether the group stands on it, and what else decides where this core goes from there.
    #[cfg(feature = "simulation")]
    #[doc(hidden)]
    pub fn told_states(&self, id: GroupId) -> Vec<String> {
        let Some(group) = self.inner.groups.get(&id) else { return vec!["no such group".into()] };
        let Some(line) = &group.line else { return vec!["invited".into()] };
        let name = |state| {
            let keys = line.states.get(&state).and_then(|s| s.keys.as_ref());
            keys.map_or("--------".to_owned(), |keys| {
                data_encoding::HEXLOWER.encode(&keys.name[..4])
            })
        };
        let mut states: Vec<_> = line.states.values().collect();
        states.sort_by_key(|state| (line.graph.depth(state.id), state.since));
        let told = states.into_iter().map(|state| {
            let stands = if line.graph.leads_to(state.id, line.tip) { '*' } else { ' ' };
            let at = (name(state.id), state.epoch, state.since.as_secs());
            let commit = line.graph.commit(state.id).map(|commit| {
                let (by, after) = (commit.author, name(commit.parent));
                let tie = data_encoding::HEXLOWER.encode(&commit.tie[..4]);
                let moves = (&commit.adds, &commit.removes, &commit.swaps);
                format!(
                    "after {after} tie {tie} by {by:?} +{:?} -{:?} ={:?}",
                    moves.0, moves.1, moves.2
                )
            });
            format!("{stands} {} epoch {} at {} {}", at.0, at.1, at.2, commit.unwrap_or_default())
        });
        let ask = &group.ask;
        let asks = format!(
            "asked {} due {:?} waits {} behind {} lost {:?}, unsettled {}, leaving {}, again {}, splits {:?}",
            ask.attempts,
            ask.due.map(|due| due.as_secs()),
            ask.waiting,
            ask.behind,
            ask.lost.map(|name| data_encoding::HEXLOWER.encode(&name[..4])),
            group.unsettled(),
            group.record.leaving,
            group.again.is_some(),
            group.splits.values().map(|split| split.stands).collect::<Vec<_>>(),
        );
        told.chain([asks]).collect()
    }
}
