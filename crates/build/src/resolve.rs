//! From a package and the results of what it needs to its build: BuildRequires are solved and the key is made, once.

use std::collections::BTreeMap;
use std::sync::Arc;

use basalt_action::{Encoded, Node};
use basalt_model::digest::Digest;
use basalt_repo::Package as RpmPackage;
use basalt_sources::InputContent;
use basalt_store::Snapshot;

use crate::BuildError;
use crate::built::{Built, Rpm};
use crate::engine::Engine;
use crate::fingerprint::{self, Ingredients, Mounted};
use crate::graph::PackageId;

/// A build with all that goes into it, by digests: nothing is unpacked or put together for it yet.
#[derive(Debug, Clone)]
pub struct ResolvedBuild {
    /// The package.
    pub package: PackageId,
    /// The action and its key.
    pub action: Encoded,
    /// RPMs of build tools, laid over the SDK, the uppermost first.
    pub tools: Vec<Rpm>,
    /// RPMs that the package is compiled against, the uppermost first.
    pub sysroot: Vec<Rpm>,
    /// Files of the repository among the sources, by their names for the spec.
    pub repository: Vec<(String, Snapshot)>,
}

impl ResolvedBuild {
    /// The key: the digest of the action.
    pub fn key(&self) -> Digest {
        self.action.key.digest
    }
}

/// Sources of a package as inputs.
enum Sources {
    Known(Vec<(String, Node)>, Vec<(String, Snapshot)>),
    /// Modules whose content nobody has fetched here yet.
    Unknown,
}

impl Engine<'_> {
    /// Resolves a package against the results of what it needs; none when modules were never fetched here, so that the key
    /// cannot be told without doing so.
    pub(crate) fn resolve_known(
        &self,
        package: PackageId,
        built: &BTreeMap<PackageId, Arc<Built>>,
    ) -> Result<Option<ResolvedBuild>, BuildError> {
        match self.source_nodes(package, false)? {
            Sources::Known(nodes, repository) => self.resolve_with(package, built, nodes, repository).map(Some),
            Sources::Unknown => Ok(None),
        }
    }

    /// Resolves a package against the results of what it needs; modules are fetched if need be.
    pub(crate) fn resolve_fetching(
        &self,
        package: PackageId,
        built: &BTreeMap<PackageId, Arc<Built>>,
    ) -> Result<ResolvedBuild, BuildError> {
        match self.source_nodes(package, true)? {
            Sources::Known(nodes, repository) => self.resolve_with(package, built, nodes, repository),
            Sources::Unknown => Err(BuildError::Lost {
                file: "modules that were fetched".to_owned(),
            }),
        }
    }

    fn resolve_with(
        &self,
        id: PackageId,
        built: &BTreeMap<PackageId, Arc<Built>>,
        sources: Vec<(String, Node)>,
        repository: Vec<(String, Snapshot)>,
    ) -> Result<ResolvedBuild, BuildError> {
        let package = self.distribution.package(id);
        let (tools, sysroot): (Vec<Rpm>, Vec<Rpm>) = self
            .build_requires(id, built)?
            .into_iter()
            .partition(|rpm| rpm.package.is_build_tool());
        let action = fingerprint::package_action(&Ingredients {
            base: self.base,
            package,
            tools: self.mounted(&tools)?,
            sysroot: self.mounted(&sysroot)?,
            sources,
        })?;
        Ok(ResolvedBuild {
            package: id,
            action: action.encode(),
            tools,
            sysroot,
            repository,
        })
    }

    fn mounted<'r>(&self, rpms: &'r [Rpm]) -> Result<Vec<Mounted<'r>>, BuildError> {
        let mounted = rpms.iter().map(|rpm| {
            Ok(Mounted {
                name: &rpm.package.name,
                root: self.payloads.root(rpm, self.store)?,
            })
        });
        mounted.collect()
    }

    /// The RPMs that a spec asks for, with all that they require, chosen among the results of what it is built from.
    fn build_requires(&self, id: PackageId, built: &BTreeMap<PackageId, Arc<Built>>) -> Result<Vec<Rpm>, BuildError> {
        let graph = &self.distribution.graph;
        let package = graph.package(id);
        let sources = graph.closure(graph.needs(id).iter().copied());
        let available: Vec<&Rpm> = sources
            .iter()
            .filter_map(|source| built.get(source))
            .flat_map(|built| &built.rpms)
            .collect();
        solve(&package.build_requires, &available).map_err(|source| BuildError::Unsolvable {
            package: package.name.clone(),
            source,
        })
    }

    fn source_nodes(&self, id: PackageId, fetch: bool) -> Result<Sources, BuildError> {
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
                InputContent::Modules(modules) => match modules.known(self.store) {
                    Some(known) => Node::Tree(known.root),
                    None if fetch => Node::Tree(modules.fetch(self.store, self.tools, self.reporter)?.root),
                    None => return Ok(Sources::Unknown),
                },
            };
            nodes.push((input.name, node));
        }
        Ok(Sources::Known(nodes, repository))
    }
}

/// The RPMs that fulfil the requests, sorted by file name.
///
/// # Errors
/// When there is no such set; the error explains why.
pub fn solve(requests: &[String], available: &[&Rpm]) -> Result<Vec<Rpm>, basalt_repo::SolveError> {
    let packages: Vec<RpmPackage> = available.iter().map(|rpm| rpm.package.clone()).collect();
    let chosen = basalt_repo::solve(requests, &packages)?;
    let mut rpms: Vec<Rpm> = chosen
        .into_iter()
        .filter_map(|package| available.iter().find(|rpm| rpm.package == *package))
        .map(|rpm| (*rpm).clone())
        .collect();
    rpms.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(rpms)
}
