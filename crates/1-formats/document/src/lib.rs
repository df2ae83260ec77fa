//! Documents that people write, in YAML and TOML, with the place of each value, and the problems that are found in
//! them.
//!
//! ```text
//! YAML --Document::parse--> Document  nodes with their places
//!      --schema-----------> raw types of a caller, and findings: keys that are unknown, values of a wrong type
//! TOML --toml_file--------> the same for files of the distribution
//!      --secret-----------> the same document, of which reports show no value that is a secret by its type
//! findings --> Problems: a report with the lines of the document, for people
//! Problems --> report::CheckReport: the same as JSON
//! ```
//!
//! No I/O: input is text, output are types or [`problem::Problems`].

mod document;
mod excerpt;
pub mod problem;
pub mod redaction;
pub mod report;
pub mod schema;
pub mod secret;
pub mod spelling;
pub mod toml_file;

pub use document::{Document, DocumentNode, Entries, Entry, Finding, Kind, Path, Span, Step};
pub use excerpt::DocumentText;
