//! What MLS takes from others.

use openmls_rust_crypto::RustCrypto;

use super::{choose, chunks};
use crate::core::fuzzing::receive;
use crate::mls::{CoreRng, Provider, View, package, welcome as welcomes};
use crate::store::{MemoryStore, Overlay};

fn with_provider<T>(work: impl FnOnce(&Provider<'_>) -> T) -> T {
    let store = MemoryStore::new();
    let (overlay, crypto, rng) =
        (Overlay::new(&store), RustCrypto::default(), CoreRng::new([7; 32]));
    work(&Provider::new(&overlay, &crypto, &rng, View::Global))
}

/// A key package.
pub(super) fn key_package(data: &[u8]) -> bool {
    with_provider(|provider| {
        let Ok(package) = package::check(provider, data) else { return false };
        let again = package::check(provider, data).expect("it was good before");
        assert_eq!((again.reference, again.identity), (package.reference, package.identity));
        true
    })
}

/// An MLS message to a member of a group.
pub(super) fn message(data: &[u8]) -> bool {
    receive(data)
}

/// A Welcome, to be taken apart; or a shared part, an entry and a tree, to be put together and
/// opened.
pub(super) fn welcome(data: &[u8]) -> bool {
    match choose(data, 2) {
        (0, bytes) => {
            let Ok(split) = welcomes::split(bytes) else { return false };
            for (reference, entry) in &split.entries {
                let one = welcomes::assemble(&split.shared, entry).expect("own parts");
                let again = welcomes::split(&one).expect("put together here");
                assert_eq!(again.shared, split.shared);
                assert_eq!(again.entries, [(*reference, entry.clone())]);
            }
            true
        }
        (_, bytes) => {
            let mut parts = chunks(bytes).map(<[u8]>::to_vec);
            let mut part = || parts.next().unwrap_or_default();
            let (shared, entry, tree) = (part(), part(), part());
            let Ok(whole) = welcomes::assemble(&shared, &entry) else { return false };
            // For nobody here: what comes is refused, and never a fault.
            let opened = with_provider(|provider| {
                welcomes::open(provider, &whole, &tree).expect("no fault").is_ok()
            });
            assert!(!opened);
            true
        }
    }
}
