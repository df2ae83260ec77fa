//! Writing what the checks let through.

use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tar::EntryType;

use crate::{ArchiveEntry, ArchiveError, Checker, EntryKind, ExtractionStep, Policy};

/// Bytes after the end of an archive that are read to see the end of what it is compressed with.
const TRAILER: u64 = 1 << 20;

/// An archive that was extracted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractionSummary {
    /// Files, links and folders that were made.
    pub entries: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// Extracts a tar archive, uncompressed by `reader`, into an empty folder. `name` is for errors.
///
/// Owners are not kept. Set-user-ID and set-group-ID bits are dropped. Folders are open to their owner.
///
/// # Errors
/// When the archive breaks a rule of the policy or is damaged, and when the folder cannot be written. What was extracted
/// until then stays: the caller throws the folder away.
pub fn extract(
    reader: impl Read,
    name: &str,
    into: &Utf8Path,
    policy: Policy<'_>,
) -> Result<ExtractionSummary, ArchiveError> {
    let damaged = |source| ArchiveError::Damaged {
        archive: name.to_owned(),
        source,
    };
    let mut archive = tar::Archive::new(reader);
    let mut checker = Checker::new(policy);
    let mut target = Target {
        name,
        into,
        policy,
        summary: ExtractionSummary::default(),
        folders: Vec::new(),
        last_parent: Utf8PathBuf::new(),
    };
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let step = check(&mut checker, &entry, name)?;
        target.make(step, &mut entry)?;
    }
    // The sum at the end of a compressed stream is looked at only by who reads that far.
    let rest = io::copy(&mut archive.into_inner().take(TRAILER), &mut io::sink());
    rest.map_err(damaged)?;
    target.close()
}

fn check<R: Read>(
    checker: &mut Checker<'_>,
    entry: &tar::Entry<'_, R>,
    archive: &str,
) -> Result<ExtractionStep, ArchiveError> {
    let name = entry.path_bytes();
    let target = entry.link_name_bytes().unwrap_or_default();
    let head = ArchiveEntry {
        name: &name,
        kind: kind(entry.header().entry_type()),
        size: entry.size(),
        target: &target,
    };
    checker.check(&head).map_err(|violation| ArchiveError::Violation {
        archive: archive.to_owned(),
        entry: String::from_utf8_lossy(&name).into_owned(),
        violation,
    })
}

fn kind(kind: EntryType) -> EntryKind {
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => EntryKind::File,
        EntryType::Directory => EntryKind::Folder,
        EntryType::Symlink => EntryKind::Symlink,
        EntryType::Link => EntryKind::HardLink,
        EntryType::Char => EntryKind::Special("character device"),
        EntryType::Block => EntryKind::Special("block device"),
        EntryType::Fifo => EntryKind::Special("pipe"),
        EntryType::XGlobalHeader => EntryKind::Metadata,
        other => EntryKind::Unknown(other.as_byte()),
    }
}

/// The folder that is filled.
struct Target<'a> {
    name: &'a str,
    into: &'a Utf8Path,
    policy: Policy<'a>,
    summary: ExtractionSummary,
    /// Folders with the modes that they get in the end: some may not be written to.
    folders: Vec<(Utf8PathBuf, u32)>,
    /// The folder that was made or seen last: most entries are in the same one as those before them.
    last_parent: Utf8PathBuf,
}

impl Target<'_> {
    fn make<R: Read>(&mut self, step: ExtractionStep, entry: &mut tar::Entry<'_, R>) -> Result<(), ArchiveError> {
        match step {
            ExtractionStep::Skip => return Ok(()),
            ExtractionStep::Folder(path) => {
                let path = self.into.join(path);
                fs_err::create_dir_all(&path).map_err(ArchiveError::write(self.name, "cannot create", &path))?;
                self.folders.push((path, self.mode(entry, true)?));
            }
            ExtractionStep::File(path) => self.file(&path, entry)?,
            ExtractionStep::Symlink(path, to) => {
                let path = self.parent(&path)?;
                fs_err::os::unix::fs::symlink(to, &path).map_err(ArchiveError::write(
                    self.name,
                    "cannot create",
                    &path,
                ))?;
            }
            ExtractionStep::HardLink(path, to) => {
                let path = self.parent(&path)?;
                fs_err::hard_link(self.into.join(to), &path).map_err(ArchiveError::write(
                    self.name,
                    "cannot link",
                    &path,
                ))?;
            }
        }
        self.summary.entries += 1;
        Ok(())
    }

    fn file<R: Read>(&mut self, path: &Utf8Path, entry: &mut tar::Entry<'_, R>) -> Result<(), ArchiveError> {
        let path = self.parent(path)?;
        let name = self.name;
        let write = |what, path| ArchiveError::write(name, what, path);
        let mode = self.mode(entry, false)?;
        let mut file = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(write("cannot create", &path))?;
        let wanted = entry.size();
        let written = io::copy(entry, &mut file).map_err(|source| match source.kind() {
            // Of the archive, not of our disk.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                self.damaged(source)
            }
            _ => write("cannot write", &path)(source),
        })?;
        if written != wanted {
            return Err(self.damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        self.summary.bytes += written;
        if self.policy.metadata
            && let Ok(seconds) = entry.header().mtime()
            && let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        {
            // A time that this file system cannot keep is no reason to do without the file.
            let _ = file.file().set_modified(time);
        }
        file.set_permissions(std::fs::Permissions::from_mode(mode))
            .map_err(write("cannot change the permissions of", &path))
    }

    /// Path of an entry below the target folder; creates the folders above it where the archive has no entries for
    /// them.
    fn parent(&mut self, path: &Utf8Path) -> Result<Utf8PathBuf, ArchiveError> {
        let path = self.into.join(path);
        if let Some(parent) = path.parent()
            && parent != self.last_parent
        {
            fs_err::create_dir_all(parent).map_err(ArchiveError::write(self.name, "cannot create", parent))?;
            self.last_parent = parent.to_owned();
        }
        Ok(path)
    }

    fn mode<R: Read>(&self, entry: &tar::Entry<'_, R>, folder: bool) -> Result<u32, ArchiveError> {
        let mode = entry.header().mode().map_err(|source| self.damaged(source))?;
        Ok(match (self.policy.metadata, folder) {
            (true, true) => mode & 0o1777 | 0o700,
            (true, false) => mode & 0o777,
            (false, true) => 0o755,
            (false, false) if mode & 0o100 != 0 => 0o755,
            (false, false) => 0o644,
        })
    }

    fn damaged(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Damaged {
            archive: self.name.to_owned(),
            source,
        }
    }

    fn close(self) -> Result<ExtractionSummary, ArchiveError> {
        for (path, mode) in self.folders.iter().rev() {
            fs_err::set_permissions(path, std::fs::Permissions::from_mode(*mode)).map_err(ArchiveError::write(
                self.name,
                "cannot change the permissions of",
                path,
            ))?;
        }
        Ok(self.summary)
    }
}
