//! Members that cannot follow, and what others do in their name.

use prost::Message as _;

use super::hostile::handshake;
use super::*;
use crate::api::views::GroupState;
use crate::core::records::StateName;
use crate::core::topics::{rejoin_key, rejoin_topic};
use crate::mls::group::Proposals;
use crate::proto::group as pb;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn rename(world: &mut World, who: usize, name: &str) {
    let (name, description) = (name.to_owned(), String::new());
    world.command(who, Command::SetProfile { group: world.group, name, description });
    world.run(MINUTE);
}

/// Takes somebody off, or brings it back.
fn cut(world: &mut World, who: usize, cut: bool) {
    (world.peers[who].deaf, world.peers[who].asleep) = (cut, cut);
    let peers = usize::from(!cut);
    world.give(who, Input::Connectivity { relay_peers: peers, store_peers: peers });
}

/// Carol is away until others have let go of the states that she knows, and no archive holds what
/// was published in between.
fn away() -> World {
    let mut world = World::three();
    for peer in &mut world.peers {
        peer.core.inner.config.catch_up = HOUR * 6;
    }
    cut(&mut world, CAROL, true);
    rename(&mut world, ALICE, "Chalet");
    world.run(DAY * 8);
    rename(&mut world, BOB, "Cabin");
    world.run(DAY);
    world.wire.clear();
    world
}

/// What goes over rejoin topics.
fn rejoins(world: &World) -> Vec<WakuMessage> {
    let of = |(kind, _): &&(PublishKind, _)| matches!(kind, PublishKind::Rejoin(_));
    world.wire.iter().filter(of).map(|(_, message)| message.clone()).collect()
}

pub(super) fn states(world: &World) -> Vec<StateName> {
    (0..3).map(|who| world.tip(who).keys.expect("inside").name).collect()
}

/// What is in a message on one of the rejoin topics that `who` knows.
fn opened(
    world: &World,
    who: usize,
    message: &WakuMessage,
) -> Option<(StateName, pb::rejoin::Body)> {
    let day = message.timestamp.expect("stamped") as u64 / 86_400_000_000_000;
    let kept = &world.peers[who].core.inner.groups[&world.group].rejoin;
    let (name, record) =
        kept.iter().find(|(_, r)| rejoin_topic(&r.secret.0, day) == message.content_topic)?;
    let key = rejoin_key(&record.secret.0, day);
    let content = crate::seal::open_message(&key, message).expect("a member's");
    let frame = pb::Frame::decode(content.as_slice()).expect("a frame");
    let Some(pb::frame::Body::Rejoin(rejoin)) = frame.body else { panic!("{frame:?}") };
    Some((*name, rejoin.body.expect("something")))
}

/// The first request of somebody, as `reader` can open it.
fn request_of(
    world: &World,
    who: usize,
    reader: usize,
) -> (StateName, pb::SignedRequest, pb::RejoinRequest) {
    let own = world.installation(who);
    let request = rejoins(world).into_iter().find_map(|message| {
        let (name, body) = opened(world, reader, &message)?;
        let pb::rejoin::Body::Request(signed) = body else { return None };
        let request = pb::RejoinRequest::decode(signed.request.as_slice()).ok()?;
        (request.installation == own.as_bytes()).then_some((name, signed, request))
    });
    request.expect("a request")
}

pub(super) fn sealed(
    world: &World,
    who: usize,
    name: &StateName,
    body: pb::rejoin::Body,
) -> WakuMessage {
    let secret = world.peers[who].core.inner.groups[&world.group].rejoin[name].secret.0;
    let day = world.now.as_secs() / 86_400;
    let rejoin = pb::Rejoin { body: Some(body) };
    let frame = pb::Frame { body: Some(pb::frame::Body::Rejoin(rejoin)), mark: Vec::new() };
    let (key, topic) = (rejoin_key(&secret, day), rejoin_topic(&secret, day));
    world.seal_on(&key, topic, &frame.encode_to_vec(), world.now)
}

fn forget_commits(world: &mut World) {
    for who in [ALICE, BOB] {
        let now = world.now;
        let core = &mut world.peers[who].core;
        core.run(now, |_, tx| {
            for (key, _) in tx.overlay.scan(b"chain/")? {
                tx.overlay.delete(key);
            }
            Ok(())
        })
        .expect("memory");
    }
}

/// How many bytes an answer has that says only that its maker stands in the same state, at most.
const NOTHING_NEW: usize = 200;

#[test]
fn a_quiet_group_is_asked_once_a_day_at_most_and_nobody_moves() {
    let mut world = World::three();
    world.run(DAY * 3);
    let before = states(&world);
    let (mut requests, from) = (0, world.wire.len());
    world.run(DAY * 3);
    for (_, message) in &world.wire[from..] {
        match opened(&world, ALICE, message) {
            Some((_, pb::rejoin::Body::Request(_))) => requests += 1,
            Some((_, pb::rejoin::Body::Answer(answer))) => {
                assert!(answer.sealed.len() < NOTHING_NEW, "{} bytes", answer.sealed.len());
            }
            Some((_, pb::rejoin::Body::Statement(_))) => panic!("there is no other side"),
            Some((_, pb::rejoin::Body::Chain(_) | pb::rejoin::Body::AccountReturn(_))) | None => {}
        }
    }
    assert!(requests <= 9, "{requests} requests on three topics in three days");
    assert_eq!(states(&world), before);
    for who in [ALICE, BOB, CAROL] {
        assert!(!world.peers[who].heard.contains(&Event::Waiting { group: world.group }));
    }
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn who_missed_commits_that_no_archive_holds_is_shown_them() {
    let mut world = away();
    let unsent = world.say(CAROL, "from far away");
    cut(&mut world, CAROL, false);
    world.run(HOUR * 12);
    assert_eq!(states(&world), vec![states(&world)[0]; 3]);
    for who in [ALICE, BOB] {
        let message = world.peers[who].core.message(unsent).expect("memory");
        assert_eq!(message.expect("delivered").text, "from far away");
    }
    let answers = rejoins(&world).into_iter().filter(|message| {
        let body = opened(&world, CAROL, message).map(|(_, body)| body);
        matches!(body, Some(pb::rejoin::Body::Answer(a)) if a.sealed.len() >= NOTHING_NEW)
    });
    assert_eq!(answers.count(), 1, "one member answers");
    assert!(!world.peers[CAROL].heard.contains(&Event::Waiting { group: world.group }));
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn who_missed_too_much_has_its_leaf_swapped_and_goes_on() {
    let mut world = away();
    forget_commits(&mut world);
    let unsent = world.say(CAROL, "from far away");
    let epoch = world.tip(ALICE).epoch;
    cut(&mut world, CAROL, false);
    world.run(HOUR * 12);
    assert_eq!(states(&world), vec![states(&world)[0]; 3]);
    assert!(world.tip(ALICE).epoch > epoch, "a commit");
    let view = world.peers[CAROL].core.group(world.group).expect("memory").expect("a group");
    assert_eq!((view.state, view.name.as_str(), view.accounts), (GroupState::Joined, "Cabin", 3));
    assert_eq!(unsent.number, 1);
    for who in [ALICE, BOB] {
        let message = world.peers[who].core.message(unsent).expect("memory");
        assert_eq!(message.expect("delivered").text, "from far away");
    }
    world.go_on(&[ALICE, BOB, CAROL]);
}

#[test]
fn who_was_taken_out_while_away_is_shown_it() {
    let mut world = away();
    let (group, carol) = (world.group, world.account(CAROL));
    world.command(ALICE, Command::Remove { group, accounts: vec![carol] });
    world.run(MINUTE);
    world.wire.clear();
    cut(&mut world, CAROL, false);
    world.run(HOUR * 12);
    assert!(world.peers[CAROL].heard.contains(&Event::Removed { group }));
    let asked = world.peers[CAROL].core.inner.groups[&group].ask.attempts;
    world.run(DAY * 2);
    let attempts = world.peers[CAROL].core.inner.groups[&group].ask.attempts;
    assert_eq!(attempts, asked, "it asks no more");
    world.go_on(&[ALICE, BOB]);
}

#[test]
fn who_is_not_answered_waits_and_says_so() {
    let mut world = away();
    cut(&mut world, CAROL, false);
    cut(&mut world, ALICE, true);
    cut(&mut world, BOB, true);
    world.run(HOUR * 12);
    assert!(world.peers[CAROL].heard.contains(&Event::Waiting { group: world.group }));
    let state = |world: &World| {
        world.peers[CAROL].core.group(world.group).expect("memory").expect("a group").state
    };
    assert_eq!(state(&world), GroupState::Waiting);
    let asked = world.peers[CAROL].core.inner.groups[&world.group].ask.attempts;
    assert!((7..=12).contains(&asked), "about hourly: {asked}");
    cut(&mut world, ALICE, false);
    cut(&mut world, BOB, false);
    world.run(HOUR * 12);
    assert_eq!(state(&world), GroupState::Joined);
    assert!(world.peers[CAROL].heard.contains(&Event::Rejoined { group: world.group }));
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// A request serves once, for the leaf that it names, by the member that signed it.
#[test]
fn requests_serve_nobody_else() {
    let mut world = away();
    forget_commits(&mut world);
    cut(&mut world, CAROL, false);
    world.run(HOUR * 12);
    let (name, used, request) = request_of(&world, CAROL, BOB);

    // signed by another, or changed
    let spoilt = [
        pb::SignedRequest { signature: vec![7; 64], ..used.clone() },
        pb::SignedRequest {
            request: [used.request.as_slice(), &[0x28, 0]].concat(),
            ..used.clone()
        },
    ];
    for signed in spoilt {
        let message = sealed(&world, ALICE, &name, pb::rejoin::Body::Request(signed));
        assert_eq!(world.refused_outright(BOB, &message), RefusedReason::Invalid);
    }
    // of somebody who never was in the group
    let (dave, _) = world.add();
    let package = world.package(dave).bytes().expect("encodes");
    let wanted = pb::RejoinRequest {
        installation: world.installation(dave).as_bytes().to_vec(),
        key_package: package,
        ..request.clone()
    };
    let bytes = wanted.encode_to_vec();
    let signature = world.key(dave).sign(crate::kdf::label::REJOIN_REQUEST, &bytes).to_vec();
    let signed = pb::SignedRequest { request: bytes, signature };
    let message = sealed(&world, ALICE, &name, pb::rejoin::Body::Request(signed));
    assert_eq!(world.refused_outright(BOB, &message), RefusedReason::NotAllowed);

    // the used one again, in a commit: the leaf is another one now
    let carol = world.installation(CAROL);
    let package = world.in_copy(BOB, &world.tip(BOB), |_, provider, _| {
        crate::mls::package::check(provider, &request.key_package).expect("Carol's")
    });
    let swap = |world: &World, who, package: crate::mls::package::Package, requests: &[_]| {
        world.in_copy(who, &world.tip(who), |group, provider, key| {
            let (adds, removes) = (vec![package], [carol]);
            let bound = crate::core::evidence::bound(&[], requests);
            let proposals = Proposals { adds, removes: &removes, bound, ..Proposals::default() };
            crate::mls::group::commit(group, provider, key, proposals)
                .expect("own state")
                .map(|made| made.commit)
        })
    };
    let requests = vec![used];
    let again = swap(&world, BOB, package, &requests);
    let Ok(commit) = again else { panic!("OpenMLS makes it: {again:?}") };
    let with_request =
        pb::Handshake { commit: commit.clone(), requests, ..pb::Handshake::default() };
    let frame =
        pb::Frame { body: Some(pb::frame::Body::Handshake(with_request)), mark: Vec::new() };
    let message = world.seal(BOB, &frame.encode_to_vec());
    assert_eq!(world.refused_outright(ALICE, &message), RefusedReason::NotAllowed, "again");

    // and without any request, even by who may remove and add
    for who in [ALICE, BOB] {
        let package = world.package(CAROL);
        let commit = swap(&world, who, package, &[]).expect("OpenMLS makes it");
        let message = world.seal(who, &handshake(commit, Vec::new()));
        let other = ALICE + BOB - who;
        assert_eq!(world.refused_outright(other, &message), RefusedReason::NotAllowed, "{who}");
    }
    world.go_on(&[ALICE, BOB, CAROL]);
}

/// Who is not known as a member leads nobody anywhere, and what is not signed silences nobody.
#[test]
fn answers_of_strangers_count_for_nothing() {
    let mut world = away();
    cut(&mut world, CAROL, false);
    cut(&mut world, ALICE, true);
    cut(&mut world, BOB, true);
    world.run(HOUR * 5);
    let (name, _, wanted) = request_of(&world, CAROL, CAROL);
    let package = world.in_copy(CAROL, &world.tip(CAROL), |_, provider, _| {
        crate::mls::package::check(provider, &wanted.key_package).expect("Carol's")
    });
    let mallory = crate::account::InstallationKey::from_bytes(&[66; 32]);
    let welcome = pb::RejoinWelcome::default();
    let content = pb::RejoinContent { welcome: Some(welcome), ..pb::RejoinContent::default() };
    let plain = content.encode_to_vec();
    let for_carol = world.in_copy(CAROL, &world.tip(CAROL), |_, provider, _| {
        use crate::mls::slot::{Use, seal};
        seal(provider, &wanted.key_package, Use::Rejoin, &plain).expect("Carol's")
    });
    let answer = |key: &crate::account::InstallationKey, sealed: Vec<u8>| {
        let label = crate::kdf::label::REJOIN_ANSWER;
        let signed = [package.reference.as_slice(), &sealed].concat();
        pb::RejoinAnswer {
            package: package.reference.to_vec(),
            installation: key.id().as_bytes().to_vec(),
            sealed,
            signature: key.sign(label, &signed).to_vec(),
        }
    };
    let stranger =
        sealed(&world, CAROL, &name, pb::rejoin::Body::Answer(answer(&mallory, for_carol)));
    assert_eq!(world.refused_outright(CAROL, &stranger), RefusedReason::NotAllowed);
    let junk = sealed(
        &world,
        CAROL,
        &name,
        pb::rejoin::Body::Answer(answer(&world.key(BOB), vec![1; 100])),
    );
    assert_eq!(world.refused_outright(CAROL, &junk), RefusedReason::Malformed);
    let forged = pb::RejoinAnswer { signature: vec![9; 64], ..answer(&mallory, vec![1; 100]) };
    let forged = sealed(&world, CAROL, &name, pb::rejoin::Body::Answer(forged));
    assert_eq!(world.refused_outright(CAROL, &forged), RefusedReason::Invalid);
}

/// After a long split, others of the side that lost it stand in the same state, and would say so.
#[test]
fn who_has_lost_a_long_split_is_not_held_back_by_others_of_its_side() {
    let mut world = World::three();
    world.run(HOUR);
    let common = states(&world)[CAROL];
    let group = world.group;
    let lost = |world: &World, who: usize| world.peers[who].core.inner.groups[&group].ask.lost;
    for who in [BOB, CAROL] {
        let inner = &mut world.peers[who].core.inner;
        inner.groups.get_mut(&group).expect("joined").ask.lost = Some(common);
    }
    let answers = |world: &World| {
        let bodies = rejoins(world).into_iter().filter_map(|m| opened(world, ALICE, &m));
        bodies.filter(|(_, body)| matches!(body, pb::rejoin::Body::Answer(_))).count()
    };
    cut(&mut world, ALICE, true);
    world.run(HOUR * 4);
    request_of(&world, CAROL, ALICE);
    assert_eq!(answers(&world), 0, "Bob is to leave this side himself");
    assert_eq!(lost(&world, CAROL), Some(common), "only a Welcome leads away from the lost side");
    cut(&mut world, ALICE, false);
    world.run(HOUR * 4);
    assert!(answers(&world) > 0, "Alice answers");
    assert_eq!(lost(&world, CAROL), None, "with a Welcome");
}
