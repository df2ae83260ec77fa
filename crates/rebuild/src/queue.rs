//! Who does what next, on all cores, with an eye on memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use basalt_process::interrupt;

/// Work that waits, with the memory that each piece takes, in MiB.
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: Vec<(usize, u64)>,
    free: u64,
    running: usize,
}

impl Queue {
    pub(crate) fn new(waiting: Vec<(usize, u64)>, memory: u64) -> Self {
        Self {
            state: Mutex::new(State {
                waiting,
                free: memory,
                running: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// Runs `work` on every piece, by so many workers, each with its number. Where there are several, the first begins at
    /// the end, the others at the beginning: when pieces get longer and longer, the longest does not come last, with nothing
    /// beside it. What no memory is left for waits; whatever takes more than there is runs alone. The first error ends it.
    pub(crate) fn run<E: Send>(
        &self,
        workers: usize,
        work: impl Fn(usize, usize) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let (failure, work) = (&failure, &work);
                let from_the_end = worker == 0 && workers > 1;
                scope.spawn(move || {
                    while let Some((piece, memory)) = self.take(from_the_end) {
                        let outcome = work(worker, piece);
                        self.give_back(memory, outcome.is_err());
                        if let Err(error) = outcome {
                            failure
                                .lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .get_or_insert(error);
                        }
                    }
                });
            }
        });
        failure
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .map_or(Ok(()), Err)
    }

    fn take(&self, from_the_end: bool) -> Option<(usize, u64)> {
        let mut state = self.lock();
        loop {
            if state.waiting.is_empty() || interrupt::requested() {
                return None;
            }
            let (free, idle) = (state.free, state.running == 0);
            let fits = |(_, memory): &(usize, u64)| *memory <= free || idle;
            let fitting = if from_the_end {
                state.waiting.iter().rposition(fits)
            } else {
                state.waiting.iter().position(fits)
            };
            if let Some(fitting) = fitting {
                let (piece, memory) = state.waiting.remove(fitting);
                state.free = free.saturating_sub(memory);
                state.running += 1;
                // What was more than there is must not be given back as more than there was.
                return Some((piece, memory.min(free)));
            }
            let waited = self.changed.wait_timeout(state, Duration::from_millis(200));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give_back(&self, memory: u64, stop: bool) {
        let mut state = self.lock();
        state.free += memory;
        state.running -= 1;
        if stop {
            state.waiting.clear();
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn memory_is_never_promised_twice() {
        let pieces = vec![(0, 3), (1, 3), (2, 1), (3, 9), (4, 2)];
        let sizes: Vec<u64> = pieces.iter().map(|(_, memory)| *memory).collect();
        let (used, done) = (AtomicU64::new(0), Mutex::new(Vec::new()));
        let outcome = Queue::new(pieces, 4).run(3, |_, piece| {
            let now = used.fetch_add(sizes[piece], Ordering::SeqCst) + sizes[piece];
            assert!(now <= 4 || now == sizes[piece], "{now}");
            std::thread::sleep(Duration::from_millis(2));
            used.fetch_sub(sizes[piece], Ordering::SeqCst);
            done.lock().expect("not poisoned").push(piece);
            Ok::<_, ()>(())
        });
        assert_eq!(outcome, Ok(()));
        let mut done = done.into_inner().expect("not poisoned");
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn one_begins_at_the_end_where_there_are_several() {
        for (workers, first) in [(1, vec![0]), (2, vec![0, 8])] {
            let begun = Mutex::new(Vec::new());
            // Every worker has begun before one of them goes on.
            let together = std::sync::Barrier::new(workers);
            let outcome = Queue::new((0..9).map(|piece| (piece, 1)).collect(), 9).run(workers, |_, piece| {
                begun.lock().expect("not poisoned").push(piece);
                if first.contains(&piece) {
                    together.wait();
                }
                Ok::<_, ()>(())
            });
            assert_eq!(outcome, Ok(()));
            let mut begun = begun.into_inner().expect("not poisoned");
            begun[..workers].sort_unstable();
            assert_eq!(begun[..workers], first);
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let outcome = Queue::new((0..9).map(|piece| (piece, 1)).collect(), 1)
            .run(1, |_, piece| if piece == 2 { Err(piece) } else { Ok(()) });
        assert_eq!(outcome, Err(2));
    }
}
