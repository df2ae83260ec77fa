//! Software bills of materials of packages and images, down to Go modules and crates, and the obligations of their
//! licences.
//!
//! ```text
//! distro/packages (identity.toml, licences.*, sources) --Catalogue-------> data that RPMs do not carry
//! an RPM --programs (.go.buildinfo, .dep-v0; cached by digest)-----------> modules and crates of each program
//! RPMs + Catalogue --Inventory::of_rpms----------------------------------> components, and relations between them
//!   Inventory --document (SPDX 2.3, CycloneDX 1.5)-----------------------> a bill of materials, always the same bytes
//!   Inventory --groups (SPDX expressions)--------------------------------> obligations of licences
//!   Inventory --requirers, way_to----------------------------------------> reverse dependencies of a package
//! sources of modules --texts (LICENSE, NOTICE; compared with SPDX's)-----> the texts to pass on
//!                    --detection------------------------------------------> licences.lock
//! ```
//!
//! Nothing here runs a program or uses the network. The parsers of untrusted files take bytes and return an error for
//! malformed ones: [`GoProgram::parse`], [`RustProgram::parse`], [`Program::parse`].

mod catalogue;
mod component;
mod creation;
mod cyclonedx_document;
mod detection;
mod document;
mod error;
mod go_program;
mod identifier;
mod inventory;
mod licences;
mod need;
mod obligations;
mod program;
mod rust_program;
mod spdx_document;
pub mod texts;

pub use catalogue::{Catalogue, UpstreamProject};
pub use component::{Component, ComponentKind, Origin, PackagedFile, SourceFile};
pub use detection::DetectedLicences;
pub use document::Format;
pub use error::{BomError, ProgramError};
pub use go_program::{GoModule, GoProgram};
pub use identifier::rpm_purl;
pub use inventory::{Inventory, Relation, RelationKind, Subject};
pub use licences::{CustomLicence, DECISIONS, LOCK, LicenceDecision, Licences, check, lock_text};
pub use obligations::{LicenceGroup, Obligation, Terms, groups, terms};
pub use program::{Program, Rpm, programs};
pub use rust_program::{LinkedCrate, RustProgram};
