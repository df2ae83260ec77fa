//! Synthetic distributions: packages as large distributions have them, made from a seed.
//!
//! The first packages are required most, as compilers and C libraries are; each package requires earlier ones only, by
//! name, by `pkgconfig(...)` or by a capability that two packages provide. The built RPMs have the provides and
//! requires that rpmbuild finds by itself: sonames, pkg-config modules, an interpreter's path.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use basalt_action::Blob;
use basalt_build::BuiltRpm;
use basalt_digest::Digest;
use basalt_rpm::{Capability, Dependency, Package};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::shape::skewed;

/// Number of BuildRequires of a package, besides those that all have.
const BUILD_REQUIRES: usize = 5;
/// Distance between packages, by index, that provide a capability together with another package.
const VIRTUAL_EVERY: usize = 25;
/// Interpreter that packages with scripts require.
const SHELL: &str = "/bin/sh";
/// Name of the compiler's package, which every other package requires.
const COMPILER: &str = "synthetic-gcc";

/// Texts of a package before planning, as a checkout and rpmspec give them.
#[derive(Debug, Clone)]
pub struct SyntheticPackage {
    /// Name of the package and of its folder.
    pub name: String,
    /// Files of its folder, by name: the spec and `sources.toml`.
    pub files: Vec<(String, Vec<u8>)>,
    /// Output of rpmspec on the source package.
    pub source: String,
    /// Output of rpmspec on the binary packages.
    pub binaries: String,
    /// Metadata of the RPMs that it was built to: a list of [`BuiltRpm`] in JSON, as the store keeps it.
    pub built: Vec<u8>,
}

/// A distribution of synthetic packages.
#[derive(Debug, Clone)]
pub struct SyntheticDistribution {
    /// Packages, each of which requires only earlier ones.
    pub packages: Vec<SyntheticPackage>,
    /// Text of `resources.toml`.
    pub resources: String,
    /// Names of the packages that an image installs, by the name of the image.
    pub images: BTreeMap<String, Vec<String>>,
}

impl SyntheticDistribution {
    /// Generates a distribution of `count` packages; the same seed gives the same distribution.
    pub fn new(count: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let packages: Vec<_> = (0..count)
            .map(|index| Draft::new(index, &mut random).finish())
            .collect();
        let mut resources = String::new();
        for package in packages.iter().step_by(10) {
            let (seconds, memory) = (random.gen_range(5..600), random.gen_range(256..4096));
            let _ = writeln!(
                resources,
                "[{}]\nseconds = {seconds}\nmemory_mib = {memory}",
                package.name
            );
        }
        let images = ["node", "server", "builder", "web"].map(|image| {
            let names: Vec<String> = packages.iter().map(|package| package.name.clone()).collect();
            let wanted = names.choose_multiple(&mut random, 100.min(count)).cloned();
            (image.to_owned(), wanted.collect())
        });
        Self {
            packages,
            resources,
            images: images.into(),
        }
    }
}

/// Package under construction.
struct Draft {
    index: usize,
    name: String,
    version: String,
    /// Libraries that it is compiled against, by index.
    libraries: Vec<usize>,
    /// Names in its BuildRequires.
    build_requires: Vec<String>,
    /// Capability that it shares with another package.
    shared: Option<String>,
    has_scripts: bool,
    obsoletes: bool,
}

fn name(index: usize) -> String {
    match index {
        0 => COMPILER.to_owned(),
        _ => format!("synthetic-{index:05}"),
    }
}

fn version(index: usize) -> String {
    format!("{}.{}.{}", index % 9 + 1, index % 13, index % 5)
}

fn soname(index: usize) -> String {
    format!("lib{}.so.{}()(64bit)", name(index), index % 9 + 1)
}

fn pkgconfig(index: usize) -> String {
    format!("pkgconfig({})", name(index))
}

/// Capability that a package shares with another one; `None` for most packages.
fn shared(index: usize) -> Option<String> {
    let is_one_of_two = index > 0 && index.is_multiple_of(VIRTUAL_EVERY);
    is_one_of_two.then(|| format!("synthetic-service({})", index / VIRTUAL_EVERY / 2))
}

/// Index of the first of the two packages that share a capability: its provider before anything is built.
fn first_provider(index: usize) -> usize {
    (index / VIRTUAL_EVERY / 2 * 2).max(1) * VIRTUAL_EVERY
}

impl Draft {
    fn new(index: usize, random: &mut StdRng) -> Self {
        let mut libraries = Vec::new();
        let mut build_requires = Vec::new();
        if index > 0 {
            build_requires.push(COMPILER.to_owned());
        }
        for _ in 0..BUILD_REQUIRES.min(index.saturating_sub(1)) {
            // Few are asked for by many.
            let library = 1 + skewed(index - 1, random);
            let offered = shared(library).filter(|_| random.gen_bool(0.5));
            let library = offered.as_ref().map_or(library, |_| first_provider(library));
            let usual = if random.gen_bool(0.3) {
                pkgconfig(library)
            } else {
                format!("{}-devel", name(library))
            };
            build_requires.push(offered.unwrap_or(usual));
            libraries.push(library);
        }
        libraries.sort_unstable();
        libraries.dedup();
        Self {
            index,
            name: name(index),
            version: version(index),
            libraries,
            build_requires,
            shared: shared(index),
            has_scripts: random.gen_bool(0.1),
            obsoletes: random.gen_bool(0.05),
        }
    }

    fn evr(&self) -> String {
        format!("{}-1.bs1", self.version)
    }

    fn finish(&self) -> SyntheticPackage {
        SyntheticPackage {
            name: self.name.clone(),
            files: vec![
                (format!("{}.spec", self.name), self.spec().into_bytes()),
                ("sources.toml".to_owned(), self.lock().into_bytes()),
            ],
            source: self.source_answer(),
            binaries: self.binary_answer(),
            built: serde_json::to_vec(&self.rpms()).unwrap_or_default(),
        }
    }

    fn spec(&self) -> String {
        let mut spec = format!("Name: {}\nVersion: {}\nRelease: 1%{{?dist}}\n", self.name, self.version);
        for name in &self.build_requires {
            let _ = writeln!(spec, "BuildRequires: {name}");
        }
        spec
    }

    fn lock(&self) -> String {
        let file = format!("{}-{}.tar.gz", self.name, self.version);
        let digest = Digest::of(&file);
        format!(
            "[[file]]\nfile = \"{file}\"\nsha256 = \"{digest}\"\nsize = 1000000\nurl = \"https://example.org/{file}\"\n"
        )
    }

    fn source_answer(&self) -> String {
        let mut answer = format!("name\t{}\nversion\t{}\nrelease\t1.bs1\n", self.name, self.version);
        for name in &self.build_requires {
            let _ = writeln!(answer, "buildrequires\t{name}");
        }
        answer
    }

    fn binary_answer(&self) -> String {
        let mut answer = String::new();
        for package in self.binaries() {
            let _ = writeln!(answer, "binary\t{}", package.name);
            let named = package.requires.iter().filter_map(Dependency::as_capability);
            for required in named.filter(|required| !is_found(&required.name)) {
                let _ = writeln!(answer, "requires\t{required}");
            }
            for provided in package.provides.iter().filter(|provided| !is_found(&provided.name)) {
                let _ = writeln!(answer, "provides\t{provided}");
            }
            // Specs name what others ask for by it.
            if package.name.ends_with("-devel") {
                let _ = writeln!(answer, "provides\t{}", pkgconfig(self.index));
            }
        }
        answer
    }

    fn rpms(&self) -> Vec<BuiltRpm> {
        let rpms = self.binaries().into_iter().map(|package| {
            let file = format!("{}.rpm", package.nevra());
            let Blob { digest, size } = Blob::of(&file);
            BuiltRpm {
                package,
                file,
                digest,
                size,
            }
        });
        rpms.collect()
    }

    fn binaries(&self) -> Vec<Package> {
        if self.index == 0 {
            let compiler = self.package("", vec![Capability::any("build-tool")], Vec::new(), 40);
            return vec![compiler];
        }
        let exact = |name: &str| self.capability(name, &self.evr());
        let sonames = self.libraries.iter().map(|library| Dependency::any(soname(*library)));
        let mut requires: Vec<_> = sonames.collect();
        requires.extend(self.has_scripts.then(|| Dependency::any(SHELL)));
        let mut provides = vec![Capability::any(soname(self.index))];
        provides.extend(self.shared.iter().map(|name| Capability::any(name.as_str())));
        let mut main = self.package("", provides, requires, 15);
        if self.index == 1 {
            main.files.push("/usr/bin/sh".to_owned());
        }
        if self.obsoletes {
            main.obsoletes.push(self.capability(&format!("{}-old", self.name), "1"));
        }
        let mut requires = vec![Dependency::from(exact(&self.name))];
        requires.extend(
            self.libraries
                .iter()
                .take(2)
                .map(|library| Dependency::any(pkgconfig(*library))),
        );
        let provides = vec![self.capability(&pkgconfig(self.index), &self.version)];
        let devel = self.package("-devel", provides, requires, 25);
        let mut all = vec![main, devel];
        if self.index.is_multiple_of(4) {
            all.push(self.package("-tools", Vec::new(), vec![exact(&self.name).into()], 10));
        }
        all
    }

    fn capability(&self, name: &str, version: &str) -> Capability {
        Capability {
            name: name.to_owned(),
            version: Some((basalt_rpm::Operator::Equal, version.to_owned())),
        }
    }

    fn package(&self, suffix: &str, provides: Vec<Capability>, requires: Vec<Dependency>, files: usize) -> Package {
        let name = format!("{}{suffix}", self.name);
        let own = self.capability(&name, &self.evr());
        Package {
            epoch: 0,
            version: self.version.clone(),
            release: "1.bs1".to_owned(),
            arch: "x86_64".to_owned(),
            license: "MIT".to_owned(),
            summary: "A synthetic package".to_owned(),
            source: format!("{}-{}.src.rpm", self.name, self.evr()),
            size: 1_000_000,
            provides: [own].into_iter().chain(provides).collect(),
            requires,
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            files: (0..files)
                .map(|number| format!("/usr/share/{name}/file{number}"))
                .collect(),
            scriptlets: Vec::new(),
            name,
        }
    }
}

/// Checks for a capability that rpmbuild finds in files by itself, so that no spec names it.
fn is_found(name: &str) -> bool {
    name.contains(".so.") || name.starts_with('/') || name.starts_with("pkgconfig(")
}
