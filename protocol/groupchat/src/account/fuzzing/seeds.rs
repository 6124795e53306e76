//! Good values for the targets of accounts.

use prost::Message as _;

use super::{DAY, LINKING, NOW, device, root};
use crate::account::proto;
use crate::account::{AddProposal, Record, SigningKey, day_start};
use crate::kdf::{self, label};

/// Target, file, content.
pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let tagged = |tag: u8, rest: &[u8]| [&[tag], rest].concat();
    let linking = &*LINKING;
    let account = root().account();
    let card = linking.secrets.card(account).to_string();
    let root_bytes = [[1].as_slice(), account.as_bytes(), &[4; 32], &[5; 32]].concat();
    let request = linking.request.to_string();
    let mut log = linking.log.clone();
    let key = device(0);
    let signer = SigningKey::Installation(&key);
    let add = AddProposal::sign(account, log.heads(), device(1).id(), signer, NOW);
    let add = add.expect("a good add");
    let join = add.join(&device(1));
    let added = add.complete(join).expect("a good add");
    let body = proto::LogEntry::decode(added.encode().as_slice()).expect("own").body;
    log.insert(added.clone());
    let expiry = day_start(DAY + 20);
    let record = Record::sign(&device(0), &log, DAY, &linking.packages, expiry).expect("good");
    let record_body = proto::Record::decode(record.as_slice()).expect("own").body;
    let program: [[u8; 4]; 6] = [
        [0x08, 0, 0, 5],
        [0x01, 1, 1, 6],
        [0x12, 2, 1, 7],
        [0x05, 1, 2, 8],
        [0x26, 0, 3, 9],
        [0x0f, 2, 7, 200],
    ];
    let body_of = |step: &[u8]| proto::LinkStep::decode(step).expect("own").body;
    vec![
        ("account_card", "text", tagged(0, card.as_bytes())),
        ("account_card", "bytes", tagged(1, &root_bytes)),
        ("account_link_request", "text", tagged(0, request.as_bytes())),
        ("account_link_request", "bytes", tagged(1, &linking.request.to_bytes())),
        ("account_log", "whole", tagged(0, &log.encode())),
        ("account_log", "program", tagged(1, program.as_flattened())),
        ("account_log_entry", "whole", tagged(0, &added.encode())),
        ("account_log_entry", "body", tagged(1, &body)),
        ("account_record", "whole", tagged(0, &record)),
        ("account_record", "body", tagged(1, &record_body)),
        ("account_parcel", "one", parcel_seed()),
        ("account_link_step", "commitment", tagged(0, &linking.commitment)),
        ("account_link_step", "nonce", tagged(1, &linking.nonce)),
        ("account_link_step", "reveal", tagged(2, &linking.reveal)),
        ("account_link_step", "offer", tagged(3, &linking.offer)),
        ("account_link_step", "answer", tagged(4, &linking.answer)),
        ("account_link_step", "done", tagged(5, &linking.done)),
        ("account_link_step", "commitment-body", tagged(6, &body_of(&linking.commitment))),
        ("account_link_step", "nonce-body", tagged(7, &body_of(&linking.nonce))),
        ("account_link_step", "reveal-body", tagged(8, &body_of(&linking.reveal))),
        ("account_link_step", "offer-body", tagged(9, &body_of(&linking.offer))),
        ("account_link_step", "answer-body", tagged(10, &body_of(&linking.answer))),
        ("account_link_step", "done-body", tagged(11, &body_of(&linking.done))),
    ]
}

/// A short parcel and an unneeded part.
fn parcel_seed() -> Vec<u8> {
    let hash = kdf::hash(label::CHUNK_HASH, &[b"chunk"]).to_vec();
    let part = |place: u8, chunk: &[u8]| {
        let part = proto::Part { chunk_hashes: vec![hash.clone()], chunk: chunk.to_vec() };
        let part = [&[place], part.encode_to_vec().as_slice()].concat();
        [&(part.len() as u16).to_be_bytes(), part.as_slice()].concat()
    };
    [part(3, b""), part(0, b"chunk")].concat()
}
