//! Cancellation: ends the work of some threads, as an interruption ends that of all.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Cancellations in whose scope this thread works, the innermost last.
    static CURRENT: RefCell<Vec<Cancellation>> = const { RefCell::new(Vec::new()) };
}

/// Flag that ends work on the threads that are in its [`scope`](Self::scope). Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Asks for the end of the work.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// True once the end was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Does work that is to end when this is requested: on this thread, everything that looks for an interruption finds
    /// one then, programs that run included. Threads that the work starts are not in the scope.
    pub fn scope<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.with_borrow_mut(|current| current.push(self.clone()));
        let _leave = Leave;
        work()
    }
}

/// Leaves the innermost scope, also when its work panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(Vec::pop);
    }
}

/// True where this thread works in the scope of a cancellation that was requested.
pub(crate) fn requested() -> bool {
    CURRENT.with_borrow(|current| current.iter().any(Cancellation::requested))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{Command, ProcessError, interrupt};

    #[test]
    fn work_in_the_scope_ends_and_other_work_does_not() {
        let (outer, inner) = (Cancellation::default(), Cancellation::default());
        outer.scope(|| {
            inner.scope(|| {
                assert!(interrupt::check().is_ok());
                inner.request();
                assert!(interrupt::check().is_err());
                std::thread::scope(|scope| {
                    scope.spawn(|| assert!(!interrupt::requested()));
                });
            });
            assert!(!interrupt::requested());
            outer.request();
            inner.scope(|| assert!(interrupt::requested()));
        });
        assert!(!interrupt::requested());
    }

    #[test]
    fn the_scope_is_left_by_a_panic() {
        let cancellation = Cancellation::default();
        cancellation.request();
        let panicked = std::panic::catch_unwind(|| cancellation.scope(|| assert!(!cancellation.requested())));
        assert!(panicked.is_err() && !interrupt::requested());
    }

    #[test]
    fn a_program_in_the_scope_is_ended() {
        let cancellation = Cancellation::default();
        let began = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(200));
                cancellation.request();
            });
            let ended = cancellation.scope(|| Command::new("sleep").arg("60").output());
            assert!(matches!(ended, Err(ProcessError::Interrupted)), "{ended:?}");
        });
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
