//! Files below a root: what is not there is no setting, what cannot be read is noted.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use crate::UnreadPath;

/// Most bytes of a file that are read.
const LARGEST: u64 = 1 << 20;

/// Folder of dpkg's lists of files.
const DPKG: &str = "/var/lib/dpkg/info";

/// Reader of a machine's files.
pub(crate) struct InventoryReader {
    root: PathBuf,
    unread: Vec<UnreadPath>,
    /// Files below /etc that packages brought.
    of_packages: BTreeSet<String>,
}

impl InventoryReader {
    pub(crate) fn new(root: &Path) -> Self {
        let mut reader = Self {
            root: root.to_owned(),
            unread: Vec::new(),
            of_packages: BTreeSet::new(),
        };
        for list in reader.files(DPKG).into_iter().filter(|name| name.ends_with(".list")) {
            let text = reader.text(&format!("{DPKG}/{list}")).unwrap_or_default();
            let files = text.lines().filter(|line| line.starts_with("/etc/"));
            reader.of_packages.extend(files.map(str::to_owned));
        }
        reader
    }

    pub(crate) fn into_unread(self) -> Vec<UnreadPath> {
        self.unread
    }

    /// Returns `true` for a file that a package brought. Where there is no dpkg, none is known.
    pub(crate) fn is_of_package(&self, path: &str) -> bool {
        self.of_packages.contains(path)
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn note(&mut self, path: &str, error: &std::io::Error) {
        // Of an error of fs_err, the kind is what the system said; the path stands beside it.
        let reason = error.kind().to_string();
        let unread = UnreadPath {
            path: path.to_owned(),
            reason,
        };
        if !self.unread.contains(&unread) {
            self.unread.push(unread);
        }
    }

    /// Text of a file; nothing if there is none, or if it cannot be read.
    pub(crate) fn text(&mut self, path: &str) -> Option<String> {
        let read = || -> std::io::Result<String> {
            let mut bytes = Vec::new();
            fs_err::File::open(self.place(path))?
                .take(LARGEST)
                .read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        match read() {
            Ok(text) => Some(text),
            Err(error) => {
                self.missing(path, &error);
                None
            }
        }
    }

    /// Notes a failure, unless there is nothing.
    fn missing(&mut self, path: &str, error: &std::io::Error) {
        if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
            self.note(path, error);
        }
    }

    /// Names in a folder, sorted.
    fn names(&mut self, folder: &str, wanted: fn(&std::fs::FileType) -> bool) -> Vec<String> {
        let entries = match fs_err::read_dir(self.place(folder)) {
            Ok(entries) => entries,
            Err(error) => {
                self.missing(folder, &error);
                return Vec::new();
            }
        };
        let mut names = BTreeSet::new();
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.file_type()?, entry))) {
                Ok((kind, entry)) if wanted(&kind) => {
                    names.insert(entry.file_name().to_string_lossy().into_owned());
                }
                Ok(_) => {}
                Err(error) => self.note(folder, &error),
            }
        }
        names.into_iter().collect()
    }

    /// Names of the files in a folder, links among them.
    pub(crate) fn files(&mut self, folder: &str) -> Vec<String> {
        self.names(folder, |kind| !kind.is_dir())
    }

    /// Names of the files in a folder that are no links.
    pub(crate) fn own_files(&mut self, folder: &str) -> Vec<String> {
        self.names(folder, std::fs::FileType::is_file)
    }

    /// Names of the folders in a folder.
    pub(crate) fn folders(&mut self, folder: &str) -> Vec<String> {
        self.names(folder, std::fs::FileType::is_dir)
    }
}
