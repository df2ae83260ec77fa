//! Reasons of clauses: which request, or which property of which package.

use crate::table::PackageNumber;

/// Reason of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The requests are to be fulfilled at all.
    Root,
    /// The request of this index.
    Request(usize),
    /// The requirement of this index, of the package.
    Requires(PackageNumber, usize),
    /// The conflict of this index, of the package.
    Conflicts(PackageNumber, usize),
    /// The first package obsoletes the second.
    Obsoletes(PackageNumber, PackageNumber),
    /// Two packages have one name.
    SameName(PackageNumber, PackageNumber),
}
