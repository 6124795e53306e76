//! A full queue: commands are told, messages are read from the archive later.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::Method;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use waku_groupchat_metrics::{ChatMetrics, Registry};
use waku_groupchat_storage::{Archive, ArchivedMessage, MemoryArchive};
use waku_groupchat_waku::MessageHash;

use super::rig::{TOPIC, foreign_message, request};
use crate::chat::api::routes;
use crate::chat::handle::{CoreHandle, Message, Status};
use crate::chat::tokens::Tokens;
use crate::chat::{StreamOptions, Token, overflow};

/// A handle whose core is the test.
fn handle(capacity: usize) -> (CoreHandle, mpsc::Receiver<Message>, Registry) {
    let registry = Registry::new();
    let metrics = ChatMetrics::register(&registry).expect("a fresh registry");
    let (queue, queued) = mpsc::channel(capacity);
    (CoreHandle::new(queue, Arc::new(Status::new(metrics, 1))), queued, registry)
}

fn overflowed(registry: &Registry) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|f| f.name() == "waku_groupchat_queue_overflow_total");
    family.expect("the counter").get_metric()[0].get_counter().get_value()
}

#[tokio::test]
async fn a_full_queue_is_told() {
    let (core, mut queued, registry) = handle(1);
    let dir = tempfile::tempdir().expect("a folder");
    let token = Token::load_or_create(&dir.path().join("t")).expect("a token");
    let authorization = format!("Bearer {}", token.reveal().as_str());
    let stop = CancellationToken::new();
    let tokens = Tokens::open(&token, dir.path().join("tokens")).expect("no file yet");
    let router = routes(core.clone(), Arc::new(tokens), StreamOptions::default(), stop);
    assert!(core.tell(Message::Arrived { messages: Vec::new(), heard: None }).await);

    let full = request(&router, Method::POST, "/accounts", Some(&authorization), Some("{}")).await;
    assert_eq!((full.0.as_u16(), &full.2["code"]), (429, &json!("queue-full")));
    assert_eq!(full.1["retry-after"], "1");
    assert_eq!(overflowed(&registry), 1.0);

    // Once there is room, the command gets through.
    queued.recv().await.expect("what filled it");
    let asking = request(&router, Method::POST, "/accounts", Some(&authorization), Some("{}"));
    let answering = async {
        match queued.recv().await {
            Some(Message::Command { answer, .. }) => drop(answer),
            _ => panic!("a command comes through"),
        }
    };
    let (answer, ()) = tokio::join!(asking, answering);
    // The test's core ends without an answer.
    assert_eq!((answer.0.as_u16(), &answer.2["code"]), (503, &json!("stopped")));
}

#[tokio::test]
async fn messages_that_find_no_room_come_from_the_archive() {
    let (core, mut queued, registry) = handle(2);
    let archive: Arc<dyn Archive> = Arc::new(MemoryArchive::new());
    let base = 1_700_000_000_000_000_000;
    let messages: Vec<_> =
        (0..500).map(|n: i64| foreign_message(base + n % 50, &n.to_be_bytes())).collect();
    let all: BTreeSet<MessageHash> = messages.iter().map(|m| m.hash(&TOPIC)).collect();
    let archived: Vec<_> =
        messages.iter().map(|m| ArchivedMessage::new(TOPIC, m.clone())).collect();
    archive.insert(&archived).expect("memory");

    core.arrived(messages.into_iter().map(Arc::new));
    assert!(overflowed(&registry) > 0.0);
    let stop = CancellationToken::new();
    let catching_up = {
        let written = tokio::sync::watch::Sender::new(None).subscribe();
        tokio::spawn(overflow::catch_up(core.clone(), (archive, written), TOPIC, stop.clone()))
    };
    let mut seen = BTreeSet::new();
    while seen != all {
        match queued.recv().await {
            Some(Message::Arrived { messages: batch, .. }) => {
                seen.extend(batch.iter().map(|m| m.hash(&TOPIC)))
            }
            _ => panic!("only messages arrive"),
        }
    }
    stop.cancel();
    catching_up.await.expect("it ends");
}
