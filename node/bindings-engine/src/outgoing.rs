//! Lines on their way out: a bounded queue and the thread that writes it to the socket.

use std::io::{self, BufWriter, Write};
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use serde_json::Value;

use crate::wire::{self, Failure};

/// Lines that may wait for the socket. Answers are as few as requests are, events as many as there
/// is credit, so a full queue only means that the other end reads slowly.
const QUEUE: usize = 64;

/// The way out. A full queue makes the sender wait.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing(SyncSender<Line>);

#[derive(Debug)]
enum Line {
    More(Vec<u8>),
    /// Ends the process with this exit code once it is written.
    Last(Vec<u8>, i32),
}

impl Outgoing {
    /// Starts the thread that writes to the socket.
    pub(crate) fn start(socket: UnixStream) -> Self {
        let (sender, lines) = sync_channel(QUEUE);
        thread::spawn(move || write(&lines, socket));
        Self(sender)
    }

    /// Sends an answer.
    pub(crate) fn answer(&self, id: Option<u64>, outcome: Result<Value, Failure>) {
        self.send(Line::More(wire::answer(id, outcome)));
    }

    /// Sends an answer and ends the program with this exit code once it is written.
    pub(crate) fn answer_and_exit(
        &self,
        id: Option<u64>,
        outcome: Result<Value, Failure>,
        code: i32,
    ) -> ! {
        self.send(Line::Last(wire::answer(id, outcome), code));
        loop {
            thread::park();
        }
    }

    /// Sends an event's line.
    pub(crate) fn event(&self, line: Vec<u8>) {
        self.send(Line::More(line));
    }

    fn send(&self, line: Line) {
        // The writer ends the process before it drops its side.
        let _ = self.0.send(line);
    }
}

/// Whether the other end has closed the socket, with or without reading all that was sent.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Writes until the socket fails or the last line is out, then ends the process: without a reader
/// there is nothing left to do, and go-waku's threads would keep it alive.
fn write(lines: &Receiver<Line>, socket: UnixStream) {
    let mut socket = BufWriter::new(socket);
    let code = match copy(lines, &mut socket) {
        Ok(code) => code,
        Err(error) if is_closed(&error) => 0,
        Err(error) => {
            eprintln!("waku-groupchat-bindings-engine: the socket failed: {error}");
            1
        }
    };
    process::exit(code)
}

/// Copies the queue, flushing whenever it is empty, and gives the exit code.
fn copy(lines: &Receiver<Line>, socket: &mut impl Write) -> io::Result<i32> {
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => return socket.flush().map(|()| 0),
            Err(TryRecvError::Empty) => {
                socket.flush()?;
                match lines.recv() {
                    Ok(line) => line,
                    Err(_) => return Ok(0),
                }
            }
        };
        match line {
            Line::More(bytes) => socket.write_all(&bytes)?,
            Line::Last(bytes, code) => {
                socket.write_all(&bytes)?;
                return socket.flush().map(|()| code);
            }
        }
    }
}
