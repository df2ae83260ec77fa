//! libsolv, the solver of dnf and zypper, asked about repositories.

use std::collections::HashSet;
use std::time::Duration;

use basalt_repodata::raw::{
    COMMON, Checksum, Entries, Entry, File, Format, Location, Primary, PrimaryPackage, RPM, Size, Time, Version,
};
use basalt_rpm::{Capability, Dependency, Operator, Package};
use basalt_sandbox::Sandbox;
use camino::Utf8PathBuf;
use serde::Deserialize;

use crate::BenchError;

/// Program that asks libsolv.
const PROGRAM: &str = include_str!("libsolv.py");
/// Limit of one run, which may be about thousands of repositories.
const PATIENCE: Duration = Duration::from_secs(600);

/// Answer of libsolv about a repository.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LibsolvAnswer {
    /// Seconds for the index of what packages and files provide.
    pub index: f64,
    /// Answers to the requests, in their order.
    pub solutions: Vec<LibsolvSolution>,
}

/// Answer of libsolv to a request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LibsolvSolution {
    /// Seconds of solving.
    pub seconds: f64,
    /// Packages to install, as `name-version-release.arch`; none where there is no solution.
    pub packages: Option<Vec<String>>,
}

/// Asks libsolv what requests, names of packages, install from each of many repositories. The sandbox's root has python3
/// and libsolv.
///
/// # Errors
/// When libsolv is not there, or cannot read a repository.
pub fn ask_libsolv(
    sandbox: &Sandbox,
    repositories: &[(&[Package], &[String])],
) -> Result<Vec<LibsolvAnswer>, BenchError> {
    let mut questions = String::new();
    for (packages, requests) in repositories {
        let question = serde_json::json!({ "primary": primary(packages)?, "requests": requests });
        questions += &format!("{question}\n");
    }
    let command = sandbox.clone().shown_as("python3 libsolv.py");
    let command = command.command("python3", ["-B", "-c", PROGRAM]);
    let output = command.input(questions).time_limit(PATIENCE).output()?.text();
    let answers: Result<Vec<LibsolvAnswer>, _> = output.lines().map(serde_json::from_str).collect();
    let answers = answers.map_err(|error| wrong(&error))?;
    if answers.len() == repositories.len() {
        Ok(answers)
    } else {
        Err(wrong(&format!("{} answers", answers.len())))
    }
}

fn wrong(message: &dyn std::fmt::Display) -> BenchError {
    BenchError::Definition {
        path: Utf8PathBuf::from("libsolv.py"),
        message: message.to_string(),
    }
}

/// Writes `primary.xml` of a repository. Of the files, it has those that a dependency names: no others count for solving.
fn primary(packages: &[Package]) -> Result<String, BenchError> {
    let dependencies = packages
        .iter()
        .flat_map(|package| package.requires.iter().chain(&package.conflicts));
    let names = dependencies
        .flat_map(Dependency::capabilities)
        .map(|capability| capability.name.as_str());
    let paths: HashSet<&str> = names.filter(|name| name.starts_with('/')).collect();
    let primary = Primary {
        namespace: COMMON.to_owned(),
        rpm_namespace: RPM.to_owned(),
        count: packages.len(),
        packages: packages.iter().map(|package| described(package, &paths)).collect(),
    };
    quick_xml::se::to_string(&primary).map_err(|error| wrong(&error))
}

fn described(package: &Package, paths: &HashSet<&str>) -> PrimaryPackage {
    let is_named = |path: &&String| paths.contains(path.as_str());
    let plain = |capabilities: &[Capability]| Entries {
        entries: capabilities.iter().map(entry).collect(),
    };
    let dependencies = |found: &[Dependency]| Entries {
        entries: found.iter().map(expression_or_entry).collect(),
    };
    let file = |path: &String| File {
        kind: None,
        path: path.clone(),
    };
    PrimaryPackage {
        kind: "rpm".to_owned(),
        name: package.name.clone(),
        arch: package.arch.clone(),
        version: Version {
            epoch: package.epoch.to_string(),
            version: package.version.clone(),
            release: package.release.clone(),
        },
        checksum: Checksum {
            kind: "sha256".to_owned(),
            package_id: Some("YES".to_owned()),
            value: "0".repeat(64),
        },
        summary: String::new(),
        description: String::new(),
        packager: String::new(),
        url: String::new(),
        time: Time::default(),
        size: Size {
            package: 1,
            installed: 1,
            archive: 1,
        },
        location: Location {
            base: None,
            href: format!("{}.rpm", package.nevra()),
        },
        format: Format {
            provides: plain(&package.provides),
            requires: dependencies(&package.requires),
            conflicts: dependencies(&package.conflicts),
            obsoletes: plain(&package.obsoletes),
            files: package.files.iter().filter(is_named).map(file).collect(),
            ..Format::default()
        },
    }
}

fn expression_or_entry(dependency: &Dependency) -> Entry {
    match dependency {
        Dependency::Capability(capability) => entry(capability),
        other => Entry {
            name: other.to_string(),
            ..entry(&Capability::any(""))
        },
    }
}

fn entry(capability: &Capability) -> Entry {
    let flags = capability.version.as_ref().map(|(operator, _)| match operator {
        Operator::Less => "LT",
        Operator::LessOrEqual => "LE",
        Operator::Equal => "EQ",
        Operator::GreaterOrEqual => "GE",
        Operator::Greater => "GT",
    });
    let evr = capability.version.as_ref().map(|(_, version)| version.as_str());
    let split = evr.map(|evr| {
        let (epoch, rest) = evr.split_once(':').unwrap_or(("0", evr));
        let (version, release) = rest.split_once('-').unwrap_or((rest, ""));
        (epoch.to_owned(), version.to_owned(), release.to_owned())
    });
    Entry {
        name: capability.name.clone(),
        flags: flags.map(str::to_owned),
        epoch: split.as_ref().map(|(epoch, _, _)| epoch.clone()),
        version: split.as_ref().map(|(_, version, _)| version.clone()),
        release: split
            .map(|(_, _, release)| release)
            .filter(|release| !release.is_empty()),
        pre: None,
    }
}
