//! Relay between jobs: carries out on their FIFOs what the [`Ledger`] decides.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::fifo::Fifo;
use super::ledger::{IDLE, JobNumber, Ledger};

/// Pause after each turn that a FIFO asked for: a job that writes without end costs no more than that.
const PAUSE: Duration = Duration::from_millis(1);

/// All that jobs and the relay's thread share.
#[derive(Debug)]
pub(super) struct Relay {
    state: Mutex<State>,
    /// A token is free for a job that waits.
    freed: Condvar,
    /// Event that ends the thread's wait.
    wake: OwnedFd,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    fifos: BTreeMap<JobNumber, Arc<Fifo>>,
    is_closed: bool,
}

impl Relay {
    pub(super) fn new(ledger: Ledger) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State {
                ledger,
                fifos: BTreeMap::new(),
                is_closed: false,
            }),
            freed: Condvar::new(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a job as soon as there is a token for it; none when `stop`, which is asked at that interval, says so
    /// first.
    pub(super) fn begin(&self, fifo: &Arc<Fifo>, stop: &dyn Fn() -> bool, interval: Duration) -> Option<JobNumber> {
        let mut state = self.lock();
        state.ledger.wait();
        self.wake();
        loop {
            if stop() {
                state.ledger.give_up();
                // A token may have been kept free for it.
                self.wake();
                return None;
            }
            if let Some(job) = state.ledger.begin() {
                state.fifos.insert(job, Arc::clone(fifo));
                self.wake();
                return Some(job);
            }
            let waited = self.freed.wait_timeout(state, interval);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends a job, whose processes have ended.
    pub(super) fn end(&self, job: JobNumber) {
        let mut state = self.lock();
        state.fifos.remove(&job);
        state.ledger.end(job);
        self.freed.notify_all();
        self.wake();
    }

    /// Number of tokens that nobody uses.
    pub(super) fn unused(&self) -> usize {
        let mut state = self.lock();
        state.observe(Instant::now());
        state.ledger.unused()
    }

    /// Ends the thread.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.wake();
    }

    /// Work of the thread, until it is closed.
    pub(super) fn run(&self) {
        let mut pause = false;
        while let Some((watched, timeout)) = self.turn() {
            if pause {
                std::thread::sleep(PAUSE);
            }
            pause = self.sleep(&watched, timeout);
        }
    }

    /// Shares the tokens once. Returns the FIFOs in which something to be taken back may appear, and the time after
    /// which to look again in any case; nothing when the relay is closed.
    fn turn(&self) -> Option<(Vec<Arc<Fifo>>, Option<Duration>)> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        let now = Instant::now();
        state.share(now);
        if state.ledger.can_begin() {
            self.freed.notify_all();
        }
        let fifos = &state.fifos;
        let watched = state.ledger.overdrawn(now).filter_map(|job| fifos.get(&job).cloned());
        let timeout = (!fifos.is_empty()).then_some(IDLE);
        Some((watched.collect(), timeout))
    }

    /// Waits until something is in one of the FIFOs, for which it returns `true`, until the relay is woken, or for a
    /// time.
    fn sleep(&self, watched: &[Arc<Fifo>], timeout: Option<Duration>) -> bool {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let wake = std::iter::once(PollFd::new(&self.wake, PollFlags::IN));
        let fifos = watched.iter().map(|fifo| PollFd::new(&**fifo, PollFlags::IN));
        let mut polled: Vec<_> = wake.chain(fifos).collect();
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                tracing::warn!(%error, "the jobserver cannot wait for its FIFOs; it looks at them at intervals");
                std::thread::sleep(IDLE);
            }
        }
        // Whoever wakes it once more is heard by the next wait.
        rustix::io::read(&self.wake, &mut [0; 8]).ok();
        polled.iter().skip(1).any(|polled| !polled.revents().is_empty())
    }

    fn wake(&self) {
        // Full means that it is awake already.
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes()).ok();
    }
}

impl State {
    /// Counts what is in all FIFOs, and takes out what are no tokens.
    fn observe(&mut self, now: Instant) {
        for (job, fifo) in &self.fifos {
            let surplus = self.ledger.observe(*job, now, moved(fifo, fifo.unread()));
            if surplus > 0 {
                self.ledger.discarded(*job, moved(fifo, fifo.take(surplus)));
            }
        }
    }

    /// Hands out free tokens, and takes back what others want.
    fn share(&mut self, now: Instant) {
        self.observe(now);
        self.give(now);
        for (job, count) in self.ledger.reclaim(now) {
            if let Some(fifo) = self.fifos.get(&job) {
                self.ledger.took(job, moved(fifo, fifo.take(count)));
            }
        }
        self.ledger.write_off(now);
        self.give(now);
    }

    fn give(&mut self, now: Instant) {
        for (job, count) in self.ledger.grant(now) {
            let put = self.fifos.get(&job).map_or(0, |fifo| moved(fifo, fifo.put(count)));
            if put < count {
                self.ledger.took(job, count - put);
                self.ledger.refused(job, now);
            }
        }
    }
}

/// Number of bytes that a system call moved; none where it failed. What a job does to its FIFO harms that job alone.
fn moved(fifo: &Fifo, outcome: io::Result<usize>) -> usize {
    let outcome =
        outcome.inspect_err(|error| tracing::debug!(fifo = %fifo.path(), %error, "a FIFO of the jobserver fails"));
    outcome.unwrap_or(0)
}
