//! The invited side: an envelope in the own inbox, the shared part, and the answer.

use prost::Message as _;
use sha2::{Digest, Sha256};
use waku_groupchat_waku::{ContentTopic, WakuMessage};

use super::again::{answered, was_answered};
use super::agreed::Agreed;
use super::fetch::Fetching;
use super::group::{Group, Line};
use super::inbound::frame_body;
use super::invite::{ENVELOPE_CLASS, SLOT_BYTES, SLOT_PLAIN_BYTES, SLOTS};
use super::loaded::{Loaded, Place};
use super::log_set::LogSet;
use super::members;
use super::own_group::Mark;
use super::records::{
    AwaitedRecord, GroupRecord, InvitationRecord, InviterRecord, Secret32, key, read, write,
};
use super::rejoin::inviter_key;
use super::{Fault, Inner, Stop, Tx};
use crate::account::{RegistrationSecret, inbox_key};
use crate::api::{Answer, Event, FetchSource, FetchWhat, RefusedReason};
use crate::kdf::{derive_key, derive_topic, label};
use crate::limits::INVITATION_AGE;
use crate::mls::{self, View};
use crate::order::Leaf;
use crate::proto::group as pb;
use crate::seal::{open_message, open_message_of};
use crate::segment::{self, Outcome, Segment, WholeName};
use crate::{GroupId, InstallationId, Timestamp};

/// A shared part's topic, and the short hash of the own secrets in the envelope that named it.
pub(super) type AwaitedName = (ContentTopic, [u8; 16]);

/// Most shared parts awaited at a time; a flood of envelopes pushes out the oldest.
const AWAITED_SHARED: usize = 64;
/// Most envelopes that wait for one shared part.
const AWAITED_ALIKE: usize = 4;

impl Inner {
    /// Something in an own inbox, of this secret.
    pub(super) fn envelope(
        &mut self,
        tx: &mut Tx<'_>,
        secret: &RegistrationSecret,
        period: u64,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let key = inbox_key(secret, period);
        let Ok(content) = open_message_of(ENVELOPE_CLASS, &key, message) else {
            return self.refuse(tx, None, None, RefusedReason::Seal);
        };
        if content.len() != SLOTS * SLOT_BYTES {
            return self.refuse(tx, None, None, RefusedReason::Malformed);
        }
        let slot = self.open_slot(tx, &content)?;
        // no slot opens: it is for the account's other installations
        let Some(slot) = slot else { return Ok(()) };
        let Ok(content_key) = <[u8; 32]>::try_from(slot.content_key.as_slice()) else {
            return self.refuse(tx, None, None, RefusedReason::Malformed);
        };
        let whole = match slot.whole.as_slice() {
            [] => None,
            name => match WholeName::from_slice(name) {
                Some(name) => Some(name),
                None => return self.refuse(tx, None, None, RefusedReason::Malformed),
            },
        };
        self.await_shared(tx, content_key, slot, whole)
    }

    fn await_shared(
        &mut self,
        tx: &mut Tx<'_>,
        content_key: [u8; 32],
        slot: pb::InvitationSlot,
        whole: Option<WholeName>,
    ) -> Result<(), Fault> {
        let topic = shared_topic(&content_key);
        let name = (topic.clone(), secrets_name(&slot.group_secrets));
        let handled = tx.overlay.get(&handled_key(&name))?.is_some();
        let alike = self.awaited.keys().filter(|(t, _)| *t == topic).count();
        if handled || self.awaited.contains_key(&name) || alike >= AWAITED_ALIKE {
            return Ok(());
        }
        // the sender names the time, and it bounds what is asked for
        let oldest = tx.now - self.config.registration_period * 2;
        let at = Timestamp::from_waku(slot.shared_timestamp).clamp(oldest.min(tx.now), tx.now);
        let record = AwaitedRecord {
            content_key: Secret32(content_key),
            group_secrets: slot.group_secrets,
            at,
            came: tx.now,
            whole,
        };
        if self.awaited.len() >= AWAITED_SHARED {
            let oldest = self.awaited.iter().min_by_key(|(_, a)| a.came).map(|(n, _)| n.clone());
            if let Some(oldest) = oldest {
                self.awaited.remove(&oldest);
                tx.overlay.delete(awaited_key(&oldest));
            }
        }
        write(tx.overlay, awaited_key(&name), &record)?;
        self.awaited.insert(name, record);
        let own = FetchSource::OwnArchive(vec![topic.clone()]);
        let what_for = Fetching::Shared { topic, own: true, at };
        self.fetch(tx, what_for, own, FetchWhat::Messages, at, tx.now);
        Ok(())
    }

    pub(super) fn shared_awaited(&self, topic: &ContentTopic) -> bool {
        self.awaited.keys().any(|(awaited, _)| awaited == topic)
    }

    /// What the own archive does not have, store peers are asked for, for one at a time: what is
    /// lost that way comes when the downtime is filled, or with a repeat.
    pub(super) fn shared_fetched(
        &mut self,
        tx: &mut Tx<'_>,
        topic: ContentTopic,
        own: bool,
        at: Timestamp,
    ) {
        let asking =
            self.fetches.values().any(|(_, f)| matches!(f, Fetching::Shared { own: false, .. }));
        if own && !asking && self.shared_awaited(&topic) {
            let what_for = Fetching::Shared { topic, own: false, at };
            self.fetch(tx, what_for, FetchSource::StorePeers, FetchWhat::Messages, at, tx.now);
        }
    }

    /// The shared part of an invitation whose envelope came. Others who are invited have its key
    /// and can send envelopes with false secrets, so each envelope is tried, and a shared part that
    /// fits none ends no wait.
    pub(super) fn shared_part(
        &mut self,
        tx: &mut Tx<'_>,
        message: &WakuMessage,
    ) -> Result<(), Fault> {
        let topic = &message.content_topic;
        let waiting: Vec<(AwaitedName, AwaitedRecord)> = self
            .awaited
            .iter()
            .filter(|((awaited, _), _)| awaited == topic)
            .map(|(name, record)| (name.clone(), record.clone()))
            .collect();
        let Some((_, first)) = waiting.first() else { return Ok(()) };
        let key = derive_key(&first.content_key.0, label::INVITATION_KEY, &[]);
        let Ok(content) = open_message(&key, message) else {
            return self.refuse(tx, None, None, RefusedReason::Seal);
        };
        let (whole, body) = match frame_body(&content) {
            Some(pb::frame::Body::Segment(segment)) => {
                match self.shared_segment(tx, &waiting, segment)? {
                    Some((name, body)) => (Some(name), body),
                    None => return Ok(()),
                }
            }
            body => (None, body),
        };
        let Some(pb::frame::Body::Shared(shared)) = body else {
            return self.refuse(tx, None, None, RefusedReason::Invalid);
        };
        self.judge_shared(tx, waiting, whole, &shared)
    }

    /// A segment of a shared part, if an envelope named its whole: others who are invited can make
    /// wholes, but none of that name. What it completes.
    fn shared_segment(
        &mut self,
        tx: &mut Tx<'_>,
        waiting: &[(AwaitedName, AwaitedRecord)],
        segment: pb::Segment,
    ) -> Result<Option<(WholeName, Option<pb::frame::Body>)>, Fault> {
        let named = |s: &Segment| waiting.iter().any(|(_, a)| a.whole == Some(s.name));
        let Some(segment) = Segment::parse(segment).filter(named) else {
            self.refuse(tx, None, None, RefusedReason::Invalid)?;
            return Ok(None);
        };
        let name = segment.name;
        match self.segments.push(segment::Place::Invitations, segment, tx.now) {
            Outcome::Taken | Outcome::Duplicate => Ok(None),
            Outcome::Whole(content) => Ok(Some((name, frame_body(&content)))),
            Outcome::Refused => {
                self.refuse(tx, None, None, RefusedReason::Invalid)?;
                Ok(None)
            }
        }
    }

    /// A shared part, for each envelope that it may be the one of.
    fn judge_shared(
        &mut self,
        tx: &mut Tx<'_>,
        mut waiting: Vec<(AwaitedName, AwaitedRecord)>,
        whole: Option<WholeName>,
        shared: &pb::InvitationShared,
    ) -> Result<(), Fault> {
        waiting.retain(|(_, awaited)| awaited.whole == whole);
        if waiting.is_empty() {
            return self.refuse(tx, None, None, RefusedReason::Invalid);
        }
        for (name, awaited) in waiting {
            let secrets = &awaited.group_secrets;
            let Some((id, inviter, record)) = self.look_into(tx, shared, secrets, awaited.at)?
            else {
                self.refuse(tx, None, None, RefusedReason::Invalid)?;
                continue;
            };
            self.awaited.remove(&name);
            tx.overlay.delete(awaited_key(&name));
            tx.overlay.put(handled_key(&name), tx.now.as_secs().to_be_bytes().to_vec());
            self.invited(tx, id, inviter, record)?;
        }
        Ok(())
    }

    fn invited(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        inviter: InstallationId,
        record: GroupRecord,
    ) -> Result<(), Fault> {
        let declined = tx.overlay.get(&declined_key(id))?.is_some();
        let Some(invitation) = &record.invitation else { return Ok(()) };
        if declined || was_answered(tx, id, invitation)? {
            return Ok(());
        }
        let known = self.groups.get(&id).map(|known| known.record.invitation.as_ref());
        if let Some(Some(open)) = known {
            // the commit of the first one lost its place
            if open.from == invitation.from && open.at < invitation.at {
                let group = Group::new(record, None);
                group.save(tx, &id)?;
                self.groups.insert(id, group);
                let known = InviterRecord { inviter, state: None };
                write(tx.overlay, inviter_key(&id), &known)?;
            }
            return Ok(());
        }
        let (known, from) = (known.is_some(), invitation.from);
        let inside = self.groups.get(&id).and_then(Group::open_tip).is_some();
        if inside || self.is_for_account(id, (inviter, from)) {
            // the way back of who is in the group already, or the account is: no new invitation
            if self.is_full(invitation.tree.len()) {
                return self.refuse(tx, Some(id), None, RefusedReason::Invalid);
            }
        } else if !self.admits(tx, from, invitation.tree.len())? {
            return Ok(());
        }
        if known {
            let by_own = self.is_from_own(id, (inviter, from));
            self.invited_back(tx, id, inviter, record)?;
            if by_own {
                self.joins_unasked(tx, id, (inviter, from))?;
            }
            return Ok(());
        }
        let name = invitation.agreed.name.clone();
        let event = Event::Invitation { group: id, name, from };
        let group = Group::new(record, None);
        group.save(tx, &id)?;
        write(tx.overlay, inviter_key(&id), &InviterRecord { inviter, state: None })?;
        self.groups.insert(id, group);
        self.topics.clear();
        if self.joins_unasked(tx, id, (inviter, from))? {
            return Ok(());
        }
        self.emit(tx, event)
    }

    /// Everything an invitation says, checked, without joining yet.
    pub(super) fn look_into(
        &self,
        tx: &Tx<'_>,
        shared: &pb::InvitationShared,
        group_secrets: &[u8],
        at: Timestamp,
    ) -> Result<Option<(GroupId, InstallationId, GroupRecord)>, Fault> {
        let Ok(welcome) = mls::welcome::assemble(&shared.welcome, group_secrets) else {
            return Ok(None);
        };
        let provider = self.global_provider(tx);
        let Ok(joining) = mls::welcome::open(&provider, &welcome, &shared.ratchet_tree)? else {
            return Ok(None);
        };
        let (Some(members), Some((inviter, from)), Some(agreed)) = (
            members::parse_all(&joining.members),
            members::parse(&joining.sender),
            Agreed::parse(&joining.extensions),
        ) else {
            return Ok(None);
        };
        let Some(own) = &self.account else { return Ok(None) };
        let (agreed, parameters) = agreed;
        // who made it names the time; a repeat came later
        let made = Timestamp::from_waku(shared.made);
        let at = if shared.made > 0 { made.clamp(at - INVITATION_AGE * 2, at) } else { at };
        let mut log = LogSet::default();
        let sound = log.extend(&shared.log_entries)
            && parameters.names(joining.group)
            && agreed.log_digest == log.digest()
            && members.contains(&(inviter, from))
            && members.contains(&(own.installation, own.account));
        if !sound {
            return Ok(None);
        }
        let baselines = shared
            .baselines
            .iter()
            .filter_map(|b| Some((InstallationId::from_slice(&b.installation)?, b.number)))
            // of the own time in the group before, if there was one
            .filter(|(installation, _)| *installation != own.installation)
            .collect();
        let record = GroupRecord {
            creator: parameters.creator,
            nonce: parameters.nonce,
            period: parameters.period,
            root: None,
            joined: joining.epoch,
            came_at: Vec::new(),
            baselines,
            revoked: Vec::new(),
            pending: None,
            passed_over: Vec::new(),
            update_at: Timestamp::ZERO,
            leaving: false,
            invitation: Some(InvitationRecord {
                from,
                agreed,
                members,
                log: shared.log_entries.clone(),
                welcome,
                tree: shared.ratchet_tree.clone(),
                at,
            }),
        };
        Ok(Some((joining.group, inviter, record)))
    }

    pub(super) fn accept_invitation(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<Answer, Stop> {
        self.own()?;
        let Some(invitation) = self.groups.get(&id).and_then(|g| g.record.invitation.clone())
        else {
            return self.accept_again(tx, id);
        };
        answered(tx, id, &invitation);
        let state = self.new_state();
        let provider = self.provider(tx, View::Child { group: id, parent: None, child: state });
        let joining = mls::welcome::open(&provider, &invitation.welcome, &invitation.tree)?
            .map_err(|_| Fault::Bug("a checked invitation does not open"))?;
        let joined = joining.finish(&provider)?;
        let InvitationRecord { agreed, members, log: entries, at, .. } = invitation;
        provider.keep()?;
        let mut first = self.state_record(tx, id, state, &joined, agreed)?;
        first.since = at;
        self.loaded.put(Place::now(id, state), Loaded::new(joined));
        let mut log = LogSet::default();
        log.extend(&entries);
        let leaf = |(installation, account)| (Leaf { installation, since: None }, account);
        let line = Line::new(first, members.into_iter().map(leaf), log);
        let group = self.groups.get_mut(&id).ok_or(Fault::Bug("a group that was here"))?;
        group.enter(line);
        group.save(tx, &id)?;
        group.save_send(tx, &id)?;
        group.save_root(tx, &id)?;
        if let Some(mut inviter) = read::<InviterRecord>(tx.overlay, &inviter_key(&id))? {
            inviter.state = Some(state);
            write(tx.overlay, inviter_key(&id), &inviter)?;
        }
        self.keep_rejoin(tx, id, state)?;
        self.topics.clear();
        self.emit(tx, Event::Joined { group: id })?;
        self.learn(tx, &entries)?;
        self.mind_departed(tx, id)?;
        self.joined_for_all(tx, id)?;
        self.wait_for_quiet(tx, id);
        self.plan_leaf_update(tx, id, true)?;
        self.replay(tx, id, state, at);
        Ok(Answer::Done)
    }

    pub(super) fn decline_invitation(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
    ) -> Result<Answer, Stop> {
        self.own()?;
        let Some(invitation) = self.groups.get(&id).and_then(|g| g.record.invitation.as_ref())
        else {
            return self.decline_again(tx, id);
        };
        answered(tx, id, invitation);
        self.groups.remove(&id);
        tx.overlay.delete(key("group/", &[id.as_bytes()]));
        self.topics.clear();
        self.mark_group(tx, id, Mark::Declined)?;
        Ok(Answer::Done)
    }
}

pub(super) fn parse_slot(plain: &[u8]) -> Option<pb::InvitationSlot> {
    let (length, rest) = plain.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    if plain.len() != SLOT_PLAIN_BYTES || rest[length.min(rest.len())..].iter().any(|b| *b != 0) {
        return None;
    }
    pb::InvitationSlot::decode(rest.get(..length)?).ok()
}

fn shared_topic(content_key: &[u8; 32]) -> ContentTopic {
    derive_topic(content_key, label::INVITATION_TOPIC, &[])
}

/// Tells envelopes for one shared part apart.
fn secrets_name(group_secrets: &[u8]) -> [u8; 16] {
    let mut name = [0; 16];
    name.copy_from_slice(&Sha256::digest(group_secrets)[..16]);
    name
}

pub(super) fn awaited_key((topic, secrets): &AwaitedName) -> Vec<u8> {
    key("awaited/", &[topic.as_str().as_bytes(), secrets])
}

fn handled_key((topic, secrets): &AwaitedName) -> Vec<u8> {
    key("handled/", &[topic.as_str().as_bytes(), secrets])
}

fn declined_key(id: GroupId) -> Vec<u8> {
    key("declined/", &[id.as_bytes()])
}
