//! The packages that go into an image.

use std::io::Read as _;

use basalt_digest::Digest;
use basalt_rpm::Package;
use camino::Utf8Path;

use crate::ImageError;

/// A package that is installed, and where its RPM is.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// What its header says.
    pub package: &'a Package,
    /// The RPM.
    pub path: &'a Utf8Path,
    /// The digest of the RPM.
    pub digest: Digest,
    /// The size of the RPM in bytes.
    pub size: u64,
}

/// A file that was read out of a package.
#[derive(Debug, Clone)]
pub(crate) struct Extracted {
    /// The name of the package.
    pub(crate) package: String,
    /// The file's path.
    pub(crate) path: String,
    /// Its content.
    pub(crate) content: Vec<u8>,
}

/// What is read into memory (a kernel, the largest, has 10 MiB) is not larger than this.
const LARGEST: u64 = 256 << 20;

/// Reads the regular files that `wanted` asks for, in the order of the packages and of their paths. Packages without
/// such a file are not opened.
pub(crate) fn extract(payloads: &[Payload<'_>], wanted: impl Fn(&str) -> bool) -> Result<Vec<Extracted>, ImageError> {
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
                    remedy: "the RPM is damaged: build the package again",
                });
            }
            let mut content = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0));
            files
                .read_to_end(&mut content)
                .map_err(ImageError::io("cannot read", payload.path))?;
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
