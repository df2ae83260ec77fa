//! Dependency solving: the packages that requests and their requirements come to, or why there is no such set.
//!
//! ```text
//! [Package] --PackageIndex--> providers of capabilities, by name and by path of files
//! requests + PackageIndex --solve--> without a choice: traversal of the requirements
//!                                --> with a choice, or without a solution: clauses, SAT solving, decisions by policy
//! --> [&Package], or SolveError with its reasons
//! ```
//!
//! No I/O: packages come from RPM headers (`basalt-rpm`), metadata of repositories, or anywhere else. The order of
//! preference between providers is that of [`PackageIndex::solve`], for the reasons in docs/decisions/0018.

mod file_index;
mod index;
mod providers;
mod request;
mod solve;
mod table;
mod traversal;

pub use index::PackageIndex;
pub use solve::{Missing, SolveError};
