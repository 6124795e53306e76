//! Whatever comes to `/chat/v1` is answered, and never with a fault of the node.

use axum::http::{Method, StatusCode};
use proptest::prelude::{Strategy, prop_assert, prop_oneof};
use proptest::sample::select;
use serde_json::json;
use tokio::runtime::Runtime;

use super::rig::Rig;
use crate::testing::junk::{bodies, each, queries};

const GOOD: &[(&str, &str)] = &[
    ("text", "Who is in?"),
    ("name", "Hut"),
    ("description", "Who brings what"),
    ("request", "wgcl1qqqq"),
    ("cards", "wgc1qqqq"),
    ("digits", "0000 0000"),
    ("installations", "00"),
    ("scopes", "read"),
    ("expires", "1"),
];

const POSTED: &[&str] = &[
    "/accounts",
    "/installations",
    "/installations/requests",
    "/installations/link/digits",
    "/installations/revocations",
    "/groups",
    "/groups/GROUP/messages",
    "/groups/GROUP/invitations",
    "/groups/00112233445566778899aabbccddeeff/messages",
    "/groups/%FF/messages",
    "/invitations/GROUP/accept",
    "/invitations/GROUP/decline",
    "/tokens",
];

const READ: &[&str] = &[
    "/events",
    "/groups/GROUP/messages",
    "/groups/GROUP/missing",
    "/missing",
    "/groups",
    "/tokens",
];

const ASKED: &[&str] = &["after", "limit", "kind", "group", "other"];

#[test]
fn any_body_and_any_query_is_answered() {
    let runtime = Runtime::new().expect("a runtime");
    let (rig, group) = runtime.block_on(async {
        let rig = Rig::start().await;
        let group = rig.group().await;
        (rig, group)
    });
    let posts = (select(POSTED), bodies(GOOD)).prop_map(|(path, body)| (path, None, body));
    let gets =
        (select(READ), queries(ASKED)).prop_map(|(path, query)| (path, Some(query), String::new()));
    each(400, &prop_oneof![3 => posts, 1 => gets], |(path, query, body)| {
        let path = path.replace("GROUP", &group);
        let (status, answer) = runtime.block_on(async {
            match query {
                Some(query) => rig.call(Method::GET, &format!("{path}?{query}"), None).await,
                None => rig.post_text(&path, &body).await,
            }
        });
        prop_assert!(!status.is_server_error(), "{path} {body}: {status} {answer}");
        Ok(())
    });
    // It goes on as before.
    let path = format!("/groups/{group}/messages");
    let (status, _) = runtime.block_on(rig.post(&path, json!({ "text": "after all" })));
    assert_eq!(status, StatusCode::CREATED);
}
