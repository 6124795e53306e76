//! Big records in chunks: cutting, sharing, and letting go of what no state needs.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::*;
use crate::mls::delete_states;
use crate::mls::keys::Tag;

/// A record that is never as long as those that are cut.
const SMALL: Tag = Tag::JoinConfig;

/// All randomness of a test: from `SEED`, or a fixed one; printed.
fn randomness() -> CoreRng {
    let seed: u64 = std::env::var("SEED").map_or(7, |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    CoreRng::new(bytes)
}

fn below(rng: &CoreRng, bound: usize) -> usize {
    usize::try_from(rng.below(bound as u64)).expect("small")
}

fn random(rng: &CoreRng, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rng.fill(&mut bytes);
    bytes
}

/// Changes, inserts and takes out at some places.
fn edit(rng: &CoreRng, record: &mut Vec<u8>) {
    for _ in 0..=below(rng, 4) {
        let at = below(rng, record.len() + 1);
        let end = (at + below(rng, 300)).min(record.len());
        let fresh = random(rng, below(rng, 300));
        record.splice(at..end, fresh);
    }
}

/// What the store should hold of the records of each state.
#[derive(Default)]
struct Model {
    states: BTreeMap<StateId, (Vec<u8>, Vec<u8>)>,
}

impl Model {
    fn check(&self, device: &Device) {
        device.lose(|env| {
            for (state, (tree, small)) in &self.states {
                for view in [View::Live(GROUP, *state), View::Base(GROUP, *state)] {
                    let provider = env.provider(view);
                    let storage = openmls_traits::OpenMlsProvider::storage(&provider);
                    let read = storage.read::<Vec<u8>>(Tag::Tree, &()).expect("memory");
                    assert!(read.as_ref() == Some(tree), "{state:?} in {view:?}");
                    assert_eq!(storage.read(SMALL, &()).expect("memory").as_ref(), Some(small));
                }
            }
        });
        let mut needed = BTreeSet::new();
        for (key, manifest) in device.dump() {
            if key.starts_with(b"mls/2/m/") {
                needed.extend(manifest.chunks(16).map(<[u8]>::to_vec));
            }
        }
        let chunks: BTreeMap<_, _> = device
            .dump()
            .into_iter()
            .filter_map(|(key, chunk)| {
                let name = key.strip_prefix(b"mls/2/c/")?.strip_prefix(GROUP.as_bytes())?;
                Some((name.to_vec(), chunk))
            })
            .collect();
        assert!(chunks.keys().eq(needed.iter()), "each chunk is needed, each needed one is there");
        assert!(chunks.iter().all(|(name, chunk)| Sha256::digest(chunk)[..16] == name[..]));
    }
}

/// States made, branched off and deleted in any order, with records of any size.
#[test]
fn no_chunk_is_lost_and_none_is_left() {
    let rng = randomness();
    let (mut device, mut model) = (Device::new(1), Model::default());
    let mut cut = 0;
    for n in 0..300_u16 {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        let child = StateId::from_bytes(id);
        let known: Vec<StateId> = model.states.keys().copied().collect();
        let parent = known.get(below(&rng, known.len() + 1)).copied();
        let (mut tree, mut small) = parent.map(|p| model.states[&p].clone()).unwrap_or_default();
        match parent {
            // now and then a state is as its parent was
            Some(_) if rng.below(8) == 0 => {}
            Some(_) => edit(&rng, &mut tree),
            None => {
                tree = random(&rng, below(&rng, 40_000));
                small = random(&rng, below(&rng, 100));
            }
        }
        cut += usize::from(tree.len() > 4096);
        device.step(|env| {
            let provider = env.child(parent, child);
            let storage = openmls_traits::OpenMlsProvider::storage(&provider);
            if parent.is_none() || rng.below(8) != 0 {
                storage.write(Tag::Tree, &(), &tree).expect("memory");
            } else if let Some(parent) = parent {
                tree.clone_from(&model.states[&parent].0);
            }
            if parent.is_none() {
                storage.write(SMALL, &(), &small).expect("memory");
            }
            provider.keep().expect("memory");
        });
        model.states.insert(child, (tree, small));
        if model.states.len() > 12 || rng.below(3) == 0 {
            let known: Vec<StateId> = model.states.keys().copied().collect();
            let gone: Vec<StateId> =
                (0..=below(&rng, 3)).map(|_| known[below(&rng, known.len())]).collect();
            device.step(|env| delete_states(env.overlay, GROUP, &gone)).expect("memory");
            model.states.retain(|state, _| !gone.contains(state));
        }
        model.check(&device);
    }
    assert!(cut > 50, "{cut} records were cut");
    let all: Vec<StateId> = model.states.keys().copied().collect();
    device.step(|env| delete_states(env.overlay, GROUP, &all)).expect("memory");
    assert_eq!(device.dump(), []);
}

/// A change of a few bytes, anywhere in a long record, costs a few chunks.
#[test]
fn a_small_change_of_a_long_record_writes_little() {
    const LEN: usize = 1 << 20;
    let rng = randomness();
    let mut device = Device::new(1);
    let mut tree = random(&rng, LEN);
    let write = |device: &mut Device, parent: Option<StateId>, child, tree: &Vec<u8>| {
        let overlay = Overlay::new(&device.store);
        device.work(&overlay, |env| {
            let provider = env.child(parent, child);
            let storage = openmls_traits::OpenMlsProvider::storage(&provider);
            storage.write(Tag::Tree, &(), tree).expect("memory");
            provider.keep().expect("memory");
        });
        let batch = overlay.into_batch();
        let values = batch.changes().iter().filter_map(|(_, value)| value.as_ref());
        let sizes: Vec<usize> = values.map(Vec::len).collect();
        device.store.commit(batch).expect("memory");
        sizes
    };
    let first = write(&mut device, None, state(0), &tree);
    assert!(first.iter().sum::<usize>() > LEN);
    let mean = LEN / first.len();
    assert!((1024..2048).contains(&mean), "chunks of {mean} bytes");
    // bytes in front move all others
    tree.splice(0..0, [1, 2, 3]);
    tree[LEN / 2] ^= 1;
    let second = write(&mut device, Some(state(0)), state(1), &tree);
    let manifest = first.len() * 16;
    let written: usize = second.iter().sum();
    assert!(written < manifest + 40_000, "{written} bytes in {} records", second.len());
    // a sibling finds the chunks there that its parent does not name
    let third = write(&mut device, Some(state(0)), state(2), &tree);
    assert_eq!(third.len(), 1, "the manifest alone");
}

#[test]
fn a_chunk_that_is_not_there_is_a_fault() {
    let rng = randomness();
    let mut device = Device::new(1);
    device.step(|env| {
        let provider = env.child(None, state(0));
        let storage = openmls_traits::OpenMlsProvider::storage(&provider);
        storage.write(Tag::Tree, &(), &random(&rng, 20_000)).expect("memory");
        provider.keep().expect("memory");
        let (chunk, _) = env.overlay.scan(b"mls/2/c/").expect("memory").remove(3);
        env.overlay.delete(chunk);
        let provider = env.at(state(0));
        let storage = openmls_traits::OpenMlsProvider::storage(&provider);
        assert!(storage.read::<Vec<u8>>(Tag::Tree, &()).is_err());
    });
}
