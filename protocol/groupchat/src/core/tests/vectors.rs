//! The vectors of `docs/spec/vectors/groups.json`: made here, compared with the committed file.
//!
//! After a change that is meant, `WGC_WRITE_VECTORS=1 cargo test -p waku-groupchat-core vectors`
//! writes the file anew.

use std::path::Path;
use std::{env, fs};

use data_encoding::HEXLOWER;
use prost::Message as _;
use serde_json::{Value, json};

use super::hostile::{application, handshake};
use crate::account::InstallationKey;
use crate::core::agreed::{Agreed, Parameters, group_id};
use crate::core::evidence::bound;
use crate::core::invite::{ENVELOPE_CLASS, SLOT_BYTES, SLOT_PLAIN_BYTES, SLOTS};
use crate::core::log_set::digest_of;
use crate::core::members::identity;
use crate::core::topics::{group_key, group_topic, period, rejoin_key, rejoin_topic};
use crate::group::frontier::short;
use crate::group::message::{Content, MessageCore, SignedCore};
use crate::kdf::{derive_key, derive_topic, hash, label};
use crate::order::roles::Authority;
use crate::proto::group as pb;
use crate::{AccountId, GroupId, Timestamp, segment};

const FILE: &str = "docs/spec/vectors/groups.json";
const TIME: Timestamp = Timestamp::from_secs(1_767_225_600);

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first.wrapping_add(i as u8))
}

fn key() -> InstallationKey {
    InstallationKey::from_bytes(&counting(0x20))
}

fn group() -> GroupId {
    group_id(key().id(), &counting(0x10))
}

fn names() -> Value {
    let (installation, account) = (key().id(), AccountId::from_bytes(counting(0x80)));
    json!({
        "creator": installation.to_string(),
        "nonce": hex(counting::<16>(0x10)),
        "group": group().to_string(),
        "account": account.to_string(),
        "credential_identity": hex(identity(account, installation)),
        "frontier_name": format!("{:016x}", short(&installation)),
    })
}

/// Topic and key of a state in a period.
fn topics() -> Value {
    let wire = counting::<32>(0);
    let hour = std::time::Duration::from_secs(3600);
    let row = |p: u64| {
        json!({
            "period": p,
            "topic": group_topic(&wire, p).as_str(),
            "key": hex(group_key(&wire, p).as_bytes()),
        })
    };
    json!({
        "wire": hex(wire),
        "timestamp": TIME.as_nanos(),
        "topic_period": hour.as_secs(),
        "rows": [row(0), row(period(TIME, hour)), row(period(TIME, hour) + 1)],
    })
}

/// Topic and key of a state's `rejoin` secret on two days, and what is signed there.
fn rejoin() -> Value {
    let secret = counting::<32>(0x40);
    let row = |day: u64| {
        json!({
            "day": day,
            "topic": rejoin_topic(&secret, day).as_str(),
            "key": hex(rejoin_key(&secret, day).as_bytes()),
        })
    };
    let request = pb::RejoinRequest {
        group: group().as_bytes().to_vec(),
        installation: key().id().as_bytes().to_vec(),
        time: TIME.as_nanos(),
        key_package: counting::<48>(0x50).to_vec(),
        leaves: vec![counting::<32>(0x60).to_vec()],
        states: vec![counting::<32>(0x70).to_vec()],
        lost: Vec::new(),
    }
    .encode_to_vec();
    let (package, sealed) = (counting::<32>(0x80), counting::<64>(0x90));
    let answered = [package.as_slice(), &sealed].concat();
    let statement = pb::ForkStatement {
        group: group().as_bytes().to_vec(),
        installation: key().id().as_bytes().to_vec(),
        state: counting::<32>(0x70).to_vec(),
        first: hash(label::FORK_COMMIT, &[b"a commit"]).to_vec(),
    }
    .encode_to_vec();
    json!({
        "rejoin": hex(secret),
        "rows": [row(0), row(TIME.as_secs() / 86_400)],
        "request": hex(&request),
        "request_signature": hex(key().sign(label::REJOIN_REQUEST, &request)),
        "answer_package": hex(package),
        "answer_sealed": hex(sealed),
        "answer_signature": hex(key().sign(label::REJOIN_ANSWER, &answered)),
        "commit": hex(b"a commit"),
        "statement": hex(&statement),
        "statement_signature": hex(key().sign(label::FORK_STATEMENT, &statement)),
    })
}

fn extensions() -> Value {
    let agreed = Agreed {
        name: "Hütte".to_owned(),
        description: "Who brings what".to_owned(),
        authority: Authority::of_owner(AccountId::from_bytes(counting(0x80))),
        log_digest: log_digest(&[]),
    };
    let parameters = Parameters { period: 3600, creator: key().id(), nonce: counting(0x10) };
    let row = |(kind, content): (u16, Vec<u8>)| json!({ "type": kind, "content": hex(content) });
    json!(agreed.extensions(&parameters).into_iter().map(row).collect::<Vec<_>>())
}

fn log_digest(entries: &[Vec<u8>]) -> [u8; 32] {
    digest_of(entries.iter().map(|entry| hash(label::ATTACHED_ENTRY, &[entry])).collect())
}

/// Digests of none, one and two entries; the order in which entries are attached does not enter.
fn log_digests() -> Value {
    let entries = [counting::<40>(0xa0).to_vec(), counting::<7>(0xb0).to_vec()];
    let row = |entries: &[Vec<u8>]| {
        json!({
            "entries": entries.iter().map(hex).collect::<Vec<_>>(),
            "hashes": entries
                .iter()
                .map(|entry| hex(hash(label::ATTACHED_ENTRY, &[entry])))
                .collect::<Vec<_>>(),
            "digest": hex(log_digest(entries)),
        })
    };
    let reversed: Vec<_> = entries.iter().rev().cloned().collect();
    assert_eq!(log_digest(&entries), log_digest(&reversed));
    json!([row(&[]), row(&entries[..1]), row(&entries)])
}

/// Number 1, and number 2 of a later epoch.
fn cores() -> Value {
    let first = MessageCore {
        group: group(),
        installation: key().id(),
        number: 1,
        previous: None,
        epoch: 1,
        time: TIME,
        content: Content::Text("Grüezi 👋".to_owned()),
    };
    let signed = SignedCore::sign(&first, &key());
    let second = MessageCore {
        number: 2,
        previous: Some((signed.hash(), 1)),
        epoch: 3,
        time: Timestamp::from_nanos(TIME.as_nanos() + 1),
        content: Content::Text("two".to_owned()),
        ..first.clone()
    };
    let row = |core: &MessageCore| {
        let signed = SignedCore::sign(core, &key());
        json!({
            "number": core.number,
            "previous": core.previous.map(|(hash, _)| hash.to_string()),
            "previous_epoch": core.previous.map(|(_, epoch)| epoch),
            "epoch": core.epoch,
            "time": core.time.as_nanos(),
            "text": core.text(),
            "core": hex(signed.bytes()),
            "hash": signed.hash().to_string(),
            "signature": hex(signed.signature()),
        })
    };
    json!({
        "installation_seed": hex(key().to_bytes().as_slice()),
        "group": group().to_string(),
        "rows": [row(&first), row(&second)],
    })
}

/// What is around a core, and around what MLS makes.
fn messages() -> Value {
    let frontier = pb::FrontierEntry {
        installation: short(&key().id()),
        upto: 5,
        epoch: 2,
        beyond: vec![pb::Held { number: 7, epoch: 3 }],
    };
    let plain = pb::Application {
        core: b"core".to_vec(),
        signature: counting::<64>(0).to_vec(),
        frontier: vec![frontier.clone()],
        ..Default::default()
    };
    json!({
        "frontier_entry": hex(frontier.encode_to_vec()),
        "application": hex(plain.encode_to_vec()),
        "application_frame": hex(application(b"MLS message".to_vec())),
        "handshake_frame": hex(handshake(b"MLS commit".to_vec(), vec![b"entry".to_vec()])),
        "evidence": evidence(),
    })
}

/// What a commit is bound to that brings words and requests.
fn evidence() -> Value {
    let signature = counting::<64>(0).to_vec();
    let word = pb::SignedWord { core: b"core".to_vec(), signature: signature.clone() };
    let request = pb::SignedRequest { request: b"request".to_vec(), signature };
    let row = |words: &[pb::SignedWord], requests: &[pb::SignedRequest]| {
        json!({
            "words": words.iter().map(|w| hex(&w.core)).collect::<Vec<_>>(),
            "requests": requests.iter().map(|r| hex(&r.request)).collect::<Vec<_>>(),
            "signature_of_each": hex(counting::<64>(0)),
            "authenticated_data": hex(bound(words, requests)),
        })
    };
    json!([
        row(&[], &[]),
        row(std::slice::from_ref(&word), &[]),
        row(&[], std::slice::from_ref(&request)),
        row(&[word.clone(), word.clone()], std::slice::from_ref(&request)),
    ])
}

fn invitation() -> Value {
    let content_key = counting::<32>(0x60);
    let slot = pb::InvitationSlot {
        content_key: content_key.to_vec(),
        group_secrets: b"EncryptedGroupSecrets".to_vec(),
        shared_timestamp: TIME.as_waku(),
        whole: counting::<32>(0x90).to_vec(),
    };
    let shared = pb::InvitationShared {
        made: TIME.as_waku(),
        welcome: b"suite and group info".to_vec(),
        ratchet_tree: b"tree".to_vec(),
        log_entries: vec![b"entry".to_vec()],
        baselines: vec![pb::Baseline { installation: key().id().as_bytes().to_vec(), number: 9 }],
    };
    let shared = pb::Frame { body: Some(pb::frame::Body::Shared(shared)), mark: Vec::new() };
    let (length, slot) = ((slot.encoded_len() as u16).to_be_bytes(), slot.encode_to_vec());
    json!({
        "content_key": hex(content_key),
        "topic": derive_topic(&content_key, label::INVITATION_TOPIC, &[]).as_str(),
        "key": hex(derive_key(&content_key, label::INVITATION_KEY, &[]).as_bytes()),
        "shared": hex(shared.encode_to_vec()),
        "slot_before_zeros": hex([length.as_slice(), &slot].concat()),
        "sizes": {
            "slots": SLOTS,
            "slot": SLOT_BYTES,
            "slot_plain": SLOT_PLAIN_BYTES,
            "envelope_content": SLOTS * SLOT_BYTES,
            "envelope_payload": ENVELOPE_CLASS.bytes(),
        },
    })
}

/// The shares of a whole by their hashes, and small shares that repair.
fn segments() -> Value {
    let content: Vec<u8> = (0..300_000_u32).map(|i| (7 * i + i / 256) as u8).collect();
    let split = segment::split(&content).expect("a whole");
    let first = &split.segments[0];
    let hashes = first.hashes.chunks(32).map(hex).collect::<Vec<_>>();
    let data = [counting::<64>(0), counting::<64>(0x51), counting::<64>(0xa2)].map(|s| s.to_vec());
    let repair = segment::code::repair(&data, 2, 64).expect("equal shares");
    json!({
        "content": "300,000 bytes; byte i is the lowest byte of 7 * i + floor(i / 256)",
        "share_bytes": first.share.len(),
        "segments": split.segments.len(),
        "hashes": hashes,
        "name": hex(split.name.as_bytes()),
        "code": {
            "data": data.map(hex),
            "repair": repair.iter().map(hex).collect::<Vec<_>>(),
        },
    })
}

/// Notes of an account's own group: which messages somebody holds, and some of them.
fn history() -> Value {
    let (to, group) = (key().id().as_bytes().to_vec(), group().as_bytes().to_vec());
    let (nonce, account) = (0x0123_4567_89ab_cdef, counting::<32>(0x80).to_vec());
    let sender = to.clone();
    let ask = |what| pb::HistoryAsk { to: to.clone(), nonce, what: Some(what) };
    let note = |body| hex(pb::Note { body: Some(body) }.encode_to_vec());
    let range = |from, to| pb::NumberRange { from, to };
    let from = pb::HistoryFrom {
        groups: vec![group.clone()],
        after_group: group.clone(),
        after_sender: sender.clone(),
    };
    let list = pb::HistoryList {
        to: to.clone(),
        nonce,
        groups: vec![pb::HeldGroup {
            group: group.clone(),
            senders: vec![pb::HeldSender {
                installation: sender.clone(),
                account: account.clone(),
                held: vec![range(1, 6), range(9, 12)],
                missing: vec![range(7, 8)],
            }],
        }],
        more: true,
        all_groups: 2,
        all_messages: 10,
    };
    let ranges = vec![pb::WantedRange { sender, numbers: Some(range(9, 12)) }];
    let wanted = pb::HistoryWanted { groups: vec![pb::WantedGroup { group, ranges }] };
    let message = pb::HandedMessage {
        core: b"an encoded core".to_vec(),
        signature: vec![0x5a; 64],
        waku_hash: counting::<32>(0xc0).to_vec(),
    };
    let hand = pb::HistoryHand {
        to: to.clone(),
        nonce,
        senders: vec![pb::HandedFrom { account, messages: vec![message] }],
        covered: 3,
    };
    json!({
        "group": self::group().to_string(),
        "to": key().id().to_string(),
        "sender": key().id().to_string(),
        "account": AccountId::from_bytes(counting(0x80)).to_string(),
        "nonce": format!("{nonce:016x}"),
        "ask_list": note(pb::note::Body::HistoryAsk(ask(pb::history_ask::What::List(from)))),
        "list": note(pb::note::Body::HistoryList(list)),
        "ask_wanted": note(pb::note::Body::HistoryAsk(ask(pb::history_ask::What::Wanted(wanted)))),
        "hand": note(pb::note::Body::HistoryHand(hand)),
    })
}

#[test]
fn vectors_are_those_of_the_specification() {
    let vectors = json!({
        "source": "own: made by waku-groupchat-core, src/core/tests/vectors.rs",
        "names": names(),
        "topics": topics(),
        "extensions": extensions(),
        "log_digests": log_digests(),
        "cores": cores(),
        "messages": messages(),
        "invitation": invitation(),
        "segments": segments(),
        "rejoin": rejoin(),
        "history": history(),
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(FILE);
    if env::var_os("WGC_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&vectors).expect("plain values");
        fs::write(&file, text + "\n").expect("the vectors' folder can be written");
    }
    let committed = fs::read_to_string(&file).expect("the vectors are in the repository");
    let committed: Value = serde_json::from_str(&committed).expect("JSON");
    for (name, made) in vectors.as_object().expect("an object") {
        assert_eq!(&committed[name], made, "{FILE}, {name}");
    }
}
