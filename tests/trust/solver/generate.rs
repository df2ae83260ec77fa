//! Random repositories: a few packages that provide, require, exclude and replace each other.

use basalt_rpm::{Capability, Conditional, Dependency, Operator, Package};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Name of the package that is to be installed; it requires what is asked for.
pub const REQUEST: &str = "request";

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const CAPABILITIES: [&str; 4] = ["x", "y", "lib(z)(64bit)", "rpm-config"];
const FILES: [&str; 3] = ["/usr/bin/p", "/etc/q", "/usr/share/r"];
/// Versions that differ in every part that rpm compares: epoch, `~`, `^`, release.
const VERSIONS: [&str; 7] = ["1-1", "1-2", "1~rc1-1", "1^git1-1", "2-1", "1:1-1", "1.0.1-1"];
/// Versions in dependencies: releases and epochs may be left out.
const RANGES: [&str; 9] = ["1", "1-1", "1-2", "1~rc1", "1^git1", "2", "2-1", "1:1", "0:1-1"];
const OPERATORS: [Operator; 5] = [
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Equal,
    Operator::GreaterOrEqual,
    Operator::Greater,
];

/// Returns the repository of a seed; the first package is the request.
pub fn repository(seed: u64) -> Vec<Package> {
    let mut random = Random(StdRng::seed_from_u64(seed));
    let mut packages = vec![random.package(REQUEST, "1-1")];
    packages[0].requires = random.dependencies(1..3);
    for _ in 0..random.0.gen_range(5..12) {
        let (name, version) = (random.one(&NAMES), random.one(&VERSIONS));
        let package = random.package(name, version);
        if packages.iter().all(|known| known.nevra() != package.nevra()) {
            packages.push(package);
        }
    }
    packages
}

struct Random(StdRng);

impl Random {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.0).unwrap_or(&of[0])
    }

    fn package(&mut self, name: &str, evr: &str) -> Package {
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) = rest.split_once('-').unwrap_or((rest, "1"));
        let mut provides = vec![Capability {
            name: name.to_owned(),
            version: Some((Operator::Equal, evr.to_owned())),
        }];
        let (mut requires, mut conflicts, mut obsoletes) = (Vec::new(), Vec::new(), Vec::new());
        let mut files = Vec::new();
        if name != REQUEST {
            provides.extend((0..self.0.gen_range(0..3)).map(|_| self.provided()));
            requires = self.dependencies(0..2);
            conflicts = if self.0.gen_bool(0.2) {
                self.dependencies(1..2)
            } else {
                Vec::new()
            };
            if self.0.gen_bool(0.15) {
                obsoletes.push(self.capability(&NAMES));
            }
            if self.0.gen_bool(0.25) {
                files.push(self.one(&FILES).to_owned());
            }
            // What an expression in a Conflicts means that the package itself takes part in is documented nowhere.
            let has = |wanted: &Capability| {
                provides.iter().any(|provided| provided.satisfies(wanted)) || files.contains(&wanted.name)
            };
            conflicts
                .retain(|excluded| excluded.as_capability().is_some() || !excluded.capabilities().into_iter().any(has));
        }
        Package {
            name: name.to_owned(),
            epoch: epoch.parse().unwrap_or(0),
            version: version.to_owned(),
            release: release.to_owned(),
            arch: "noarch".to_owned(),
            license: "MIT".to_owned(),
            summary: String::new(),
            source: String::new(),
            size: 0,
            provides,
            requires,
            conflicts,
            obsoletes,
            files,
            scriptlets: Vec::new(),
        }
    }

    /// A provided capability: mostly without a version or with one; rarely a range.
    fn provided(&mut self) -> Capability {
        let name = match self.0.gen_range(0..10) {
            0 => self.one(&FILES),
            1 | 2 => self.one(&NAMES),
            _ => self.one(&CAPABILITIES),
        };
        let version = match self.0.gen_range(0..10) {
            0 => Some((self.one(&OPERATORS), self.one(&RANGES).to_owned())),
            1..=5 => Some((Operator::Equal, self.one(&RANGES).to_owned())),
            _ => None,
        };
        let version = version.filter(|_| !name.starts_with('/'));
        Capability {
            name: name.to_owned(),
            version,
        }
    }

    fn capability(&mut self, names: &[&str]) -> Capability {
        let name = self.one(names).to_owned();
        let ranged = self.0.gen_bool(0.3) && !name.starts_with('/');
        let version = ranged.then(|| (self.one(&OPERATORS), self.one(&RANGES).to_owned()));
        Capability { name, version }
    }

    fn dependencies(&mut self, count: std::ops::Range<usize>) -> Vec<Dependency> {
        let mut found = Vec::new();
        for _ in 0..self.0.gen_range(count) {
            let is_expression = self.0.gen_bool(0.35);
            let dependency = if is_expression { self.expression(2) } else { self.leaf() };
            if !found.contains(&dependency) {
                found.push(dependency);
            }
        }
        found
    }

    fn leaf(&mut self) -> Dependency {
        let capability = match self.0.gen_range(0..10) {
            0 => self.capability(&FILES),
            1..=5 => self.capability(&NAMES),
            _ => self.capability(&CAPABILITIES),
        };
        Dependency::Capability(capability)
    }

    fn operand(&mut self, depth: usize) -> Dependency {
        if depth > 0 && self.0.gen_bool(0.3) {
            self.expression(depth - 1)
        } else {
            self.leaf()
        }
    }

    fn expression(&mut self, depth: usize) -> Dependency {
        let count = self.0.gen_range(2..4);
        match self.0.gen_range(0..6) {
            0 => Dependency::And((0..count).map(|_| self.operand(depth)).collect()),
            1 => Dependency::Or((0..count).map(|_| self.operand(depth)).collect()),
            2 => Dependency::With((0..2).map(|_| self.leaf()).collect()),
            3 => Dependency::Without(Box::new([self.leaf(), self.leaf()])),
            4 => Dependency::If(self.conditional(depth)),
            _ => Dependency::Unless(self.conditional(depth)),
        }
    }

    fn conditional(&mut self, depth: usize) -> Box<Conditional> {
        Box::new(Conditional {
            then: self.operand(depth),
            condition: self.operand(depth),
            otherwise: self.0.gen_bool(0.3).then(|| self.operand(depth)),
        })
    }
}

/// Returns the dependencies of a package by the names of their tags.
pub fn tags(package: &Package) -> [(&'static str, Vec<String>); 5] {
    let text = |capabilities: &[Capability]| capabilities.iter().map(Capability::to_string).collect();
    let dependencies = |found: &[Dependency]| found.iter().map(Dependency::to_string).collect();
    [
        ("Provides", text(&package.provides)),
        ("Requires", dependencies(&package.requires)),
        ("Conflicts", dependencies(&package.conflicts)),
        ("Obsoletes", text(&package.obsoletes)),
        ("Files", package.files.clone()),
    ]
}
