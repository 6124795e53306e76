//! Follows a node's events, over every loss of the connection, from the cursor where it stood.
//!
//! A thread reads the stream and hands its lines on through a bounded channel, so that a node that
//! falls silent without a word is noticed: it sends a comment every 15 seconds.

use std::io::{BufRead as _, BufReader, Read as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ureq::BodyReader;
use waku_groupchat_core::api::EventRecord;

use super::CliError;
use super::client::Client;
use super::sse::{Frame, Parser};
use crate::chat::api::types::{CloseReason, StreamClosed};

/// A connection on which nothing came for this long is given up: three of the node's comments.
const SILENCE: Duration = Duration::from_secs(45);
/// The first wait before another try; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait before another try.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Lines that wait for the command at most; then the node waits.
const LINES: usize = 256;
/// The longest line that is taken, in bytes: many times the largest event.
const MAX_LINE: u64 = 1 << 20;

/// What a follower sees next.
#[derive(Debug)]
pub(super) enum Step {
    /// Something happened.
    Event(EventRecord),
    /// The connection is lost; it is tried again, now and then less and less often.
    Lost(String),
    /// The connection is there again, from where it was lost.
    Back,
    /// Events from this cursor up to the other, exclusive, are gone.
    Missed(u64, u64),
    /// The time that was given is over.
    Deadline,
}

/// Follows the events of one node.
pub(super) struct Follower<'c> {
    client: &'c Client,
    /// The cursor of the last event that was seen.
    after: u64,
    lines: Option<Receiver<String>>,
    parser: Parser,
    wait: Duration,
}

impl<'c> Follower<'c> {
    /// Begins after a cursor, or with what happens from now on. The node must be there.
    pub(super) fn open(client: &'c Client, after: Option<u64>) -> Result<Self, CliError> {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let lines = spawn(client.stream(&format!("/events/stream{query}"), None)?);
        let parser = Parser::default();
        let mut follower = Self { client, after: 0, lines: Some(lines), parser, wait: FIRST_WAIT };
        match follower.frame(Some(Instant::now() + SILENCE)) {
            Ok(Frame { name, id: Some(after), .. }) if name == "ready" => follower.after = after,
            _ => return Err(client.not_the_api(200)),
        }
        Ok(follower)
    }

    /// The cursor after which it goes on.
    pub(super) fn after(&self) -> u64 {
        self.after
    }

    /// Waits for what comes next, at most until `deadline`.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Result<Step, CliError> {
        loop {
            if self.lines.is_none() {
                match self.connect(deadline)? {
                    Some(step) => return Ok(step),
                    None => continue,
                }
            }
            let frame = match self.frame(deadline) {
                Ok(frame) => frame,
                Err(NoFrame::Deadline) => return Ok(Step::Deadline),
                Err(NoFrame::Lost(reason)) => return Ok(self.lose(reason.to_owned())),
            };
            match frame.name.as_str() {
                "" => {
                    let event: EventRecord =
                        serde_json::from_str(&frame.data).map_err(CliError::Event)?;
                    self.after = event.cursor;
                    return Ok(Step::Event(event));
                }
                "closed" => {
                    let closed: StreamClosed =
                        serde_json::from_str(&frame.data).map_err(CliError::Event)?;
                    if matches!(closed.reason, CloseReason::Revoked | CloseReason::Expired) {
                        // Asking again tells it as it is.
                        self.lines = None;
                        continue;
                    }
                    return Ok(self.lose(closed.detail));
                }
                _ => {}
            }
        }
    }

    fn lose(&mut self, reason: String) -> Step {
        self.lines = None;
        Step::Lost(reason)
    }

    /// Waits a little, then tries to connect. `None` if it is still not there.
    fn connect(&mut self, deadline: Option<Instant>) -> Result<Option<Step>, CliError> {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Some(Step::Deadline));
        }
        thread::sleep(left.map_or(self.wait, |left| left.min(self.wait)));
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        match self.client.stream("/events/stream", Some(self.after)) {
            Ok(body) => {
                self.lines = Some(spawn(body));
                self.parser = Parser::default();
                self.wait = FIRST_WAIT;
                Ok(Some(Step::Back))
            }
            Err(CliError::Refused { oldest: Some(oldest), .. }) => {
                let first = self.after + 1;
                self.after = oldest.saturating_sub(1);
                Ok(Some(Step::Missed(first, oldest)))
            }
            Err(error) if error.may_pass() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next frame, or why there is none.
    fn frame(&mut self, deadline: Option<Instant>) -> Result<Frame, NoFrame> {
        let lines = self.lines.as_ref().ok_or(NoFrame::Lost("there is no connection"))?;
        loop {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match lines.recv_timeout(left.map_or(SILENCE, |left| left.min(SILENCE))) {
                // Also a comment is a line: the node is there.
                Ok(line) => {
                    if let Some(frame) = self.parser.line(&line) {
                        return Ok(frame);
                    }
                }
                Err(RecvTimeoutError::Timeout) if left.is_some_and(|left| left <= SILENCE) => {
                    return Err(NoFrame::Deadline);
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(NoFrame::Lost("nothing came for 45 seconds"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(NoFrame::Lost("the connection ended"));
                }
            }
        }
    }
}

/// Why there is no frame.
enum NoFrame {
    /// The time that was given is over.
    Deadline,
    /// The connection is of no more use.
    Lost(&'static str),
}

/// Asks until the node answers, as often as [`Follower`] tries to connect. `waits` is called before
/// each other try.
pub(super) fn patiently<T>(
    mut ask: impl FnMut() -> Result<T, CliError>,
    mut waits: impl FnMut() -> Result<(), CliError>,
) -> Result<T, CliError> {
    let mut wait = FIRST_WAIT;
    loop {
        match ask() {
            Err(error) if error.may_pass() => {
                waits()?;
                thread::sleep(wait);
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            other => return other,
        }
    }
}

/// Reads a stream on a thread of its own, which ends with the connection or with its reader.
fn spawn(body: BodyReader<'static>) -> Receiver<String> {
    let (to, lines) = sync_channel(LINES);
    thread::spawn(move || read(body, &to));
    lines
}

fn read(body: BodyReader<'static>, to: &SyncSender<String>) {
    let mut body = BufReader::new(body);
    loop {
        let mut line = String::new();
        match (&mut body).take(MAX_LINE).read_line(&mut line) {
            Ok(read) if read > 0 && line.ends_with('\n') => {}
            _ => return,
        }
        let line = line.trim_end_matches(['\n', '\r']).to_owned();
        if to.send(line).is_err() {
            return;
        }
    }
}
