//! What arrives: from its topic to a message that can be read, or a reason why not.

use std::time::Duration;

use prost::Message as _;
use sha2::{Digest, Sha256};
use waku_groupchat_waku::{MessageHash, WakuMessage};

use super::gaps::Claim;
use super::loaded::Place;
use super::members;
use super::outbox::message_key;
use super::records::{MessageRecord, key, read};
use super::topics::{Target, group_key};
use super::{Fault, Inner, Tx};
use crate::api::{Event, Output, RefusedReason};
use crate::group::frontier::ENTRY_OVERHEAD;
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::limits::{CLOCK_FOLLOW, EPOCHS_AHEAD, FRONTIER_BEYOND, FRONTIER_BYTES, TIME_AHEAD};
use crate::mls::message::Inbound;
use crate::mls::{self, StateId};
use crate::proto::group as pb;
use crate::seal::open_message;
use crate::segment::{self, Outcome, Segment};
use crate::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

/// One event for each group and reason of refusals in this time.
const REFUSALS_TOLD_EVERY: Duration = Duration::from_secs(60);

/// How many messages a group in memory reads before it is written.
const WRITTEN_EVERY: u32 = 256;

/// Most bytes of what a note says of numbers.
const NOTE_BYTES: usize = 96 * 1024;

/// A message that was handed over, its signature verified.
pub(super) struct Handed {
    pub(super) group: GroupId,
    pub(super) account: AccountId,
    pub(super) core: MessageCore,
    pub(super) signed: SignedCore,
    /// Of the envelope that brought it.
    pub(super) hash: MessageHash,
}

/// A plaintext and who wrote it.
type Plain = (Vec<u8>, (InstallationId, AccountId));

/// What MLS makes of an application message.
enum Read {
    Plain(Plain),
    /// Its sender's ratchet went past it.
    Late,
    Refused,
}

/// Where an inbound message of a group came from, as MLS and its envelope prove it.
#[derive(Clone, Copy, Debug)]
struct Origin {
    group: GroupId,
    installation: InstallationId,
    account: AccountId,
    /// Epoch of the state it was sealed under.
    epoch: u64,
    hash: MessageHash,
    /// The envelope's timestamp.
    at: Timestamp,
}

/// What a payload of a group came in.
#[derive(Clone, Copy, Debug)]
struct Carrier {
    group: GroupId,
    /// The state that it is sealed under.
    state: StateId,
    epoch: u64,
    hash: MessageHash,
    /// The message's timestamp.
    at: Timestamp,
    /// Over the relay, just now.
    heard: bool,
}

impl Inner {
    /// `heard`: it came over the relay just now.
    pub(super) fn message(
        &mut self,
        tx: &mut Tx<'_>,
        message: &WakuMessage,
        heard: bool,
    ) -> Result<(), Fault> {
        let Some(timestamp) = message.timestamp else { return Ok(()) };
        let at = Timestamp::from_waku(timestamp);
        if heard && timestamp != 0 {
            self.peer_clock.heard_shard(tx.now, at);
        }
        let Some((target, period)) = self.target(&message.content_topic, at, tx.now) else {
            return Ok(());
        };
        match target {
            Target::Group { group, state } => {
                self.group_message(tx, (group, state), period, message, (at, heard))
            }
            Target::Inbox { period } => self.envelope(tx, period, message),
            Target::Record { group, account, period } => {
                self.record_part(tx, (group, account), period, message)
            }
            Target::Rejoin { group, name } => self.rejoin_message(tx, group, name, period, message),
            Target::InvitationShared => self.shared_part(tx, message),
            Target::Link => self.link_message(tx, message),
        }
    }

    /// Tells that something was refused: each time for counting, and as an event at most once in
    /// a while for each group and reason.
    pub(super) fn refuse(
        &mut self,
        tx: &mut Tx<'_>,
        group: Option<GroupId>,
        installation: Option<InstallationId>,
        reason: RefusedReason,
    ) -> Result<(), Fault> {
        tx.outputs.push(Output::Refused(reason));
        // anybody can send junk to a topic: it must not push out the events that count
        let told = self.refused.entry((group, reason)).or_default();
        if tx.now.since(*told) < REFUSALS_TOLD_EVERY && *told != Timestamp::ZERO {
            return Ok(());
        }
        *told = tx.now;
        self.emit(tx, Event::Refused { group, installation, reason })
    }

    fn group_message(
        &mut self,
        tx: &mut Tx<'_>,
        (id, state): (GroupId, StateId),
        period: u64,
        message: &WakuMessage,
        (at, heard): (Timestamp, bool),
    ) -> Result<(), Fault> {
        let Some(found) = self.groups.get(&id).and_then(|g| g.state(state)) else {
            return Ok(());
        };
        let hash = message.hash(&self.config.pubsub_topic);
        let carrier = Carrier { group: id, state, epoch: found.epoch, hash, at, heard };
        let Some(keys) = &found.keys else { return Ok(()) };
        let key = group_key(&keys.wire.0, period);
        let Ok(content) = open_message(&key, message) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Seal);
        };
        match frame_body(&content) {
            Some(pb::frame::Body::Segment(segment)) => self.group_segment(tx, carrier, segment),
            body => self.group_frame(tx, carrier, &content, body),
        }
    }

    /// A segment, and what it completes. The whole is known by its name once its content is, so that
    /// what comes of it later, or again, is passed over without being put together.
    fn group_segment(
        &mut self,
        tx: &mut Tx<'_>,
        carrier: Carrier,
        segment: pb::Segment,
    ) -> Result<(), Fault> {
        let id = carrier.group;
        let Some(segment) = Segment::parse(segment) else {
            return self.refuse(tx, Some(id), None, RefusedReason::Malformed);
        };
        let name = segment.name;
        if self.seen(tx, id, name.as_bytes())? {
            return Ok(());
        }
        match self.segments.push(segment::Place::Group(id, carrier.state), segment, tx.now) {
            Outcome::Taken | Outcome::Duplicate => Ok(()),
            Outcome::Refused => self.refuse(tx, Some(id), None, RefusedReason::Malformed),
            Outcome::Whole(content) => {
                // a segment of segments is none
                let whole = |b: &pb::frame::Body| !matches!(b, pb::frame::Body::Segment(_));
                let body = frame_body(&content).filter(whole);
                self.group_frame(tx, carrier, &content, body)?;
                if self.seen(tx, id, &content)? {
                    self.mark_seen(tx, id, name.as_bytes());
                }
                Ok(())
            }
        }
    }

    /// What is in a frame, whether it came in one message or in segments, of which `carrier` is the
    /// last then.
    fn group_frame(
        &mut self,
        tx: &mut Tx<'_>,
        carrier: Carrier,
        content: &[u8],
        body: Option<pb::frame::Body>,
    ) -> Result<(), Fault> {
        let Carrier { group: id, state, at, .. } = carrier;
        // A handshake is known by all of it: a member may send its commit with other log entries.
        let known_by = match &body {
            Some(pb::frame::Body::Application(bytes)) => bytes,
            Some(pb::frame::Body::Handshake(_)) => content,
            Some(
                pb::frame::Body::Segment(_)
                | pb::frame::Body::Shared(_)
                | pb::frame::Body::Rejoin(_),
            )
            | None => {
                return self.refuse(tx, Some(id), None, RefusedReason::Malformed);
            }
        };
        if self.seen(tx, id, known_by)? {
            if matches!(body, Some(pb::frame::Body::Handshake(_))) {
                self.answered_elsewhere(id, state);
            }
            return Ok(());
        }
        if self.is_of_a_copy(tx, id, content)? {
            return self.copy_noticed(tx, id);
        }
        match &body {
            Some(pb::frame::Body::Handshake(handshake)) => {
                let line = self.groups.get(&id).and_then(|g| g.line.as_ref());
                if line.is_none_or(|line| !line.graph.contains(state)) {
                    // it leaves an own commit that is not published yet: it comes again with that
                    return Ok(());
                }
                self.mark_seen(tx, id, content);
                if self.commit_received(tx, id, state, handshake, (content, at))? {
                    self.heard(tx, id, at)?;
                }
                Ok(())
            }
            _ => self.application(tx, id, state, known_by, carrier),
        }
    }

    fn application(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        state: StateId,
        bytes: &[u8],
        Carrier { epoch, hash, at, heard, .. }: Carrier,
    ) -> Result<(), Fault> {
        let inbound = self.decrypt(tx, id, state, bytes)?;
        let Some((plain, sender)) = inbound else {
            return self.refuse(tx, Some(id), None, RefusedReason::Mls);
        };
        let (installation, account) = sender;
        let origin = Origin { group: id, installation, account, epoch, hash, at };
        let mut application = pb::Application::decode(plain.as_slice()).ok();
        if let Some(told) = &application {
            self.told_passed_over(tx, &origin, &told.passed_over)?;
            self.look_behind(tx, id, state, at);
            self.wait_for_quiet(tx, id);
        }
        if let Some(pb::Application { frontier, note: Some(note), .. }) =
            application.take_if(|a| a.note.is_some())
        {
            self.mark_seen(tx, id, bytes);
            self.note_received(tx, &origin, note, &frontier)?;
            self.heard(tx, id, at)?;
            return self.heard_in(tx, id, installation, state, at);
        }
        let parsed = application
            .and_then(|a| Some((SignedCore::from_parts(a.core, &a.signature)?, a.frontier)));
        let Some((signed, frontier)) = parsed else {
            self.mark_seen(tx, id, bytes);
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Malformed);
        };
        let checked = check(&signed, &origin);
        // A wrong time may be the envelope's fault, and any member can make another envelope.
        if checked != Err(RefusedReason::Time) {
            self.mark_seen(tx, id, bytes);
        }
        match checked {
            Ok(core) => {
                if heard {
                    self.peer_clock.heard_account(account, tx.now, at, core.time);
                }
                self.read_core(tx, &origin, &core, signed)?;
                self.heard(tx, id, at)?;
                self.heard_in(tx, id, installation, state, at)?;
                self.active(tx, id);
                self.frontier(tx, &origin, core.time, &frontier, FRONTIER_BYTES)
            }
            Err(reason) => self.refuse(tx, Some(id), Some(installation), reason),
        }
    }

    /// Opens an application message under its state; one that comes too late for the state as it
    /// is now, under the state as it began. Replays are caught by number, later.
    fn decrypt(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        state: StateId,
        bytes: &[u8],
    ) -> Result<Option<Plain>, Fault> {
        let (now, base) = (Place::now(id, state), Place::base(id, state));
        let mut read = self.receive(tx, now, bytes)?;
        if matches!(read, Read::Late) {
            // messages that come late mostly come in order
            let known = self.loaded.get_mut(&base).is_some();
            read = self.receive(tx, base, bytes)?;
            if known && matches!(read, Read::Late) {
                self.loaded.take(&base);
                read = self.receive(tx, base, bytes)?;
            }
        }
        match read {
            Read::Plain(plain) => Ok(Some(plain)),
            Read::Late | Read::Refused => Ok(None),
        }
    }

    /// An application message under one state. Only the group in memory moves on; once in a while
    /// it is written, so that the store does not fall behind further than MLS can catch up.
    fn receive(&mut self, tx: &Tx<'_>, place: Place, bytes: &[u8]) -> Result<Read, Fault> {
        let unwritten = self.loaded.get_mut(&place).map_or(0, |loaded| loaded.unwritten);
        let writes = unwritten >= WRITTEN_EVERY;
        let inbound = self.with_mls(tx, place, writes, |group, provider| {
            mls::message::receive(group, provider, bytes)
        })?;
        match inbound {
            Inbound::Application { sender, content } => {
                if let Some(loaded) = self.loaded.get_mut(&place) {
                    loaded.unwritten = if writes { 0 } else { unwritten + 1 };
                }
                Ok(members::parse(&sender)
                    .map_or(Read::Refused, |sender| Read::Plain((content, sender))))
            }
            Inbound::Refused(refused) if refused.is_late() => Ok(Read::Late),
            Inbound::Refused(_) | Inbound::Own | Inbound::Commit(_) => Ok(Read::Refused),
        }
    }

    fn read_core(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        core: &MessageCore,
        signed: SignedCore,
    ) -> Result<(), Fault> {
        let Origin { group: id, installation, account, .. } = *origin;
        let message = MessageId { group: id, installation, number: core.number };
        if let Some(held) = self.core_at(tx, message)? {
            return if held.bytes() == signed.bytes() {
                Ok(())
            } else {
                self.refuse(tx, Some(id), Some(installation), RefusedReason::NumberReused)
            };
        }
        if !self.chain_holds(tx, message, core, &signed)? {
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::NumberReused);
        }
        let now = tx.now;
        let Some(group) = self.groups.get_mut(&id) else { return Ok(()) };
        let sender = group.sender(installation, account);
        sender.tracker.hold(core.place());
        sender.last_time = sender.last_time.max(core.time.min(now));
        if core.time <= now + CLOCK_FOLLOW && core.time > group.send.time {
            group.send.time = core.time;
            group.save_send(tx, &id)?;
        }
        let kept = signed.clone();
        let record = MessageRecord {
            account,
            core: signed.bytes().to_vec(),
            signature: signed.signature().to_vec(),
            waku_hash: origin.hash,
            sending: None,
        };
        self.save_message(tx, message, core.time, &record)?;
        match &core.content {
            Content::Text(_) => self.emit(tx, Event::Message { id: message, account })?,
            Content::Leave(_) => self.left(tx, core, &kept)?,
        }
        self.close_gap(tx, id, installation, core.number)?;
        self.withdraw_claims(tx, id, installation, core.number, core.time)?;
        self.refresh_gaps(tx, id, installation, None)?;
        if let Some(group) = self.groups.get(&id) {
            group.save_sender(tx, &id, &installation)?;
        }
        Ok(())
    }

    /// A note, with what is said around it.
    fn note_received(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        note: pb::Note,
        frontier: &[pb::FrontierEntry],
    ) -> Result<(), Fault> {
        let (id, from) = (origin.group, origin.installation);
        self.frontier(tx, origin, origin.at, frontier, NOTE_BYTES)?;
        if self.note(tx, id, from, note, frontier, origin.hash)? {
            return Ok(());
        }
        self.refuse(tx, Some(id), Some(from), RefusedReason::Malformed)
    }

    /// Another's message, handed over by somebody who holds it.
    pub(super) fn read_handed(&mut self, tx: &mut Tx<'_>, handed: Handed) -> Result<(), Fault> {
        let Handed { group, account, core, signed, hash } = handed;
        let (installation, epoch, at) = (core.installation, core.epoch, tx.now);
        let origin = Origin { group, installation, account, epoch, hash, at };
        match check(&signed, &origin) {
            Ok(core) => self.read_core(tx, &origin, &core, signed),
            Err(reason) => self.refuse(tx, Some(group), Some(installation), reason),
        }
    }

    /// Another account says which commits it does not stand on.
    fn told_passed_over(
        &mut self,
        tx: &Tx<'_>,
        origin: &Origin,
        ties: &[u64],
    ) -> Result<(), Fault> {
        let own = self.account.as_ref().map(|a| a.account);
        let Some(group) = self.groups.get_mut(&origin.group) else { return Ok(()) };
        if own == Some(origin.account) || ties.is_empty() || !group.unsettled() {
            return Ok(());
        }
        let new = ties.iter().take(8).filter(|tie| !group.record.passed_over.contains(tie));
        let new: Vec<u64> = new.copied().collect();
        group.record.passed_over.extend(new);
        let over = group.record.passed_over.len().saturating_sub(64);
        group.record.passed_over.drain(..over);
        group.save(tx, &origin.group)?;
        Ok(())
    }

    /// Whether the hashes that neighbouring cores name are those of the cores held.
    fn chain_holds(
        &self,
        tx: &Tx<'_>,
        id: MessageId,
        core: &MessageCore,
        signed: &SignedCore,
    ) -> Result<bool, Fault> {
        if let Some((hash, _)) = core.previous {
            let before = self.core_at(tx, MessageId { number: id.number - 1, ..id })?;
            if before.is_some_and(|held| held.hash() != hash) {
                return Ok(false);
            }
        }
        let Some(next) = id.number.checked_add(1) else { return Ok(true) };
        let after = self.core_at(tx, MessageId { number: next, ..id })?;
        let named = after.and_then(|held| held.decode()).and_then(|core| core.previous);
        Ok(named.is_none_or(|(hash, _)| hash == signed.hash()))
    }

    pub(super) fn core_at(&self, tx: &Tx<'_>, id: MessageId) -> Result<Option<SignedCore>, Fault> {
        let Some(at) = message_key(tx, id)? else { return Ok(None) };
        let record: Option<MessageRecord> = read(tx.overlay, &at)?;
        Ok(record.and_then(|r| SignedCore::from_parts(r.core, &r.signature)))
    }

    /// What a member says that it holds: acknowledges own messages, and claims others' that are
    /// not here.
    fn frontier(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        time: Timestamp,
        entries: &[pb::FrontierEntry],
        mut room: usize,
    ) -> Result<(), Fault> {
        let Some(own) = self.account.as_ref().map(|a| (a.installation, a.account)) else {
            return Ok(());
        };
        let in_note = room > FRONTIER_BYTES;
        for entry in entries {
            let size = entry.encoded_len() + ENTRY_OVERHEAD;
            let Some(left) = room.checked_sub(size) else { return Ok(()) };
            room = left;
            let Some(group) = self.groups.get(&origin.group) else { return Ok(()) };
            let Some(about) = group.by_short(entry.installation) else { continue };
            if about == own.0 {
                if origin.account != own.1 {
                    self.acknowledged(tx, origin.group, &origin.installation, entry.upto)?;
                }
                continue;
            }
            // a sender's own numbers are proven by its cores; a note of its own says the last one
            if about != origin.installation || in_note {
                self.claims(tx, origin, about, time, entry)?;
            }
        }
        Ok(())
    }

    fn claims(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        about: InstallationId,
        time: Timestamp,
        entry: &pb::FrontierEntry,
    ) -> Result<(), Fault> {
        let Some(group) = self.groups.get_mut(&origin.group) else { return Ok(()) };
        let Some(account) = group.account_of(&about) else { return Ok(()) };
        if entry.epoch < group.record.joined && entry.upto > 0 {
            let known = group.exchange.before_join.entry(about).or_default();
            *known = entry.upto.max(*known);
        }
        let sender = group.sender(about, account);
        let tracker = &mut sender.tracker;
        let at = time.min(tx.now + CLOCK_FOLLOW);
        // the sender has said something since that does not bear it out
        let held = tracker.max_held();
        let contradicted = held > 0 && at <= sender.last_time;
        let beyond = entry.beyond.iter().take(FRONTIER_BEYOND).map(|h| (h.number, h.epoch));
        let top = [(entry.upto, entry.epoch)]
            .into_iter()
            .chain(beyond)
            .filter(|&(number, _)| number <= held || !contradicted)
            .filter(|&(number, epoch)| tracker.claim(number, epoch))
            .map(|(number, _)| number)
            .max();
        if let Some(top) = top {
            let claim = Claim { by: origin.installation, at, top };
            self.refresh_gaps(tx, origin.group, about, Some(claim))?;
            if let Some(group) = self.groups.get(&origin.group) {
                group.save_sender(tx, &origin.group, &about)?;
            }
        }
        Ok(())
    }

    /// Whether these MLS bytes, or this handshake, were here before.
    pub(super) fn seen(&self, tx: &Tx<'_>, group: GroupId, bytes: &[u8]) -> Result<bool, Fault> {
        Ok(tx.overlay.get(&seen_key(group, bytes))?.is_some())
    }

    pub(super) fn mark_seen(&self, tx: &Tx<'_>, group: GroupId, bytes: &[u8]) {
        let when = tx.now.as_secs().to_be_bytes().to_vec();
        tx.overlay.put(seen_key(group, bytes), when);
    }
}

/// The core, if its signature holds and its fields fit where it came from.
fn check(signed: &SignedCore, origin: &Origin) -> Result<MessageCore, RefusedReason> {
    let core = signed.verify().ok_or(RefusedReason::Core)?;
    let fits = core.group == origin.group
        && core.installation == origin.installation
        // a path that was passed over may have been longer than the one that stands
        && core.epoch <= origin.epoch + EPOCHS_AHEAD
        && core.text().is_none_or(|text| text.len() <= crate::limits::TEXT_BYTES);
    if !fits {
        return Err(RefusedReason::Core);
    }
    if core.time > origin.at + TIME_AHEAD {
        return Err(RefusedReason::Time);
    }
    Ok(core)
}

/// What is in the content of a payload, if it is a frame.
pub(super) fn frame_body(content: &[u8]) -> Option<pb::frame::Body> {
    pb::Frame::decode(content).ok()?.body
}

fn seen_key(group: GroupId, bytes: &[u8]) -> Vec<u8> {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    key("seen/", &[group.as_bytes(), &digest[..16]])
}
