//! The routes, on a core.

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::rig::{Rig, Sent};
use crate::extension::Extension;

#[tokio::test]
async fn only_the_token_lets_in() {
    let rig = Rig::start().await;
    let good = format!("Bearer {}", rig.token);
    let wrong = format!("Bearer {}", "0".repeat(64));
    let basic = format!("Basic {}", rig.token);
    let short = format!("Bearer {}", &rig.token[..62]);
    for (given, code) in [
        (None, "no-token"),
        (Some(rig.token.as_str()), "no-token"),
        (Some(basic.as_str()), "no-token"),
        (Some("Bearer"), "no-token"),
        (Some("Bearer "), "wrong-token"),
        (Some(short.as_str()), "wrong-token"),
        (Some(wrong.as_str()), "wrong-token"),
    ] {
        for path in ["/groups", "/accounts", "/nothing"] {
            let (status, headers, body) = rig.get_as(path, given).await;
            assert_eq!((status.as_u16(), &body["code"]), (401, &json!(code)), "{given:?}");
            let challenge = headers["www-authenticate"].to_str().expect("text");
            assert!(challenge.starts_with("Bearer "), "{challenge}");
        }
    }
    let (status, headers, body) = rig.get_as("/groups", Some(&good)).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "groups": [] })));
    assert_eq!(headers["cache-control"], "no-store");
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn an_account_is_made_once_and_found_again() {
    let rig = Rig::start().await;
    let (status, body) = rig.get("/accounts").await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("no-account")));
    let (status, made) = rig.post("/accounts", json!({})).await;
    assert_eq!(status, StatusCode::CREATED);
    let words = made["phrase"].as_str().expect("a phrase").split(' ').count();
    assert_eq!(words, 24);

    let rig = rig.restart().await;
    let (status, account) = rig.get("/accounts").await;
    assert_eq!(status, StatusCode::OK);
    for key in ["account", "installation", "card"] {
        assert_eq!(account[key], made[key], "{key}");
    }
    let (_, body) = rig.get("/installations").await;
    assert_eq!(body["installations"][0]["installation"], made["installation"]);
    assert_eq!(body["installations"][0]["this"], json!(true));
    let (status, body) = rig.post("/accounts", json!({})).await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("has-account")));
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_request_is_shown_until_it_is_given_up() {
    let rig = Rig::start().await;
    let (status, body) = rig.get("/installations/link").await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("no-link")));
    let (status, made) = rig.post("/installations/requests", json!({})).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, link) = rig.get("/installations/link").await;
    assert_eq!((status, &link["request"]), (StatusCode::OK, &made["request"]));
    assert_eq!((&link["role"], &link["confirmed"]), (&json!("new"), &json!(false)));
    let digits = json!({ "digits": "1234 5678" });
    let (status, body) = rig.post("/installations/link/digits", digits.clone()).await;
    assert_eq!((status.as_u16(), &body["code"]), (409, &json!("no-digits")));
    let short = json!({ "digits": "123" });
    let (_, body) = rig.post("/installations/link/digits", short).await;
    assert_eq!(body["code"], json!("no-digits"));

    let sent = || Sent { token: Some(&rig.token), ..Sent::default() };
    let path = "/chat/v1/installations/link/request.svg";
    let response = rig.send(Method::GET, path, sent()).await;
    assert_eq!(response.headers()["content-type"], "image/svg+xml");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let image = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("an image");
    assert!(image.starts_with(b"<?xml"));

    let (status, _) = rig.call(Method::DELETE, "/installations/link", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, body) = rig.call(Method::DELETE, "/installations/link", None).await;
    assert_eq!(body["code"], json!("no-link"));
    let (_, body) = rig.post("/installations/link/digits", digits).await;
    assert_eq!(body["code"], json!("no-link"));

    let response = rig.send(Method::GET, "/chat/v1/accounts/card.svg", sent()).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    rig.post("/accounts", json!({})).await;
    let response = rig.send(Method::GET, "/chat/v1/accounts/card.svg", sent()).await;
    assert_eq!(response.headers()["content-type"], "image/svg+xml");
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn what_is_said_can_be_read_after_a_restart() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let path = format!("/groups/{group}/messages");
    for number in 1..=5 {
        let (status, body) = rig.post(&path, json!({ "text": format!("no. {number} 🎈") })).await;
        assert_eq!(status, StatusCode::CREATED);
        assert_eq!((&body["id"]["group"], &body["id"]["number"]), (&json!(group), &json!(number)));
    }
    let rig = rig.restart().await;
    let (_, first) = rig.get(&format!("{path}?limit=2")).await;
    let next = |page: &serde_json::Value| page["next"].as_str().expect("a cursor").to_owned();
    let (_, second) = rig.get(&format!("{path}?limit=2&after={}", next(&first))).await;
    let (_, third) = rig.get(&format!("{path}?limit=2&after={}", next(&second))).await;
    let texts: Vec<_> = [&first, &second, &third]
        .iter()
        .flat_map(|page| page["messages"].as_array().expect("a list"))
        .map(|message| message["text"].as_str().expect("a text").to_owned())
        .collect();
    assert_eq!(texts, ["no. 1 🎈", "no. 2 🎈", "no. 3 🎈", "no. 4 🎈", "no. 5 🎈"]);
    assert!(third.get("next").is_none(), "{third}");

    let id = &first["messages"][0]["id"];
    let installation = id["installation"].as_str().expect("an id");
    let (status, one) = rig.get(&format!("{path}/{installation}/1")).await;
    assert_eq!((status, &one["text"]), (StatusCode::OK, &json!("no. 1 🎈")));
    let (status, body) = rig.get(&format!("{path}/{installation}/6")).await;
    assert_eq!((status.as_u16(), &body["code"]), (404, &json!("unknown-message")));
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_group_shows_what_was_set() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let (_, groups) = rig.get("/groups").await;
    assert_eq!(groups["groups"][0]["group"], json!(group));
    let (status, view) = rig.get(&format!("/groups/{group}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&view["name"], &view["description"]), (&json!("Lunch"), &json!("")));
    let (_, members) = rig.get(&format!("/groups/{group}/members")).await;
    assert_eq!(members["members"].as_array().map(Vec::len), Some(1));
    let profile = json!({ "name": "Dinner", "description": "at eight" });
    let (status, _) =
        rig.call(Method::PUT, &format!("/groups/{group}/profile"), Some(profile)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, gaps) = rig.get(&format!("/groups/{group}/missing")).await;
    assert_eq!(gaps, json!({ "gaps": [] }));
    assert_eq!(rig.get("/missing").await.1, json!({ "gaps": [] }));
    assert_eq!(rig.get("/invitations").await.1, json!({ "invitations": [] }));
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn an_event_wakes_who_waits_for_it() {
    let rig = Rig::start_with_peer().await;
    let group = rig.group().await;
    let mut next = 0;
    loop {
        let (_, page) = rig.get(&format!("/events?after={next}&limit=1")).await;
        let after = page["next"].as_u64().expect("a cursor");
        if after == next {
            break;
        }
        next = after;
    }
    let message = json!({ "text": "hello" });
    let path = format!("/groups/{group}/messages");
    let waiting_path = format!("/events?after={next}&wait=30");
    let (sent, woken) = tokio::join!(rig.post(&path, message), rig.get(&waiting_path));
    assert_eq!(sent.0, StatusCode::CREATED);
    let events = woken.1["events"].as_array().expect("a list").clone();
    assert!(!events.is_empty());
    assert!(events[0]["cursor"].as_u64() > Some(next));
    rig.chat.shutdown().await;
}

#[tokio::test]
async fn a_stopped_chat_says_so() {
    let rig = Rig::start().await;
    assert_eq!(rig.chat.health(), [("GroupChat".to_owned(), "READY".to_owned())]);
    rig.chat.shutdown().await;
    let (status, body) = rig.get("/groups").await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &json!("stopped")));
    assert_eq!(rig.chat.health(), [("GroupChat".to_owned(), "stopped".to_owned())]);
}

#[tokio::test]
async fn a_group_is_read_up_to_a_message_and_stays_so() {
    let rig = Rig::start().await;
    let group = rig.group().await;
    let (messages, read) = (format!("/groups/{group}/messages"), format!("/groups/{group}/read"));
    let (_, said) = rig.post(&messages, json!({ "text": "note to self" })).await;
    let (_, view) = rig.get(&format!("/groups/{group}")).await;
    assert_eq!((&view["unread"], view.get("readUpto")), (&json!(0), None));
    let installation = &said["id"]["installation"];
    for number in [1, 9] {
        let body = json!({ "upto": { "installation": installation, "number": number } });
        let (status, answer) = rig.call(Method::PUT, &read, Some(body)).await;
        match number {
            1 => assert_eq!(status, StatusCode::NO_CONTENT),
            _ => assert_eq!((status.as_u16(), &answer["code"]), (404, &json!("unknown-message"))),
        }
    }
    let rig = rig.restart().await;
    let (_, view) = rig.get(&format!("/groups/{group}")).await;
    let place = view["readUpto"].as_str().expect("a place").to_owned();
    assert!(place.ends_with("-1"), "{place}");
    // the place is a cursor: what follows it is new
    let (_, new) = rig.get(&format!("{messages}?after={place}")).await;
    assert_eq!(new["messages"], json!([]));
    let (_, events) = rig.get("/events?limit=1000").await;
    let events = events["events"].as_array().expect("a list");
    let told: Vec<_> = events.iter().filter(|event| event["type"] == "read").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["upto"], &told[0]["unread"]), (&json!(place), &json!(0)));
    let nowhere = format!("/groups/{}/read", "00".repeat(16));
    let (status, answer) = rig.call(Method::PUT, &nowhere, Some(json!({}))).await;
    assert_eq!((status.as_u16(), &answer["code"]), (404, &json!("unknown-group")));
    rig.chat.shutdown().await;
}
