//! What people and programs ask.
//!
//! Each command checks everything before it changes anything.

use std::time::Duration;

use super::group::Group;
use super::outbox::place_key;
use super::records::{
    AccountRecord, KeptKey, MessageRecord, OutgoingKind, Secret32, Sending, key, write,
};
use super::{Fault, Inner, Stop, Tx};
use crate::account::{Card, Entry, InstallationKey, Phrase, RegistrationSecret};
use crate::api::{Answer, Command, CommandError};
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::limits::{CLOCK_FOLLOW, DESCRIPTION_BYTES, NAME_BYTES, OUTBOX_MESSAGES, TEXT_BYTES};
use crate::mls::StateId;
use crate::proto::group as pb;
use crate::{AccountId, GroupId, MessageId};

impl Inner {
    pub(super) fn command(&mut self, tx: &mut Tx<'_>, command: Command) -> Result<Answer, Stop> {
        if !self.is_live() {
            return Err(Stop::Command(CommandError::Ended));
        }
        match command {
            Command::SetLabel { installation, label } => self.set_label(tx, installation, label),
            Command::LeaveAccount => self.leave_account(tx),
            Command::Revoke { installations } => self.revoke(tx, &installations),
            Command::CreateAccount => self.create_account(tx),
            Command::Recover { phrase, stolen } => self.recover(tx, phrase, stolen),
            Command::RotateCard => self.rotate_card(tx),
            Command::RequestLink => self.request_link(tx),
            Command::AcceptLink { request } => self.accept_link(tx, &request),
            Command::ConfirmLink { digits } => self.confirm_link(tx, &digits),
            Command::CancelLink => self.cancel_link(tx),
            Command::CreateGroup { name, description } => self.create_group(tx, name, description),
            Command::SetProfile { group, name, description } => {
                self.set_profile(tx, group, name, description)
            }
            Command::Invite { group, cards } => self.invite(tx, group, &cards),
            Command::AcceptInvitation { group } => self.accept_invitation(tx, group),
            Command::DeclineInvitation { group } => self.decline_invitation(tx, group),
            Command::Send { group, text } => self.send(tx, group, text),
            Command::AskHistory => self.ask_history(tx),
            Command::DeclineHistory => self.decline_history(tx),
            Command::MarkRead { group, upto } => self.mark_read(tx, group, upto),
            Command::Remove { group, accounts } => self.remove_accounts(tx, group, &accounts),
            Command::Leave { group } => self.leave(tx, group),
            Command::SetRole { group, account, role } => self.set_role(tx, group, account, role),
            Command::SetPolicy { group, policy } => self.set_policy(tx, group, policy),
            Command::UpdateKeys { group } => self.update_leaf(tx, group),
            Command::Block { account } => self.block(tx, account),
            Command::Unblock { account } => self.unblock(tx, account),
            Command::SetInvitations { contacts_only } => self.set_contacts_only(tx, contacts_only),
        }
    }

    /// The own account, or the error that says there is none.
    pub(super) fn own(&self) -> Result<&AccountRecord, Stop> {
        self.account.as_ref().ok_or(Stop::Command(CommandError::NoAccount))
    }

    /// A group that this installation is in.
    pub(super) fn joined(&self, id: GroupId) -> Result<&Group, Stop> {
        self.groups
            .get(&id)
            .filter(|g| g.record.invitation.is_none())
            .ok_or(Stop::Command(CommandError::UnknownGroup(id)))
    }

    /// A group that this installation is in, and has not left.
    pub(super) fn inside(&self, id: GroupId) -> Result<&Group, Stop> {
        let group = self.joined(id)?;
        if group.stays() { Ok(group) } else { Err(Stop::Command(CommandError::NotInGroup(id))) }
    }

    /// The state that a group stands in.
    pub(super) fn tip_of(&self, id: GroupId) -> Result<StateId, Stop> {
        let tip = self.joined(id)?.tip().ok_or(Fault::Bug("a joined group without a state"))?;
        Ok(tip.id)
    }

    fn create_account(&mut self, tx: &mut Tx<'_>) -> Result<Answer, Stop> {
        if let Some(account) = &self.account {
            return Err(Stop::Command(CommandError::HasAccount(account.account)));
        }
        let mut rng = self.rng.clone();
        let phrase = Phrase::generate(&mut rng);
        let installation_key = InstallationKey::generate(&mut rng);
        let registration = RegistrationSecret::generate(&mut rng);
        let root = phrase.root();
        let log = vec![Entry::create(&root, &installation_key, tx.now).encode()];
        let card =
            Card { account: root.account(), registration, recovery: phrase.recovery_secret() };
        let record = AccountRecord {
            account: root.account(),
            installation: installation_key.id(),
            installation_key: KeptKey(installation_key),
            registration_secret: Secret32(*card.registration.as_bytes()),
            recovery_secret: Secret32(*card.recovery.as_bytes()),
            recovery_key: *phrase.recovery_key().as_bytes(),
            log,
            key_packages: Vec::new(),
            turn_known: true,
            register_at: tx.now + self.rng.duration_below(self.config.registration_delay),
            registered: None,
        };
        let (account, installation) = (record.account, record.installation);
        self.account = Some(record);
        let log = self.own_log()?;
        self.see_own_log(&log, tx.now);
        self.new_key_package(tx)?;
        self.save_account(tx)?;
        write(tx.overlay, key("clock", &[]), &self.clock)?;
        self.topics.clear();
        Ok(Answer::AccountCreated { account, installation, phrase, card })
    }

    pub(super) fn save_account(&self, tx: &Tx<'_>) -> Result<(), Fault> {
        if let Some(account) = &self.account {
            write(tx.overlay, key("account", &[]), account)?;
        }
        Ok(())
    }

    fn send(&mut self, tx: &mut Tx<'_>, id: GroupId, text: String) -> Result<Answer, Stop> {
        self.own()?;
        length("text", &text, 1, TEXT_BYTES)?;
        self.say(tx, id, Content::Text(text))
    }

    /// Numbers, signs, keeps and queues a message.
    pub(super) fn say(
        &mut self,
        tx: &mut Tx<'_>,
        id: GroupId,
        content: Content,
    ) -> Result<Answer, Stop> {
        let own = self.own()?;
        let (installation, account) = (own.installation, own.account);
        let signing = own.key();
        self.inside(id)?;
        self.is_the_only_one()?;
        let waiting = self.outgoing.messages_of(&id);
        if waiting >= OUTBOX_MESSAGES {
            return Err(Stop::Command(CommandError::Busy { waiting }));
        }
        let group = self.groups.get_mut(&id).ok_or(Fault::Bug("a group that was here"))?;
        let tip = group.tip().ok_or(Fault::Bug("a joined group without a state"))?;
        let (tip, epoch) = (tip.id, tip.epoch);
        // after a step back of the clock, times far ahead of it are not followed
        let now = self.peer_clock.by_peers(tx.now);
        let followed = group.send.time <= now + CLOCK_FOLLOW;
        let time = match followed {
            true => now.max(group.send.time + Duration::from_nanos(1)),
            false => now,
        };
        let core = MessageCore {
            group: id,
            installation,
            number: group.send.number + 1,
            previous: group.send.previous,
            // a path that was passed over may have been longer than this one
            epoch: group.send.previous.map_or(epoch, |(_, before)| epoch.max(before)),
            time,
            content,
        };
        let signed = SignedCore::sign(&core, &signing);
        let frontier =
            group.send.said.next(group.senders.iter().map(|(id, sender)| (id, &sender.tracker)));
        group.send.number = core.number;
        group.send.previous = Some((signed.hash(), core.epoch));
        group.send.time = time;
        group.save_send(tx, &id)?;

        let application = pb::Application {
            core: signed.bytes().to_vec(),
            signature: signed.signature().to_vec(),
            frontier,
            note: None,
            passed_over: self.passed_over(id),
        };
        let message = MessageId { group: id, installation, number: core.number };
        let content = self.encrypt_frame(tx, id, Some(message), tip, &application)?;
        let record = MessageRecord {
            account,
            core: application.core,
            signature: application.signature,
            waku_hash: super::outbox::UNSENT,
            sending: Some(Sending::Queued),
        };
        self.save_message(tx, message, time, &record)?;
        let kind = OutgoingKind::Message { id: message, state: tip };
        self.enqueue(tx, kind, content, tx.now)?;
        self.active(tx, id);
        Ok(Answer::Accepted { message })
    }

    /// Writes a message under its place in causal order, which is that of the senders' times.
    pub(super) fn save_message(
        &self,
        tx: &Tx<'_>,
        id: MessageId,
        time: crate::Timestamp,
        record: &MessageRecord,
    ) -> Result<(), Fault> {
        let time = time.as_nanos().to_be_bytes();
        let number = id.number.to_be_bytes();
        let parts = [id.group.as_bytes().as_slice(), &time, id.installation.as_bytes(), &number];
        write(tx.overlay, key("message/", &parts), record)?;
        tx.overlay.put(place_key(id.group, &id.installation, id.number), time.to_vec());
        Ok(())
    }
}

/// Checks the length of a text in bytes.
pub(super) fn length(field: &'static str, text: &str, min: usize, max: usize) -> Result<(), Stop> {
    let got = text.len();
    if (min..=max).contains(&got) {
        Ok(())
    } else {
        Err(Stop::Command(CommandError::Length { field, min, max, got }))
    }
}

/// Checks a profile.
pub(super) fn profile(name: &str, description: &str) -> Result<(), Stop> {
    length("name", name, 1, NAME_BYTES)?;
    length("description", description, 0, DESCRIPTION_BYTES)
}

/// Parses cards; none twice, none of `own`.
pub(super) fn cards(own: AccountId, texts: &[String]) -> Result<Vec<Card>, Stop> {
    let mut cards: Vec<Card> = Vec::new();
    for text in texts {
        let card: Card = text.trim().parse().map_err(|e| Stop::Command(CommandError::Card(e)))?;
        if card.account == own || cards.iter().any(|c| c.account == card.account) {
            return Err(Stop::Command(CommandError::RepeatedAccount(card.account)));
        }
        cards.push(card);
    }
    Ok(cards)
}
