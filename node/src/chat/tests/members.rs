//! Members, roles, policy, own keys and leaving, on a core with a group of one account.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::Rig;
use crate::extension::Extension;

/// Every role but the default of each right.
const POLICY: [(&str, &str); 5] = [
    ("add", "admin"),
    ("remove", "owner"),
    ("profile", "admin"),
    ("roles", "owner"),
    ("policy", "admin"),
];

fn policy() -> Value {
    POLICY.iter().map(|(right, role)| ((*right).to_owned(), json!(role))).collect()
}

/// Waits for an event of this type, with a deadline in the API itself.
async fn event(rig: &Rig, kind: &str) -> Value {
    let mut after = 0;
    loop {
        let (status, page) = rig.get(&format!("/events?after={after}&wait=30")).await;
        assert_eq!(status, StatusCode::OK);
        let events = page["events"].as_array().expect("a list");
        assert!(!events.is_empty(), "no {kind} within 30 seconds");
        if let Some(found) = events.iter().find(|event| event["type"] == kind) {
            return found.clone();
        }
        after = page["next"].as_u64().expect("a cursor");
    }
}

#[tokio::test]
async fn a_policy_is_set_and_shown() {
    let rig = Rig::start_with_peer().await;
    let group = rig.group().await;
    let path = format!("/groups/{group}");
    let (_, before) = rig.get(&path).await;
    assert_eq!(before["policy"]["remove"], "admin");
    let set = rig.call(Method::PUT, &format!("{path}/policy"), Some(policy())).await;
    assert_eq!(set, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(event(&rig, "roles-changed").await["group"], json!(group));
    let (_, after) = rig.get(&path).await;
    assert_eq!(after["policy"], policy());
    assert_eq!(after["epoch"].as_u64(), before["epoch"].as_u64().map(|epoch| epoch + 1));
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn own_keys_are_renewed_in_an_epoch_of_their_own() {
    let rig = Rig::start_with_peer().await;
    let group = rig.group().await;
    let path = format!("/groups/{group}");
    let before = rig.get(&path).await.1["epoch"].as_u64().expect("an epoch");
    let (status, _) = rig.post(&format!("{path}/keys"), json!({})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    // A change that is told of, and that is made after it or with it.
    let name = json!({ "name": "Dinner" });
    let (status, _) = rig.call(Method::PUT, &format!("{path}/profile"), Some(name)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    event(&rig, "profile-changed").await;
    assert!(rig.get(&path).await.1["epoch"].as_u64() > Some(before));
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn who_makes_a_group_owns_it() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let own = rig.get("/accounts").await.1["account"].clone();
    let (_, members) = rig.get(&format!("/groups/{group}/members")).await;
    assert_eq!(members["members"][0]["account"], own);
    assert_eq!(members["members"][0]["role"], "owner");
    let own = own.as_str().expect("an id");
    let path = format!("/groups/{group}/members/{own}/role");
    let (status, _) = rig.call(Method::PUT, &path, Some(json!({ "role": "owner" }))).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn who_leaves_says_nothing_more() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let path = format!("/groups/{group}");
    let message = json!({ "text": "bye" });
    rig.post(&format!("{path}/messages"), message.clone()).await;
    let (status, left) = rig.post(&format!("{path}/leave"), json!({})).await;
    assert_eq!((status, &left["id"]["number"]), (StatusCode::ACCEPTED, &json!(2)));
    // It is alone, so nobody has to take it out.
    assert_eq!(rig.get(&path).await.1["state"], "removed");
    let (_, page) = rig.get(&format!("{path}/messages")).await;
    let kinds = [&page["messages"][0]["kind"], &page["messages"][1]["kind"]];
    assert_eq!(kinds, [&json!("text"), &json!("left")]);
    assert_eq!(page["messages"][1]["text"], "");

    // Not the whole database: what was said before is on its way meanwhile.
    let seen = async || {
        let (_, page) = rig.get(&format!("{path}/messages")).await;
        (rig.get(&path).await.1, page["messages"].as_array().map(Vec::len))
    };
    let before = seen().await;
    let own = rig.get("/accounts").await.1["account"].as_str().expect("an id").to_owned();
    for (method, at, body) in [
        (Method::POST, "messages", message),
        (Method::POST, "leave", json!({})),
        (Method::POST, "keys", json!({})),
        (Method::POST, "removals", json!({ "accounts": [own] })),
        (Method::POST, "invitations", json!({ "cards": [] })),
        (Method::PUT, "profile", json!({ "name": "Dinner" })),
        (Method::PUT, "policy", policy()),
        (Method::PUT, &format!("members/{own}/role"), json!({ "role": "admin" })),
    ] {
        let (status, body) = rig.call(method, &format!("{path}/{at}"), Some(body)).await;
        assert_eq!((status.as_u16(), &body["code"]), (409, &json!("not-in-group")), "{at}");
        assert_eq!(seen().await, before, "{at}");
    }
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn changes_that_are_refused_change_nothing() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let own = rig.get("/accounts").await.1["account"].as_str().expect("an id").to_owned();
    let (stranger, unknown) = ("00".repeat(32), "00".repeat(16));
    let (admin, nobody) = (json!({ "role": "admin" }), json!({ "accounts": [&stranger] }));
    let mut partly = policy();
    partly.as_object_mut().expect("an object").remove("roles");
    let mut more = policy();
    more["fly"] = json!("admin");
    let before = rig.dump().await;
    let cases = [
        (Method::POST, format!("{group}/removals"), json!({ "accounts": [own] }), "own-account"),
        (Method::POST, format!("{group}/removals"), nobody.clone(), "not-a-member"),
        (Method::POST, format!("{group}/removals"), json!({ "accounts": ["x"] }), "malformed"),
        (Method::POST, format!("{group}/removals"), json!({}), "malformed"),
        (Method::POST, format!("{unknown}/removals"), nobody, "unknown-group"),
        (Method::POST, format!("{unknown}/leave"), json!({}), "unknown-group"),
        (Method::POST, format!("{unknown}/keys"), json!({}), "unknown-group"),
        (Method::PUT, format!("{group}/policy"), partly, "malformed"),
        (Method::PUT, format!("{group}/policy"), more, "malformed"),
        (Method::PUT, format!("{unknown}/policy"), policy(), "unknown-group"),
        (Method::PUT, format!("{group}/members/{stranger}/role"), admin.clone(), "not-a-member"),
        (Method::PUT, format!("{group}/members/x/role"), admin.clone(), "malformed"),
        (
            Method::PUT,
            format!("{group}/members/{own}/role"),
            json!({ "role": "king" }),
            "malformed",
        ),
        (Method::PUT, format!("{unknown}/members/{own}/role"), admin, "unknown-group"),
    ];
    for (method, path, body, code) in cases {
        let (status, answer) = rig.call(method, &format!("/groups/{path}"), Some(body)).await;
        assert_eq!(answer["code"], code, "{path}: {status} {answer}");
        assert_eq!(rig.dump().await, before, "{path}");
    }
    rig.chat.shutdown().await;
}
