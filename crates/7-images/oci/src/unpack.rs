//! Extraction of archives of images.

use basalt_archive::{ArchiveLimits, Devices, Links, Policy, extract};
use camino::Utf8Path;

use crate::OciError;
use crate::compression::{self, Limited};

/// Rules for archives of images. Old versions of docker link layers that several images have in common.
const POLICY: Policy<'_> = Policy {
    top: None,
    links: Links::Inside,
    hard_links: true,
    devices: Devices::Refuse,
    case_pairs: true,
    metadata: false,
    limits: ArchiveLimits {
        entries: 100_000,
        total: 64 << 30,
        name: 1024,
        depth: 16,
    },
};

/// Greatest size of an archive, uncompressed: that of its content and of so many heads.
const LARGEST: u64 = POLICY.limits.total + POLICY.limits.entries * 4096;

/// Extracts an archive, compressed or not, into an empty folder.
pub(crate) fn unpack(archive: &Utf8Path, into: &Utf8Path) -> Result<(), OciError> {
    let (_, reader) = compression::open(archive)?;
    let reader = Limited { reader, left: LARGEST };
    extract(reader, archive.as_str(), into, POLICY)?;
    Ok(())
}
