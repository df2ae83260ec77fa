//! From spec files to RPMs.
//!
//! ```text
//! distro/packages/*/ ──(read once: Snapshot)──▶ files ──(rpmspec)──▶ spec ──▶ package::Package
//!     all of them ──(who makes what, who asks for what)──▶ graph::Graph
//!     a package + results of what it needs ──(plan: BuildRequires solved)──▶ sysroot, tools, sources
//!         ──(fingerprint: one action, by content)──▶ key
//!     key known ──▶ built::Built, from the store: RPMs by digest ──(provide: content, when it is needed)──▶ RPMs
//!     key unknown ──(build_root: overlay, no network)──▶ rpmbuild ──(execute)──▶ built::Built, into the store
//! ```
//!
//! The engine runs this for many packages at once, as jobs of [`basalt_schedule`]. The module `fingerprint` is the whole
//! recipe of a key, with its reasons.
//!
//! What a build asks for becomes its sysroot: headers and libraries of the machine that the package is for. A package that
//! provides `build-tool` is for the machine that builds instead; the compiler is one. Its files lie over the SDK's, so that
//! they run, and are in no sysroot.
//!
//! The [`BuildEnvironment`] surrounds a build without being an input; [`Engine::rebuild`] builds in another one, for the crate
//! that compares. [`BuildMaterials`] say what went into a package, for statements of where it comes from.

mod build_base;
mod build_root;
mod built;
mod built_index;
mod distribution;
mod engine;
mod environment;
mod error;
mod execute;
mod fetch;
mod fingerprint;
mod graph;
mod latest;
pub mod log;
mod materials;
mod package;
mod payload;
mod plan;
mod provide;
mod resources;
mod spec;
mod store_lookup;

pub use basalt_model::BUILD_TIME;
pub use build_base::{BuildBase, Layer};
pub use build_root::BuildRoot;
pub use built::{Built, Rpm};
pub use built_index::{BuiltIndex, BuiltRpm};
pub use distribution::Distribution;
pub use engine::{Engine, Explanation};
pub use environment::BuildEnvironment;
pub use error::BuildError;
pub use execute::Rebuilt;
pub use fetch::prefetch;
pub use graph::{Graph, GraphError, PackageId, PackageSet};
pub use latest::Difference;
pub use materials::{BuildMaterials, UsedRpm};
pub use package::Package;
pub use plan::{BuiltPackages, Lookup, Planner, ResolvedBuild};
pub use resources::ResourceEstimates;
pub use spec::{BinaryPackage, Folder, SourcePackage};
