//! Snapshots of a checkout's folders, read once into memory.
//!
//! A checkout may be edited while it is built. So everything of it that goes into a build is read once, into memory;
//! its digest and the build's inputs are made from that, never from the files again.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use basalt_action::{Blob, Directory, DirectoryError, Node};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;
use walkdir::WalkDir;

use crate::StoreError;

/// Modes of files in a build, as git knows them: not executable, and executable.
const MODES: [u32; 2] = [0o644, 0o755];

/// Files of a folder with their contents.
#[derive(Debug, Clone, Default)]
pub struct FolderSnapshot {
    files: BTreeMap<String, SnapshotFile>,
    links: BTreeMap<String, String>,
}

/// A file of a snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotFile {
    /// Digest and size of the content.
    pub blob: Blob,
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// 0644, or 0755 where the file's owner may execute it.
    pub mode: u32,
}

/// A folder of a checkout that cannot be an input.
#[derive(Debug, Error, Diagnostic)]
pub enum FolderSnapshotError {
    /// A link that leads out of the folder.
    #[error("`{path}` is a link that leads out of its folder, to `{target}`")]
    #[diagnostic(
        code(store::outside),
        help("a build sees nothing but its own folder: put a copy of the file there, or name it in sources.toml")
    )]
    Outside {
        /// The link.
        path: Utf8PathBuf,
        /// Target of the link.
        target: Utf8PathBuf,
    },
    /// Entry that is neither a file nor a folder nor a link.
    #[error("`{path}` is neither a file nor a folder nor a link")]
    #[diagnostic(code(store::special), help("take it out of the folder"))]
    Special {
        /// Path of the entry.
        path: Utf8PathBuf,
    },
    /// A name that is not UTF-8, or has control characters in it.
    #[error("the name `{}` cannot be an input", path.escape_debug())]
    #[diagnostic(
        code(store::name),
        help("rename it: names of inputs are UTF-8 without control characters")
    )]
    Name {
        /// Path of the entry; bytes that are not UTF-8 are replaced.
        path: String,
    },
    /// File operation that failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl FolderSnapshot {
    /// Makes a snapshot of ordinary files (mode 0644) with these paths and contents, as if a folder of them had been
    /// read.
    pub fn of_files(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files = files.into_iter().map(|(path, bytes)| {
            let blob = Blob::of(&bytes);
            let mode = MODES[0];
            (path, SnapshotFile { blob, bytes, mode })
        });
        Self {
            files: files.collect(),
            links: BTreeMap::new(),
        }
    }

    /// Reads a folder. Files of editors are left out: names that begin with a dot or a `#` or end with `~`, and
    /// dangling links.
    ///
    /// # Errors
    /// When an entry cannot be read or cannot be an input.
    pub fn take(folder: &Utf8Path) -> Result<Self, FolderSnapshotError> {
        Self::take_where(folder, |_| true)
    }

    /// Reads a single file or a folder like [`take`](Self::take), with only those entries for which `wanted` holds of
    /// their names.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub fn take_where(folder: &Utf8Path, wanted: impl Fn(&str) -> bool) -> Result<Self, FolderSnapshotError> {
        let mut snapshot = Self::default();
        let walk = WalkDir::new(folder).sort_by_file_name().into_iter();
        let kept = walk.filter_entry(|entry| {
            let name = entry.file_name().to_string_lossy();
            entry.depth() == 0 || !is_left_out(&name) && wanted(&name)
        });
        for entry in kept {
            basalt_process::interrupt::check().map_err(StoreError::from)?;
            let entry = entry.map_err(|error| {
                let path = error.path().and_then(Utf8Path::from_path).unwrap_or(folder).to_owned();
                StoreError::io("cannot read", &path)(error.into())
            })?;
            let name = || FolderSnapshotError::Name {
                path: entry.path().display().to_string(),
            };
            let path = Utf8Path::from_path(entry.path()).ok_or_else(name)?;
            let below = path.strip_prefix(folder).map_err(|_| name())?;
            // The folder itself may be named through a link, which is followed.
            if entry.depth() == 0 && folder.is_dir() {
                continue;
            }
            if below.as_str().chars().any(char::is_control) {
                return Err(name());
            }
            let kind = match entry.depth() {
                0 => fs_err::metadata(path)
                    .map_err(StoreError::io("cannot read", path))?
                    .file_type(),
                _ => entry.file_type(),
            };
            snapshot.add(folder, path, below, kind)?;
        }
        Ok(snapshot)
    }

    fn add(
        &mut self,
        folder: &Utf8Path,
        path: &Utf8Path,
        below: &Utf8Path,
        kind: std::fs::FileType,
    ) -> Result<(), FolderSnapshotError> {
        let failed = || StoreError::io("cannot read", path);
        if kind.is_symlink() {
            let target = path.read_link_utf8().map_err(failed())?;
            if path.exists() {
                if !stays_inside(folder, below) {
                    return Err(FolderSnapshotError::Outside {
                        path: path.to_owned(),
                        target,
                    });
                }
                self.links.insert(below.to_string(), target.into_string());
            }
        } else if kind.is_file() {
            let bytes = fs_err::read(path).map_err(failed())?;
            let executable = fs_err::metadata(path).map_err(failed())?.permissions().mode() & 0o100 != 0;
            let name = if below.as_str().is_empty() {
                path.file_name().unwrap_or_default()
            } else {
                below.as_str()
            };
            self.files.insert(
                name.to_owned(),
                SnapshotFile {
                    blob: Blob::of(&bytes),
                    bytes,
                    mode: if executable { MODES[1] } else { MODES[0] },
                },
            );
        } else if !kind.is_dir() {
            return Err(FolderSnapshotError::Special { path: path.to_owned() });
        }
        Ok(())
    }

    /// Adds all files of another snapshot below a path.
    pub fn extend_below(&mut self, path: &str, other: Self) {
        let below = |name: String| match path {
            "" => name,
            path => format!("{path}/{name}"),
        };
        self.files
            .extend(other.files.into_iter().map(|(name, file)| (below(name), file)));
        self.links
            .extend(other.links.into_iter().map(|(name, link)| (below(name), link)));
    }

    /// Removes a file, and returns it.
    pub fn remove(&mut self, name: &str) -> Option<SnapshotFile> {
        self.files.remove(name)
    }

    /// Iterates over the files, with their paths relative to the folder.
    pub fn files(&self) -> impl Iterator<Item = (&str, &SnapshotFile)> {
        self.files.iter().map(|(name, file)| (name.as_str(), file))
    }

    /// Returns the content of a file.
    pub fn read(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|file| file.bytes.as_slice())
    }

    /// Iterates over the entries for a directory, with their paths.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, Node)> {
        let files = self.files.iter().map(|(name, file)| {
            let node = Node::File {
                blob: file.blob,
                mode: file.mode,
            };
            (name.as_str(), node)
        });
        let links = self.links.iter().map(|(name, target)| {
            let target = target.clone();
            (name.as_str(), Node::Symlink { target })
        });
        files.chain(links)
    }

    /// Builds the directory of all entries.
    ///
    /// # Errors
    /// When names collide; those of a folder that was read never do.
    pub fn directory(&self) -> Result<Directory, DirectoryError> {
        let mut directory = Directory::new();
        for (name, node) in self.nodes() {
            directory.insert(name, node)?;
        }
        Ok(directory)
    }

    /// Writes all entries below a folder, with the modes of a checkout that was made with `umask`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_to(&self, folder: &Utf8Path, umask: u32) -> Result<(), StoreError> {
        for (name, file) in &self.files {
            write_file(&folder.join(name), file, umask)?;
        }
        for (name, target) in &self.links {
            let path = folder.join(name);
            create_parent(&path)?;
            fs_err::os::unix::fs::symlink(target, &path).map_err(StoreError::io("cannot link", &path))?;
        }
        Ok(())
    }
}

/// Writes one file of a snapshot.
///
/// # Errors
/// When it cannot be written.
pub fn write_file(path: &Utf8Path, file: &SnapshotFile, umask: u32) -> Result<(), StoreError> {
    create_parent(path)?;
    let write = || {
        fs_err::write(path, &file.bytes)?;
        let mode = std::fs::Permissions::from_mode(file.mode & !(umask & 0o777) | 0o400);
        fs_err::set_permissions(path, mode)
    };
    write().map_err(StoreError::io("cannot write", path))
}

fn create_parent(path: &Utf8Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) => fs_err::create_dir_all(parent).map_err(StoreError::io("cannot create", parent)),
        None => Ok(()),
    }
}

/// Returns `true` for names of files that editors leave behind.
fn is_left_out(name: &str) -> bool {
    name.starts_with(['.', '#']) || name.ends_with('~')
}

/// Greatest number of links that are followed in one path, as for the kernel (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// Returns `true` if a link, `below` the folder, leads to a path inside of the folder. Links on the way are followed as
/// the kernel does, and none of them may lead out either, not even to come back: in a build, the folder lies elsewhere.
fn stays_inside(folder: &Utf8Path, below: &Utf8Path) -> bool {
    let mut reached = Utf8PathBuf::new();
    // Components that are still to be walked, the next one last.
    let mut ahead: Vec<String> = below.components().rev().map(|part| part.to_string()).collect();
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            if !reached.pop() {
                return false;
            }
            continue;
        }
        reached.push(&name);
        let Ok(target) = folder.join(&reached).read_link_utf8() else {
            continue;
        };
        links += 1;
        if target.is_absolute() || links > MOST_LINKS {
            return false;
        }
        reached.pop();
        let parts = target.components().rev();
        let parts = parts.filter(|part| *part != camino::Utf8Component::CurDir);
        ahead.extend(parts.map(|part| part.to_string()));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let guard = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(guard.path().to_owned()).expect("UTF-8");
        (guard, path)
    }

    #[test]
    fn later_edits_do_not_reach_a_snapshot() {
        let (_guard, path) = folder();
        fs_err::write(path.join("x.spec"), "one").expect("written");
        let snapshot = FolderSnapshot::take(&path).expect("taken");
        fs_err::write(path.join("x.spec"), "two").expect("written");
        assert_eq!(snapshot.read("x.spec"), Some(&b"one"[..]));
        let (_guard, copy) = folder();
        snapshot.write_to(&copy, 0o022).expect("written");
        assert_eq!(fs_err::read(copy.join("x.spec")).expect("read"), b"one");
    }

    #[test]
    fn editors_files_are_no_inputs() {
        let (_guard, path) = folder();
        for name in ["a", ".a.swp", "a~", "#a#"] {
            fs_err::write(path.join(name), name).expect("written");
        }
        fs_err::os::unix::fs::symlink("nowhere", path.join(".#a")).expect("linked");
        fs_err::os::unix::fs::symlink("nowhere", path.join("dangling")).expect("linked");
        let snapshot = FolderSnapshot::take(&path).expect("taken");
        let names: Vec<_> = snapshot.nodes().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names, ["a"]);
    }

    #[test]
    fn an_executable_file_is_another_input() {
        let (_guard, path) = folder();
        let digest = || {
            FolderSnapshot::take(&path)
                .expect("taken")
                .directory()
                .expect("valid")
                .blob()
        };
        fs_err::write(path.join("a"), "a").expect("written");
        let before = digest();
        fs_err::set_permissions(path.join("a"), std::fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(digest(), before);
        fs_err::set_permissions(path.join("a"), std::fs::Permissions::from_mode(0o700)).expect("set");
        assert_ne!(digest(), before);
    }

    #[test]
    fn links_lead_nowhere_outside() {
        let (_guard, path) = folder();
        fs_err::create_dir(path.join("b")).expect("made");
        fs_err::write(path.join("a"), "a").expect("written");
        fs_err::os::unix::fs::symlink("../a", path.join("b/inside")).expect("linked");
        FolderSnapshot::take(&path).expect("taken");
        for target in ["/etc/passwd", "../../../../../../../etc/passwd"] {
            fs_err::os::unix::fs::symlink(target, path.join("b/outside")).expect("linked");
            let error = FolderSnapshot::take(&path).expect_err("outside");
            assert!(matches!(error, FolderSnapshotError::Outside { .. }), "{error}");
            fs_err::remove_file(path.join("b/outside")).expect("removed");
        }
    }

    #[test]
    fn links_lead_nowhere_outside_through_other_links() {
        let (_guard, above) = folder();
        let path = above.join("package");
        fs_err::create_dir_all(path.join("sub/deep")).expect("made");
        for file in [above.join("secret"), path.join("a"), path.join("sub/b")] {
            fs_err::write(file, "").expect("written");
        }
        let link = |target: &str, name: &str| {
            fs_err::os::unix::fs::symlink(target, path.join(name)).expect("linked");
        };
        link("..", "sub/up");
        link("up/sub/./deep/../b", "sub/inside");
        FolderSnapshot::take(&path).expect("taken");
        // By its names, the first of them stays; the second leads out and comes back.
        for target in ["up/../secret", "up/../package/a", "up/up"] {
            link(target, "sub/outside");
            let taken = FolderSnapshot::take(&path);
            let is_outside = matches!(taken, Err(FolderSnapshotError::Outside { .. }));
            assert_eq!(is_outside, target != "up/up", "{target}");
            fs_err::remove_file(path.join("sub/outside")).expect("removed");
        }
    }

    #[test]
    fn odd_entries_are_refused_by_name() {
        let (_guard, path) = folder();
        fs_err::write(path.join("two\nlines"), "").expect("written");
        let error = FolderSnapshot::take(&path).expect_err("a newline").to_string();
        assert!(error.contains("two\\nlines"), "{error}");
        fs_err::remove_file(path.join("two\nlines")).expect("removed");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path.join("pipe").as_std_path(),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .expect("made");
        let error = FolderSnapshot::take(&path).expect_err("a pipe");
        assert!(matches!(error, FolderSnapshotError::Special { .. }), "{error}");
    }
}
