//! A small distribution in a checkout and a store of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use basalt_build::{BuildBase, BuildError, Built, Distribution, Engine};
use basalt_content::DistributionContent;
use basalt_progress::Outcome;
use basalt_release::Arch;
use basalt_sdk::Toolchain;
use basalt_sources::Tools;
use basalt_store::Store;
use basalt_test_environment::{Cli, Failed, Recorder, TestDirectory, shown};
use camino::{Utf8Path, Utf8PathBuf};

/// The packages of tests/fixtures/engine, sorted.
pub const ALL: [&str; 4] = ["testapp", "testdata", "testdocs", "testlib"];

/// Fixture of all tests: the trees that every build needs, made once.
pub struct Fixture {
    directory: TestDirectory,
    toolchain_store: Store,
    toolchain: Toolchain,
    counter: AtomicUsize,
}

/// A distribution.
pub struct Distro {
    /// The root of its checkout.
    pub root: Utf8PathBuf,
    /// Store of this distribution.
    pub store: Store,
    base: BuildBase,
    /// Repository and SDK with which sources are fetched.
    pub tools: Tools,
    program: Utf8PathBuf,
}

impl Fixture {
    /// The toolchain, which the command makes for any build, is made once for all tests.
    pub fn prepare(directory: TestDirectory) -> Result<Self, Failed> {
        let toolchain_store = Store::open(&directory.folder("toolchain-store")?).map_err(shown)?;
        let description = directory.environment.checkout.join("distro/toolchain/toolchain.toml");
        let toolchain =
            basalt_sdk::toolchain(&toolchain_store, &directory.sdk, &description, Arch::X86_64).map_err(shown)?;
        Ok(Self {
            directory,
            toolchain_store,
            toolchain,
            counter: AtomicUsize::new(0),
        })
    }

    /// The packages of tests/fixtures/engine, in a checkout that has everything else from ours.
    pub fn distro(&self) -> Result<Distro, Failed> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let folder = self.directory.folder(&number.to_string())?;
        let checkout = &self.directory.environment.checkout;
        let root = folder.join("checkout");
        fs_err::create_dir_all(root.join("distro/images"))?;
        for part in ["sdk", "toolchain", "macros"] {
            fs_err::os::unix::fs::symlink(checkout.join("distro").join(part), root.join("distro").join(part))?;
        }
        copy(&checkout.join("tests/fixtures/engine"), &root.join("distro/packages"))?;

        let store = Store::open(&folder.join("store")).map_err(shown)?;
        self.share_trees(store.root())?;
        let sdk = &self.directory.sdk;
        Ok(Distro {
            base: BuildBase::make(&DistributionContent::of_checkout(&root), sdk, Arch::X86_64, &store)
                .map_err(shown)?,
            tools: Tools::new(&root, sdk),
            root,
            store,
            program: self.directory.environment.program.clone(),
        })
    }

    /// The packages of our own checkout, whose specs are read into a store of their own.
    pub fn own_packages(&self) -> Result<(DistributionContent, Distribution), Failed> {
        let store = Store::open(&self.directory.folder("own-store")?).map_err(shown)?;
        self.share_trees(store.root())?;
        let content = DistributionContent::of_checkout(&self.directory.environment.checkout);
        let base = BuildBase::make(&content, &self.directory.sdk, Arch::X86_64, &store).map_err(shown)?;
        let read = Distribution::read(&content, &base, &store, &basalt_progress::Silent);
        Ok((content, read.map_err(shown)?))
    }

    /// Lets a store have the large trees, without a copy.
    fn share_trees(&self, store: &Utf8Path) -> Result<(), Failed> {
        for tree in self.shared_trees() {
            let name = tree.file_name().unwrap_or_default();
            fs_err::os::unix::fs::symlink(tree, store.join("trees").join(name))?;
        }
        for result in self.shared_actions() {
            let name = result.file_name().unwrap_or_default();
            fs_err::copy(&result, store.join("actions").join(name))?;
        }
        Ok(())
    }

    /// The results of the actions that made the large trees.
    pub fn shared_actions(&self) -> [Utf8PathBuf; 2] {
        let (sdk, toolchain) = (self.directory.sdk.key, self.toolchain.key);
        [(&self.directory.store, sdk), (&self.toolchain_store, toolchain)]
            .map(|(store, key)| store.root().join("actions").join(key.digest.to_hex()))
    }

    /// The large trees, each in a folder `trees` of some store.
    pub fn shared_trees(&self) -> [&Utf8Path; 2] {
        [&self.toolchain.path, &self.directory.sdk.path]
    }
}

impl Distro {
    /// Takes the large trees out of the store again, with what is known of them: it has nothing then.
    pub fn forget_trees(&self) -> Result<(), Failed> {
        for tree in self.store.root().join("trees").read_dir_utf8()? {
            let tree = tree?.into_path();
            if tree.is_symlink() {
                fs_err::remove_file(tree)?;
            }
        }
        for result in self.store.root().join("actions").read_dir_utf8()? {
            fs_err::remove_file(result?.path())?;
        }
        Ok(())
    }

    /// The path of a file in a package's folder.
    pub fn file(&self, package: &str, name: &str) -> Utf8PathBuf {
        self.root.join("distro/packages").join(package).join(name)
    }

    /// Adds a package of one file, or writes another spec for one that is there. `sections` are those of the spec.
    pub fn write(&self, package: &str, tags: &str, sections: &str) -> Result<(), Failed> {
        let spec = format!(
            "Name: {package}\nVersion: 1\nRelease: 1%{{?dist}}\nSummary: A package of a test\n\
             License: Apache-2.0 OR MIT\nBuildArch: noarch\n{tags}\n%description\n%{{summary}}.\n\n{sections}\n"
        );
        let path = self.file(package, &format!("{package}.spec"));
        fs_err::create_dir_all(path.parent().unwrap_or(&path))?;
        Ok(fs_err::write(path, spec)?)
    }

    /// Replaces text in the spec of a package.
    pub fn edit(&self, package: &str, from: &str, to: &str) -> Result<(), Failed> {
        let path = self.file(package, &format!("{package}.spec"));
        let text = fs_err::read_to_string(&path)?;
        if !text.contains(from) {
            return Err(format!("`{from}` is not in {path}").into());
        }
        Ok(fs_err::write(&path, text.replace(from, to))?)
    }

    /// Reads the specs.
    pub fn read(&self) -> Result<Distribution, BuildError> {
        Distribution::read(
            &DistributionContent::of_checkout(&self.root),
            &self.base,
            &self.store,
            &basalt_progress::Silent,
        )
    }

    /// Builds packages, and says which were built rather than known, in the order in which they were.
    pub fn build(&self, names: &[&str]) -> Result<(Vec<String>, BTreeMap<String, Built>), BuildError> {
        let recorder = Recorder::default();
        let built = self.build_with(names, false, &recorder)?;
        Ok((built_ones(&recorder), built))
    }

    /// The same, with all that can be chosen.
    pub fn build_with(
        &self,
        names: &[&str],
        keep_going: bool,
        recorder: &Recorder,
    ) -> Result<BTreeMap<String, Built>, BuildError> {
        let distribution = self.read()?;
        let engine = Engine::new(&self.store, &distribution, &self.base, &self.tools, recorder, 4096);
        let engine = engine.keep_going(keep_going);
        let targets = names
            .iter()
            .map(|name| distribution.find(name))
            .collect::<Result<Vec<_>, _>>()?;
        let built = engine.build(targets)?;
        let built = built.into_values();
        Ok(built.map(|built| (built.name.clone(), (*built).clone())).collect())
    }

    /// The command on this checkout and store.
    pub fn cli(&self) -> Cli {
        Cli::new(&self.program, &self.root).env("BASALT_STORE", self.store.root())
    }

    /// Fails when something half-made lies in the store.
    pub fn nothing_is_left(&self) -> Result<(), Failed> {
        let tmp = self.store.root().join("tmp");
        let left: Vec<_> = tmp.read_dir_utf8()?.flatten().map(|entry| entry.into_path()).collect();
        basalt_test_environment::ensure(left.is_empty(), || format!("this is left: {left:?}"))
    }
}

/// Of the tasks that a build reported, the packages that were built, sorted.
pub fn built_ones(recorder: &Recorder) -> Vec<String> {
    let mut titles = recorder.ended(Outcome::Done);
    titles.retain(|title| title != "building packages");
    titles.sort();
    titles
}

fn copy(from: &Utf8Path, to: &Utf8Path) -> Result<(), Failed> {
    fs_err::create_dir_all(to)?;
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
