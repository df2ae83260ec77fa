//! Keys of packages: every input of a build reaches its key, by way of the planner that makes all keys.

#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;

use basalt_action::{ActionLimits, Blob};
use basalt_build::{
    BuildBase, BuildError, Built, BuiltIndex, BuiltPackages, BuiltRpm, Distribution, DistributionPackage, Layer,
    Lookup, PackageFolder, PackageId, Planner, ResolvedBuild, SourcePackage,
};
use basalt_content::DistributionContent;
use basalt_digest::Digest;
use basalt_release::Arch;
use basalt_schedule::Estimate;
use basalt_sdk::SdkTree;
use basalt_sources::{Modules, SourceSet, Tools};
use basalt_store::FolderSnapshot;
use camino::Utf8PathBuf;

/// Inputs of the build of a package `app`, which is built with RPMs of a package `lib`.
#[derive(Clone)]
struct Inputs {
    /// Files of the package's folder but `sources.toml`.
    folder: Vec<(&'static str, &'static str)>,
    /// Name of a downloaded source.
    file: &'static str,
    /// Content of the downloaded source.
    download: &'static str,
    /// Content of a source that is a file of the repository.
    repository: &'static str,
    /// Content of a folder of Go modules.
    modules: &'static str,
    /// Names and contents of the layers of the build base, the uppermost first.
    layers: Vec<(&'static str, &'static str)>,
    /// Names and payloads of the RPMs, the uppermost first. `tool` provides `build-tool`.
    rpms: Vec<(&'static str, &'static str)>,
    limits: ActionLimits,
    arch: Arch,
    /// Number of processes of the build, which is no input.
    jobs: usize,
    /// Expected seconds of the build, which are no input.
    seconds: u64,
}

impl Inputs {
    fn usual() -> Self {
        Self {
            folder: vec![
                ("app.spec", "Name: app"),
                ("fix.patch", "+ line"),
                ("go.mod", "module app"),
            ],
            file: "app.tar",
            download: "sources",
            repository: "fn main() {}",
            modules: "modules",
            layers: vec![("macros", "%dist .bs1"), ("toolchain", "ld"), ("sdk", "bash")],
            rpms: vec![("first", "headers"), ("second", "libraries"), ("tool", "gcc")],
            limits: ActionLimits {
                seconds: Some(60),
                memory: Some(1 << 30),
                processes: Some(100),
                disk: Some(1 << 30),
            },
            arch: Arch::X86_64,
            jobs: 2,
            seconds: 10,
        }
    }

    /// Text of `sources.toml`.
    fn lock(&self) -> String {
        format!(
            "[[file]]\nfile = \"{file}\"\nsha256 = \"{sha256}\"\nsize = {size}\nurl = \"https://example.org/{file}\"\n\n\
             [[go]]\ndir = \".\"\n\n[[tree]]\nname = \"repository\"\npaths = [\"crates/a\"]\n",
            file = self.file,
            sha256 = Digest::of(self.download),
            size = self.download.len(),
        )
    }

    /// The package `app`. `sources.toml` is not among the files of its folder here, so that sources reach the key by
    /// themselves.
    fn app(&self) -> DistributionPackage {
        let files = self
            .folder
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        let lock = ("sources.toml".to_owned(), self.lock().into_bytes());
        let requires = self.rpms.iter().map(|(name, _)| format!("buildrequires\t{name}\n"));
        let source = format!("name\tapp\nversion\t1\nrelease\t1\n{}", requires.collect::<String>());
        let files: Vec<_> = files.collect();
        DistributionPackage {
            files: FolderSnapshot::of_files(files.clone()),
            limits: self.limits,
            estimate: Estimate {
                seconds: self.seconds,
                memory_mib: 512,
            },
            ..package("app", &source, "binary\tapp\n", files.into_iter().chain([lock]))
        }
    }

    fn distribution(&self) -> Distribution {
        let binaries = self.rpms.iter().map(|(name, _)| format!("binary\t{name}\n"));
        let lib = package(
            "lib",
            "name\tlib\nversion\t1\nrelease\t1\n",
            &binaries.collect::<String>(),
            [],
        );
        Distribution::new(vec![self.app(), lib]).expect("the specs fit each other")
    }

    fn base(&self) -> BuildBase {
        let layers = self.layers.iter().map(|(name, content)| Layer {
            name: (*name).to_owned(),
            root: Blob::of(content),
            path: Utf8PathBuf::from("/store").join(name),
        });
        let mut base = BuildBase::of_layers(
            DistributionContent::of_checkout("/checkout".into()),
            layers.collect(),
            self.arch,
        );
        base.jobs = self.jobs;
        base
    }

    /// Key of the build of `app`.
    fn key(&self) -> Digest {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(guard.path().to_owned()).expect("UTF-8");
        fs_err::create_dir_all(root.join("crates/a")).expect("made");
        fs_err::write(root.join("crates/a/main.rs"), self.repository).expect("written");
        // Known by its path, which is the same for all.
        let tools = Tools::new(&root, &SdkTree::outside("/sdk".into()));
        let (distribution, base) = (self.distribution(), self.base());
        let planner = Planner {
            distribution: &distribution,
            base: &base,
            tools: &tools,
        };
        let lib = distribution.find("lib").expect("there");
        let built = BuiltPackages::from([(lib, Arc::new(self.built()))]);
        let names: Vec<_> = self.rpms.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut rpms = BuiltIndex::of(&built).install(&names, |_| true).expect("solvable");
        rpms.sort_by_key(|rpm| names.iter().position(|name| *name == rpm.package.name));
        let app = distribution.find("app").expect("there");
        let resolved = planner.resolve(app, rpms, self).expect("resolved");
        resolved.expect("all is known").key()
    }

    /// Result of building `lib`.
    fn built(&self) -> Built {
        let rpms = self.rpms.iter().map(|(name, payload)| {
            let provides = if *name == "tool" {
                vec![*name, "build-tool"]
            } else {
                vec![*name]
            };
            let package = serde_json::json!({
                "name": name, "version": "1", "release": "1", "arch": "x86_64", "license": "MIT", "summary": "",
                "source": "", "size": 0, "files": [], "provides": provides, "requires": [],
            });
            BuiltRpm {
                package: serde_json::from_value(package).expect("a package"),
                file: format!("{name}-1-1.x86_64.rpm"),
                digest: Digest::of(payload),
                size: payload.len() as u64,
            }
        });
        Built {
            name: "lib".to_owned(),
            key: Digest::of("lib"),
            rpms: rpms.collect(),
            seconds: 1,
            cpu_seconds: 1.0,
        }
    }
}

impl Lookup for Inputs {
    fn modules(&self, _: PackageId, _: &Modules<'_>) -> Result<Option<Blob>, BuildError> {
        Ok(Some(Blob::of(self.modules)))
    }

    fn payload(&self, rpm: &BuiltRpm) -> Result<Blob, BuildError> {
        Ok(rpm.blob())
    }

    fn result(&self, _: &ResolvedBuild) -> Result<Option<Built>, BuildError> {
        Ok(None)
    }
}

/// A package of those answers of rpmspec, whose sources are locked among `files`.
fn package(
    name: &str,
    source: &str,
    binaries: &str,
    files: impl IntoIterator<Item = (String, Vec<u8>)>,
) -> DistributionPackage {
    let path = Utf8PathBuf::from("/checkout/distro/packages").join(name);
    let files = FolderSnapshot::of_files(files);
    DistributionPackage {
        sources: SourceSet::of_snapshot(&path, &files).expect("a lock"),
        folder: PackageFolder {
            name: name.to_owned(),
            place: Utf8PathBuf::from("distro/packages").join(name),
            path,
        },
        files,
        spec: SourcePackage::parse(source, binaries).expect("answers of rpmspec"),
        estimate: Estimate {
            seconds: 1,
            memory_mib: 1,
        },
        limits: ActionLimits::default(),
    }
}

type Change = (&'static str, fn(&mut Inputs));

/// Keys of the usual inputs and of those after each change, which have to differ from each other.
fn all_differ(changes: &[Change]) {
    let mut keys = BTreeSet::from([Inputs::usual().key()]);
    for (what, change) in changes {
        let mut inputs = Inputs::usual();
        change(&mut inputs);
        assert!(
            keys.insert(inputs.key()),
            "{what} does not reach the key, or not by itself"
        );
    }
}

#[test]
fn every_input_is_another_key() {
    all_differ(&[
        ("the spec", |inputs| inputs.folder[0].1 = "Name: app "),
        ("a patch", |inputs| inputs.folder[1].1 = "- line"),
        ("the name of a patch", |inputs| inputs.folder[1].0 = "other.patch"),
        ("a downloaded source", |inputs| inputs.download = "Sources"),
        ("the size of a downloaded source", |inputs| {
            inputs.download = "sources and more"
        }),
        ("the name of a downloaded source", |inputs| inputs.file = "app.tgz"),
        ("a file of the repository", |inputs| {
            inputs.repository = "fn main() { loop {} }"
        }),
        ("Go modules", |inputs| inputs.modules = "other modules"),
        ("the macros", |inputs| inputs.layers[0].1 = "%dist .bs2"),
        ("the toolchain", |inputs| inputs.layers[1].1 = "lld"),
        ("the SDK", |inputs| inputs.layers[2].1 = "dash"),
        ("a payload of the sysroot", |inputs| inputs.rpms[0].1 = "other headers"),
        ("a build tool", |inputs| inputs.rpms[2].1 = "clang"),
        ("the limit of time", |inputs| inputs.limits.seconds = Some(61)),
        ("the limit of memory", |inputs| inputs.limits.memory = Some(2 << 30)),
        ("the limit of processes", |inputs| inputs.limits.processes = Some(101)),
        ("the limit of disk space", |inputs| inputs.limits.disk = Some(3 << 30)),
        ("the architecture", |inputs| inputs.arch = Arch::Aarch64),
    ]);
}

#[test]
fn the_order_of_layers_counts() {
    all_differ(&[
        ("the order of the sysroot", |inputs| inputs.rpms.swap(0, 1)),
        ("the order of the base", |inputs| inputs.layers.swap(1, 2)),
        ("the payloads of two RPMs", |inputs| {
            inputs.rpms = vec![("first", "libraries"), ("second", "headers"), ("tool", "gcc")];
        }),
    ]);
}

#[test]
fn what_is_no_input_is_in_no_key() {
    let usual = Inputs::usual().key();
    let mut other = Inputs::usual();
    other.jobs = 64;
    other.seconds = 10_000;
    assert_eq!(other.key(), usual);
    // One place in the stack is that among the tools, the other that in the sysroot.
    other.rpms.rotate_right(1);
    assert_eq!(other.key(), usual);
}
