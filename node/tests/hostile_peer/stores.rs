//! Store peers that ask for all they can and do not take it, and that answer without an end.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use waku_groupchat_node::engine::Engine;
use waku_groupchat_waku::store::{self, StoreQueryRequest, StoreQueryResponse};
use waku_groupchat_waku::{MessageHash, WakuMessage, framing};

use super::attacker::{Attacker, Reads};
use super::native_support::{TOPIC, soon};
use super::victim::Victim;
use super::{Honest, check};

/// Large messages in the archive: a full page of them is as large as a response may be.
const ARCHIVED: usize = 110;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_nanos()).expect("before 2262")
}

/// Has the victim archive large messages.
async fn fill(honest: &mut Honest) {
    for number in 0..ARCHIVED {
        let topic = "/large/1/large/proto".parse().expect("a content topic");
        let mut large = WakuMessage::new(topic, vec![7; 148_000], now());
        large.payload[..8].copy_from_slice(&number.to_be_bytes());
        let sent = honest.sender.publish(TOPIC, large).await.expect("published");
        let receiver = &mut honest.receiver;
        soon("a large message", async { while receiver.message().await.0 != sent.hash {} }).await;
    }
}

/// All that a page holds.
fn largest_page() -> StoreQueryRequest {
    StoreQueryRequest {
        include_data: true,
        limit: Some(u64::MAX),
        forward: true,
        ..StoreQueryRequest::default()
    }
}

/// As many hashes as a request holds.
fn largest_request() -> StoreQueryRequest {
    let hashes = (0..1_900_u16).map(|n| {
        let mut hash = [0; 32];
        hash[..2].copy_from_slice(&n.to_be_bytes());
        MessageHash::from_bytes(hash)
    });
    StoreQueryRequest { hashes: hashes.collect(), ..largest_page() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_are_never_taken() {
    let victim = Victim::start(&["--ip-colocation-limit=0"]).await;
    let mut honest = Honest::meet(&victim).await;
    fill(&mut honest).await;
    let (before, _) = victim.memory();
    let mut attack = Vec::new();
    for request in
        [largest_page(), largest_page(), largest_page(), largest_page(), largest_request()]
    {
        let attacker = Attacker::connect(&victim.address, Reads::Nothing).await;
        let request = framing::encode_frame(&request.encode());
        attack.push(tokio::spawn(async move {
            let mut open = Vec::new();
            while let Some(mut stream) = attacker.open(store::PROTOCOL).await {
                let _ = stream.write_all(&request).await;
                let _ = stream.flush().await;
                open.push(stream);
            }
            println!("{} Store streams", open.len());
            std::future::pending().await
        }));
    }
    let longest = honest.talk_through(attack).await;
    // As many queries as are served at once, each with a page, its encoding and its frame of 16 MiB.
    check(&victim, before, 16 * 3 * 16 + 50, longest);
}

/// What a hostile Store answers.
fn answers() -> [(&'static str, Vec<u8>); 4] {
    let mut page =
        StoreQueryResponse { status_code: 200, ..StoreQueryResponse::default() }.encode();
    // The most entries that fit, each of them empty.
    page.extend([0xa2, 0x01, 0x00].repeat((store::MAX_RESPONSE_LEN - page.len()) / 3));
    [
        ("a length of 2^40", vec![0x80, 0x80, 0x80, 0x80, 0x80, 0x20]),
        ("a length that does not end", vec![0x80; 64]),
        ("the largest page, of zeros", framing::encode_frame(&vec![0; store::MAX_RESPONSE_LEN])),
        ("the largest page, of nothing but entries", framing::encode_frame(&page)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_too_large_or_never_end() {
    let victim = Victim::start(&["--ip-colocation-limit=0"]).await;
    let mut honest = Honest::meet(&victim).await;
    let (before, _) = victim.memory();
    let mut queries = Vec::new();
    for (what, answer) in answers() {
        let attacker = Attacker::connect(&victim.address, Reads::Everything).await;
        let mut asked = attacker.accept(store::PROTOCOL);
        let url = format!(
            "http://{}/store/v3/messages?peerAddr=%2Fip4%2F127.0.0.1%2Ftcp%2F1%2Fp2p%2F{}",
            victim.rest, attacker.name
        );
        tokio::spawn(async move {
            let _attacker = attacker;
            while let Some(mut stream) = asked.recv().await {
                let mut request = vec![0; 64 * 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                // No end either.
                while stream.write_all(&[0x80; 1024]).await.is_ok() {}
            }
        });
        queries.push(tokio::task::spawn_blocking(move || {
            let agent: ureq::Agent = ureq::Agent::config_builder()
                .timeout_global(Some(Duration::from_secs(40)))
                .http_status_as_error(false)
                .build()
                .into();
            let status = agent.get(&url).call().map(|answer| answer.status());
            println!("{what}: {status:?}");
            assert!(status.is_ok_and(|status| status.is_server_error()), "{what}");
        }));
    }
    let longest = honest.talk_through(Vec::new()).await;
    for query in queries {
        soon("an answer over HTTP", query).await.expect("refused");
    }
    check(&victim, before, 150, longest);
}
