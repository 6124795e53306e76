//! How an entry of the queue leaves: MLS bytes of a state, sealed for a topic and a time.

use std::time::Duration;

use prost::Message as _;
use waku_groupchat_waku::WakuMessage;

use super::loaded::Place;
use super::outbox::message_key;
use super::records::{MessageRecord, OutgoingKind, OutgoingRecord, read};
use super::topics::{group_key, group_topic, period, rejoin_key, rejoin_topic};
use super::{Fault, Inner, Tx};
use crate::account::{RegistrationSecret, inbox_key, inbox_topic};
use crate::kdf::{derive_key, derive_topic, label};
use crate::mls::{self, StateId};
use crate::proto::group as pb;
use crate::seal::{SizeClass, seal_message};
use crate::{GroupId, MessageId, Timestamp, segment};

/// Own messages of a state are counted up to this many before its secrets are written: so many keys
/// are passed over when it is loaded.
const SEALED_UNWRITTEN: u32 = 64;

impl Inner {
    /// A message whose state is not the tip any more goes out as a message of the tip, if nobody
    /// had it under the old one or that one is out of the window: the same core in new MLS bytes.
    pub(super) fn seal_under_tip(
        &mut self,
        tx: &Tx<'_>,
        record: &mut OutgoingRecord,
    ) -> Result<(), Fault> {
        let OutgoingKind::Message { id, state } = record.kind else { return Ok(()) };
        let Some(tip) = self.groups.get(&id.group).and_then(|g| g.tip()) else { return Ok(()) };
        let (tip, open) = (tip.id, tip.keys.is_some());
        let unread = record.attempts == 0 || self.wire_of(&id.group, &state).is_none();
        if tip == state || !unread || !open {
            return Ok(());
        }
        let Some(at) = message_key(tx, id)? else { return Ok(()) };
        let Some(message) = read::<MessageRecord>(tx.overlay, &at)? else { return Ok(()) };
        let application = pb::Application {
            core: message.core,
            signature: message.signature,
            frontier: Vec::new(),
            note: None,
            passed_over: self.passed_over(id.group),
        };
        record.content = self.encrypt_frame(tx, id.group, Some(id), tip, &application)?;
        record.kind = OutgoingKind::Message { id, state: tip };
        Ok(())
    }

    /// An application message under a state, as the content of a payload. That it took a key is
    /// written with whatever says that it is to be sent, in one batch: no key is used twice,
    /// whenever the process ends.
    pub(super) fn encrypt_frame(
        &mut self,
        tx: &Tx<'_>,
        group: GroupId,
        message: Option<MessageId>,
        state: StateId,
        application: &pb::Application,
    ) -> Result<Vec<u8>, Fault> {
        let own = self.account.as_ref().ok_or(Fault::Bug("a message without an account"))?;
        let signing = own.key();
        let place = Place::now(group, state);
        let counted = mls::group::sealed(&self.provider(tx, place.view(false)))?;
        let written = counted + 1 >= SEALED_UNWRITTEN;
        let sealed = self.with_mls(tx, place, written, |mls_group, provider| {
            let content = application.encode_to_vec();
            match written {
                true => mls::group::encrypt(mls_group, provider, &signing, &content),
                false => mls::group::encrypt_counted(mls_group, provider, &signing, &content),
            }
        })?;
        if written && let Some(loaded) = self.loaded.get_mut(&place) {
            loaded.unwritten = 0;
        }
        self.mark_seen(tx, group, &sealed);
        self.note_made(tx, group, state, &sealed)?;
        if let Some(message) = message {
            self.note_sealed(tx, state, message);
        }
        let mark = super::copied::mark(&signing, &sealed);
        let body = Some(pb::frame::Body::Application(sealed));
        Ok(pb::Frame { body, mark }.encode_to_vec())
    }

    pub(super) fn sealed(
        &self,
        record: &OutgoingRecord,
        timestamp: Timestamp,
    ) -> Result<Option<WakuMessage>, Fault> {
        let (key, topic, class) = match &record.kind {
            OutgoingKind::Message { id: MessageId { group, .. }, state }
            | OutgoingKind::Commit { group, state }
            | OutgoingKind::CommitAgain { group, state }
            | OutgoingKind::History { group, state }
            | OutgoingKind::Note { group, state, .. } => {
                let Some((wire, length)) = self.wire_of(group, state) else { return Ok(None) };
                let period = period(timestamp, Duration::from_secs(length));
                let class = SizeClass::fitting(record.content.len());
                (group_key(&wire, period), group_topic(&wire, period), class)
            }
            OutgoingKind::InvitationShared { content_key, .. } => (
                derive_key(&content_key.0, label::INVITATION_KEY, &[]),
                derive_topic(&content_key.0, label::INVITATION_TOPIC, &[]),
                SizeClass::fitting(record.content.len()),
            ),
            OutgoingKind::InvitationEnvelope { registration_secret, .. } => {
                let period = period(timestamp, self.config.registration_period);
                let secret = RegistrationSecret::from_bytes(registration_secret.0);
                (
                    inbox_key(&secret, period),
                    inbox_topic(&secret, period),
                    Some(super::invite::ENVELOPE_CLASS),
                )
            }
            OutgoingKind::Rejoin { group, name } => {
                let secret = self.rejoin_secret(group, name);
                let Some(secret) = secret.or_else(|| self.return_secret(group, name)) else {
                    return Ok(None);
                };
                let day = period(timestamp, crate::limits::PERIOD);
                let class = SizeClass::fitting(record.content.len());
                (rejoin_key(&secret, day), rejoin_topic(&secret, day), class)
            }
            OutgoingKind::Registration { period, part } => {
                return self.seal_part(&record.content, *period, *part, timestamp).map(Some);
            }
            OutgoingKind::Recovery { period, part } => {
                return self
                    .seal_recovery_part(&record.content, *period, *part, timestamp)
                    .map(Some);
            }
            OutgoingKind::Link => {
                return WakuMessage::decode(&record.content)
                    .map(Some)
                    .map_err(|_| Fault::Bug("a queued message that does not decode"));
            }
        };
        // segments are of one class, whatever is in them
        let class = if record.part.is_some() { Some(segment::CLASS) } else { class };
        let class = class.ok_or(Fault::Bug("a queue entry over the largest class"))?;
        let mut rng = self.rng.clone();
        seal_message(&key, topic, timestamp, &record.content, class, &mut rng)
            .map(Some)
            .map_err(|_| Fault::Bug("a queue entry that cannot be sealed"))
    }

    /// The wire secret of a kept state, and the group's period in seconds.
    fn wire_of(&self, group: &GroupId, state: &StateId) -> Option<([u8; 32], u64)> {
        let group = self.groups.get(group)?;
        let keys = group.state(*state)?.keys.as_ref()?;
        Some((keys.wire.0, group.record.period))
    }
}
