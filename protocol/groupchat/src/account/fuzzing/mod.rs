//! Fuzz targets for what others say of accounts. Where a signature or a seal stands in the way, the
//! target makes one around the input, as a hostile holder of the keys can.

#[cfg(test)]
mod seeds;

use std::sync::LazyLock;

use prost::Message as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use waku_groupchat_waku::ContentTopic;

#[cfg(test)]
pub(crate) use self::seeds::seeds;
use super::link_step::Transcript;
use super::parts::{Assembler, PART_CLASS, PARTS, PartOutcome, PartPlaces};
use super::proto::log_entry_body::Kind;
use super::proto::{self, LinkStepBody};
use super::{
    AccountSecrets, Card, Compared, Entry, EntryBody, EntryKind, Inserted, InstallationKey,
    KeyPackages, LinkOpening, LinkRequest, LinkStep, Log, PARCEL_BYTES, Phrase, Record,
    RegistrationSecret, RootKey, SigningKey, accept_done, answer_offer, day_start, finish,
    make_commitment, make_nonce, make_offer, make_request, make_reveal, text,
};
use crate::fuzzing::{choose, chunks};
use crate::kdf::{Label, label};
use crate::seal::seal_message;
use crate::{EntryHash, Timestamp};

const DAY: u64 = 20_454;
const NOW: Timestamp = day_start(DAY);

/// Bytes that a text is made of; longer ones are only refused for it.
const TEXT_BYTES: usize = 200;

fn root() -> RootKey {
    Phrase::from_entropy([1; 32]).root()
}

/// The devices that sign: numbers 0 to 3.
fn device(number: u8) -> InstallationKey {
    InstallationKey::from_bytes(&[100 + number % 4; 32])
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([9; 32])
}

/// A signature by whoever has this public key; zeros if nobody here has it.
fn sign_as(public: &[u8], label: Label, message: &[u8]) -> Vec<u8> {
    if public == root().account().as_bytes() {
        return root().sign(label, message).to_vec();
    }
    let key = (0..4).map(device).find(|key| public == key.id().as_bytes());
    key.map_or_else(|| vec![0; 64], |key| key.sign(label, message).to_vec())
}

/// A contact card: text, or the bytes behind one.
pub(crate) fn card(data: &[u8]) -> bool {
    let Some(text) = text_of("wgc", data) else { return false };
    let Ok(card) = text.parse::<Card>() else { return false };
    assert_eq!(card.to_string(), text.trim().to_lowercase(), "one text but for its case");
    assert_eq!(card.to_string().parse(), Ok(card));
    true
}

/// A link request: text, or the bytes behind one.
pub(crate) fn link_request(data: &[u8]) -> bool {
    let Some(text) = text_of("wgcl", data) else { return false };
    let Ok(request) = text.parse::<LinkRequest>() else { return false };
    assert_eq!(request.to_string(), text.trim().to_lowercase(), "one text but for its case");
    assert_eq!(request.to_string().parse(), Ok(request));
    true
}

fn text_of(prefix: &'static str, data: &[u8]) -> Option<String> {
    match choose(data, 2) {
        (0, text) => String::from_utf8(text.to_vec()).ok(),
        (_, bytes) if bytes.len() <= TEXT_BYTES => Some(text::encode(prefix, bytes).to_string()),
        _ => None,
    }
}

/// An entry of an account log: as it comes, or a body that is signed by whom it names.
pub(crate) fn log_entry(data: &[u8]) -> bool {
    let bytes = match choose(data, 2) {
        (0, bytes) => bytes.to_vec(),
        (_, body) => signed_entry(body),
    };
    let Ok(entry) = Entry::decode(&bytes) else { return false };
    assert_eq!(entry.encode(), bytes, "one encoding");
    let mut log = Log::new(entry.body().account);
    assert_ne!(log.insert(entry.clone()), Inserted::Duplicate);
    assert!(entry.body().parents.is_empty() || log.is_empty());
    true
}

fn signed_entry(body: &[u8]) -> Vec<u8> {
    let parsed = proto::LogEntryBody::decode(body).unwrap_or_default();
    let joining = match &parsed.kind {
        Some(Kind::Create(kind)) => Some(&kind.installation),
        Some(Kind::Add(kind)) => Some(&kind.installation),
        _ => None,
    };
    let join_signature = joining.map(|new| sign_as(new, label::LOG_ENTRY_JOIN, body));
    proto::LogEntry {
        body: body.to_vec(),
        signature: sign_as(&parsed.signer, label::LOG_ENTRY, body),
        join_signature: join_signature.unwrap_or_default(),
    }
    .encode_to_vec()
}

/// A log: as it comes, or what four devices and the root write as the input says. In which order
/// its entries come must not matter.
pub(crate) fn log(data: &[u8]) -> bool {
    let account = root().account();
    let program = match choose(data, 2) {
        (0, bytes) => return Log::decode(account, bytes).is_ok_and(|log| round_trip(&log)),
        (_, program) => program,
    };
    let (mut log, mut hashes) = (Log::new(account), Vec::new());
    let entries: Vec<Entry> = program
        .chunks_exact(4)
        .take(48)
        .filter_map(|step| written(step, &hashes).inspect(|entry| hashes.push(entry.hash())))
        .collect();
    let mut backwards = Log::new(account);
    for entry in &entries {
        log.insert(entry.clone());
    }
    for entry in entries.iter().rev() {
        backwards.insert(entry.clone());
    }
    assert_eq!(log, backwards);
    assert_eq!(log.live(), backwards.live());
    assert!(round_trip(&log));
    !log.is_empty()
}

fn round_trip(log: &Log) -> bool {
    let again = Log::decode(log.account(), &log.encode()).expect("what is encoded decodes");
    assert_eq!(&again, log);
    assert_eq!(again.encode(), log.encode());
    assert_eq!(again.live(), log.live());
    assert!(log.live().len() <= super::MOST_LIVE);
    true
}

/// The entry that four bytes name: kind and author, whom it is about, and which of the last eight
/// entries are its parents.
fn written(step: &[u8], hashes: &[EntryHash]) -> Option<Entry> {
    let [what, about, parents, counter] = step.try_into().ok()?;
    let (root, key, other) = (root(), device(what >> 4), device(about));
    let by_root = what & 8 != 0;
    let signer = if by_root { SigningKey::Root(&root) } else { SigningKey::Installation(&key) };
    let kind = match what & 7 {
        0 => return Some(Entry::create(&root, &other, Timestamp::from_secs(counter.into()))),
        1..=3 => EntryKind::Add { installation: other.id() },
        4 => EntryKind::Remove,
        5 => EntryKind::Revoke { installations: vec![other.id()] },
        6 => EntryKind::RotateCard { commitment: [counter; 32] },
        _ => EntryKind::Root { counter: counter.into(), live: vec![other.id()] },
    };
    let last = hashes.iter().rev().take(8).enumerate();
    let mut parents: Vec<_> =
        last.filter(|(bit, _)| parents >> bit & 1 == 1).map(|(_, hash)| *hash).collect();
    parents.sort_unstable();
    parents.dedup();
    let body = EntryBody {
        account: root.account(),
        parents,
        time: Timestamp::from_secs(counter.into()),
        author: signer.author(),
        kind,
    };
    let EntryKind::Add { installation } = body.kind else { return Entry::sign(body, signer).ok() };
    let (account, parents, at) = (body.account, body.parents, body.time);
    let add = super::AddProposal::sign(account, parents, installation, signer, at).ok()?;
    let join = add.join(&other);
    add.complete(join).ok()
}

/// A registration record: as it comes, or a body that is signed by whom it names.
pub(crate) fn record(data: &[u8]) -> bool {
    let bytes = match choose(data, 2) {
        (0, bytes) => bytes.to_vec(),
        (_, body) => signed_record(body),
    };
    let Ok(record) = Record::verify(&bytes, root().account(), DAY, None, NOW) else {
        return false;
    };
    let signer = (0..4).map(device).find(|key| key.id() == record.installation);
    if let Some(key) = signer {
        let again = Record::sign(&key, &record.log, DAY, &record.key_packages, record.expiry);
        match again {
            Ok(again) => {
                let again = Record::verify(&again, root().account(), DAY, Some(&record.log), NOW);
                assert_eq!(again, Ok(record));
            }
            // The one encoding of a log may be longer than the one that came.
            Err(error) => assert!(matches!(error, super::RecordError::TooLarge(_)), "{error}"),
        }
    }
    true
}

fn signed_record(body: &[u8]) -> Vec<u8> {
    let signer = proto::RecordBody::decode(body).unwrap_or_default().installation;
    let signature = sign_as(&signer, label::REGISTRATION_RECORD, body);
    proto::Record { body: body.to_vec(), signature }.encode_to_vec()
}

/// Parts of parcels, each sealed for the place that its first byte names.
pub(crate) fn parcel(data: &[u8]) -> bool {
    static PLACES: LazyLock<PartPlaces> = LazyLock::new(|| {
        PartPlaces::derive(&[3; 32], label::LINK_TOPIC, label::LINK_KEY, b"fuzzing")
    });
    let (mut assembler, mut given) = (Assembler::new(PLACES.clone()), false);
    for part in chunks(data).take(PARTS + 1) {
        let (place, content) = choose(part, PARTS);
        let topic: ContentTopic = PLACES.topics()[place].clone();
        let key = PLACES.key(place);
        let Ok(message) = seal_message(key, topic, NOW, content, PART_CLASS, &mut rng()) else {
            continue;
        };
        if let PartOutcome::Whole(parcel) = assembler.push(&message) {
            assert!((1..=PARCEL_BYTES).contains(&parcel.len()));
            let mut again = Assembler::new(PLACES.clone());
            let sealed = PLACES.seal_needed(&parcel, NOW, &mut rng()).expect("it fits");
            let last = sealed.iter().map(|message| again.push(message)).next_back();
            assert_eq!(last, Some(PartOutcome::Whole(parcel)));
            given = true;
        }
    }
    given
}

/// The account into which device 1 is linked by device 0.
struct Linking {
    request: LinkRequest,
    opening: LinkOpening,
    commitment: Vec<u8>,
    nonce: Vec<u8>,
    reveal: Vec<u8>,
    compared: Compared,
    log: Log,
    secrets: AccountSecrets,
    packages: KeyPackages,
    offer: Vec<u8>,
    answer: Vec<u8>,
    #[cfg(test)]
    done: Vec<u8>,
}

static LINKING: LazyLock<Linking> = LazyLock::new(|| {
    let phrase = Phrase::from_entropy([1; 32]);
    let mut log = Log::new(phrase.root().account());
    log.insert(Entry::create(&phrase.root(), &device(0), NOW));
    let secrets = AccountSecrets {
        registration: RegistrationSecret::from_bytes([4; 32]),
        recovery: phrase.recovery_secret(),
        recovery_key: phrase.recovery_key(),
    };
    let packages = KeyPackages::from([(device(0).id(), b"package of the first".to_vec())]);
    let request = make_request(&device(1), &mut rng());
    let opening = LinkOpening::new(device(0).id(), &mut rng());
    let commitment = make_commitment(&request, &opening);
    let nonce = make_nonce(&request, &device(1), &commitment, &mut rng()).expect("an own step");
    let reveal = make_reveal(&request, &device(0), &commitment, &nonce, &opening);
    let reveal = reveal.expect("an own step");
    let compared = Compared::open(&request, &commitment, &nonce, &reveal).expect("own steps");
    let offer = make_offer(&request, &compared, &device(0), &log, NOW).expect("it can offer");
    let answer = answer_offer(&request, &compared, &device(1), &offer, b"package".to_vec());
    let answer = answer.expect("an own offer").answer;
    #[cfg(test)]
    let done = finish(&request, &compared, &device(0), &offer, &answer, &log, &secrets, &packages)
        .expect("an own answer")
        .done
        .to_vec();
    Linking {
        request,
        opening,
        commitment,
        nonce,
        reveal,
        compared,
        log,
        secrets,
        packages,
        offer,
        answer,
        #[cfg(test)]
        done,
    }
});

/// A step of linking: as it comes, or content that its proper sender signs in its proper place.
pub(crate) fn link_step(data: &[u8]) -> bool {
    let linking = &*LINKING;
    let (which, rest) = choose(data, 2 * LinkStep::ALL.len());
    let step = LinkStep::ALL[which % LinkStep::ALL.len()];
    let bytes = if which == step as usize - 1 { rest.to_vec() } else { signed_step(step, rest) };
    let Linking { request, compared, log, secrets, packages, commitment, nonce, offer, .. } =
        linking;
    match step {
        LinkStep::Commitment => make_nonce(request, &device(1), &bytes, &mut rng()).is_ok(),
        LinkStep::Nonce => {
            make_reveal(request, &device(0), commitment, &bytes, &linking.opening).is_ok()
        }
        LinkStep::Reveal => Compared::open(request, commitment, nonce, &bytes).is_ok(),
        LinkStep::Offer => {
            answer_offer(request, compared, &device(1), &bytes, b"package".to_vec()).is_ok()
        }
        LinkStep::Answer => {
            let key = &device(0);
            finish(request, compared, key, offer, &bytes, log, secrets, packages).is_ok()
        }
        LinkStep::Done => {
            let linked = accept_done(request, compared, offer, &linking.answer, &bytes);
            linked.is_ok_and(|linked| round_trip(&linked.log))
        }
    }
}

/// A step with the content of an encoded body.
fn signed_step(step: LinkStep, body: &[u8]) -> Vec<u8> {
    let linking = &*LINKING;
    let body_of = |step: &[u8]| proto::LinkStep::decode(step).unwrap_or_default().body;
    let before: [&[u8]; 5] =
        [&linking.commitment, &linking.nonce, &linking.reveal, &linking.offer, &linking.answer];
    let transcript = LinkStep::ALL
        .into_iter()
        .zip(before)
        .take(step as usize - 1)
        .fold(Transcript::new(&linking.request), |so_far, (step, bytes)| {
            so_far.after(step, &body_of(bytes))
        });
    let asking = matches!(step, LinkStep::Nonce | LinkStep::Answer);
    let sender = device(if asking { 1 } else { 0 });
    let content = LinkStepBody::decode(body).unwrap_or_default().content;
    let Some(content) = content else { return Vec::new() };
    if step == LinkStep::Commitment {
        return super::link_step::unsigned_step(transcript, content);
    }
    super::link_step::sign_step(&sender, transcript, content).unwrap_or_default()
}
