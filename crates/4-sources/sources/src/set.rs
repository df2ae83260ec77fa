//! The sources of one package, as they are at one moment.

use crate::source_lock::{SourceLock, check_file_name};
use basalt_sdk::SdkTree;
use basalt_store::{FileError, FolderSnapshot};
use camino::{Utf8Path, Utf8PathBuf};

use crate::SourcesError;
use crate::crates::CargoSource;
use crate::go::GoSource;

/// Name of a package's lock of sources, in its folder.
const LOCK: &str = "sources.toml";

/// A package's lock with the locks that it names: read once, and used as they were then.
#[derive(Debug, Clone)]
pub struct SourceSet {
    package: String,
    folder: Utf8PathBuf,
    lock: SourceLock,
    /// The package's folder, as it was read.
    files: FolderSnapshot,
    go: Vec<GoSource>,
    cargo: Vec<CargoSource>,
}

/// Repository and SDK with which sources are fetched.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Root of the repository.
    pub root: Utf8PathBuf,
    /// Tree of the SDK, which holds Go.
    pub sdk: SdkTree,
}

impl Tools {
    /// Tools that fetch for the packages of a repository.
    pub fn new(root: &Utf8Path, sdk: &SdkTree) -> Self {
        Self {
            root: root.to_owned(),
            sdk: sdk.clone(),
        }
    }
}

impl SourceSet {
    /// Reads the lock of the package in that folder, and the locks of modules and crates that it names; a package without
    /// one has no sources but its folder.
    ///
    /// # Errors
    /// When the folder cannot be read, a lock is wrong or not there, or the folder's name is none that a package may have.
    pub fn load(folder: &Utf8Path) -> Result<Self, SourcesError> {
        Self::of_snapshot(folder, &FolderSnapshot::take(folder)?)
    }

    /// The same, of a folder that was read already.
    ///
    /// # Errors
    /// When a lock is wrong or not there, and when the folder's name is none that a package may have.
    pub fn of_snapshot(folder: &Utf8Path, files: &FolderSnapshot) -> Result<Self, SourcesError> {
        let package = folder.file_name().unwrap_or_default();
        check_file_name(package).map_err(|message| SourcesError::PackageName {
            folder: folder.to_owned(),
            message,
        })?;
        let lock = match files.read(LOCK) {
            Some(bytes) => {
                let path = folder.join(LOCK);
                SourceLock::parse(&String::from_utf8_lossy(bytes), &path).map_err(Box::new)?
            }
            None => SourceLock::default(),
        };
        let mut set = Self::of_lock(package, folder, lock);
        set.files = files.clone();
        set.go = (set.lock.go.iter())
            .map(|modules| GoSource::read(&set, modules))
            .collect::<Result<_, _>>()?;
        set.cargo = (set.lock.cargo.iter())
            .map(|crates| CargoSource::read(&set, crates))
            .collect::<Result<_, _>>()?;
        Ok(set)
    }

    /// A set of downloaded files only.
    pub(crate) fn of_lock(package: &str, folder: &Utf8Path, lock: SourceLock) -> Self {
        Self {
            package: package.to_owned(),
            folder: folder.to_owned(),
            lock,
            files: FolderSnapshot::default(),
            go: Vec::new(),
            cargo: Vec::new(),
        }
    }

    /// Name of the package: that of its folder.
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The package's folder.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// The lock, as it was read.
    pub fn lock(&self) -> &SourceLock {
        &self.lock
    }

    /// Go modules that the package is made from.
    pub fn go(&self) -> &[GoSource] {
        &self.go
    }

    /// Crates that the package is made from, with the digests of their archives.
    pub fn cargo(&self) -> &[CargoSource] {
        &self.cargo
    }

    /// Returns `true` if the package is made from Go modules.
    pub fn has_go(&self) -> bool {
        !self.go.is_empty()
    }

    /// Returns `true` if the package is made from Go modules or crates.
    pub fn has_modules(&self) -> bool {
        !self.lock.go.is_empty() || !self.lock.cargo.is_empty()
    }

    /// Path of the lock, for errors.
    pub(crate) fn lock_path(&self) -> Utf8PathBuf {
        self.folder.join(LOCK)
    }

    /// Reads a file that the lock names: from the package's folder as it was read, else from the checkout.
    pub(crate) fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SourcesError> {
        let inside = path.strip_prefix(&self.folder).ok();
        if let Some(bytes) = inside.and_then(|name| self.files.read(name.as_str())) {
            return Ok(bytes.to_vec());
        }
        fs_err::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => SourcesError::NoSuchFile {
                lock: self.lock_path(),
                path: path.to_owned(),
            },
            _ => FileError::new("cannot read", path)(error).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InputContent;

    struct Fixture {
        _guard: tempfile::TempDir,
        root: Utf8PathBuf,
        folder: Utf8PathBuf,
        tools: Tools,
    }

    fn fixture(lock: &str) -> Fixture {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(guard.path().join("repository")).expect("UTF-8");
        let folder = root.join("distro/packages/x");
        fs_err::create_dir_all(&folder).expect("made");
        fs_err::create_dir_all(root.join("crates/a")).expect("made");
        fs_err::write(folder.join(LOCK), lock).expect("written");
        fs_err::write(root.join("crates/a/one"), "1").expect("written");
        Fixture {
            tools: Tools::new(&root, &SdkTree::outside(root.clone())),
            _guard: guard,
            root,
            folder,
        }
    }

    const TREE: &str = "[[tree]]\nname = \"repository\"\npaths = [\"crates/a\"]\n";

    #[test]
    fn a_lock_that_changes_is_read_once() {
        let fixture = fixture(TREE);
        let files = FolderSnapshot::take(&fixture.folder).expect("read");
        fs_err::write(fixture.folder.join(LOCK), "nonsense").expect("written");
        let set = SourceSet::of_snapshot(&fixture.folder, &files).expect("as it was");
        assert_eq!(set.inputs(&fixture.tools).expect("listed").len(), 1);
    }

    #[test]
    fn a_package_is_not_named_like_an_option() {
        let fixture = fixture("");
        for name in ["-rf", "--help", "a\nb", ".x"] {
            let folder = fixture.folder.with_file_name(name);
            fs_err::create_dir_all(&folder).expect("made");
            let error = SourceSet::load(&folder).expect_err(name);
            assert!(matches!(error, SourcesError::PackageName { .. }), "{error}");
        }
    }

    #[test]
    fn ten_thousand_files_in_one_folder() {
        let fixture = fixture(TREE);
        for number in 0..10_000 {
            fs_err::write(fixture.root.join(format!("crates/a/{number}")), "").expect("written");
        }
        let set = SourceSet::load(&fixture.folder).expect("loads");
        let inputs = set.inputs(&fixture.tools).expect("listed");
        let InputContent::Repository(snapshot) = &inputs[0].content else {
            panic!("{inputs:?}")
        };
        assert_eq!(snapshot.files().count(), 10_001);
    }
}
