//! What members say: decrypted, checked, numbered and kept. What they tell beside it is in
//! [`super::told`].

use prost::Message as _;
use waku_groupchat_waku::MessageHash;

use super::inbound::Carrier;
use super::loaded::Place;
use super::members;
use super::outbox::message_key;
use super::records::{MessageRecord, Sending, read};
use super::{Fault, Inner, Tx};
use crate::api::{Event, RefusedReason};
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::limits::{CLOCK_FOLLOW, EPOCHS_AHEAD, FRONTIER_BYTES, TIME_AHEAD};
use crate::mls::message::Inbound;
use crate::mls::{self, StateId};
use crate::order::mutation::{Mutation, is_active};
use crate::proto::group as pb;
use crate::{AccountId, GroupId, InstallationId, MessageId, Timestamp};

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
pub(super) struct Origin {
    pub(super) group: GroupId,
    pub(super) installation: InstallationId,
    pub(super) account: AccountId,
    /// Epoch of the state it was sealed under.
    pub(super) epoch: u64,
    pub(super) hash: MessageHash,
    /// The envelope's timestamp.
    pub(super) at: Timestamp,
    /// Who handed the message over, of the own account.
    pub(super) handed_by: Option<InstallationId>,
}

impl Inner {
    pub(super) fn application(
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
        if self.is_departed(id, sender) {
            self.mark_seen(tx, id, bytes);
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Revoked);
        }
        let handed_by = None;
        let origin = Origin { group: id, installation, account, epoch, hash, at, handed_by };
        let mut application = pb::Application::decode(plain.as_slice()).ok();
        let mut names_all = true;
        if let Some(told) = &application {
            self.told_passed_over(tx, &origin, &told.passed_over)?;
            self.look_behind(tx, id, state, at);
            names_all = self.names_all(id, &told.passed_over);
            if names_all {
                self.wait_for_quiet(tx, id);
            }
        }
        if let Some(pb::Application { frontier, note: Some(note), .. }) =
            application.take_if(|a| a.note.is_some())
        {
            self.mark_seen(tx, id, bytes);
            self.note_received(tx, &origin, note, &frontier, names_all)?;
            self.heard(tx, id, at)?;
            return self.heard_in(tx, id, installation, state, at);
        }
        let parsed = application
            .and_then(|a| Some((SignedCore::from_parts(a.core, &a.signature)?, a.frontier)));
        let Some((signed, frontier)) = parsed else {
            self.mark_seen(tx, id, bytes);
            return self.refuse(tx, Some(id), Some(installation), RefusedReason::Malformed);
        };
        let checked = self.checked(&signed, &origin);
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

    pub(super) fn read_core(
        &mut self,
        tx: &mut Tx<'_>,
        origin: &Origin,
        core: &MessageCore,
        signed: SignedCore,
    ) -> Result<(), Fault> {
        let Origin { group: id, installation, account, .. } = *origin;
        let message = MessageId { group: id, installation, number: core.number };
        let held = self.core_at(tx, message)?;
        if let Some(held) = held.filter(|_| !is_active(Mutation::NumbersRepeat)) {
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
            sending: origin.handed_by.map(Sending::HandedOver),
        };
        self.save_message(tx, message, core.time, &record)?;
        match &core.content {
            Content::Text(_) => {
                self.count_unread(tx, message, core.time, account)?;
                self.emit(tx, Event::Message { id: message, account })?;
            }
            Content::Leave(_) => self.left(tx, core, &kept)?,
            Content::Card(update) => {
                if !self.card_told(tx, id, account, update)? {
                    self.refuse(tx, Some(id), Some(installation), RefusedReason::Malformed)?;
                }
            }
            Content::Own(update) => {
                if !self.own_update(tx, installation, update)? {
                    self.refuse(tx, Some(id), Some(installation), RefusedReason::Malformed)?;
                }
            }
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
        names_all: bool,
    ) -> Result<(), Fault> {
        self.frontier(tx, origin, origin.at, frontier, NOTE_BYTES)?;
        if self.note(tx, origin, note, frontier, names_all)? {
            return Ok(());
        }
        let (id, from) = (origin.group, origin.installation);
        self.refuse(tx, Some(id), Some(from), RefusedReason::Malformed)
    }

    /// Another's message, handed over by somebody who holds it.
    pub(super) fn read_handed(&mut self, tx: &mut Tx<'_>, handed: Handed) -> Result<(), Fault> {
        let Handed { group, account, core, signed, hash } = handed;
        let (installation, epoch, at) = (core.installation, core.epoch, tx.now);
        if self.is_departed(group, (installation, account)) {
            return self.refuse(tx, Some(group), Some(installation), RefusedReason::Revoked);
        }
        let handed_by = None;
        let origin = Origin { group, installation, account, epoch, hash, at, handed_by };
        match self.checked(&signed, &origin) {
            Ok(core) => self.read_core(tx, &origin, &core, signed),
            Err(reason) => self.refuse(tx, Some(group), Some(installation), reason),
        }
    }

    /// The core, if it fits where it came from: updates of an account belong into its own group.
    pub(super) fn checked(
        &self,
        signed: &SignedCore,
        origin: &Origin,
    ) -> Result<MessageCore, RefusedReason> {
        let core = check(signed, origin)?;
        let own = matches!(core.content, Content::Own(_));
        if own && !self.is_own_group(&origin.group) { Err(RefusedReason::Core) } else { Ok(core) }
    }

    /// Whether the hashes that neighbouring cores name are those of the cores held.
    pub(super) fn chain_holds(
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
