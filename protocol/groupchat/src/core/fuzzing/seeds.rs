//! Good values for the targets of the core, of groups and of MLS.

use prost::Message as _;

use super::pair::{PAIR, config};
use super::{CONTENT_KEY, first_core, signed, spoken, tip, wire};
use crate::Timestamp;
use crate::api::{Command, CommandId, Input, Output, PublishKind};
use crate::core::topics::{group_key, period};
use crate::core::{Core, members};
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::kdf::{derive_key, label};
use crate::mls;
use crate::proto::group as pb;
use crate::seal::open_message;
use crate::store::MemoryStore;

/// Target, file, content; with one that was not refused once.
pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let tagged = |tag: u8, rest: &[u8]| [&[tag], rest].concat();
    let piece = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let alice = PAIR.alice();
    let entry = |upto, number| pb::FrontierEntry {
        installation: 1,
        upto,
        epoch: 1,
        beyond: vec![pb::Held { number, epoch: 1 }],
    };
    let plain = signed(&first_core());
    let frontier = pb::Application { frontier: vec![entry(1, 3)], ..plain.clone() };
    let pb_frame = pb::Frame::decode(spoken(&plain.encode_to_vec()).as_slice()).expect("own");
    let Some(pb::frame::Body::Application(message)) = pb_frame.body.clone() else {
        panic!("an application message")
    };
    let group = &alice.inner.groups[&PAIR.group];
    let agreed = group.agreed().expect("joined").extensions(&group.parameters());
    let agreed: Vec<u8> = agreed.iter().flat_map(|(_, content)| piece(content)).collect();
    let (installation, account) = group.members()[0];
    let (slot, shared) = invited();
    let welcome = mls::welcome::assemble(&shared.welcome, &slot.group_secrets).expect("own parts");
    let welcome_parts =
        [&shared.welcome, &slot.group_secrets, &shared.ratchet_tree].map(|part| piece(part));
    let account_of_alice = alice.inner.account.as_ref().expect("made");
    let package = &account_of_alice.key_packages[0].1;
    let shared_frame =
        pb::Frame { body: Some(pb::frame::Body::Shared(shared)), mark: Vec::new() }.encode_to_vec();
    let commit = renamed();
    // with no log entries: those that are attached already are refused
    let handshake = piece(&commit);
    vec![
        ("group_frame", "application", pb_frame.encode_to_vec()),
        ("group_application", "frontier", frontier.encode_to_vec()),
        ("group_inbound", "frame", tagged(1, &pb_frame.encode_to_vec())),
        ("group_inbound", "message", tagged(2, &message)),
        ("group_inbound", "plain", tagged(4, &plain.encode_to_vec())),
        ("group_inbound", "core", tagged(5, &first_core())),
        ("group_inbound", "frontier", tagged(6, &frontier.encode_to_vec())),
        ("group_inbound", "commit", tagged(3, &handshake)),
        ("group_history", "ask", note(ask_wanted())),
        ("group_history", "list", note(listed(&alice))),
        ("group_history", "hand", note(handed(&alice))),
        ("group_history", "refused-other", note(pb::note::Body::Bucket(pb::Bucket { number: 1 }))),
        ("group_invitation", "slot", tagged(1, &slot.encode_to_vec())),
        (
            "group_invitation",
            "shared",
            tagged(2, &[piece(&slot.group_secrets), piece(&shared_frame)].concat()),
        ),
        ("account_own_update", "whole", told(alice.inner.own_log().expect("whole"))),
        ("account_own_update", "refused-cut-off", vec![0x0a, 9, 1]),
        ("group_extensions", "identity", tagged(0, &members::identity(account, installation))),
        ("group_extensions", "agreed", tagged(1, &agreed)),
        ("mls_key_package", "own", package.clone()),
        ("mls_key_package", "refused-cut-off", package[..package.len() - 1].to_vec()),
        ("mls_message", "application", message),
        ("mls_message", "commit", commit),
        ("mls_welcome", "whole", tagged(0, &welcome)),
        ("mls_welcome", "parts", tagged(1, &welcome_parts.concat())),
    ]
}

fn note(body: pb::note::Body) -> Vec<u8> {
    pb::Note { body: Some(body) }.encode_to_vec()
}

/// A question for Alice's messages.
fn ask_wanted() -> pb::note::Body {
    let alice = PAIR.alice().account().expect("memory").expect("made").installation;
    let range = pb::WantedRange {
        sender: alice.as_bytes().to_vec(),
        numbers: Some(pb::NumberRange { from: 1, to: 9 }),
    };
    let group = pb::WantedGroup { group: PAIR.group.as_bytes().to_vec(), ranges: vec![range] };
    let wanted = pb::HistoryWanted { groups: vec![group] };
    let what = Some(pb::history_ask::What::Wanted(wanted));
    pb::note::Body::HistoryAsk(pb::HistoryAsk { to: vec![7; 32], nonce: 1, what })
}

/// Somebody holds messages of Alice that Bob does not, and lacks one.
fn listed(alice: &Core<MemoryStore>) -> pb::note::Body {
    let account = alice.account().expect("memory").expect("made");
    let sender = pb::HeldSender {
        installation: account.installation.as_bytes().to_vec(),
        account: account.account.as_bytes().to_vec(),
        held: vec![pb::NumberRange { from: 1, to: 30 }, pb::NumberRange { from: 32, to: 40 }],
        missing: vec![pb::NumberRange { from: 31, to: 31 }],
    };
    let group = PAIR.group.as_bytes().to_vec();
    pb::note::Body::HistoryList(pb::HistoryList {
        to: vec![7; 32],
        nonce: 1,
        groups: vec![pb::HeldGroup { group, senders: vec![sender] }],
        more: false,
        all_groups: 1,
        all_messages: 39,
    })
}

/// One of them.
fn handed(alice: &Core<MemoryStore>) -> pb::note::Body {
    let account = alice.inner.account.as_ref().expect("made");
    let core = MessageCore {
        group: PAIR.group,
        installation: account.installation,
        number: 30,
        previous: Some((crate::CoreHash::from_bytes([5; 32]), 0)),
        epoch: 0,
        time: PAIR.now,
        content: Content::Text("Before".to_owned()),
    };
    let signed = SignedCore::sign(&core, &account.key());
    let message = pb::HandedMessage {
        core: signed.bytes().to_vec(),
        signature: signed.signature().to_vec(),
        waku_hash: vec![6; 32],
    };
    let from =
        pb::HandedFrom { account: account.account.as_bytes().to_vec(), messages: vec![message] };
    pb::note::Body::HistoryHand(pb::HistoryHand {
        to: vec![7; 32],
        nonce: 1,
        senders: vec![from],
        covered: 1,
    })
}

/// One of everything that installations of an account tell each other.
fn told(log: crate::account::Log) -> Vec<u8> {
    use crate::account::proto;
    let (installation, by) = (vec![7; 32], vec![8; 32]);
    proto::OwnUpdate {
        log_entries: log.encoded_entries(),
        key_packages: vec![proto::KeyPackage {
            installation: installation.clone(),
            key_package: b"package".to_vec(),
        }],
        labels: vec![proto::OwnLabel {
            installation,
            text: "Laptop".to_owned(),
            time: PAIR.now.as_nanos(),
            by: by.clone(),
        }],
        groups: vec![proto::OwnGroup {
            group: PAIR.group.as_bytes().to_vec(),
            mark: 2,
            time: PAIR.now.as_nanos(),
            by,
        }],
        registration_secret: vec![9; 32],
        whole: true,
        reads: vec![proto::OwnRead {
            group: PAIR.group.as_bytes().to_vec(),
            time: PAIR.now.as_nanos(),
            installation: vec![7; 32],
            number: 3,
        }],
    }
    .encode_to_vec()
}

/// A commit by Alice that names the group anew.
fn renamed() -> Vec<u8> {
    let mut alice = PAIR.alice();
    let (name, description) = ("Cabin".to_owned(), String::new());
    let command = Command::SetProfile { group: PAIR.group, name, description };
    alice.handle(PAIR.now, Input::Connectivity { relay_peers: 1, store_peers: 1 }).expect("memory");
    alice.handle(PAIR.now, Input::Command(CommandId(1), command)).expect("memory");
    let published = std::iter::from_fn(|| alice.poll_output()).find_map(|output| match output {
        Output::Publish(publish) if publish.kind == PublishKind::Commit(PAIR.group) => {
            Some(publish.message)
        }
        _ => None,
    });
    let message = published.expect("a commit");
    let at = Timestamp::from_waku(message.timestamp.expect("stamped"));
    let key = group_key(wire(tip(&PAIR.bob())), period(at, config().topic_period));
    let content = open_message(&key, &message).expect("an own seal");
    match pb::Frame::decode(content.as_slice()).expect("an own frame").body {
        Some(pb::frame::Body::Handshake(handshake)) => handshake.commit,
        other => panic!("a commit, not {other:?}"),
    }
}

/// The slot for Bob and the shared part by which he was invited.
fn invited() -> (pb::InvitationSlot, pb::InvitationShared) {
    let mut bob = PAIR.uninvited();
    for message in &PAIR.wire {
        bob.handle(PAIR.now, Input::Message(message.clone())).expect("memory");
        if let Some(awaited) = bob.inner.awaited.values().next().cloned() {
            let key = derive_key(&awaited.content_key.0, label::INVITATION_KEY, &[]);
            let content = PAIR.wire.iter().find_map(|message| open_message(&key, message).ok());
            let content = content.expect("the shared part was published");
            let frame = pb::Frame::decode(content.as_slice()).expect("own");
            let Some(pb::frame::Body::Shared(shared)) = frame.body else { panic!("a shared part") };
            let slot = pb::InvitationSlot {
                content_key: CONTENT_KEY.to_vec(),
                group_secrets: awaited.group_secrets,
                shared_timestamp: awaited.at.as_waku(),
                whole: Vec::new(),
            };
            return (slot, shared);
        }
    }
    panic!("no envelope for Bob")
}
