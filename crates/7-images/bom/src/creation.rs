//! Fields that both formats of a bill of materials share: creation time, supplier, tool, and identifiers derived from
//! content.

use basalt_digest::Digest;
use uuid::Uuid;

/// Creation time of every bill of materials: the time that packages and images are built with, so that the same content
/// gives the same document.
pub(crate) const CREATED: &str = basalt_release::BUILD_TIME_RFC3339;
/// Supplier of all packages and images.
pub(crate) const SUPPLIER: &str = basalt_release::NAME;
/// Tool that writes the documents.
pub(crate) const TOOL: &str = "basalt";
pub(crate) const TOOL_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Value of unknown fields in SPDX documents.
pub(crate) const NO_ASSERTION: &str = "NOASSERTION";

/// Returns a UUID that is derived from a digest (RFC 9562, version 8).
pub(crate) fn uuid(digest: &Digest) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    Uuid::new_v8(bytes).to_string()
}
