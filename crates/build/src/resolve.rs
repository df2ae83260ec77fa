//! From a package and the results of what it needs to its build: BuildRequires are solved and the key is made, once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use basalt_action::{Blob, Encoded, Node};
use basalt_model::digest::Digest;
use basalt_repo::{Capability, Package as RpmPackage};
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
        let modules = sources.iter().filter_map(|(name, node)| match node {
            Node::Tree(root) => Some((name.clone(), *root)),
            _ => None,
        });
        let modules = modules.collect();
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
            modules,
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
    pub(crate) fn build_requires(
        &self,
        id: PackageId,
        built: &BTreeMap<PackageId, Arc<Built>>,
    ) -> Result<Vec<Rpm>, BuildError> {
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
                    None if fetch => {
                        self.base.bring(self.store, self.reporter)?;
                        let _alone = self.fetching_alone(id);
                        Node::Tree(modules.fetch(self.store, self.tools, self.reporter)?.root)
                    }
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
    let chosen = match unambiguous(requests, available) {
        Some(chosen) => chosen,
        None => choose(requests, available)?,
    };
    let mut rpms: Vec<Rpm> = chosen.into_iter().cloned().collect();
    rpms.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(rpms)
}

/// The set that fulfils the requests where there is nothing to choose: everything that is required has one provider, and no
/// RPM excludes or replaces another. A distribution's own packages are nearly always so, and thousands of them are resolved
/// at each start; the solver is for the rest.
fn unambiguous<'r>(requests: &[String], available: &[&'r Rpm]) -> Option<Vec<&'r Rpm>> {
    let mut providers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, rpm) in available.iter().enumerate() {
        for capability in &rpm.package.provides {
            let list = providers.entry(&capability.name).or_default();
            if list.last() != Some(&index) {
                list.push(index);
            }
        }
    }
    let only = |wanted: &Capability| {
        let listed = providers.get(wanted.name.as_str())?;
        let provides = |index: &&usize| {
            let mut provides = available[**index].package.provides.iter();
            provides.any(|capability| capability.satisfies(wanted))
        };
        let mut fitting = listed.iter().filter(provides);
        match (fitting.next(), fitting.next()) {
            (Some(index), None) => Some(*index),
            _ => None,
        }
    };
    let mut chosen = BTreeSet::new();
    let mut rest = Vec::new();
    for request in requests {
        rest.push(only(&request.parse().ok()?)?);
    }
    while let Some(index) = rest.pop() {
        let package = &available[index].package;
        if !package.conflicts.is_empty() || !package.obsoletes.is_empty() {
            return None;
        }
        if chosen.insert(index) {
            for wanted in &package.requires {
                rest.push(only(wanted)?);
            }
        }
    }
    Some(chosen.into_iter().map(|index| available[index]).collect())
}

/// The same by the solver.
fn choose<'r>(requests: &[String], available: &[&'r Rpm]) -> Result<Vec<&'r Rpm>, basalt_repo::SolveError> {
    let packages: Vec<RpmPackage> = available.iter().map(|rpm| rpm.package.clone()).collect();
    let chosen = basalt_repo::solve(requests, &packages)?;
    let chosen = chosen.into_iter();
    let rpms = chosen.filter_map(|package| available.iter().find(|rpm| rpm.package == *package));
    Ok(rpms.copied().collect())
}

#[cfg(test)]
mod tests {
    use basalt_model::digest::Digest;
    use proptest::prelude::*;

    use super::*;

    fn rpm(name: &str, provides: &[String], requires: &[String]) -> Rpm {
        let package = serde_json::json!({
            "name": name, "version": "1", "release": "1", "arch": "noarch", "license": "MIT", "summary": "",
            "source": "", "size": 0, "files": [],
            "provides": provides, "requires": requires,
        });
        Rpm {
            package: serde_json::from_value(package).expect("a package"),
            file: format!("{name}-1-1.noarch.rpm"),
            digest: Digest::of(name),
            size: 0,
        }
    }

    /// Packages `p0`, `p1`, ... with one capability of several each, which any of them may require.
    fn repositories() -> impl Strategy<Value = Vec<Rpm>> {
        let one = (0..12_usize, prop::collection::vec(0..12_usize, 0..4));
        prop::collection::vec(one, 1..10).prop_map(|packages| {
            let capability = |number: usize| format!("c{number}");
            let rpms = packages.into_iter().enumerate().map(|(index, (provided, required))| {
                let name = format!("p{index}");
                let requires: Vec<_> = required.into_iter().map(capability).collect();
                rpm(&name, &[name.clone(), capability(provided)], &requires)
            });
            rpms.collect()
        })
    }

    proptest! {
        /// Where nothing is to be chosen, the short way and the solver come to the same set.
        #[test]
        fn the_short_way_is_the_solvers(rpms in repositories(), first in 0..10_usize) {
            let available: Vec<&Rpm> = rpms.iter().collect();
            let requests = vec![format!("p{}", first % rpms.len())];
            if let Some(mut short) = unambiguous(&requests, &available) {
                let mut solved = choose(&requests, &available).expect("there is a set");
                short.sort_by(|one, other| one.file.cmp(&other.file));
                solved.sort_by(|one, other| one.file.cmp(&other.file));
                prop_assert_eq!(short, solved);
            }
        }
    }

    #[test]
    fn the_short_way_leaves_choices_to_the_solver() {
        let rpms = [
            rpm("a", &["a".to_owned()], &["c".to_owned()]),
            rpm("b", &["b".to_owned(), "c".to_owned()], &[]),
            rpm("d", &["d".to_owned(), "c".to_owned()], &[]),
        ];
        let available: Vec<&Rpm> = rpms.iter().collect();
        assert!(unambiguous(&["a".to_owned()], &available).is_none());
        assert!(unambiguous(&["b".to_owned()], &available).is_some());
        assert!(unambiguous(&["x".to_owned()], &available).is_none());
    }
}
