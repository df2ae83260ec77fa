//! Polling of a condition that has no signal: with a deadline, and ended by Ctrl-C.
//!
//! For files that appear, servers that answer, processes that end. Use a condition variable or a descriptor where one
//! signals the condition.

use std::time::{Duration, Instant};

use crate::{ProcessError, interrupt};

/// Longest sleep between two looks at the interruption.
const TICK: Duration = Duration::from_millis(100);

/// Asks `ready` at once and then after every `interval`, until it has a value. Returns nothing when the deadline passes
/// first; without a deadline it waits as long as it takes. The deadline passes only after `ready` was asked once more.
///
/// # Errors
/// Those of `ready`, and [`ProcessError::Interrupted`] within a tenth of a second after Ctrl-C.
pub fn until<T, E: From<ProcessError>>(
    deadline: Option<Instant>,
    interval: Duration,
    mut ready: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    loop {
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if let Some(value) = ready()? {
            return Ok(Some(value));
        }
        if late {
            return Ok(None);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        sleep(left.map_or(interval, |left| left.min(interval)))?;
    }
}

/// Sleeps for a time.
///
/// # Errors
/// [`ProcessError::Interrupted`] within a tenth of a second after Ctrl-C.
pub fn sleep(duration: Duration) -> Result<(), ProcessError> {
    let began = Instant::now();
    loop {
        interrupt::check()?;
        let left = duration.saturating_sub(began.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_comes_as_soon_as_it_is_there() {
        let mut asked = 0;
        let value = until(None, Duration::from_millis(1), || {
            asked += 1;
            Ok::<_, ProcessError>((asked == 3).then_some("here"))
        });
        assert_eq!(value.expect("no error"), Some("here"));
    }

    #[test]
    fn a_deadline_ends_the_wait_after_one_more_look() {
        let mut asked = 0;
        let deadline = Instant::now() + Duration::from_millis(20);
        let value = until(Some(deadline), Duration::from_secs(60), || {
            asked += 1;
            Ok::<Option<()>, ProcessError>(None)
        });
        assert_eq!(value.expect("no error"), None);
        assert_eq!(asked, 2);
        let passed = until(Some(deadline), Duration::from_secs(60), || {
            Ok::<_, ProcessError>(Some(1))
        });
        assert_eq!(passed.expect("no error"), Some(1));
    }

    #[test]
    fn an_error_ends_the_wait() {
        let error = until::<(), _>(None, Duration::ZERO, || Err(ProcessError::Interrupted));
        assert!(matches!(error, Err(ProcessError::Interrupted)));
    }
}
