//! Audit for known vulnerabilities: OSV records about the components of an image, and the answers of the distribution.
//!
//! ```text
//! a folder or an archive of OSV records --(database: limits on sizes)--> OsvRecord, by ecosystem and name
//! distro/upstreams.toml ----------------(upstreams)-------------------> names of packages in databases
//! distro/vex/*.toml, CVE-*.patch --------(vex, backports)--------------> VEX status: not affected, fixed, ...
//! bom::Inventory + all of it ------------(audit)-----------------------> Match: component, id, severity, fix, answer
//!                                        (openvex, sarif)--------------> documents for other tools
//! ```
//!
//! Everything is read offline, and whatever is read may be hostile: a record has a largest size, an archive a largest
//! ratio, text loses its control characters. A record that cannot be understood is never passed over in silence.

mod archive;
mod audit;
mod backports;
mod database;
mod error;
mod limits;
mod openvex;
mod range;
mod record;
mod sarif;
mod severity;
mod upstreams;
mod version;
mod vex;

pub use audit::{Assessment, Audited, Match, VexStatements, audit};
pub use backports::{BackportedPatch, backported_patches};
pub use database::{Database, DatabaseStatistics};
pub use error::AuditError;
pub use limits::DatabaseLimits;
pub use openvex::openvex;
pub use range::Evaluation;
pub use record::{Affected, OsvRecord, Range, RangeEvent, parse_record};
pub use sarif::sarif;
pub use severity::{Level, Severity};
pub use upstreams::Upstreams;
pub use version::{Scheme, compare};
pub use vex::{VexStatement, VexStatus, parse_statements};
