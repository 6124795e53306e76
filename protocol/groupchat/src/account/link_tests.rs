//! Tests of link requests and of linking.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::account::text;
use crate::account::{
    EntryBody, EntryKind, LinkAssembler, LinkOpening, LinkRequestError, PartOutcome, Phrase,
    RootKey, make_commitment, make_nonce, make_reveal,
};
use crate::kdf::label;

const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

struct Setup {
    existing: InstallationKey,
    new: InstallationKey,
    log: Log,
    secrets: AccountSecrets,
    packages: KeyPackages,
    request: LinkRequest,
    compared: Compared,
}

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn root() -> RootKey {
    Phrase::from_entropy([1; 32]).root()
}

fn setup() -> Setup {
    let phrase = Phrase::from_entropy([1; 32]);
    let existing = InstallationKey::from_bytes(&[2; 32]);
    let new = InstallationKey::from_bytes(&[3; 32]);
    let mut log = Log::new(phrase.root().account());
    log.insert(Entry::create(&phrase.root(), &existing, NOW));
    let secrets = AccountSecrets {
        registration: RegistrationSecret::from_bytes([4; 32]),
        recovery: phrase.recovery_secret(),
        recovery_key: phrase.recovery_key(),
    };
    let packages = KeyPackages::from([(existing.id(), b"package of the first".to_vec())]);
    let request = make_request(&new, &mut rng(5));
    let compared = compare(&request, &existing, &new);
    Setup { existing, new, log, secrets, packages, request, compared }
}

/// The first three steps.
fn compare(request: &LinkRequest, by: &InstallationKey, new: &InstallationKey) -> Compared {
    let opening = LinkOpening::new(by.id(), &mut rng(11));
    let commitment = make_commitment(request, &opening);
    let nonce = make_nonce(request, new, &commitment, &mut rng(12)).expect("a good commitment");
    let reveal = make_reveal(request, by, &commitment, &nonce, &opening).expect("a good nonce");
    Compared::open(request, &commitment, &nonce, &reveal).expect("what was committed to")
}

impl Setup {
    fn offer(&self) -> Vec<u8> {
        make_offer(&self.request, &self.compared, &self.existing, &self.log, NOW)
            .expect("can offer")
    }

    fn answer(&self, offer: &[u8]) -> Result<Answered, LinkError> {
        answer_offer(&self.request, &self.compared, &self.new, offer, b"package".to_vec())
    }

    fn finish(&self, offer: &[u8], answer: &[u8]) -> Result<Finished, LinkError> {
        let (key, secrets) = (&self.existing, &self.secrets);
        let (request, compared) = (&self.request, &self.compared);
        finish(request, compared, key, offer, answer, &self.log, secrets, &self.packages)
    }
}

/// A step through seal and parts, as it travels.
fn travel(request: &LinkRequest, step: LinkStep, bytes: &[u8]) -> Vec<u8> {
    let mut assembler = LinkAssembler::new(request, step);
    let messages = request.seal(step, bytes, NOW, &mut rng(6)).expect("fits");
    for message in messages {
        assert_eq!(message.payload.len(), 16_384);
        if let PartOutcome::Whole(bytes) = assembler.push(&message) {
            return bytes.to_vec();
        }
    }
    panic!("not whole");
}

#[test]
fn a_second_installation_comes_in() {
    let setup = setup();
    let request: LinkRequest = setup.request.to_string().parse().expect("as shown");
    assert_eq!(request, setup.request);
    let offer = travel(&request, LinkStep::Offer, &setup.offer());
    let answered = setup.answer(&offer).expect("a good offer");
    assert_eq!((answered.account, answered.by), (root().account(), setup.existing.id()));
    let answer = travel(&request, LinkStep::Answer, &answered.answer);
    let finished = setup.finish(&offer, &answer).expect("a good answer");
    assert_eq!(finished.key_package, b"package");
    let done = travel(&request, LinkStep::Done, &finished.done);
    let linked =
        accept_done(&request, &setup.compared, &offer, &answer, &done).expect("a good end");
    assert_eq!(linked.log, finished.log);
    assert_eq!(linked.secrets, setup.secrets);
    assert_eq!(linked.key_packages, setup.packages);
    assert_eq!(linked.log.live().len(), 2);
    assert_eq!(linked.log.live()[&setup.new.id()].added_by, Some(setup.existing.id()));
}

#[test]
fn the_log_may_grow_meanwhile_but_not_lose_the_adder() {
    let mut setup = setup();
    let offer = setup.offer();
    let answer = setup.answer(&offer).expect("a good offer").answer;
    let root = root();
    let say = |log: &Log, live: Vec<InstallationId>| {
        let body = EntryBody {
            account: root.account(),
            parents: log.parents_for_new(),
            time: NOW,
            author: crate::account::Author::Root,
            kind: EntryKind::Root { counter: log.next_counter(NOW), live },
        };
        Entry::sign(body, SigningKey::Root(&root)).expect("well formed")
    };
    let other = InstallationKey::from_bytes(&[9; 32]);
    let rotate = EntryBody {
        account: root.account(),
        parents: setup.log.parents_for_new(),
        time: NOW,
        author: crate::account::Author::Installation(setup.existing.id()),
        kind: EntryKind::RotateCard { commitment: setup.secrets.registration.commitment() },
    };
    let rotate = Entry::sign(rotate, SigningKey::Installation(&setup.existing));
    setup.log.insert(rotate.expect("well formed"));
    let finished = setup.finish(&offer, &answer).expect("grown");
    assert_eq!(finished.log.heads().len(), 2);
    let entry = say(&setup.log, vec![other.id()]);
    setup.log.insert(entry);
    let refused = setup.finish(&offer, &answer).err();
    assert_eq!(refused, Some(LinkError::NotLive(setup.new.id())));
    let refused =
        make_offer(&setup.request, &setup.compared, &setup.existing, &setup.log, NOW).err();
    assert_eq!(refused, Some(LinkError::NotLive(setup.existing.id())));
}

#[test]
fn who_is_in_or_too_many_gets_no_offer() {
    let setup = setup();
    let again = make_request(&setup.existing, &mut rng(1));
    let refused = may_offer(&again, setup.existing.id(), &setup.log).err();
    assert_eq!(refused, Some(LinkError::AlreadyLive(setup.existing.id())));
    let mut log = setup.log.clone();
    let mut live: Vec<_> = (10..29).map(|n| InstallationKey::from_bytes(&[n; 32]).id()).collect();
    live.push(setup.existing.id());
    live.sort();
    let root = root();
    let body = EntryBody {
        account: root.account(),
        parents: log.parents_for_new(),
        time: NOW,
        author: crate::account::Author::Root,
        kind: EntryKind::Root { counter: log.next_counter(NOW), live },
    };
    log.insert(Entry::sign(body, SigningKey::Root(&root)).expect("well formed"));
    let refused = make_offer(&setup.request, &setup.compared, &setup.existing, &log, NOW).err();
    assert_eq!(refused, Some(LinkError::Full));
}

#[test]
fn steps_of_another_linking_are_refused() {
    let setup = setup();
    let offer = setup.offer();
    let answered = setup.answer(&offer).expect("a good offer");
    let other = LinkRequest::new(setup.new.id(), &mut rng(8));
    let compared = compare(&other, &setup.existing, &setup.new);
    let refused = answer_offer(&other, &compared, &setup.new, &offer, b"package".to_vec()).err();
    assert_eq!(refused, Some(LinkError::Transcript));
    // A second offer after the same request has another transcript.
    let (existing, log) = (&setup.existing, &setup.log);
    let later = make_offer(&setup.request, &setup.compared, existing, log, NOW + LATER);
    let later = later.expect("can offer");
    let refused = setup.finish(&later, &answered.answer).err();
    assert_eq!(refused, Some(LinkError::Transcript));
    // Steps out of order.
    let refused = setup.finish(&offer, &offer).err();
    assert_eq!(refused, Some(LinkError::Malformed));
    let finished = setup.finish(&offer, &answered.answer).expect("a good answer");
    let refused =
        accept_done(&setup.request, &setup.compared, &offer, &answered.answer, &answered.answer)
            .err();
    assert_eq!(refused, Some(LinkError::Malformed));
    let linked =
        accept_done(&setup.request, &setup.compared, &later, &answered.answer, &finished.done)
            .err();
    assert_eq!(linked, Some(LinkError::Transcript));
}

const LATER: std::time::Duration = std::time::Duration::from_secs(1);

#[test]
fn a_stranger_cannot_take_over() {
    let setup = setup();
    let stranger = InstallationKey::from_bytes(&[7; 32]);
    let offer = setup.offer();
    // Another installation that saw the request answers in the new one's place.
    let (request, compared) = (&setup.request, &setup.compared);
    let refused = answer_offer(request, compared, &stranger, &offer, b"package".to_vec())
        .and_then(|answered| setup.finish(&offer, &answered.answer));
    assert_eq!(refused.err(), Some(LinkError::Signature));
    // Another one ends what the first began.
    let answer = setup.answer(&offer).expect("a good offer").answer;
    let Setup { log, secrets, packages, .. } = &setup;
    let finished = finish(request, compared, &stranger, &offer, &answer, log, secrets, packages);
    let done = finished.expect("signs what it likes").done;
    let refused = accept_done(request, &setup.compared, &offer, &answer, &done).err();
    assert_eq!(refused, Some(LinkError::Signature));
    // An account that the sender is not live in.
    let foreign = may_offer(request, stranger.id(), &setup.log).err();
    assert_eq!(foreign, Some(LinkError::NotLive(stranger.id())));
}

#[test]
fn request_texts_with_faults_are_told_apart() {
    let request = setup().request;
    let text = request.to_string();
    assert_eq!(text.len(), 115);
    assert_eq!(
        format!("{request:?}"),
        format!("LinkRequest({}, ..)", request.installation().short())
    );
    let parse = |bytes: &[u8]| text::encode("wgcl", bytes).parse::<LinkRequest>();
    assert_eq!("wgc1qq".parse::<LinkRequest>(), Err(LinkRequestError::Prefix));
    assert_eq!(text[..114].parse::<LinkRequest>(), Err(LinkRequestError::Mistyped));
    assert_eq!(parse(&[]), Err(LinkRequestError::Length(0)));
    assert_eq!(parse(&[2; 65]), Err(LinkRequestError::Version(2)));
    assert_eq!(parse(&[1; 64]), Err(LinkRequestError::Length(64)));
    assert_eq!(parse(&[1; 66]), Err(LinkRequestError::Length(66)));
    assert_eq!(parse(&[&[1][..], &[0; 64]].concat()), Err(LinkRequestError::Key));
}

#[test]
fn no_two_steps_share_a_topic() {
    let request = setup().request;
    let topics: std::collections::BTreeSet<_> =
        LinkStep::ALL.iter().flat_map(|step| request.topics(*step)).collect();
    assert_eq!(topics.len(), 24);
    assert!(label::ALL.contains(&label::LINK_TOPIC));
}

proptest! {
    #[test]
    fn changed_steps_are_refused(at: Index, bit in 0..8_u32, step in 0..3_u8) {
        let setup = setup();
        let mut offer = setup.offer();
        let mut answer = setup.answer(&offer).expect("a good offer").answer;
        let mut done = setup.finish(&offer, &answer).expect("a good answer").done.to_vec();
        let bytes = [&mut offer, &mut answer, &mut done][step as usize].as_mut_slice();
        bytes[at.index(bytes.len())] ^= 1 << bit;
        prop_assert!(accept_done(&setup.request, &setup.compared, &offer, &answer, &done).is_err());
        if step == 0 {
            prop_assert!(setup.answer(&offer).is_err());
        } else if step == 1 {
            prop_assert!(setup.finish(&offer, &answer).is_err());
        }
    }

    #[test]
    fn requests_round_trip(seed: u8, installation: [u8; 32]) {
        let key = InstallationKey::from_bytes(&installation);
        let request = make_request(&key, &mut rng(seed));
        prop_assert_eq!(request.to_string().parse(), Ok(request));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let setup = setup();
        let _ = setup.answer(&bytes);
        let _ = setup.finish(&setup.offer(), &bytes);
        let _ = accept_done(&setup.request, &setup.compared, &bytes, &bytes, &bytes);
        let _ = text::encode("wgcl", &bytes[..bytes.len().min(200)]).parse::<LinkRequest>();
    }
}
