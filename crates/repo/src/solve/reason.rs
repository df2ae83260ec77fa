//! Requests, and the reasons of clauses.

use crate::Dependency;

/// A request: a dependency, and the packages that replace what it names.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The dependency that is to be fulfilled.
    pub(crate) dependency: Dependency,
    /// Packages that fulfil the request because they obsolete the package of its name; preferred to it.
    pub(crate) replacements: Vec<usize>,
}

impl From<Dependency> for Request {
    fn from(dependency: Dependency) -> Self {
        Self {
            dependency,
            replacements: Vec::new(),
        }
    }
}

/// Reason of a clause. Packages are named by their positions in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The requests are to be fulfilled at all.
    Root,
    /// The request of this index.
    Request(usize),
    /// The requirement of this index, of the package at this position.
    Requires(usize, usize),
    /// The conflict of this index, of the package at this position.
    Conflicts(usize, usize),
    /// The first package obsoletes the second.
    Obsoletes(usize, usize),
    /// Two packages have one name.
    SameName(usize, usize),
}
