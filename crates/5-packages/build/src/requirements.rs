//! Packages that have to be built before another one: those that its dependencies name, directly and indirectly.
//!
//! Before a build, only the tags of its spec are known; requirements that rpmbuild finds by itself come with packages that
//! are named here. Expressions are followed as far as that allows:
//!
//! * `or`: nothing, if one of the operands is chosen anyhow; otherwise the first operand that packages can fulfil;
//! * `if`, `unless`: by whether the condition is fulfilled by what is chosen, once nothing else is left to follow.
//!
//! The exact set is solved from the results of these packages (module `plan`).

use std::collections::{BTreeSet, HashSet};

use basalt_rpm::{Conditional, Dependency};

use crate::graph::{Graph, GraphError, MadeBinary, PackageId};

/// Returns the packages that make what is wanted, and those that make what these require.
pub(crate) fn makers(
    graph: &Graph,
    wanted: &[Dependency],
    wanted_by: &dyn Fn() -> String,
) -> Result<BTreeSet<PackageId>, GraphError> {
    let mut walk = Walk {
        graph,
        wanted_by,
        chosen: BTreeSet::new(),
        rest: Vec::new(),
        deferred: Vec::new(),
        asked: HashSet::new(),
    };
    walk.rest.extend(wanted.iter().map(|dependency| (dependency, None)));
    walk.run()?;
    Ok(walk.chosen.into_iter().map(|made| made.source).collect())
}

/// Dependency, and the binary package that has it; none for what is asked for.
type Required<'g> = (&'g Dependency, Option<MadeBinary>);

struct Walk<'g> {
    graph: &'g Graph,
    wanted_by: &'g dyn Fn() -> String,
    chosen: BTreeSet<MadeBinary>,
    rest: Vec<Required<'g>>,
    /// Expressions that depend on what else is chosen.
    deferred: Vec<Required<'g>>,
    /// Operands of deferred expressions that were followed.
    asked: HashSet<&'g Dependency>,
}

impl<'g> Walk<'g> {
    fn run(&mut self) -> Result<(), GraphError> {
        loop {
            while let Some(required) = self.rest.pop() {
                self.follow(required)?;
            }
            if !self.follow_deferred()? {
                return Ok(());
            }
        }
    }

    fn follow(&mut self, (wanted, by): Required<'g>) -> Result<(), GraphError> {
        match wanted {
            Dependency::Capability(_) | Dependency::With(_) | Dependency::Without(_) => {
                let made = self.graph.provider(wanted).ok_or_else(|| self.unknown(wanted, by))?;
                if self.chosen.insert(made) {
                    let requires = self.graph.binary(made).requires.iter();
                    self.rest.extend(requires.map(|required| (required, Some(made))));
                }
            }
            Dependency::And(operands) => self.rest.extend(operands.iter().map(|operand| (operand, by))),
            Dependency::Or(_) | Dependency::If(_) | Dependency::Unless(_) => self.deferred.push((wanted, by)),
        }
        Ok(())
    }

    /// Follows the first deferred expression that asks for more; returns `false` if none does.
    fn follow_deferred(&mut self) -> Result<bool, GraphError> {
        for &(wanted, by) in &self.deferred {
            if let Some(more) = self.asked_for(wanted, by)?
                && self.asked.insert(more)
            {
                self.rest.push((more, by));
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the operand that an expression asks for and that is not fulfilled yet.
    fn asked_for(&self, wanted: &'g Dependency, by: Option<MadeBinary>) -> Result<Option<&'g Dependency>, GraphError> {
        let more = match wanted {
            Dependency::Or(operands) if !self.is_fulfilled(wanted) => {
                let known = operands.iter().find(|operand| self.is_known(operand));
                Some(known.ok_or_else(|| self.unknown(wanted, by))?)
            }
            Dependency::If(operands) | Dependency::Unless(operands) => {
                let Conditional {
                    then,
                    condition,
                    otherwise,
                } = operands.as_ref();
                if self.is_fulfilled(condition) == matches!(wanted, Dependency::If(_)) {
                    Some(then)
                } else {
                    otherwise.as_ref()
                }
            }
            _ => None,
        };
        Ok(more.filter(|more| !self.is_fulfilled(more)))
    }

    /// Returns `true` if what is chosen fulfils a dependency.
    fn is_fulfilled(&self, wanted: &Dependency) -> bool {
        match wanted {
            Dependency::Capability(_) | Dependency::With(_) | Dependency::Without(_) => {
                self.chosen.iter().any(|made| self.graph.binary(*made).fulfils(wanted))
            }
            Dependency::And(operands) => operands.iter().all(|operand| self.is_fulfilled(operand)),
            Dependency::Or(operands) => operands.iter().any(|operand| self.is_fulfilled(operand)),
            Dependency::If(operands) => match self.is_fulfilled(&operands.condition) {
                true => self.is_fulfilled(&operands.then),
                false => operands.otherwise.as_ref().is_none_or(|it| self.is_fulfilled(it)),
            },
            Dependency::Unless(operands) => match self.is_fulfilled(&operands.condition) {
                true => operands.otherwise.as_ref().is_some_and(|it| self.is_fulfilled(it)),
                false => self.is_fulfilled(&operands.then),
            },
        }
    }

    /// Returns `true` if packages of the distribution can fulfil a dependency, as far as names and versions tell.
    fn is_known(&self, wanted: &Dependency) -> bool {
        match wanted {
            Dependency::Capability(_) | Dependency::With(_) | Dependency::Without(_) => {
                self.graph.provider(wanted).is_some()
            }
            Dependency::And(operands) => operands.iter().all(|operand| self.is_known(operand)),
            Dependency::Or(operands) => operands.iter().any(|operand| self.is_known(operand)),
            Dependency::If(_) => true,
            Dependency::Unless(operands) => self.is_known(&operands.then),
        }
    }

    fn unknown(&self, wanted: &Dependency, by: Option<MadeBinary>) -> GraphError {
        GraphError::Unknown {
            help: Some(self.graph.suggestion(wanted)),
            name: wanted.to_string(),
            wanted_by: by.map_or_else(self.wanted_by, |made| {
                let (source, binary) = (self.graph.package(made.source), self.graph.binary(made));
                format!("{0}.spec (Requires of {1})", source.name, binary.name)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SourcePackage;

    /// Graph of packages: name, version, and the lines `R: requirement` and `P: capability`.
    fn graph(packages: &[(&str, &[&str])]) -> Graph {
        let packages = packages.iter().map(|(name, lines)| {
            let mut binaries = format!("binary\t{name}\n");
            for line in *lines {
                let (key, value) = line.split_once(": ").expect("a line");
                binaries += &format!("{}\t{value}\n", if key == "R" { "requires" } else { "provides" });
            }
            let source = format!("name\t{name}\nversion\t1\nrelease\t1\n");
            SourcePackage::parse(&source, &binaries).expect("understood")
        });
        Graph::new(packages.collect()).expect("fits")
    }

    fn names(graph: &Graph, wanted: &str) -> Result<Vec<String>, GraphError> {
        let wanted = [wanted.parse().expect("a dependency")];
        let found = makers(graph, &wanted, &|| "x.spec (BuildRequires)".to_owned())?;
        Ok(found.into_iter().map(|id| graph.package(id).name.clone()).collect())
    }

    #[test]
    fn versions_and_expressions_are_followed() {
        let graph = graph(&[
            ("a", &[]),
            ("b", &[]),
            ("c", &["R: (b if a)", "R: a"]),
            ("d", &["R: (b if a)"]),
            ("e", &["R: (a unless b)"]),
            ("f", &["R: (none or b)"]),
            ("g", &["P: lib = 2"]),
            ("h", &["P: lib = 3"]),
        ]);
        for (wanted, expected) in [
            ("a >= 1", vec!["a"]),
            ("(a or b)", vec!["a"]),
            ("((a or b) and b)", vec!["b"]),
            ("c", vec!["a", "b", "c"]),
            ("d", vec!["d"]),
            ("e", vec!["a", "e"]),
            ("f", vec!["b", "f"]),
            ("lib", vec!["h"]),
            ("(lib with lib < 3)", vec!["g"]),
        ] {
            assert_eq!(names(&graph, wanted).expect("known"), expected, "{wanted}");
        }
    }

    #[test]
    fn versions_that_are_not_there_are_refused() {
        let graph = graph(&[("zlib", &[])]);
        let GraphError::Unknown { name, help, .. } = names(&graph, "zlib >= 2").expect_err("too old") else {
            panic!("another error");
        };
        assert_eq!(name, "zlib >= 2");
        assert_eq!(help.as_deref(), Some("there is `zlib = 1-1`"));
        let GraphError::Unknown { help, .. } = names(&graph, "/usr/bin/x").expect_err("a path") else {
            panic!("another error");
        };
        assert!(help.is_some_and(|help| help.contains("Provides:")));
    }
}
