//! What stops the start, and the line that says so.

use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_assume, proptest};

use super::{load, refusal};
use crate::options::table::{NOT_CARRIED_OUT, find, is_not_carried_out, specs};
use crate::options::{Place, Reason};

#[test]
fn unknown_keys_in_every_place() {
    assert_eq!(
        refusal(&["--colour=red"], &[], ""),
        "command line: colour: there is no such option"
    );
    assert_eq!(
        refusal(&["--tcp_port=1"], &[], ""),
        "command line: tcp_port: there is no such option: did you mean tcp-port?"
    );
    assert_eq!(
        refusal(&["--group-chat.enabled=true"], &[], ""),
        "command line: group-chat.enabled: there is no such option: did you mean \
         group-chat-enabled?"
    );
    assert_eq!(
        refusal(&[], &[("WAKU_GROUPCHAT_COLOUR", "red")], ""),
        "environment: WAKU_GROUPCHAT_COLOUR: there is no such option"
    );
    assert_eq!(
        refusal(&[], &[("WAKU_GROUPCHAT_tcp_port", "1")], ""),
        "environment: WAKU_GROUPCHAT_tcp_port: there is no such option: did you mean \
         WAKU_GROUPCHAT_TCP_PORT?"
    );
    assert_eq!(
        refusal(&[], &[], "# one\n\nstore = true\ncolour = \"red\"\n"),
        "node.toml:4: colour: there is no such option"
    );
    assert_eq!(
        refusal(&[], &[], "[group-chat]\nenabled = true\ncolour = 1"),
        "node.toml:3: group-chat.colour: there is no such option"
    );
    assert_eq!(
        refusal(&[], &[], "[group-chat]\n\n[filters]\na = 1"),
        "node.toml:3: filters: there is no such option"
    );
    assert_eq!(
        refusal(&[], &[], "group-chat-enabled = true"),
        "node.toml:1: group-chat-enabled: there is no such option: write it as enabled in the \
         table [group-chat]"
    );
    assert_eq!(
        refusal(&[], &[], "[group-chat]\ntcp-port = 1"),
        "node.toml:2: group-chat.tcp-port: there is no such option"
    );
}

#[test]
fn options_of_nwaku_that_are_not_carried_out() {
    for name in NOT_CARRIED_OUT.iter().chain(&["rln-relay", "rln-relay-eth-client-address"]) {
        assert_eq!(
            refusal(&[&format!("--{name}=false")], &[], ""),
            format!("command line: {name}: this option of nwaku is not carried out yet")
        );
        assert_eq!(
            refusal(&[], &[], &format!("{name} = false")),
            format!("node.toml:1: {name}: this option of nwaku is not carried out yet")
        );
    }
    assert_eq!(
        refusal(&[], &[("WAKU_GROUPCHAT_DISCV5_DISCOVERY", "true")], ""),
        "environment: WAKU_GROUPCHAT_DISCV5_DISCOVERY: this option of nwaku is not carried out yet"
    );
}

#[test]
fn values_out_of_their_range() {
    for (argument, wanted) in [
        ("--tcp-port=65536", "tcp-port: must be a whole number from 0 to 65535, got `65536`"),
        ("--tcp-port=", "tcp-port: must be a whole number from 0 to 65535, got ``"),
        (
            "--max-connections=0",
            "max-connections: must be a whole number from 1 to 4294967295, got `0`",
        ),
        ("--relay=yes", "relay: must be true or false, got `yes`"),
        (
            "--rest-address=localhost",
            "rest-address: must be an IPv4 or IPv6 address without port, got `localhost`",
        ),
        (
            "--staticnode=/ip4/127.0.0.1/tcp/1",
            "staticnode: must be a multiaddress that ends in /p2p/<peer id>, got `/ip4/127.0.0.1/tcp/1`",
        ),
        (
            "--max-msg-size=150",
            "max-msg-size: must be a size from 1KiB to 1MiB, in B, KB, KiB, MB or MiB, got `150`",
        ),
        (
            "--store-message-db-url=postgres://x",
            "store-message-db-url: must be rocksdb://<path>: no other database is carried out yet as an archive, got `postgres://x`",
        ),
        (
            "--log-level=LOUD",
            "log-level: must be one of TRACE, DEBUG, INFO, NOTICE, WARN, ERROR, FATAL, got `LOUD`",
        ),
        ("--data-dir=", "data-dir: must be a path, not empty, got ``"),
        (
            "--group-chat-gap-grace=10",
            "group-chat-gap-grace: must be a duration of at most 365d: a whole number and one of ms, s, m, h, d, got `10`",
        ),
    ] {
        assert_eq!(refusal(&[argument], &[], ""), format!("command line: {wanted}"));
    }
    for policy in
        ["", "time", "time:", "time:0", "time:1d", "size:5", "time:1;time:2", "1", "none;time:1"]
    {
        let line = refusal(&[&format!("--store-message-retention-policy={policy}")], &[], "");
        assert!(line.ends_with(&format!("got `{policy}`")), "{line}");
    }
    for duration in ["", "s", "-1s", "1.5s", "366d", "1w", "99999999999999999999ms"] {
        refusal(&[&format!("--group-chat-gap-grace={duration}")], &[], "");
    }
    assert_eq!(
        refusal(&[], &[], "\nmax-connections = -1"),
        "node.toml:2: max-connections: must be a whole number from 1 to 4294967295, got `-1`"
    );
}

#[test]
fn secrets_are_not_repeated() {
    let zero = "00".repeat(32);
    for key in ["secret", &zero] {
        let line = refusal(&[&format!("--nodekey={key}")], &[], "");
        assert_eq!(line, "command line: nodekey: must be a secp256k1 private key as 64 hex digits");
    }
}

#[test]
fn types_that_do_not_match() {
    for (text, wanted) in [
        (
            "tcp-port = \"1\"",
            "tcp-port: must be a whole number from 0 to 65535, written in TOML as an integer, got a string",
        ),
        (
            "store = \"true\"",
            "store: must be true or false, written in TOML as a boolean, got a string",
        ),
        ("store = 1", "store: must be true or false, written in TOML as a boolean, got an integer"),
        (
            "tcp-port = 1.0",
            "tcp-port: must be a whole number from 0 to 65535, written in TOML as an integer, got a float",
        ),
        (
            "data-dir = 2020-01-01",
            "data-dir: must be a path, not empty, written in TOML as a string, got a date or time",
        ),
        (
            "shard = 1",
            "shard: must be a whole number from 0 to 65535, written in TOML as an array, got an integer",
        ),
        (
            "shard = [\"1\"]",
            "shard: must be a whole number from 0 to 65535, written in TOML as an integer, got a string",
        ),
        (
            "tcp-port = [1]",
            "tcp-port: must be a whole number from 0 to 65535, written in TOML as an integer, got an array",
        ),
        (
            "group-chat = true",
            "group-chat: must be a table of options, written in TOML as a table, got a boolean",
        ),
        (
            "store = { x = 1 }",
            "store: must be true or false, written in TOML as a boolean, got a table",
        ),
    ] {
        assert_eq!(refusal(&[], &[], text), format!("node.toml:1: {wanted}"));
    }
}

#[test]
fn what_is_given_twice() {
    assert_eq!(
        refusal(&["--tcp-port=1", "--tcp-port=1"], &[], ""),
        "command line: tcp-port: is given twice"
    );
    let shards = ["--num-shards-in-network=8", "--shard=1", "--shard=1"];
    assert_eq!(refusal(&shards, &[], ""), "command line: shard: is given twice, got `1`");
    let line = refusal(&[], &[], "tcp-port = 1\n\ntcp-port = 2\n");
    assert!(line.starts_with("node.toml:3: file: is not TOML: "), "{line}");
    let line = refusal(&[], &[], "group-chat.enabled = true\n[group-chat]\n");
    assert!(line.starts_with("node.toml:2: file: is not TOML: "), "{line}");
}

#[test]
fn what_is_no_option() {
    for argument in ["store", "-s", "--", ""] {
        assert_eq!(
            refusal(&[argument], &[], ""),
            format!("command line: {argument}: is not an option: options are written --name=value")
        );
    }
    assert_eq!(
        refusal(&["--tcp-port", "--store"], &[], ""),
        "command line: tcp-port: needs a value: a whole number from 0 to 65535"
    );
    assert_eq!(
        refusal(&["--tcp-port"], &[], ""),
        "command line: tcp-port: needs a value: a whole number from 0 to 65535"
    );
}

#[test]
fn files_that_cannot_be_used() {
    assert_eq!(
        refusal(&["--config-file=/nowhere/at.all"], &[], ""),
        "command line: config-file: cannot be read: entity not found"
    );
    assert_eq!(
        refusal(&[], &[("WAKU_GROUPCHAT_CONFIG_FILE", "/nowhere/at.all")], ""),
        "environment: WAKU_GROUPCHAT_CONFIG_FILE: cannot be read: entity not found"
    );
    assert_eq!(
        refusal(&[], &[], "config-file = \"other.toml\""),
        "node.toml:1: config-file: can only be set on the command line or in the environment"
    );
    let line = refusal(&[], &[], "store = true\nstore");
    assert!(line.starts_with("node.toml:2: file: is not TOML: "), "{line}");
    let binary = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(binary.path(), [0xff, 0xfe]).expect("written");
    let argument = format!("--config-file={}", binary.path().display());
    assert_eq!(refusal(&[&argument], &[], ""), "command line: config-file: is not UTF-8");
    std::fs::write(binary.path(), vec![b'\n'; (1 << 20) + 1]).expect("written");
    assert_eq!(
        refusal(&[&argument], &[], ""),
        "command line: config-file: cannot be read: file too large"
    );
}

#[test]
fn what_does_not_go_together() {
    for (arguments, key) in [
        (&["--shard=8", "--num-shards-in-network=8"][..], "shard"),
        (&["--keep-alive=false"], "keep-alive"),
        (&["--relay=false"], "relay"),
        (&["--num-shards-in-network=0"], "num-shards-in-network"),
        (&["--max-msg-size=64KiB"], "max-msg-size"),
        (&["--group-chat-topic-period=0s"], "group-chat-topic-period"),
        (&["--group-chat-gap-retry=0s"], "group-chat-gap-retry"),
        (&["--group-chat-publish-retry=0ms"], "group-chat-publish-retry"),
        (&["--ports-shift=65535"], "ports-shift"),
    ] {
        let error = load(arguments, &[], "").expect_err("refused");
        assert_eq!((error.place, error.key.as_str()), (Place::CommandLine, key));
        assert!(matches!(error.reason, Reason::Conflict(_)));
    }
    let chatless = ["--relay=false", "--max-msg-size=64KiB", "--group-chat-enabled=false"];
    load(&chatless, &[], "").expect("good without chat");
}

/// Names as people mistype them, and any other text that TOML takes as a quoted key.
fn name() -> impl Strategy<Value = String> {
    "[a-z0-9-]{1,24}|[a-zA-Z0-9_.-]{1,40}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_unknown_key_is_refused_in_every_place(name in name(), value in 0u16..3) {
        prop_assume!(specs().all(|spec| spec.name != name && spec.key != name));
        prop_assume!(specs().all(|spec| spec.table.is_empty() || spec.table != name));
        let reasons = [
            load(&[&format!("--{name}={value}")], &[], "").expect_err("argument").reason,
            load(&[], &[], &format!("\"{name}\" = {value}")).expect_err("key").reason,
            load(&[], &[], &format!("[group-chat]\n\"{name}\" = {value}")).expect_err("key").reason,
        ];
        for (i, reason) in reasons.into_iter().enumerate() {
            let fits = match reason {
                Reason::NotCarriedOut => i < 2 && is_not_carried_out(&name),
                Reason::Unknown(_) => i == 2 || !is_not_carried_out(&name),
                _ => false,
            };
            prop_assert!(fits, "place {i}");
        }
    }

    #[test]
    fn any_unknown_variable_is_refused(rest in "[A-Z0-9_]{1,24}") {
        let name = rest.replace('_', "-").to_ascii_lowercase();
        prop_assume!(find(&name, &name, &Place::Environment).is_err());
        prop_assume!(!["BINDINGS_ENGINE", "CLOCK_FILE", "CRASH_AT", "NODE", "TOKEN_FILE"].contains(&rest.as_str()));
        let variable = format!("WAKU_GROUPCHAT_{rest}");
        let error = load(&[], &[(&variable, "1")], "").expect_err("variable");
        prop_assert!(error.place == Place::Environment && error.key == variable);
    }

    #[test]
    fn no_file_makes_it_panic(text in "\\PC{0,80}") {
        let _ = load(&[], &[], &text);
    }
}
