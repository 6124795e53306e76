//! What the nodes run as: processes of a binary, or containers of an image.
//!
//! A container is on the network of this machine and has its node's folder where the machine has
//! it, so that links, configuration and log are the same for both. It stands behind a process as
//! well: docker's client, which carries the log, passes SIGTERM on and ends with the container's
//! exit code. Only a kill has to go to the container itself, by a name that no other one has.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, getgid, getuid, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long a node may take to shut down before it is killed.
const SHUTDOWN: Duration = Duration::from_secs(10);
/// How long the docker engine may take to kill a container.
const ENGINE: Duration = Duration::from_secs(10);

/// What the nodes run as.
#[derive(Clone, Debug)]
pub enum Program {
    /// Processes of this binary.
    Binary(PathBuf),
    /// Containers of this image, in the docker engine of this machine.
    Image(String),
}

impl Program {
    /// Starts a node that has its configuration, and all else, in `folder`; what it prints goes to
    /// `log`.
    pub(super) fn start(&self, folder: &Path, config: &Path, log: File) -> io::Result<Running> {
        let name = format!("conversation-{:016x}", rand::random::<u64>());
        let child = self
            .command(&name, folder, config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C is for the runner, which then ends its nodes in order.
            .process_group(0)
            .spawn()?;
        Ok(Running { child, container: matches!(self, Self::Image(_)).then_some(name) })
    }

    /// What starts a node. `name` is for the container, if it is one.
    fn command(&self, name: &str, folder: &Path, config: &Path) -> Command {
        // A runner that is killed takes its nodes with it. The signal is bound to the thread that
        // starts them, so that has to be one that stays: the main one.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]);
        match self {
            Self::Binary(binary) => {
                // Options in the environment would win over the file.
                command.env_clear().arg(binary).arg("run").kill_on_drop(true);
            }
            Self::Image(image) => {
                let folder = folder.display();
                command
                    .args(["docker", "run", "--rm", "--name", name, "--network=host"])
                    .args(["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"])
                    // Whose the folder is.
                    .arg(format!("--user={}:{}", getuid().as_raw(), getgid().as_raw()))
                    .arg(format!("--volume={folder}:{folder}"))
                    .arg(image)
                    // The image's environment has another, which would win over the file.
                    .arg(format!("--data-dir={folder}/data"));
            }
        }
        command.arg(format!("--config-file={}", config.display()));
        command
    }
}

/// A node's process, and the name of the container behind it, if there is one.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    container: Option<String>,
}

impl Running {
    /// Asks it to shut down, and waits; kills it where it does not.
    pub(super) async fn stop(mut self) {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || timeout(SHUTDOWN, self.child.wait()).await.is_err() {
            self.kill().await;
        }
    }

    /// Kills it, without a chance to tidy up.
    pub(super) async fn kill(mut self) {
        if let Some(container) = &self.container {
            let killed = Command::new("docker").args(["kill", container]).output();
            if matches!(timeout(ENGINE, killed).await, Ok(Ok(out)) if out.status.success()) {
                // Its client then ends by itself, with the last of the log.
                let _ = timeout(ENGINE, self.child.wait()).await;
            }
        }
        // Fails only where it has ended already.
        let _ = self.child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(program: &Program) -> String {
        let command = program.command("x1", Path::new("/r/a"), Path::new("/r/a/node.toml"));
        let words = command.as_std().get_args().map(|word| word.to_str().expect("text"));
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_binary_is_called_with_run() {
        assert!(
            line(&Program::Binary("/b/node".into()))
                .ends_with(" -- /b/node run --config-file=/r/a/node.toml")
        );
    }

    #[test]
    fn a_container_has_the_folder_where_the_machine_has_it() {
        let line = line(&Program::Image("node:1".to_owned()));
        let user = format!("--user={}:{}", getuid().as_raw(), getgid().as_raw());
        for part in [
            " -- docker run --rm --name x1 --network=host ",
            " --volume=/r/a:/r/a node:1 --data-dir=/r/a/data ",
            &user,
        ] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(line.ends_with(" --config-file=/r/a/node.toml"), "{line}");
    }
}
