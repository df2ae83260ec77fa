//! The disk space that a sandbox uses, measured by walking over the folders that it may write to.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

/// The least time between two walks.
const SHORTEST: Duration = Duration::from_millis(500);
/// Ratio of the pause after a walk to the time that the walk took: measuring takes 1/20 of a processor at most.
const RATIO: u32 = 20;
/// Folders deeper than this are not looked into: each one on the way is an open descriptor.
const DEPTH: usize = 200;

/// The folders, and what was seen in them.
pub(crate) struct Measured {
    folders: Vec<Utf8PathBuf>,
    limit: Option<u64>,
    /// Bytes in the folders before the sandbox started.
    before: u64,
    used: u64,
    peak: u64,
    next: Instant,
    took: Duration,
}

impl Measured {
    /// Nothing is measured where there is no limit.
    pub(crate) fn of(folders: Vec<Utf8PathBuf>, limit: Option<u64>) -> Self {
        let mut measured = Self {
            folders,
            limit,
            before: 0,
            used: 0,
            peak: 0,
            next: Instant::now(),
            took: Duration::ZERO,
        };
        if limit.is_some() {
            measured.before = measured.walk();
        }
        measured
    }

    /// The bytes that were added since the start, as of the last walk; walks again when it is time.
    pub(crate) fn used(&mut self) -> u64 {
        if self.limit.is_some() && Instant::now() >= self.next {
            self.used = self.walk().saturating_sub(self.before);
            self.peak = self.peak.max(self.used);
        }
        self.used
    }

    /// The most that was seen, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// The time until the next walk.
    pub(crate) fn pause(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    fn walk(&mut self) -> u64 {
        let began = Instant::now();
        let used = self.folders.iter().map(|folder| used_below(folder)).sum();
        self.took = began.elapsed();
        self.next = Instant::now() + SHORTEST.max(self.took * RATIO);
        used
    }
}

/// The bytes on disk of all that is below a folder, or of a file. A file with several names counts once in all.
fn used_below(path: &Utf8Path) -> u64 {
    match open_folder(CWD, path.as_str()) {
        Ok(folder) => entries(folder, 0),
        Err(_) => rustix::fs::lstat(path.as_std_path()).map_or(0, |status| bytes(&status)),
    }
}

/// Opens a folder without following a link: the confined program may change the tree during the walk.
fn open_folder(at: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn entries(folder: OwnedFd, depth: usize) -> u64 {
    let mut sum = 0;
    let Ok(entries) = Dir::read_from(&folder) else { return 0 };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let Ok(status) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        sum += bytes(&status);
        if FileType::from_raw_mode(status.st_mode) == FileType::Directory && depth < DEPTH {
            sum += open_folder(&folder, name).map_or(0, |below| self::entries(below, depth + 1));
        }
    }
    sum
}

fn bytes(status: &rustix::fs::Stat) -> u64 {
    let names = match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => 1,
        _ => u64::from(u32::try_from(status.st_nlink).unwrap_or(1)).max(1),
    };
    u64::try_from(status.st_blocks).unwrap_or_default() * 512 / names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_counts_and_links_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let (inside, outside) = (path.join("inside"), path.join("outside"));
        std::fs::create_dir_all(inside.join("deep")).expect("made");
        std::fs::create_dir(&outside).expect("made");
        std::fs::write(outside.join("large"), vec![1; 9 << 20]).expect("written");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("linked");
        std::fs::write(inside.join("before"), vec![1; 1 << 20]).expect("written");
        let mut measured = Measured::of(vec![inside.clone()], Some(1));
        std::fs::write(inside.join("deep/file"), vec![1; 3 << 20]).expect("written");
        std::fs::hard_link(inside.join("deep/file"), inside.join("same")).expect("linked");
        measured.next = Instant::now();
        let used = measured.used();
        assert!((3 << 20..4 << 20).contains(&used), "{used}");
        assert_eq!(measured.peak(), used);
        assert!(measured.pause() > Duration::from_millis(100));
    }

    #[test]
    fn without_a_limit_nothing_is_measured() {
        let mut measured = Measured::of(vec!["/".into()], None);
        assert_eq!(measured.used(), 0);
    }
}
