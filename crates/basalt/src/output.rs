//! Writers of standard output and standard error: nothing else of the command writes to either.
//!
//! A pipe whose reader has gone (`basalt ... | head`) ends the command as SIGPIPE ends others: the first write that
//! fails with EPIPE requests an interruption, which stops what runs and removes what a started cluster left, and `main`
//! ends silently with [`CLOSED_PIPE`]. A print macro of the standard library would panic instead.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use basalt_process::interrupt;

/// Exit code after a write to a closed pipe: 128 and the number of SIGPIPE, as shells report it.
pub const CLOSED_PIPE: u8 = 128 + 13;

/// `true` once a write met a closed pipe.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// `true` if standard output could not be written for another reason, for example to a full disk.
static LOST: AtomicBool = AtomicBool::new(false);

/// Returns `true` if the reader of standard output or standard error has gone.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

/// Returns `true` if all of standard output was written, or nobody reads it any more.
pub fn is_complete() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Writes text and a line break to standard output.
pub fn print(text: impl Display) {
    // The failure is recorded, for `main`.
    let _ = Stdout.write_all(format!("{text}\n").as_bytes());
}

/// Writes text and a line break to standard error. A failure has no place to be reported.
pub fn print_error(text: impl Display) {
    let _ = Stderr.write_all(format!("{text}\n").as_bytes());
}

/// Standard output. Failed writes are recorded, and returned.
#[derive(Debug, Clone, Copy)]
pub struct Stdout;

/// Standard error. Writes never fail: who logs or draws progress goes on without it.
#[derive(Debug, Clone, Copy)]
pub struct Stderr;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).inspect_err(record_lost)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().inspect_err(record_lost)
    }
}

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = io::stderr().write_all(bytes) {
            record_closed(&error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records the failed write of a result.
fn record_lost(error: &io::Error) {
    let is_temporary = error.kind() == io::ErrorKind::Interrupted;
    if !record_closed(error) && !is_temporary && !LOST.swap(true, Ordering::Relaxed) {
        tracing::error!("cannot write to standard output: {error}");
    }
}

/// Records a write to a closed pipe, and requests the end of the command; returns `false` for other errors.
fn record_closed(error: &io::Error) -> bool {
    let closed = error.kind() == io::ErrorKind::BrokenPipe;
    if closed {
        CLOSED.store(true, Ordering::Relaxed);
        interrupt::request();
    }
    closed
}
