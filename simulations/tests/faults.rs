//! Random conversations over bad links, with cuts, crashes and restarts: nothing accepted is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use waku_groupchat_core::api::views::GapState;
use waku_groupchat_simulations::cast::{account, gaps, group, publishes, say, texts};
use waku_groupchat_simulations::network::{Links, Network};

/// The seeds of a run: `SEED` names one alone, `SEEDS` how many instead of `count`.
fn seeds(count: u64) -> Vec<u64> {
    let number = |name: &str| -> Option<u64> {
        std::env::var(name).ok().map(|text| text.parse().expect("a number"))
    };
    match number("SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SEEDS").unwrap_or(count)).collect(),
    }
}

#[test]
fn everything_accepted_is_read_by_everybody_in_one_order() {
    for seed in seeds(60) {
        println!("seed {seed}");
        conversation(seed);
    }
}

fn conversation(seed: u64) {
    let mut net = Network::new(seed, Links::perfect());
    let (alice, _) = account(&mut net);
    let (bob, bobs) = account(&mut net);
    let (carol, carols) = account(&mut net);
    let nodes = [alice, bob, carol];
    let group = group(&mut net, alice, &[bobs, carols], &nodes[1..]);
    net.set_links(Links::bad());
    let mut accepted = BTreeMap::new();
    for line in 0..30 {
        let speaker = nodes[net.random_below(3) as usize];
        match net.random_below(10) {
            0 => net.set_alone(speaker, true),
            1 => net.set_store_up(false),
            2 => {
                net.stop(speaker);
                net.run_for(Duration::from_secs(20));
                net.restart(speaker);
            }
            5 => net.crash_after_next_write(speaker),
            3 | 4 => {
                net.set_store_up(true);
                for node in nodes {
                    net.set_alone(node, false);
                }
            }
            _ => {}
        }
        let text = format!("line {line}");
        accepted.insert(say(&mut net, speaker, group, &text), text);
        if !net.node(speaker).is_up() {
            net.restart(speaker);
        }
        let pause = Duration::from_millis(net.random_below(15_000));
        net.run_for(pause);
    }
    net.set_links(Links::perfect());
    net.set_store_up(true);
    for node in nodes {
        net.set_alone(node, false);
    }
    net.run_for(Duration::from_secs(4 * 3600));
    let shown = texts(&net, alice, group);
    if shown.len() != accepted.len() || std::env::var("STORY").is_ok() {
        println!("{}", net.story(usize::MAX));
    }
    assert_eq!(shown.len(), accepted.len(), "seed {seed}: each exactly once");
    for node in nodes {
        assert_eq!(texts(&net, node, group), shown, "seed {seed}: one order for all");
        for state in [GapState::Missing, GapState::Fetching, GapState::Unavailable] {
            assert!(gaps(&net, node, state).is_empty(), "seed {seed}: {state:?} left");
        }
    }
    for id in accepted.keys() {
        let (first, retries) = publishes(&net, *id);
        assert!(first <= 1 && first + retries >= 1, "seed {seed}: {first} first publishes");
        assert!(retries <= 10, "seed {seed}: {retries} retries");
    }
}
