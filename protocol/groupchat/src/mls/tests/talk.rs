//! Groups as they are meant to be used.

use super::*;
use crate::mls::leaf::Member;
use crate::mls::slot;

#[test]
fn three_members_talk_and_agree() {
    let [mut alice, mut bob, mut carol] = three();
    let at = state(1);
    let hello = alice.send(at, "hello");
    let id = alice.key.id();
    assert_eq!(bob.read(at, &hello), ("hello".into(), id));
    assert_eq!(carol.read(at, &hello), ("hello".into(), id));
    let answer = carol.send(at, "да 🙂");
    assert_eq!(alice.read(at, &answer).0, "да 🙂");
    assert_eq!(bob.read(at, &answer), ("да 🙂".into(), carol.key.id()));

    let devices = [&alice, &bob, &carol];
    let expected: Vec<Member> = (0..)
        .zip(devices)
        .map(|(leaf, d)| Member { leaf, identity: d.identity(), installation: d.key.id() })
        .collect();
    for device in devices {
        device.lose(|env| {
            let (group, provider) = env.load(at);
            assert_eq!(group::members(&group).expect("leaves"), expected);
            assert_eq!(group::extensions(&group).expect("extensions"), profile("second"));
            assert_eq!(group::epoch(&group), 1);
            let secret = group::export::<32>(&group, &provider, "label", b"context");
            assert_eq!(*secret.expect("active"), *exported(&alice, "label", b"context"));
        });
        assert_eq!(device.authenticator(at), alice.authenticator(at));
    }
    let (a, b) = (exported(&alice, "label", b"context"), exported(&alice, "label", b"other"));
    assert_ne!(*a, *b);
}

fn exported(device: &Device, label: &str, context: &[u8]) -> zeroize::Zeroizing<[u8; 32]> {
    device.lose(|env| {
        let (group, provider) = env.load(state(1));
        group::export::<32>(&group, &provider, label, context).expect("active")
    })
}

#[test]
fn a_welcome_can_be_looked_at_before_joining() {
    let [mut alice, mut bob] = [1, 2].map(Device::new);
    alice.create(state(0));
    let package = bob.package();
    let (_, welcome, tree) = alice.commit(state(0), state(1), &[package], None);
    let before = bob.dump();
    bob.step(|env| {
        let joining = welcome::open(&env.global(), &welcome.expect("additions"), &tree)
            .expect("no fault")
            .expect("a good welcome");
        assert_eq!((joining.group, joining.epoch), (GROUP, 1));
        assert_eq!(joining.extensions, profile("first"));
        assert_eq!(joining.sender.installation, alice.key.id());
        assert_eq!(joining.sender.identity, alice.identity());
        assert_eq!(joining.members.len(), 2);
        let elsewhere = GroupId::from_bytes([0; 16]);
        let wrong = env.provider(View::Live(elsewhere, state(1)));
        assert!(matches!(joining.finish(&wrong), Err(MlsError::Namespace(_))));
    });
    assert_eq!(bob.dump(), before, "looking writes nothing");
}

#[test]
fn a_key_package_serves_several_groups() {
    let [mut alice, mut bob] = [1, 2].map(Device::new);
    alice.create(state(0));
    let package = bob.package();
    let (_, first, tree) = alice.commit(state(0), state(1), std::slice::from_ref(&package), None);
    let (_, second, other_tree) =
        alice.commit(state(0), state(2), std::slice::from_ref(&package), None);
    bob.join(state(1), &first.expect("additions"), &tree);
    let second = second.expect("additions");
    bob.join(state(2), &second, &other_tree);
    let text = alice.send(state(2), "there");
    assert_eq!(bob.read(state(2), &text).0, "there");
}

#[test]
fn a_commit_says_what_it_changes() {
    let [mut alice, mut bob, mut carol] = three();
    let mut dave = Device::new(4);
    let package = dave.package();
    let (commit, welcome, tree) =
        alice.commit(state(1), state(2), std::slice::from_ref(&package), Some("third"));
    dave.join(state(2), &welcome.expect("additions"), &tree);
    bob.follow(state(1), state(2), &commit, |staged| {
        assert_eq!(staged.sender.installation, alice.key.id());
        assert_eq!(staged.extensions, Some(profile("third")));
        assert_eq!(staged.epoch, 2);
        assert!(staged.removes.is_empty() && !staged.removes_self());
        let [added] = staged.adds.as_slice() else { panic!("one addition") };
        assert_eq!(added.reference, dave.reference(&package));
        assert_eq!((&added.identity, added.installation), (&dave.identity(), dave.key.id()));
    });
    let removal = bob.step(|env| {
        let (mut group, provider) = env.load_by(env.child(state(2), state(3)));
        let carols = group::members(&group).expect("leaves")[2].leaf;
        let leaf = openmls::prelude::LeafNodeIndex::new(carols);
        let (commit, ..) = group.remove_members(&provider, env.key, &[leaf]).expect("a member");
        group::merge_pending(&mut group, &provider).expect("a pending commit");
        provider.keep().expect("memory");
        commit.to_bytes().expect("encodes")
    });
    carol.follow(state(1), state(2), &commit, |staged| assert_eq!(staged.adds.len(), 1));
    carol.follow(state(2), state(3), &removal, |staged| {
        assert!(staged.removes_self());
        assert_eq!(staged.removes[0].installation, staged_carol());
    });
    alice.follow(state(2), state(3), &removal, |staged| {
        assert_eq!(staged.extensions, None);
        assert!(!staged.removes_self());
    });
    dave.follow(state(2), state(3), &removal, |_| ());
    let text = dave.send(state(3), "without carol");
    assert_eq!(alice.read(state(3), &text).0, "without carol");
    assert!(matches!(carol.refuse(state(3), &text), Refused::Message(_)));
}

fn staged_carol() -> crate::InstallationId {
    Device::new(3).key.id()
}

#[test]
fn own_messages_are_known() {
    let [mut alice, ..] = three();
    let text = alice.send(state(1), "mine");
    assert!(matches!(alice.receive(state(1), &text), Inbound::Own));
}

#[test]
fn everything_repeats_from_the_seeds() {
    let run = || {
        let [mut alice, mut bob, _] = three();
        let packages: Vec<_> = (4..20).map(|n| Device::new(n).package()).collect();
        let (added, welcome, _) = alice.commit(state(1), state(2), &packages, None);
        // a path with a seal for each of the new leaves
        let (changed, _, tree) = alice.commit(state(2), state(3), &[], Some("again"));
        let text = bob.send(state(1), "text");
        (added, welcome, changed, tree, text, alice.authenticator(state(3)))
    };
    assert_eq!(run(), run());
}

#[test]
fn slots_open_for_one_key_package() {
    let [mut alice, mut bob] = [1, 2].map(Device::new);
    let (package, other) = (bob.package().bytes, alice.package().bytes);
    let sealed = alice
        .lose(|env| slot::seal(&env.global(), &package, slot::Use::Slot, b"plain"))
        .expect("a key");
    assert_eq!(sealed.len(), 32 + 5 + 16);
    let open = |device: &Device, package: &[u8]| {
        device.lose(|env| {
            let opener = slot::Opener::new(&env.global(), package).expect("memory")?;
            opener.open(&env.global(), slot::Use::Slot, &sealed).map(|plain| plain.to_vec())
        })
    };
    assert_eq!(open(&bob, &package).as_deref(), Some(b"plain".as_slice()));
    let for_slots = bob.lose(|env| {
        let opener = slot::Opener::new(&env.global(), &package).expect("memory")?;
        opener.open(&env.global(), slot::Use::Rejoin, &sealed)
    });
    assert_eq!(for_slots, None, "made for another use");
    assert_eq!(open(&alice, &other), None, "sealed to another");
    assert_eq!(open(&alice, &package), None, "not alice's package");
    assert!(
        alice
            .lose(|env| slot::seal(&env.global(), b"no package", slot::Use::Slot, b"plain"))
            .is_none()
    );
}
