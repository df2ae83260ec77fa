//! Files of a folder cache: opened with suspicion, written whole or not at all.

use std::fs::{Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW};

use super::plan::GRACE;
use super::{TEMPORARY, WINDOW_LOG};
use crate::transfer::CHUNK;

/// Age at which a read renews the time of last use.
pub(super) const RENEWED_BY_READ: Duration = Duration::from_secs(24 * 60 * 60);

/// Age at which a push renews the time of last use of a blob that it finds and does not write: half of the grace period
/// of collection, so that the blob stays for the other half at least, until the result that names it is written.
pub(super) const RENEWED_BY_PUSH: Duration = Duration::from_secs(GRACE.as_secs() / 2);

/// Opens an ordinary file; links are not followed, and a named pipe does not make anybody wait.
pub(super) fn open(path: &Utf8Path) -> io::Result<fs_err::File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut options = fs_err::OpenOptions::new();
    options
        .read(true)
        .options_mut()
        .custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Returns `true` for errors that mean "no such file": nothing at the path, a symbolic link, or a component that is no
/// folder.
pub(super) fn is_absent(error: &io::Error) -> bool {
    let link = rustix::io::Errno::LOOP.kind();
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) || error.kind() == link
}

/// Sets the mtime to the file server's time, if it is older than `limit` or in the future.
pub(super) fn renew(file: &fs_err::File, limit: Duration) {
    let fresh = |modified: SystemTime| modified.elapsed().is_ok_and(|age| age < limit);
    if file
        .metadata()
        .and_then(|metadata| metadata.modified())
        .is_ok_and(fresh)
    {
        return;
    }
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    if let Err(error) = rustix::fs::futimens(file, &times) {
        tracing::debug!(path = %file.path().display(), %error, "the time of last use cannot be renewed");
    }
}

/// Modes of what is made in a cache. They follow from the cache's own folder and not from the umask: who may write to
/// that folder may write to all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modes {
    folder: u32,
    file: u32,
}

impl Modes {
    /// Modes that follow from the metadata of the cache's folder: all of its bits for folders, for files those to read
    /// and to write.
    pub(super) fn of(metadata: &Metadata) -> Self {
        let mode = metadata.permissions().mode();
        Self {
            folder: mode & 0o7777,
            file: mode & 0o666,
        }
    }

    /// Makes a folder in one that exists. What is there already keeps its mode.
    fn create_folder(self, path: &Utf8Path) -> io::Result<()> {
        match fs_err::create_dir(path) {
            Ok(()) => fs_err::set_permissions(path, Permissions::from_mode(self.folder)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Beginning of the name of a temporary file, before its random letters.
const PREFIX: &str = "write-";

/// Number of random letters and digits in the name of a temporary file.
const RANDOM: usize = 24;

/// Returns `true` for names that [`replace`] gives to temporary files: nothing else in `tmp` belongs to the cache.
pub(super) fn is_temporary(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(is_random)
}

/// Returns `true` for names that earlier versions gave to temporary files: they show that a folder is a cache, and are
/// left alone, as somebody else may give such a name, too.
pub(super) fn is_earlier_temporary(name: &str) -> bool {
    is_random(name)
}

fn is_random(name: &str) -> bool {
    name.len() == RANDOM && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Writes a file below the cache's folder whole or not at all: into its `tmp`, synced, renamed. By hand beside
/// `basalt_store::write`, which knows neither streams nor `fsync`, and makes its temporary files in the folder that
/// readers list.
pub(super) fn replace(
    cache: &Utf8Path,
    path: &Utf8Path,
    modes: Modes,
    write: impl FnOnce(&mut fs_err::File) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = cache.join(TEMPORARY);
    modes.create_folder(&temporary)?;
    // `cas` or `ac`, and the shard in it; none for a file in the cache's folder itself.
    let below = path.strip_prefix(cache).map_err(io::Error::other)?;
    let mut parent = cache.to_owned();
    for name in below.parent().into_iter().flat_map(Utf8Path::components) {
        parent.push(name);
        modes.create_folder(&parent)?;
    }
    let made = tempfile::Builder::new()
        .prefix(PREFIX)
        .rand_bytes(RANDOM)
        .tempfile_in(&temporary)?;
    let (made, name) = made.into_parts();
    let mut file = fs_err::File::from_parts(made, name.to_path_buf());
    file.set_permissions(Permissions::from_mode(modes.file))?;
    write(&mut file)?;
    file.sync_all()?;
    drop(file);
    name.persist(path).map_err(|error| error.error)?;
    // Not every network file system syncs folders; the rename itself has succeeded.
    if let Err(error) = fs_err::File::open(&parent).and_then(|folder| folder.sync_all()) {
        tracing::debug!(%parent, %error, "the folder cannot be synced");
    }
    Ok(())
}

/// Content of a single zstd frame, with bounded memory.
pub(super) fn decoder<'f>(file: &'f mut Recorded<'_>) -> io::Result<impl Read + 'f> {
    let buffered = io::BufReader::with_capacity(CHUNK, file);
    let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered)?.single_frame();
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(decoder)
}

/// Reader that records its I/O error, to distinguish a failing disk from content that is no zstd frame.
pub(super) struct Recorded<'f> {
    file: &'f fs_err::File,
    error: Option<io::Error>,
}

impl<'f> Recorded<'f> {
    pub(super) fn new(file: &'f fs_err::File) -> Self {
        Self { file, error: None }
    }

    pub(super) fn error(self) -> Option<io::Error> {
        self.error
    }
}

impl Read for Recorded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.file;
        file.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.error = Some(error);
            }
            kind.into()
        })
    }
}

/// Time as the file server has it, by a file that is made for it: the clocks of those who share a folder may differ.
pub(super) fn server_time(temporary: &Utf8Path, modes: Modes) -> io::Result<SystemTime> {
    modes.create_folder(temporary)?;
    tempfile::tempfile_in(temporary)?.metadata()?.modified()
}
