//! One node as a process of its own. Ended by its id, and only by who started it.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::Context;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::program::{Program, Running};

/// Lines of the log that are shown when a node fails.
const LAST_LINES: usize = 12;

/// Where a node that ends without being told to is reported, with its last words.
pub type Alarm = watch::Sender<Option<String>>;

/// A running node. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    orders: oneshot::Sender<Order>,
    keeper: JoinHandle<()>,
}

#[derive(Debug)]
enum Order {
    /// Ask it to shut down; kill it where it does not.
    Stop,
    /// Kill it, without a chance to tidy up.
    Kill,
}

impl Process {
    /// Starts a node that has its configuration, and all else, in `folder`; what it prints goes to
    /// the end of `log`.
    pub fn start(
        name: &str,
        program: &Program,
        folder: &Path,
        config: &Path,
        log: &Path,
        alarm: Alarm,
    ) -> anyhow::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        let running = program
            .start(folder, config, output)
            .with_context(|| format!("cannot start node {name} ({program:?})"))?;
        let (orders, inbox) = oneshot::channel();
        let (name, log) = (name.to_owned(), log.to_owned());
        let keeper = tokio::spawn(keep(running, inbox, name, log, alarm));
        Ok(Self { orders, keeper })
    }

    /// Asks it to shut down, and waits; kills it where it does not.
    pub async fn stop(self) {
        self.order(Order::Stop).await;
    }

    /// Kills it, without a chance to tidy up.
    pub async fn kill(self) {
        self.order(Order::Kill).await;
    }

    async fn order(self, order: Order) {
        // Fails if it has ended by itself; then there is nothing left to wait for either.
        let _ = self.orders.send(order);
        let _ = self.keeper.await;
    }
}

/// Waits for the end of a node, or brings it about.
async fn keep(
    mut running: Running,
    orders: oneshot::Receiver<Order>,
    name: String,
    log: PathBuf,
    alarm: Alarm,
) {
    tokio::select! {
        status = running.child.wait() => {
            let words = last_words(&name, status.ok(), &log);
            alarm.send_replace(Some(words));
        }
        order = orders => match order {
            Ok(Order::Stop) => running.stop().await,
            // Without an order the owner is gone.
            Ok(Order::Kill) | Err(_) => running.kill().await,
        }
    }
}

fn last_words(name: &str, status: Option<ExitStatus>, log: &Path) -> String {
    let status = status.map_or_else(String::new, |status| format!(" ({status})"));
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    format!("node {name} ended by itself{status}; the end of its log:\n{last}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    /// A program that stands for a node: a shell script, which is called with `run`.
    fn start(folder: &Path, script: &str, alarm: &Alarm) -> Process {
        use std::os::unix::fs::PermissionsExt;
        let binary = folder.join("node");
        std::fs::write(&binary, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).expect("executable");
        let log = folder.join("log");
        let (program, config) = (Program::Binary(binary), Path::new("c.toml"));
        Process::start("x", &program, folder, config, &log, alarm.clone()).expect("started")
    }

    #[tokio::test]
    async fn one_that_ends_by_itself_raises_the_alarm_with_its_last_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let (alarm, mut raised) = watch::channel(None);
        let process = start(folder.path(), "echo \"farewell $2\"; exit 3", &alarm);
        let raised = timeout(DEADLINE, raised.wait_for(Option::is_some)).await.expect("in time");
        let words = raised.expect("the alarm lives").clone().expect("raised");
        assert!(words.contains("node x ended by itself (exit status: 3)"), "{words}");
        assert!(words.ends_with("farewell --config-file=c.toml"), "{words}");
        timeout(DEADLINE, process.stop()).await.expect("nothing to wait for");
    }

    #[tokio::test]
    async fn one_that_is_told_to_end_raises_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let (alarm, raised) = watch::channel(None);
        let gone = folder.path().join("gone");
        let script = format!(
            "trap 'touch {0}; exit 0' TERM; touch {0}.up; while :; do sleep 0.01; done",
            gone.display()
        );
        let process = start(folder.path(), &script, &alarm);
        let up = gone.with_extension("up");
        super::super::wait::until("it is up", DEADLINE, async || Ok(up.exists().then_some(())))
            .await
            .expect("up");
        timeout(DEADLINE, process.stop()).await.expect("stopped");
        assert!(gone.exists(), "it was asked, not killed");
        assert_eq!(*raised.borrow(), None);
    }

    #[tokio::test]
    async fn one_that_is_killed_raises_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let (alarm, raised) = watch::channel(None);
        let process = start(folder.path(), "exec sleep 1000", &alarm);
        timeout(DEADLINE, process.kill()).await.expect("killed");
        assert_eq!(*raised.borrow(), None);
    }
}
