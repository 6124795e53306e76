//! Commits that are refused, each with its reason.

use prost::Message as _;

use super::hostile::{application, handshake};
use super::*;
use crate::api::Role;
use crate::core::agreed::{AUTHORITY, Agreed, LOG_DIGEST, PROFILE, Parameters};
use crate::mls::leaf::ExtensionList;
use crate::proto::group as pb;

/// A change, and what it is.
type Change<T> = (&'static str, fn(&mut T));

/// A commit of Alice's that sets what all agree on to this.
fn setting(world: &World, change: impl FnOnce(&mut Agreed)) -> WakuMessage {
    let mut agreed = world.agreed();
    change(&mut agreed);
    let set = world.extensions(&agreed);
    let commit = world.commit_of(ALICE, Vec::new(), Some(&set));
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
fn a_commit_needs_the_right_for_what_it_does() {
    let mut world = World::three();
    let removal = world.seal(CAROL, &handshake(world.removal(CAROL, BOB), Vec::new()));
    assert_eq!(world.refused_outright(ALICE, &removal), RefusedReason::NotAllowed);
    assert_eq!(world.refused_outright(BOB, &removal), RefusedReason::NotAllowed);
    let carol = world.account(CAROL);
    let changes: [Change<Agreed>; 3] = [
        ("an owner more", |agreed| {
            agreed.authority.name(crate::AccountId::from_bytes([9; 32]), Role::Owner)
        }),
        ("no owner", |agreed| agreed.authority.owners.clear()),
        ("the policy", |agreed| agreed.authority.policy.remove = Role::Member),
    ];
    for (what, change) in changes {
        let mut agreed = world.agreed();
        change(&mut agreed);
        let commit = world.commit_of(CAROL, Vec::new(), Some(&world.extensions(&agreed)));
        let message = world.seal(CAROL, &handshake(commit, Vec::new()));
        assert_eq!(world.refused_outright(BOB, &message), RefusedReason::NotAllowed, "{what}");
    }
    let mut agreed = world.agreed();
    agreed.authority.name(carol, Role::Admin);
    let commit = world.commit_of(CAROL, Vec::new(), Some(&world.extensions(&agreed)));
    let message = world.seal(CAROL, &handshake(commit, Vec::new()));
    assert_eq!(world.refused_outright(BOB, &message), RefusedReason::NotAllowed, "herself");
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn what_a_commit_may_not_change_stays() {
    let mut world = World::three();
    let bob = world.installation(BOB);
    let mut commits = vec![("the log digest", setting(&world, |agreed| agreed.log_digest[0] ^= 1))];
    let (was, agreed) = (world.parameters(), world.agreed());
    for (what, parameters) in [
        ("the topic period", Parameters { period: was.period + 1, ..was }),
        ("the creator", Parameters { creator: bob, ..was }),
        ("the nonce", Parameters { nonce: [1; 16], ..was }),
    ] {
        let set = agreed.extensions(&parameters);
        let commit = world.commit_of(ALICE, Vec::new(), Some(&set));
        commits.push((what, world.seal(ALICE, &handshake(commit, Vec::new()))));
    }
    for (what, message) in commits {
        assert_eq!(world.refused_outright(BOB, &message), RefusedReason::NotAllowed, "{what}");
    }
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn log_entries_that_the_digest_does_not_name_are_refused() {
    let mut world = World::three();
    let commit = world.commit_of(ALICE, Vec::new(), Some(&world.extensions(&world.agreed())));
    let message = world.seal(ALICE, &handshake(commit, vec![b"an entry more".to_vec()]));
    assert_eq!(world.refused_outright(BOB, &message), RefusedReason::NotAllowed);
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn what_all_agree_on_has_to_parse() {
    let mut world = World::three();
    let spoilt: [Change<ExtensionList>; 7] = [
        ("no profile", |all| all.retain(|(kind, _)| *kind != PROFILE)),
        ("a profile of junk", |all| all[0].1 = vec![0xff; 9]),
        ("no digest", |all| all.retain(|(kind, _)| *kind != LOG_DIGEST)),
        ("a short digest", |all| all[2].1.truncate(31)),
        ("parameters of junk", |all| all[1].1 = vec![0x0a, 0xff]),
        ("no roles", |all| all.retain(|(kind, _)| *kind != AUTHORITY)),
        ("roles of junk", |all| all[3].1 = vec![0x0a, 0x01, 0x00]),
    ];
    for (what, spoil) in spoilt {
        let mut extensions = world.extensions(&world.agreed());
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
    let eves = world.own_log(eve);
    let mut log = world.log_set(ALICE);
    assert!(log.extend(&eves));
    let agreed = Agreed { log_digest: log.digest(), ..world.agreed() };
    let commit = world.commit_of(ALICE, vec![package], Some(&world.extensions(&agreed)));
    let message = world.seal(ALICE, &handshake(commit, eves));
    assert_eq!(world.refused_outright(BOB, &message), RefusedReason::Unproven);
    world.go_on(&[BOB, CAROL]);
}

#[test]
fn who_is_put_out_hears_of_it_and_says_no_more() {
    let mut world = World::three();
    let (group, carol) = (world.group, world.account(CAROL));
    world.command(ALICE, Command::Remove { group, accounts: vec![carol] });
    world.run(MINUTE);
    assert!(world.peers[CAROL].heard.contains(&Event::Removed { group }));
    let gone = Event::MembersRemoved { group, accounts: vec![carol] };
    assert!(world.peers[BOB].heard.contains(&gone));
    let text = "still here?".to_owned();
    let refused = world.try_command(CAROL, Command::Send { group, text });
    assert_eq!(refused.err(), Some(CommandError::NotInGroup(group)));
    world.go_on(&[ALICE, BOB]);
}

/// What waits can be looked at, with how far it is.
#[test]
fn what_was_asked_for_can_be_listed_until_it_stands_for_good() {
    use crate::api::views::{AskedChange, ChangeState};
    let mut world = World::three();
    let (group, carol) = (world.group, world.account(CAROL));
    let (_, cards) = world.add();
    let dave = world.account(3);
    let list = |world: &World| {
        let changes = world.peers[ALICE].core.changes(group).expect("memory").expect("a group");
        // Bob and Carol were added at first
        let of_now = changes.into_iter().filter(|c| match c.change {
            AskedChange::Add { account } => account == dave,
            _ => true,
        });
        of_now.map(|c| (c.change, c.state)).collect::<Vec<_>>()
    };
    world.peers[ALICE].deaf = true;
    world.peers[ALICE].archive.clear();
    let (name, description) = ("Chalet".to_owned(), String::new());
    let profile = AskedChange::Profile { name: name.clone(), description: description.clone() };
    world.command(ALICE, Command::SetProfile { group, name, description });
    world.command(ALICE, Command::Invite { group, cards: vec![cards] });
    world.command(ALICE, Command::Remove { group, accounts: vec![carol] });
    let removal = AskedChange::Remove { installation: world.installation(CAROL) };
    let add = AskedChange::Add { account: dave };
    let expected = [
        (profile.clone(), ChangeState::Publishing),
        (removal.clone(), ChangeState::Waiting),
        (add.clone(), ChangeState::Searching),
    ];
    assert_eq!(list(&world), expected);
    world.peers[ALICE].deaf = false;
    world.run(MINUTE * 60);
    let expected = [profile, removal, add].map(|change| (change, ChangeState::Made));
    assert_eq!(list(&world), expected);
    world.run(Duration::from_secs(9 * 86_400));
    world.command(ALICE, Command::UpdateKeys { group });
    world.run(MINUTE);
    assert_eq!(list(&world), [(AskedChange::Keys, ChangeState::Made)]);
    assert_eq!(
        world.peers[ALICE].core.changes(GroupId::from_bytes([9; 16])).expect("memory"),
        None
    );
}

#[test]
fn who_leaves_is_taken_out_by_a_member() {
    let mut world = World::three();
    let (group, carol) = (world.group, world.account(CAROL));
    world.command(CAROL, Command::Leave { group });
    world.run(MINUTE * 2);
    for who in [ALICE, BOB] {
        let gone = Event::MembersRemoved { group, accounts: vec![carol] };
        assert!(world.peers[who].heard.contains(&gone), "{who}");
    }
    assert!(world.peers[CAROL].heard.contains(&Event::Removed { group }));
    world.go_on(&[ALICE, BOB]);
}

/// Two commits leave one state. Whoever hears which one first, all end in the same state, and what
/// the other one was for is made again.
#[test]
fn commits_that_leave_one_state_end_in_one() {
    for first in [ALICE, BOB] {
        let mut world = World::three();
        let group = world.group;
        let from = world.wire.len();
        world.peers[ALICE].deaf = true;
        world.peers[BOB].deaf = true;
        for (who, name) in [(ALICE, "Chalet"), (BOB, "Cabin")] {
            let (name, description) = (name.to_owned(), "Both".to_owned());
            world.command(who, Command::SetProfile { group, name, description });
        }
        world.run(MINUTE);
        assert_eq!(world.wire.len(), from, "nobody took them");
        for who in [first, ALICE + BOB - first] {
            world.peers[who].deaf = false;
            world.give(who, Input::Connectivity { relay_peers: 0, store_peers: 0 });
            world.give(who, Input::Connectivity { relay_peers: 1, store_peers: 1 });
        }
        world.run(MINUTE * 30);
        let tips: Vec<_> =
            [ALICE, BOB, CAROL].map(|who| world.tip(who).keys.expect("inside").name).into();
        assert_eq!(tips, vec![tips[0]; 3], "{first} first");
        let names: Vec<_> = [ALICE, BOB, CAROL].map(|who| name(&world, who)).into();
        assert_eq!(names, vec![names[0].clone(); 3]);
        world.go_on(&[ALICE, BOB, CAROL]);
    }
}

#[test]
fn a_commit_is_no_message_and_a_message_no_commit() {
    let mut world = World::three();
    let commit = world.commit_of(ALICE, Vec::new(), Some(&world.extensions(&world.agreed())));
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
