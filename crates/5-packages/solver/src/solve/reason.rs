//! Reasons of clauses: which request, or which property of which package.

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
