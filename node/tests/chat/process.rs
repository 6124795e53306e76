//! A node as a process: started, ended or killed, and known by what it writes.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use waku_groupchat_node::{clock, crash, faults};

/// The longest a node may take to start or to die.
const DEADLINE: Duration = Duration::from_secs(60);

/// Options of every node here; they stand in the environment, so that the command line wins.
const OPTIONS: [(&str, &str); 14] = [
    ("LISTEN_ADDRESS", "127.0.0.1"),
    ("TCP_PORT", "0"),
    ("REST_PORT", "0"),
    ("METRICS_SERVER_PORT", "0"),
    ("CLUSTER_ID", "16"),
    ("LOG_FORMAT", "JSON"),
    ("GROUP_CHAT_REGISTRATION_DELAY", "0s"),
    ("GROUP_CHAT_INVITATION_DELAY", "0s"),
    ("GROUP_CHAT_INSTALLATION_DELAY", "0s"),
    ("GROUP_CHAT_READ_DELAY", "200ms"),
    ("GROUP_CHAT_HISTORY_PAUSE", "500ms"),
    ("GROUP_CHAT_PUBLISH_RETRY", "1s"),
    ("GROUP_CHAT_GAP_GRACE", "1s"),
    ("GROUP_CHAT_GAP_RETRY", "1s"),
];

/// What the node says once all of it runs.
#[derive(Clone, Debug)]
struct Ready {
    rest: String,
    address: String,
    metrics: String,
}

/// All that a process has written, line by line.
pub(crate) type Written = Arc<Mutex<String>>;

/// A running node. Killed when dropped.
pub(crate) struct Node {
    child: Child,
    dir: PathBuf,
    lines: Receiver<Ready>,
    ready: Option<Ready>,
    written: Written,
    readers: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts a node on its folder; `death` names a crash point. Without one, waits until it
    /// serves.
    pub(crate) fn start(dir: &Path, options: &[String], death: Option<&str>) -> Self {
        Self::start_with(dir, options, death, &[])
    }

    /// Starts a node whose clock a test sets by a file with a number of seconds.
    pub(crate) fn start_by_clock(dir: &Path, options: &[String], clock: &Path) -> Self {
        Self::start_with(dir, options, None, &[(clock::VARIABLE, clock)])
    }

    /// Starts a node whose database fails at every so-many-th write, by a file with that number.
    pub(crate) fn start_failing(dir: &Path, options: &[String], every: &Path) -> Self {
        Self::start_with(dir, options, None, &[(faults::VARIABLE, every)])
    }

    /// Starts a node on a file system of its own of some megabytes, which is mounted at its folder
    /// where only the node sees it; its [`Node::dir`] leads there. `None` if nothing can be mounted.
    pub(crate) fn start_on_disk(dir: &Path, options: &[String], megabytes: u32) -> Option<Self> {
        const MOUNT: &str =
            r#"mount -t tmpfs -o size="$1",mode=700 wgc "$2" && shift 2 && exec "$@""#;
        let disk = || {
            let mut command = Command::new("unshare");
            command.arg("--mount");
            if !is_root() {
                command.arg("--map-root-user");
            }
            command.args(["sh", "-c", MOUNT, "sh", &format!("{megabytes}m")]).arg(dir);
            command
        };
        let works = disk().arg("true").status().is_ok_and(|status| status.success());
        if !works {
            return None;
        }
        let mut command = disk();
        command.arg(env!("CARGO_BIN_EXE_waku-groupchat"));
        let mut node = Self::start_command(command, dir, options, None, &[]);
        let root = format!("/proc/{}/root", node.child.id());
        node.dir = Path::new(&root).join(dir.strip_prefix("/").expect("a full path"));
        Some(node)
    }

    fn start_with(
        dir: &Path,
        options: &[String],
        death: Option<&str>,
        environment: &[(&str, &Path)],
    ) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_waku-groupchat"));
        Self::start_command(command, dir, options, death, environment)
    }

    fn start_command(
        mut command: Command,
        dir: &Path,
        options: &[String],
        death: Option<&str>,
        environment: &[(&str, &Path)],
    ) -> Self {
        command
            .arg("run")
            .arg(format!("--data-dir={}", dir.display()))
            .args(options)
            .envs(OPTIONS.map(|(name, value)| (format!("WAKU_GROUPCHAT_{name}"), value)))
            .env_remove(crash::VARIABLE)
            .envs(death.map(|death| (crash::VARIABLE, death)))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (ready, lines) = sync_channel(1);
        let written = Written::default();
        let readers = vec![
            watch(child.stdout.take().expect("piped"), ready.clone(), Arc::clone(&written)),
            watch(child.stderr.take().expect("piped"), ready, Arc::clone(&written)),
        ];
        let mut node = Self { child, dir: dir.to_owned(), lines, ready: None, written, readers };
        if death.is_none() {
            assert!(node.serves(), "the node serves");
        }
        node
    }

    /// Waits until it serves. `false` if it dies before.
    pub(crate) fn serves(&mut self) -> bool {
        if self.ready.is_none() {
            self.ready = match self.lines.recv_timeout(DEADLINE) {
                Ok(ready) => Some(ready),
                Err(RecvTimeoutError::Disconnected) => None,
                Err(RecvTimeoutError::Timeout) => panic!("the node neither serves nor dies"),
            };
        }
        self.ready.is_some()
    }

    /// Its data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Address of its HTTP API.
    pub(crate) fn rest(&self) -> &str {
        &self.ready().rest
    }

    /// An address other nodes can dial.
    pub(crate) fn address(&self) -> &str {
        &self.ready().address
    }

    /// Address of its metrics, if they are on.
    pub(crate) fn metrics(&self) -> &str {
        &self.ready().metrics
    }

    fn ready(&self) -> &Ready {
        self.ready.as_ref().expect("it serves")
    }

    /// Kills it where it stands.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("its own child");
        self.child.wait().expect("its own child");
    }

    /// Waits until it has died by itself.
    pub(crate) fn wait_for_death(&mut self) {
        let start = Instant::now();
        while self.child.try_wait().expect("its own child").is_none() {
            assert!(start.elapsed() < DEADLINE, "it dies");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end, waits until it has, and gives all that it wrote.
    pub(crate) fn end(mut self) -> String {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(asked.success());
        self.wait_for_death();
        self.written()
    }

    /// All that it wrote, once it is dead.
    pub(crate) fn written(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().expect("the reader does not panic");
        }
        lock(&self.written).clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self")
        .is_ok_and(|about| std::os::linux::fs::MetadataExt::st_uid(&about) == 0)
}

fn lock(written: &Written) -> std::sync::MutexGuard<'_, String> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a log to its end, so that the node never waits for us; reports the line that says it is
/// ready, shows warnings and errors, and keeps everything.
fn watch(
    log: impl Read + Send + 'static,
    ready: SyncSender<Ready>,
    written: Written,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut lines = BufReader::new(log).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            let line = String::from_utf8_lossy(&line);
            if line.contains("the node is ready") {
                // Only the first one is waited for.
                let _ = ready.try_send(Ready {
                    rest: field(&line, "rest"),
                    address: first(&field(&line, "addresses")),
                    metrics: field(&line, "metrics"),
                });
            } else if !["INFO", "DEBUG", "TRACE"].iter().any(|level| line.contains(level)) {
                println!("node: {line}");
            }
            let mut written = lock(&written);
            written.push_str(&line);
            written.push('\n');
        }
    })
}

/// A field of a line of the log, in either format; empty if it is not there.
fn field(line: &str, name: &str) -> String {
    let json: Value = serde_json::from_str(line).unwrap_or_default();
    if json.is_object() {
        return json["fields"][name].as_str().unwrap_or_default().to_owned();
    }
    let after = line.split_once(&format!(" {name}=")).map_or("", |(_, after)| after);
    after.split(' ').next().unwrap_or_default().trim_matches('"').to_owned()
}

fn first(list: &str) -> String {
    list.split(',').next().unwrap_or_default().to_owned()
}
