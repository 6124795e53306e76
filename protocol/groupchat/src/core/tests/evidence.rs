//! A member that shows its commit to some with a leaver's word, and to others without.

use prost::Message as _;

use super::hostile::handshake;
use super::*;
use crate::core::evidence::bound;
use crate::mls::group::Proposals;
use crate::proto::group as pb;

/// Bob, whom everybody let remove others, and Carol, who says that she leaves: nobody has taken her
/// out yet, and Bob has her word.
fn leaving() -> (World, pb::SignedWord) {
    let mut world = World::three();
    let (group, account) = (world.group, world.account(BOB));
    let role = crate::order::roles::Role::Admin;
    world.command(ALICE, Command::SetRole { group, account, role });
    world.run(MINUTE);
    world.peers.iter_mut().for_each(|peer| peer.asleep = true);
    world.command(CAROL, Command::Leave { group });
    let changes = &world.peers[BOB].core.inner.groups[&group].changes;
    let word = changes.values().find_map(|change| match &change.change {
        crate::core::records::Change::Leave { core, signature, .. } => {
            Some(pb::SignedWord { core: core.clone(), signature: signature.clone() })
        }
        _ => None,
    });
    let word = word.expect("Carol's word");
    (world, word)
}

/// Bob's commit that takes Carol out, bound to these words.
fn removal(world: &World, words: &[pb::SignedWord]) -> Vec<u8> {
    let carol = [world.installation(CAROL)];
    world.in_copy(BOB, &world.tip(BOB), |group, provider, key| {
        let proposals =
            Proposals { removes: &carol, bound: bound(words, &[]), ..Proposals::default() };
        let made = crate::mls::group::commit(group, provider, key, proposals);
        made.expect("own state").expect("a member").commit
    })
}

fn with(commit: &[u8], words: &[pb::SignedWord]) -> Vec<u8> {
    let (commit, words) = (commit.to_vec(), words.to_vec());
    let handshake = pb::Handshake { commit, words, ..pb::Handshake::default() };
    let body = Some(pb::frame::Body::Handshake(handshake));
    pb::Frame { body, mark: Vec::new() }.encode_to_vec()
}

/// What a commit does decides what others void, so two members that judged it differently would
/// stand apart for good.
#[test]
fn a_commit_is_judged_with_the_words_that_it_is_bound_to_and_no_others() {
    let (mut world, word) = leaving();
    let other = pb::SignedWord { signature: vec![9; 64], ..word.clone() };
    let alone = removal(&world, &[]);
    let bound = removal(&world, std::slice::from_ref(&word));
    let spoilt = [
        ("the word is left out", handshake(bound.clone(), Vec::new())),
        ("a word is put beside it", with(&alone, std::slice::from_ref(&word))),
        ("it comes twice", with(&bound, &[word.clone(), word.clone()])),
        ("it is signed otherwise", with(&bound, &[other])),
    ];
    for (what, content) in spoilt {
        let message = world.seal(BOB, &content);
        assert_eq!(world.refused_outright(ALICE, &message), RefusedReason::Invalid, "{what}");
    }
    // with its word it is taken, whatever was shown before, and needs no right
    let message = world.seal(BOB, &with(&bound, &[word]));
    let events = world.deliver(ALICE, &message);
    let gone = Event::MembersRemoved { group: world.group, accounts: vec![world.account(CAROL)] };
    assert!(events.contains(&gone), "{events:?}");
    let line = world.peers[ALICE].core.inner.groups[&world.group].line.as_ref().expect("inside");
    let commit = line.graph.commit(line.tip).expect("Bob's");
    assert_eq!(commit.uses, crate::order::roles::Rights::NONE);
    world.go_on(&[ALICE]);
}

#[test]
fn what_is_bound_and_is_no_evidence_is_refused() {
    let (mut world, _) = leaving();
    for bound in [vec![0], vec![7; 32]] {
        let carol = [world.installation(CAROL)];
        let commit = world.in_copy(BOB, &world.tip(BOB), |group, provider, key| {
            let proposals = Proposals { removes: &carol, bound, ..Proposals::default() };
            let made = crate::mls::group::commit(group, provider, key, proposals);
            made.expect("own state").expect("a member").commit
        });
        let message = world.seal(BOB, &handshake(commit, Vec::new()));
        assert_eq!(world.refused_outright(ALICE, &message), RefusedReason::Invalid);
    }
    world.go_on(&[ALICE, BOB]);
}

/// The honest way: whoever commits first, the commit of a leaver's removal is one to all.
#[test]
fn members_take_a_leaver_out_by_a_commit_that_all_judge_alike() {
    let (mut world, _) = leaving();
    world.peers.iter_mut().for_each(|peer| peer.asleep = false);
    world.run(MINUTE * 2);
    let commits: Vec<_> = [ALICE, BOB]
        .map(|who| {
            let group = &world.peers[who].core.inner.groups[&world.group];
            let line = group.line.as_ref().expect("inside");
            let commit = line.graph.commit(line.tip).expect("a removal");
            (commit.removes.clone(), commit.uses, commit.tie)
        })
        .into();
    assert_eq!(commits[0], commits[1]);
    assert_eq!(commits[0].0, [world.installation(CAROL)]);
    world.go_on(&[ALICE, BOB]);
}
