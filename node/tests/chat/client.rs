//! The chat API of a node, blocking, for a test.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::Response;

use crate::process::Node;

/// The longest any condition may take.
const DEADLINE: Duration = Duration::from_secs(90);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Waits for a condition, with a deadline.
pub(crate) fn until(what: &str, met: impl FnMut() -> bool) {
    assert!(may(met), "within {DEADLINE:?}: {what}");
}

/// Waits for a condition; `false` if the deadline came first.
pub(crate) fn may(mut met: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !met() {
        if start.elapsed() > DEADLINE {
            return false;
        }
        thread::sleep(LOOK);
    }
    true
}

/// Makes an account at each node, and a group of both that the first one makes. Gives the group.
pub(crate) fn meet(first: &Client, second: &Client, name: &str) -> String {
    let card = second.post("/accounts", json!({})).expect("an account")["card"].clone();
    first.post("/accounts", json!({})).expect("an account");
    let made = first.post("/groups", json!({ "name": name })).expect("a group");
    let group = made["group"].as_str().expect("an id").to_owned();
    first.invite(&group, &card);
    second.join(&group);
    group
}

/// Speaks to one node.
pub(crate) struct Client {
    agent: Agent,
    node: String,
    url: String,
    authorization: String,
}

impl Client {
    /// Of a node that serves.
    pub(crate) fn of(node: &Node) -> Self {
        let token = fs::read_to_string(node.dir().join("api-token")).expect("the node's token");
        Self::with_token(node, token.trim())
    }

    /// Of a node that serves, with this token.
    pub(crate) fn with_token(node: &Node, token: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .new_agent();
        Self {
            agent,
            node: format!("http://{}", node.rest()),
            url: format!("http://{}/chat/v1", node.rest()),
            authorization: format!("Bearer {token}"),
        }
    }

    /// Of a node that may die before it serves.
    pub(crate) fn try_of(node: &mut Node) -> Option<Self> {
        node.serves().then(|| Self::of(node))
    }

    /// The answer to a `GET` that must succeed.
    pub(crate) fn get(&self, path: &str) -> Value {
        let request = self.agent.get(format!("{}{path}", self.url));
        let mut answer =
            request.header("Authorization", &self.authorization).call().expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.body_mut().read_json().expect("JSON")
    }

    /// The answer to a `POST`; `None` if the node dies over it.
    pub(crate) fn post(&self, path: &str, body: Value) -> Option<Value> {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request.header("Authorization", &self.authorization);
        let mut answer = request.send_json(body).ok()?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().ok()?;
        assert!(status.is_success(), "{path}: {status} {text}");
        if text.is_empty() {
            return Some(Value::Null);
        }
        Some(serde_json::from_str(&text).expect("JSON"))
    }

    /// Status and text of the answer to a request that may be refused, at any path of the node.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.node))
            .header("Authorization", &self.authorization)
            .header("Content-Type", "application/json")
            .body(body.unwrap_or_default().to_owned())
            .expect("a request");
        let mut answer: Response<ureq::Body> = self.agent.run(request).expect("an answer");
        let text = answer.body_mut().read_to_string().expect("text");
        (answer.status().as_u16(), text)
    }

    /// The node's health: its status, and what it says of the chat.
    pub(crate) fn health(&self) -> (u16, Value) {
        let (status, text) = self.ask("GET", "/health", None);
        let all: Value = serde_json::from_str(&text).expect("JSON");
        let lines = all["protocolsHealth"].as_array().expect("a list");
        let chat = lines.iter().find(|line| !line["GroupChat"].is_null()).expect("the chat's");
        (status, chat.clone())
    }

    /// Invites the account of a card.
    pub(crate) fn invite(&self, group: &str, card: &Value) {
        self.post(&format!("/groups/{group}/invitations"), json!({ "cards": [card] }))
            .expect("an invitation");
    }

    /// Waits for an invitation, accepts it, and waits until it is in the group.
    pub(crate) fn join(&self, group: &str) {
        until("the invitation comes", || {
            let waiting = self.get("/invitations");
            waiting["invitations"].as_array().is_some_and(|list| !list.is_empty())
        });
        self.post(&format!("/invitations/{group}/accept"), json!({})).expect("accepted");
        until("it has joined", || {
            self.get(&format!("/groups/{group}"))["state"] == json!("joined")
        });
    }

    /// Sends a text.
    pub(crate) fn send(&self, group: &str, text: &str) {
        self.post(&format!("/groups/{group}/messages"), json!({ "text": text })).expect("accepted");
    }

    /// Waits until it can read a text.
    pub(crate) fn reads(&self, group: &str, text: &str) {
        until("the message comes", || {
            let page = self.get(&format!("/groups/{group}/messages"));
            page["messages"].as_array().expect("a list").iter().any(|m| m["text"] == json!(text))
        });
    }

    /// All messages of a group with one sender, by number. Each number is there once.
    pub(crate) fn messages(&self, group: &str) -> BTreeMap<u64, String> {
        let mut held = BTreeMap::new();
        let mut query = String::new();
        loop {
            let page = self.get(&format!("/groups/{group}/messages{query}"));
            for message in page["messages"].as_array().expect("a list") {
                let number = message["id"]["number"].as_u64().expect("a number");
                let text = message["text"].as_str().expect("a text").to_owned();
                let other = held.insert(number, text);
                assert_eq!(other, None, "number {number} came twice");
            }
            match &page["next"] {
                Value::Null => return held,
                next => query = format!("?after={}", next.as_str().expect("a position")),
            }
        }
    }

    /// Every event that is kept.
    pub(crate) fn all_events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let mut after = 0;
        loop {
            let page = self.get(&format!("/events?limit=1000&after={after}"));
            let list = page["events"].as_array().expect("a list");
            if list.is_empty() {
                return events;
            }
            events.extend(list.iter().cloned());
            after = page["next"].as_u64().expect("a cursor");
        }
    }
}
