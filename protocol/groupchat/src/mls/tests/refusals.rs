//! What others may send, and is not taken.

use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{
    Capabilities, Extension, ExtensionType, Extensions, KeyPackage, KeyPackageBuilder,
    LeafNodeParameters, Lifetime, RequiredCapabilitiesExtension,
};
use openmls_traits::types::Ciphersuite;
use proptest::prelude::{any, prop_assert, proptest};

use super::*;
use crate::mls::group::Proposals;
use crate::mls::leaf::{SUITE, capabilities, credential, unbounded};

/// A key package that was made without this module's rules.
fn foreign(
    suite: Ciphersuite,
    change: impl FnOnce(KeyPackageBuilder) -> KeyPackageBuilder,
) -> Vec<u8> {
    Device::new(8).lose(|env| {
        let builder = KeyPackage::builder()
            .key_package_lifetime(unbounded())
            .leaf_node_capabilities(capabilities())
            .mark_as_last_resort();
        change(builder)
            .build(suite, &env.global(), env.key, credential(&env.key.id(), b"identity"))
            .expect("OpenMLS makes it")
            .key_package()
            .tls_serialize_detached()
            .expect("encodes")
    })
}

#[test]
fn key_packages_that_do_not_fit_are_refused() {
    let alice = Device::new(1);
    let good = foreign(SUITE, |builder| builder);
    assert!(alice.check(&good).is_ok());
    assert!(good.len() < 450, "{} bytes", good.len());

    let other_suite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
    let everything = |builder: KeyPackageBuilder| {
        let suites = [SUITE, other_suite];
        let types = capabilities().extensions().to_vec();
        builder.leaf_node_capabilities(Capabilities::new(
            None,
            Some(&suites),
            Some(&types),
            None,
            None,
        ))
    };
    assert!(matches!(alice.check(&foreign(other_suite, everything)), Err(Refused::Suite)));
    let month = foreign(SUITE, |b| b.key_package_lifetime(Lifetime::new(30 * 86_400)));
    assert!(matches!(alice.check(&month), Err(Refused::PackageKind)));
    let plain = |builder: KeyPackageBuilder| {
        builder.leaf_node_capabilities(Capabilities::new(
            None,
            Some(&[SUITE]),
            Some(&[ExtensionType::LastResort]),
            None,
            None,
        ))
    };
    assert!(matches!(alice.check(&foreign(SUITE, plain)), Err(Refused::Capabilities)));

    let mut changed = good.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    assert!(matches!(alice.check(&changed), Err(Refused::KeyPackage(_))));
    let longer = [good.as_slice(), b"x"].concat();
    assert!(matches!(alice.check(&longer), Err(Refused::Malformed(_))));
    assert!(matches!(alice.check(&[0; 4096]), Err(Refused::TooLarge { .. })));
}

/// Signed, well formed, and nothing can be sealed to its init key.
#[test]
fn key_packages_with_weak_keys_are_refused() {
    use openmls_traits::signatures::Signer;
    let good = foreign(SUITE, |builder| builder);
    // version(2) suite(2) init_key<V>(1 + 32) … signature<V>(2 + 64)
    let mut weak = good[..good.len() - 66].to_vec();
    weak[5..37].fill(0);
    let label = b"MLS 1.0 KeyPackageTBS";
    let length = (weak.len() as u16 | 0x4000).to_be_bytes();
    let signed = [&[label.len() as u8], label.as_slice(), &length, &weak].concat();
    let signature = Signer::sign(&Device::new(8).key, &signed).expect("a key");
    weak.extend([0x40, 0x40]);
    weak.extend(signature);
    let refused = Device::new(1).check(&weak);
    assert!(matches!(refused, Err(Refused::WeakKey)), "{refused:?}");
}

#[test]
fn nobody_is_added_twice() {
    let [mut alice, mut bob, _] = three();
    let package = alice.check(&bob.package().bytes).expect("a good package");
    let before = alice.dump();
    let refused = alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        let proposals = Proposals { adds: vec![package], ..Default::default() };
        group::commit(&mut group, &provider, env.key, proposals).expect("no fault")
    });
    assert!(matches!(refused, Err(Refused::Addition(_))));
    assert_eq!(alice.dump(), before);
}

#[test]
fn proposals_on_their_own_are_refused() {
    let [mut alice, bob, _] = three();
    let proposal = bob.lose(|env| {
        let (mut group, provider) = env.load(state(1));
        let (message, _) = group
            .propose_self_update(&provider, env.key, LeafNodeParameters::default())
            .expect("own state");
        message.to_bytes().expect("encodes")
    });
    assert!(matches!(alice.refuse(state(1), &proposal), Refused::Proposal));
}

/// A commit of bob's that OpenMLS makes, whatever this module says.
fn bobs_commit(bob: &Device, make: impl FnOnce(&mut MlsGroup, &Env<'_>) -> Vec<u8>) -> Vec<u8> {
    bob.lose(|env| make(&mut env.load(state(1)).0, env))
}

#[test]
fn commits_beyond_the_rules_are_refused() {
    let [mut alice, bob, _] = three();
    let short_lived = bobs_commit(&bob, |group, env| {
        let package = Device::new(4).lose(|other| {
            KeyPackage::builder()
                .leaf_node_capabilities(capabilities())
                .mark_as_last_resort()
                .build(SUITE, &other.global(), other.key, credential(&other.key.id(), b"dave"))
                .expect("OpenMLS makes it")
                .into_key_package()
        });
        let (commit, ..) =
            group.add_members(&env.at(state(1)), env.key, &[package]).expect("OpenMLS takes it");
        commit.to_bytes().expect("encodes")
    });
    assert!(matches!(alice.refuse(state(1), &short_lived), Refused::PackageKind));

    let renamed = bobs_commit(&bob, |group, env| {
        let parameters = LeafNodeParameters::builder()
            .with_credential_with_key(credential(&env.key.id(), b"somebody else"))
            .build();
        group
            .self_update(&env.at(state(1)), env.key, parameters)
            .expect("OpenMLS makes it")
            .commit()
            .to_bytes()
            .expect("encodes")
    });
    assert!(matches!(alice.refuse(state(1), &renamed), Refused::LeafChanged));

    let extended = bobs_commit(&bob, |group, env| {
        let required = RequiredCapabilitiesExtension::new(&[], &[], &[]);
        let extensions = Extensions::single(Extension::RequiredCapabilities(required))
            .expect("allowed in a group context");
        let provider = env.at(state(1));
        group
            .update_group_context_extensions(&provider, extensions, env.key)
            .expect("OpenMLS makes it")
            .0
            .to_bytes()
            .expect("encodes")
    });
    assert!(matches!(alice.refuse(state(1), &extended), Refused::Extension));

    let renewed = bobs_commit(&bob, |group, env| {
        group
            .self_update(&env.at(state(1)), env.key, LeafNodeParameters::default())
            .expect("OpenMLS makes it")
            .commit()
            .to_bytes()
            .expect("encodes")
    });
    assert!(matches!(alice.receive(state(1), &renewed), Inbound::Commit(_)));
}

#[test]
fn messages_that_are_not_ours_are_refused() {
    let [mut alice, mut bob, _] = three();
    let text = bob.send(state(1), "text");
    let before = alice.dump();
    for cut in [0, 1, 20, text.len() - 1] {
        assert!(matches!(alice.refuse(state(1), &text[..cut]), Refused::Malformed(_)));
    }
    let mut changed = text.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    assert!(matches!(alice.refuse(state(1), &changed), Refused::Message(_)));
    assert!(matches!(alice.refuse(state(0), &text), Refused::Epoch));
    let package = bob.package().bytes;
    assert!(matches!(alice.refuse(state(1), &package), Refused::Malformed(_)));
    let huge = vec![0; message::MAX_LEN + 1];
    assert!(matches!(alice.refuse(state(1), &huge), Refused::TooLarge { .. }));
    assert_eq!(alice.dump(), before, "what is refused leaves no trace");
}

/// A Welcome for bob and carol, its tree, and bob.
fn welcome_for_two() -> (Vec<u8>, Vec<u8>, Device) {
    let [mut alice, mut bob, mut carol] = [1, 2, 3].map(Device::new);
    alice.create(state(0));
    let packages = [bob.package(), carol.package()];
    let (_, welcome, tree) = alice.commit(state(0), state(1), &packages, None);
    (welcome.expect("additions"), tree, bob)
}

#[test]
fn welcomes_are_split_strictly() {
    let (welcome, tree, bob) = welcome_for_two();
    let Split { shared, entries } = welcome::split(&welcome).expect("ours");
    assert_eq!(entries.len(), 2);
    for (_, entry) in &entries {
        assert_eq!(welcome::assemble(&shared, entry).expect("ours").len(), {
            let prefix = if entry.len() < 64 { 1 } else { 2 };
            shared.len() + prefix + entry.len()
        });
    }
    for cut in 0..welcome.len() {
        assert!(matches!(welcome::split(&welcome[..cut]), Err(Refused::Malformed(_))), "{cut}");
    }
    for cut in 0..shared.len() {
        assert!(welcome::assemble(&shared[..cut], &entries[0].1).is_err(), "{cut}");
    }
    for cut in 0..entries[0].1.len() {
        assert!(welcome::assemble(&shared, &entries[0].1[..cut]).is_err(), "{cut}");
    }
    let two = [entries[0].1.as_slice(), &entries[1].1].concat();
    assert!(welcome::assemble(&shared, &two).is_err(), "one entry, not two");
    // suite 3, secrets of length 0 in two bytes instead of one, info of length 0
    assert!(welcome::split(&[0, 3, 0x40, 0, 0]).is_err(), "a length longer than needed");
    assert!(welcome::split(&[0, 3, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err(), "eight bytes of it");
    assert!(welcome::split(&[0, 3, 0, 0]).is_ok());

    let mut other_info = shared.clone();
    *other_info.last_mut().expect("not empty") ^= 1;
    for (_, entry) in &entries {
        let changed = welcome::assemble(&other_info, entry).expect("well formed");
        assert!(matches!(bob.open(&changed, &tree), Err(Refused::Welcome(_))));
    }
    let opened = entries
        .iter()
        .filter(|(_, entry)| {
            bob.open(&welcome::assemble(&shared, entry).expect("ours"), &tree).is_ok()
        })
        .count();
    assert_eq!(opened, 1, "bob's own entry alone");
}

#[test]
fn welcomes_with_another_tree_are_refused() {
    let (welcome, tree, bob) = welcome_for_two();
    assert!(bob.open(&welcome, &tree).is_ok());
    let mut other = Device::new(1);
    other.create(state(0));
    let lone = other.lose(|env| group::ratchet_tree(&env.load(state(0)).0)).expect("a tree");
    assert!(matches!(bob.open(&welcome, &lone), Err(Refused::Welcome(_))));
    assert!(matches!(
        bob.open(&welcome, &tree[1..]),
        Err(Refused::Malformed(_) | Refused::Welcome(_))
    ));
    assert!(matches!(bob.open(&welcome[1..], &tree), Err(Refused::Malformed(_))));
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut alice = Device::new(1);
        alice.create(state(0));
        let before = alice.dump();
        prop_assert!(matches!(alice.receive(state(0), &bytes), Inbound::Refused(_)));
        prop_assert!(alice.check(&bytes).is_err());
        prop_assert!(alice.open(&bytes, &bytes).is_err());
        if let Ok(split) = welcome::split(&bytes) {
            prop_assert!(split.entries.len() <= bytes.len());
        }
        prop_assert!(alice.dump() == before);
    }
}
