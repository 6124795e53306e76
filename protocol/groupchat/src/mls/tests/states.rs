//! States side by side, lost overlays, restarts.

use openmls_traits::OpenMlsProvider as _;

use super::*;
use crate::mls::delete_states;
use crate::mls::group::Proposals;

#[test]
fn a_lost_overlay_leaves_the_store_and_a_reload_goes_on() {
    let [mut alice, mut bob, _] = three();
    let before = alice.dump();
    let lost = alice.lose(|env| {
        let (mut group, provider) = env.load(state(1));
        group::encrypt(&mut group, &provider, env.key, b"never published").expect("own state")
    });
    assert_eq!(alice.dump(), before);
    let kept = alice.send(state(1), "published");
    assert_ne!(lost, kept);
    assert_eq!(bob.read(state(1), &kept).0, "published");
}

#[test]
fn reading_writes_nothing_and_uses_up_what_is_in_memory() {
    let [mut alice, bob, _] = three();
    let sent: Vec<_> = (0..3).map(|n| alice.send(state(1), &format!("{n}"))).collect();
    let before = bob.dump();
    let read = |group: &mut MlsGroup, provider: &Provider<'_>, n: usize| match message::receive(
        group, provider, &sent[n],
    )
    .expect("no fault")
    {
        Inbound::Application { content, .. } => assert_eq!(content, n.to_string().as_bytes()),
        other => panic!("{other:?}"),
    };
    for view in [View::Reading(GROUP, state(1)), View::Base(GROUP, state(1))] {
        let overlay = Overlay::new(&bob.store);
        bob.work(&overlay, |env| {
            let (mut group, provider) = env.load_by(env.provider(view));
            for n in [1, 0, 2] {
                read(&mut group, &provider, n);
            }
            let again = message::receive(&mut group, &provider, &sent[1]).expect("no fault");
            assert!(matches!(again, Inbound::Refused(refused) if refused.is_late()));
            let (mut group, provider) = env.load_by(env.provider(view));
            read(&mut group, &provider, 1);
        });
        assert!(overlay.into_batch().is_empty(), "not even deletions");
    }
    assert_eq!(bob.dump(), before);
}

#[test]
fn a_sender_too_far_ahead_is_refused() {
    let [mut alice, bob, _] = three();
    let [first, near, far] = alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        let reading = env.provider(View::Reading(GROUP, state(1)));
        // what is kept of the ratchet does not matter here
        let mut say = |provider: &Provider<'_>| {
            group::encrypt(&mut group, provider, env.key, b"text").expect("own state")
        };
        let first = say(&reading);
        (1..group::MAX_FORWARD).for_each(|_| drop(say(&reading)));
        [first, say(&reading), say(&provider)]
    });
    let refusal = |message: &[u8]| {
        bob.lose(|env| {
            let (mut group, provider) = env.load(state(1));
            match message::receive(&mut group, &provider, message).expect("no fault") {
                Inbound::Application { .. } => None,
                Inbound::Refused(refused) => Some(refused),
                other => panic!("{other:?}"),
            }
        })
    };
    assert!(refusal(&first).is_none() && refusal(&near).is_none());
    let refused = refusal(&far).expect("one more than is followed");
    assert!(matches!(refused, Refused::Message(_)) && !refused.is_late(), "{refused}");
}

#[test]
fn no_generation_is_used_twice_whatever_is_lost() {
    let [mut alice, bob, mut carol] = three();
    let mut all = Vec::new();
    for round in 0..5 {
        // reading between sends, loading anew, and a batch that is lost before anything left
        let heard = carol.send(state(1), "carol");
        alice.lose(|env| {
            let (mut group, provider) = env.load(state(1));
            group::encrypt(&mut group, &provider, env.key, b"lost").expect("own state");
        });
        alice.step(|env| {
            let (mut group, provider) = env.load(state(1));
            let reading = env.provider(View::Reading(GROUP, state(1)));
            message::receive(&mut group, &reading, &heard).expect("no fault");
            for n in 0..=round {
                let text = format!("{round} {n}");
                all.push(group::encrypt(&mut group, &provider, env.key, text.as_bytes()));
            }
        });
    }
    // one group reads each of them: a generation that came twice would be refused as used
    bob.lose(|env| {
        let (mut group, provider) = env.load(state(1));
        for message in &all {
            let message = message.as_ref().expect("own state");
            let read = message::receive(&mut group, &provider, message).expect("no fault");
            assert!(matches!(read, Inbound::Application { .. }), "{read:?}");
        }
    });
}

#[test]
fn forks_of_a_state_live_side_by_side() {
    let [mut alice, mut bob, mut carol] = three();
    let base = alice.authenticator(state(1));
    let [mut dave, mut erin] = [4, 5].map(Device::new);
    let (left, ..) = alice.commit(state(1), state(2), &[dave.package()], None);
    let (right, ..) = bob.commit(state(1), state(3), &[erin.package()], None);
    assert_eq!(alice.authenticator(state(1)), base);
    for device in [&mut bob, &mut carol] {
        device.follow(state(1), state(2), &left, |_| ());
    }
    for device in [&mut alice, &mut carol] {
        device.follow(state(1), state(3), &right, |_| ());
    }
    let all = [alice.authenticator(state(2)), alice.authenticator(state(3)), base];
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    for (at, text) in [(2, "left"), (3, "right"), (1, "base")] {
        assert_eq!(carol.authenticator(state(at)), alice.authenticator(state(at)));
        let sent = carol.send(state(at), text);
        assert_eq!(bob.read(state(at), &sent).0, text);
        for other in [1, 2, 3].into_iter().filter(|other| *other != at) {
            let refused = alice.refuse(state(other), &sent);
            assert!(matches!(refused, Refused::Message(_) | Refused::Epoch), "{refused:?}");
        }
        assert_eq!(alice.read(state(at), &sent).0, text);
    }
}

#[test]
fn late_messages_are_read_in_their_state() {
    let [mut alice, mut bob, _] = three();
    let late: Vec<_> = (0..5).map(|n| bob.send(state(1), &format!("late {n}"))).collect();
    let (commit, ..) = alice.commit(state(1), state(2), &[], Some("later"));
    bob.follow(state(1), state(2), &commit, |_| ());
    let now = bob.send(state(2), "now");
    assert_eq!(alice.read(state(2), &now).0, "now");
    for (n, message) in late.iter().enumerate().rev() {
        assert_eq!(alice.read(state(1), message).0, format!("late {n}"));
        assert!(matches!(alice.refuse(state(2), message), Refused::Epoch));
    }
}

#[test]
fn deleting_a_state_leaves_the_others() {
    let [mut alice, ..] = three();
    let before = alice.dump();
    alice.commit(state(1), state(2), &[], Some("gone again"));
    alice.step(|env| delete_states(env.overlay, GROUP, &[state(2)])).expect("memory");
    assert_eq!(alice.dump(), before);
    let all = [state(0), state(1)];
    alice.step(|env| delete_states(env.overlay, GROUP, &all)).expect("memory");
    assert_eq!(alice.dump(), []);
}

#[test]
fn a_child_needs_its_parent_no_more() {
    let [mut alice, mut bob, _] = three();
    let (commit, ..) = alice.commit(state(1), state(2), &[], Some("later"));
    bob.follow(state(1), state(2), &commit, |_| ());
    for device in [&mut alice, &mut bob] {
        device
            .step(|env| delete_states(env.overlay, GROUP, &[state(0), state(1)]))
            .expect("memory");
    }
    let text = alice.send(state(2), "alone");
    assert_eq!(bob.read(state(2), &text).0, "alone");
    let (commit, ..) = bob.commit(state(2), state(3), &[], Some("and on"));
    alice.follow(state(2), state(3), &commit, |_| ());
    assert_eq!(alice.authenticator(state(3)), bob.authenticator(state(3)));
}

#[test]
fn what_is_not_kept_leaves_nothing() {
    let [alice, bob, _] = three();
    let package = alice.check(&Device::new(4).package().bytes).expect("a good package");
    let overlay = Overlay::new(&alice.store);
    alice.work(&overlay, |env| {
        let (mut group, provider) = env.load_by(env.child(state(1), state(2)));
        let proposals = Proposals { adds: vec![package], ..Default::default() };
        group::commit(&mut group, &provider, env.key, proposals)
            .expect("own state")
            .expect("a fitting addition");
        group::merge_pending(&mut group, &provider).expect("a pending commit");
    });
    assert!(overlay.into_batch().is_empty());
    bob.lose(|env| assert!(env.at(state(1)).keep().is_err(), "no new state"));
}

#[test]
fn keeping_a_state_again_leaves_nothing_of_the_first() {
    let [mut alice, ..] = three();
    let before = alice.dump();
    alice.send(state(1), "in the live part");
    alice.commit(state(0), state(1), &[], Some("another"));
    alice.step(|env| {
        let live = [b"mls/2/l/".as_slice(), GROUP.as_bytes()].concat();
        assert_eq!(env.overlay.scan(&live).expect("memory"), []);
    });
    assert_eq!(alice.dump().len(), before.len());
}

#[test]
fn a_pending_commit_survives_a_restart() {
    let [mut alice, mut bob, _] = three();
    let mut dave = Device::new(4);
    let package = alice.check(&dave.package().bytes).expect("a good package");
    let own = alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        let kept = profile("kept");
        let extensions = Some(kept.as_slice());
        let proposals = Proposals { adds: vec![package], extensions, ..Default::default() };
        group::commit(&mut group, &provider, env.key, proposals)
            .expect("own state")
            .expect("a fitting addition")
    });
    assert!(matches!(alice.receive(state(1), &own.commit), Inbound::Own));
    alice.step(|env| {
        // what waits in a state is live: its child is made of the group that holds it
        let (mut group, _) = env.load(state(1));
        let provider = env.child(state(1), state(2));
        group::merge_pending(&mut group, &provider).expect("a pending commit");
        provider.keep().expect("memory");
        let (mut group, provider) = env.load(state(1));
        group.clear_pending_commit(provider.storage()).expect("memory");
    });
    bob.follow(state(1), state(2), &own.commit, |_| ());
    assert_eq!(alice.authenticator(state(2)), bob.authenticator(state(2)));
    let text = alice.send(state(1), "the state before works on");
    assert_eq!(bob.read(state(1), &text).0, "the state before works on");
}

#[test]
fn a_global_provider_has_no_groups() {
    let mut alice = Device::new(1);
    let identity = alice.identity();
    alice.lose(|env| {
        let made = group::create(&env.global(), env.key, &identity, &[]);
        assert!(matches!(made, Err(MlsError::Namespace(_))));
        assert!(matches!(group::load(&env.global()), Err(MlsError::Namespace(_))));
        assert!(group::load(&env.at(state(0))).expect("memory").is_none());
    });
    alice.create(state(0));
    alice.lose(|env| {
        let again = group::create(&env.at(state(0)), env.key, &identity, &[]);
        assert!(matches!(again, Err(MlsError::OpenMls { .. })));
        assert!(group::load(&env.at(state(1))).expect("memory").is_none());
    });
}
