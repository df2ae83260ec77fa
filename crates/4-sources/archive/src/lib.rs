//! Extraction of untrusted tar archives into a folder, with checks before anything is written.
//!
//! ```text
//! tar --(entries)--> ArchiveEntry --(Checker: names, kinds, links, sizes)--> ExtractionStep --(extract)--> files
//! ```
//!
//! [`Checker`] is a pure state machine: it sees the heads of all entries in order and says what to do with each, or which
//! [`Violation`] it is. It knows every name that was taken, so that nothing is ever written through a link, over another
//! entry, or beside one that differs by case only. [`extract`] does what it says; the folder must be empty, and nobody
//! else's.
//!
//! RPM payloads (cpio) have their own reader in `basalt-rpm`.

mod check;
mod error;
mod extract;
mod policy;

pub use check::{ArchiveEntry, Checker, EntryKind, ExtractionStep};
pub use error::{ArchiveError, Violation};
pub use extract::{ExtractionSummary, extract};
pub use policy::{ArchiveLimits, Devices, Links, Policy};
