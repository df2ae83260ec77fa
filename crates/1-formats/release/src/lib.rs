//! Facts that all parts of a release of the distribution share: its architectures, and the time of its build.
//!
//! Constants and types only, without I/O.

mod arch;

pub use arch::Arch;

/// Build time of everything in a release: SOURCE_DATE_EPOCH, in seconds since 1970 (2025-10-09 08:53:20 UTC).
pub const BUILD_TIME: u64 = 1_760_000_000;
