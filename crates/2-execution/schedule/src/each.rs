//! The same small piece of work for many items, on all cores.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use basalt_process::interrupt;

use crate::{Panic, cores, panic};

/// First error of [`each`].
#[derive(Debug, PartialEq, Eq)]
pub enum EachError<E> {
    /// The work returned an error.
    Failed(E),
    /// The work panicked; its name is `item` and the position.
    Panicked(Panic),
    /// Ctrl-C or a signal.
    Interrupted,
}

impl<E> EachError<E> {
    /// The error in the caller's terms.
    pub fn into_first(self) -> E
    where
        E: From<Panic> + From<basalt_process::ProcessError>,
    {
        match self {
            Self::Failed(error) => error,
            Self::Panicked(panic) => panic.into(),
            Self::Interrupted => basalt_process::ProcessError::Interrupted.into(),
        }
    }
}

/// Calls `work` with each item, on all cores, and returns the results in the order of the items. The first error, panic
/// or interruption ends it; work that has begun is finished.
///
/// # Errors
/// See [`EachError`].
pub fn each<I: Sync, T: Send, E: Send>(
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, EachError<E>> {
    each_on(cores(), items, work)
}

/// Like [`each`], with so many worker threads at most. Items are begun in their order.
///
/// # Errors
/// See [`EachError`].
pub fn each_on<I: Sync, T: Send, E: Send>(
    workers: usize,
    items: &[I],
    work: impl Fn(&I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, EachError<E>> {
    let next = AtomicUsize::new(0);
    let ended = AtomicBool::new(false);
    let outcomes: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(items.len()));
    let failure: Mutex<Option<EachError<E>>> = Mutex::new(None);
    let fail = |error| {
        ended.store(true, Ordering::SeqCst);
        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    };
    let worker = || {
        while !ended.load(Ordering::SeqCst) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            if interrupt::requested() {
                return fail(EachError::Interrupted);
            }
            match panic::catch(|| format!("item {index}"), || work(item)) {
                Ok(Ok(result)) => {
                    let mut outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner);
                    outcomes.push((index, result));
                }
                Ok(Err(error)) => fail(EachError::Failed(error)),
                Err(panic) => fail(EachError::Panicked(panic)),
            }
        }
    };
    std::thread::scope(|scope| {
        // This thread is one of them.
        for _ in 1..workers.min(items.len()) {
            scope.spawn(worker);
        }
        worker();
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn results_come_in_order() {
        let squares = each(&Vec::from_iter(0..1000), |index| Ok::<_, ()>(index * index)).expect("nothing fails");
        assert_eq!(squares, (0..1000).map(|index| index * index).collect::<Vec<_>>());
        assert_eq!(each(&[(); 0], |()| Err::<(), _>(())), Ok(Vec::new()));
    }

    #[test]
    fn as_many_threads_work_as_asked_for() {
        let threads = |workers: usize| {
            let together = Barrier::new(workers.max(1));
            let ids = each_on(workers, &[(); 6], |()| {
                together.wait();
                Ok::<_, ()>(std::thread::current().id())
            });
            HashSet::<_>::from_iter(ids.expect("nothing fails")).len()
        };
        assert_eq!([0, 1, 2, 3].map(threads), [1, 1, 2, 3]);
    }

    #[test]
    fn the_first_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let outcome = each(&Vec::from_iter(0..100_000), |index| {
            begun.fetch_add(1, Ordering::SeqCst);
            if *index == 7 { Err(*index) } else { Ok(()) }
        });
        assert_eq!(outcome, Err(EachError::Failed(7)));
        assert!(begun.into_inner() < 100_000);
    }

    #[test]
    fn a_panic_is_an_error() {
        let outcome = each(&[0, 1, 2, 3], |index| {
            assert_ne!(*index, 2, "two is too many");
            Ok::<_, ()>(())
        });
        let Err(EachError::Panicked(panic)) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(panic.name, "item 2");
        assert!(panic.message.contains("two is too many"), "{panic}");
    }
}
