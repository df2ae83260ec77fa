//! Which package needs which others to be built first.

use std::collections::{BTreeMap, BTreeSet};

use basalt_model::spelling::closest;
use miette::Diagnostic;
use thiserror::Error;

use crate::spec::SourcePackage;

/// The packages of a distribution and what each is built from.
#[derive(Debug, Clone)]
pub struct Graph {
    packages: Vec<SourcePackage>,
    /// For each package, those whose results its build root is solved from, directly.
    needs: Vec<BTreeSet<usize>>,
    /// Which package makes what a name provides.
    makers: BTreeMap<String, usize>,
}

/// The specs do not fit together.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum GraphError {
    /// Something is asked for that no spec makes.
    #[error("{wanted_by} asks for `{name}`, which no package of this distribution provides")]
    #[diagnostic(code(build::unknown))]
    Unknown {
        /// What is asked for.
        name: String,
        /// By whom: a spec's path with the tag, or an image.
        wanted_by: String,
        /// A package that may be meant.
        #[help]
        remedy: Option<String>,
    },
    /// Two specs make the same package.
    #[error("both {first} and {second} make the package `{name}`")]
    #[diagnostic(code(build::twice), help("rename one of them, or leave one of the two specs out"))]
    Twice {
        /// The package.
        name: String,
        /// One spec.
        first: String,
        /// The other.
        second: String,
    },
    /// Packages need each other to be built.
    #[error("these packages need each other to be built: {}", chain.join(" -> "))]
    #[diagnostic(
        code(build::cycle),
        help(
            "break the circle: take one of these BuildRequires (or a Requires that it pulls in) away, or split a package"
        )
    )]
    Cycle {
        /// The circle, with the first package again at its end.
        chain: Vec<String>,
    },
}

impl Graph {
    /// Puts the packages together.
    ///
    /// # Errors
    /// When a package is made twice or asked for in vain, or when there is a circle.
    pub fn new(packages: Vec<SourcePackage>) -> Result<Self, GraphError> {
        let makers = makers(&packages)?;
        let mut graph = Self {
            needs: Vec::new(),
            packages,
            makers,
        };
        for package in &graph.packages {
            let wanted_by = format!("distro/packages/{0}/{0}.spec (BuildRequires)", package.name);
            graph.needs.push(graph.makers_of(&package.build_requires, &wanted_by)?);
        }
        graph.order()?;
        Ok(graph)
    }

    /// All packages.
    pub fn packages(&self) -> &[SourcePackage] {
        &self.packages
    }

    /// The index of the source package of that name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.packages.iter().position(|package| package.name == name)
    }

    /// The index of the source package that makes what the name provides.
    pub fn maker(&self, name: &str) -> Option<usize> {
        self.makers.get(name).copied()
    }

    /// Every name of a package, of what is made and of what is built.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let sources = self.packages.iter().map(|package| package.name.as_str());
        sources.chain(self.makers.keys().map(String::as_str))
    }

    /// The packages that a package's build root is solved from, directly.
    pub fn needs(&self, package: usize) -> &BTreeSet<usize> {
        &self.needs[package]
    }

    /// The packages that make the named ones, and what those ask for by name.
    ///
    /// # Errors
    /// When no package makes one of them.
    pub fn makers_of(&self, names: &[String], wanted_by: &str) -> Result<BTreeSet<usize>, GraphError> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut rest: Vec<(String, String)> = names.iter().map(|name| (name.clone(), wanted_by.to_owned())).collect();
        while let Some((name, wanted_by)) = rest.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            let maker = self.makers.get(&name).copied().ok_or_else(|| GraphError::Unknown {
                remedy: Some(self.suggestion(&name)),
                name: name.clone(),
                wanted_by,
            })?;
            found.insert(maker);
            let source = &self.packages[maker];
            for binary in source.binaries.iter().filter(|binary| binary.provides.contains(&name)) {
                let by = format!(
                    "distro/packages/{0}/{0}.spec (Requires of {1})",
                    source.name, binary.name
                );
                rest.extend(binary.requires.iter().map(|name| (name.clone(), by.clone())));
            }
        }
        Ok(found)
    }

    /// All packages that the given ones are built from, themselves among them.
    pub fn closure(&self, from: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut rest: Vec<_> = from.into_iter().collect();
        while let Some(package) = rest.pop() {
            if found.insert(package) {
                rest.extend(&self.needs[package]);
            }
        }
        found
    }

    /// The packages in an order in which each comes after what it needs.
    ///
    /// # Errors
    /// When there is a circle, which is shown.
    pub fn order(&self) -> Result<Vec<usize>, GraphError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        fn visit(
            graph: &Graph,
            package: usize,
            marks: &mut [Mark],
            path: &mut Vec<usize>,
            order: &mut Vec<usize>,
        ) -> Result<(), GraphError> {
            match marks[package] {
                Mark::Done => return Ok(()),
                Mark::Open => {
                    let start = path.iter().position(|on_path| *on_path == package).unwrap_or(0);
                    let circle = path[start..].iter().chain([&package]);
                    let chain = circle.map(|index| graph.packages[*index].name.clone()).collect();
                    return Err(GraphError::Cycle { chain });
                }
                Mark::New => {}
            }
            marks[package] = Mark::Open;
            path.push(package);
            for need in &graph.needs[package] {
                visit(graph, *need, marks, path, order)?;
            }
            path.pop();
            marks[package] = Mark::Done;
            order.push(package);
            Ok(())
        }
        let mut marks = vec![Mark::New; self.packages.len()];
        let mut order = Vec::new();
        for package in 0..self.packages.len() {
            visit(self, package, &mut marks, &mut Vec::new(), &mut order)?;
        }
        Ok(order)
    }

    fn suggestion(&self, name: &str) -> String {
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

fn makers(packages: &[SourcePackage]) -> Result<BTreeMap<String, usize>, GraphError> {
    let mut makers: BTreeMap<String, usize> = BTreeMap::new();
    for (index, package) in packages.iter().enumerate() {
        for binary in &package.binaries {
            if let Some(other) = makers.insert(binary.name.clone(), index) {
                let (first, second) = (packages[other].name.clone(), package.name.clone());
                return Err(GraphError::Twice {
                    name: binary.name.clone(),
                    first,
                    second,
                });
            }
        }
    }
    for (index, package) in packages.iter().enumerate() {
        for name in package.binaries.iter().flat_map(|binary| &binary.provides) {
            makers.entry(name.clone()).or_insert(index);
        }
    }
    Ok(makers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::BinaryPackage;

    fn package(name: &str, build_requires: &[&str], requires: &[&str]) -> SourcePackage {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        SourcePackage {
            name: name.to_owned(),
            version: "1".to_owned(),
            release: "1".to_owned(),
            build_requires: names(build_requires),
            binaries: vec![BinaryPackage {
                name: name.to_owned(),
                requires: names(requires),
                provides: vec![name.to_owned(), format!("{name}-api")],
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
        assert_eq!(graph.needs(0), &BTreeSet::from([1, 2]));
        let order = graph.order().expect("no circle");
        let place = |index| order.iter().position(|package| *package == index);
        assert!(place(0) > place(1) && place(0) > place(2));
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
        let GraphError::Unknown {
            name,
            wanted_by,
            remedy,
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(name, "zlib-devle");
        assert!(wanted_by.contains("a.spec"));
        assert!(remedy.is_some_and(|text| text.contains("`zlib-devel`")));
    }

    #[test]
    fn nothing_is_made_twice() {
        let error = Graph::new(vec![package("a", &[], &[]), package("a", &[], &[])]).expect_err("twice");
        assert!(matches!(error, GraphError::Twice { .. }));
    }
}
