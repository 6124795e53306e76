//! The binary's `run`: what stops the start, what it leaves on disk, and how it ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"));
    // The environment of whoever runs the tests must not change what is tested.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("WAKU_GROUPCHAT_")) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code, standard output and standard error of a run that ends by itself.
fn ends(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn bad_options_stop_the_start_with_one_line_and_code_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("node.toml");
    fs::write(&file, "cluster-id = 16\ndiscv5-discovery = true\n").expect("written");
    let data = folder.path().join("data");
    let data_dir = format!("--data-dir={}", data.display());
    let in_file = format!("--config-file={}", file.display());
    let not_yet = "this option of nwaku is not carried out yet";
    for (arguments, line) in [
        (&["--tcp-prt=1"][..], "command line: tcp-prt: there is no such option\n".to_owned()),
        (
            &["--tcp-port=x"],
            "command line: tcp-port: must be a whole number from 0 to 65535, got `x`\n".to_owned(),
        ),
        (&[&in_file], format!("{}:2: discv5-discovery: {not_yet}\n", file.display())),
    ] {
        let end = ends(binary().arg("run").arg(&data_dir).args(arguments));
        assert_eq!(end, (Some(2), String::new(), line));
    }
    let end = ends(binary().args(["run", &data_dir]).env("WAKU_GROUPCHAT_NAT", "any"));
    assert_eq!(end.2, format!("environment: WAKU_GROUPCHAT_NAT: {not_yet}\n"));
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn help_and_sample_come_from_the_table() {
    let (code, help, _) = ends(binary().args(["run", "--help"]));
    assert_eq!((code, help.contains("--store-message-retention-policy")), (Some(0), true));
    let (code, sample, _) = ends(binary().args(["run", "--sample"]));
    assert_eq!((code, sample.contains("[group-chat]\n")), (Some(0), true));
    let (code, help, _) = ends(binary().arg("--help"));
    assert_eq!((code, help.contains("run")), (Some(0), true));
}

/// A node that runs until it is told to end.
struct Running {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let mut child = node(folder).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut running = Self { child, output };
        while running.next_message() != "the node is ready" {}
        running
    }

    /// The text of the next line of its log.
    fn next_message(&mut self) -> String {
        let mut line = String::new();
        let length = self.output.read_line(&mut line).expect("text");
        assert!(length > 0, "it ended before it was ready");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        line["fields"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Sends a signal, waits for the end, and gives the exit code.
    fn end(mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("text");
        assert!(rest.contains("the node has shut down"), "{rest}");
        self.child.wait().expect("own child").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless an assertion failed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn node(folder: &Path) -> Command {
    let mut command = binary();
    command.arg("run").arg(format!("--data-dir={}", folder.display())).args([
        "--listen-address=127.0.0.1",
        "--tcp-port=0",
        "--rest-port=0",
        "--log-format=JSON",
    ]);
    command
}

#[test]
fn what_it_keeps_is_for_its_owner_and_both_signals_end_it() {
    let above = tempfile::tempdir().expect("a folder");
    let folder = above.path().join("data");
    let mode = |name: &str| {
        let about = fs::metadata(folder.join(name)).unwrap_or_else(|_| panic!("no {name}"));
        about.permissions().mode() & 0o777
    };
    let running = Running::start(&folder);
    let (code, _, error) = ends(&mut node(&folder));
    assert_eq!(code, Some(1));
    assert!(error.starts_with("error: ") && error.contains("in use by another node"), "{error}");
    assert_eq!(running.end("-TERM"), Some(0));
    for (name, wanted) in [
        ("", 0o700),
        ("keys", 0o700),
        ("keys/nodekey", 0o600),
        ("archive", 0o700),
        ("chat", 0o700),
        ("api-token", 0o600),
    ] {
        assert_eq!(mode(name), wanted, "{name}");
    }
    assert_eq!(Running::start(&folder).end("-INT"), Some(0));
}
