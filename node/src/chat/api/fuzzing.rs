//! Fuzz targets for what `/chat/v1` takes: bodies in JSON, and queries.

use axum::Json;
use axum::extract::Query;
use axum::http::Uri;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{events, messages, stream, types};
use crate::fuzzing::{Target, choose};

/// Every body there is, by the name of its schema.
pub(crate) const BODIES: [(&str, Target); 16] = [
    ("NewAccount", json::<types::NewAccount>),
    ("LinkRequest", json::<types::LinkRequest>),
    ("NewMessage", json::<types::NewMessage>),
    ("Profile", json::<types::Profile>),
    ("Policy", json::<types::Policy>),
    ("NewRole", json::<types::NewRole>),
    ("Removals", json::<types::Removals>),
    ("NewInvitations", json::<types::NewInvitations>),
    ("NewToken", json::<types::NewToken>),
    ("LinkDigits", json::<types::LinkDigits>),
    ("Wipe", json::<types::Wipe>),
    ("Revocations", json::<types::Revocations>),
    ("NewGuard", json::<types::NewGuard>),
    ("Label", json::<types::Label>),
    ("NewRead", json::<types::NewRead>),
    ("Recovery", json::<types::Recovery>),
];

/// Every query there is.
const QUERIES: [Target; 3] =
    [asked::<events::Page>, asked::<messages::Page>, asked::<stream::From>];

/// A body: the first byte says of which kind.
pub(crate) fn body(data: &[u8]) -> bool {
    choose(&BODIES, data).is_some_and(|((_, body), data)| body(data))
}

/// A query: the first byte says of which kind.
pub(crate) fn query(data: &[u8]) -> bool {
    choose(&QUERIES, data).is_some_and(|(query, data)| query(data))
}

/// What is taken is written as what is taken the same way.
fn json<T: DeserializeOwned + Serialize>(data: &[u8]) -> bool {
    let Ok(Json(value)) = Json::<T>::from_bytes(data) else { return false };
    let text = serde_json::to_vec(&value).expect("it encodes");
    let Json(again) = Json::<T>::from_bytes(&text).expect("what is encoded decodes");
    assert_eq!(serde_json::to_vec(&again).expect("it encodes"), text);
    true
}

fn asked<T: DeserializeOwned>(data: &[u8]) -> bool {
    let uri = Uri::try_from([b"/?", data].concat());
    uri.is_ok_and(|uri| Query::<T>::try_from_uri(&uri).is_ok())
}

/// Target, file, content.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let account = "4a".repeat(32);
    let cards = r#"{"cards":["wgc1qqqq","wgc1pppp"]}"#;
    let policy =
        r#"{"add":"member","remove":"admin","profile":"member","roles":"admin","policy":"admin"}"#;
    let bodies = [
        ("good-account", "{}".to_owned()),
        ("good-link", r#"{"request":"wgcl1qqqq"}"#.to_owned()),
        ("good-message", r#"{"text":"Who is in?\n\ud83c\udfd4"}"#.to_owned()),
        ("good-profile", r#"{"name":"Hut","description":"Who brings what"}"#.to_owned()),
        ("good-policy", policy.to_owned()),
        ("good-role", r#"{"role":"admin"}"#.to_owned()),
        ("good-removals", format!(r#"{{"accounts":["{account}"]}}"#)),
        ("good-cards", cards.to_owned()),
        (
            "good-token",
            r#"{"name":"bot","scopes":["read","send"],"expires":1763860953}"#.to_owned(),
        ),
        ("good-digits", r#"{"digits":"0412 7780"}"#.to_owned()),
        ("good-wipe", format!(r#"{{"installation":"{account}"}}"#)),
        ("good-revocations", format!(r#"{{"installations":["{account}"]}}"#)),
        ("good-guard", r#"{"contactsOnly":true}"#.to_owned()),
        ("good-label", r#"{"label":"Laptop"}"#.to_owned()),
        ("good-read", format!(r#"{{"upto":{{"installation":"{account}","number":7}}}}"#)),
        ("good-recovery", r#"{"phrase":"abandon art","stolen":true}"#.to_owned()),
    ];
    let queries = [
        ("good-events", 0, "after=7&limit=1000&wait=30"),
        ("good-messages", 1, "limit=200"),
        ("good-stream", 2, "after=0"),
        ("refused-twice", 2, "after=0&after=1"),
    ];
    let with = |first: usize, text: &str| {
        [&[u8::try_from(first).expect("few kinds")], text.as_bytes()].concat()
    };
    let bodies = bodies.iter().enumerate();
    let bodies = bodies.map(|(kind, (name, text))| ("http_chat_body", *name, with(kind, text)));
    let queries =
        queries.iter().map(|(name, kind, text)| ("http_chat_query", *name, with(*kind, text)));
    let refused = ("http_chat_body", "refused-more", with(0, r#"{"more":1}"#));
    bodies.chain(queries).chain([refused]).collect()
}
