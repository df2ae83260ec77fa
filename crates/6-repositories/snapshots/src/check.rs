//! Verification of a published snapshot, as a client would do it: signatures, digests, locations.

use basalt_digest::Digest;
use basalt_process::{chain, interrupt};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_repodata::{FOLDER, IndexedPackage, REPOMD};
use basalt_rpm::parse_header;
use basalt_signing::{Certificate, Timestamp, Verified, verify};
use camino::Utf8Path;
use serde::Serialize;

use crate::snapshot::SIGNATURE;
use crate::{Snapshot, SnapshotError};

/// Result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotCheck {
    /// Number of RPMs that were verified.
    pub packages: usize,
    /// Faults that were found; empty if the snapshot is sound.
    pub faults: Vec<Fault>,
}

/// A file of a snapshot that fails verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Path, relative to the snapshot's folder.
    pub file: String,
    /// The fault, as a sentence.
    pub why: String,
}

impl Snapshot {
    /// Verifies the signature of the index, the digests of everything that it names, and the signature of every RPM.
    ///
    /// # Errors
    /// When interrupted. Faults of the snapshot are in the result.
    pub fn check(
        &self,
        trusted: &[Certificate],
        now: Timestamp,
        reporter: &dyn Reporter,
    ) -> Result<SnapshotCheck, SnapshotError> {
        let mut faults = Vec::new();
        let mut fault = |file: &str, why: String| {
            faults.push(Fault {
                file: file.to_owned(),
                why,
            });
        };
        let repodata = self.folder.join(FOLDER);
        let index = format!("{FOLDER}/{REPOMD}");
        if let Err(why) = verify_index(&repodata, trusted, now) {
            fault(&index, why);
        }
        let packages = match basalt_repodata::read(&self.folder) {
            Ok(index) => index.packages,
            Err(error) => {
                fault(&index, chain(&error));
                Vec::new()
            }
        };
        let task = reporter.task("checking packages", Unit::Items, Some(packages.len() as u64));
        for package in &packages {
            interrupt::check()?;
            if let Err(why) = verify_package(&self.folder, package, trusted, now) {
                fault(&package.href, why);
            }
            task.advance(1);
        }
        task.finish(Outcome::Done);
        Ok(SnapshotCheck {
            packages: packages.len(),
            faults,
        })
    }
}

fn verify_index(repodata: &Utf8Path, trusted: &[Certificate], now: Timestamp) -> Result<Verified, String> {
    let read = |name: &str| fs_err::read(repodata.join(name)).map_err(|error| error.to_string());
    verify(&read(REPOMD)?, &read(SIGNATURE)?, trusted, now).map_err(|error| error.to_string())
}

fn verify_package(
    folder: &Utf8Path,
    package: &IndexedPackage,
    trusted: &[Certificate],
    now: Timestamp,
) -> Result<(), String> {
    let bytes = fs_err::read(folder.join(&package.href)).map_err(|error| error.to_string())?;
    if bytes.len() as u64 != package.size {
        return Err(format!("it has {} bytes, {} are expected", bytes.len(), package.size));
    }
    let digest = Digest::of(&bytes);
    if digest != package.digest {
        return Err(format!("its digest is {digest}, {} is expected", package.digest));
    }
    // The structure of the header is checked before the whole RPM is parsed: the file is not trusted.
    parse_header(Utf8Path::new(&package.href), &mut bytes.as_slice()).map_err(|error| chain(&error))?;
    let rpm = rpm::Package::parse(&mut bytes.as_slice()).map_err(|error| error.to_string())?;
    rpm.verify_digests().map_err(|error| error.to_string())?;
    let header = rpm.header_bytes().map_err(|error| error.to_string())?;
    let signatures = rpm.raw_signatures().map_err(|error| error.to_string())?;
    let mut last = "it is not signed".to_owned();
    for signature in signatures {
        match verify(&header, &signature, trusted, now) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}
