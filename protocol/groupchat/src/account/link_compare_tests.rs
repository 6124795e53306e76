//! Tests of the digits that both sides of a linking show, and of who stands between them.

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::account::make_request;

/// Tries of somebody between the two, in each linking.
const TRIES: u32 = 2_000;
/// Linkings that somebody stands between.
const LINKINGS: u32 = 200;
/// The digits are compared modulo this, so that chance shows.
const FEW: u64 = 100;

struct Pair {
    existing: InstallationKey,
    new: InstallationKey,
    request: LinkRequest,
    opening: LinkOpening,
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn pair(rng: &mut ChaCha20Rng) -> Pair {
    let (existing, new) = (InstallationKey::generate(rng), InstallationKey::generate(rng));
    let request = make_request(&new, rng);
    let opening = LinkOpening::new(existing.id(), rng);
    Pair { existing, new, request, opening }
}

impl Pair {
    fn steps(&self, rng: &mut ChaCha20Rng) -> [Vec<u8>; 3] {
        let commitment = make_commitment(&self.request, &self.opening);
        let nonce = make_nonce(&self.request, &self.new, &commitment, rng).expect("good");
        let reveal = self.reveal(&commitment, &nonce).expect("good");
        [commitment, nonce, reveal]
    }

    fn reveal(&self, commitment: &[u8], nonce: &[u8]) -> Result<Vec<u8>, LinkError> {
        make_reveal(&self.request, &self.existing, commitment, nonce, &self.opening)
    }

    fn open(&self, steps: &[Vec<u8>; 3]) -> Result<Compared, LinkError> {
        Compared::open(&self.request, &steps[0], &steps[1], &steps[2])
    }
}

#[test]
fn both_sides_show_the_same_digits() {
    let mut rng = rng(1);
    let pair = pair(&mut rng);
    let compared = pair.open(&pair.steps(&mut rng)).expect("good steps");
    assert_eq!(compared.by, pair.existing.id());
    let shown = compared.digits.to_string();
    assert_eq!(shown.len(), 9);
    assert_eq!(shown.parse(), Ok(compared.digits));
    assert_eq!(shown.replace(' ', "-").parse(), Ok(compared.digits));
    // another nonce, other digits
    let other = pair.open(&pair.steps(&mut rng)).expect("good steps");
    assert_ne!(other.digits, compared.digits);
}

#[test]
fn texts_that_are_no_digits_are_refused() {
    assert_eq!("0000 0007".parse(), Ok(CheckDigits(7)));
    for text in ["", "1234 567", "1234 56789", "1234 567a", "+1234567", "１２３４５６７８"]
    {
        assert_eq!(text.parse::<CheckDigits>(), Err(CheckDigitsError), "{text}");
    }
}

#[test]
fn who_changes_its_mind_is_refused() {
    let mut rng = rng(2);
    let pair = pair(&mut rng);
    let mut steps = pair.steps(&mut rng);
    let commitment = steps[0].clone();
    // another opening than the one committed to
    let other = LinkOpening::new(pair.existing.id(), &mut rng);
    steps[2] =
        make_reveal(&pair.request, &pair.existing, &commitment, &steps[1], &other).expect("signs");
    assert_eq!(pair.open(&steps), Err(LinkError::Commitment));
    // somebody else's key in the place of the one committed to
    let stranger = InstallationKey::generate(&mut rng);
    steps[2] = make_reveal(&pair.request, &stranger, &commitment, &steps[1], &pair.opening)
        .expect("signs");
    assert_eq!(pair.open(&steps), Err(LinkError::Signature));
    // a nonce of somebody who is not the one that asks
    let nonce = make_nonce(&pair.request, &stranger, &commitment, &mut rng).expect("signs");
    assert_eq!(pair.reveal(&commitment, &nonce), Err(LinkError::Signature));
}

#[test]
fn a_repeated_linking_is_refused() {
    let mut rng = rng(3);
    let pair = pair(&mut rng);
    let before = pair.steps(&mut rng);
    // the new installation takes a nonce of its own for each commitment that it answers
    let again = make_nonce(&pair.request, &pair.new, &before[0], &mut rng).expect("good");
    assert_ne!(again, before[1]);
    let replayed = [before[0].clone(), again, before[2].clone()];
    assert_eq!(pair.open(&replayed), Err(LinkError::Transcript));
    // steps of one request serve no other
    let other = Pair { request: make_request(&pair.new, &mut rng), ..pair };
    assert_eq!(other.open(&before), Err(LinkError::Transcript));
}

/// Mallory has seen the QR code, and has put a request of her own in its place before the existing
/// installation: she takes part in two linkings and wants both to show the same digits.
struct Between {
    /// The new installation with its true request.
    asking: Pair,
    /// The existing one, and Mallory's request.
    accepting: Pair,
}

fn between(rng: &mut ChaCha20Rng) -> Between {
    let asking = pair(rng);
    let mallory = InstallationKey::generate(rng);
    let request = make_request(&mallory, rng);
    let existing = InstallationKey::generate(rng);
    let opening = LinkOpening::new(existing.id(), rng);
    Between { asking, accepting: Pair { existing, new: mallory, request, opening } }
}

impl Between {
    /// What the new installation shows: Mallory accepts its request.
    fn shown_to_the_asking(&self, rng: &mut ChaCha20Rng) -> CheckDigits {
        let steps = Pair {
            existing: self.accepting.new.clone(),
            new: self.asking.new.clone(),
            request: self.asking.request.clone(),
            opening: LinkOpening::new(self.accepting.new.id(), rng),
        };
        let shown = steps.steps(rng);
        steps.open(&shown).expect("a good linking of its own").digits
    }

    /// The digits that the existing installation would show for a nonce of Mallory's, if its
    /// opening were `opening`.
    fn would_show(&self, commitment: &[u8], nonce: &[u8], opening: &LinkOpening) -> CheckDigits {
        let committed = Committed::open(&self.accepting.request, commitment).expect("good");
        let transcript = committed.with_nonce(&self.accepting.request, nonce).expect("good");
        digits(transcript, opening)
    }

    /// Mallory grinds her nonce until the existing installation would show `wanted`, as far as the
    /// opening is `guess`.
    fn grind(
        &self,
        rng: &mut ChaCha20Rng,
        wanted: CheckDigits,
        guess: &LinkOpening,
    ) -> (Vec<u8>, Vec<u8>) {
        let Pair { new: mallory, request, opening, .. } = &self.accepting;
        let commitment = make_commitment(request, opening);
        let mut nonce = Vec::new();
        for _ in 0..TRIES {
            nonce = make_nonce(request, mallory, &commitment, rng).expect("good");
            if self.would_show(&commitment, &nonce, guess).0 % FEW == wanted.0 % FEW {
                break;
            }
        }
        (commitment, nonce)
    }

    /// Whether both show the same, after Mallory ground for it.
    fn deceives(&self, rng: &mut ChaCha20Rng, guess: &LinkOpening) -> bool {
        let wanted = self.shown_to_the_asking(rng);
        let (commitment, nonce) = self.grind(rng, wanted, guess);
        let reveal = self.accepting.reveal(&commitment, &nonce).expect("a good nonce");
        let shown = self.accepting.open(&[commitment, nonce, reveal]).expect("good steps");
        shown.digits.0 % FEW == wanted.0 % FEW
    }
}

/// With the opening hidden until her nonce is given, Mallory has the luck of one blind try, however
/// much she grinds; if she knew it, she would nearly always win: so the comparison can fail.
#[test]
fn grinding_is_of_no_use_to_who_stands_between() {
    let seed: u64 = std::env::var("SEED").map_or(4, |seed| seed.parse().expect("a number"));
    println!("SEED={seed}");
    let mut rng = rng(seed);
    let (mut blind, mut knowing) = (0, 0);
    for n in 0..LINKINGS {
        let between = between(&mut rng);
        let guess = LinkOpening::new(between.accepting.existing.id(), &mut rng);
        blind += u32::from(between.deceives(&mut rng, &guess));
        if n < 10 {
            knowing += u32::from(between.deceives(&mut rng, &between.accepting.opening.clone()));
        }
    }
    println!("{blind} of {LINKINGS} blind, {knowing} of 10 with the opening known");
    // 2 are expected: more than 12 come by chance less than once in a million times
    assert!(blind <= 12, "{blind} of {LINKINGS} at one in {FEW}");
    assert_eq!(knowing, 10);
}

/// The other way round: Mallory accepts the true request and grinds what she opens to, but for that
/// she has to break her commitment.
#[test]
fn who_accepts_cannot_choose_after_the_nonce() {
    let mut rng = rng(5);
    let between = between(&mut rng);
    let wanted = between.shown_to_the_asking(&mut rng);
    let mallory = between.accepting.new.clone();
    let Pair { new, request, .. } = &between.asking;
    let opening = LinkOpening::new(mallory.id(), &mut rng);
    let commitment = make_commitment(request, &opening);
    let nonce = make_nonce(request, new, &commitment, &mut rng).expect("good");
    let transcript = Committed::open(request, &commitment)
        .and_then(|committed| committed.with_nonce(request, &nonce))
        .expect("good");
    let ground = std::iter::repeat_with(|| LinkOpening::new(mallory.id(), &mut rng))
        .find(|opening| digits(transcript, opening).0 % FEW == wanted.0 % FEW)
        .expect("one in a hundred");
    let reveal = make_reveal(request, &mallory, &commitment, &nonce, &ground).expect("signs");
    let opened = Compared::open(request, &commitment, &nonce, &reveal);
    assert_eq!(opened, Err(LinkError::Commitment));
}

proptest! {
    #[test]
    fn changed_steps_never_show_other_digits(at: Index, bit in 0..8_u32, step in 0..3_usize) {
        let mut rng = rng(6);
        let pair = pair(&mut rng);
        let mut steps = pair.steps(&mut rng);
        let position = at.index(steps[step].len());
        steps[step][position] ^= 1 << bit;
        prop_assert!(pair.open(&steps).is_err());
    }

    #[test]
    fn digits_round_trip(number in 0..DIGITS_BELOW) {
        prop_assert_eq!(CheckDigits(number).to_string().parse(), Ok(CheckDigits(number)));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut rng = rng(7);
        let pair = pair(&mut rng);
        let steps = pair.steps(&mut rng);
        let _ = make_nonce(&pair.request, &pair.new, &bytes, &mut rng);
        let _ = pair.reveal(&steps[0], &bytes);
        let _ = pair.open(&[bytes.clone(), bytes.clone(), bytes.clone()]);
        let _ = String::from_utf8_lossy(&bytes).parse::<CheckDigits>();
    }
}
