//! The load: messages that are offered over REST by clients that keep their connections.
//!
//! The nodes share the machine with whoever loads them, so a message costs little here: a client
//! makes its request once, and then changes a counter in the payload and the timestamp in place. It
//! sends the next request when it has the answer to the one before.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, ensure};

use super::process;
use crate::bench::stats::Times;

/// An answer that takes longer ends the run.
const ANSWER: Duration = Duration::from_secs(30);

/// Bytes of a head of an answer at most.
const HEAD: usize = 4096;

/// The content topic of all messages.
pub const CONTENT_TOPIC: &str = "/bench/1/load/proto";

/// What is offered.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections, each with one request under way at a time.
    pub clients: usize,
    /// Bytes of a payload, at least 24; they are random.
    pub payload: usize,
    /// For how long.
    pub duration: Duration,
    /// Messages at most.
    pub most: u64,
    /// Messages a second at most; without it, as fast as they are answered.
    pub rate: Option<u32>,
}

impl Load {
    /// How long after the beginning this message is due.
    fn due(&self, number: u64) -> Duration {
        let rate = f64::from(self.rate.unwrap_or(u32::MAX).max(1));
        Duration::from_secs_f64(number as f64 / rate)
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Offered {
    /// Requests that were answered.
    pub offered: u64,
    /// Requests that were answered with 200.
    pub accepted: u64,
    /// The others, by status.
    pub refused: BTreeMap<u16, u64>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// From a request to its answer.
    pub answers: Times,
    /// CPU time of this process meanwhile.
    pub cpu: Duration,
}

/// Offers messages on a pubsub topic to the node at this address.
pub fn offer(rest: SocketAddr, pubsub_topic: &str, load: Load) -> anyhow::Result<Offered> {
    let numbers = AtomicU64::new(0);
    let run: u64 = rand::random();
    let (begin, cpu) = (Instant::now(), process::cpu(std::process::id())?);
    let until = begin + load.duration;
    let clients = thread::scope(|scope| {
        let clients: Vec<_> = (0..load.clients)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<Counted> {
                    let mut client = Client::connect(rest, pubsub_topic, load.payload)?;
                    let mut counted = Counted::default();
                    while Instant::now() < until {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        let due = begin + load.due(number);
                        if number >= load.most || due >= until {
                            break;
                        }
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        counted.add(&mut client, run, number)?;
                    }
                    Ok(counted)
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().map_err(|_| anyhow!("a client panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let elapsed = begin.elapsed();
    let cpu = process::cpu(std::process::id())?.saturating_sub(cpu);
    let mut refused = BTreeMap::new();
    let mut answers = Vec::new();
    for client in clients {
        answers.extend(client.answers);
        for (status, count) in client.statuses {
            *refused.entry(status).or_insert(0) += count;
        }
    }
    let offered = answers.len() as u64;
    let accepted = refused.remove(&200).unwrap_or_default();
    Ok(Offered { offered, accepted, refused, elapsed, answers: Times::new(answers), cpu })
}

/// One client's answers.
#[derive(Default)]
struct Counted {
    statuses: BTreeMap<u16, u64>,
    answers: Vec<Duration>,
}

impl Counted {
    fn add(&mut self, client: &mut Client, run: u64, number: u64) -> anyhow::Result<()> {
        let begin = Instant::now();
        let status = client.send(run, number)?;
        self.answers.push(begin.elapsed());
        *self.statuses.entry(status).or_default() += 1;
        Ok(())
    }
}

/// A connection and its request.
struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    /// Where the counter stands in the request.
    counter: usize,
    /// Where the timestamp stands in the request.
    timestamp: usize,
    answer: Vec<u8>,
}

impl Client {
    fn connect(rest: SocketAddr, pubsub_topic: &str, payload: usize) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(rest).with_context(|| format!("REST at {rest}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let before = "{\"payload\":\"";
        let between =
            format!("\",\"contentTopic\":\"{CONTENT_TOPIC}\",\"version\":0,\"timestamp\":");
        let base64 = random_base64(payload);
        let body = format!("{before}{base64}{between}{:019}}}", 0);
        let head = format!(
            "POST /relay/v1/messages/{} HTTP/1.1\r\nHost: {rest}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            pubsub_topic.replace('/', "%2F"),
            body.len()
        );
        let counter = head.len() + before.len();
        let timestamp = counter + base64.len() + between.len();
        let request = (head + &body).into_bytes();
        Ok(Self { stream, request, counter, timestamp, answer: Vec::with_capacity(HEAD) })
    }

    /// Sends a message that no other one equals; gives the answer's status.
    fn send(&mut self, run: u64, number: u64) -> anyhow::Result<u16> {
        // Hexadecimal digits are digits of base64 too: these 32 stand for 24 bytes.
        write!(&mut self.request[self.counter..self.counter + 32], "{run:016x}{number:016x}")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        write!(&mut self.request[self.timestamp..self.timestamp + 19], "{now:019}")?;
        self.stream.write_all(&self.request)?;
        self.read_status()
    }

    /// Reads one answer with all of its body.
    fn read_status(&mut self) -> anyhow::Result<u16> {
        self.answer.clear();
        let mut chunk = [0; HEAD];
        let head = loop {
            let read = self.stream.read(&mut chunk)?;
            ensure!(read > 0, "the node closed the connection");
            self.answer.extend_from_slice(&chunk[..read]);
            if let Some(end) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(self.answer.len() <= HEAD, "an answer without an end of its head");
        };
        let text = std::str::from_utf8(&self.answer[..head])?;
        let (status, body) = parse_head(text).with_context(|| format!("not an answer: {text}"))?;
        let mut missing = (head + body).saturating_sub(self.answer.len());
        while missing > 0 {
            let most = missing.min(HEAD);
            self.stream.read_exact(&mut chunk[..most])?;
            missing -= most;
        }
        Ok(status)
    }
}

/// Status and length of the body.
fn parse_head(head: &str) -> Option<(u16, usize)> {
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    Some((status, length))
}

/// This many random bytes in base64 with padding.
fn random_base64(bytes: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |index: u8| char::from(DIGITS[usize::from(index % 64)]);
    let mut text: String = (0..bytes / 3 * 4).map(|_| digit(rand::random())).collect();
    // The last digit of what is left over holds only two or four bits of a byte.
    match bytes % 3 {
        1 => text.extend([digit(rand::random()), 'A', '=', '=']),
        2 => text.extend([digit(rand::random()), digit(rand::random()), 'A', '=']),
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_its_status_and_length() {
        let head = "HTTP/1.1 503 Service Unavailable\r\nContent-length: 12\r\n\r\n";
        assert_eq!(parse_head(head), Some((503, 12)));
        assert_eq!(parse_head("HTTP/1.1 200 OK\r\n\r\n"), None);
    }

    #[test]
    fn base64_has_the_length_of_its_bytes() {
        for (bytes, length) in [(24, 32), (1024, 1368), (25, 36), (26, 36)] {
            let text = random_base64(bytes);
            let padding = text.chars().filter(|digit| *digit == '=').count();
            assert_eq!((text.len(), text.len() / 4 * 3 - padding), (length, bytes));
        }
    }
}
