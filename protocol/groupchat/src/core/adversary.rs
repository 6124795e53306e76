//! What a member can make that breaks the rules: for simulations, in no node.
//!
//! A hostile member has a member's keys. It makes any commit that MLS makes, seals anything under any
//! state that it has, and tries as often as it likes.

use prost::Message as _;
use waku_groupchat_waku::WakuMessage;

use super::agreed::Parameters;
use super::records::StateRecord;
use super::topics::{Target, group_key, group_topic, period};
use super::{Core, Fault, Stop, members};
use crate::api::CommandError;
use crate::mls::package::{self, Package};
use crate::mls::{self, Provider, View};
use crate::order::roles::{Policy, Right, Role};
use crate::proto::group as pb;
use crate::seal::{SizeClass, open_message, seal_message};
use crate::store::{Overlay, Store};
use crate::{GroupId, InstallationId, Timestamp, segment};

/// Each forged commit gives the group a name that begins so: where it shows, somebody took one.
#[doc(hidden)]
pub const FORGED: &str = "forged";

/// A commit that nobody may make, or not this member.
#[doc(hidden)]
#[derive(Clone, PartialEq, Eq)]
pub enum Forgery {
    /// Takes somebody out without the right to.
    Removal(InstallationId),
    /// Makes its author's account an owner.
    Crown,
    /// Lets every member do everything.
    Policy,
    /// Sets another topic period.
    Parameters,
    /// Names log entries that were never attached.
    LogDigest,
    /// Adds an installation that no attached log entry proves.
    Unproven(Vec<u8>),
    /// Exchanges the leaf of the installation whose key package this is, without its request.
    Swap(Vec<u8>),
}

impl std::fmt::Debug for Forgery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Removal(of) => write!(f, "Removal({of:?})"),
            Self::Crown => f.write_str("Crown"),
            Self::Policy => f.write_str("Policy"),
            Self::Parameters => f.write_str("Parameters"),
            Self::LogDigest => f.write_str("LogDigest"),
            Self::Unproven(package) => write!(f, "Unproven({} bytes)", package.len()),
            Self::Swap(package) => write!(f, "Swap({} bytes)", package.len()),
        }
    }
}

impl<S: Store> Core<S> {
    /// Makes a commit with new keys for the own leaf, again and again until it has a low tie, and
    /// publishes that one. `false` if no commit can be made now.
    #[doc(hidden)]
    pub fn grind(&mut self, now: Timestamp, id: GroupId, tries: u32) -> Result<bool, Fault> {
        for left in (0..tries).rev() {
            if !self.inner.may_commit(id) {
                return Ok(false);
            }
            let done = self.step(now, |inner, tx| {
                let mut plan = inner.empty_plan(id)?;
                plan.update = true;
                inner.commit(tx, id, plan)?;
                let pending = inner.groups.get(&id).and_then(|g| g.record.pending.as_ref());
                let commit = pending.and_then(|pending| pending.next.commit.as_ref());
                let low = commit.is_some_and(|commit| commit.tie[0] < 16);
                // what is not taken leaves no trace
                let again = Stop::Command(CommandError::Busy { waiting: 0 });
                if low || left == 0 { Ok(()) } else { Err(again) }
            });
            match done {
                Ok(()) => return Ok(true),
                Err(Stop::Command(CommandError::Busy { waiting: 0 })) => {}
                Err(Stop::Command(_)) => return Ok(false),
                Err(Stop::Fault(fault)) => return Err(fault),
            }
        }
        Ok(false)
    }

    /// A new key package of this installation.
    #[doc(hidden)]
    pub fn key_package(&mut self, now: Timestamp) -> Result<Vec<u8>, Fault> {
        let mut made = Vec::new();
        self.run(now, |inner, tx| {
            let own = inner.account.as_ref().ok_or(Fault::Bug("no account"))?;
            let identity = members::identity(own.account, own.installation);
            let provider = inner.global_provider(tx);
            made = package::create(&provider, &own.key(), &identity)?.bytes;
            Ok(())
        })?;
        Ok(made)
    }

    /// A commit of this member that leaves the tip and breaks the rules, sealed; `None` if it would
    /// break none, or cannot be made.
    #[doc(hidden)]
    pub fn forge(
        &self,
        now: Timestamp,
        id: GroupId,
        forgery: &Forgery,
    ) -> Result<Option<WakuMessage>, Fault> {
        let inner = &self.inner;
        let (Some(group), Some(own)) = (inner.groups.get(&id), &inner.account) else {
            return Ok(None);
        };
        let Some(tip) = group.open_tip() else { return Ok(None) };
        let overlay = Overlay::new(&self.store);
        let child = inner.new_state();
        let view = View::Child { group: id, parent: Some(tip.id), child };
        let provider = Provider::new(&overlay, &inner.crypto, &inner.rng, view);
        let mut agreed = tip.agreed.clone();
        agreed.name = format!("{FORGED} {}", tip.epoch);
        let mut parameters = group.parameters();
        let (mut adds, mut removes): (Vec<Package>, Vec<InstallationId>) = Default::default();
        let (authority, account) = (&tip.agreed.authority, own.account);
        let (role, rights) = (authority.role(account), authority.rights(account));
        match forgery {
            Forgery::Removal(of) => {
                let Some(whose) = group.account_of(of).filter(|a| *a != account) else {
                    return Ok(None);
                };
                if rights.has(Right::Remove) && authority.role(whose) <= role {
                    return Ok(None);
                }
                removes.push(*of);
            }
            Forgery::Crown if role < Role::Owner => agreed.authority.name(account, Role::Owner),
            Forgery::Policy if !rights.has(Right::Policy) => {
                let all = Role::Member;
                let policy =
                    Policy { add: all, remove: all, profile: all, roles: all, policy: all };
                agreed.authority.policy = policy;
            }
            Forgery::Crown | Forgery::Policy => return Ok(None),
            Forgery::Parameters => {
                parameters = Parameters { period: parameters.period % 3600 + 60, ..parameters };
            }
            Forgery::LogDigest => agreed.log_digest[0] ^= 1,
            Forgery::Unproven(bytes) | Forgery::Swap(bytes) => {
                let Ok(package) = package::check(&provider, bytes) else { return Ok(None) };
                let inside = group.account_of(&package.installation).is_some();
                if inside != matches!(forgery, Forgery::Swap(_)) {
                    return Ok(None);
                }
                let whose = members::parse_identity(&package.identity);
                let log = group.line.as_ref().map(|line| &line.log);
                // who was in the group before is proven, and whoever may add brings it back
                let proven =
                    whose.zip(log).is_some_and(|((i, account), log)| log.is_live(account, i));
                if !inside && proven {
                    return Ok(None);
                }
                removes.extend(inside.then_some(package.installation));
                adds.push(package);
            }
        }
        let extensions = agreed.extensions(&parameters);
        let proposals = mls::group::Proposals {
            adds,
            removes: &removes,
            extensions: Some(&extensions),
            update: false,
            bound: super::evidence::bound(&[], &[]),
        };
        let mut copy = super::state::load(&provider)?;
        let Ok(made) = mls::group::commit(&mut copy, &provider, &own.key(), proposals)? else {
            return Ok(None);
        };
        let handshake = pb::Handshake { commit: made.commit, ..pb::Handshake::default() };
        let body = Some(pb::frame::Body::Handshake(handshake));
        let content = pb::Frame { body, mark: Vec::new() }.encode_to_vec();
        Ok(self.seal_as_member(now, id, tip, &content))
    }

    /// What somebody sealed in a group, sealed anew with a new time, as any member can.
    #[doc(hidden)]
    pub fn reseal(
        &mut self,
        now: Timestamp,
        id: GroupId,
        message: &WakuMessage,
    ) -> Option<WakuMessage> {
        let at = Timestamp::from_waku(message.timestamp?);
        let (target, period) = self.inner.target(&message.content_topic, at, now)?;
        let Target::Group { group, state } = target else { return None };
        let state = self.inner.groups.get(&group).filter(|_| group == id)?.state(state)?;
        let key = group_key(&state.keys.as_ref()?.wire.0, period);
        let content = open_message(&key, message).ok()?;
        let body = super::inbound::frame_body(&content)?;
        if matches!(body, pb::frame::Body::Segment(_)) || content.len() > segment::WHOLE_BYTES {
            return None;
        }
        self.seal_as_member(now, id, state, &content)
    }

    fn seal_as_member(
        &self,
        now: Timestamp,
        id: GroupId,
        state: &StateRecord,
        content: &[u8],
    ) -> Option<WakuMessage> {
        let wire = &state.keys.as_ref()?.wire.0;
        let length = self.inner.groups.get(&id)?.record.period;
        let at = self.inner.waku_time(now);
        let period = period(at, std::time::Duration::from_secs(length));
        let (key, topic) = (group_key(wire, period), group_topic(wire, period));
        let class = SizeClass::fitting(content.len())?;
        seal_message(&key, topic, at, content, class, &mut self.inner.rng.clone()).ok()
    }
}
