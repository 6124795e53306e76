//! Whatever comes over HTTP is answered as the document says, and never with a fault of the node.

use proptest::prelude::{Strategy, prop_assert, prop_oneof};
use proptest::sample::select;
use tokio::runtime::Runtime;

use super::{CONTENT, Rig, TOPIC_PATH, body};
use crate::testing::junk::{bodies, each, queries};

const GOOD: &[(&str, &str)] = &[
    ("payload", "aGk="),
    ("contentTopic", CONTENT),
    ("timestamp", "5"),
    ("version", "1"),
    ("meta", "aGk="),
    ("ephemeral", "true"),
    ("proof", "aGk="),
    ("", "/waku/2/rs/0/0"),
];

const POSTED: &[(&str, &str)] = &[
    ("POST", TOPIC_PATH),
    ("POST", "/relay/v1/messages/%FF%00"),
    ("POST", "/relay/v1/auto/messages"),
    ("POST", "/relay/v1/subscriptions"),
    ("DELETE", "/relay/v1/subscriptions"),
    ("POST", "/relay/v1/auto/subscriptions"),
    ("DELETE", "/relay/v1/auto/subscriptions"),
];

const ASKED: &[&str] = &[
    "includeData",
    "pubsubTopic",
    "contentTopics",
    "startTime",
    "endTime",
    "hashes",
    "cursor",
    "pageSize",
    "ascending",
    "other",
];

#[test]
fn any_body_and_any_query_is_answered() {
    let runtime = Runtime::new().expect("a runtime");
    let rig = runtime.block_on(Rig::with(&["--store=true"]));
    let posts = (select(POSTED), bodies(GOOD))
        .prop_map(|((method, path), body)| (method, path.to_owned(), body));
    let gets =
        (select(&["/store/v3/messages?", "/relay/v1/auto/messages/", "/health?"]), queries(ASKED))
            .prop_map(|(path, query)| ("GET", format!("{path}{query}"), String::new()));
    each(400, &prop_oneof![3 => posts, 1 => gets], |(method, path, body)| {
        let json = [("content-type", "application/json")];
        let answer = runtime.block_on(rig.http.send(method, &path, &json, body));
        prop_assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.text);
        Ok(())
    });
    // It goes on as before.
    runtime.block_on(async {
        let posted = rig.http.post(TOPIC_PATH, body("after all")).await;
        assert_eq!(posted.status, 200, "{}", posted.text);
    });
}
