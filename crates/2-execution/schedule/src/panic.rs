//! Panics as values.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use miette::Diagnostic;
use thiserror::Error;

/// A panic in a worker thread: always a bug of ours.
#[derive(Debug, Error, Diagnostic, Clone, PartialEq, Eq)]
#[error("`{name}` panicked: {message}")]
#[diagnostic(
    code(schedule::panic),
    help("this is a bug of basalt; run it again with RUST_BACKTRACE=1 and report what it shows")
)]
pub struct Panic {
    /// Name of the job or of the item in work.
    pub name: String,
    /// Message of the panic.
    pub message: String,
}

/// Calls `work`; a panic in it becomes an error.
///
/// What `work` shares must bear to be left in the middle: everything here hands results over only after it returned.
pub(crate) fn catch<T>(name: impl FnOnce() -> String, work: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| Panic {
        name: name(),
        message: message(payload.as_ref()),
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
