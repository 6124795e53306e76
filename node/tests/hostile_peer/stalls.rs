//! Peers that stall: streams without a byte, frames that never end, readers that do not read, and
//! connections that are never used.

use std::time::Instant;

use futures::AsyncWriteExt;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use waku_groupchat_waku::{metadata, relay, store};

use super::attacker::{Attacker, Reads, Rpc};
use super::floods::{flood, valid, withstands};
use super::native_support::{Node, soon};
use super::victim::Victim;
use super::{Honest, bare, check};

/// The protocols that a node offers.
const OFFERED: [&str; 3] = [relay::PROTOCOL, metadata::PROTOCOL, store::PROTOCOL];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_on_which_nothing_comes() {
    withstands(50, async |victim| {
        let mut attack = Vec::new();
        for _ in 0..4 {
            // Agreed on, and then nothing.
            let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
            attack.push(tokio::spawn(async move {
                let mut open = Vec::new();
                for protocol in OFFERED.iter().cycle().take(300) {
                    let Some(stream) = attacker.open(protocol).await else { break };
                    open.push(stream);
                }
                println!("{} streams agreed on", open.len());
                std::future::pending().await
            }));
        }
        for bytes in [&b"\x13"[..], b"\x13/multistream/1.0.0\n", b"\xff\xff\x03"] {
            // Not even agreed on.
            attack.push(tokio::spawn(bare::streams(&victim.address, 200, bytes).await));
        }
        attack
    })
    .await;
}

/// A prefix, and then this byte for as long as it is taken.
fn endless(
    attacker: Attacker,
    protocol: &'static str,
    prefix: Vec<u8>,
    byte: u8,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (mut streams, mut bytes) = (0, 0_u64);
        while let Some(mut stream) = attacker.open(protocol).await {
            streams += 1;
            let mut written = stream.write_all(&prefix).await;
            while written.is_ok() {
                bytes += 16 * 1024;
                written = stream.write_all(&[byte; 16 * 1024]).await;
            }
            if streams == 200 {
                break;
            }
        }
        println!("{protocol} {prefix:x?}: {streams} streams, {bytes} bytes");
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_never_end() {
    // The most that each protocol reads: 1 MiB, 4 KiB, 64 KiB.
    let largest: [&[u8]; 3] = [&[0x80, 0x80, 0x40], &[0x80, 0x20], &[0x80, 0x80, 0x04]];
    withstands(60, async |victim| {
        let mut attack = Vec::new();
        for (protocol, prefix) in OFFERED.into_iter().zip(largest) {
            let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
            attack.push(endless(attacker, protocol, prefix.to_vec(), 0xff));
        }
        for protocol in OFFERED {
            let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
            // 2^40.
            let prefix = vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
            attack.push(endless(attacker, protocol, prefix, 0));
            let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
            // The prefix itself does not end.
            attack.push(endless(attacker, protocol, Vec::new(), 0x80));
        }
        attack
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_do_not_read() {
    let victim = Victim::start(&["--ip-colocation-limit=0"]).await;
    let mut honest = Honest::meet(&victim).await;
    let (before, _) = victim.memory();
    let (mut readers, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let reader = Attacker::connect(&victim.address, Reads::Nothing).await;
        let mut stream = reader.open(relay::PROTOCOL).await.expect("a relay");
        stream.write_all(&Rpc::join()).await.expect("joins");
        stream.flush().await.expect("joins");
        readers.push(reader);
        streams.push(stream);
    }
    let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
    let attack = vec![flood(attacker, |number| valid(9, number, 140_000))];
    let longest = honest.talk_through(attack).await;
    for reader in &mut readers {
        reader.sent_away().await;
    }
    // four full queues of 75 MiB, and what gossipsub keeps of the flood for some seconds
    check(&victim, before, 600, longest);
}

/// Connections that stay open without a byte on them, as many as are taken.
struct Silence {
    tasks: Vec<JoinHandle<()>>,
    /// How many were closed by the other side.
    closed: watch::Receiver<usize>,
}

impl Silence {
    /// From one address of loopback: whenever one is closed, another takes its place.
    fn from(from: &'static str, victim: &Victim) -> Self {
        let mut address = victim.address.iter().skip(1);
        let Some(libp2p::multiaddr::Protocol::Tcp(port)) = address.next() else {
            panic!("no port")
        };
        let (count, closed) = watch::channel(0);
        let hold = |count: watch::Sender<usize>| async move {
            loop {
                let socket = TcpSocket::new_v4().expect("a socket");
                let from = format!("{from}:0").parse().expect("an address");
                socket.bind(from).expect("loopback");
                if let Ok(mut stream) = socket.connect(([127, 0, 0, 1], port).into()).await {
                    // What a node says first is read; then nothing comes until it closes.
                    let mut said = Vec::new();
                    let _ = stream.read_to_end(&mut said).await;
                }
                count.send_modify(|closed| *closed += 1);
            }
        };
        let tasks = (0..100).map(|_| tokio::spawn(hold(count.clone()))).collect();
        Self { tasks, closed }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections() {
    // With the limits of a node that nobody configured.
    let victim = Victim::start(&[]).await;
    let mut honest = Honest::meet(&victim).await;
    let (before, _) = victim.memory();
    let mut attack = Silence::from("127.0.0.2", &victim).tasks;
    let crowd: Vec<_> =
        (0..60).map(|_| Attacker::dial(&victim.address, Reads::Everything)).collect();
    attack.push(tokio::spawn(async move {
        let _crowd = crowd;
        std::future::pending().await
    }));
    let longest = honest.talk_through(attack).await;
    check(&victim, before, 50, longest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_without_a_byte_do_not_keep_others_out() {
    let victim = Victim::start(&[]).await;
    let mut silence = Silence::from("127.0.0.2", &victim);
    // More than the victim takes at once, before anybody else comes.
    soon("refusals", silence.closed.wait_for(|closed| *closed > 500)).await.expect("it goes on");
    let mut peer = Node::relay(std::slice::from_ref(&victim.address)).await;
    let start = Instant::now();
    soon("a connection of an honest peer", peer.until("the victim", |peers, _| peers == 1)).await;
    println!("connected after {:.1?}", start.elapsed());
    silence.tasks.drain(..).for_each(|task| task.abort());
}
