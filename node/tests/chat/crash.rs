//! Accepted is durable: a sender is killed again and again, and another node has everything.
//!
//! Two processes of the real binary: a receiver that runs throughout, and a sender that dies at
//! each named point (`waku_groupchat_node::crash`) and at random moments within 50 ms of an
//! answer. After each death it starts again on its folder. In the end every message that was
//! accepted is at the receiver once, under its number and with its text, and no number was given
//! to two texts.
//!
//! The seed is printed; `WGC_SEED=<seed>` runs it again, `WGC_KILLS=<n>` with more deaths: `make
//! soak-kills`.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tempfile::TempDir;
use waku_groupchat_node::crash::POINTS;

use crate::client::{Client, may, meet};
use crate::process::Node;

/// Deaths, if nothing else is asked for: three of five at named points.
const DEATHS: usize = 25;
/// A named point is passed this often at most before death.
const PASSES: usize = 3;
/// Messages that are tried in one life.
const MESSAGES_A_LIFE: usize = 5;
/// A random death comes within this time of an answer.
const SOON: Duration = Duration::from_millis(50);

/// How a life of the sender ends.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// At a named point, the n-th time it is passed.
    At(&'static str, usize),
    /// This long after the answer to the n-th message.
    After(usize, Duration),
}

#[test]
fn nothing_accepted_is_lost_and_no_number_comes_twice() {
    let seed = match std::env::var("WGC_SEED") {
        Ok(seed) => seed.parse().expect("WGC_SEED is a number"),
        Err(_) => SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").subsec_nanos(),
    };
    println!("seed {seed}: run again with WGC_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed.into());

    let (sender_dir, receiver_dir) = (folder(), folder());
    let receiver = Node::start(receiver_dir.path(), &["--store=true".to_owned()], None);
    let peer = format!("--storenode={}", receiver.address());
    let start =
        |death: Option<&str>| Node::start(sender_dir.path(), std::slice::from_ref(&peer), death);

    let sender = start(None);
    let group = meet(&Client::of(&sender), &Client::of(&receiver), "Crash");
    drop(sender);

    let mut accepted = BTreeMap::new();
    let deaths = deaths(&mut rng);
    assert!(deaths.len() >= 20);
    for point in POINTS {
        assert!(deaths.iter().any(|d| matches!(d, Death::At(at, _) if *at == point)), "{point}");
    }
    for (life, death) in deaths.iter().enumerate() {
        println!("life {life} ends {death:?}");
        live(&start, *death, life, &group, &mut accepted);
    }
    assert!(!accepted.is_empty(), "some messages are accepted before their sender dies");

    let sender = start(None);
    check(&Client::of(&receiver), &Client::of(&sender), &group, &accepted);
    println!("{} deaths, {} accepted messages, none lost", deaths.len(), accepted.len());
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Each point, and random moments, in a random order.
fn deaths(rng: &mut StdRng) -> Vec<Death> {
    let count = std::env::var("WGC_KILLS")
        .map_or(DEATHS, |kills| kills.parse().expect("WGC_KILLS is a number"));
    let at_points = count * 3 / 5;
    let mut deaths: Vec<_> = (0..at_points)
        .map(|n| Death::At(POINTS[n % POINTS.len()], n / POINTS.len() % PASSES + 1))
        .collect();
    for _ in at_points..count {
        let delay = rng.random_range(Duration::ZERO..SOON);
        deaths.push(Death::After(rng.random_range(1..=MESSAGES_A_LIFE), delay));
    }
    for i in (1..deaths.len()).rev() {
        deaths.swap(i, rng.random_range(0..=i));
    }
    deaths
}

/// One life of the sender: sends until it dies. Notes what was accepted, by number.
fn live(
    start: &impl Fn(Option<&str>) -> Node,
    death: Death,
    life: usize,
    group: &str,
    accepted: &mut BTreeMap<u64, String>,
) {
    let mut node = match death {
        Death::At(point, n) => start(Some(&format!("{point}:{n}"))),
        Death::After(..) => start(None),
    };
    // It may die before it serves: what the last life left is published at once.
    if let Some(client) = Client::try_of(&mut node) {
        for n in 1..=MESSAGES_A_LIFE {
            let text = format!("life {life}, message {n}");
            let answer =
                client.post(&format!("/groups/{group}/messages"), json!({ "text": &text }));
            let Some(answer) = answer else { break };
            let number = answer["id"]["number"].as_u64().expect("a number");
            let other = accepted.insert(number, text);
            assert_eq!(other, None, "number {number} was given twice");
            if let Death::After(at, delay) = death
                && at == n
            {
                thread::sleep(delay);
                node.kill();
                return;
            }
        }
    }
    node.wait_for_death();
}

/// What both sides say of the messages that are not at the receiver.
fn lacking(
    receiver: &Client,
    sender: &Client,
    group: &str,
    held: &BTreeMap<u64, String>,
) -> String {
    let page = sender.get(&format!("/groups/{group}/messages?limit=200"));
    let own = page["messages"].as_array().expect("a list").iter();
    let lacking: Vec<_> = own
        .filter(|m| !held.contains_key(&m["id"]["number"].as_u64().expect("a number")))
        .map(|m| (m["id"]["number"].clone(), m["sending"].clone()))
        .collect();
    let gaps = receiver.get(&format!("/groups/{group}/missing"));
    format!("{lacking:?}; its gaps: {gaps}; {:?} and {:?}", sender.health(), receiver.health())
}

/// Waits until the receiver has all that was accepted, and looks at every number it has.
fn check(receiver: &Client, sender: &Client, group: &str, accepted: &BTreeMap<u64, String>) {
    let mut held = BTreeMap::new();
    let all = may(|| {
        held = receiver.messages(group);
        accepted.keys().all(|number| held.contains_key(number))
    });
    assert!(
        all,
        "the receiver lacks what was accepted: {}",
        lacking(receiver, sender, group, &held)
    );
    for (number, text) in accepted {
        assert_eq!(&held[number], text, "number {number}");
    }
    let events = receiver.all_events();
    let refused: Vec<_> = events.iter().filter(|e| e["type"] == json!("refused")).collect();
    assert!(
        refused.iter().all(|event| event["reason"] != json!("number-reused")),
        "a number came twice: {refused:?}"
    );
    let mut texts: Vec<_> = held.values().collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), held.len(), "a text came under two numbers");
}
