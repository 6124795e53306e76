//! What retention has to do, in every archive.

use waku_groupchat_waku::PubsubTopic;

use super::archive::{message, select};
use crate::{Archive, ArchiveQuery, ArchivedMessage, RetentionPolicy};

pub(super) fn retention_removes_the_oldest<A: Archive>(new: &mut impl FnMut(RetentionPolicy) -> A) {
    const SECOND: i64 = 1_000_000_000;
    const START: i64 = 1_700_000_000 * SECOND;
    let policy = |text: &str| text.parse::<RetentionPolicy>().expect("a policy");
    let filled = |archive: A| {
        let messages: Vec<_> = (0..10)
            .map(|n| {
                let shard = PubsubTopic::new(1, (n % 2) as u16);
                message(shard, &format!("/t/1/{}/p", n % 3), START + n * SECOND, &"x".repeat(1000))
            })
            .collect();
        archive.insert(&messages).expect("insert");
        (archive, messages)
    };
    for (text, now, kept) in [
        ("none", i64::MAX, 10),
        ("time:4", 9 * SECOND, 5),
        ("time:4", 9 * SECOND + 1, 4),
        ("time:4", 100 * SECOND, 0),
        ("capacity:3", 0, 3),
        ("capacity:10", 0, 10),
        ("size:1MB", 0, 10),
        ("time:8;capacity:4", 9 * SECOND, 4),
        ("time:2;capacity:4", 9 * SECOND, 3),
    ] {
        let (archive, messages) = filled(new(policy(text)));
        let report = archive.prune(START.saturating_add(now)).expect("prune");
        assert_eq!((report.removed, archive.len()), (10 - kept as u64, kept), "{text} at {now}");
        assert_only(&archive, &messages, messages.len() - kept);
        assert_eq!(
            archive.prune(START.saturating_add(now)).expect("prune").removed,
            0,
            "{text} at {now}"
        );
    }
    // By size: what one message counts, from removing all, then room for three of them.
    let (archive, _) = filled(new(policy("time:1")));
    let each = archive.prune(i64::MAX).expect("prune").bytes / 10;
    assert!(each > 1000, "{each}");
    let small = RetentionPolicy { max_bytes: Some(each * 3), ..RetentionPolicy::default() };
    let (archive, messages) = filled(new(small));
    assert_eq!(archive.prune(0).expect("prune").bytes, each * 7);
    assert_only(&archive, &messages, 7);
    // What was removed may come again.
    archive.insert(&messages[..1]).expect("insert");
    assert_eq!(archive.oldest().expect("oldest"), Some(START));
}

/// That exactly `messages[from..]` are there, by whichever way they are asked for.
fn assert_only(archive: &impl Archive, messages: &[ArchivedMessage], from: usize) {
    let all: Vec<_> = messages.iter().map(|m| m.hash).collect();
    let known = archive.contains(&all).expect("contains");
    assert!(known.iter().enumerate().all(|(n, known)| *known == (n >= from)), "{known:?}");
    let by_hash = ArchiveQuery { hashes: all.clone(), ..ArchiveQuery::default() };
    assert_eq!(select(archive, &ArchiveQuery::default()), all[from..]);
    assert_eq!(select(archive, &by_hash), all[from..]);
    for message in messages {
        let shard =
            ArchiveQuery { pubsub_topic: Some(message.pubsub_topic), ..ArchiveQuery::default() };
        let topic = ArchiveQuery {
            content_topics: vec![message.message.content_topic.clone()],
            ..shard.clone()
        };
        let like = |other: &&ArchivedMessage| other.pubsub_topic == message.pubsub_topic;
        let same = |other: &&ArchivedMessage| {
            like(other) && other.message.content_topic == message.message.content_topic
        };
        let kept = || messages[from..].iter();
        let expected: Vec<_> = kept().filter(like).map(|m| m.hash).collect();
        assert_eq!(select(archive, &shard), expected);
        let expected: Vec<_> = kept().filter(same).map(|m| m.hash).collect();
        assert_eq!(select(archive, &topic), expected);
    }
    let oldest = messages.get(from).map(|m| m.message.timestamp.unwrap_or(0));
    assert_eq!(archive.oldest().expect("oldest"), oldest);
}
