//! The tasks of a client: one writes the socket, one reads it, one waits for the program.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};
use zeroize::Zeroizing;

use super::Pending;
use crate::bindings::wire::{Event, Line, MAX_LINE, Received};

/// How long the program may take to end once its socket is closed; it is killed after that.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes lines until there are no more senders, the socket fails, or it is told to stop.
pub(super) async fn write_lines(
    mut socket: OwnedWriteHalf,
    mut lines: mpsc::Receiver<Zeroizing<Vec<u8>>>,
    stop: CancellationToken,
) {
    let write = async {
        while let Some(line) = lines.recv().await {
            if let Err(error) = socket.write_all(&line).await {
                debug!(%error, "cannot write");
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = write => {}
    }
}

/// Reads until the socket ends, then lets every waiting request know.
pub(super) async fn read_lines(
    socket: OwnedReadHalf,
    pending: Pending,
    events: mpsc::Sender<Received>,
    stop: CancellationToken,
) {
    let mut socket = BufReader::new(socket);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let mut limited = (&mut socket).take(MAX_LINE as u64);
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            read = limited.read_until(b'\n', &mut bytes) => read,
        };
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                debug!(%error, "cannot read");
                break;
            }
        }
        match serde_json::from_slice(&bytes) {
            Ok(line) => take(line, &pending, &events),
            Err(error) => {
                error!(%error, "a line does not parse");
                break;
            }
        }
    }
    pending.lock().take();
    stop.cancel();
}

fn take(line: Line, pending: &Pending, events: &mpsc::Sender<Received>) {
    let answer = |id: u64, outcome| {
        let waiting = pending.lock().as_mut().and_then(|pending| pending.remove(&id));
        if let Some(waiting) = waiting {
            // The caller may have given up.
            let _ = waiting.send(outcome);
        }
    };
    match line {
        Line::Done { id, result } => answer(id, Ok(result)),
        Line::Failed { id: Some(id), error } => answer(id, Err(error)),
        Line::Failed { id: None, error } => error!(%error, "the program could not read a request"),
        Line::Event(Event::Message(received)) => {
            // There is a place for each credit, so a full queue is the program's bug; a closed one
            // means that nobody wants events.
            if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(received) {
                error!("an event came without credit and is lost");
            }
        }
    }
}

/// Waits for the program; once the socket is closed, not for ever.
pub(super) async fn watch(mut child: Child, stop: CancellationToken) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = stop.cancelled() => match tokio::time::timeout(EXIT_TIMEOUT, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                error!("the program did not end with its socket and is killed");
                return child.kill().await.unwrap_or_else(|error| debug!(%error, "cannot kill"));
            }
        },
    };
    // The reader sees the socket end, after all that was sent before.
    match status {
        Ok(status) if status.success() => debug!("the program has ended"),
        Ok(status) => error!(%status, "the program has failed"),
        Err(error) => error!(%error, "the program cannot be waited for"),
    }
}
