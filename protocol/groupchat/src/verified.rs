//! Signatures that held a moment ago.
//!
//! The same signed things come by again and again: the leaves of a tree when an invitation is
//! looked into and when it is accepted, account log entries with each commit that rests on them.
//! Verifying is a pure function of key, bytes and signature, so what held once is known by the
//! SHA-256 of all of them, which is some fifty times cheaper. What does not hold is not kept.
//!
//! Two generations of a bounded number of names: when the younger one is full, the elder one goes.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

/// Most names of a generation.
const MOST: usize = 8192;

type Name = [u8; 32];

/// Names of what held.
#[derive(Default)]
struct Held {
    young: HashSet<Name>,
    old: HashSet<Name>,
}

static HELD: Mutex<Option<Held>> = Mutex::new(None);

/// Whether `signature` holds: by what is known, or by `verify`, which must look at nothing but
/// these parts.
pub(crate) fn holds(
    scheme: &'static str,
    public: &[u8],
    message: &[u8],
    signature: &[u8],
    verify: impl FnOnce() -> bool,
) -> bool {
    let name = name(scheme, [public, message, signature]);
    if held().get_or_insert_default().knows(&name) {
        return true;
    }
    let holds = verify();
    if holds {
        held().get_or_insert_default().keep(name, MOST);
    }
    holds
}

/// Forgets all of it, so that cores in one process do not spare each other work.
#[cfg(feature = "bench")]
pub fn forget() {
    *held() = None;
    crate::ed25519::forget();
}

fn held() -> MutexGuard<'static, Option<Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name(scheme: &str, parts: [&[u8]; 3]) -> Name {
    let mut hash = Sha256::new();
    for part in [scheme.as_bytes()].into_iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Held {
    fn knows(&mut self, name: &Name) -> bool {
        self.young.contains(name) || (self.old.contains(name) && self.keep(*name, MOST))
    }

    fn keep(&mut self, name: Name, most: usize) -> bool {
        if self.young.len() >= most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_held_is_not_verified_again_and_what_did_not_is() {
        let mut verified = 0;
        let mut ask = |message: &[u8], signature: &[u8], result: bool| {
            holds("test", b"key", message, signature, || {
                verified += 1;
                result
            })
        };
        assert!(!ask(b"message", b"wrong", false));
        assert!(!ask(b"message", b"wrong", false));
        assert!(ask(b"message", b"right", true));
        assert!(ask(b"message", b"right", true));
        // where one part ends is part of the name
        assert!(!ask(b"messager", b"ight", false));
        assert_eq!(verified, 4);
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let mut held = Held::default();
        let name = |n: usize| name("test", [&n.to_be_bytes(), &[], &[]]);
        for n in 0..100 {
            held.keep(name(n), 10);
            assert!(held.knows(&name(0)), "asked for every time, after {n}");
            assert!(held.young.len() <= 11 && held.old.len() <= 11);
        }
        assert!(!held.knows(&name(50)));
        assert!(held.knows(&name(99)));
    }
}
