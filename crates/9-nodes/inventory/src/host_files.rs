//! Files of a host below a root: bounded, and what cannot be looked at is remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use crate::{Unobserved, UnobservedReason};

/// Bytes of a file of settings.
const LARGEST: u64 = 1 << 20;
/// Bytes of all files together.
const LARGEST_SUM: u64 = 96 << 20;
/// Entries of a folder, and of a list of the inventory.
const MOST_ENTRIES: usize = 4096;
/// Files and folders below a folder, and levels of folders.
const MOST_BELOW: usize = 4096;
const DEEPEST: usize = 6;
/// Links on one way (as many as Linux follows).
const MOST_LINKS: usize = 40;
/// Paths that are remembered as not looked at.
const MOST_UNOBSERVED: usize = 1000;

/// Files of a host.
#[derive(Debug)]
pub(crate) struct HostFiles<'r> {
    root: &'r Path,
    left: u64,
    unobserved: BTreeSet<Unobserved>,
}

/// Kind of a path, after links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathKind {
    File,
    Folder,
    /// Device, pipe, socket.
    Other,
}

impl<'r> HostFiles<'r> {
    pub(crate) fn new(root: &'r Path) -> Self {
        Self {
            root,
            left: LARGEST_SUM,
            unobserved: BTreeSet::new(),
        }
    }

    /// Paths that could not be looked at.
    pub(crate) fn finish(&mut self) -> Vec<Unobserved> {
        std::mem::take(&mut self.unobserved).into_iter().collect()
    }

    /// Remembers a path that could not be looked at.
    pub(crate) fn miss(&mut self, path: &str, reason: UnobservedReason) {
        if self.unobserved.len() < MOST_UNOBSERVED {
            self.unobserved.insert(Unobserved {
                path: path.to_owned(),
                reason,
            });
        }
    }

    /// Text of a file; `None` if there is none, or it cannot be read.
    pub(crate) fn text(&mut self, path: &str) -> Option<String> {
        self.text_up_to(path, LARGEST)
    }

    /// Text of a file that may be larger than others.
    pub(crate) fn text_up_to(&mut self, path: &str, most: u64) -> Option<String> {
        match self.try_text(path, most) {
            Ok(text) => Some(text),
            Err(None) => None,
            Err(Some(reason)) => {
                self.miss(path, reason);
                None
            }
        }
    }

    /// First line of a file of the kernel, without white space around it. Such a file that cannot be read counts as absent.
    pub(crate) fn line(&mut self, path: &str) -> Option<String> {
        let text = self.try_text(path, LARGEST).ok()?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    fn try_text(&mut self, path: &str, most: u64) -> Result<String, Option<UnobservedReason>> {
        let real = self.resolve(Path::new(path)).map_err(|error| reason(&error))?;
        let metadata = fs_err::symlink_metadata(&real).map_err(|error| reason(&error))?;
        // Not opened: that alone may have an effect on a device, and wait on a pipe.
        if !metadata.is_file() {
            return Err(Some(UnobservedReason::OtherKind));
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(real.as_path(), flags, Mode::empty()).map_err(|error| reason(&error.into()))?;
        let most = most.min(self.left);
        let mut bytes = Vec::new();
        let read = std::fs::File::from(file)
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes);
        read.map_err(|error| reason(&error))?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(size);
        if size > most {
            return Err(Some(UnobservedReason::TooLarge));
        }
        if bytes.contains(&0) {
            return Err(Some(UnobservedReason::NoText));
        }
        Ok(printable(&String::from_utf8_lossy(&bytes)))
    }

    /// Names in a folder, in their order, as they are: the document cleans them. None if there is no such folder.
    pub(crate) fn names(&mut self, folder: &str) -> Vec<String> {
        let read = self.resolve(Path::new(folder)).and_then(fs_err::read_dir);
        let entries = match read {
            Ok(entries) => entries,
            Err(error) => {
                let reason = match error.kind() {
                    ErrorKind::NotADirectory if self.kind(folder).is_some() => Some(UnobservedReason::OtherKind),
                    _ => reason(&error),
                };
                if let Some(reason) = reason {
                    self.miss(folder, reason);
                }
                return Vec::new();
            }
        };
        let mut names = Vec::new();
        for entry in entries.take(MOST_ENTRIES.saturating_add(1)) {
            match entry {
                Ok(entry) => names.push(entry.file_name().to_string_lossy().into_owned()),
                Err(_) => self.miss(folder, UnobservedReason::Failed),
            }
        }
        if names.len() > MOST_ENTRIES {
            self.miss(folder, UnobservedReason::TooMany);
        }
        names.sort();
        names.truncate(MOST_ENTRIES);
        names
    }

    /// Remembers the file systems of the kernel that are not mounted below the root: without them, its command line, modules, drivers
    /// and interfaces would be missing without a word.
    pub(crate) fn miss_unmounted(&mut self) {
        for folder in ["/proc", "/sys"] {
            let entries = self.resolve(Path::new(folder)).and_then(fs_err::read_dir);
            let is_empty = match entries {
                Ok(mut entries) => entries.next().is_none(),
                Err(error) => error.kind() == ErrorKind::NotFound,
            };
            if is_empty {
                self.miss(folder, UnobservedReason::Empty);
            }
        }
    }

    /// Keeps as many entries of a list as an inventory has at most, and remembers where they are from if there are more.
    pub(crate) fn bound<T>(&mut self, list: &mut Vec<T>, path: &str) {
        if list.len() > MOST_ENTRIES {
            list.truncate(MOST_ENTRIES);
            self.miss(path, UnobservedReason::TooMany);
        }
    }

    /// Keeps as many entries as [`Self::bound`] does, and remembers the file of the first one that is left out.
    pub(crate) fn bound_by<T>(&mut self, list: &mut Vec<T>, file: impl Fn(&T) -> &str) {
        if let Some(path) = list.get(MOST_ENTRIES).map(|first| file(first).to_owned()) {
            self.bound(list, &path);
        }
    }

    /// Paths of the entries of a folder whose names have an ending, in their order.
    pub(crate) fn paths(&mut self, folder: &str, ending: &str) -> Vec<String> {
        let names = self.names(folder).into_iter();
        let names = names.filter(|name| name.ends_with(ending) && !name.starts_with('.'));
        names.map(|name| format!("{folder}/{name}")).collect()
    }

    /// Paths of a file and of its parts: the entries of a folder whose names have an ending. The file may not be there.
    pub(crate) fn with_parts(&mut self, file: &str, folder: &str, ending: &str) -> Vec<String> {
        let mut paths = vec![file.to_owned()];
        paths.extend(self.paths(folder, ending));
        paths
    }

    /// Paths of the entries of several folders by their names, which have an ending. Of two with one name, that of the later
    /// folder counts.
    pub(crate) fn by_name(&mut self, folders: &[&str], ending: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for folder in folders {
            for path in self.paths(folder, ending) {
                found.insert(path.rsplit('/').next().unwrap_or_default().to_owned(), path);
            }
        }
        found
    }

    /// Paths of files below a folder, also in folders of it; links to folders are not followed.
    pub(crate) fn files_below(&mut self, folder: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut left = vec![(folder.to_owned(), 0)];
        let mut seen = 0;
        while let Some((folder, depth)) = left.pop() {
            for path in self.paths(&folder, "") {
                seen += 1;
                if seen > MOST_BELOW {
                    self.miss(&folder, UnobservedReason::TooMany);
                    return found;
                }
                match (self.kind(&path), self.link(&path).is_some()) {
                    (Some(PathKind::File), _) => found.push(path),
                    (Some(PathKind::Folder), false) if depth < DEEPEST => left.push((path, depth + 1)),
                    (Some(PathKind::Folder), false) => self.miss(&path, UnobservedReason::TooMany),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }

    /// Kind of a path, after links; `None` if there is nothing.
    pub(crate) fn kind(&self, path: &str) -> Option<PathKind> {
        let real = self.resolve(Path::new(path)).ok()?;
        let metadata = fs_err::symlink_metadata(real).ok()?;
        Some(match metadata.file_type() {
            kind if kind.is_file() => PathKind::File,
            kind if kind.is_dir() => PathKind::Folder,
            _ => PathKind::Other,
        })
    }

    /// Returns `true` if there is something at a path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.kind(path).is_some()
    }

    /// Target of a link, as it is written; `None` for what is no link.
    pub(crate) fn link(&self, path: &str) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        let folder = self.resolve(Path::new(folder)).ok()?;
        let target = fs_err::read_link(folder.join(name)).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// Path without links that a path of the host leads to, with the root before it. Links are followed inside the root.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut left = steps(path);
        let mut real = PathBuf::new();
        let mut followed = 0;
        while let Some(step) = left.pop() {
            if step == ".." {
                real.pop();
                continue;
            }
            let next = real.join(&step);
            let full = self.root.join(&next);
            if !fs_err::symlink_metadata(&full)?.is_symlink() {
                real = next;
                continue;
            }
            followed += 1;
            if followed > MOST_LINKS {
                return Err(rustix::io::Errno::LOOP.into());
            }
            let target = fs_err::read_link(&full)?;
            if target.is_absolute() {
                real = PathBuf::new();
            }
            left.extend(steps(&target));
        }
        Ok(self.root.join(real))
    }
}

/// Steps of a path in reverse order.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter_map(|step| match step {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut steps: Vec<_> = steps.collect();
    steps.reverse();
    steps
}

/// Cause of an error; `None` where there is nothing.
fn reason(error: &io::Error) -> Option<UnobservedReason> {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return Some(UnobservedReason::LinkLoop);
    }
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => None,
        ErrorKind::PermissionDenied => Some(UnobservedReason::NeedsRoot),
        _ => Some(UnobservedReason::Failed),
    }
}

/// Text in which no control character but line breaks and tabs can reach a terminal.
fn printable(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        '\n' | '\t' => letter,
        '\r' => ' ',
        _ if letter.is_control() => char::REPLACEMENT_CHARACTER,
        _ => letter,
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        fs_err::create_dir_all(root.path().join("etc/deep/a/b/c/d/e/f/g/h")).expect("made");
        fs_err::write(root.path().join("etc/a"), "one\u{1b}[31m\r\n").expect("written");
        fs_err::write(root.path().join("etc/binary"), [0, 159, 146]).expect("written");
        for (target, link) in [
            ("/etc/a", "etc/absolute"),
            ("../../../etc/a", "etc/up"),
            ("loop", "etc/loop"),
        ] {
            fs_err::os::unix::fs::symlink(target, root.path().join(link)).expect("linked");
        }
        root
    }

    #[test]
    fn links_stay_inside_the_root() {
        let root = tree();
        let mut files = HostFiles::new(root.path());
        for path in ["/etc/a", "/etc/absolute", "/etc/up", "/../etc/./a"] {
            assert_eq!(files.text(path).as_deref(), Some("one\u{fffd}[31m \n"), "{path}");
        }
        assert_eq!(files.text("/etc/none"), None);
        assert_eq!(files.link("/etc/absolute").as_deref(), Some("/etc/a"));
        assert_eq!(files.finish(), []);
    }

    #[test]
    fn of_two_entries_with_one_name_the_later_folder_counts() {
        let root = tempfile::tempdir().expect("a folder");
        for path in ["usr/a.conf", "usr/b.conf", "etc/b.conf", "etc/c.txt"] {
            let path = root.path().join(path);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs_err::write(path, "").expect("written");
        }
        let mut files = HostFiles::new(root.path());
        let found: Vec<_> = files.by_name(&["/usr", "/etc"], ".conf").into_values().collect();
        assert_eq!(found, ["/usr/a.conf", "/etc/b.conf"]);
        let found = files.with_parts("/none.conf", "/usr", ".conf");
        assert_eq!(found, ["/none.conf", "/usr/a.conf", "/usr/b.conf"]);
    }

    #[test]
    fn what_cannot_be_read_is_remembered() {
        let root = tree();
        let fifo = root.path().join("etc/fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR).expect("a pipe");
        let mut files = HostFiles::new(root.path());
        for path in ["/etc/fifo", "/etc/loop", "/etc/binary", "/etc/deep"] {
            assert_eq!(files.text(path), None, "{path}");
        }
        assert_eq!(files.text_up_to("/etc/a", 3), None);
        assert_eq!(files.names("/etc/a"), Vec::<String>::new());
        files.files_below("/etc/deep");
        let missed = files.finish();
        let missed: Vec<_> = missed
            .iter()
            .map(|missed| (missed.path.as_str(), missed.reason))
            .collect();
        assert_eq!(
            missed,
            [
                ("/etc/a", UnobservedReason::TooLarge),
                ("/etc/a", UnobservedReason::OtherKind),
                ("/etc/binary", UnobservedReason::NoText),
                ("/etc/deep", UnobservedReason::OtherKind),
                ("/etc/deep/a/b/c/d/e/f/g", UnobservedReason::TooMany),
                ("/etc/fifo", UnobservedReason::OtherKind),
                ("/etc/loop", UnobservedReason::LinkLoop),
            ]
        );
    }

    #[test]
    fn the_sum_of_all_files_is_bounded() {
        let root = tree();
        let mut files = HostFiles::new(root.path());
        files.left = 5;
        assert_eq!(files.text("/etc/a"), None);
        assert_eq!(files.finish().len(), 1);
    }

    #[test]
    fn lists_are_bounded() {
        let root = tree();
        let mut files = HostFiles::new(root.path());
        let mut list = vec![0; MOST_ENTRIES + 1];
        files.bound(&mut list, "/etc/hosts");
        assert_eq!((list.len(), files.finish().len()), (MOST_ENTRIES, 1));
    }

    #[test]
    fn unmounted_file_systems_are_remembered() {
        let root = tree();
        fs_err::create_dir_all(root.path().join("proc")).expect("made");
        let mut files = HostFiles::new(root.path());
        files.miss_unmounted();
        let missed: Vec<String> = files.finish().into_iter().map(|missed| missed.path).collect();
        assert_eq!(missed, ["/proc", "/sys"]);
        fs_err::write(root.path().join("proc/cmdline"), "").expect("written");
        fs_err::create_dir_all(root.path().join("sys/bus")).expect("made");
        files.miss_unmounted();
        assert_eq!(files.finish(), []);
    }
}
