//! Clocks that are off: noticed by what peers' messages show, publishes held and not lost, and
//! nobody moved by a liar.

use std::time::Duration;

use waku_groupchat_core::api::views::{GapState, SendState};
use waku_groupchat_core::api::{Event, Hold};
use waku_groupchat_core::{GroupId, Timestamp};
use waku_groupchat_simulations::cast::{account, gaps, group, publishes, read, say, texts};
use waku_groupchat_simulations::network::{Links, Network, NodeId};
use waku_groupchat_waku::{ContentTopic, WakuMessage};

const MINUTE: Duration = Duration::from_secs(60);

/// This many accounts in one group; the first one made it.
fn cast(seed: u64, count: usize) -> (Network, Vec<NodeId>, GroupId) {
    let mut net = Network::new(seed, Links::perfect());
    let accounts: Vec<_> = (0..count).map(|_| account(&mut net)).collect();
    net.run_for(MINUTE);
    let (nodes, cards): (Vec<_>, Vec<_>) = accounts.into_iter().unzip();
    let group = group(&mut net, nodes[0], &cards[1..], &nodes[1..]);
    (net, nodes, group)
}

fn hold(net: &Network, node: NodeId) -> Option<Hold> {
    net.node(node).core().hold()
}

fn clock_events(net: &Network, node: NodeId) -> Vec<&Event> {
    let of_the_clock = |e: &&Event| matches!(e, Event::ClockOff { .. } | Event::ClockRight);
    net.node(node).events().filter(of_the_clock).collect()
}

#[test]
fn a_clock_that_is_off_holds_publishes_until_it_is_right() {
    for skew in [30, -30] {
        let (mut net, nodes, group) = cast(1, 3);
        let off = nodes[2];
        net.set_skew(off, skew);
        for node in &nodes[..2] {
            say(&mut net, *node, group, "what time is it?");
        }
        net.run_for(Duration::from_secs(1));
        assert_eq!(hold(&net, off), Some(Hold::Clock { ahead: skew }), "{}", net.story(20));
        assert_eq!(clock_events(&net, off), [&Event::ClockOff { ahead: skew }]);
        let text = hold(&net, off).expect("held").to_string();
        let direction = if skew > 0 { "30 s ahead" } else { "30 s behind" };
        assert!(text.contains(direction), "{text}");

        let held = say(&mut net, off, group, "late, I hear");
        net.run_for(MINUTE * 10);
        assert_eq!(publishes(&net, held), (0, 0));
        let own = net.node(off).core().message(held).expect("memory").expect("its own");
        assert_eq!(own.sending, Some(SendState::Queued));
        assert!(own.time.distance(net.now() - MINUTE * 10) < Duration::from_secs(2), "peers' time");

        net.set_skew(off, 0);
        assert_eq!(hold(&net, off), None);
        assert_eq!(clock_events(&net, off).last(), Some(&&Event::ClockRight));
        net.run_for(MINUTE * 2);
        for node in &nodes {
            assert!(texts(&net, *node, group).contains(&"late, I hear".to_owned()));
            assert_eq!(gaps(&net, *node, GapState::Missing), []);
        }
        let own = net.node(off).core().message(held).expect("memory").expect("its own");
        assert!(
            matches!(own.sending, Some(SendState::Stored | SendState::Acknowledged)),
            "{own:?}"
        );
        for node in &nodes[..2] {
            assert_eq!((hold(&net, *node), clock_events(&net, *node).len()), (None, 0));
        }
    }
}

#[test]
fn a_clock_that_is_a_little_off_is_corrected() {
    for skew in [8, -8] {
        let (mut net, nodes, group) = cast(2, 3);
        let off = nodes[2];
        net.set_skew(off, skew);
        for node in &nodes[..2] {
            say(&mut net, *node, group, "what time is it?");
        }
        net.run_for(Duration::from_secs(1));
        assert_eq!((hold(&net, off), net.node(off).core().clock_ahead()), (None, Some(skew)));
        let mut furthest = Duration::ZERO;
        for n in 0..20 {
            let id = say(&mut net, off, group, &format!("line {n}"));
            let seen = net.published().last().expect("published at once");
            let shown = Timestamp::from_waku(seen.message.timestamp.expect("a time"));
            furthest = furthest.max(shown.distance(net.now()));
            let own = net.node(off).core().message(id).expect("memory").expect("its own");
            assert!(own.time.distance(net.now()) < Duration::from_secs(1));
            net.run_for(Duration::from_secs(7));
        }
        assert!(furthest <= Duration::from_millis(7600), "jitter and rounding alone: {furthest:?}");
    }
}

#[test]
fn a_clock_that_was_far_ahead_loses_nothing_once_it_is_right() {
    let (mut net, nodes, group) = cast(3, 3);
    let off = nodes[2];
    net.set_alone(off, true);
    net.set_skew(off, 600);
    // nobody is heard, so nothing is known: what is written has the wrong time
    let id = say(&mut net, off, group, "from the future");
    net.run_for(MINUTE);
    net.set_skew(off, 0);
    net.set_alone(off, false);
    net.run_for(MINUTE * 30);
    for node in &nodes {
        assert_eq!(texts(&net, *node, group), ["from the future"], "{}", net.story(40));
        let refused: Vec<&Event> =
            net.node(*node).events().filter(|e| matches!(e, Event::Refused { .. })).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
    let own = net.node(off).core().message(id).expect("memory").expect("its own");
    assert!(matches!(own.sending, Some(SendState::Stored | SendState::Acknowledged)), "{own:?}");
}

#[test]
fn a_minority_of_liars_moves_nobody() {
    let (mut net, nodes, group) = cast(4, 5);
    let (honest, liars) = nodes.split_at(3);
    for (n, node) in honest.iter().enumerate() {
        say(&mut net, *node, group, &format!("truth {n}"));
    }
    net.run_for(Duration::from_secs(1));
    // liars forget whom they heard, so nothing keeps them from sending
    for liar in liars {
        net.set_skew(*liar, 45);
        for n in 0..10 {
            say(&mut net, *liar, group, &format!("lie {n}"));
        }
    }
    for n in 0..5 {
        net.run_for(MINUTE);
        for node in honest {
            say(&mut net, *node, group, &format!("truth again {n}"));
            assert_eq!(hold(&net, *node), None, "{}", net.story(40));
        }
    }
    net.run_for(MINUTE);
    for node in honest {
        assert!(clock_events(&net, *node).is_empty());
        assert_eq!(read(&net, *node, group).len(), 20 + 3 + 15);
    }
}

#[test]
fn a_flood_of_forged_times_moves_nobody() {
    let (mut net, nodes, group) = cast(5, 3);
    account(&mut net);
    for second in 0..600u32 {
        for forged in 0..3u8 {
            let topic: ContentTopic =
                "/wgc/1/abcdefghijklmnopqrstuvwxyz/proto".parse().expect("a topic");
            let time = (net.now() + Duration::from_secs(40)).as_waku();
            net.inject(&WakuMessage::new(topic, vec![forged, second as u8], time));
        }
        if second % 120 == 0 {
            say(&mut net, nodes[(second / 120) as usize % 3], group, "an honest line");
        }
        net.run_for(Duration::from_secs(1));
        for node in net.node_ids() {
            assert_eq!(hold(&net, node), None, "{node:?} after {second} s");
        }
    }
}

#[test]
fn a_node_without_groups_is_told_by_the_shard() {
    let (mut net, nodes, group) = cast(6, 3);
    let lonely = net.add_node();
    net.set_skew(lonely, -90);
    for n in 0..12 {
        say(&mut net, nodes[n % 3], group, "a line");
        net.run_for(Duration::from_secs(15));
    }
    let Some(Hold::Clock { ahead }) = hold(&net, lonely) else { panic!("held: {}", net.story(20)) };
    assert!((-100..=-80).contains(&ahead), "{ahead}");
}
