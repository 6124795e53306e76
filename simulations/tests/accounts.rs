//! Accounts with several installations on a virtual network: two devices, a third one linked, one
//! lost and revoked, over bad links and restarts.

use std::collections::BTreeSet;
use std::time::Duration;

use waku_groupchat_core::api::views::{GapState, GapView, GroupState, InstallationState};
use waku_groupchat_core::api::{Answer, Command, CommandError, Event, Hold, RefusedReason};
use waku_groupchat_core::{GroupId, InstallationId};
use waku_groupchat_simulations::cast::{account, group, link, say, texts};
use waku_groupchat_simulations::network::{Links, Network, NodeId};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn installation(net: &Network, node: NodeId) -> InstallationId {
    net.node(node).core().account().expect("memory").expect("an account").installation
}

fn members(net: &Network, node: NodeId, group: GroupId) -> BTreeSet<InstallationId> {
    let members = net.node(node).core().members(group).expect("memory").unwrap_or_default();
    members.into_iter().flat_map(|member| member.installations).collect()
}

fn all_in(net: &mut Network, nodes: &[NodeId], group: GroupId) {
    let expected: BTreeSet<_> = nodes.iter().map(|node| installation(net, *node)).collect();
    let done = net.run_until(60 * MINUTE, |net| {
        nodes.iter().all(|node| {
            let core = net.node(*node).core();
            let state = core.group(group).expect("memory").map(|view| view.state);
            state == Some(GroupState::Joined) && members(net, *node, group) == expected
        })
    });
    assert!(done, "all of them and nobody else:\n{}", net.story(80));
}

fn refused(net: &Network, node: NodeId, reason: RefusedReason) -> bool {
    net.node(node)
        .events()
        .any(|event| matches!(event, Event::Refused { reason: r, .. } if *r == reason))
}

/// The whole story of an account with three devices.
fn story(seed: u64, links: Links) {
    println!("SEED={seed}");
    let mut net = Network::new(seed, Links::perfect());
    let (alice, _) = account(&mut net);
    let (bob, bobs) = account(&mut net);
    let laptop = link(&mut net, alice);
    let chat = group(&mut net, alice, &[bobs], &[bob]);
    net.set_links(links);
    all_in(&mut net, &[alice, laptop, bob], chat);
    say(&mut net, laptop, chat, "from the laptop");
    net.run_for(10 * MINUTE);

    // a third device, taken in by the second
    net.set_links(Links::perfect());
    let phone = link(&mut net, laptop);
    net.set_links(links);
    net.restart(laptop);
    all_in(&mut net, &[alice, laptop, phone, bob], chat);
    for (node, text) in [(alice, "one"), (phone, "two"), (bob, "three")] {
        say(&mut net, node, chat, text);
        net.run_for(5 * MINUTE);
    }
    net.run_for(30 * MINUTE);
    // the phone too: what was said before it came is handed over
    for node in [alice, laptop, phone, bob] {
        assert_eq!(texts(&net, node, chat), ["from the laptop", "one", "two", "three"]);
    }

    // the phone is lost, and goes on talking where nobody of the account hears it
    let lost = installation(&net, phone);
    net.set_alone(phone, true);
    say(&mut net, phone, chat, "from a thief");
    let answer = net.command(alice, Command::Revoke { installations: vec![lost] });
    assert!(matches!(answer, Ok(Answer::Revoked { added }) if added.is_empty()));
    net.restart(alice);
    all_in(&mut net, &[alice, laptop, bob], chat);
    net.set_alone(phone, false);
    let stops = net.run_until(DAY, |net| net.node(phone).core().hold() == Some(Hold::Ended));
    assert!(stops, "the phone learns it:\n{}", net.story(80));
    let text = "still?".to_owned();
    let said = net.command(phone, Command::Send { group: chat, text });
    assert_eq!(said.err(), Some(CommandError::Ended));
    say(&mut net, bob, chat, "good riddance");
    net.run_for(2 * DAY);
    for node in [alice, laptop, bob] {
        let expected = ["from the laptop", "one", "two", "three", "good riddance"];
        assert_eq!(texts(&net, node, chat), expected, "{}", net.story(80));
        let gaps = net.node(node).core().gaps(None).expect("memory");
        let open = |gap: &GapView| !matches!(gap.state, GapState::Recovered | GapState::Withdrawn);
        let open: Vec<_> = gaps.into_iter().filter(open).collect();
        assert_eq!(open, [], "nothing is missed, of the lost one neither");
        assert!(!refused(&net, node, RefusedReason::Unproven));
    }
    assert_eq!(texts(&net, phone, chat).last().map(String::as_str), Some("from a thief"));
    let all = net.node(laptop).core().installations().expect("memory");
    let states: Vec<_> = all.iter().map(|view| view.state).collect();
    let (live, revoked) = (InstallationState::Live, InstallationState::Revoked);
    assert_eq!(states, [live, live, revoked]);
}

#[test]
fn three_devices_and_a_lost_one() {
    story(1, Links::perfect());
}

#[test]
fn three_devices_and_a_lost_one_over_bad_links() {
    let seed: u64 =
        std::env::var("SEED").map_or(11, |seed| seed.parse().expect("SEED is a number"));
    for seed in seed..seed + 5 {
        story(seed, Links::bad());
    }
}

/// Each is taken in by another one, and all come into the group.
#[test]
fn six_installations_come_into_a_group() {
    let mut net = Network::new(3, Links::perfect());
    let (first, _) = account(&mut net);
    let (bob, bobs) = account(&mut net);
    let chat = group(&mut net, first, &[bobs], &[bob]);
    let mut all = vec![first];
    while all.len() < 6 {
        let by = all[all.len() / 2];
        all.push(link(&mut net, by));
    }
    let mut everybody = all.clone();
    everybody.push(bob);
    all_in(&mut net, &everybody, chat);
    say(&mut net, bob, chat, "hello all");
    net.run_for(10 * MINUTE);
    for node in all {
        assert_eq!(texts(&net, node, chat).last().map(String::as_str), Some("hello all"));
    }
}
