//! Ctrl-C in commands that go on for long: whole lines, a last word, then the end.

use std::io::Write;
use std::process;
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::CliError;

/// Held while something is printed, so that it is printed whole.
static PRINTING: Mutex<()> = Mutex::new(());

/// How long a line may take at the end; whoever reads it may have stopped.
const LAST_LINE: Duration = Duration::from_secs(1);

/// Held while a line is printed.
pub(super) fn printing() -> MutexGuard<'static, ()> {
    PRINTING.lock()
}

/// From now on, SIGINT and SIGTERM end the process with `code`, between two lines, after
/// `last_word`.
pub(super) fn ends_with(
    code: i32,
    last_word: impl FnOnce() + Send + 'static,
) -> Result<(), CliError> {
    let runtime = Builder::new_current_thread().enable_io().build().map_err(CliError::Signals)?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Signals)?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        let _whole = PRINTING.try_lock_for(LAST_LINE);
        last_word();
        let _ = std::io::stderr().flush();
        process::exit(code);
    });
    Ok(())
}
