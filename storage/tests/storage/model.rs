//! Both archives against the simplest thing that could be one: a list that is filtered and sorted
//! for each query.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use waku_groupchat_storage::{
    Archive, ArchiveQuery, ArchivedMessage, MemoryArchive, RetentionPolicy, RocksArchive,
};
use waku_groupchat_waku::{ContentTopic, MessageHash, PubsubTopic};

/// Few, so that many messages share one.
const TIMES: [i64; 9] =
    [i64::MIN, i64::MIN + 1, -1, 0, 1, 2, 1_700_000_000_000_000_000, i64::MAX - 1, i64::MAX];

const SHARDS: [PubsubTopic; 3] =
    [PubsubTopic::new(0, 0), PubsubTopic::new(1, 7), PubsubTopic::new(65535, 65535)];

const TOPICS: usize = 20;

fn topic(index: usize) -> ContentTopic {
    ContentTopic::from_wire(format!("/model/1/{index}/proto"))
}

fn time() -> impl Strategy<Value = i64> {
    (0..TIMES.len()).prop_map(|index| TIMES[index])
}

fn shard() -> impl Strategy<Value = PubsubTopic> {
    (0..SHARDS.len()).prop_map(|index| SHARDS[index])
}

fn message() -> impl Strategy<Value = ArchivedMessage> {
    (shard(), 0..TOPICS, time(), any::<[u8; 1]>()).prop_map(|(shard, topic, time, payload)| {
        crate::support::message(shard, &format!("/model/1/{topic}/proto"), time, &payload)
    })
}

/// What is done to the archives.
#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<ArchivedMessage>),
    Prune,
    /// The one on disk is closed and opened.
    Reopen,
    /// All pages of it.
    Query(ArchiveQuery),
    /// All pages of these, by their place in everything that was ever inserted.
    LookUp(Vec<usize>, ArchiveQuery),
    /// From this message on, likewise by its place.
    Continue(usize, ArchiveQuery),
}

fn query() -> impl Strategy<Value = ArchiveQuery> {
    let filter = prop_oneof![
        Just((None, Vec::new())),
        (shard(), vec((0..TOPICS).prop_map(topic), 0..6)).prop_map(|(s, topics)| (Some(s), topics)),
    ];
    (filter, weighted(0.3, time()), weighted(0.3, time()), any::<[bool; 2]>(), 1..9_usize).prop_map(
        |((pubsub_topic, content_topics), time_start, time_end, [forward, data], limit)| {
            ArchiveQuery {
                include_data: data,
                pubsub_topic,
                content_topics,
                time_start,
                time_end,
                forward,
                limit,
                ..ArchiveQuery::default()
            }
        },
    )
}

fn look_up() -> impl Strategy<Value = Step> {
    (vec(any::<usize>(), 1..20), weighted(0.3, shard()), any::<bool>(), 1..9_usize).prop_map(
        |(named, pubsub_topic, forward, limit)| {
            Step::LookUp(
                named,
                ArchiveQuery { pubsub_topic, forward, limit, ..ArchiveQuery::default() },
            )
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec(message(), 1..30).prop_map(Step::Insert),
        1 => Just(Step::Prune),
        1 => Just(Step::Reopen),
        6 => query().prop_map(Step::Query),
        2 => look_up(),
        2 => (any::<usize>(), query()).prop_map(|(at, query)| Step::Continue(at, query)),
    ]
}

/// The list.
#[derive(Default)]
struct Model {
    held: Vec<ArchivedMessage>,
    /// Also what was removed since.
    ever: Vec<MessageHash>,
}

impl Model {
    fn insert(&mut self, batch: &[ArchivedMessage]) -> usize {
        let before = self.held.len();
        for message in batch {
            if !self.held.iter().any(|held| held.hash == message.hash) {
                self.held.push(message.clone());
                self.ever.push(message.hash);
            }
        }
        self.held.sort_by_key(|m| (m.message.timestamp, *m.hash.as_bytes()));
        self.held.len() - before
    }

    fn keep_newest(&mut self, count: usize) {
        self.held.drain(..self.held.len().saturating_sub(count));
    }

    /// All that the query selects, ascending.
    fn select(&self, query: &ArchiveQuery) -> Vec<&ArchivedMessage> {
        let cursor = query.cursor.and_then(|c| self.held.iter().position(|m| m.hash == c));
        let selected = self.held.iter().enumerate().filter(|(place, held)| {
            let time = held.message.timestamp.expect("all have one");
            let topic = &held.message.content_topic;
            query.pubsub_topic.is_none_or(|shard| shard == held.pubsub_topic)
                && (query.content_topics.is_empty() || query.content_topics.contains(topic))
                && query.time_start.is_none_or(|start| time >= start)
                && query.time_end.is_none_or(|end| time < end)
                && (query.hashes.is_empty() || query.hashes.contains(&held.hash))
                && cursor.is_none_or(|c| if query.forward { *place > c } else { *place < c })
        });
        selected.map(|(_, held)| held).collect()
    }
}

/// Asks for all pages and compares each with its part of the list.
fn check_pages(archive: &dyn Archive, model: &Model, query: &ArchiveQuery) {
    let selected = model.select(query);
    let mut parts: Vec<_> = if query.forward {
        selected.chunks(query.limit).collect()
    } else {
        selected.rchunks(query.limit).collect()
    };
    if parts.is_empty() {
        parts.push(&[]);
    }
    let mut query = query.clone();
    for (index, part) in parts.iter().enumerate() {
        let page = archive.query(&query).expect("query");
        let hashes: Vec<_> = page.messages.iter().map(|entry| entry.hash).collect();
        let expected: Vec<_> = part.iter().map(|message| message.hash).collect();
        assert_eq!(hashes, expected, "page {index} of {query:?}");
        for (entry, message) in page.messages.iter().zip(*part) {
            let data = query.include_data;
            assert_eq!(entry.message.as_ref(), data.then_some(&message.message));
            assert_eq!(entry.pubsub_topic, data.then_some(message.pubsub_topic));
        }
        let far_end = if query.forward { hashes.last() } else { hashes.first() };
        let more = index + 1 < parts.len();
        assert_eq!(page.cursor.as_ref(), far_end.filter(|_| more), "page {index} of {query:?}");
        query.cursor = page.cursor;
    }
}

fn check_ends(archive: &dyn Archive, model: &Model) {
    let time = |message: Option<&ArchivedMessage>| message.and_then(|m| m.message.timestamp);
    assert_eq!(archive.len(), model.held.len());
    assert_eq!(archive.oldest().expect("oldest"), time(model.held.first()));
    assert_eq!(archive.newest().expect("newest"), time(model.held.last()));
    let held = |hash: &MessageHash| model.held.iter().any(|m| m.hash == *hash);
    let expected: Vec<_> = model.ever.iter().map(held).collect();
    assert_eq!(archive.contains(&model.ever).expect("contains"), expected);
}

/// Carries the steps out on an archive; `reopen` closes and opens it, where that means something.
fn run<A: Archive>(mut archive: A, capacity: usize, steps: &[Step], reopen: impl Fn(A) -> A) {
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Insert(batch) => {
                let report = archive.insert(batch).expect("insert");
                let inserted = model.insert(batch);
                assert_eq!(report.inserted, inserted);
                assert_eq!(report.inserted + report.duplicates, batch.len());
            }
            Step::Prune => {
                let before = model.held.len();
                model.keep_newest(capacity);
                let report = archive.prune(0).expect("prune");
                assert_eq!(report.removed, (before - model.held.len()) as u64);
            }
            Step::Reopen => archive = reopen(archive),
            Step::Query(query) => check_pages(&archive, &model, query),
            Step::LookUp(named, query) => {
                let named =
                    named.iter().filter_map(|n| model.ever.get(n % model.ever.len().max(1)));
                let hashes: Vec<_> = named.copied().collect();
                if !hashes.is_empty() {
                    check_pages(&archive, &model, &ArchiveQuery { hashes, ..query.clone() });
                }
            }
            Step::Continue(at, query) => {
                let place = at.checked_rem(model.held.len());
                let cursor = place.map(|place| model.held[place].hash);
                check_pages(&archive, &model, &ArchiveQuery { cursor, ..query.clone() });
            }
        }
        check_ends(&archive, &model);
    }
}

fn check(cases: u32, test: impl Fn(usize, &[Step])) {
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(crate::support::seed()),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&(5..60_usize, vec(step(), 1..40)), |(capacity, steps)| {
            test(capacity, &steps);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

fn policy(capacity: usize) -> RetentionPolicy {
    RetentionPolicy { max_messages: Some(capacity as u64), ..RetentionPolicy::default() }
}

#[test]
fn memory_archive_does_what_a_list_does() {
    check(200, |capacity, steps| {
        run(MemoryArchive::with_retention(policy(capacity)), capacity, steps, |archive| archive);
    });
}

#[test]
fn rocks_archive_does_what_a_list_does() {
    check(60, |capacity, steps| {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || RocksArchive::open(directory.path(), policy(capacity)).expect("opens");
        run(open(), capacity, steps, |archive| {
            drop(archive);
            open()
        });
    });
}
