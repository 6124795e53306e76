//! What every [`Archive`] has to do.

use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic, WakuMessage};

use super::retention::retention_removes_the_oldest;
use crate::{
    Archive, ArchiveError, ArchivePage, ArchiveQuery, ArchivedMessage, InvalidQuery,
    RetentionPolicy,
};

/// Checks an archive; `new` makes an empty one that keeps what the policy says.
///
/// # Panics
///
/// Where the archive breaks the trait's promises.
pub fn archive_conformance<A: Archive>(mut new: impl FnMut(RetentionPolicy) -> A) {
    let mut all = || new(RetentionPolicy::default());
    an_empty_archive_answers(&all());
    insertion_is_idempotent(&all());
    unreadable_messages_change_nothing(&all());
    order_is_by_time_then_hash(&all());
    pages_go_both_ways(&all());
    times_are_half_open(&all());
    topics_filter(&all());
    hashes_look_up(&all());
    cursors_are_messages(&all());
    contradictions_are_refused(&all());
    data_comes_back_whole(&all());
    retention_removes_the_oldest(&mut new);
}

const SHARD: PubsubTopic = PubsubTopic::new(1, 0);

pub(super) fn message(
    shard: PubsubTopic,
    topic: &str,
    timestamp: i64,
    payload: &str,
) -> ArchivedMessage {
    let content_topic = ContentTopic::from_wire(topic.to_owned());
    let message = WakuMessage::new(content_topic, payload.as_bytes().to_vec(), timestamp);
    ArchivedMessage::new(shard, message)
}

/// `count` messages, one nanosecond apart from zero on, of which each third has topic `/t/1/0/p`.
fn sequence(archive: &impl Archive, count: usize) -> Vec<MessageHash> {
    let messages: Vec<_> = (0..count)
        .map(|n| message(SHARD, &format!("/t/1/{}/p", n % 3), n as i64, &n.to_string()))
        .collect();
    archive.insert(&messages).expect("insert");
    messages.iter().map(|message| message.hash).collect()
}

fn hashes(page: &ArchivePage) -> Vec<MessageHash> {
    page.messages.iter().map(|entry| entry.hash).collect()
}

pub(super) fn select(archive: &impl Archive, query: &ArchiveQuery) -> Vec<MessageHash> {
    hashes(&archive.query(query).expect("query"))
}

fn an_empty_archive_answers(archive: &impl Archive) {
    assert!(archive.is_empty());
    assert_eq!(archive.query(&ArchiveQuery::default()).expect("query"), ArchivePage::default());
    assert_eq!(archive.oldest().expect("oldest"), None);
    assert_eq!(archive.newest().expect("newest"), None);
    assert_eq!(archive.contains(&[]).expect("contains"), Vec::<bool>::new());
    assert_eq!(archive.prune(0).expect("prune").removed, 0);
}

fn insertion_is_idempotent(archive: &impl Archive) {
    let [a, b, c] = ["a", "b", "c"].map(|payload| message(SHARD, "/t/1/n/p", 5, payload));
    let report = archive.insert(&[a.clone(), b.clone(), a.clone()]).expect("insert");
    assert_eq!((report.inserted, report.duplicates), (2, 1));
    let report = archive.insert(&[b.clone(), c.clone()]).expect("insert");
    assert_eq!((report.inserted, report.duplicates), (1, 1));
    // The same hash with another time: what is there stays as it is.
    let mut moved = a.clone();
    moved.message.timestamp = Some(9);
    let report = archive.insert(&[moved]).expect("insert");
    assert_eq!((report.inserted, report.duplicates), (0, 1));
    assert_eq!(archive.insert(&[]).expect("insert").inserted, 0);
    assert_eq!(archive.len(), 3);
    assert_eq!(archive.newest().expect("newest"), Some(5));
    let unknown = MessageHash::from_bytes([7; 32]);
    let known = archive.contains(&[a.hash, unknown, c.hash]).expect("contains");
    assert_eq!(known, [true, false, true]);
}

fn unreadable_messages_change_nothing(archive: &impl Archive) {
    let good = message(SHARD, "/t/1/n/p", 1, "good");
    let mut long_meta = message(SHARD, "/t/1/n/p", 2, "meta");
    long_meta.message.meta = vec![0; WakuMessage::MAX_META_LEN + 1];
    let mut large = message(SHARD, "/t/1/n/p", 3, "large");
    large.message.payload = vec![0; WakuMessage::MAX_ENCODED_LEN];
    for bad in [long_meta, large] {
        let error = archive.insert(&[good.clone(), bad.clone()]).expect_err("over the limits");
        assert!(matches!(error, ArchiveError::Unreadable(hash) if hash == bad.hash), "{error}");
        assert!(archive.is_empty());
    }
}

fn order_is_by_time_then_hash(archive: &impl Archive) {
    let times = [0, i64::MAX, -1, i64::MIN, 1, 0, -1, i64::MAX, i64::MIN];
    let mut messages: Vec<_> = (0..)
        .zip(times)
        .map(|(n, time)| message(SHARD, "/t/1/n/p", time, &format!("{n}")))
        .collect();
    archive.insert(&messages).expect("insert");
    messages.sort_by_key(|m| (m.message.timestamp, m.hash));
    let sorted: Vec<_> = messages.iter().map(|m| m.hash).collect();
    for forward in [true, false] {
        let query = ArchiveQuery { forward, ..ArchiveQuery::default() };
        assert_eq!(select(archive, &query), sorted);
    }
    assert_eq!(archive.oldest().expect("oldest"), Some(i64::MIN));
    assert_eq!(archive.newest().expect("newest"), Some(i64::MAX));
    // No timestamp lies at zero.
    let mut untimed = message(SHARD, "/t/1/n/p", 0, "untimed");
    untimed.message.timestamp = None;
    archive.insert(&[untimed.clone()]).expect("insert");
    let query = ArchiveQuery { time_start: Some(0), time_end: Some(1), ..ArchiveQuery::default() };
    assert!(select(archive, &query).contains(&untimed.hash));
}

fn pages_go_both_ways(archive: &impl Archive) {
    let all = sequence(archive, 10);
    let mut query = ArchiveQuery { limit: 4, ..ArchiveQuery::default() };
    for (page, cursor) in [(0..4, Some(3)), (4..8, Some(7)), (8..10, None)] {
        let got = archive.query(&query).expect("query");
        assert_eq!(hashes(&got), all[page]);
        assert_eq!(got.cursor, cursor.map(|index: usize| all[index]));
        query.cursor = got.cursor;
    }
    let mut query = ArchiveQuery { limit: 4, forward: false, ..ArchiveQuery::default() };
    for (page, cursor) in [(6..10, Some(6)), (2..6, Some(2)), (0..2, None)] {
        let got = archive.query(&query).expect("query");
        assert_eq!(hashes(&got), all[page]);
        assert_eq!(got.cursor, cursor.map(|index: usize| all[index]));
        query.cursor = got.cursor;
    }
    // A last page that is full has no next one.
    let query = ArchiveQuery { limit: 10, ..ArchiveQuery::default() };
    assert_eq!(archive.query(&query).expect("query").cursor, None);
    let query = ArchiveQuery { limit: usize::MAX, ..query };
    assert_eq!(select(archive, &query), all);
}

fn times_are_half_open(archive: &impl Archive) {
    let all = sequence(archive, 6);
    let between =
        |time_start, time_end| ArchiveQuery { time_start, time_end, ..Default::default() };
    for (start, end, expected) in [
        (Some(2), Some(4), 2..4),
        (Some(2), Some(2), 0..0),
        (Some(4), Some(2), 0..0),
        (Some(5), None, 5..6),
        (Some(6), None, 0..0),
        (None, Some(1), 0..1),
        (None, Some(0), 0..0),
        (Some(i64::MIN), Some(i64::MAX), 0..6),
        (Some(i64::MAX), Some(i64::MIN), 0..0),
    ] {
        assert_eq!(select(archive, &between(start, end)), all[expected], "{start:?} {end:?}");
    }
}

fn topics_filter(archive: &impl Archive) {
    let [first, last] = [PubsubTopic::new(0, 1), PubsubTopic::new(65535, 65535)];
    let messages = [
        message(first, "/t/1/a/p", 1, "0"),
        message(first, "/t/1/b/p", 2, "1"),
        message(last, "/t/1/a/p", 3, "2"),
        message(first, "", 4, "3"),
        message(last, "any text", 5, "4"),
        message(first, "/t/1/a/p", 6, "5"),
    ];
    archive.insert(&messages).expect("insert");
    let check = |shard: Option<PubsubTopic>, topics: &[&str], expected: &[usize]| {
        let expected: Vec<_> = expected.iter().map(|index| messages[*index].hash).collect();
        for forward in [true, false] {
            let query = ArchiveQuery {
                pubsub_topic: shard,
                content_topics: topics.iter().map(|t| ContentTopic::from_wire(*t)).collect(),
                forward,
                ..ArchiveQuery::default()
            };
            assert_eq!(select(archive, &query), expected, "{shard:?} {topics:?}");
        }
    };
    check(None, &[], &[0, 1, 2, 3, 4, 5]);
    check(Some(first), &[], &[0, 1, 3, 5]);
    check(Some(last), &[], &[2, 4]);
    check(Some(PubsubTopic::new(1, 0)), &[], &[]);
    check(Some(first), &["/t/1/a/p"], &[0, 5]);
    check(Some(first), &["/t/1/a/p", "/t/1/b/p", "/t/1/a/p"], &[0, 1, 5]);
    check(Some(first), &["", "/t/1/none/p"], &[3]);
    check(Some(last), &["any text"], &[4]);
    check(Some(last), &["/t/1/b/p"], &[]);
}

fn hashes_look_up(archive: &impl Archive) {
    let all = sequence(archive, 6);
    let other = message(PubsubTopic::new(1, 1), "/t/1/0/p", 3, "other");
    archive.insert(std::slice::from_ref(&other)).expect("insert");
    let unknown = MessageHash::from_bytes([9; 32]);
    let named = vec![all[4], unknown, all[1], all[4], other.hash, all[2]];
    let query = ArchiveQuery { hashes: named, limit: 3, ..ArchiveQuery::default() };
    let first = archive.query(&query).expect("query");
    assert_eq!(hashes(&first), [all[1], all[2], other.hash]);
    assert_eq!(first.cursor, Some(other.hash));
    let next = ArchiveQuery { cursor: first.cursor, ..query.clone() };
    assert_eq!(select(archive, &next), [all[4]]);
    let newest = ArchiveQuery { forward: false, ..query.clone() };
    let newest = archive.query(&newest).expect("query");
    assert_eq!(hashes(&newest), [all[2], other.hash, all[4]]);
    assert_eq!(newest.cursor, Some(all[2]));
    let one_shard = ArchiveQuery { pubsub_topic: Some(SHARD), ..query };
    assert_eq!(select(archive, &one_shard), [all[1], all[2], all[4]]);
}

fn cursors_are_messages(archive: &impl Archive) {
    let all = sequence(archive, 6);
    let unknown = MessageHash::from_bytes([1; 32]);
    for query in [
        ArchiveQuery { cursor: Some(unknown), ..ArchiveQuery::default() },
        ArchiveQuery { cursor: Some(unknown), hashes: vec![all[0]], ..ArchiveQuery::default() },
    ] {
        let error = archive.query(&query).expect_err("an unknown cursor");
        assert!(matches!(error, ArchiveError::UnknownCursor(hash) if hash == unknown), "{error}");
    }
    // A cursor is a place in the order; the filter need not select it.
    let query = ArchiveQuery {
        cursor: Some(all[1]),
        pubsub_topic: Some(SHARD),
        content_topics: vec![ContentTopic::from_wire("/t/1/0/p")],
        ..ArchiveQuery::default()
    };
    assert_eq!(select(archive, &query), [all[3]]);
    let backward = ArchiveQuery { cursor: Some(all[4]), forward: false, ..query.clone() };
    assert_eq!(select(archive, &backward), [all[0], all[3]]);
    // Before or after the times that are asked for.
    let after = ArchiveQuery { cursor: Some(all[5]), time_end: Some(4), ..query.clone() };
    assert!(select(archive, &after).is_empty());
    let before = ArchiveQuery { cursor: Some(all[0]), time_start: Some(3), ..query };
    assert_eq!(select(archive, &before), [all[3]]);
}

fn contradictions_are_refused(archive: &impl Archive) {
    let all = sequence(archive, 2);
    let topics = vec![ContentTopic::from_wire("/t/1/0/p")];
    let by_hash = ArchiveQuery { hashes: all, ..ArchiveQuery::default() };
    for (query, expected) in [
        (ArchiveQuery { limit: 0, ..ArchiveQuery::default() }, InvalidQuery::ZeroLimit),
        (
            ArchiveQuery { content_topics: topics.clone(), ..ArchiveQuery::default() },
            InvalidQuery::ContentTopicsAlone,
        ),
        (
            ArchiveQuery { content_topics: topics, pubsub_topic: Some(SHARD), ..by_hash.clone() },
            InvalidQuery::HashesWithFilter,
        ),
        (ArchiveQuery { time_start: Some(0), ..by_hash.clone() }, InvalidQuery::HashesWithFilter),
        (ArchiveQuery { time_end: Some(9), ..by_hash }, InvalidQuery::HashesWithFilter),
    ] {
        let error = archive.query(&query).expect_err("a contradiction");
        assert!(matches!(&error, ArchiveError::InvalidQuery(e) if *e == expected), "{error}");
    }
}

fn data_comes_back_whole(archive: &impl Archive) {
    let mut full = message(PubsubTopic::new(16, 31), "/t/1/n/p", -5, "payload");
    full.message.version = 7;
    full.message.meta = vec![3; WakuMessage::MAX_META_LEN];
    full.message.rate_limit_proof = vec![4; 300];
    full.hash = full.message.hash(&full.pubsub_topic);
    let mut bare = message(SHARD, "", 0, "");
    bare.message.timestamp = None;
    archive.insert(&[full.clone(), bare.clone()]).expect("insert");
    let page = archive.query(&ArchiveQuery::default()).expect("query");
    for (entry, stored) in page.messages.iter().zip([full, bare]) {
        assert_eq!(entry.hash, stored.hash);
        assert_eq!(entry.message.as_ref(), Some(&stored.message));
        assert_eq!(entry.pubsub_topic, Some(stored.pubsub_topic));
    }
    let query = ArchiveQuery { include_data: false, ..ArchiveQuery::default() };
    let bare_page = archive.query(&query).expect("query");
    assert_eq!(hashes(&bare_page), hashes(&page));
    assert!(bare_page.messages.iter().all(|e| e.message.is_none() && e.pubsub_topic.is_none()));
}
