//! Ctrl-C and its kin: noticed once, obeyed everywhere.
//!
//! [`install`] is called by the binary at its start. From then on SIGINT, SIGTERM and SIGHUP set a flag; every running
//! [`Command`](crate::Command) sees it within a tenth of a second, ends its program, and returns. Long loops of our own
//! ask [`check`]. A second signal ends the process at once.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::ProcessError;

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

fn flag() -> &'static Arc<AtomicBool> {
    FLAG.get_or_init(|| Arc::new(AtomicBool::new(false)))
}

/// Starts to listen for signals.
///
/// # Errors
/// When the system refuses the handlers.
pub fn install() -> std::io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Registered in this order, the shutdown only acts when the flag was already set: on the second signal.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(flag()))?;
        signal_hook::flag::register(signal, Arc::clone(flag()))?;
    }
    Ok(())
}

/// Whether we were asked to stop.
pub fn requested() -> bool {
    flag().load(Ordering::Relaxed)
}

/// Asks everything that runs to stop, as Ctrl-C would.
pub fn request() {
    flag().store(true, Ordering::Relaxed);
}

/// For loops: an error once we were asked to stop.
///
/// # Errors
/// [`ProcessError::Interrupted`].
pub fn check() -> Result<(), ProcessError> {
    if requested() {
        Err(ProcessError::Interrupted)
    } else {
        Ok(())
    }
}
