//! Packages of an image, and files that are read from them.

use std::io::Read as _;

use basalt_digest::Digest;
use basalt_process::interrupt;
use basalt_rpm::Package;
use camino::Utf8Path;

use crate::ImageError;

/// Package to install, with its RPM.
#[derive(Debug, Clone, Copy)]
pub struct ImagePackage<'a> {
    /// Metadata from the RPM's header.
    pub package: &'a Package,
    /// Path of the RPM.
    pub path: &'a Utf8Path,
    /// Digest of the RPM.
    pub digest: Digest,
    /// Size of the RPM in bytes.
    pub size: u64,
}

/// File that was read from a package.
#[derive(Debug, Clone)]
pub(crate) struct Extracted {
    /// Name of the package.
    pub(crate) package: String,
    /// Absolute path of the file.
    pub(crate) path: String,
    /// Content of the file.
    pub(crate) content: Vec<u8>,
}

/// Maximum size in bytes of a file that is read into memory; the largest, a kernel, has 10 MiB.
const LARGEST: u64 = 256 << 20;

/// Reads the regular files for whose path `wanted` returns `true`, in the order of the packages and of the paths.
/// Packages without such a file are not opened.
pub(crate) fn extract(
    payloads: &[ImagePackage<'_>],
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Extracted>, ImageError> {
    let mut found = Vec::new();
    for payload in payloads {
        if !payload.package.files.iter().any(|path| wanted(path)) {
            continue;
        }
        let mut files = basalt_rpm::Payload::open(payload.path)?;
        let mut own = Vec::new();
        while let Some(file) = files.next()? {
            let Some(path) = file.paths.iter().find(|path| file.is_regular() && wanted(path)) else {
                continue;
            };
            if file.size > LARGEST {
                return Err(ImageError::Place {
                    package: payload.package.name.clone(),
                    path: path.clone(),
                    why: format!("it has {} MiB and has to be read into memory", file.size >> 20),
                    help: "the RPM is damaged: build the package again",
                });
            }
            let mut content = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0));
            if let Err(error) = files.read_to_end(&mut content) {
                interrupt::check()?;
                return Err(ImageError::PackageContent {
                    package: payload.package.name.clone(),
                    path: path.clone(),
                    why: error.to_string(),
                });
            }
            own.push(Extracted {
                package: payload.package.name.clone(),
                path: path.clone(),
                content,
            });
        }
        own.sort_by(|one, other| one.path.cmp(&other.path));
        found.append(&mut own);
    }
    Ok(found)
}
