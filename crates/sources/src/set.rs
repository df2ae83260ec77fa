//! The sources of one package, as they are at one moment.

use std::sync::OnceLock;

use basalt_model::digest::{Digest, Hasher};
use basalt_model::source_lock::{SourceLock, check_file_name};
use basalt_progress::Reporter;
use basalt_sdk::SdkTree;
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::crates::CargoSource;
use crate::download::Downloader;
use crate::go::GoSource;
use crate::repository::RepositoryTree;
use crate::{SourcesError, file, repository};

/// Name of a package's lock of sources, in its folder.
const LOCK: &str = "sources.toml";

/// A package's lock with everything of the repository that it names: read once, and used as it was then. What is read
/// again later (to copy a file, or because a program reads it) is compared with it.
#[derive(Debug, Clone)]
pub struct SourceSet {
    package: String,
    folder: Utf8PathBuf,
    lock: SourceLock,
    lock_digest: Option<Digest>,
    go: Vec<GoSource>,
    cargo: Vec<CargoSource>,
    /// Filled at the first use: only who uses it knows the root of the repository.
    trees: OnceLock<Vec<RepositoryTree>>,
}

/// What fetching works with.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The root of the repository.
    pub root: Utf8PathBuf,
    /// The tree with Go in it.
    pub sdk: SdkTree,
}

/// A source in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its name for the spec.
    pub name: String,
    /// The file or folder.
    pub path: Utf8PathBuf,
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
    /// When a lock is wrong or not there, and when the folder's name is none that a package may have.
    pub fn load(folder: &Utf8Path) -> Result<Self, SourcesError> {
        let package = folder.file_name().unwrap_or_default();
        check_file_name(package).map_err(|message| SourcesError::PackageName {
            folder: folder.to_owned(),
            message,
        })?;
        let path = folder.join(LOCK);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::io("cannot read", &path)(error).into()),
        };
        let lock = match &text {
            Some(text) => SourceLock::parse(text, &path).map_err(Box::new)?,
            None => SourceLock::default(),
        };
        let mut set = Self::of_lock(package, folder, lock);
        set.lock_digest = text.map(Digest::of);
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
            lock_digest: None,
            go: Vec::new(),
            cargo: Vec::new(),
            trees: OnceLock::new(),
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

    /// Digest of the lock's text; none where the package has no lock.
    pub fn lock_digest(&self) -> Option<Digest> {
        self.lock_digest
    }

    /// Go modules that the package is made from.
    pub fn go(&self) -> &[GoSource] {
        &self.go
    }

    /// Crates that the package is made from, with the digests of their archives.
    pub fn cargo(&self) -> &[CargoSource] {
        &self.cargo
    }

    /// Files of the repository that the package is made from, with their digests, as they were when this was asked first.
    ///
    /// # Errors
    /// When one is not there, or is no plain file.
    pub fn trees(&self, root: &Utf8Path) -> Result<&[RepositoryTree], SourcesError> {
        if let Some(trees) = self.trees.get() {
            return Ok(trees);
        }
        let trees = (self.lock.trees.iter())
            .map(|files| RepositoryTree::read(self, files, root))
            .collect::<Result<_, _>>()?;
        Ok(self.trees.get_or_init(|| trees))
    }

    /// Whether it is made from Go modules or crates.
    pub fn has_modules(&self) -> bool {
        !self.lock.go.is_empty() || !self.lock.cargo.is_empty()
    }

    /// Digest of all that the lock names. It reads files of the repository, once, and nothing else.
    ///
    /// # Errors
    /// When the lock names files of the repository that are not there.
    pub fn digest(&self, tools: &Tools) -> Result<Digest, SourcesError> {
        let mut hasher = Hasher::new();
        for file in &self.lock.files {
            hasher.fact("file", &file.file).fact("digest", file.sha256.as_bytes());
        }
        for modules in &self.go {
            hasher.fact("go", modules.key().as_bytes());
        }
        for crates in &self.cargo {
            hasher.fact("cargo", crates.key().as_bytes());
        }
        for tree in self.trees(&tools.root)? {
            hasher.fact("tree", tree.key().as_bytes());
        }
        Ok(hasher.finish())
    }

    /// Brings all of it into the store, as far as it is not there.
    ///
    /// # Errors
    /// When something cannot be had, or is not what is locked; when a file of the repository changed since it was read.
    pub fn fetch(&self, store: &Store, tools: &Tools, reporter: &dyn Reporter) -> Result<Vec<Fetched>, SourcesError> {
        let downloader = Downloader::default();
        let mut fetched = Vec::new();
        let mut add = |name: &str, path| {
            fetched.push(Fetched {
                name: name.to_owned(),
                path,
            });
        };
        for file in &self.lock.files {
            add(&file.file, file::fetch(self, file, store, &downloader, reporter)?);
        }
        for modules in &self.go {
            add("gomodcache", modules.fetch(self, store, tools, reporter)?);
        }
        for crates in &self.cargo {
            add("vendor", crates.fetch(self, store, reporter)?);
        }
        for tree in self.trees(&tools.root)? {
            add(&tree.name, repository::fetch(self, tree, store, tools)?);
        }
        Ok(fetched)
    }

    /// The lock's path, for errors.
    pub(crate) fn lock_path(&self) -> Utf8PathBuf {
        self.folder.join(LOCK)
    }

    /// Reads a file that the lock names.
    pub(crate) fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SourcesError> {
        std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => SourcesError::NoSuchFile {
                lock: self.lock_path(),
                path: path.to_owned(),
            },
            _ => StoreError::io("cannot read", path)(error).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixture {
        _guard: tempfile::TempDir,
        root: Utf8PathBuf,
        folder: Utf8PathBuf,
        tools: Tools,
        store: Store,
    }

    fn fixture(lock: &str) -> Fixture {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(guard.path().join("repository")).expect("UTF-8");
        let folder = root.join("distro/packages/x");
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::create_dir_all(root.join("crates/a")).expect("made");
        std::fs::write(folder.join(LOCK), lock).expect("written");
        std::fs::write(root.join("crates/a/one"), "1").expect("written");
        let sdk = SdkTree {
            path: root.clone(),
            digest: Digest::of(""),
        };
        let store = Store::open(&root.with_file_name("store")).expect("opens");
        Fixture {
            tools: Tools::new(&root, &sdk),
            store,
            _guard: guard,
            root,
            folder,
        }
    }

    const TREE: &str = "[[tree]]\nname = \"repository\"\npaths = [\"crates/a\"]\n";

    #[test]
    fn a_file_that_changes_under_the_lock_is_an_error() {
        let fixture = fixture(TREE);
        let set = SourceSet::load(&fixture.folder).expect("loads");
        let before = set.digest(&fixture.tools).expect("digested");
        std::fs::write(fixture.root.join("crates/a/one"), "2").expect("written");
        // It is what it was, whatever becomes of the files.
        assert_eq!(set.digest(&fixture.tools).expect("digested"), before);
        assert_eq!(
            set.materials(&fixture.tools).expect("listed")[0].sha256,
            Digest::of("1")
        );
        let error = set
            .fetch(&fixture.store, &fixture.tools, &basalt_progress::Silent)
            .expect_err("changed");
        assert!(error.to_string().contains("changed while"), "{error}");
        let again = SourceSet::load(&fixture.folder).expect("loads");
        assert_ne!(again.digest(&fixture.tools).expect("digested"), before);
        let fetched = again
            .fetch(&fixture.store, &fixture.tools, &basalt_progress::Silent)
            .expect("fetched");
        assert_eq!(std::fs::read(fetched[0].path.join("crates/a/one")).expect("read"), b"2");
    }

    #[test]
    fn a_lock_that_changes_is_read_once() {
        let fixture = fixture(TREE);
        let set = SourceSet::load(&fixture.folder).expect("loads");
        assert_eq!(set.lock_digest(), Some(Digest::of(TREE)));
        std::fs::write(fixture.folder.join(LOCK), "nonsense").expect("written");
        set.fetch(&fixture.store, &fixture.tools, &basalt_progress::Silent)
            .expect("as it was");
    }

    #[test]
    fn links_and_pipes_of_the_repository_are_no_sources() {
        let fixture = fixture(TREE);
        std::os::unix::fs::symlink("/etc/passwd", fixture.root.join("crates/a/two")).expect("linked");
        let set = SourceSet::load(&fixture.folder).expect("loads");
        let error = set.digest(&fixture.tools).expect_err("a link").to_string();
        assert!(
            error.contains("crates/a/two") && error.contains("neither a file nor a folder"),
            "{error}"
        );
        let mode = |run: bool| {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::Permissions::from_mode(if run { 0o755 } else { 0o644 });
            std::fs::set_permissions(fixture.root.join("crates/a/one"), mode).expect("set");
            SourceSet::load(&fixture.folder)
                .expect("loads")
                .digest(&fixture.tools)
                .expect("digested")
        };
        std::fs::remove_file(fixture.root.join("crates/a/two")).expect("removed");
        assert_ne!(mode(true), mode(false), "who may run a file is part of it");
    }

    #[test]
    fn a_package_is_not_named_like_an_option() {
        let fixture = fixture("");
        for name in ["-rf", "--help", "a\nb", ".x"] {
            let folder = fixture.folder.with_file_name(name);
            std::fs::create_dir_all(&folder).expect("made");
            let error = SourceSet::load(&folder).expect_err(name);
            assert!(matches!(error, SourcesError::PackageName { .. }), "{error}");
        }
    }

    #[test]
    fn ten_thousand_files_in_one_folder() {
        let fixture = fixture(TREE);
        for number in 0..10_000 {
            std::fs::write(fixture.root.join(format!("crates/a/{number}")), "").expect("written");
        }
        let set = SourceSet::load(&fixture.folder).expect("loads");
        assert_eq!(set.trees(&fixture.root).expect("listed")[0].files.len(), 10_001);
        let fetched = set
            .fetch(&fixture.store, &fixture.tools, &basalt_progress::Silent)
            .expect("fetched");
        let folder = fetched[0].path.join("crates/a");
        assert_eq!(std::fs::read_dir(folder).expect("listed").count(), 10_001);
    }
}
