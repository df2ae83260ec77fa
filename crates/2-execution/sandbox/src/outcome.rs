//! The outcome of a sandbox on its way from process 1 to the first stage.

use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::report::Termination;

/// The one message that process 1 sends, as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) ending: Termination,
    /// In bytes.
    pub(crate) peak_memory: u64,
    pub(crate) peak_processes: u64,
}

/// The sending end, shared by the thread that waits for the program and the one that measures. The first ending counts.
pub(crate) struct Sender {
    socket: Mutex<Option<OwnedFd>>,
    peak_memory: AtomicU64,
    peak_processes: AtomicU64,
}

impl Sender {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            socket: Mutex::new(Some(socket)),
            peak_memory: AtomicU64::new(0),
            peak_processes: AtomicU64::new(0),
        }
    }

    /// Remembers the largest values.
    pub(crate) fn measured(&self, memory: u64, processes: u64) {
        self.peak_memory.fetch_max(memory, Ordering::Relaxed);
        self.peak_processes.fetch_max(processes, Ordering::Relaxed);
    }

    /// Sends the ending, unless one was sent. A second sender waits for ever: the first is about to end the process.
    pub(crate) fn send(&self, ending: Termination) {
        let socket = match self.socket.lock() {
            Ok(mut socket) => socket.take(),
            Err(poisoned) => poisoned.into_inner().take(),
        };
        let Some(socket) = socket else {
            loop {
                std::thread::park();
            }
        };
        let outcome = Outcome {
            ending,
            peak_memory: self.peak_memory.load(Ordering::Relaxed),
            peak_processes: self.peak_processes.load(Ordering::Relaxed),
        };
        let text = serde_json::to_vec(&outcome).unwrap_or_default();
        // Without a first stage there is no receiver, and the kernel is about to end this process.
        let _ = rustix::net::send(&socket, &text, rustix::net::SendFlags::NOSIGNAL);
    }
}
