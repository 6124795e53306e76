//! Tests that run as processes of their own, to be killed or to hold a lock.

use std::env;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Names the database directory to a test that runs as a process of its own.
const DIRECTORY: &str = "WAKU_GROUPCHAT_TEST_DIRECTORY";

/// The directory, if this test runs as a process that another test started.
pub(crate) fn own_directory() -> Option<PathBuf> {
    env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Tells the test that started this process how far it is.
pub(crate) fn report(n: u64) {
    println!("\nreached {n}");
}

/// One test of this program, run as a process of its own.
pub(crate) struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: Option<ChildStdin>,
}

impl Process {
    pub(crate) fn start(test: &str, directory: &Path) -> Self {
        let program = env::current_exe().expect("a path");
        let mut child = Command::new(program)
            .args([test, "--exact", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let stdin = child.stdin.take();
        Self { child, lines, stdin }
    }

    /// Waits for its next report; none when it has ended.
    pub(crate) fn next_report(&mut self) -> Option<u64> {
        self.lines
            .by_ref()
            .map(|line| line.expect("text"))
            .find_map(|line| line.strip_prefix("reached ")?.parse().ok())
    }

    /// Kills it (SIGKILL); gives the last thing it reported before.
    pub(crate) fn kill(mut self) -> Option<u64> {
        self.child.kill().expect("it runs");
        let mut last = None;
        while let Some(report) = self.next_report() {
            last = Some(report);
        }
        self.child.wait().expect("it ended");
        last
    }

    /// Lets it end by itself, by closing its input.
    pub(crate) fn finish(mut self) {
        drop(self.stdin.take());
        assert!(self.child.wait().expect("it ended").success());
    }
}
