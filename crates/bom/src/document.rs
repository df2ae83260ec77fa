//! Fields that both formats of a bill of materials share: creation time, supplier, tool, and identifiers derived from
//! content.

use basalt_model::digest::Digest;
use basalt_model::release;

use crate::{BomError, Inventory};

/// Creation time of every bill of materials: the time that packages and images are built with, so that the same content
/// gives the same document.
pub(crate) const CREATED: &str = release::BUILD_TIME_RFC3339;
/// Supplier of all packages and images.
pub(crate) const SUPPLIER: &str = release::NAME;
/// Tool that writes the documents.
pub(crate) const TOOL: &str = "basalt";
pub(crate) const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Value of unknown fields in SPDX documents.
pub(crate) const NO_ASSERTION: &str = "NOASSERTION";

/// The form of a bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// SPDX 2.3, in JSON.
    Spdx,
    /// CycloneDX 1.5, in JSON.
    CycloneDx,
}

impl Format {
    /// Every format, in the order in which documents are written.
    pub const ALL: [Self; 2] = [Self::Spdx, Self::CycloneDx];

    /// Returns the suffix of file names that scanners expect: `spdx.json`, `cdx.json`.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Spdx => "spdx.json",
            Self::CycloneDx => "cdx.json",
        }
    }
}

/// Returns a UUID that is derived from a digest (RFC 9562, version 8).
pub(crate) fn uuid(digest: &Digest) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

impl Inventory {
    /// The bill of materials in a format: JSON on one line, the same bytes for the same inventory.
    ///
    /// # Errors
    /// When it cannot be written, which is a bug.
    pub fn document(&self, format: Format, licences: &crate::Licences) -> Result<Vec<u8>, BomError> {
        let mut text = match format {
            Format::Spdx => crate::spdx_document::write(self, licences)?,
            Format::CycloneDx => crate::cyclonedx_document::write(self)?,
        };
        text.push(b'\n');
        Ok(text)
    }
}
