//! Planning: finds the packages that are built already, the keys of the others, and their order.
//!
//! ```text
//! Distribution (specs as rpmspec read them, locks of sources, estimates)
//!     ──(known: level by level, BuildRequires solved, key made, result looked up)──▶ BuiltPackages
//!     ──(jobs: dependencies and estimated durations)──▶ JobGraph
//! ```
//!
//! A plan is a function of the distribution and of the results that [`Lookup`] returns. The engine looks results up in
//! the store; tests and `basalt bench plan` do so in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use basalt_action::{Blob, Encoded, Node};
use basalt_digest::Digest;
use basalt_process::interrupt;
use basalt_schedule::{EachError, Job, JobGraph, JobId};
use basalt_sources::{InputContent, Modules, Tools};
use basalt_store::FolderSnapshot;

use crate::BuildError;
use crate::build_base::BuildBase;
use crate::built::{Built, BuiltPackages, BuiltRpm};
use crate::built_index::{BuiltIndex, IndexedRpm};
use crate::distribution::Distribution;
use crate::fingerprint::{self, BuildInputs, Mounted};
use crate::graph::PackageId;
use crate::scriptlets;

/// Build with all its inputs, by digest: nothing is unpacked or mounted for it yet.
#[derive(Debug, Clone)]
pub struct ResolvedBuild {
    /// Id of the package.
    pub package: PackageId,
    /// Action of the build, with its key.
    pub action: Encoded,
    /// RPMs of build tools, laid over the SDK, the uppermost first.
    pub tools: Vec<IndexedRpm>,
    /// RPMs of the sysroot, the uppermost first.
    pub sysroot: Vec<IndexedRpm>,
    /// Files of the repository among the sources, by their names in SOURCES.
    pub repository: Vec<(String, FolderSnapshot)>,
    /// Folders of Go modules or crates among the sources, by their names in SOURCES.
    pub(crate) modules: Vec<(String, Blob)>,
    /// Digests of the directories of the RPMs' payloads, by the digests of the RPMs.
    pub(crate) payloads: BTreeMap<Digest, Blob>,
}

impl ResolvedBuild {
    /// Returns the key: the digest of the action.
    pub fn key(&self) -> Digest {
        self.action.key.digest
    }

    /// Returns `true` if a folder of modules is the one that went into the key.
    pub(crate) fn is_made_with(&self, name: &str, root: &Blob) -> bool {
        self.modules.iter().any(|(known, made)| known == name && made == root)
    }

    /// Returns `true` if the directory of an RPM's payload is the one that went into the key.
    pub(crate) fn is_made_with_payload(&self, rpm: &Digest, root: &Blob) -> bool {
        self.payloads.get(rpm) == Some(root)
    }

    /// Iterates over the RPMs of build tools and sysroot.
    pub(crate) fn rpms(&self) -> impl Iterator<Item = &BuiltRpm> {
        self.tools.iter().chain(&self.sysroot).map(|rpm| &**rpm)
    }
}

/// Source of earlier results, by key or digest: everything that a plan is made from besides the distribution.
pub trait Lookup {
    /// Returns the digest of the folder of Go modules or crates; none where it is unknown until they are fetched.
    ///
    /// # Errors
    /// When they have to be fetched and cannot be.
    fn modules(&self, package: PackageId, modules: &Modules<'_>) -> Result<Option<Blob>, BuildError>;

    /// Returns the digest of the directory of an RPM's payload.
    ///
    /// # Errors
    /// When the RPM has to be unpacked and cannot be.
    fn payload(&self, rpm: &BuiltRpm) -> Result<Blob, BuildError>;

    /// Returns the result of an earlier build of the same key.
    ///
    /// # Errors
    /// When the result cannot be read.
    fn result(&self, build: &ResolvedBuild) -> Result<Option<Built>, BuildError>;
}

/// Planner of builds: resolves dependencies, makes keys and orders jobs.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// Packages of the checkout.
    pub distribution: &'a Distribution,
    /// Layers below every build root.
    pub base: &'a BuildBase,
    /// Reader of repository files that are sources of packages.
    pub tools: &'a Tools,
}

impl Planner<'_> {
    /// Returns the results of those packages whose result is known, and those of all their dependencies, too. Packages that
    /// do not need one another are looked up on all cores.
    ///
    /// # Errors
    /// When the lookup fails, and when interrupted.
    pub fn known(
        &self,
        wanted: &BTreeSet<PackageId>,
        lookup: &(impl Lookup + Sync),
    ) -> Result<BuiltPackages, BuildError> {
        let graph = &self.distribution.graph;
        let (mut built, mut index) = (BuiltPackages::new(), BuiltIndex::default());
        for level in graph.levels()? {
            interrupt::check()?;
            let is_next = |package: &PackageId| {
                wanted.contains(package) && graph.needs(*package).iter().all(|need| built.contains_key(need))
            };
            let level: Vec<PackageId> = level.into_iter().filter(is_next).collect();
            // Of several errors, the first one in the order of packages is returned, whichever thread was quicker.
            let found = basalt_schedule::each(&level, |package| Ok(self.known_result(*package, &index, lookup)));
            let found = found.map_err(EachError::<BuildError>::into_first)?;
            for (package, known) in level.into_iter().zip(found) {
                if let Some(known) = known?.map(Arc::new) {
                    index.add(package, &known);
                    built.insert(package, known);
                }
            }
        }
        Ok(built)
    }

    /// Returns the result of a package whose dependencies are in the index; none where it is not known.
    fn known_result(
        &self,
        package: PackageId,
        index: &BuiltIndex,
        lookup: &impl Lookup,
    ) -> Result<Option<Built>, BuildError> {
        let rpms = self.build_requires(package, index)?;
        match self.resolve(package, rpms, lookup)? {
            Some(build) => lookup.result(&build),
            None => Ok(None),
        }
    }

    /// Returns all packages as jobs; the position of a job is the index of its package.
    ///
    /// # Errors
    /// When there is a dependency cycle.
    pub fn jobs(&self) -> Result<JobGraph, BuildError> {
        let graph = &self.distribution.graph;
        let jobs = graph.ids().map(|id| {
            let package = self.distribution.package(id);
            Job {
                name: package.name().to_owned(),
                needs: graph.needs(id).iter().map(|need| JobId::new(need.index())).collect(),
                estimate: package.estimate,
            }
        });
        Ok(JobGraph::new(jobs.collect())?)
    }

    /// Solves the BuildRequires of a spec, with all that they require, among the results of its dependencies.
    ///
    /// # Errors
    /// When there is no such set.
    pub fn build_requires(&self, id: PackageId, index: &BuiltIndex) -> Result<Vec<IndexedRpm>, BuildError> {
        let graph = &self.distribution.graph;
        let (package, below) = (graph.package(id), graph.below(id));
        let chosen = index.solve(&package.build_requires, |maker| below.contains(maker));
        chosen.map_err(|source| BuildError::Unsolvable {
            package: package.name.clone(),
            source,
        })
    }

    /// Resolves the inputs of a package with the RPMs of its [`build_requires`](Self::build_requires); none where the
    /// content of its sources is not known.
    ///
    /// # Errors
    /// When the package has scriptlets, an input cannot be read, or paths of inputs collide.
    pub fn resolve(
        &self,
        id: PackageId,
        rpms: Vec<IndexedRpm>,
        lookup: &impl Lookup,
    ) -> Result<Option<ResolvedBuild>, BuildError> {
        scriptlets::check_spec(self.distribution.package(id))?;
        let Some((sources, repository)) = self.sources(id, lookup)? else {
            return Ok(None);
        };
        let modules = sources.iter().filter_map(|(name, node)| match node {
            Node::Tree(root) => Some((name.clone(), *root)),
            _ => None,
        });
        let modules = modules.collect();
        let payloads = rpms.into_iter().map(|rpm| Ok((lookup.payload(&rpm)?, rpm)));
        let payloads = payloads.collect::<Result<Vec<_>, BuildError>>()?;
        let by_rpm = payloads.iter().map(|(root, rpm)| (rpm.digest, *root)).collect();
        let (tools, sysroot): (Vec<_>, Vec<_>) = payloads.into_iter().partition(|(_, rpm)| rpm.package.is_build_tool());
        let action = fingerprint::package_action(&BuildInputs {
            base: self.base,
            package: self.distribution.package(id),
            tools: mounted(&tools),
            sysroot: mounted(&sysroot),
            sources,
        })?;
        Ok(Some(ResolvedBuild {
            package: id,
            action: action.encode(),
            tools: tools.into_iter().map(|(_, rpm)| rpm).collect(),
            sysroot: sysroot.into_iter().map(|(_, rpm)| rpm).collect(),
            repository,
            modules,
            payloads: by_rpm,
        }))
    }

    /// Returns the sources of a package as inputs of its action, and those of them that are files of the repository.
    fn sources(&self, id: PackageId, lookup: &impl Lookup) -> Result<Option<Sources>, BuildError> {
        let package = self.distribution.package(id);
        let (mut nodes, mut repository) = (Vec::new(), Vec::new());
        for input in package.sources.inputs(self.tools)? {
            let node = match input.content {
                InputContent::File { blob } => Node::File { blob, mode: 0o444 },
                InputContent::Repository(snapshot) => {
                    let directory = snapshot.directory().map_err(BuildError::input(package.name()))?;
                    repository.push((input.name.clone(), snapshot));
                    Node::Directory(directory)
                }
                InputContent::Modules(modules) => match lookup.modules(id, &modules)? {
                    Some(root) => Node::Tree(root),
                    None => return Ok(None),
                },
            };
            nodes.push((input.name, node));
        }
        Ok(Some((nodes, repository)))
    }
}

/// Inputs by their names in SOURCES, and files of the repository by theirs.
type Sources = (Vec<(String, Node)>, Vec<(String, FolderSnapshot)>);

fn mounted(payloads: &[(Blob, IndexedRpm)]) -> Vec<Mounted<'_>> {
    let mounted = payloads.iter().map(|(root, rpm)| Mounted {
        name: &rpm.package.name,
        root: *root,
    });
    mounted.collect()
}
