//! Fuzz targets that need a core: a member is given whatever another member, an inviter, or anybody
//! with the keys can make.

mod pair;
#[cfg(test)]
mod seeds;

use std::time::Duration;

use prost::Message as _;
use waku_groupchat_waku::{ContentTopic, WakuMessage};

use self::pair::{PAIR, config, open};
#[cfg(test)]
pub(crate) use self::seeds::seeds;
use super::agreed::Agreed;
use super::invite::{ENVELOPE_CLASS, SLOT_BYTES, SLOT_PLAIN_BYTES, SLOTS};
use super::loaded::Place;
use super::records::StateRecord;
use super::topics::{group_key, group_topic, period};
use super::{Core, join, members};
use crate::account::{inbox_key, inbox_topic};
use crate::api::{Event, Input, Output};
use crate::fuzzing::{choose, chunks};
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::kdf::{SealKey, derive_key, derive_topic, label};
use crate::mls::message::Inbound;
use crate::mls::{self, CoreRng};
use crate::proto::group as pb;
use crate::seal::{SizeClass, seal_message};
use crate::store::MemoryStore;

/// The secret that an invitation's shared part is derived from.
const CONTENT_KEY: [u8; 32] = [7; 32];

fn tip(core: &Core<MemoryStore>) -> &StateRecord {
    core.inner.groups[&PAIR.group].tip().expect("joined")
}

/// The secret that a state's topics and seals come from.
fn wire(state: &StateRecord) -> &[u8; 32] {
    &state.keys.as_ref().expect("inside").wire.0
}

fn sealed(key: &SealKey, topic: ContentTopic, content: &[u8]) -> Option<WakuMessage> {
    let class = SizeClass::fitting(content.len())?;
    seal_message(key, topic, PAIR.now, content, class, &mut CoreRng::new([5; 32])).ok()
}

/// A payload of the group around any content.
fn to_group(content: &[u8]) -> Option<WakuMessage> {
    let (alice, period) = (PAIR.alice(), period(PAIR.now, config().topic_period));
    let wire = wire(tip(&alice));
    sealed(&group_key(wire, period), group_topic(wire, period), content)
}

fn frame(body: pb::frame::Body) -> Vec<u8> {
    pb::Frame { body: Some(body), mark: Vec::new() }.encode_to_vec()
}

/// Any plaintext as Alice encrypts it.
fn spoken(plain: &[u8]) -> Vec<u8> {
    let mut alice = PAIR.alice();
    let (state, key) = (tip(&alice).id, alice.inner.account.as_ref().expect("made").key());
    let mut encrypted = Vec::new();
    let done = alice.run(PAIR.now, |inner, tx| {
        encrypted =
            inner.with_mls(tx, Place::now(PAIR.group, state), true, |group, provider| {
                mls::group::encrypt(group, provider, &key, plain)
            })?;
        Ok(())
    });
    done.expect("memory");
    frame(pb::frame::Body::Application(encrypted))
}

/// A core as Alice signs it.
fn signed(core: &[u8]) -> pb::Application {
    let key = PAIR.alice().inner.account.as_ref().expect("made").key();
    let signature = key.sign(label::MESSAGE_CORE, core).to_vec();
    pb::Application { core: core.to_vec(), signature, ..Default::default() }
}

/// What comes to Bob on the group's topic: bytes on it; any content under its seal; any MLS
/// message, commit, plaintext, core or frontier, as Alice could make it.
pub(crate) fn inbound(data: &[u8]) -> bool {
    let (layer, rest) = choose(data, 7);
    let content = match layer {
        0 => return delivered(&mut PAIR.bob(), on_topic(rest)),
        1 => rest.to_vec(),
        2 => frame(pb::frame::Body::Application(rest.to_vec())),
        3 => {
            let mut parts = chunks(rest).map(<[u8]>::to_vec);
            let commit = parts.next().unwrap_or_default();
            let log_entries = parts.take(64).collect();
            let handshake = pb::Handshake { commit, log_entries, ..pb::Handshake::default() };
            frame(pb::frame::Body::Handshake(handshake))
        }
        4 => spoken(rest),
        5 => spoken(&signed(rest).encode_to_vec()),
        _ => {
            let frontier = pb::Application::decode(rest).unwrap_or_default().frontier;
            let core = first_core();
            spoken(&pb::Application { frontier, ..signed(&core) }.encode_to_vec())
        }
    };
    to_group(&content).is_some_and(|message| delivered(&mut PAIR.bob(), message))
}

fn on_topic(payload: &[u8]) -> WakuMessage {
    let mut message = to_group(&[]).expect("an empty content fits");
    message.payload = payload.to_vec();
    message
}

/// Alice's first core, as she would sign it.
fn first_core() -> Vec<u8> {
    let alice = PAIR.alice();
    let account = alice.inner.account.as_ref().expect("made");
    let core = MessageCore {
        group: PAIR.group,
        installation: account.installation,
        number: 1,
        previous: None,
        epoch: tip(&alice).epoch,
        time: PAIR.now,
        content: Content::Text("Hello".to_owned()),
    };
    SignedCore::sign(&core, &account.key()).bytes().to_vec()
}

/// Gives a core a message, lets what follows from it fall due, and looks at everything: there is no
/// fault, and what is in memory is what is on disk. Whether the message was good.
fn delivered(core: &mut Core<MemoryStore>, message: WakuMessage) -> bool {
    const FAULT: &str = "nothing that others send is a fault";
    core.handle(PAIR.now, Input::Message(message)).expect(FAULT);
    core.handle_timeout(PAIR.now + Duration::from_secs(3600)).expect(FAULT);
    let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
    let again = open(core.store().clone(), 6, PAIR.now);
    let fault = "memory";
    assert_eq!(core.groups().expect(fault), again.groups().expect(fault));
    assert_eq!(core.gaps(None).expect(fault), again.gaps(None).expect(fault));
    assert_eq!(core.invitations().expect(fault), again.invitations().expect(fault));
    let messages = |core: &Core<_>| core.messages(PAIR.group, None, 9).expect(fault);
    assert_eq!(messages(core), messages(&again));
    let refused = |output: &Output| match output {
        Output::Refused(_) => true,
        Output::Event(record) => matches!(record.event, Event::Refused { .. }),
        _ => false,
    };
    !outputs.is_empty() && !outputs.iter().any(refused)
}

/// What comes to Bob as an invitation: an envelope of any content, an envelope with any slot for
/// him, or any shared part after a good envelope.
pub(crate) fn invitation(data: &[u8]) -> bool {
    let mut bob = PAIR.uninvited();
    match choose(data, 3) {
        (0, content) => {
            let mut content = content.to_vec();
            content.resize(SLOTS * SLOT_BYTES, 0);
            let message = enveloped(&bob, &content);
            delivered(&mut bob, message)
        }
        (1, slot) => {
            let parsed = join::parse_slot(&padded(slot));
            if let Some(parsed) = &parsed {
                let again = join::parse_slot(&padded(&parsed.encode_to_vec()));
                assert!(again.as_ref() == Some(parsed), "what is encoded decodes");
            }
            let content = slot_for(&mut bob, slot);
            let message = enveloped(&bob, &content);
            delivered(&mut bob, message) && parsed.is_some()
        }
        (_, parts) => {
            let mut parts = chunks(parts);
            let group_secrets = parts.next().unwrap_or_default().to_vec();
            let shared = parts.next().unwrap_or_default();
            let slot = pb::InvitationSlot {
                content_key: CONTENT_KEY.to_vec(),
                group_secrets,
                shared_timestamp: PAIR.now.as_waku(),
                whole: Vec::new(),
            };
            let content = slot_for(&mut bob, &slot.encode_to_vec());
            let envelope = enveloped(&bob, &content);
            if !delivered(&mut bob, envelope) {
                // Longer than a slot.
                return false;
            }
            let key = derive_key(&CONTENT_KEY, label::INVITATION_KEY, &[]);
            let topic = derive_topic(&CONTENT_KEY, label::INVITATION_TOPIC, &[]);
            sealed(&key, topic, shared).is_some_and(|message| delivered(&mut bob, message))
        }
    }
}

/// A slot's plaintext around any content; longer content is cut off.
fn padded(content: &[u8]) -> Vec<u8> {
    let content = &content[..content.len().min(SLOT_PLAIN_BYTES - 2)];
    let mut plain = (content.len() as u16).to_be_bytes().to_vec();
    plain.extend_from_slice(content);
    plain.resize(SLOT_PLAIN_BYTES, 0);
    plain
}

/// An envelope's content whose first slot is for Bob.
fn slot_for(bob: &mut Core<MemoryStore>, content: &[u8]) -> Vec<u8> {
    let mut slots = Vec::new();
    let done = bob.run(PAIR.now, |inner, tx| {
        let account = inner.account.as_ref().expect("made");
        let own = account.key_packages.iter().find(|(i, _)| *i == account.installation);
        let (_, package) = own.expect("an own package");
        slots = mls::slot::seal(
            &inner.global_provider(tx),
            package,
            mls::slot::Use::Slot,
            &padded(content),
        )
        .expect("an own package parses");
        Ok(())
    });
    done.expect("memory");
    slots.resize(SLOTS * SLOT_BYTES, 0);
    slots
}

fn enveloped(bob: &Core<MemoryStore>, content: &[u8]) -> WakuMessage {
    let secret = bob.inner.account.as_ref().expect("made").registration();
    let day = period(PAIR.now, config().registration_period);
    let (key, topic) = (inbox_key(&secret, day), inbox_topic(&secret, day));
    let rng = &mut CoreRng::new([5; 32]);
    seal_message(&key, topic, PAIR.now, content, ENVELOPE_CLASS, rng).expect("it fits")
}

/// What another installation of the own account tells.
pub(crate) fn own_update(data: &[u8]) -> bool {
    let mut bob = PAIR.bob();
    let mut good = false;
    let done = bob.run(PAIR.now, |inner, tx| {
        let from = crate::InstallationId::from_bytes([7; 32]);
        good = inner.own_update(tx, from, data)?;
        Ok(())
    });
    done.expect("memory");
    // whatever was told, what is kept of it can be read
    let known = bob.installations().expect("memory");
    let again = Core::open(bob.into_store(), config(), [1; 32], PAIR.now).expect("memory");
    assert_eq!(again.installations().expect("memory"), known);
    good
}

/// A note about messages of before, from another installation of the own account.
pub(crate) fn history(data: &[u8]) -> bool {
    let Ok(pb::Note { body: Some(body) }) = pb::Note::decode(data) else { return false };
    let note = pb::Note { body: Some(body.clone()) };
    assert_eq!(pb::Note::decode(note.encode_to_vec().as_slice()), Ok(note));
    let mut bob = PAIR.bob();
    let mut good = false;
    let done = bob.run(PAIR.now, |inner, tx| {
        let from = crate::InstallationId::from_bytes([7; 32]);
        good = inner.take_history_note(tx, from, body)?;
        Ok(())
    });
    done.expect("memory");
    // whatever was taken, what is kept of it can be read
    let read = |core: &Core<MemoryStore>| {
        let messages = core.messages(PAIR.group, None, usize::MAX).expect("memory");
        (messages, core.gaps(None).expect("memory"), core.history().expect("memory"))
    };
    let known = read(&bob);
    let again = Core::open(bob.into_store(), config(), [1; 32], PAIR.now).expect("memory");
    assert_eq!(read(&again), known);
    good
}

/// What a group's context says, and whose a leaf is.
pub(crate) fn extensions(data: &[u8]) -> bool {
    let (kind, rest) = choose(data, 2);
    if kind == 0 {
        let Some((installation, account)) = members::parse_identity(rest) else { return false };
        assert_eq!(members::identity(account, installation), rest, "one encoding");
        return true;
    }
    let list: Vec<(u16, Vec<u8>)> = chunks(rest)
        .take(8)
        .zip(0xF7A0..)
        .map(|(content, kind)| (kind, content.to_vec()))
        .collect();
    let Some(agreed) = Agreed::parse(&list) else { return false };
    let (set, parameters) = agreed.clone();
    assert_eq!(Agreed::parse(&set.extensions(&parameters)), Some(agreed));
    true
}

/// An MLS message as Bob's MLS state takes it, without seal and frame.
pub(crate) fn receive(data: &[u8]) -> bool {
    let mut bob = PAIR.bob();
    let state = tip(&bob).id;
    let mut good = false;
    let done = bob.run(PAIR.now, |inner, tx| {
        let inbound =
            inner.with_mls(tx, Place::now(PAIR.group, state), true, |group, provider| {
                mls::message::receive(group, provider, data)
            })?;
        good = !matches!(inbound, Inbound::Refused(_));
        Ok(())
    });
    done.expect("nothing that others send is a fault");
    good
}
