//! Dependency solving: the packages that requests and their requirements come to.
//!
//! ```text
//! [Package] --PackageIndex--> providers of capabilities; requests --solve--> [&Package], or SolveError with its reasons
//! ```
//!
//! No I/O: packages come from RPM headers (`basalt-rpm`) or from anywhere else.

mod contradiction;
mod explain;
mod index;
mod solve;

pub use explain::{Missing, SolveError};
pub use index::PackageIndex;
