//! Strict Ed25519 verification, as `ed25519-dalek` defines it, at a lower price.
//!
//! A signature holds if its scalar is reduced, if neither the public key nor the point R in it is of
//! small order, and if R is, byte for byte, what the equation without cofactor gives. All members
//! have to judge alike, so this takes exactly what [`VerifyingKey::verify_strict`] takes. That one
//! unpacks R only to look at its order: here R, which equals a point's one encoding once the equation
//! holds, is compared with the encodings of the eight points of small order. And a key that was used
//! of late is known unpacked.
//!
//! Verifying many at once is no way to save more: what a batch takes is not what each single one of
//! it would take where keys or points have a part of small order.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};

/// The points of small order, in their one encoding.
const SMALL_ORDER: [[u8; 32]; 8] = [
    ends(0x01, 0x00, 0x00),
    ends(0xec, 0xff, 0x7f),
    [0; 32],
    ends(0x00, 0x00, 0x80),
    ORDER_8[0],
    negated(ORDER_8[0]),
    ORDER_8[1],
    negated(ORDER_8[1]),
];

/// Those of order 8 whose x is even.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

const fn ends(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// The point with the other x.
const fn negated(mut point: [u8; 32]) -> [u8; 32] {
    point[31] |= 0x80;
    point
}

/// Most keys of a generation that are known unpacked, of some 200 bytes each.
const MOST: usize = 2048;

/// Keys that are points, and not of small order. Two generations: when the younger one is full, the
/// elder one goes.
#[derive(Default)]
struct Keys {
    young: HashMap<[u8; 32], VerifyingKey>,
    old: HashMap<[u8; 32], VerifyingKey>,
}

static KEYS: Mutex<Option<Keys>> = Mutex::new(None);

/// Whether `signature` is one by `public` over `message`.
pub(crate) fn holds(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(public), Ok(signature)) = (public.try_into(), Signature::from_slice(signature)) else {
        return false;
    };
    key(public).is_some_and(|key| {
        !SMALL_ORDER.contains(signature.r_bytes()) && key.verify(message, &signature).is_ok()
    })
}

/// Whether these bytes are a public key that a signature can hold by.
pub(crate) fn is_public_key(public: &[u8; 32]) -> bool {
    VerifyingKey::from_bytes(public).is_ok_and(|key| !key.is_weak())
}

fn key(public: &[u8; 32]) -> Option<VerifyingKey> {
    if let Some(known) = keys().get_or_insert_default().find(public) {
        return Some(known);
    }
    let key = VerifyingKey::from_bytes(public).ok().filter(|key| !key.is_weak())?;
    keys().get_or_insert_default().keep(*public, key, MOST);
    Some(key)
}

fn keys() -> MutexGuard<'static, Option<Keys>> {
    KEYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets the keys that are known unpacked, so that cores in one process do not spare each other
/// work.
#[cfg(feature = "bench")]
pub(crate) fn forget() {
    *keys() = None;
}

impl Keys {
    fn find(&mut self, public: &[u8; 32]) -> Option<VerifyingKey> {
        if let Some(key) = self.young.get(public) {
            return Some(*key);
        }
        let key = self.old.remove(public)?;
        self.keep(*public, key, MOST);
        Some(key)
    }

    fn keep(&mut self, public: [u8; 32], key: VerifyingKey, most: usize) {
        if self.young.len() >= most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(public, key);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ed25519_dalek::{Signer as _, SigningKey};
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    fn strict(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        VerifyingKey::from_bytes(public)
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }

    fn both(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let expected = strict(public, message, signature);
        // a second time, with the key known
        for _ in 0..2 {
            assert_eq!(holds(public, message, signature), expected, "{public:x?} {signature:x?}");
        }
        expected
    }

    #[test]
    fn the_points_of_small_order_are_eight_and_weak() {
        assert_eq!(SMALL_ORDER.iter().collect::<BTreeSet<_>>().len(), 8);
        for point in SMALL_ORDER {
            let key = VerifyingKey::from_bytes(&point).expect("a point");
            assert!(key.is_weak(), "{point:x?}");
            assert!(!is_public_key(&point));
        }
    }

    #[test]
    fn it_takes_what_strict_verification_takes() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let mut held = 0;
        for _ in 0..200 {
            let key = SigningKey::from_bytes(&rng.random());
            let public = key.verifying_key().to_bytes();
            let message: [u8; 40] = rng.random();
            let signature = key.sign(&message).to_bytes();
            held += usize::from(both(&public, &message, &signature));
            let mut changed = signature;
            changed[rng.random_range(0..64)] ^= 1 << rng.random_range(0..8);
            assert!(!both(&public, &message, &changed));
            let mut other = public;
            other[rng.random_range(0..32)] ^= 1 << rng.random_range(0..8);
            assert!(!both(&other, &message, &signature));
        }
        assert_eq!(held, 200);
    }

    /// With a key or a point R of small order, the equation alone takes what strict verification
    /// refuses: both zero, for any message under the neutral key.
    #[test]
    fn small_orders_are_refused() {
        let mut taken_without = 0;
        for public in SMALL_ORDER {
            for point in SMALL_ORDER {
                for n in 0..16_u8 {
                    let signature: [u8; 64] =
                        [point, [0; 32]].concat().try_into().expect("two halves");
                    let lax = VerifyingKey::from_bytes(&public).expect("a point");
                    let lax = lax.verify(&[n], &Signature::from_bytes(&signature));
                    taken_without += usize::from(lax.is_ok());
                    assert!(!both(&public, &[n], &signature));
                }
            }
        }
        assert!(taken_without >= 16, "{taken_without}");
    }

    /// A key with a part of small order beside one of large order is taken where the equation holds
    /// without cofactor, and refused where it holds with it alone. A batch could not tell.
    #[test]
    fn mixed_orders_are_judged_as_strict_verification_does() {
        use curve25519_dalek::constants::EIGHT_TORSION;
        use curve25519_dalek::edwards::EdwardsPoint;
        use curve25519_dalek::scalar::Scalar;
        use sha2::{Digest as _, Sha512};

        let (secret, nonce) = (Scalar::from(0x1234_5678_9abc_u64), Scalar::from(0xfedc_ba98_u64));
        let public = EdwardsPoint::mul_base(&secret) + EIGHT_TORSION[1];
        let point = EdwardsPoint::mul_base(&nonce);
        let (public, point) = (public.compress().to_bytes(), point.compress().to_bytes());
        let mut taken = [0, 0];
        for n in 0..64_u8 {
            let hash = Sha512::digest([point.as_slice(), &public, &[n]].concat());
            let k = Scalar::from_bytes_mod_order_wide(&hash.into());
            let scalar = (nonce + k * secret).to_bytes();
            let signature = [point, scalar].concat().try_into().expect("two halves");
            taken[usize::from(both(&public, &[n], &signature))] += 1;
        }
        assert!(taken[0] > 0 && taken[1] > 0, "{taken:?}");
    }

    #[test]
    fn keys_that_are_used_stay_and_their_number_is_bounded() {
        let mut keys = Keys::default();
        let signing = |n: u8| SigningKey::from_bytes(&[n; 32]).verifying_key();
        for n in 1..50 {
            keys.keep(signing(n).to_bytes(), signing(n), 10);
            assert!(keys.young.len() <= 10 && keys.old.len() <= 10);
        }
        assert!(keys.find(&signing(49).to_bytes()).is_some());
        assert!(keys.find(&signing(1).to_bytes()).is_none());
    }
}
