//! Reader of the RPMs in a folder: digest, size and header of each, from one pass over its bytes.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::time::UNIX_EPOCH;

use basalt_digest::Hasher;
use basalt_rpm::parse_header;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use walkdir::WalkDir;

use crate::describe::{PackageEntries, RpmLocation, describe_parsed};
use crate::error::MetadataError;
use crate::largest_first::largest_first;

/// Size of a read in bytes: large enough that system calls do not count, small enough to stay in a core's first caches until
/// its bytes are hashed.
const READ: usize = 64 << 10;

/// An RPM in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpmFile {
    /// Path relative to the folder.
    pub href: Utf8PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last modification, in seconds since 1970.
    pub modified: u64,
}

/// Lists the RPMs of a folder and of the folders in it, sorted by path. Symbolic links are not followed.
///
/// # Errors
/// When a folder cannot be read, or the name of an RPM is not UTF-8.
pub fn list_rpms(folder: &Utf8Path) -> Result<Vec<RpmFile>, MetadataError> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder) {
        let failed = |error: walkdir::Error| MetadataError::io(folder)(error.into());
        let entry = entry.map_err(failed)?;
        if !entry.file_type().is_file() || entry.path().extension() != Some(OsStr::new("rpm")) {
            continue;
        }
        let path = Utf8Path::from_path(entry.path()).ok_or_else(|| MetadataError::Unwritable {
            file: entry.path().to_string_lossy().into_owned(),
            why: "its name is not UTF-8, and XML is".to_owned(),
        })?;
        let metadata = entry.metadata().map_err(failed)?;
        let modified = metadata.modified().map_err(MetadataError::io(path))?;
        found.push(RpmFile {
            href: path.strip_prefix(folder).unwrap_or(path).to_owned(),
            size: metadata.len(),
            modified: modified.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        });
    }
    found.sort_by(|one, other| one.href.cmp(&other.href));
    Ok(found)
}

/// Hashes and describes RPMs of a folder with so many worker threads; the entries are in the order of the files.
///
/// # Errors
/// When a file cannot be read or is not an RPM.
pub fn scan(folder: &Utf8Path, rpms: &[RpmFile], workers: usize) -> Result<Vec<PackageEntries>, MetadataError> {
    let size = |rpm: &RpmFile| usize::try_from(rpm.size).unwrap_or(usize::MAX);
    largest_first(workers, rpms, size, |rpm| read(folder, rpm))
}

fn read(folder: &Utf8Path, rpm: &RpmFile) -> Result<PackageEntries, MetadataError> {
    let path = folder.join(&rpm.href);
    let file = File::open(&path).map_err(MetadataError::io(&path))?;
    let mut reader = BufReader::with_capacity(READ, HashingReader::new(file));
    let header = parse_header(&path, &mut reader)?;
    drain(&mut reader).map_err(MetadataError::io(&path))?;
    let HashingReader { hasher, size, .. } = reader.into_inner();
    let location = RpmLocation {
        href: rpm.href.as_str(),
        digest: hasher.finish(),
        size,
        time: rpm.modified,
    };
    Ok(describe_parsed(&header, &path, location)?)
}

/// Reads to the end.
fn drain(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let length = reader.fill_buf()?.len();
        if length == 0 {
            return Ok(());
        }
        reader.consume(length);
    }
}

/// Reader that hashes and counts what passes.
struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    size: u64,
}

impl<R> HashingReader<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Hasher::new(),
            size: 0,
        }
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if let Some(bytes) = buffer.get(..length) {
            self.hasher.write_all(bytes)?;
        }
        self.size += length as u64;
        Ok(length)
    }
}
