//! Commits that are refused, each with its reason.

use prost::Message as _;

use super::hostile::{application, handshake};
use super::*;
use crate::core::commits::{Agreed, LOG_DIGEST, PROFILE, log_digest};
use crate::mls::leaf::ExtensionList;
use crate::proto::group as pb;

/// A change, and what it is.
type Change<T> = (&'static str, fn(&mut T));

/// A commit of Alice's that sets what all agree on to this.
fn setting(world: &World, change: impl FnOnce(&mut Agreed)) -> WakuMessage {
    let mut agreed = world.agreed();
    change(&mut agreed);
    let commit = world.commit_of(ALICE, Vec::new(), Some(&agreed.extensions()));
    world.seal(ALICE, &handshake(commit, Vec::new()))
}

fn rename(world: &mut World, name: &str) {
    let (name, description) = (name.to_owned(), String::new());
    world.command(ALICE, Command::SetProfile { group: world.group, name, description });
    world.run(MINUTE);
}

fn name(world: &World, who: usize) -> String {
    let view = world.peers[who].core.group(world.group).expect("memory");
    view.expect("a group").name
}

#[test]
fn only_the_creators_commits_count() {
    let mut world = World::three();
    let mut agreed = world.agreed();
    agreed.name = "Mine".to_owned();
    for adds in [Vec::new(), {
        let (dave, _) = world.add();
        vec![world.package(dave)]
    }] {
        let commit = world.commit_of(CAROL, adds, Some(&agreed.extensions()));
        let message = world.seal(CAROL, &handshake(commit, Vec::new()));
        for to in [ALICE, BOB] {
            assert_eq!(world.refused_outright(to, &message), RefusedReason::NotAllowed);
        }
    }
    let removal = world.seal(CAROL, &handshake(world.removal(CAROL, BOB), Vec::new()));
    assert_eq!(world.refused_outright(ALICE, &removal), RefusedReason::NotAllowed);
    assert_eq!(world.refused_outright(BOB, &removal), RefusedReason::NotAllowed);
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn what_a_commit_may_not_change_stays() {
    let mut world = World::three();
    let bob = world.installation(BOB);
    let changes: [Change<Agreed>; 2] = [
        ("the log digest", |agreed| agreed.log_digest[0] ^= 1),
        ("the topic period", |agreed| agreed.period += 1),
    ];
    let mut commits: Vec<(&str, WakuMessage)> =
        changes.into_iter().map(|(what, change)| (what, setting(&world, change))).collect();
    commits.push(("the creator", setting(&world, |agreed| agreed.creator = bob)));
    for (what, message) in commits {
        assert_eq!(world.refused_outright(BOB, &message), RefusedReason::NotAllowed, "{what}");
    }
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn log_entries_that_the_digest_does_not_name_are_refused() {
    let mut world = World::three();
    let commit = world.commit_of(ALICE, Vec::new(), Some(&world.agreed().extensions()));
    let message = world.seal(ALICE, &handshake(commit, vec![b"an entry more".to_vec()]));
    assert_eq!(world.refused_outright(BOB, &message), RefusedReason::NotAllowed);
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn what_all_agree_on_has_to_parse() {
    let mut world = World::three();
    let spoilt: [Change<ExtensionList>; 5] = [
        ("no profile", |all| all.retain(|(kind, _)| *kind != PROFILE)),
        ("a profile of junk", |all| all[0].1 = vec![0xff; 9]),
        ("no digest", |all| all.retain(|(kind, _)| *kind != LOG_DIGEST)),
        ("a short digest", |all| all[2].1.truncate(31)),
        ("parameters of junk", |all| all[1].1 = vec![0x0a, 0xff]),
    ];
    for (what, spoil) in spoilt {
        let mut extensions = world.agreed().extensions();
        spoil(&mut extensions);
        let commit = world.commit_of(ALICE, Vec::new(), Some(&extensions));
        let message = world.seal(ALICE, &handshake(commit, Vec::new()));
        assert_eq!(world.refused_outright(BOB, &message), RefusedReason::Malformed, "{what}");
    }
    for name in [0, 129] {
        let message = setting(&world, |agreed| agreed.name = "x".repeat(name));
        assert_eq!(world.refused_outright(BOB, &message), RefusedReason::Malformed, "a name");
    }
    let message = setting(&world, |agreed| agreed.description = "x".repeat(2049));
    assert_eq!(world.refused_outright(BOB, &message), RefusedReason::Malformed, "a description");
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn who_comes_in_has_to_be_proven() {
    let mut world = World::three();
    let (dave, _) = world.add();
    let package = world.package(dave);
    let commit = world.commit_of(ALICE, vec![package.clone()], None);
    let unproven = world.seal(ALICE, &handshake(commit, Vec::new()));
    assert_eq!(world.refused_outright(BOB, &unproven), RefusedReason::Unproven);

    // the log of another account proves nothing of Dave
    let (eve, _) = world.add();
    let eves = world.peers[eve].core.inner.account.as_ref().expect("an account").log.clone();
    let record = &world.peers[ALICE].core.inner.groups[&world.group].record;
    let mut agreed = world.agreed();
    agreed.log_digest = log_digest(&[record.log.as_slice(), &eves].concat());
    let commit = world.commit_of(ALICE, vec![package], Some(&agreed.extensions()));
    let message = world.seal(ALICE, &handshake(commit, eves));
    assert_eq!(world.refused_outright(BOB, &message), RefusedReason::Unproven);
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn nobody_is_put_out_for_now() {
    let mut world = World::three();
    let removal = world.seal(ALICE, &handshake(world.removal(ALICE, CAROL), Vec::new()));
    assert_eq!(world.refused_outright(BOB, &removal), RefusedReason::NotAllowed);
    assert_eq!(world.refused_outright(CAROL, &removal), RefusedReason::NotAllowed);
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn a_state_that_was_left_is_not_left_again() {
    let mut world = World::three();
    let old = world.tip(ALICE);
    rename(&mut world, "Chalet");
    let mut agreed = world.agreed();
    agreed.name = "Fork".to_owned();
    let commit = world.in_copy(ALICE, &old, |group, provider, key| {
        let set = agreed.extensions();
        let made = crate::mls::group::commit(group, provider, key, Vec::new(), Some(&set));
        made.expect("own state").expect("no additions").commit
    });
    let fork = world.seal_under(&old, &handshake(commit, Vec::new()), world.now);
    assert_eq!(world.refused_outright(BOB, &fork), RefusedReason::NotAllowed);
    assert_eq!(name(&world, BOB), "Chalet");
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn a_commit_is_no_message_and_a_message_no_commit() {
    let mut world = World::three();
    let commit = world.commit_of(ALICE, Vec::new(), Some(&world.agreed().extensions()));
    let as_message = world.seal(ALICE, &application(commit));
    assert_eq!(world.refused_outright(BOB, &as_message), RefusedReason::Mls);
    let mls = world.encrypt(ALICE, b"plain");
    let as_commit = world.seal(ALICE, &handshake(mls, Vec::new()));
    assert_eq!(world.refused_outright(BOB, &as_commit), RefusedReason::Mls);
    world.go_on(&[BOB, CAROL]);
}

/// Every member can put the creator's commit into an envelope of its own, with other log entries
/// beside it. It must not keep others from following the commit.
#[test]
fn nobody_spoils_anothers_commit_by_sending_it_first() {
    let mut world = World::three();
    world.peers[BOB].deaf = true;
    rename(&mut world, "Chalet");
    let of_commit = |(kind, _): &&(PublishKind, _)| matches!(kind, PublishKind::Commit(_));
    let (_, commit) = world.wire.iter().rev().find(of_commit).expect("published").clone();
    let content = world.unseal(BOB, &commit);
    let frame = pb::Frame::decode(content.as_slice()).expect("Alice's");
    let Some(pb::frame::Body::Handshake(good)) = frame.body else { panic!("a commit") };

    let old = world.tip(BOB);
    let spoilt = [
        (handshake(good.commit.clone(), vec![vec![7]]), RefusedReason::NotAllowed),
        (application(good.commit.clone()), RefusedReason::Mls),
        (handshake([good.commit.as_slice(), &[0]].concat(), Vec::new()), RefusedReason::Mls),
    ];
    for (content, reason) in spoilt {
        let message = world.seal_under(&old, &content, world.now);
        assert_eq!(world.refused_outright(BOB, &message), reason);
    }
    assert_eq!(name(&world, BOB), "Hut");
    world.deliver(BOB, &commit);
    assert_eq!(name(&world, BOB), "Chalet");
    world.peers[BOB].deaf = false;
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn a_commit_that_comes_again_is_dropped_silently() {
    let mut world = World::three();
    rename(&mut world, "Chalet");
    let of_commit = |(kind, _): &&(PublishKind, _)| matches!(kind, PublishKind::Commit(_));
    let (_, commit) = world.wire.iter().rev().find(of_commit).expect("published").clone();
    for who in [ALICE, BOB, CAROL] {
        world.ignored(who, &commit);
    }
    world.go_on(&[ALICE, BOB, CAROL]);
}
