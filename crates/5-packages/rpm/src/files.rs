//! The files of an RPM as its header describes them.

use camino::Utf8Path;
use rpm::{FileFlags, PackageMetadata};

use crate::{RpmError, header};

/// Size in bytes of the largest file in a payload of the cpio format "newc"; rpm has another format for larger ones.
const MOST_IN_CPIO: u64 = u32::MAX as u64;

/// Type of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    Regular {
        /// SHA-256 digest of the content, in hexadecimal digits.
        digest: String,
        /// Size in bytes.
        size: u64,
    },
    /// A symbolic link, with its target.
    Symlink(String),
    /// A device node, a pipe or a socket, which Basalt's packages must not ship.
    Special,
}

/// A file of a package: path, type, owner and mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Absolute path.
    pub path: String,
    /// Type of the file.
    pub kind: FileKind,
    /// Permissions, with the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// Name of the owner.
    pub user: String,
    /// Name of the group.
    pub group: String,
    /// File capabilities, in the notation of `cap_from_text`; empty when there are none.
    pub capabilities: String,
    /// `true` for `%ghost`: the package owns the path, but its payload has no such file.
    pub ghost: bool,
}

/// Reads the list of files in an RPM's header. The payload is not touched.
///
/// # Errors
/// When the file cannot be read or is not an RPM.
pub fn read_files(path: &Utf8Path) -> Result<Vec<FileEntry>, RpmError> {
    files_of(path, &header::read_header(path)?)
}

/// Returns the list of files in a header; errors call its RPM `path`.
pub(crate) fn files_of(path: &Utf8Path, header: &PackageMetadata) -> Result<Vec<FileEntry>, RpmError> {
    let wrong = RpmError::header(path);
    let entries = match header.get_file_entries() {
        Err(rpm::Error::TagNotFound(_)) => return Ok(Vec::new()),
        other => other.map_err(&wrong)?,
    };
    entries
        .iter()
        .map(|entry| {
            let full = entry.path().to_string_lossy().into_owned();
            if !is_plain(&full) {
                return Err(RpmError::payload(
                    path,
                    format!("`{full}` is not an absolute path in normal form"),
                ));
            }
            // The list of names is read with this character in the place of bytes that are not UTF-8.
            if full.contains(char::REPLACEMENT_CHARACTER) {
                return Err(RpmError::malformed(
                    path,
                    format!("the name of the file `{full}` is not UTF-8"),
                ));
            }
            let kind = match entry.file_type() {
                rpm::FileType::Regular if entry.size() as u64 > MOST_IN_CPIO => {
                    return Err(RpmError::malformed(
                        path,
                        format!("`{full}` is larger than 4 GiB, which the payloads that are read here cannot hold"),
                    ));
                }
                rpm::FileType::Dir => FileKind::Directory,
                rpm::FileType::SymbolicLink => FileKind::Symlink(entry.linkto().unwrap_or_default().to_owned()),
                rpm::FileType::Regular => FileKind::Regular {
                    digest: entry
                        .digest()
                        .map(|digest| digest.as_hex().to_owned())
                        .unwrap_or_default(),
                    size: entry.size() as u64,
                },
                _ => FileKind::Special,
            };
            Ok(FileEntry {
                path: full,
                kind,
                mode: u32::from(entry.permissions()),
                user: entry.user().to_owned(),
                group: entry.group().to_owned(),
                capabilities: entry.caps().unwrap_or_default().to_owned(),
                ghost: entry.flags().contains(FileFlags::GHOST),
            })
        })
        .collect()
}

/// Returns `true` if a path is absolute and has no empty, `.` or `..` component.
pub(crate) fn is_plain(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| {
            rest.split('/')
                .all(|part| !part.is_empty() && part != "." && part != "..")
        })
}
