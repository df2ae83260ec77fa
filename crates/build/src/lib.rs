//! From spec files to RPMs.
//!
//! ```text
//! distro/packages/*/*.spec --(rpmspec, remembered)--> spec::SourcePackage
//!     all of them --(who makes what, who asks for what)--> graph::Graph
//!     a target --(what is known already, what is longest)--> schedule::Schedule
//!     a package --(solve its BuildRequires)--> sysroot --(digest of all that goes in)--> key
//!     key unknown --(root::BuildRoot: overlay, no network)--> rpmbuild --> built::Built, in the store
//! ```
//!
//! A key is made from the digests of the RPMs that a build sees, not from the keys of their packages. So when a package
//! is built again and comes out the same, nothing above it is built again: early cut-off.
//!
//! What surrounds a build ([`Conditions`]) is in no key: [`Engine::rebuild`] builds under other ones, for the room that
//! compares. What went into a package is kept beside its result ([`Inputs`]), for statements of where it comes from.

mod built;
mod conditions;
mod distribution;
mod effort;
mod engine;
mod error;
mod graph;
mod inputs;
pub mod log;
mod parallel;
mod perform;
mod root;
mod schedule;
mod spec;

pub use built::{Built, Rpm};
pub use conditions::Conditions;
pub use distribution::{Distribution, platform};
pub use effort::Efforts;
pub use engine::{Engine, Ingredients, solve};
pub use error::BuildError;
pub use graph::{Graph, GraphError};
pub use inputs::{Ingredient, Inputs};
pub use parallel::cores;
pub use perform::Rebuilt;
pub use root::{BUILD_TIME, BuildRoot, Ground, Source};
pub use spec::{BinaryPackage, Folder, SourcePackage};
