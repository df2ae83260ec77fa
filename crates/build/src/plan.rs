//! Planning: what is built already, with which key the rest is built, and in which order.
//!
//! ```text
//! Distribution (specs as rpmspec told them, locks of sources, estimates)
//!     ──(known: in topological order, BuildRequires solved, key made, Lookup asked)──▶ BuiltPackages
//!     ──(jobs: what needs what, for how long)──▶ JobGraph
//! ```
//!
//! A plan is a function of the distribution and of what [`Lookup`] answers. The engine looks results up in the store;
//! tests and `basalt bench plan` do so in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use basalt_action::{Blob, Encoded, Node};
use basalt_model::digest::Digest;
use basalt_process::interrupt;
use basalt_schedule::{Job, JobGraph, JobId};
use basalt_sources::{InputContent, Modules, Tools};
use basalt_store::Snapshot;

use crate::BuildError;
use crate::build_base::BuildBase;
use crate::built::{Built, Rpm};
use crate::built_index::{BuiltIndex, BuiltRpm};
use crate::distribution::Distribution;
use crate::fingerprint::{self, Ingredients, Mounted};
use crate::graph::PackageId;

/// Results by package.
pub type BuiltPackages = BTreeMap<PackageId, Arc<Built>>;

/// A build with all that goes into it, by digests: nothing is unpacked or put together for it yet.
#[derive(Debug, Clone)]
pub struct ResolvedBuild {
    /// The package.
    pub package: PackageId,
    /// The action and its key.
    pub action: Encoded,
    /// RPMs of build tools, laid over the SDK, the uppermost first.
    pub tools: Vec<BuiltRpm>,
    /// RPMs that the package is compiled against, the uppermost first.
    pub sysroot: Vec<BuiltRpm>,
    /// Files of the repository among the sources, by their names for the spec.
    pub repository: Vec<(String, Snapshot)>,
    /// Folders of modules among the sources, by their names for the spec.
    pub(crate) modules: Vec<(String, Blob)>,
}

impl ResolvedBuild {
    /// The key: the digest of the action.
    pub fn key(&self) -> Digest {
        self.action.key.digest
    }

    /// Whether a folder of modules is the one that went into the key.
    pub(crate) fn is_made_with(&self, name: &str, root: &Blob) -> bool {
        self.modules.iter().any(|(known, made)| known == name && made == root)
    }
}

/// Results of earlier work, by key or digest: all that a plan is made from besides the distribution.
pub trait Lookup {
    /// Digest of the folder that Go modules or crates make; none where that cannot be told without fetching them.
    ///
    /// # Errors
    /// When they are to be fetched and cannot be had.
    fn modules(&self, package: PackageId, modules: &Modules<'_>) -> Result<Option<Blob>, BuildError>;

    /// Digest of the directory that the payload of an RPM makes.
    ///
    /// # Errors
    /// When the RPM is to be unpacked and cannot be.
    fn payload(&self, rpm: &Rpm) -> Result<Blob, BuildError>;

    /// Result of a build that was made before.
    ///
    /// # Errors
    /// When it cannot be read.
    fn result(&self, build: &ResolvedBuild) -> Result<Option<Built>, BuildError>;
}

/// Parsed data that plans are made from.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// The packages.
    pub distribution: &'a Distribution,
    /// Folders that every build begins with.
    pub base: &'a BuildBase,
    /// Where files of the repository are read from that are sources of packages.
    pub tools: &'a Tools,
}

impl Planner<'_> {
    /// Those of the packages whose results are known, with all that they need.
    ///
    /// # Errors
    /// When the lookup fails, and when interrupted.
    pub fn known(&self, wanted: &BTreeSet<PackageId>, lookup: &impl Lookup) -> Result<BuiltPackages, BuildError> {
        let graph = &self.distribution.graph;
        let (mut built, mut index) = (BuiltPackages::new(), BuiltIndex::default());
        for package in graph.order()?.into_iter().filter(|package| wanted.contains(package)) {
            interrupt::check()?;
            if !graph.needs(package).iter().all(|need| built.contains_key(need)) {
                continue;
            }
            let rpms = self.build_requires(package, &index)?;
            if let Some(build) = self.resolve(package, rpms, lookup)?
                && let Some(known) = lookup.result(&build)?
            {
                let known = Arc::new(known);
                index.add(package, &known);
                built.insert(package, known);
            }
        }
        Ok(built)
    }

    /// The packages as jobs; a job's position is its package's.
    ///
    /// # Errors
    /// When packages need one another in a cycle.
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

    /// The RPMs that a spec asks for, with all that they require, chosen among the results of what it is built from.
    ///
    /// # Errors
    /// When there is no such set.
    pub fn build_requires(&self, id: PackageId, index: &BuiltIndex) -> Result<Vec<BuiltRpm>, BuildError> {
        let graph = &self.distribution.graph;
        let (package, below) = (graph.package(id), graph.below(id));
        let chosen = index.solve(&package.build_requires, |maker| below.contains(maker));
        chosen.map_err(|source| BuildError::Unsolvable {
            package: package.name.clone(),
            source,
        })
    }

    /// A package with the RPMs that its [`build_requires`](Self::build_requires) came to; none where the content of its
    /// sources is not known.
    ///
    /// # Errors
    /// When what goes into it cannot be put together.
    pub fn resolve(
        &self,
        id: PackageId,
        rpms: Vec<BuiltRpm>,
        lookup: &impl Lookup,
    ) -> Result<Option<ResolvedBuild>, BuildError> {
        let Some((sources, repository)) = self.sources(id, lookup)? else {
            return Ok(None);
        };
        let modules = sources.iter().filter_map(|(name, node)| match node {
            Node::Tree(root) => Some((name.clone(), *root)),
            _ => None,
        });
        let modules = modules.collect();
        let (tools, sysroot): (Vec<_>, Vec<_>) = rpms.into_iter().partition(|rpm| rpm.package.is_build_tool());
        let action = fingerprint::package_action(&Ingredients {
            base: self.base,
            package: self.distribution.package(id),
            tools: mounted(&tools, lookup)?,
            sysroot: mounted(&sysroot, lookup)?,
            sources,
        })?;
        Ok(Some(ResolvedBuild {
            package: id,
            action: action.encode(),
            tools,
            sysroot,
            repository,
            modules,
        }))
    }

    /// Sources of a package as inputs of its action, and those of them that are files of the repository.
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

/// Nodes by their names in SOURCES, and files of the repository by theirs.
type Sources = (Vec<(String, Node)>, Vec<(String, Snapshot)>);

fn mounted<'r>(rpms: &'r [BuiltRpm], lookup: &impl Lookup) -> Result<Vec<Mounted<'r>>, BuildError> {
    let mounted = rpms.iter().map(|rpm| {
        Ok(Mounted {
            name: &rpm.package.name,
            root: lookup.payload(rpm)?,
        })
    });
    mounted.collect()
}
