//! `health`: asks a node whether it is ready, for the health checks of containers and supervisors.
//!
//! Where to ask is found as the node itself finds it: from the environment and the file that it
//! names, and with `--process` also from the arguments of the node that runs.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use ureq::Agent;

use crate::options::{OptionError, Options};

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Which node to ask for its health.
#[derive(Clone, Debug, Args)]
pub struct HealthArgs {
    /// Address of the node's HTTP API, where its options do not tell it
    #[arg(long, env = "WAKU_GROUPCHAT_NODE", value_name = "URL")]
    node: Option<String>,
    /// A running node, whose arguments tell the address together with this environment
    #[arg(long, value_name = "PID")]
    process: Option<u32>,
    /// Print the node's JSON
    #[arg(long)]
    json: bool,
}

/// Why there is nothing to say about a node's health.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("cannot read the arguments of process {pid}: {source}")]
    Process { pid: u32, source: io::Error },
    #[error("process {pid} is not `waku-groupchat run`: name the node's address with --node")]
    NotANode { pid: u32 },
    #[error(transparent)]
    Options(#[from] OptionError),
    #[error("the node's rest-port is any free one: name its address with --node")]
    AnyPort,
    #[error("no node answers at {node}: {source}")]
    Unreachable { node: String, source: Box<ureq::Error> },
    #[error("{node} answers {status}, and not as a node does")]
    NotANodesAnswer { node: String, status: u16 },
}

/// What a node says about itself.
struct Health {
    ready: bool,
    json: Value,
}

/// Prints the node's health. The exit code is 0 if it is ready, and if it serves no HTTP, which
/// leaves nothing to ask; else 1.
pub fn main(args: &HealthArgs) -> ExitCode {
    let health = match ask(args) {
        Ok(health) => health,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = writeln!(io::stderr().lock(), "error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let text = match &health {
        None => "rest is off: nothing to ask\n".to_owned(),
        Some(health) if args.json => format!("{:#}\n", health.json),
        Some(health) => text(&health.json),
    };
    // The exit code says it as well.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    if health.is_none_or(|health| health.ready) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `None` where the node serves no HTTP.
fn ask(args: &HealthArgs) -> Result<Option<Health>, HealthError> {
    let node = match (&args.node, args.process) {
        (Some(node), _) => Some(node.trim_end_matches('/').to_owned()),
        (None, Some(pid)) => address(&Options::load(arguments(pid)?, std::env::vars_os())?)?,
        (None, None) => address(&Options::load([], std::env::vars_os())?)?,
    };
    node.map(get).transpose()
}

/// The arguments of a running node, those after `run`.
fn arguments(pid: u32) -> Result<Vec<OsString>, HealthError> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline"))
        .map_err(|source| HealthError::Process { pid, source })?;
    after_run(&line).ok_or(HealthError::NotANode { pid })
}

/// Finds `run` in a command line, each part of which ends with a zero byte. The node may be behind
/// a program that starts it, as `docker run --init` has it.
fn after_run(line: &[u8]) -> Option<Vec<OsString>> {
    let line = line.strip_suffix(&[0]).unwrap_or(line);
    let mut parts = line.split(|byte| *byte == 0);
    parts.by_ref().skip(1).find(|part| *part == b"run")?;
    Some(parts.map(|part| OsString::from_vec(part.to_vec())).collect())
}

/// Where a node with these options serves HTTP, as seen from its own machine.
fn address(options: &Options) -> Result<Option<String>, HealthError> {
    let rest = &options.rest;
    if !rest.enabled {
        return Ok(None);
    }
    if rest.port == 0 {
        return Err(HealthError::AnyPort);
    }
    let ip = match rest.address {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(Some(format!("http://{}", SocketAddr::new(ip, rest.port))))
}

fn get(node: String) -> Result<Health, HealthError> {
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .build()
        .new_agent();
    let unreachable =
        |source| HealthError::Unreachable { node: node.clone(), source: Box::new(source) };
    let mut answer = agent.get(format!("{node}/health")).call().map_err(unreachable)?;
    let status = answer.status().as_u16();
    let bytes =
        answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(unreachable)?;
    let json: Option<Value> = serde_json::from_slice(&bytes).ok();
    match json {
        Some(json) if json["nodeHealth"].is_string() => Ok(Health { ready: status == 200, json }),
        _ => Err(HealthError::NotANodesAnswer { node, status }),
    }
}

/// One line for the node and one for each protocol: `Relay: NOT_READY (No connected peers)`.
fn text(json: &Value) -> String {
    let mut text = format!("Node: {}\n", json["nodeHealth"].as_str().unwrap_or_default());
    for protocol in json["protocolsHealth"].as_array().into_iter().flatten() {
        let entries = || protocol.as_object().into_iter().flatten();
        let why = protocol["desc"].as_str().map_or_else(String::new, |why| format!(" ({why})"));
        for (name, health) in entries().filter(|(name, _)| *name != "desc") {
            text.push_str(&format!("{name}: {}{why}\n", health.as_str().unwrap_or_default()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use serde_json::json;

    use super::*;

    fn options(arguments: &[&str]) -> Options {
        Options::load(arguments.iter().map(OsString::from), []).expect("good options")
    }

    #[test]
    fn the_arguments_stand_after_run() {
        let of = |line: &str| after_run(line.replace(' ', "\0").as_bytes());
        assert_eq!(of("waku-groupchat run "), Some(vec![]));
        assert_eq!(
            of("/sbin/docker-init -- waku-groupchat run --rest-port=1 --staticnode run "),
            Some(["--rest-port=1", "--staticnode", "run"].map(OsString::from).to_vec())
        );
        assert_eq!(of("waku-groupchat send "), None);
        assert_eq!(of("run "), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn the_options_tell_the_address() {
        let of = |arguments: &[&str]| address(&options(arguments)).ok().flatten();
        assert_eq!(of(&[]).as_deref(), Some("http://127.0.0.1:8645"));
        let all = ["--rest-address=0.0.0.0", "--rest-port=1000", "--ports-shift=5"];
        assert_eq!(of(&all).as_deref(), Some("http://127.0.0.1:1005"));
        assert_eq!(of(&["--rest-address=::"]).as_deref(), Some("http://[::1]:8645"));
        assert_eq!(of(&["--rest-address=10.0.0.7"]).as_deref(), Some("http://10.0.0.7:8645"));
        assert!(matches!(address(&options(&["--rest=false"])), Ok(None)));
        assert!(matches!(address(&options(&["--rest-port=0"])), Err(HealthError::AnyPort)));
    }

    #[test]
    fn a_process_that_is_no_node_is_named() {
        let error = arguments(std::process::id()).expect_err("a test");
        assert!(error.to_string().contains("is not `waku-groupchat run`"), "{error}");
    }

    /// A server that answers one request with this.
    fn answer(status: &'static str, body: String) -> (String, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let node = format!("http://{}", listener.local_addr().expect("bound"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.push(byte[0]);
            }
            assert!(request.starts_with(b"GET /health HTTP/1.1\r\n"));
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
                .expect("answered");
        });
        (node, server)
    }

    #[test]
    fn the_status_tells_whether_it_is_ready() {
        let body = json!({
            "nodeHealth": "NOT_READY",
            "protocolsHealth": [
                { "Relay": "NOT_READY", "desc": "No connected peers" },
                { "Store": "READY" },
            ],
        });
        for (status, ready) in [("200 OK", true), ("503 Service Unavailable", false)] {
            let (node, server) = answer(status, body.to_string());
            let health = get(node).expect("an answer");
            server.join().expect("served");
            assert_eq!(health.ready, ready);
            let lines = "Node: NOT_READY\nRelay: NOT_READY (No connected peers)\nStore: READY\n";
            assert_eq!(text(&health.json), lines);
        }
    }

    #[test]
    fn others_than_nodes_are_no_nodes() {
        let (node, server) = answer("200 OK", "hello".to_owned());
        let error = get(node.clone()).err().expect("no node");
        server.join().expect("served");
        assert_eq!(error.to_string(), format!("{node} answers 200, and not as a node does"));
    }

    #[test]
    fn a_node_that_is_not_there_is_named() {
        let error = get("http://127.0.0.1:1".to_owned()).err().expect("nobody");
        let words = "no node answers at http://127.0.0.1:1: ";
        assert!(error.to_string().starts_with(words), "{error}");
    }
}
