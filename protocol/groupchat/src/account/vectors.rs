//! The vectors of `docs/spec/vectors/accounts.json`: made here, compared with the committed file.
//!
//! After a change that is meant, `WGC_WRITE_VECTORS=1 cargo test -p waku-groupchat-core vectors`
//! writes the file anew.

use std::path::Path;
use std::{env, fs};

use data_encoding::HEXLOWER;
use prost::Message as _;
use rand::SeedableRng as _;
use serde_json::{Value, json};

use super::*;
use crate::kdf::{self, label};
use crate::seal::{self, SealKey, SizeClass};
use crate::{InstallationId, Timestamp};

const FILE: &str = "docs/spec/vectors/accounts.json";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);
const DAY: u64 = 20_454;

fn hex(bytes: impl AsRef<[u8]>) -> String {
    HEXLOWER.encode(bytes.as_ref())
}

fn counting<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first.wrapping_add(i as u8))
}

/// The account that all vectors are about: two installations, the second added by the first.
struct Sample {
    phrase: Phrase,
    first: InstallationKey,
    second: InstallationKey,
    registration: RegistrationSecret,
}

fn sample() -> Sample {
    Sample {
        phrase: Phrase::from_entropy(counting(0)),
        first: InstallationKey::from_bytes(&counting(0x20)),
        second: InstallationKey::from_bytes(&counting(0x40)),
        registration: RegistrationSecret::from_bytes(counting(0x60)),
    }
}

impl Sample {
    fn created(&self) -> Log {
        let mut log = Log::new(self.phrase.root().account());
        log.insert(Entry::create(&self.phrase.root(), &self.first, NOW));
        log
    }

    fn secrets(&self) -> AccountSecrets {
        AccountSecrets {
            registration: self.registration.clone(),
            recovery: self.phrase.recovery_secret(),
            recovery_key: self.phrase.recovery_key(),
        }
    }

    fn request(&self) -> LinkRequest {
        let text = text::encode(
            "wgcl",
            &[&[1][..], self.second.id().as_bytes(), &counting::<32>(0x80)].concat(),
        );
        text.parse().expect("as specified")
    }
}

fn labels() -> Value {
    let secret = counting::<32>(0);
    let context = b"context";
    let row = |label: &kdf::Label| {
        json!({
            "label": label.as_str(),
            "derive32": hex(kdf::derive::<32>(&secret, *label, context).as_slice()),
            "derive16": hex(kdf::derive::<16>(&secret, *label, context).as_slice()),
            "topic": kdf::derive_topic(&secret, *label, context).as_str(),
            "prefix": hex(label.prefix()),
            "hash": hex(kdf::hash(*label, &[context])),
        })
    };
    json!({
        "secret": hex(secret),
        "context": hex(context),
        "rows": label::ALL.iter().map(row).collect::<Vec<_>>(),
    })
}

fn sealed() -> Value {
    let (key, nonce) = (counting::<32>(0), counting::<24>(0xa0));
    let topic = kdf::topic_name(&counting(0xc0));
    let timestamp = 1_767_225_600_000_000_000_i64;
    let content = "grüße".as_bytes();
    let payload =
        seal::seal(&SealKey::from_bytes(key), &topic, timestamp, content, SizeClass::K1, &nonce);
    json!({
        "key": hex(key),
        "topic": topic.as_str(),
        "timestamp": timestamp,
        "content": hex(content),
        "nonce": hex(nonce),
        "payload": hex(payload.expect("short")),
    })
}

fn keys(sample: &Sample) -> Value {
    let phrase = &sample.phrase;
    let seeds = [&sample.first, &sample.second].map(|key| hex(key.to_bytes().as_slice()));
    json!({
        "entropy": hex(counting::<32>(0)),
        "words": phrase.words().join(" "),
        "account": phrase.root().account().to_string(),
        "recovery_secret": hex(phrase.recovery_secret().as_bytes()),
        "recovery_hpke_seed": hex(phrase.recovery_hpke_seed().as_slice()),
        "recovery_key": hex(phrase.recovery_key().as_bytes()),
        "installation_seeds": seeds,
        "installations": [sample.first.id().to_string(), sample.second.id().to_string()],
        "registration_secret": hex(sample.registration.as_bytes()),
        "card_commitment": hex(sample.registration.commitment()),
        "next_registration_secret": hex(counting::<32>(0x90)),
        "card_update": hex(RegistrationSecret::from_bytes(counting(0x90)).masked(&sample.registration)),
        "card": sample.secrets().card(phrase.root().account()).to_string(),
    })
}

fn entry(entry: &Entry) -> Value {
    json!({ "entry": hex(entry.encode()), "hash": entry.hash().to_string() })
}

/// One entry of each kind, each on the ones before. Who is live after each.
fn log(sample: &Sample) -> Value {
    let mut log = sample.created();
    let root = sample.phrase.root();
    let first = SigningKey::Installation(&sample.first);
    let second = SigningKey::Installation(&sample.second);
    let add =
        AddProposal::sign(log.account(), log.parents_for_new(), sample.second.id(), first, NOW)
            .expect("good");
    let join = add.join(&sample.second);
    log.insert(add.complete(join).expect("good"));
    let kinds: [(SigningKey<'_>, EntryKind); 4] = [
        (first, EntryKind::RotateCard { commitment: sample.registration.commitment() }),
        (second, EntryKind::Remove),
        (SigningKey::Root(&root), EntryKind::Root { counter: 1_767_225_601, live: both(sample) }),
        (first, EntryKind::Revoke { installations: vec![sample.second.id()] }),
    ];
    let mut rows: Vec<_> = log.entries().into_iter().map(entry).collect();
    rows[0]["live"] = json!([sample.first.id().to_string()]);
    rows[1]["live"] = live(&log);
    for (key, kind) in kinds {
        let body = EntryBody {
            account: log.account(),
            parents: log.parents_for_new(),
            time: NOW,
            author: key.author(),
            kind,
        };
        let signed = Entry::sign(body, key).expect("good");
        let mut row = entry(&signed);
        assert_eq!(log.insert(signed), Inserted::Applied);
        row["live"] = live(&log);
        rows.push(row);
    }
    json!(rows)
}

fn both(sample: &Sample) -> Vec<InstallationId> {
    let mut both = vec![sample.first.id(), sample.second.id()];
    both.sort();
    both
}

fn live(log: &Log) -> Value {
    json!(log.live().keys().map(ToString::to_string).collect::<Vec<_>>())
}

fn record(sample: &Sample) -> Value {
    let log = sample.created();
    let packages = KeyPackages::from([(sample.first.id(), b"key package".to_vec())]);
    let record = Record::sign(&sample.first, &log, DAY, &packages, day_start(DAY + 30));
    let record = record.expect("good");
    let key = |place: u8| {
        let context = [&DAY.to_be_bytes()[..], &[place]].concat();
        let secret = sample.registration.as_bytes();
        hex(kdf::derive_key(secret, label::REGISTRATION_KEY, &context).as_bytes())
    };
    let chunk_hash = kdf::hash(label::CHUNK_HASH, &[&record]);
    let part = |chunk: &[u8]| {
        let part = proto::Part { chunk_hashes: vec![chunk_hash.to_vec()], chunk: chunk.to_vec() };
        hex(part.encode_to_vec())
    };
    let topics = record_topics(&sample.registration, DAY).map(|topic| topic.to_string());
    let keys: Vec<_> = (0..4).map(key).collect();
    let contents = [part(&record), part(&[]), part(&[]), part(&[])];
    json!({
        "day": DAY,
        "record": hex(&record),
        "topics": topics,
        "keys": keys,
        "contents": contents,
        "parcel_id": hex(kdf::hash(label::PARCEL_HASH, &[&chunk_hash])),
        "inbox_topic": inbox_topic(&sample.registration, DAY).as_str(),
        "inbox_key": hex(inbox_key(&sample.registration, DAY).as_bytes()),
    })
}

fn recovery(sample: &Sample) -> Value {
    let (log, phrase) = (sample.created(), &sample.phrase);
    let group = RecoveryGroup {
        group: crate::GroupId::from_bytes(counting(0xd0)),
        state: counting(0xe0),
        secret: zeroize::Zeroizing::new(counting(0xf0)),
        known: vec![counting(0x10)],
    };
    let content =
        RecoveryContent { registration: sample.registration.clone(), groups: vec![group] };
    let to = phrase.recovery_key();
    let mut rng = rand_chacha::ChaCha20Rng::from_seed(counting(0xc0));
    let (first, expiry) = (&sample.first, day_start(DAY + 30));
    let made = RecoveryRecord::sign(first, &log, DAY, (&to, &content), expiry, &mut rng);
    let (record, _) = made.expect("good");
    let opened = RecoveryRecord::verify(&record, log.account(), DAY, NOW).expect("good");
    assert_eq!(opened.open(phrase), Some(content));
    let secret = phrase.recovery_secret();
    let key = |place: u8| {
        let context = [&DAY.to_be_bytes()[..], &[place]].concat();
        hex(kdf::derive_key(secret.as_bytes(), label::RECOVERY_KEY, &context).as_bytes())
    };
    json!({
        "day": DAY,
        "record": hex(&record),
        "topics": recovery_topics(&secret, DAY).map(|topic| topic.to_string()),
        "keys": (0..4).map(key).collect::<Vec<_>>(),
        "group": hex(counting::<16>(0xd0)),
        "state": hex(counting::<32>(0xe0)),
        "secret": hex(counting::<32>(0xf0)),
        "known": hex(counting::<8>(0x10)),
    })
}

fn link(sample: &Sample) -> Value {
    let (request, log) = (sample.request(), sample.created());
    let opening = LinkOpening::from_parts(sample.first.id(), counting(0xa0));
    let commitment = make_commitment(&request, &opening);
    let mut rng = rand_chacha::ChaCha20Rng::from_seed(counting(0xc0));
    let nonce = make_nonce(&request, &sample.second, &commitment, &mut rng).expect("good");
    let reveal = make_reveal(&request, &sample.first, &commitment, &nonce, &opening).expect("good");
    let compared = Compared::open(&request, &commitment, &nonce, &reveal).expect("good");
    let offer = make_offer(&request, &compared, &sample.first, &log, NOW).expect("good");
    let package = b"second package".to_vec();
    let answer = answer_offer(&request, &compared, &sample.second, &offer, package);
    let answer = answer.expect("good").answer;
    let packages = KeyPackages::from([(sample.first.id(), b"key package".to_vec())]);
    let (first, secrets) = (&sample.first, sample.secrets());
    let done = finish(&request, &compared, first, &offer, &answer, &log, &secrets, &packages);
    let steps: Vec<Value> = LinkStep::ALL
        .into_iter()
        .zip([&commitment, &nonce, &reveal, &offer, &answer, &done.expect("good").done])
        .map(|(step, bytes)| {
            let topics = request.topics(step).map(|topic| topic.to_string());
            json!({ "step": step.number(), "topics": topics, "bytes": hex(bytes) })
        })
        .collect();
    json!({
        "secret": hex(counting::<32>(0x80)),
        "request": request.to_string(),
        "opening": hex([sample.first.id().as_bytes().as_slice(), &counting::<32>(0xa0)].concat()),
        "digits": compared.digits.to_string(),
        "steps": steps,
    })
}

/// What one installation tells the others: a label, a group that was joined, one that was read.
fn own_update(sample: &Sample) -> Value {
    let (by, group) = (sample.second.id().as_bytes().to_vec(), counting::<16>(0xe0).to_vec());
    let label = proto::OwnLabel {
        installation: sample.first.id().as_bytes().to_vec(),
        text: "Laptop".to_owned(),
        time: NOW.as_nanos(),
        by: by.clone(),
    };
    let joined =
        proto::OwnGroup { group: group.clone(), mark: 1, time: NOW.as_nanos(), by: by.clone() };
    let read = proto::OwnRead { group, time: NOW.as_nanos() + 1, installation: by, number: 7 };
    let update = proto::OwnUpdate {
        labels: vec![label],
        groups: vec![joined],
        reads: vec![read],
        ..Default::default()
    };
    json!({
        "group": hex(counting::<16>(0xe0)),
        "time": NOW.as_nanos(),
        "by": sample.second.id().to_string(),
        "label": { "installation": sample.first.id().to_string(), "text": "Laptop" },
        "mark": 1,
        "read": { "time": NOW.as_nanos() + 1, "number": 7 },
        "update": hex(update.encode_to_vec()),
    })
}

#[test]
fn vectors_are_those_of_the_specification() {
    let sample = sample();
    let vectors = json!({
        "source": "own: made by waku-groupchat-core, src/account/vectors.rs",
        "labels": labels(),
        "seal": sealed(),
        "keys": keys(&sample),
        "log": log(&sample),
        "record": record(&sample),
        "recovery": recovery(&sample),
        "link": link(&sample),
        "own_update": own_update(&sample),
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

#[test]
fn the_specification_lists_every_label() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/spec/README.md");
    let text = fs::read_to_string(file).expect("the specification is in the repository");
    for label in label::ALL {
        let row = format!("\n| `{}` | ", label.as_str());
        assert_eq!(text.matches(&row).count(), 1, "the row of `{}`", label.as_str());
    }
}
