//! Linking a further installation, and who comes between.

use super::*;
use crate::account::{
    InstallationKey, LinkAssembler, LinkOpening, LinkRequest, LinkStep, PartOutcome,
    make_commitment,
};
use crate::api::LinkFailure;
use crate::api::views::LinkRole;

fn request_of(world: &mut World, new: usize) -> String {
    match world.command(new, Command::RequestLink) {
        Answer::LinkRequested { request, .. } => request,
        other => panic!("a request: {other:?}"),
    }
}

/// A linking whose request was accepted and whose digits are shown.
struct UnderWay {
    first: usize,
    new: usize,
    request: String,
    digits: String,
}

fn under_way(world: &mut World) -> UnderWay {
    let (first, _) = world.add();
    let new = world.add_empty();
    let request = request_of(world, new);
    world.command(first, Command::AcceptLink { request: request.clone() });
    let digits = world.digits(first).expect("shown");
    UnderWay { first, new, request, digits }
}

fn failures(world: &World, who: usize) -> Vec<LinkFailure> {
    let heard = world.peers[who].heard.iter();
    heard
        .filter_map(|event| match event {
            Event::LinkFailed { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect()
}

fn confirm(world: &mut World, who: usize, digits: &str) -> bool {
    match world.command(who, Command::ConfirmLink { digits: digits.to_owned() }) {
        Answer::LinkCompared { same } => same,
        other => panic!("compared: {other:?}"),
    }
}

fn has_account(world: &World, who: usize) -> bool {
    world.peers[who].core.account().expect("memory").is_some()
}

/// What was published for the linking of a request, each step as bytes.
fn steps(world: &World, request: &str) -> Vec<(LinkStep, Vec<u8>)> {
    let request: LinkRequest = request.parse().expect("as shown");
    let mut found = Vec::new();
    for step in LinkStep::ALL {
        let mut parts = LinkAssembler::new(&request, step);
        for (_, message) in &world.wire {
            if let PartOutcome::Whole(bytes) = parts.push(message) {
                found.push((step, bytes.to_vec()));
            }
        }
    }
    found
}

#[test]
fn both_sides_show_the_digits_and_each_person_says_so() {
    let mut world = World::new();
    let (first, _) = world.add();
    let new = world.add_empty();
    let request = request_of(&mut world, new);
    assert_eq!(world.digits(new), None);
    let early = world.try_command(new, Command::ConfirmLink { digits: "1234 5678".to_owned() });
    assert_eq!(early.err(), Some(CommandError::NoDigits));
    world.command(first, Command::AcceptLink { request: request.clone() });
    let digits = world.digits(new).expect("shown");
    assert_eq!(world.digits(first), Some(digits.clone()));
    let view = world.peers[first].core.linking().expect("memory").expect("under way");
    assert_eq!((view.role, view.confirmed), (LinkRole::Existing, false));
    // nothing of the account is on the wire before a person of the account has compared
    let last = |world: &World| steps(world, &request).into_iter().map(|(step, _)| step).max();
    assert_eq!(last(&world), Some(LinkStep::Reveal));
    assert!(confirm(&mut world, first, &digits));
    assert_eq!(last(&world), Some(LinkStep::Offer));
    world.run(MINUTE);
    assert!(!has_account(&world, new), "the person at the new one has not compared");
    assert!(confirm(&mut world, new, &digits.replace(' ', "-")));
    assert_eq!(world.account(new), world.account(first));
    for who in [first, new] {
        assert_eq!(world.peers[who].core.installations().expect("memory").len(), 2);
        assert!(world.peers[who].core.linking().expect("memory").is_none());
        assert_eq!(failures(&world, who), []);
    }
}

#[test]
fn a_third_installation_is_told_of_the_second() {
    let mut world = World::new();
    let (first, _) = world.add();
    let (second, third) = (world.link(first), world.link(first));
    assert_eq!(world.peers[third].core.installations().expect("memory").len(), 3);
    assert_eq!(world.peers[second].core.installations().expect("memory").len(), 2);
}

#[test]
fn the_order_in_which_people_compare_does_not_matter() {
    let mut world = World::new();
    let UnderWay { first, new, digits, .. } = under_way(&mut world);
    assert!(confirm(&mut world, new, &digits));
    assert!(confirm(&mut world, new, &digits), "twice does no harm");
    assert!(!has_account(&world, new));
    assert!(confirm(&mut world, first, &digits));
    assert_eq!(world.account(new), world.account(first));
}

#[test]
fn other_digits_end_it_with_one_try() {
    for role in [LinkRole::New, LinkRole::Existing] {
        let mut world = World::new();
        let UnderWay { first, new, digits, .. } = under_way(&mut world);
        let wrong = if digits == "0000 0000" { "0000 0001" } else { "0000 0000" };
        let who = if role == LinkRole::New { new } else { first };
        let malformed = Command::ConfirmLink { digits: "12".to_owned() };
        assert!(matches!(world.try_command(who, malformed), Err(CommandError::Digits(_))));
        assert!(!confirm(&mut world, who, wrong));
        assert_eq!(failures(&world, who), [LinkFailure::Digits]);
        let again = world.try_command(who, Command::ConfirmLink { digits: digits.clone() });
        assert_eq!(again.err(), Some(CommandError::NoLink), "{role:?}");
        world.run(6 * MINUTE);
        assert!(!has_account(&world, new));
        assert_eq!(world.peers[first].core.installations().expect("memory").len(), 1);
    }
}

#[test]
fn it_takes_five_minutes_at_most_and_can_be_given_up() {
    let mut world = World::new();
    let UnderWay { first, new, digits, request } = under_way(&mut world);
    world.run(5 * MINUTE);
    for who in [first, new] {
        assert_eq!(failures(&world, who), [LinkFailure::Expired]);
        let late = world.try_command(who, Command::ConfirmLink { digits: digits.clone() });
        assert_eq!(late.err(), Some(CommandError::NoLink));
    }
    // a new request takes the place of the one before
    request_of(&mut world, new);
    request_of(&mut world, new);
    assert_eq!(failures(&world, new)[1..], [LinkFailure::Cancelled]);
    world.command(new, Command::CancelLink);
    assert_eq!(failures(&world, new)[1..], [LinkFailure::Cancelled; 2]);
    assert_eq!(world.try_command(new, Command::CancelLink).err(), Some(CommandError::NoLink));
    // nobody waits at the other end any more
    world.command(first, Command::AcceptLink { request });
    world.run(MINUTE);
    assert_eq!(world.digits(first), None);
}

#[test]
fn linking_goes_on_after_a_restart_of_either_side() {
    let mut world = World::new();
    let (first, _) = world.add();
    let new = world.add_empty();
    let request = request_of(&mut world, new);
    let restart = |world: &mut World| {
        for who in [first, new] {
            let store = world.peers[who].core.store().clone();
            let now = world.now;
            world.peers[who].core =
                Core::open(store, World::config(), [who as u8; 32], now).expect("memory");
            world.give(who, Input::Connectivity { relay_peers: 1, store_peers: 1 });
        }
    };
    restart(&mut world);
    world.command(first, Command::AcceptLink { request });
    restart(&mut world);
    let digits = world.digits(first).expect("shown");
    assert!(confirm(&mut world, first, &digits));
    restart(&mut world);
    assert!(confirm(&mut world, new, &digits));
    assert_eq!(world.account(new), world.account(first));
}

/// Mallory saw the QR code: she answers the request beside the account's own installation.
#[test]
fn who_saw_the_request_ends_it_and_gets_nothing() {
    let mut world = World::new();
    let (first, _) = world.add();
    let new = world.add_empty();
    let text = request_of(&mut world, new);
    let request: LinkRequest = text.parse().expect("as shown");
    let mallory = InstallationKey::from_bytes(&[66; 32]);
    world.command(first, Command::AcceptLink { request: text.clone() });
    assert!(world.digits(new).is_some());
    let mut rng = world.rng.clone();
    let opening = LinkOpening::new(mallory.id(), &mut rng);
    let commitment = make_commitment(&request, &opening);
    let sealed = request.seal(LinkStep::Commitment, &commitment, world.now, &mut rng);
    for message in sealed.expect("fits") {
        world.deliver(new, &message);
    }
    assert_eq!(failures(&world, new), [LinkFailure::SomebodyElse]);
    assert!(world.digits(new).is_none());
    world.run(6 * MINUTE);
    assert!(!has_account(&world, new));
    assert_eq!(failures(&world, first), [LinkFailure::Expired]);
}

/// Mallory is quicker than the account's own installation: the nonce is for her commitment.
#[test]
fn who_answers_first_is_found_out_by_the_account() {
    let mut world = World::new();
    let (first, _) = world.add();
    let (mallory, _) = world.add();
    let new = world.add_empty();
    let request = request_of(&mut world, new);
    world.peers[first].deaf = true;
    world.command(mallory, Command::AcceptLink { request: request.clone() });
    let shown = world.digits(new).expect("Mallory goes on");
    world.peers[first].deaf = false;
    let published = world.wire.len();
    world.command(first, Command::AcceptLink { request: request.clone() });
    assert_eq!(failures(&world, new), [LinkFailure::SomebodyElse]);
    // the nonce that is on the wire follows another commitment
    let nonces: Vec<_> = world.wire[..published].to_vec();
    for (_, message) in nonces {
        world.deliver(first, &message);
    }
    assert_eq!(failures(&world, first), [LinkFailure::SomebodyElse]);
    let late = world.try_command(new, Command::ConfirmLink { digits: shown });
    assert_eq!(late.err(), Some(CommandError::NoLink));
    assert!(!has_account(&world, new));
}

/// Mallory keeps the two apart, and links each to an installation of hers: the digits differ.
#[test]
fn who_stands_between_shows_each_side_other_digits() {
    let mut world = World::new();
    let (first, _) = world.add();
    let (mallory, _) = world.add();
    let mallorys_new = world.add_empty();
    let new = world.add_empty();
    request_of(&mut world, new);
    let request = world.peers[new].core.linking().expect("memory").and_then(|l| l.request);
    let swapped = request_of(&mut world, mallorys_new);
    world.command(mallory, Command::AcceptLink { request: request.expect("its own") });
    world.command(first, Command::AcceptLink { request: swapped });
    let (there, here) = (world.digits(new), world.digits(first));
    assert!(there.is_some() && here.is_some() && there != here);
    assert!(!confirm(&mut world, first, &there.expect("shown")));
    assert_eq!(failures(&world, first), [LinkFailure::Digits]);
    world.run(6 * MINUTE);
    assert!(!has_account(&world, mallorys_new) && !has_account(&world, new));
}

/// What was recorded of one linking is of no use in another.
#[test]
fn a_recorded_linking_links_nobody() {
    let mut world = World::new();
    let UnderWay { first, new, digits, request: done } = under_way(&mut world);
    assert!(confirm(&mut world, first, &digits) && confirm(&mut world, new, &digits));
    let recorded = steps(&world, &done);
    assert_eq!(recorded.len(), LinkStep::ALL.len());
    let other = world.add_empty();
    let request = request_of(&mut world, other);
    for (_, message) in world.wire.clone() {
        world.deliver(other, &message);
        world.deliver(first, &message);
    }
    assert_eq!(failures(&world, other), []);
    // the same steps on the topics of the new request
    let parsed: LinkRequest = request.parse().expect("as shown");
    let mut rng = world.rng.clone();
    for (step, bytes) in recorded {
        for message in parsed.seal(step, &bytes, world.now, &mut rng).expect("fits") {
            world.deliver(other, &message);
        }
    }
    assert_eq!(failures(&world, other), [LinkFailure::SomebodyElse]);
    assert!(!has_account(&world, other));
    assert_eq!(world.peers[first].core.installations().expect("memory").len(), 2);
}
