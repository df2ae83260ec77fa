//! Support bundle of a node: what somebody needs who looks for a fault without access to it, in one archive.
//!
//! [`parts`] names what is collected and the way to each; [`redact`] takes secrets out of it; [`manifest`] says what is in
//! the bundle, what failed, and what is never collected; [`archive`] packs it. A part that cannot be had does not keep the
//! others back.

pub mod archive;
pub mod manifest;
pub mod parts;
pub mod redact;

use camino::Utf8PathBuf;
use serde::Serialize;

use manifest::PartReport;

/// Bundle that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleReport {
    /// Path of the archive.
    pub path: Utf8PathBuf,
    /// Size of the archive, in bytes.
    pub bytes: usize,
    /// Parts, collected or not.
    pub parts: Vec<PartReport>,
}

impl BundleReport {
    /// Parts that could not be collected.
    pub fn failed(&self) -> impl Iterator<Item = &PartReport> {
        self.parts.iter().filter(|part| part.bytes.is_none())
    }
}
