//! Bills of materials in their formats.

use crate::{BomError, Inventory, Licences, cyclonedx_document, spdx_document};

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

impl Inventory {
    /// The bill of materials in a format: JSON on one line, the same bytes for the same inventory.
    ///
    /// # Errors
    /// When it cannot be written, which is a bug.
    pub fn document(&self, format: Format, licences: &Licences) -> Result<Vec<u8>, BomError> {
        let mut text = match format {
            Format::Spdx => spdx_document::write(self, licences)?,
            Format::CycloneDx => cyclonedx_document::write(self)?,
        };
        text.push(b'\n');
        Ok(text)
    }
}
