//! States side by side, lost overlays, restarts.

use openmls_traits::OpenMlsProvider as _;

use super::*;
use crate::mls::{copy_state, delete_state};

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
    bob.lose(|env| {
        let (mut group, provider) = env.load(state(1));
        let read = message::receive(&mut group, &provider, &kept).expect("no fault");
        assert!(matches!(read, Inbound::Application { .. }));
    });
    assert_eq!(bob.read(state(1), &kept).0, "published", "the lost reading used nothing up");
    assert!(matches!(bob.refuse(state(1), &kept), Refused::Message(_)), "the kept one did");
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
    alice.step(|env| copy_state(env.overlay, GROUP, state(1), state(9))).expect("memory");
    let (commit, ..) = alice.commit(state(1), state(2), &[], Some("later"));
    bob.follow(state(1), state(2), &commit, |_| ());
    let now = bob.send(state(2), "now");
    assert_eq!(alice.read(state(2), &now).0, "now");
    for (n, message) in late.iter().enumerate().rev() {
        assert_eq!(alice.read(state(1), message).0, format!("late {n}"));
        assert!(matches!(alice.refuse(state(2), message), Refused::Epoch));
    }
    // The same, on a copy of the state as it began that nothing is written to.
    for _ in 0..2 {
        alice.lose(|env| {
            let (mut group, provider) = env.load(state(9));
            let read = message::receive(&mut group, &provider, &late[3]).expect("no fault");
            assert!(matches!(read, Inbound::Application { .. }));
        });
    }
}

#[test]
fn deleting_a_state_leaves_the_others() {
    let [mut alice, ..] = three();
    let before = alice.dump();
    alice.commit(state(1), state(2), &[], Some("gone again"));
    alice.step(|env| delete_state(env.overlay, GROUP, state(2))).expect("memory");
    assert_eq!(alice.dump(), before);
    for n in [0, 1] {
        alice.step(|env| delete_state(env.overlay, GROUP, state(n))).expect("memory");
    }
    assert_eq!(alice.dump(), []);
}

#[test]
fn copying_over_a_state_leaves_nothing_of_it() {
    let [mut alice, ..] = three();
    alice.step(|env| copy_state(env.overlay, GROUP, state(1), state(2))).expect("memory");
    let once = alice.dump();
    alice.step(|env| {
        copy_state(env.overlay, GROUP, state(0), state(2)).expect("memory");
        copy_state(env.overlay, GROUP, state(1), state(2)).expect("memory");
    });
    assert_eq!(alice.dump(), once);
}

#[test]
fn a_pending_commit_survives_a_restart() {
    let [mut alice, mut bob, _] = three();
    let mut dave = Device::new(4);
    let package = alice.check(&dave.package().bytes).expect("a good package");
    let own = alice.step(|env| {
        let (mut group, provider) = env.load(state(1));
        group::commit(&mut group, &provider, env.key, vec![package], Some(&profile("kept")))
            .expect("own state")
            .expect("a fitting addition")
    });
    assert!(matches!(alice.receive(state(1), &own.commit), Inbound::Own));
    alice.step(|env| {
        copy_state(env.overlay, GROUP, state(1), state(2)).expect("memory");
        let (mut group, provider) = env.load(state(2));
        group::merge_pending(&mut group, &provider).expect("a pending commit");
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
