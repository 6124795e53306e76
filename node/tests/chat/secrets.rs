//! Secrets, cards, tokens, phrases, keys and what people write never reach a log.
//!
//! Real nodes at the finest level, in both formats, go through a whole scenario: accounts, linking,
//! a group, messages, refused commands, wrong tokens, restarts, a kill. All that the processes write
//! is searched for every secret that the test knows, in the forms in which it could have been
//! written. That the search finds what is there, it shows on planted ones.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use waku_groupchat_core::account::{Card, InstallationKey, Phrase};
use waku_groupchat_core::{InstallationId, Store};
use waku_groupchat_storage::KvStore;

use crate::client::{Client, until};
use crate::process::Node;

/// Characters of a text that count as the text.
const RUN: usize = 24;
/// How far apart such runs begin: a leak of `RUN + STEP` characters is found wherever it begins.
const STEP: usize = 8;
/// Words of a phrase in a row that count as the phrase.
const WORDS: usize = 4;
/// Bytes of a key that count as the key: its first or last ones.
const HALF: usize = 16;

/// What must not be written, and how it would look.
#[derive(Default)]
struct Secrets {
    /// Its name, and every form of it or of a part.
    forms: Vec<(String, Vec<String>)>,
    /// Phrases, whose words may have anything in between.
    phrases: Vec<(String, Vec<String>)>,
}

impl Secrets {
    /// A text. It has letters, digits and spaces alone, which every format leaves as they are.
    fn text(&mut self, what: &str, text: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ';
        assert!(text.chars().all(plain) && text.len() >= RUN, "{what}");
        let starts = (0..=text.len() - RUN).step_by(STEP);
        self.add(what, starts.map(|at| text[at..at + RUN].to_owned()).collect());
    }

    /// Bytes: hex, base64 wherever they stand in what is encoded, and the list that `Debug` shows.
    fn bytes(&mut self, what: &str, bytes: &[u8]) {
        let mut forms = Vec::new();
        for half in [&bytes[..HALF], &bytes[bytes.len() - HALF..]] {
            forms.extend([HEXLOWER.encode(half), HEXUPPER.encode(half)]);
            // Characters that also hold bits of what stands before or behind are left out.
            for (before, skip) in [(0, 0), (1, 2), (2, 3)] {
                let shifted = [&[0; 2][..before], half].concat();
                for text in [BASE64.encode(&shifted), BASE64URL_NOPAD.encode(&shifted)] {
                    forms.push(text[skip..skip + 20].to_owned());
                }
            }
            let list: Vec<_> = half.iter().map(u8::to_string).collect();
            forms.push(list.join(", "));
            forms.push(list.join(","));
        }
        self.add(what, forms);
    }

    /// A recovery phrase, and what comes from it.
    fn phrase(&mut self, what: &str, words: &str) {
        let phrase: Phrase = words.parse().expect("a phrase");
        let words = phrase.words().into_iter().map(str::to_owned).collect();
        self.phrases.push((what.to_owned(), words));
        self.bytes("recovery secret", phrase.recovery_secret().as_bytes());
        self.bytes("recovery key seed", phrase.recovery_hpke_seed().as_slice());
    }

    /// A contact card, and what it holds.
    fn card(&mut self, what: &str, card: &str) {
        self.text(what, card);
        let card: Card = card.parse().expect("a card");
        self.bytes("registration secret", card.registration.as_bytes());
        self.bytes("recovery secret of a card", card.recovery.as_bytes());
    }

    fn add(&mut self, what: &str, forms: Vec<String>) {
        self.forms.push((what.to_owned(), forms));
    }

    /// Which of them are written in `log`, and in which form.
    fn written_in(&self, log: &str) -> Vec<String> {
        let form = |(what, forms): &(String, Vec<String>)| {
            let form = forms.iter().find(|form| log.contains(form.as_str()))?;
            Some(format!("{what} as {form}"))
        };
        let mut found: Vec<String> = self.forms.iter().filter_map(form).collect();
        let words = words(log);
        for (what, phrase) in &self.phrases {
            let run =
                phrase.windows(WORDS).find(|run| words.contains(&format!(" {} ", run.join(" "))));
            found.extend(run.map(|run| format!("{what} as {}", run.join(" "))));
        }
        found
    }

    /// Plants each form of each secret among lines of the log, and shows that it is found.
    fn check_search(&self, log: &str) {
        let some: Vec<&str> = log.lines().take(10).collect();
        let some = some.join("\n");
        let (before, behind) = some.split_at(some.find('\n').expect("two lines"));
        let planted = |form: &str| format!("{before} x{form}y {behind}");
        for (what, forms) in &self.forms {
            for form in forms {
                let found = self.written_in(&planted(form));
                assert!(found.iter().any(|f| f.starts_with(what)), "{what}: {form}: {found:?}");
            }
        }
        for (what, phrase) in &self.phrases {
            for between in [" ", ", ", "\", \"", "\\n"] {
                let text = format!(" {} ", phrase[3..3 + WORDS].join(between));
                let found = self.written_in(&planted(&text));
                assert!(found.iter().any(|f| f.starts_with(what)), "{what}: {text}: {found:?}");
            }
        }
    }
}

/// The words of a text with single spaces between, whatever stands there. An escaped line end is
/// no letter.
fn words(text: &str) -> String {
    let text = text.replace("\\n", " ").to_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_lowercase()).filter(|w| !w.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

/// 64 hex digits that stand nowhere else.
fn marker(of: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(of))
}

/// A scenario: its secrets, and all that its processes wrote.
struct Scenario {
    format: &'static str,
    secrets: Secrets,
    log: String,
}

impl Scenario {
    fn node(&mut self, name: &str, dir: &Path, options: &[String]) -> Node {
        let mut all = vec!["--log-level=TRACE".to_owned(), format!("--log-format={}", self.format)];
        all.extend_from_slice(options);
        let node = Node::start(dir, &all, None);
        let read =
            |file: &str| fs::read_to_string(dir.join(file)).map(|text| text.trim().to_owned());
        self.secrets.text(&format!("{name}'s token"), &read("api-token").expect("a token"));
        if let Ok(key) = read("keys/nodekey") {
            self.secrets.bytes(&format!("{name}'s node key"), &hex(&key));
        }
        node
    }

    /// Makes an account and gives its card.
    fn account(&mut self, name: &str, chat: &Client) -> String {
        let made = chat.post("/accounts", json!({})).expect("an account");
        let text = |key: &str| made[key].as_str().expect("a text").to_owned();
        self.secrets.phrase(&format!("{name}'s phrase"), &text("phrase"));
        self.secrets.card(&format!("{name}'s card"), &text("card"));
        text("card")
    }

    /// A text for people to write, which nobody else may read.
    fn private(&mut self, what: &str) -> String {
        let text = format!("{what} {}", marker(&format!("{what} in {}", self.format)));
        self.secrets.text(what, &text);
        text
    }

    /// Runs a command of the binary. What it says on standard error is kept; on standard output it
    /// shows what was asked for.
    fn command(&mut self, node: &Node, args: &[&str]) -> bool {
        let output = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"))
            .args(args)
            .env("WAKU_GROUPCHAT_NODE", format!("http://{}", node.rest()))
            .env("WAKU_GROUPCHAT_DATA_DIR", node.dir())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        self.log.push_str(&String::from_utf8_lossy(&output.stderr));
        output.status.success()
    }

    /// The key of the installation in a folder, out of its database.
    fn installation_key(&mut self, name: &str, dir: &Path, installation: InstallationId) {
        let store = KvStore::open(dir.join("chat")).expect("the database of a node that has ended");
        let records = store.scan(b"account").expect("readable");
        let key = records.iter().find_map(|(_, record)| {
            let mut windows =
                record.windows(32).map(|w| <[u8; 32]>::try_from(w).expect("32 bytes"));
            windows.find(|seed| InstallationKey::from_bytes(seed).id() == installation)
        });
        self.secrets.bytes(&format!("{name}'s key"), &key.expect("the installation's key"));
    }
}

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("hex")
}

fn installation(chat: &Client) -> InstallationId {
    let account = chat.get("/accounts");
    account["installation"].as_str().expect("an id").parse().expect("an id")
}

#[test]
fn nothing_secret_is_in_text_logs() {
    scenario("TEXT");
}

#[test]
fn nothing_secret_is_in_json_logs() {
    scenario("JSON");
}

fn scenario(format: &'static str) {
    let mut scenario = Scenario { format, secrets: Secrets::default(), log: String::new() };
    let folders = [(); 3].map(|()| tempfile::tempdir().expect("a folder"));
    let [a_dir, b_dir, c_dir] = folders.each_ref().map(|folder| folder.path());
    let key = marker(&format!("node key in {format}"));
    scenario.secrets.bytes("the node key of the command line", &hex(&key));

    let a = scenario.node("A", a_dir, &["--store=true".to_owned()]);
    let peer = format!("--storenode={}", a.address());
    let mut b = scenario.node("B", b_dir, &[peer.clone(), format!("--nodekey={key}")]);
    let c = scenario.node("C", c_dir, std::slice::from_ref(&peer));
    let (a_chat, b_chat, c_chat) = (Client::of(&a), Client::of(&b), Client::of(&c));

    let a_card = scenario.account("A", &a_chat);
    let b_card = scenario.account("B", &b_chat);
    link(&mut scenario, &a_chat, &c_chat);
    let group = talk(&mut scenario, &a_chat, &b_chat, &b_card);
    refused(&mut scenario, &a, &a_chat, &group, &a_card);
    strangers(&mut scenario, &a);
    relayed(&mut scenario, &a_chat);
    commands(&mut scenario, &a, &group, &b_card);

    let installations = [installation(&a_chat), installation(&b_chat), installation(&c_chat)];
    b.kill();
    scenario.log.push_str(&b.written());
    scenario.log.push_str(&a.end());
    let port = peer.split('/').nth(4).expect("a port").to_owned();
    let again = ["--store=true".to_owned(), format!("--tcp-port={port}")];
    let a = scenario.node("A again", a_dir, &again);
    let b = scenario.node("B again", b_dir, &[peer, format!("--nodekey={key}")]);
    let text = scenario.private("a message after the restart");
    Client::of(&a).send(&group, &text);
    Client::of(&b).reads(&group, &text);
    for node in [a, b, c] {
        scenario.log.push_str(&node.end());
    }
    for ((name, dir), installation) in
        [("A", a_dir), ("B", b_dir), ("C", c_dir)].into_iter().zip(installations)
    {
        scenario.installation_key(name, dir, installation);
    }
    search(&scenario, &group);
}

/// Searches what was written, and shows that it is what is meant.
fn search(scenario: &Scenario, group: &str) {
    let log = &scenario.log;
    assert!(log.contains("the node is ready") && log.contains("the node has shut down"));
    assert!(log.contains("DEBUG") && log.contains("a message came"), "all levels are written");
    assert!(log.contains(group), "publishes name their group");
    assert!(scenario.secrets.forms.len() > 30);
    scenario.secrets.check_search(log);
    assert_eq!(scenario.secrets.written_in(log), Vec::<String>::new());
}

/// C becomes an installation of A's account.
fn link(scenario: &mut Scenario, existing: &Client, new: &Client) {
    let asked = new.post("/installations/requests", json!({})).expect("a request");
    let request = asked["request"].as_str().expect("a text");
    scenario.secrets.text("the link request", request);
    existing.post("/installations", json!({ "request": request })).expect("taken");
    for side in [existing, new] {
        until("it shows digits", || {
            let (status, link) = side.ask("GET", "/chat/v1/installations/link", None);
            status == 200 && link.contains("digits")
        });
    }
    let link = existing.get("/installations/link");
    let digits = link["digits"].as_str().expect("digits");
    for side in [existing, new] {
        let compared = side.post("/installations/link/digits", json!({ "digits": digits }));
        assert_eq!(compared.expect("compared")["same"], json!(true));
    }
    until("it is linked", || {
        new.ask("GET", "/chat/v1/accounts", None).0 == 200
            && new.get("/installations")["installations"].as_array().is_some_and(|l| l.len() == 2)
    });
}

/// A group with a name, a description, and messages both ways.
fn talk(scenario: &mut Scenario, first: &Client, second: &Client, card: &str) -> String {
    let profile = |scenario: &mut Scenario, which: &str| {
        let name = scenario.private(&format!("{which} name"));
        let description = scenario.private(&format!("{which} description"));
        json!({ "name": name, "description": description })
    };
    let made = first.post("/groups", profile(scenario, "first")).expect("a group");
    let group = made["group"].as_str().expect("an id").to_owned();
    first.invite(&group, &json!(card));
    second.join(&group);
    for (from, to, what) in
        [(first, second, "a message of the first"), (second, first, "a message of the second")]
    {
        let text = scenario.private(what);
        from.send(&group, &text);
        to.reads(&group, &text);
    }
    let renamed = profile(scenario, "second");
    let path = format!("/chat/v1/groups/{group}/profile");
    assert_eq!(first.ask("PUT", &path, Some(&renamed.to_string())).0, 204);
    until("the new name comes", || {
        second.get(&format!("/groups/{group}"))["name"] == renamed["name"]
    });
    second.get("/events");
    group
}

/// Commands that are refused, with texts in all their places.
fn refused(scenario: &mut Scenario, node: &Node, chat: &Client, group: &str, own_card: &str) {
    let mut mistyped = own_card.to_owned();
    let last = if mistyped.pop() == Some('q') { 'p' } else { 'q' };
    mistyped.push(last);
    scenario.secrets.text("a mistyped card", &mistyped);
    let nonsense = scenario.private("nonsense");
    let long = scenario.private("long name").repeat(4);
    let (groups, of) = ("/chat/v1/groups", |what: &str| format!("/chat/v1/groups/{group}/{what}"));
    let cards = |card: &str| json!({ "cards": [card] });
    let bad: [(&str, String, Value); 9] = [
        ("POST", of("invitations"), cards(&mistyped)),
        ("POST", of("invitations"), cards(own_card)),
        ("POST", of("invitations"), cards(&nonsense)),
        ("POST", "/chat/v1/installations".to_owned(), json!({ "request": nonsense })),
        ("POST", "/chat/v1/accounts".to_owned(), json!({ "phrase": nonsense })),
        ("POST", groups.to_owned(), json!({ "name": long, "description": "" })),
        ("POST", of("messages"), json!({ "text": nonsense, "more": nonsense })),
        ("POST", of("messages"), json!({ "text": [nonsense] })),
        ("POST", format!("{groups}/{}/messages", "0".repeat(32)), json!({ "text": nonsense })),
    ];
    for (method, path, body) in bad {
        let (status, answer) = chat.ask(method, &path, Some(&body.to_string()));
        assert!((400..500).contains(&status), "{method} {path}: {status} {answer}");
    }
    let broken = format!("{{\"text\": \"{nonsense}");
    assert_eq!(chat.ask("POST", &of("messages"), Some(&broken)).0, 400);
    let escaped = nonsense.replace(' ', "%20");
    for path in [
        format!("{groups}/{escaped}"),
        format!("/chat/v1/{escaped}"),
        format!("/{escaped}"),
        format!("/chat/v1/events?after={escaped}"),
        format!("/relay/v1/messages/{escaped}"),
        format!("/store/v3/messages?contentTopics={escaped}"),
    ] {
        assert!(chat.ask("GET", &path, None).0 >= 400, "{path}");
    }
    assert!(node.dir().join("api-token").exists());
}

/// Requests with tokens that are wrong, but somebody's.
fn strangers(scenario: &mut Scenario, node: &Node) {
    for token in [marker("another node's token"), marker("half a token")[..40].to_owned()] {
        scenario.secrets.text("a wrong token", &token);
        let stranger = Client::with_token(node, &token);
        assert_eq!(stranger.ask("GET", "/chat/v1/groups", None).0, 401);
        let path = format!("/chat/v1/groups?token={token}");
        assert_eq!(stranger.ask("GET", &path, None).0, 401);
    }
}

/// What others publish through the node.
fn relayed(scenario: &mut Scenario, chat: &Client) {
    let payload = scenario.private("a payload");
    scenario.secrets.bytes("a payload in base64", payload.as_bytes());
    let message = json!({
        "payload": BASE64.encode(payload.as_bytes()),
        "contentTopic": "/test/1/relayed/proto",
    });
    let path = "/relay/v1/messages/%2Fwaku%2F2%2Frs%2F16%2F0";
    let (status, answer) = chat.ask("POST", path, Some(&message.to_string()));
    assert_eq!(status, 200, "{answer}");
    let (status, _) = chat.ask("POST", path, Some(&json!({ "payload": payload }).to_string()));
    assert_eq!(status, 400);
}

/// The command line, where it succeeds and where it does not.
fn commands(scenario: &mut Scenario, node: &Node, group: &str, card: &str) {
    let text = scenario.private("a message of the command line");
    assert!(scenario.command(node, &["send", group, &text]));
    for args in
        [&["read", group][..], &["account", "card"], &["account", "show"], &["group", "list"]]
    {
        assert!(scenario.command(node, args), "{args:?}");
    }
    let mut mistyped = card.to_owned();
    mistyped.truncate(card.len() - 1);
    let nonsense = scenario.private("an argument");
    for args in [
        &["group", "invite", group, &mistyped][..],
        &["group", "invite", group, &nonsense],
        &["account", "link-accept", &nonsense],
        &["send", group, ""],
    ] {
        assert!(!scenario.command(node, args), "{args:?}");
    }
}
