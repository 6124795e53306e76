//! The OpenAPI document against the routes, and against every answer that a test of the API gets.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Rig, Sent};
use crate::chat::Scope;
use crate::chat::api::{self, Code, PREFIX};
use crate::extension::Extension;
use crate::testing::document::{Document, METHODS, Operation, routed};

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| Document::parse(&api::document()));

/// Errors that come before a request has an operation.
const ANYWHERE: [Code; 5] =
    [Code::NoToken, Code::WrongToken, Code::ExpiredToken, Code::NoPath, Code::Method];

/// Panics unless the document says that this can be answered.
pub(super) fn check_answer(method: &Method, path: &str, status: StatusCode, body: &Value) {
    let path = format!("{PREFIX}{path}");
    let code = body["code"].as_str().unwrap_or_default();
    let anywhere = |c: &Code| c.name() == code && c.status() == status;
    if ANYWHERE.iter().any(anywhere) {
        let schema = json!({ "$ref": "#/components/schemas/ErrorBody" });
        return DOCUMENT.assert_valid(&schema, body, &path);
    }
    let content = &DOCUMENT.response(method, &path, status)["content"]["application/json"];
    if content.is_null() {
        return assert!(body.is_null(), "{method} {path}: {body}");
    }
    DOCUMENT.assert_valid(&content["schema"], body, &path);
    if status.is_client_error() || status.is_server_error() {
        assert!(
            content["examples"][code].is_object(),
            "{method} {path}: no {code} in the document"
        );
    }
}

/// A path with something in the place of each parameter.
fn filled(template: &str) -> String {
    template
        .replace("{group}", &"00".repeat(16))
        .replace("{account}", &"00".repeat(32))
        .replace("{installation}", &"00".repeat(32))
        .replace("{number}", "1")
        .replace("{id}", &"00".repeat(8))
}

#[tokio::test]
async fn every_operation_has_a_route_and_every_route_an_operation() {
    let rig = Rig::start().await;
    let documented = DOCUMENT.paths();
    let routed = routed(rig.router());
    let below = |path: &&String| path.trim_end_matches('/') != PREFIX;
    let routed: Vec<_> = routed.iter().filter(below).map(String::as_str).collect();
    assert_eq!(routed, documented.keys().copied().collect::<Vec<_>>());

    for (path, methods) in documented {
        for method in METHODS {
            let sent = Sent { token: Some(&rig.token), ..Sent::default() };
            let (status, code) = rig.probe(method.clone(), &filled(path), sent).await;
            let there = status != StatusCode::METHOD_NOT_ALLOWED && code != "no-path";
            assert_eq!(
                there,
                methods.contains(method.as_str()),
                "{method} {path}: {status} {code}"
            );
        }
    }
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn each_operation_takes_the_scope_that_the_document_names() {
    let rig = Rig::start().await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        tokens.push((scope, rig.token_for(&[scope.name()]).await));
    }
    for Operation { path, method, about } in DOCUMENT.operations() {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let security = about["security"].as_array().expect("a list");
        let Some(needed) = security[0]["token"].as_array() else {
            assert_eq!((path, security), (&*format!("{PREFIX}/openapi.json"), &vec![json!({})]));
            let (status, _) = rig.probe(method, path, Sent::default()).await;
            assert_eq!(status, StatusCode::OK);
            continue;
        };
        for (scope, token) in &tokens {
            let allowed = *scope == Scope::Admin || needed[0] == scope.name();
            let sent = Sent { token: Some(token), ..Sent::default() };
            let (status, code) = rig.probe(method.clone(), &filled(path), sent).await;
            let refused = status == StatusCode::FORBIDDEN && code == "scope";
            assert_eq!(refused, !allowed, "{method} {path} with {scope}: {status} {code}");
        }
        let (status, code) = rig.probe(method, &filled(path), Sent::default()).await;
        assert_eq!((status.as_u16(), code.as_str()), (401, "no-token"), "{path}");
    }
    rig.chat.shutdown().await;
}

#[test]
fn every_body_has_an_example_that_is_as_its_schema_says() {
    let seen = DOCUMENT.check_examples();
    assert!(seen > 100, "{seen} examples");
}

#[test]
fn every_type_of_event_is_in_the_document() {
    let variants =
        DOCUMENT.0["components"]["schemas"]["Event"]["oneOf"].as_array().expect("a list");
    let mut types = BTreeSet::new();
    for event in api::example_events() {
        let event = serde_json::to_value(event).expect("JSON");
        DOCUMENT.assert_valid(
            &json!({ "$ref": "#/components/schemas/EventRecord" }),
            &event,
            "an event",
        );
        types.insert(event["type"].to_string());
    }
    assert_eq!(types.len(), variants.len());
}

#[test]
fn the_streams_example_is_a_stream() {
    let stream = DOCUMENT.response(&Method::GET, "/chat/v1/events/stream", StatusCode::OK);
    let example = &stream["content"]["text/event-stream"]["example"];
    let data = |block: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix("data: "))?;
        Some(serde_json::from_str::<Value>(line).expect("JSON"))
    };
    let frames: Vec<_> = example.as_str().expect("text").split("\n\n").filter_map(data).collect();
    for (frame, name) in frames.iter().zip(["StreamReady", "EventRecord", "StreamClosed"]) {
        DOCUMENT.assert_valid(
            &json!({ "$ref": format!("#/components/schemas/{name}") }),
            frame,
            name,
        );
    }
    assert_eq!(frames.len(), 3);
}

#[test]
fn every_code_is_in_the_document() {
    let names =
        DOCUMENT.0["components"]["schemas"]["ErrorCode"]["enum"].as_array().expect("a list");
    let text = DOCUMENT.0["info"]["description"].as_str().expect("text");
    let mut documented = BTreeSet::new();
    for Operation { about, .. } in DOCUMENT.operations() {
        for response in about["responses"].as_object().expect("responses").values() {
            let examples = response["content"]["application/json"]["examples"].as_object();
            documented.extend(examples.into_iter().flatten().map(|(code, _)| code.as_str()));
        }
    }
    for code in Code::ALL {
        assert!(names.contains(&json!(code.name())), "{code:?}");
        let row = format!("| {} | `{}` |", code.status().as_u16(), code.name());
        assert!(text.contains(&row), "{code:?}");
        let anywhere = ANYWHERE.contains(code);
        assert!(anywhere || documented.contains(code.name()), "{code:?} is at no operation");
    }
}

/// `docs/api.md` has a table of the operations and one of the errors.
#[test]
fn the_guide_has_the_same_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    let mut rows = String::new();
    for Operation { path, method, about } in DOCUMENT.operations() {
        let scope = about["security"][0]["token"][0].as_str().unwrap_or("no token");
        let path = path.strip_prefix(PREFIX).expect("below the prefix");
        let (method, what) = (method.to_uppercase(), about["summary"].as_str());
        let what = what.expect("a summary");
        rows.push_str(&format!("| `{method}` | `{path}` | {scope} | {what} |\n"));
    }
    assert!(guide.contains(&rows), "docs/api.md must have these rows:\n{rows}");
    let rows: String = Code::ALL
        .iter()
        .map(|c| format!("| {} | `{}` | {} |\n", c.status().as_u16(), c.name(), c.about()))
        .collect();
    assert!(guide.contains(&rows), "docs/api.md must have these rows:\n{rows}");
}

#[test]
fn every_body_has_its_fuzz_target() {
    let named = |operation: &Value| {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let name = schema.as_str()?.rsplit('/').next()?;
        Some(name.to_owned())
    };
    let paths = DOCUMENT.0["paths"].as_object().expect("paths");
    let operations = paths.values().flat_map(|path| path.as_object().into_iter().flatten());
    let taken: BTreeSet<_> = operations.filter_map(|(_, operation)| named(operation)).collect();
    let fuzzed = api::fuzzing::BODIES.map(|(name, _)| name.to_owned()).into();
    assert_eq!(taken, fuzzed, "add what is new to BODIES in chat/api/fuzzing.rs");
}
