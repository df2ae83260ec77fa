//! Interruption by SIGINT (Ctrl-C), SIGTERM and SIGHUP.
//!
//! [`install`] is called by the binary at its start. From then on SIGINT, SIGTERM and SIGHUP set a flag; every running
//! [`Command`](crate::Command) sees it within a tenth of a second, ends its program within another second and a half, and
//! returns. Long loops of our own ask [`check`], waits use [`wait`](crate::wait). A second signal ends the process at once.
//! A signal that was ignored when the process started, as `nohup` does with SIGHUP and shells with SIGINT of what runs in
//! the background, stays ignored.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook::SigId;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::unregister;

use crate::{ProcessError, cancellation};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
/// Actions of SIGINT; empty when it is not listened to.
static INT_ACTIONS: Mutex<Vec<SigId>> = Mutex::new(Vec::new());

fn flag() -> &'static Arc<AtomicBool> {
    FLAG.get_or_init(|| Arc::new(AtomicBool::new(false)))
}

/// Starts to listen for signals, except for those that are ignored.
///
/// # Errors
/// When the system refuses the handlers.
pub fn install() -> std::io::Result<()> {
    // Without /proc nothing is known to be ignored.
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = ignored_signals(&status);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if ignored & (1 << (signal - 1)) != 0 {
            continue;
        }
        let actions = listen(signal)?;
        if signal == SIGINT {
            *INT_ACTIONS.lock().unwrap_or_else(PoisonError::into_inner) = actions.to_vec();
        }
    }
    Ok(())
}

fn listen(signal: i32) -> std::io::Result<[SigId; 2]> {
    // Registered in this order, the shutdown only acts when the flag was already set: on the second signal.
    let shutdown = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(flag()))?;
    let request = signal_hook::flag::register(signal, Arc::clone(flag()))?;
    Ok([shutdown, request])
}

/// Mask of the ignored signals in the text of `/proc/self/status`: bit 0 is signal 1.
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

/// SIGINT left to a program that has the terminal: Ctrl-C is for that program, and does nothing here. Dropping listens
/// again.
pub(crate) struct SigintToChild(bool);

impl SigintToChild {
    pub(crate) fn begin() -> Self {
        let mut actions = INT_ACTIONS.lock().unwrap_or_else(PoisonError::into_inner);
        let listened = !actions.is_empty();
        for action in actions.drain(..) {
            unregister(action);
        }
        Self(listened)
    }
}

impl Drop for SigintToChild {
    fn drop(&mut self) {
        if self.0
            && let Ok(again) = listen(SIGINT)
        {
            *INT_ACTIONS.lock().unwrap_or_else(PoisonError::into_inner) = again.to_vec();
        }
    }
}

/// True once we were asked to stop: all of us or, in the scope of a [`Cancellation`](crate::Cancellation), this thread.
pub fn requested() -> bool {
    flag().load(Ordering::Relaxed) || cancellation::requested()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        for (status, mask) in [
            (
                "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0\n",
                0x1003,
            ),
            ("Name:\tx\n", 0),
            ("SigIgn:\tnonsense\n", 0),
            ("", 0),
        ] {
            assert_eq!(ignored_signals(status), mask, "{status}");
        }
    }
}
