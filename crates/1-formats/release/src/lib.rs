//! Facts that all parts of a release of the distribution share: its architectures, and the time that it is built at.
//!
//! Facts only: nothing is read, nothing is computed.

mod arch;

pub use arch::Arch;

/// The time that everything is built at: SOURCE_DATE_EPOCH, in seconds since 1970. 2025-10-09 08:53:20 UTC.
pub const BUILD_TIME: u64 = 1_760_000_000;
