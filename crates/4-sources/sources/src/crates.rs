//! Crates, as a directory source of cargo: a pure function of the archives that a Cargo.lock names.
//!
//! ```text
//! Cargo.lock --(crate_files)--> NAME-VERSION.crate and its SHA-256 --(object in the store, CARGO_HOME, cargo fetch)-->
//! objects --(fill: unpack, .cargo-checksum.json)--> NAME-VERSION/
//! ```
//!
//! The machine's cargo is a downloader only: with its own configuration of registries, mirrors and proxies, and offline when
//! it has the crates. What it is, and how it would lay them out, goes into nothing.

use crate::source_lock::Crates;
use basalt_action::Action;
use basalt_archive::Policy;
use basalt_digest::Digest;
use basalt_process::{Command, interrupt, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cargo_lock::{CrateFile, crate_files};
use crate::input::file_node;
use crate::{SourceSet, SourcesError};

/// Crates of a package: the Cargo.lock that names them, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CargoSource {
    /// Where it is, from the package's folder.
    lock: Utf8PathBuf,
    files: Vec<CrateFile>,
}

impl CargoSource {
    pub(crate) fn read(set: &SourceSet, crates: &Crates) -> Result<Self, SourcesError> {
        let path = set.folder().join(&crates.lock);
        let text = set.read(&path)?;
        let wrong = |message| SourcesError::CargoLock {
            lock: path.clone(),
            message,
        };
        let text = String::from_utf8(text).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        Ok(Self {
            lock: crates.lock.clone(),
            files: crate_files(&text, crates.package.as_deref()).map_err(wrong)?,
        })
    }

    /// Path of the Cargo.lock, from the package's folder.
    pub fn lock(&self) -> &Utf8Path {
        &self.lock
    }

    /// Archives of all crates, sorted by name and version.
    pub fn files(&self) -> &[CrateFile] {
        &self.files
    }

    /// The action that unpacks: the names and digests of all archives decide what is in the folder.
    pub(crate) fn action(&self, set: &SourceSet) -> Result<Action, SourcesError> {
        let inputs = set.action_inputs([("crates", file_node(self.list().as_bytes()))])?;
        Ok(Action::function("vendor-crates", &[include_str!("crates.rs")], inputs))
    }

    /// Every archive in a line, as sha256sum(1) writes it.
    fn list(&self) -> String {
        let lines = self.files.iter();
        lines
            .map(|file| format!("{}  {}\n", file.sha256, file.file()))
            .collect()
    }

    /// Brings the archives into the store, as far as they are not there: from the machine's CARGO_HOME, which cargo fills if
    /// need be. Each is taken by its digest.
    ///
    /// # Errors
    /// When cargo cannot fetch one, or brings another one than the lock says.
    pub fn fetch_archives(&self, set: &SourceSet, store: &Store, reporter: &dyn Reporter) -> Result<(), SourcesError> {
        if self.take(&cargo_home(), store)?.is_empty() {
            return Ok(());
        }
        let task = reporter.task(&format!("{}: crates", set.package()), Unit::Items, None);
        let manifest = set.folder().join(&self.lock).with_file_name("Cargo.toml");
        let folder = manifest.parent().unwrap_or(set.folder());
        Command::tool(tool::CARGO)
            .args(["fetch", "--quiet", "--locked", "--manifest-path"])
            .arg(&manifest)
            .current_dir(folder)
            .output()
            .map_err(|source| SourcesError::Modules {
                what: "crates",
                package: set.package().to_owned(),
                source: Box::new(source),
            })?;
        let missing = self.take(&cargo_home(), store)?;
        let Some((file, seen)) = missing.first() else {
            task.finish(Outcome::Done);
            return Ok(());
        };
        Err(SourcesError::CrateFile {
            package: set.package().to_owned(),
            file: file.file(),
            sha256: file.sha256,
            seen: match seen {
                Some(actual) => format!("the one there has {actual}"),
                None => "there is none of that name".to_owned(),
            },
        })
    }

    /// Takes what cargo has into the store. Returns what is missing, with the digest of an archive of that name.
    fn take(&self, home: &Utf8Path, store: &Store) -> Result<Vec<(&CrateFile, Option<Digest>)>, SourcesError> {
        let mut missing = Vec::new();
        let caches = registries(&home.join("registry/cache"));
        for file in &self.files {
            interrupt::check()?;
            if store.object(&file.sha256).is_some() {
                continue;
            }
            let mut seen = None;
            for path in caches.iter().map(|cache| cache.join(file.file())) {
                if !path.is_file() {
                    continue;
                }
                let (digest, _) = basalt_store::digest_of(&path)?;
                if digest == file.sha256 {
                    store.insert_file(&path)?;
                    break;
                }
                seen = Some(digest);
            }
            if store.object(&file.sha256).is_none() {
                missing.push((file, seen));
            }
        }
        Ok(missing)
    }

    /// Unpacks the archives, which the store has, below `tree`, which is empty, and writes what makes it a directory source.
    ///
    /// # Errors
    /// When an archive holds anything but files and folders below NAME-VERSION.
    pub fn fill(&self, tree: &Utf8Path, store: &Store) -> Result<(), SourcesError> {
        for file in &self.files {
            interrupt::check()?;
            let object = store.object_path(&file.sha256);
            let archive = fs_err::File::open(&object).map_err(StoreError::io("cannot read", &object))?;
            let folder = file.folder();
            basalt_archive::extract(
                flate2::read::GzDecoder::new(std::io::BufReader::new(archive)),
                &file.file(),
                tree,
                Policy::library(&folder),
            )
            .map_err(|error| SourcesError::Archive(Box::new(error)))?;
            write_checksum(&tree.join(&folder), file)?;
        }
        Ok(())
    }
}

/// Writes what cargo asks of a directory source: the archive's digest, which it compares with Cargo.lock. Digests of single
/// files are for those who edit them; there are none here.
fn write_checksum(folder: &Utf8Path, file: &CrateFile) -> Result<(), StoreError> {
    let path = folder.join(".cargo-checksum.json");
    let text = format!("{{\"files\":{{}},\"package\":\"{}\"}}", file.sha256);
    fs_err::write(&path, text).map_err(StoreError::io("cannot write", &path))
}

/// Where the machine's cargo keeps what it fetched.
fn cargo_home() -> Utf8PathBuf {
    let named = std::env::var("CARGO_HOME").ok().filter(|home| !home.is_empty());
    match named {
        Some(home) => home.into(),
        None => Utf8PathBuf::from(std::env::var("HOME").unwrap_or_default()).join(".cargo"),
    }
}

/// Folders of archives, one for each registry.
fn registries(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(camino::Utf8DirEntry::into_path).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    struct Fixture {
        guard: tempfile::TempDir,
        store: Store,
    }

    impl Fixture {
        fn new() -> Self {
            let guard = tempfile::tempdir().expect("a folder");
            let path = Utf8PathBuf::from_path_buf(guard.path().join("store")).expect("UTF-8");
            Self {
                store: Store::open(&path).expect("opens"),
                guard,
            }
        }

        fn path(&self, name: &str) -> Utf8PathBuf {
            let path = Utf8PathBuf::from_path_buf(self.guard.path().join(name)).expect("UTF-8");
            fs_err::create_dir_all(path.parent().expect("one")).expect("made");
            path
        }

        fn write(&self, name: &str, text: impl AsRef<[u8]>) -> Utf8PathBuf {
            let path = self.path(name);
            fs_err::write(&path, text).expect("written");
            path
        }
    }

    /// The archive of a crate with these files.
    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, text) in files {
            let mut header = tar::Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, text.as_bytes()).expect("added");
        }
        let mut gzip = tar.into_inner().expect("ended");
        gzip.flush().expect("flushed");
        gzip.finish().expect("ended")
    }

    fn manifest(name: &str, more: &str) -> String {
        format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n{more}")
    }

    fn library() -> Vec<u8> {
        archive(&[
            ("a-1.0.0/Cargo.toml", &manifest("a", "")),
            ("a-1.0.0/src/lib.rs", "pub fn answer() -> u32 { 42 }\n"),
        ])
    }

    fn source(archive: &[u8]) -> CargoSource {
        CargoSource {
            lock: "Cargo.lock".into(),
            files: vec![CrateFile {
                name: "a".to_owned(),
                version: "1.0.0".to_owned(),
                sha256: Digest::of(archive),
            }],
        }
    }

    /// cargo itself says whether the tree is a directory source.
    #[test]
    fn cargo_builds_from_the_tree_offline() {
        let fixture = Fixture::new();
        let archive = library();
        fixture.store.insert(archive.as_slice()).expect("stored");
        let vendor = fixture.path("vendor");
        source(&archive).fill(&vendor, &fixture.store).expect("filled");
        fixture.write(
            "own/Cargo.toml",
            manifest("own", "[dependencies]\na = \"1\"\n[workspace]\n"),
        );
        fixture.write("own/src/main.rs", "fn main() { assert_eq!(a::answer(), 42) }\n");
        let index = "registry+https://github.com/rust-lang/crates.io-index";
        let lock = |sha256: Digest| {
            format!(
                "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{index}\"\nchecksum = \
                 \"{sha256}\"\n\n[[package]]\nname = \"own\"\nversion = \"1.0.0\"\ndependencies = [\n \"a\",\n]\n"
            )
        };
        let config =
            format!("[source.crates-io]\nreplace-with = \"vendor\"\n[source.vendor]\ndirectory = \"{vendor}\"\n");
        fixture.write("home/config.toml", config);
        let check = |sha256| {
            fixture.write("own/Cargo.lock", lock(sha256));
            Command::tool(tool::CARGO)
                .args(["run", "--quiet", "--offline", "--locked"])
                .current_dir(fixture.path("own"))
                .env("CARGO_HOME", fixture.path("home").as_str())
                .env("CARGO_TARGET_DIR", fixture.path("target").as_str())
                .env_remove("CARGO_BUILD_TARGET")
                .output()
        };
        check(Digest::of(&archive)).expect("cargo takes it");
        let error = check(Digest::of("other"))
            .expect_err("another crate than the lock's")
            .to_string();
        assert!(error.contains("checksum"), "{error}");
    }

    #[test]
    fn archives_are_taken_from_cargo_by_their_digest() {
        let fixture = Fixture::new();
        let archive = library();
        let source = source(&archive);
        let home = fixture.path("home");
        let missing = |seen: Option<Digest>| vec![(&source.files[0], seen)];
        assert_eq!(source.take(&home, &fixture.store).expect("looked"), missing(None));
        fixture.write("home/registry/cache/mirror-1/a-1.0.0.crate", "other bytes");
        let other = Some(Digest::of("other bytes"));
        assert_eq!(source.take(&home, &fixture.store).expect("looked"), missing(other));
        fixture.write("home/registry/cache/mirror-2/a-1.0.0.crate", &archive);
        assert!(source.take(&home, &fixture.store).expect("looked").is_empty());
        assert!(fixture.store.object(&source.files[0].sha256).is_some());
    }

    #[test]
    fn only_files_below_the_crate_s_folder_are_unpacked() {
        for name in ["../x", "/etc/x", "a-1.0.1/x", "x", "a-1.0.0/../../x"] {
            let fixture = Fixture::new();
            let archive = archive(&[("a-1.0.0/Cargo.toml", ""), (name, "y")]);
            fixture.store.insert(archive.as_slice()).expect("stored");
            let error = source(&archive)
                .fill(&fixture.path("vendor"), &fixture.store)
                .expect_err(name)
                .to_string();
            assert!(error.contains("a-1.0.0.crate") && error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_place_of_the_lock_is_not_in_the_key() {
        let one = source(b"1");
        let moved = CargoSource {
            lock: "../Cargo.lock".into(),
            ..one.clone()
        };
        assert_eq!(one.list(), moved.list());
        assert_ne!(one.list(), source(b"2").list());
    }
}
