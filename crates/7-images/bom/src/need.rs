//! Reverse dependencies: requirers of a package, and dependency paths to it.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{Component, ComponentKind, Inventory, RelationKind};

impl Inventory {
    /// The package of that name.
    pub fn package(&self, name: &str) -> Option<&Component> {
        self.of_kind(ComponentKind::Package)
            .find(|component| component.name == name)
    }

    /// The packages that require a package, by name.
    pub fn requirers(&self, package: &str) -> Vec<&str> {
        let Some(wanted) = self.package(package) else {
            return Vec::new();
        };
        let mut names: Vec<_> = self
            .relations
            .iter()
            .filter(|relation| relation.kind == RelationKind::DependsOn && relation.to == wanted.purl)
            .filter_map(|relation| Some(self.component(&relation.from)?.name.as_str()))
            .collect();
        names.sort_unstable();
        names
    }

    /// The shortest way from one of the named packages to a package, through what each requires; the package itself is
    /// its end. None when nothing leads there.
    pub fn requirement_chain(&self, from: &[String], package: &str) -> Option<Vec<String>> {
        let mut requires: HashMap<&str, Vec<&str>> = HashMap::new();
        for relation in self
            .relations
            .iter()
            .filter(|relation| relation.kind == RelationKind::DependsOn)
        {
            if let (Some(from), Some(to)) = (self.component(&relation.from), self.component(&relation.to)) {
                requires.entry(&from.name).or_default().push(&to.name);
            }
        }
        let mut seen: HashSet<&str> = HashSet::new();
        let mut rest: VecDeque<Vec<&str>> = from.iter().map(|name| vec![name.as_str()]).collect();
        while let Some(way) = rest.pop_front() {
            let Some(end) = way.last().copied() else { continue };
            if end == package {
                return Some(way.into_iter().map(str::to_owned).collect());
            }
            if !seen.insert(end) {
                continue;
            }
            for next in requires.get(end).into_iter().flatten() {
                let mut longer = way.clone();
                longer.push(next);
                rest.push_back(longer);
            }
        }
        None
    }
}
