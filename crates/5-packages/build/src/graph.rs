//! Graph of build dependencies between packages.

use std::collections::{BTreeSet, HashMap};

use basalt_document::spelling::closest;
use basalt_rpm::{Capability, Dependency, InvalidCapability, capability::compare_provided};
use basalt_schedule::{Idx, IndexVec};
use fixedbitset::FixedBitSet;
use miette::Diagnostic;
use thiserror::Error;

use crate::requirements;
use crate::spec::{BinaryPackage, SourcePackage};

/// Id of a source package within one [`Graph`], and in all data indexed by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId(usize);

impl PackageId {
    /// Returns the position among the packages of its graph, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

impl Idx for PackageId {
    fn index(self) -> usize {
        self.0
    }
}

/// Set of packages of one [`Graph`]; a bit for each package of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSet(FixedBitSet);

impl PackageSet {
    /// Returns `true` if the package is in the set.
    pub fn contains(&self, package: PackageId) -> bool {
        self.0.contains(package.0)
    }

    /// Returns the number of packages in the set.
    pub fn len(&self) -> usize {
        self.0.count_ones(..)
    }

    /// Returns `true` if the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_clear()
    }
}

/// Source packages of a distribution and their build dependencies.
#[derive(Debug, Clone)]
pub struct Graph {
    packages: IndexVec<PackageId, SourcePackage>,
    /// Source packages by name.
    names: HashMap<String, PackageId>,
    /// For each package, its direct dependencies: packages whose results its build root is solved from.
    needs: IndexVec<PackageId, BTreeSet<PackageId>>,
    /// For each package, its direct and indirect dependencies.
    below: IndexVec<PackageId, PackageSet>,
    /// Binary packages by the names that they provide, the preferred one first.
    makers: HashMap<String, Vec<MadeBinary>>,
}

/// Binary package of a source package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MadeBinary {
    pub(crate) source: PackageId,
    /// Index among the binary packages of the source package.
    index: usize,
}

/// Specs contradict each other.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum GraphError {
    /// A required name that no spec provides.
    #[error("{wanted_by} asks for `{name}`, which no package of this distribution provides")]
    #[diagnostic(code(build::unknown))]
    Unknown {
        /// The required name.
        name: String,
        /// The requirer: a spec's path with the tag, or an image.
        wanted_by: String,
        /// Suggestion of a similar name.
        #[help]
        help: Option<String>,
    },
    /// A request of an image is not a dependency.
    #[error("{wanted_by}: {what}")]
    #[diagnostic(code(build::request))]
    Request {
        /// The image.
        wanted_by: String,
        /// The violation, as a sentence.
        what: String,
    },
    /// Two specs that make the same package.
    #[error("both {first} and {second} make the package `{name}`")]
    #[diagnostic(code(build::twice), help("rename one of them, or leave one of the two specs out"))]
    Twice {
        /// Name of the package.
        name: String,
        /// Path of one spec.
        first: String,
        /// Path of the other.
        second: String,
    },
    /// Packages that need each other to be built.
    #[error("these packages need each other to be built: {}", chain.join(" -> "))]
    #[diagnostic(
        code(build::cycle),
        help(
            "break the circle: take one of these BuildRequires (or a Requires that it pulls in) away, or split a package"
        )
    )]
    Cycle {
        /// The cycle, with the first package again at its end.
        chain: Vec<String>,
    },
}

impl Graph {
    /// Builds the graph of packages.
    ///
    /// # Errors
    /// When two specs make the same package, a requirement has no provider, or there is a cycle.
    pub fn new(packages: Vec<SourcePackage>) -> Result<Self, GraphError> {
        let packages = IndexVec::from(packages);
        let makers = makers(&packages)?;
        let names = packages.iter().enumerate();
        let names = names
            .map(|(index, package)| (package.name.clone(), PackageId(index)))
            .collect();
        let mut graph = Self {
            needs: Vec::new().into(),
            below: Vec::new().into(),
            packages,
            names,
            makers,
        };
        let needs = graph.packages.iter().map(|package| {
            let by = || format!("{0}.spec (BuildRequires)", package.name);
            requirements::makers(&graph, &package.build_requires, &by)
        });
        graph.needs = needs.collect::<Result<_, _>>()?;
        graph.below = graph.closures()?;
        Ok(graph)
    }

    /// Returns all packages.
    pub fn packages(&self) -> &[SourcePackage] {
        self.packages.as_slice()
    }

    /// Iterates over the ids of all packages, in the order of [`packages`](Self::packages).
    pub fn ids(&self) -> impl Iterator<Item = PackageId> + use<> {
        (0..self.packages.len()).map(PackageId)
    }

    /// Returns the id of the package at a position; none when there are fewer packages.
    pub fn at(&self, index: usize) -> Option<PackageId> {
        (index < self.packages.len()).then_some(PackageId(index))
    }

    /// Returns a package by its id.
    pub fn package(&self, id: PackageId) -> &SourcePackage {
        &self.packages[id]
    }

    /// Returns the id of the source package of a name.
    pub fn id(&self, name: &str) -> Option<PackageId> {
        self.names.get(name).copied()
    }

    /// Returns the id of the source package that provides a name.
    pub fn maker(&self, name: &str) -> Option<PackageId> {
        let preferred = self.makers.get(name).and_then(|makers| makers.first());
        preferred.map(|made| made.source)
    }

    /// Iterates over all names of source packages, binary packages and capabilities.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let sources = self.packages.iter().map(|package| package.name.as_str());
        sources.chain(self.makers.keys().map(String::as_str))
    }

    /// Returns the direct dependencies of a package: packages whose results its build root is solved from.
    pub fn needs(&self, package: PackageId) -> &BTreeSet<PackageId> {
        &self.needs[package]
    }

    /// Returns the packages that make the named ones, and those that provide what these require by name.
    ///
    /// # Errors
    /// When a name has no provider.
    pub fn makers_of(&self, names: &[String], wanted_by: &str) -> Result<BTreeSet<PackageId>, GraphError> {
        let wanted: Result<Vec<Dependency>, _> = names.iter().map(|name| name.parse()).collect();
        let wanted = wanted.map_err(|error: InvalidCapability| GraphError::Request {
            wanted_by: wanted_by.to_owned(),
            what: error.to_string(),
        })?;
        requirements::makers(self, &wanted, &|| wanted_by.to_owned())
    }

    /// Returns the binary package of a source package.
    #[expect(clippy::indexing_slicing, reason = "the index is of the same graph")]
    pub(crate) fn binary(&self, made: MadeBinary) -> &BinaryPackage {
        &self.package(made.source).binaries[made.index]
    }

    /// Returns the preferred binary package that fulfils a dependency by itself.
    pub(crate) fn provider(&self, wanted: &Dependency) -> Option<MadeBinary> {
        let capabilities = wanted.capabilities().into_iter();
        let mut providers = capabilities
            .filter_map(|capability| self.makers.get(&capability.name))
            .flatten();
        providers.find(|made| self.binary(**made).fulfils(wanted)).copied()
    }

    /// Returns the direct and indirect dependencies of a package, without itself.
    pub fn below(&self, package: PackageId) -> &PackageSet {
        &self.below[package]
    }

    fn closures(&self) -> Result<IndexVec<PackageId, PackageSet>, GraphError> {
        let none = PackageSet(FixedBitSet::with_capacity(self.packages.len()));
        let mut below = IndexVec::filled(none.clone(), self.packages.len());
        for package in self.order()? {
            let mut all = none.clone();
            for need in self.needs(package) {
                all.0.insert(need.0);
                all.0.union_with(&below[*need].0);
            }
            below[package] = all;
        }
        Ok(below)
    }

    /// Returns the given packages and all their direct and indirect dependencies.
    pub fn closure(&self, from: impl IntoIterator<Item = PackageId>) -> BTreeSet<PackageId> {
        let mut found = BTreeSet::new();
        let mut rest: Vec<_> = from.into_iter().collect();
        while let Some(package) = rest.pop() {
            if found.insert(package) {
                rest.extend(self.needs(package));
            }
        }
        found
    }

    /// Returns the packages in topological order: each after its dependencies.
    ///
    /// # Errors
    /// When there is a cycle, which the error shows.
    pub fn order(&self) -> Result<Vec<PackageId>, GraphError> {
        let mut search = DepthFirst::new(self);
        for package in self.ids() {
            search.visit(package)?;
        }
        Ok(search.order)
    }

    /// Returns the packages by levels: the dependencies of a package are all in levels before its own.
    ///
    /// # Errors
    /// When there is a cycle, which the error shows.
    pub fn levels(&self) -> Result<Vec<Vec<PackageId>>, GraphError> {
        let mut level_of = IndexVec::filled(0_usize, self.packages.len());
        let mut levels: Vec<Vec<PackageId>> = Vec::new();
        for package in self.order()? {
            let level = self.needs(package).iter().map(|need| level_of[*need] + 1).max();
            let level = level.unwrap_or_default();
            level_of[package] = level;
            match levels.get_mut(level) {
                Some(packages) => packages.push(package),
                None => levels.push(vec![package]),
            }
        }
        Ok(levels)
    }

    /// Returns advice on a dependency that no package fulfils: other versions, or a similar name.
    pub(crate) fn suggestion(&self, wanted: &Dependency) -> String {
        let Some(Capability { name, .. }) = wanted.as_capability() else {
            return "at least one of the names has to be that of a package in distro/packages".to_owned();
        };
        if let Some(makers) = self.makers.get(name) {
            let named = |made: &MadeBinary| {
                let provides = &self.binary(*made).provides;
                let provided = provides.iter().find(|provided| provided.name == *name);
                provided.map(|provided| format!("`{provided}`"))
            };
            let there: Vec<_> = makers.iter().filter_map(named).collect();
            return format!("there is {}", there.join(", "));
        }
        if name.starts_with('/') {
            return "which files a package has is known once it is built: require the package by its name, or add \
                    `Provides:` with the path to its spec"
                .to_owned();
        }
        let known = self.makers.keys().map(String::as_str);
        match closest(name, known) {
            Some(known) => format!("a package of a similar name is there: `{known}`"),
            None => {
                "the packages that are there: `ls distro/packages`; tools of the SDK (make, python, ...) are always \
                     present and are not named in BuildRequires"
                    .to_owned()
            }
        }
    }
}

/// Depth-first search for the order, without recursion, so that long chains do not exhaust the stack.
struct DepthFirst<'g> {
    graph: &'g Graph,
    marks: IndexVec<PackageId, Mark>,
    order: Vec<PackageId>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    New,
    Open,
    Done,
}

impl<'g> DepthFirst<'g> {
    fn new(graph: &'g Graph) -> Self {
        Self {
            graph,
            marks: IndexVec::filled(Mark::New, graph.packages.len()),
            order: Vec::new(),
        }
    }

    fn visit(&mut self, package: PackageId) -> Result<(), GraphError> {
        if self.marks[package] == Mark::Done {
            return Ok(());
        }
        // Packages on the path to the current one, each with those of its dependencies that are not yet visited.
        let mut path = vec![(package, self.graph.needs(package).iter())];
        self.marks[package] = Mark::Open;
        while let Some((current, needs)) = path.last_mut() {
            let Some(need) = needs.next() else {
                self.marks[*current] = Mark::Done;
                self.order.push(*current);
                path.pop();
                continue;
            };
            match self.marks[*need] {
                Mark::Done => {}
                Mark::New => {
                    self.marks[*need] = Mark::Open;
                    path.push((*need, self.graph.needs(*need).iter()));
                }
                Mark::Open => {
                    let start = path.iter().position(|(on_path, _)| on_path == need).unwrap_or(0);
                    let circle = path.iter().skip(start).map(|(package, _)| package).chain([need]);
                    let chain = circle.map(|id| self.graph.package(*id).name.clone()).collect();
                    return Err(GraphError::Cycle { chain });
                }
            }
        }
        Ok(())
    }
}

/// Returns the binary packages by the names that they provide, each list in the order in which the solver prefers
/// providers ([`PackageIndex::solve`](basalt_solver::PackageIndex::solve)).
#[expect(clippy::indexing_slicing, reason = "the indexes are of the same packages")]
fn makers(packages: &IndexVec<PackageId, SourcePackage>) -> Result<HashMap<String, Vec<MadeBinary>>, GraphError> {
    let mut named: HashMap<&str, &SourcePackage> = HashMap::new();
    let mut makers: HashMap<String, Vec<MadeBinary>> = HashMap::new();
    for (source, package) in packages.iter().enumerate() {
        for (index, binary) in package.binaries.iter().enumerate() {
            if let Some(other) = named.insert(&binary.name, package) {
                return Err(GraphError::Twice {
                    name: binary.name.clone(),
                    first: other.name.clone(),
                    second: package.name.clone(),
                });
            }
            let source = PackageId(source);
            for provided in &binary.provides {
                let known = makers.entry(provided.name.clone()).or_default();
                if !known.contains(&MadeBinary { source, index }) {
                    known.push(MadeBinary { source, index });
                }
            }
        }
    }
    for (name, made) in makers.iter_mut().filter(|(_, made)| made.len() > 1) {
        let binary = |made: &MadeBinary| &packages[made.source].binaries[made.index];
        made.sort_by(|one, other| {
            let (one, other) = (binary(one), binary(other));
            let has_the_name = |binary: &BinaryPackage| binary.name == *name;
            let by_name = has_the_name(other).cmp(&has_the_name(one));
            by_name
                .then_with(|| compare_provided(name, &other.provides, &one.provides))
                .then_with(|| one.name.cmp(&other.name))
        });
    }
    Ok(makers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, build_requires: &[&str], requires: &[&str]) -> SourcePackage {
        let dependencies = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a dependency")).collect();
        SourcePackage {
            name: name.to_owned(),
            version: "1".to_owned(),
            release: "1".to_owned(),
            build_requires: dependencies(build_requires),
            binaries: vec![BinaryPackage {
                name: name.to_owned(),
                requires: dependencies(requires),
                provides: [format!("{name} = 1-1"), format!("{name}-api")]
                    .map(|text| text.parse().expect("a capability"))
                    .into(),
                scriptlets: Vec::new(),
            }],
        }
    }

    #[test]
    fn order_follows_needs_and_what_they_require() {
        let graph = Graph::new(vec![
            package("app", &["lib-api"], &[]),
            package("lib", &[], &["data"]),
            package("data", &[], &[]),
        ])
        .expect("fits");
        assert_eq!(graph.needs(PackageId(0)), &BTreeSet::from([PackageId(1), PackageId(2)]));
        let order = graph.order().expect("no circle");
        let place = |index| order.iter().position(|package| *package == PackageId(index));
        assert!(place(0) > place(1) && place(0) > place(2));
        let levels = graph.levels().expect("no circle");
        assert_eq!(levels, [vec![PackageId(1), PackageId(2)], vec![PackageId(0)]]);
    }

    #[test]
    fn a_circle_is_shown_whole() {
        let error = Graph::new(vec![
            package("a", &["b"], &[]),
            package("b", &["c"], &[]),
            package("c", &["a"], &[]),
        ])
        .expect_err("a circle");
        assert_eq!(
            error.to_string(),
            "these packages need each other to be built: a -> b -> c -> a"
        );
    }

    #[test]
    fn what_nobody_makes_is_named_with_a_suggestion() {
        let error = Graph::new(vec![
            package("a", &["zlib-devle"], &[]),
            package("zlib-devel", &[], &[]),
        ])
        .expect_err("a typing error");
        let GraphError::Unknown { name, wanted_by, help } = error else {
            panic!("{error}")
        };
        assert_eq!(name, "zlib-devle");
        assert!(wanted_by.contains("a.spec"));
        assert!(help.is_some_and(|text| text.contains("`zlib-devel`")));
    }

    #[test]
    fn nothing_is_made_twice() {
        let error = Graph::new(vec![package("a", &[], &[]), package("a", &[], &[])]).expect_err("twice");
        assert!(matches!(error, GraphError::Twice { .. }));
    }

    #[test]
    fn a_chain_of_thousands_is_put_in_order() {
        let count = 20_000;
        let name = |number: usize| format!("p{number}");
        let packages = (0..count).map(|number| {
            let below = name(number + 1);
            let needs: &[&str] = if number + 1 < count { &[&below] } else { &[] };
            package(&name(number), needs, &[])
        });
        let graph = Graph::new(packages.collect()).expect("fits");
        let order = graph.order().expect("no circle");
        assert_eq!(order.first().map(|id| id.index()), Some(count - 1));
    }
}
