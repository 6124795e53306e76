//! Runs one go-waku node through `waku-bindings` and serves it over a local Unix socket.
//!
//! The program takes no arguments. Its standard input is one end of a connected Unix stream
//! socket (`socketpair`, or `socat UNIX-LISTEN:path EXEC:program` by hand); whoever holds the other
//! end owns the node. go-waku logs to standard output, the program to standard error.
//!
//! # Protocol
//!
//! Both ways, one JSON object a line of at most [`wire::MAX_LINE`] bytes.
//! `docs/spec/bindings-engine.md` lists every method, field and error code.
//!
//! - A request is `{"id":1,"method":"start","params":{…}}`; its answer is `{"id":1,"result":{…}}` or
//!   `{"id":1,"error":{"code":"…","message":"…"}}`.
//! - An event is `{"event":"message",…}`. One event costs one credit, and credit is given by the
//!   request `credit`; without credit go-waku waits, while answers still come.
//!
//! # How things flow
//!
//! ```text
//! socket → main thread → queue → worker thread ⇄ go-waku
//!                          │          └ dial threads (connect)
//! socket ← writer thread ← queue ← answers; events from go-waku's callback
//! ```
//!
//! Every queue is bounded and a full one makes its sender wait. The program ends when the other end
//! of the socket is closed, whatever go-waku is doing, and after `stop`.

mod events;
mod outgoing;
mod waku;
mod wire;
mod worker;

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use crate::events::Credit;
use crate::outgoing::Outgoing;
use crate::wire::{Failure, Request, RequestError};
use crate::worker::Worker;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waku-groupchat-bindings-engine: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Why the program could not go on.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    /// Standard input is not a connected socket.
    #[error("standard input must be a connected Unix stream socket: {0}")]
    NotASocket(#[source] io::Error),
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Socket(#[from] io::Error),
}

/// Serves the socket until the other end closes it. Returning ends the process and go-waku with it.
fn serve() -> Result<(), ServeError> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.peer_addr().map_err(ServeError::NotASocket)?;
    let outgoing = Outgoing::start(socket.try_clone()?);
    let credit = Credit::install(outgoing.clone());
    let worker = Worker::start(outgoing.clone());

    let mut lines = BufReader::new(socket);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = wire::MAX_LINE as u64 + 1;
        match lines.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if outgoing::is_closed(&error) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if line.len() > wire::MAX_LINE {
            // What follows cannot be told apart from the rest of this line.
            let reason = format!("a line is longer than {} bytes", wire::MAX_LINE);
            outgoing.answer_and_exit(None, Err(Failure::bad_request(reason)), 1);
        }
        match wire::parse(&line) {
            // Credit does not wait behind a slow request.
            Ok((id, Request::Credit(more))) => {
                outgoing.answer(Some(id), credit.add(more.events).map(|()| wire::empty()));
            }
            Ok((id, request)) => worker.queue(id, request),
            Err(RequestError { id, failure }) => outgoing.answer(id, Err(failure)),
        }
    }
}
