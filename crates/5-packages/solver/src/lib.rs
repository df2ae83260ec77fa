//! Dependency solving: the packages that requests and their requirements come to.
//!
//! ```text
//! [Package] --PackageIndex--> providers of capabilities; requests --solve--> [&Package], or SolveError with its reasons
//! ```
//!
//! No I/O: packages come from RPM headers (`basalt-rpm`) or from anywhere else.

mod contradiction;
mod explain;
#[expect(
    clippy::indexing_slicing,
    reason = "positions and numbers are those that the same index gave out"
)]
mod index;
#[expect(clippy::unreachable, reason = "the list of names is never empty there")]
mod solve;

pub use explain::{Missing, SolveError};
pub use index::PackageIndex;
