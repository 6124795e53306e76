//! Peers that send as much as they can.

use futures::AsyncWriteExt;
use tokio::task::JoinHandle;
use waku_groupchat_waku::{ContentTopic, WakuMessage, relay};

use super::attacker::{Attacker, Reads, Rpc};
use super::victim::Victim;
use super::{Honest, check};

/// Writes RPCs on one relay stream until it is told to stop; opens another one when the victim has
/// closed the last.
pub(crate) fn flood(
    attacker: Attacker,
    mut next: impl FnMut(u64) -> Vec<u8> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut number = 0;
        while let Some(mut stream) = attacker.open(relay::PROTOCOL).await {
            let mut written = stream.write_all(&Rpc::join()).await;
            while written.is_ok() {
                number += 1;
                written = stream.write_all(&next(number)).await;
            }
        }
        println!("an attacker was sent away after {number} RPCs");
    })
}

/// A valid message that nobody sent before.
pub(crate) fn valid(attacker: u64, number: u64, bytes: usize) -> Vec<u8> {
    let topic: ContentTopic = "/flood/1/flood/proto".parse().expect("a content topic");
    let mut payload = vec![7; bytes];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload[8..16].copy_from_slice(&attacker.to_be_bytes());
    Rpc::publish(WakuMessage::new(topic, payload, 1).encode())
}

/// As much as the honest peers take where all of this runs on one busy core. What they do not take
/// is lost to them, whatever the victim does.
const SLOW: &[&str] = &["--relay-intake=500"];

/// Holds a node under an attack to a bound: MiB above what it has before.
pub(crate) async fn withstands(bound: u64, attack: impl AsyncFn(&Victim) -> Vec<JoinHandle<()>>) {
    withstands_with(&[], bound, attack).await;
}

/// The same, with these options.
async fn withstands_with(
    options: &[&str],
    bound: u64,
    attack: impl AsyncFn(&Victim) -> Vec<JoinHandle<()>>,
) {
    let victim = Victim::start(&[&["--ip-colocation-limit=0"], options].concat()).await;
    let mut honest = Honest::meet(&victim).await;
    let (before, _) = victim.memory();
    let attack = attack(&victim).await;
    let longest = honest.talk_through(attack).await;
    check(&victim, before, bound, longest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_valid_messages() {
    withstands_with(SLOW, 100, async |victim| {
        let mut attack = Vec::new();
        for name in 0..3 {
            let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
            attack.push(flood(attacker, move |number| valid(name, number, 64)));
        }
        attack
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_valid_messages() {
    withstands_with(SLOW, 150, async |victim| {
        let mut attack = Vec::new();
        for name in 0..3 {
            let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
            attack.push(flood(attacker, move |number| valid(name, number, 140_000)));
        }
        attack
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_messages() {
    withstands(100, async |victim| {
        let mut attack = Vec::new();
        for kind in 0..3_u8 {
            let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
            attack.push(flood(attacker, move |number| {
                let mut data = match kind {
                    // Not a Waku message; one that is too large; no RPC at all.
                    0 => vec![0xff; 1000],
                    1 => vec![7; 200_000],
                    _ => return vec![3, 0xff, 0xff, 0xff],
                };
                data[..8].copy_from_slice(&number.to_be_bytes());
                Rpc::publish(data)
            }));
        }
        attack
    })
    .await;
}
