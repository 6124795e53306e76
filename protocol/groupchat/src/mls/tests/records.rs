//! Every kind of record survives the store, also those that groups here do not write.

use openmls::group::MlsGroup;
use openmls::prelude::{LeafNodeParameters, ProcessedMessageContent};
use openmls::schedule::{ExternalPsk, PreSharedKeyId, Psk};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;

use super::*;
use crate::mls::leaf::SUITE;

#[test]
fn keys_lie_where_the_module_says() {
    let [alice, mut bob, _] = three();
    let of_group = |prefix: &[u8]| [prefix, GROUP.as_bytes()].concat();
    let bases = of_group(b"mls/2/b/");
    assert!(alice.store.iter().all(|(key, _)| key.starts_with(&bases)));
    let (global, scoped): (Vec<_>, Vec<_>) =
        bob.store.iter().partition(|(key, _)| key.starts_with(b"mls/1/g/"));
    assert_eq!(global.len(), 1, "bob's key package");
    let prefix = [bases.as_slice(), state(1).as_bytes()].concat();
    assert!(scoped.iter().all(|(key, _)| key.starts_with(&prefix)));
    let mut tags: Vec<u8> = scoped.iter().map(|(key, _)| key[prefix.len()]).collect();
    tags.sort_unstable();
    assert_eq!(tags, [0x10, 0x11, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b]);
    let before = bob.dump();
    bob.send(state(1), "hello");
    let live = [of_group(b"mls/2/l/").as_slice(), state(1).as_bytes(), &[0x1a]].concat();
    let (sent, base): (Vec<_>, Vec<_>) =
        bob.dump().into_iter().partition(|(key, _)| key.starts_with(&live));
    assert_eq!((sent.len(), base), (1, before), "the ratchet alone, and its base stays");
}

#[test]
fn proposals_and_own_leaves_come_back() {
    let [mut alice, mut bob, _] = three();
    let update = bob.step(|env| {
        let (mut group, provider) = env.load(state(1));
        let (message, _) = group
            .propose_self_update(&provider, env.key, LeafNodeParameters::default())
            .expect("own state");
        message.to_bytes().expect("encodes")
    });
    alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        store_proposal(&mut group, &provider, &update);
    });
    let commit = alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        assert_eq!(group.pending_proposals().count(), 1);
        let (commit, ..) =
            group.commit_to_pending_proposals(&provider, env.key).expect("own state");
        commit.to_bytes().expect("encodes")
    });
    bob.step(|env| {
        let (mut group, provider) = env.load(state(1));
        let message = decode(&commit);
        let processed = group.process_message(&provider, message).expect("the update's key");
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("a commit")
        };
        group.merge_staged_commit(&provider, *staged).expect("own state");
    });
    alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        group::merge_pending(&mut group, &provider).expect("a pending commit");
    });
    for device in [&alice, &bob] {
        device.lose(|env| assert_eq!(env.load(state(1)).0.pending_proposals().count(), 0));
    }
    assert_eq!(alice.authenticator(state(1)), bob.authenticator(state(1)));
}

#[test]
fn single_proposals_can_go() {
    let [mut alice, bob, _] = three();
    let proposals: Vec<_> = (0..2)
        .map(|_| {
            bob.lose(|env| {
                let (mut group, provider) = env.load(state(1));
                let parameters = LeafNodeParameters::default();
                let (message, reference) =
                    group.propose_self_update(&provider, env.key, parameters).expect("own state");
                (message.to_bytes().expect("encodes"), reference)
            })
        })
        .collect();
    alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        for (proposal, _) in &proposals {
            store_proposal(&mut group, &provider, proposal);
        }
    });
    alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        let (_, first) = &proposals[0];
        group.remove_pending_proposal(provider.storage(), first).expect("one of them");
    });
    alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        assert_eq!(group.pending_proposals().count(), 1);
        group.clear_pending_proposals(provider.storage()).expect("memory");
    });
    alice.lose(|env| assert_eq!(env.load(state(1)).0.pending_proposals().count(), 0));
}

fn decode(bytes: &[u8]) -> openmls::prelude::ProtocolMessage {
    use openmls::prelude::tls_codec::DeserializeBytes as _;
    openmls::prelude::MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .expect("ours")
        .try_into_protocol_message()
        .expect("a protocol message")
}

fn store_proposal(group: &mut MlsGroup, provider: &Provider<'_>, bytes: &[u8]) {
    let processed = group.process_message(provider, decode(bytes)).expect("valid");
    let ProcessedMessageContent::ProposalMessage(proposal) = processed.into_content() else {
        panic!("a proposal")
    };
    group.store_pending_proposal(provider.storage(), *proposal).expect("memory");
}

#[test]
fn pre_shared_keys_come_back() {
    let [mut alice, mut bob, _] = three();
    let psk = Psk::External(ExternalPsk::new(b"id".to_vec()));
    let id = PreSharedKeyId::new(SUITE, &alice.rng, psk).expect("randomness");
    for device in [&mut alice, &mut bob] {
        device.step(|env| id.store(&env.global(), b"secret")).expect("memory");
    }
    let proposal = bob.lose(|env| {
        let (mut group, provider) = env.load(state(1));
        let (message, _) =
            group.propose_pre_shared_key(&provider, env.key, id.clone()).expect("own state");
        message.to_bytes().expect("encodes")
    });
    alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        store_proposal(&mut group, &provider, &proposal);
        group.commit_to_pending_proposals(&provider, env.key).expect("the key is there");
        provider.storage().delete_psk(id.psk()).expect("memory");
        assert!(group.commit_to_pending_proposals(&provider, env.key).is_err());
    });
}

#[test]
fn deleting_by_openmls_is_seen() {
    let [mut alice, ..] = three();
    alice.step(|env| {
        for at in [state(0), state(1)] {
            let (mut group, provider) = env.load(at);
            group.delete(provider.storage()).expect("memory");
            assert!(group::load(&env.at(at)).expect("memory").is_none());
            let base = env.provider(View::Base(GROUP, at));
            assert!(group::load(&base).expect("memory").is_some(), "how it began stays");
        }
        crate::mls::delete_states(env.overlay, GROUP, &[state(0), state(1)]).expect("memory");
    });
    assert_eq!(alice.dump(), []);
}
