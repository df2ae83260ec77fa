//! Synthetic repositories: packages in the shape of Fedora's, made from a seed.
//!
//! What makes solving expensive or ambiguous there is here, too: a C library that everything requires, by versions of its
//! symbols, and that requires one of many language packs; interpreters by path; modules of Python by `python3dist(...)`;
//! subpackages of one version; capabilities that several packages provide; older versions beside the newest; packages
//! that replace others; expressions. Each package requires earlier ones only, few are required by many.

use basalt_rpm::{Capability, Conditional, Dependency, Operator, Package};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::shape::{log_normal, skewed};

/// Number of language packs of the C library.
const LANGUAGES: usize = 100;
/// Distance of the sources, by index, that provide a capability together with others.
const ALTERNATIVES_EVERY: usize = 15;
/// Number of sources in a row that provide the same capability.
const ALTERNATIVES: usize = 3;
/// Number of requests.
const REQUESTS: usize = 60;

/// A repository, and packages to install from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticRepository {
    /// Packages, sorted by name and version.
    pub packages: Vec<Package>,
    /// Names of packages, each of which is to be installed by itself.
    pub requests: Vec<String>,
}

impl SyntheticRepository {
    /// Generates a repository of `count` packages; the same seed gives the same repository.
    pub fn new(count: usize, seed: u64) -> Self {
        let mut sources = Sources {
            random: StdRng::seed_from_u64(seed),
            kinds: Vec::new(),
        };
        let mut packages = sources.base();
        while packages.len() < count {
            packages.extend(sources.next());
        }
        packages.truncate(count);
        packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        let mut names: Vec<&String> = packages.iter().map(|package| &package.name).collect();
        names.dedup();
        let requests = names.choose_multiple(&mut sources.random, REQUESTS);
        let requests = requests.map(|name| (*name).clone()).collect();
        Self { packages, requests }
    }
}

/// Kind of a source package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Library,
    Python,
    Application,
    Data,
}

/// Generator of source packages, one after the other.
struct Sources {
    random: StdRng,
    /// Kinds of the sources that there are.
    kinds: Vec<Kind>,
}

impl Sources {
    /// Packages that all others require: the C library with its language packs, a shell, Python.
    fn base(&mut self) -> Vec<Package> {
        let mut glibc = self.package("glibc", "2.40", 300);
        glibc.provides.extend(c_library().into_iter().map(Capability::any));
        glibc.requires.push(Dependency::any("glibc-langpack"));
        let mut packages = vec![glibc];
        let names = (0..LANGUAGES).map(|language| format!("glibc-langpack-{language:03}"));
        for name in names.chain(["glibc-minimal-langpack".to_owned()]) {
            let mut pack = self.package(&name, "2.40", 4);
            pack.provides.push(exact("glibc-langpack", "2.40-1"));
            pack.requires.push(exact("glibc", "2.40-1").into());
            packages.push(pack);
        }
        let mut shell = self.package("bash", "5.2", 40);
        shell.provides.push(Capability::any("/bin/sh"));
        shell.files.extend(["/usr/bin/bash", "/usr/bin/sh"].map(str::to_owned));
        shell.requires.extend(c_library().into_iter().map(Dependency::any));
        packages.push(shell);
        let mut python = self.package("python3", "3.13", 2000);
        python.provides.push(exact("python(abi)", "3.13"));
        python.files.push("/usr/bin/python3".to_owned());
        python.requires.extend(c_library().into_iter().map(Dependency::any));
        packages.push(python);
        packages
    }

    /// The packages of the next source, an older version of them among them where there is one.
    fn next(&mut self) -> Vec<Package> {
        let index = self.kinds.len();
        let kind = match self.random.gen_range(0..100) {
            0..=34 => Kind::Library,
            35..=59 => Kind::Python,
            60..=89 => Kind::Application,
            _ => Kind::Data,
        };
        let minor = self.random.gen_range(1..20);
        let version = format!("{}.{minor}", index % 9 + 1);
        let mut packages = match kind {
            Kind::Library => self.library(index, &version),
            Kind::Python => self.python(index, &version),
            Kind::Application => self.application(index, &version),
            Kind::Data => vec![self.package(&name(kind, index), &version, 200)],
        };
        if let Some(main) = packages.first_mut() {
            self.relate(main, index);
        }
        self.kinds.push(kind);
        if self.random.gen_bool(0.08) {
            let older: Vec<Package> = packages.iter().map(|package| older(package, &version)).collect();
            packages.extend(older);
        }
        packages
    }

    /// Adds what is between sources: shared capabilities, replaced packages, exclusions, expressions.
    fn relate(&mut self, main: &mut Package, index: usize) {
        if index % ALTERNATIVES_EVERY < ALTERNATIVES {
            main.provides.push(Capability::any(service(index)));
        }
        if self.random.gen_bool(0.05) {
            main.obsoletes.push(Capability {
                name: format!("{}-old", main.name),
                version: Some((Operator::Less, "2-1".to_owned())),
            });
        }
        let Some(other) = self.earlier() else { return };
        let name = self.name(other);
        if self.random.gen_bool(0.01) {
            let version = Some((Operator::Less, "1.0-1".to_owned()));
            main.conflicts.push(
                Capability {
                    name: name.clone(),
                    version,
                }
                .into(),
            );
        }
        if self.random.gen_bool(0.10) {
            main.requires.push(Dependency::any(service(other)));
        }
        match self.random.gen_range(0..100) {
            0..=2 => main.requires.push(Dependency::If(Box::new(Conditional {
                then: Dependency::any(service(other)),
                condition: Dependency::any(name),
                otherwise: None,
            }))),
            3..=4 => {
                let either = vec![Dependency::any(name), Dependency::any(service(other))];
                main.requires.push(Dependency::Or(either));
            }
            _ => {}
        }
    }

    fn library(&mut self, index: usize, version: &str) -> Vec<Package> {
        let name = name(Kind::Library, index);
        let mut main = self.package(&name, version, 12);
        main.provides.push(Capability::any(soname(index)));
        self.link(&mut main, 4);
        let mut devel = self.package(&format!("{name}-devel"), version, 60);
        devel.provides.push(exact(&pkgconfig(index), version));
        devel.requires.push(same_version(&main));
        devel.requires.push(Dependency::any("/usr/bin/sh"));
        if let Some(other) = self.earlier_of(Kind::Library) {
            devel.requires.push(Dependency::any(pkgconfig(other)));
        }
        let mut packages = vec![main, devel];
        if self.random.gen_bool(0.3) {
            packages.push(self.package(&format!("{name}-doc"), version, 150));
        }
        packages
    }

    fn python(&mut self, index: usize, version: &str) -> Vec<Package> {
        let mut main = self.package(&name(Kind::Python, index), version, 90);
        main.provides.push(exact(&module(index), version));
        main.requires.push(exact("python(abi)", "3.13").into());
        for _ in 0..self.random.gen_range(0..6) {
            if let Some(other) = self.earlier_of(Kind::Python) {
                let version = self
                    .random
                    .gen_bool(0.3)
                    .then(|| (Operator::GreaterOrEqual, "1".to_owned()));
                main.requires.push(
                    Capability {
                        name: module(other),
                        version,
                    }
                    .into(),
                );
            }
        }
        vec![main]
    }

    fn application(&mut self, index: usize, version: &str) -> Vec<Package> {
        let name = name(Kind::Application, index);
        let mut main = self.package(&name, version, 40);
        main.files.push(format!("/usr/bin/{name}"));
        main.files.push(format!("/etc/{name}.conf"));
        self.link(&mut main, 14);
        let data = self.package(&format!("{name}-data"), version, 150);
        main.requires.push(same_version(&data));
        if self.random.gen_bool(0.4) {
            let program = ["/bin/sh", "/usr/bin/sh", "/usr/bin/python3"];
            let program = program.choose(&mut self.random).copied().unwrap_or("/bin/sh");
            main.requires.push(Dependency::any(program));
        }
        if self.random.gen_bool(0.2)
            && let Some(other) = self.earlier_of(Kind::Application)
        {
            let name = self.name(other);
            main.requires.push(Dependency::any(format!("/usr/bin/{name}")));
        }
        vec![main, data]
    }

    /// Adds the requirements of a program that is linked with so many libraries at most.
    fn link(&mut self, package: &mut Package, most: usize) {
        package.requires.extend(c_library().into_iter().map(Dependency::any));
        for _ in 0..self.random.gen_range(0..most) {
            if let Some(library) = self.earlier_of(Kind::Library) {
                let wanted = Dependency::any(soname(library));
                if !package.requires.contains(&wanted) {
                    package.requires.push(wanted);
                }
            }
        }
    }

    /// Returns the index of a source that there is.
    fn earlier(&mut self) -> Option<usize> {
        (!self.kinds.is_empty()).then(|| skewed(self.kinds.len(), &mut self.random))
    }

    fn earlier_of(&mut self, kind: Kind) -> Option<usize> {
        let first = self.earlier()?;
        let rest = self.kinds.iter().enumerate().skip(first);
        let mut of_kind = rest.filter(|(_, other)| **other == kind);
        of_kind.next().map(|(index, _)| index)
    }

    fn name(&self, index: usize) -> String {
        name(self.kinds.get(index).copied().unwrap_or(Kind::Data), index)
    }

    /// A package with its own name as a capability, and with some files: half of the packages have fewer than `files / 2`.
    fn package(&mut self, name: &str, version: &str, files: usize) -> Package {
        let count = log_normal(files / 2, 1.2, &mut self.random).min(10_000);
        let evr = format!("{version}-1");
        Package {
            name: name.to_owned(),
            epoch: 0,
            version: version.to_owned(),
            release: "1".to_owned(),
            arch: "x86_64".to_owned(),
            license: "MIT".to_owned(),
            summary: "A synthetic package".to_owned(),
            source: format!("{name}-{evr}.src.rpm"),
            size: 1_000_000,
            provides: vec![exact(name, &evr), exact(&format!("{name}(x86-64)"), &evr)],
            requires: Vec::new(),
            conflicts: Vec::new(),
            obsoletes: Vec::new(),
            files: (0..count)
                .map(|number| format!("/usr/share/{name}/part{}/file{number}", number % 7))
                .collect(),
            scriptlets: Vec::new(),
        }
    }
}

fn name(kind: Kind, index: usize) -> String {
    match kind {
        Kind::Library => format!("lib{index:05}"),
        Kind::Python => format!("python3-module{index:05}"),
        Kind::Application => format!("application{index:05}"),
        Kind::Data => format!("fonts{index:05}"),
    }
}

/// Capabilities of the C library: its programs' loader, and some versions of symbols.
fn c_library() -> Vec<String> {
    let versions = ["", "GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.34", "GLIBC_2.38"];
    let names = versions.iter().map(|version| format!("libc.so.6({version})(64bit)"));
    names.chain(["rtld(GNU_HASH)".to_owned()]).collect()
}

fn soname(index: usize) -> String {
    format!("lib{index:05}.so.{}()(64bit)", index % 9 + 1)
}

fn pkgconfig(index: usize) -> String {
    format!("pkgconfig({index:05})")
}

fn module(index: usize) -> String {
    format!("python3dist(module{index:05})")
}

/// Capability that some sources provide together; of the others, the nearest.
fn service(index: usize) -> String {
    format!("service({})", index / ALTERNATIVES_EVERY)
}

fn exact(name: &str, version: &str) -> Capability {
    Capability {
        name: name.to_owned(),
        version: Some((Operator::Equal, version.to_owned())),
    }
}

fn same_version(package: &Package) -> Dependency {
    exact(&package.name, &package.evr()).into()
}

/// The package in its version before.
fn older(package: &Package, version: &str) -> Package {
    let own = [version.to_owned(), package.evr()];
    let rename = |capability: &Capability| match &capability.version {
        Some((Operator::Equal, evr)) if own.contains(evr) => Capability {
            name: capability.name.clone(),
            version: Some((Operator::Equal, format!("0.{evr}"))),
        },
        _ => capability.clone(),
    };
    let renamed = |dependency: &Dependency| match dependency.as_capability() {
        Some(capability) => rename(capability).into(),
        None => dependency.clone(),
    };
    Package {
        version: format!("0.{version}"),
        provides: package.provides.iter().map(rename).collect(),
        requires: package.requires.iter().map(renamed).collect(),
        ..package.clone()
    }
}
