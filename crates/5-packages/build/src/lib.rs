//! Building of packages: from spec files to RPMs.
//!
//! ```text
//! distro/packages/*/ ──(read once)──▶ FolderSnapshot ──(rpmspec)──▶ spec ──▶ package::DistributionPackage
//!     all of them ──(provides and requires)──▶ graph::Graph
//!     a package + results of its dependencies ──(plan: BuildRequires solved)──▶ sysroot, tools, sources
//!         ──(fingerprint: one action, by content)──▶ key
//!     key known ──▶ built::Built, from the store: RPMs by digest ──(provide: content, on demand)──▶ RPMs
//!     key unknown ──(build_root: overlay, no network)──▶ rpmbuild ──(execute)──▶ built::Built, into the store
//! ```
//!
//! The engine runs this for many packages at once, as jobs of [`basalt_schedule`]. The module `fingerprint` is the
//! complete recipe of a key, with its rationale.
//!
//! The BuildRequires of a package become its sysroot: headers and libraries of the target machine. Packages that
//! provide `build-tool`, such as the compiler, are for the build machine instead: their files are laid over the SDK's,
//! so that they can be run, and are in no sysroot.
//!
//! The [`BuildEnvironment`] surrounds a build without being an input; [`Engine::rebuild`] builds in another one, for
//! the crate that compares. [`BuildMaterials`] list the inputs of a package, for provenance statements.

mod build_base;
mod build_root;
mod built;
mod built_index;
mod declared;
mod distribution;
mod engine;
mod environment;
mod error;
mod execute;
mod failure;
mod fetch;
mod fingerprint;
mod graph;
mod latest;
pub mod log;
mod materials;
mod package;
mod package_names;
mod payload;
mod plan;
mod provide;
mod requirements;
mod resources;
mod scriptlets;
mod spec;
mod store_lookup;

pub use basalt_release::BUILD_TIME;
pub use build_base::{BuildBase, Layer};
pub use build_root::BuildRoot;
pub use built::{Built, BuiltPackages, BuiltRpm};
pub use built_index::{BuiltIndex, IndexedRpm};
pub use distribution::Distribution;
pub use engine::{Engine, Explanation};
pub use environment::BuildEnvironment;
pub use error::BuildError;
pub use execute::Rebuilt;
pub use fetch::prefetch;
pub use graph::{Graph, GraphError, PackageId, PackageSet};
pub use latest::InputDifference;
pub use materials::{BuildMaterials, UsedRpm};
pub use package::DistributionPackage;
pub use package_names::PackageNames;
pub use plan::{Lookup, Planner, ResolvedBuild};
pub use provide::Provided;
pub use resources::ResourceEstimates;
pub use scriptlets::ScriptletsRefused;
pub use spec::{BinaryPackage, PackageFolder, SourcePackage};
