//! Recipe of a package's key.
//!
//! The key is the digest of the [`Action`] that [`package_action`] builds, and of nothing else. Every input that can
//! change the result of a build is in it, by content:
//!
//! | part of the action | reason |
//! | --- | --- |
//! | arguments | rpmbuild's mode, target and defines decide what is built |
//! | environment | programs read it; it holds the build time of all packages, too |
//! | `layers/tool-*` | build tools that the spec requires, such as the compiler, as unpacked |
//! | `layers/base-*` | macros, toolchain and SDK, as they are in the store |
//! | `sysroot/*` | payloads of the RPMs that the spec requires, and of their requirements |
//! | `build/SPECS`, `build/SOURCES` | the package's folder as it was read, and its sources |
//! | limits | a build that is ended at a limit has no result |
//! | platform | properties of the sandbox: host name, user, umask, network |
//!
//! The order of layers is part of their names, since of two files of one path the upper one hides the other.
//!
//! Left out on purpose: the number of processors and make's jobserver (`BASALT_JOBS`, `MAKEFLAGS`), since no result
//! may depend on them, which `basalt verify` checks by varying them; and the code of the sandbox and of `build_root`,
//! which decide where inputs are mounted and which devices, limits and parts of `/proc` a build sees.
//! `docs/build/keys.md` lists all that is in no key. Payloads are named by the digest of their content, not by their
//! RPMs: when a package is built again and its files are the same, no dependent package is built again (early
//! cut-off), even where its header differs.

use std::collections::{BTreeMap, BTreeSet};

use basalt_action::{Action, ActionLimits, Blob, Directory, Node};
use basalt_release::Arch;
use basalt_store::FolderSnapshot;

use crate::BuildError;
use crate::build_base::BuildBase;
use crate::environment::{BuildEnvironment, TOP};
use crate::package::DistributionPackage;

/// Path of the folder for RPMs below the input root.
pub(crate) const OUTPUT: &str = "build/RPMS";
/// Path of the RPMs' metadata among the outputs, so that headers need not be read again.
pub(crate) const METADATA: &str = "packages.json";

/// Folder in a build root, by its name and the digest of its content.
pub(crate) struct Mounted<'a> {
    pub(crate) name: &'a str,
    pub(crate) root: Blob,
}

/// Inputs of a package's build, with digests for what is in the store.
pub(crate) struct BuildInputs<'a> {
    pub(crate) base: &'a BuildBase,
    pub(crate) package: &'a DistributionPackage,
    pub(crate) tools: Vec<Mounted<'a>>,
    pub(crate) sysroot: Vec<Mounted<'a>>,
    /// Names in SOURCES with their content.
    pub(crate) sources: Vec<(String, Node)>,
}

/// Builds the action of a package's build.
pub(crate) fn package_action(build_inputs: &BuildInputs<'_>) -> Result<Action, BuildError> {
    let BuildInputs { base, package, .. } = build_inputs;
    let mut inputs = Directory::new();
    let mut add = |path: &str, node: Node| {
        inputs
            .insert(path, node)
            .map_err(BuildError::input(&package.folder.name))
    };
    for (prefix, folders) in [
        ("layers/tool", &build_inputs.tools),
        ("sysroot/", &build_inputs.sysroot),
    ] {
        for (place, folder) in folders.iter().enumerate() {
            add(&format!("{prefix}{place:03}-{}", folder.name), Node::Tree(folder.root))?;
        }
    }
    for (path, node) in base.inputs() {
        add(&path, node)?;
    }
    for (path, node) in folder_inputs(package) {
        add(&path, node)?;
    }
    for (name, node) in &build_inputs.sources {
        add(&format!("build/SOURCES/{name}"), node.clone())?;
    }
    let environment = BuildEnvironment::ordinary(0);
    let mut action = rpm_action(base.arch, inputs, package.limits);
    action.arguments = rpmbuild(&environment, base.arch, &package.spec_file());
    action.outputs = BTreeSet::from([OUTPUT.to_owned(), METADATA.to_owned()]);
    Ok(action)
}

/// Returns the arguments of rpmbuild.
pub(crate) fn rpmbuild(environment: &BuildEnvironment, arch: Arch, spec: &str) -> Vec<String> {
    let mut arguments = ["rpmbuild", "-bb", "--nodeps"].map(str::to_owned).to_vec();
    arguments.extend(environment.rpm_arguments(arch));
    arguments.push(format!("{}/SPECS/{spec}", environment.directory));
    arguments
}

/// Builds the action of a query of rpmspec about a spec.
pub(crate) fn query_action(
    base: &BuildBase,
    name: &str,
    files: &FolderSnapshot,
    mode: &str,
    format: &str,
) -> Result<Action, BuildError> {
    let spec = format!("{name}.spec");
    let mut inputs = Directory::new();
    let mut add = |path: &str, node| inputs.insert(path, node).map_err(BuildError::input(name));
    for (path, node) in base.inputs() {
        add(&path, node)?;
    }
    for (path, node) in files.nodes() {
        // rpm reads files of the folder, such as lists and included specs, from either folder.
        add(&format!("build/SPECS/{path}"), node.clone())?;
        add(&format!("build/SOURCES/{path}"), node)?;
    }
    let environment = BuildEnvironment::ordinary(0);
    let mut action = rpm_action(base.arch, inputs, ActionLimits::default());
    action.arguments = rpmspec(&environment, base.arch, &spec, mode, format);
    Ok(action)
}

/// Returns the arguments of rpmspec.
pub(crate) fn rpmspec(environment: &BuildEnvironment, arch: Arch, spec: &str, mode: &str, format: &str) -> Vec<String> {
    let mut arguments = ["rpmspec", "-q", mode, "--qf", format].map(str::to_owned).to_vec();
    arguments.extend(environment.rpm_arguments(arch));
    arguments.push(format!("{}/SPECS/{spec}", environment.directory));
    arguments
}

/// Builds an action with the properties that all actions of rpm's programs have in common.
fn rpm_action(arch: Arch, inputs: Directory, limits: ActionLimits) -> Action {
    let environment = BuildEnvironment::ordinary(0);
    let platform = [
        ("arch", arch.name().to_owned()),
        ("host-name", environment.host_name.clone()),
        ("network", "none".to_owned()),
        ("umask", format!("{:03o}", environment.umask)),
        ("user", environment.user.to_string()),
    ];
    Action {
        environment: environment.action_variables(arch),
        working_directory: TOP.trim_start_matches('/').to_owned(),
        platform: BTreeMap::from(platform.map(|(name, value)| (name.to_owned(), value))),
        inputs,
        limits,
        ..Action::default()
    }
}

/// Returns the package's folder as inputs: the spec in SPECS, the other files in SOURCES.
pub(crate) fn folder_inputs(package: &DistributionPackage) -> impl Iterator<Item = (String, Node)> {
    let spec = package.spec_file();
    package.files.nodes().map(move |(path, node)| {
        let folder = if path == spec { "SPECS" } else { "SOURCES" };
        (format!("build/{folder}/{path}"), node)
    })
}
