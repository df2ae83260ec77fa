//! Index of packages by name, provided and obsoleted capability, and path of a file.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use basalt_rpm::capability::usr_merged;
use basalt_rpm::{Capability, Dependency, Package};

use crate::file_index::FileIndex;
use crate::table::{DependencyNumber, NameNumber, PackageNumber, Table};

/// Packages indexed by the capabilities that they provide.
#[derive(Debug)]
pub struct PackageIndex<P> {
    pub(crate) packages: Table<PackageNumber, P>,
    /// Numbers of the names of capabilities, provided or required.
    pub(crate) names: HashMap<String, NameNumber>,
    /// For each name: what is known about packages that have to do with it.
    pub(crate) by_name: Table<NameNumber, NameEntry>,
    /// Numbers of the dependencies that packages require.
    numbers: HashMap<Dependency, DependencyNumber>,
    /// Required dependencies by number, with the numbers of the names of those that are capabilities.
    pub(crate) required: Table<DependencyNumber, (Dependency, Option<NameNumber>)>,
    /// For each package, the number of its name.
    pub(crate) own_names: Table<PackageNumber, NameNumber>,
    /// For each package, the numbers of the dependencies that it requires.
    pub(crate) requires: Table<PackageNumber, Vec<DependencyNumber>>,
    pub(crate) files: Mutex<FileIndex>,
}

/// Packages that have to do with a name.
#[derive(Debug, Default)]
pub(crate) struct NameEntry {
    /// Packages of that name.
    pub(crate) named: Vec<PackageNumber>,
    /// Packages that provide the name, and the index of the capability in their `provides`.
    pub(crate) providers: Vec<(PackageNumber, usize)>,
    /// Packages that obsolete the name, and the index of the capability in their `obsoletes`.
    pub(crate) obsoleters: Vec<(PackageNumber, usize)>,
}

impl<P> Default for PackageIndex<P> {
    fn default() -> Self {
        Self {
            packages: Table::default(),
            names: HashMap::new(),
            by_name: Table::default(),
            numbers: HashMap::new(),
            required: Table::default(),
            own_names: Table::default(),
            requires: Table::default(),
            files: Mutex::default(),
        }
    }
}

impl<P: AsRef<Package>> FromIterator<P> for PackageIndex<P> {
    fn from_iter<I: IntoIterator<Item = P>>(packages: I) -> Self {
        let mut index = Self::default();
        packages.into_iter().for_each(|package| index.add(package));
        index
    }
}

impl<P: AsRef<Package>> PackageIndex<P> {
    /// Adds a package.
    pub fn add(&mut self, package: P) {
        let position = self.packages.next();
        let data = package.as_ref();
        for (place, capability) in data.provides.iter().enumerate() {
            let name = self.name(&capability.name);
            self.by_name[name].providers.push((position, place));
        }
        for (place, capability) in data.obsoletes.iter().enumerate() {
            let name = self.name(&capability.name);
            self.by_name[name].obsoleters.push((position, place));
        }
        let own_name = self.name(&data.name);
        self.by_name[own_name].named.push(position);
        self.own_names.push(own_name);
        let requires = data.requires.iter().map(|wanted| self.number(wanted)).collect();
        self.requires.push(requires);
        let conflicts = data.conflicts.iter().flat_map(Dependency::capabilities);
        conflicts.for_each(|capability| self.want_path(capability));
        self.packages.push(package);
    }

    fn name(&mut self, name: &str) -> NameNumber {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let number = self.by_name.push(NameEntry::default());
        self.names.insert(name.to_owned(), number);
        number
    }

    fn number(&mut self, wanted: &Dependency) -> DependencyNumber {
        if let Some(known) = self.numbers.get(wanted) {
            return *known;
        }
        for capability in wanted.capabilities() {
            self.want_path(capability);
        }
        let name = wanted.as_capability().map(|capability| self.name(&capability.name));
        let number = self.required.push((wanted.clone(), name));
        self.numbers.insert(wanted.clone(), number);
        number
    }

    /// Has the files indexed that have the path of a dependency.
    fn want_path(&mut self, capability: &Capability) {
        if capability.name.starts_with('/') {
            let files = self.files.get_mut().unwrap_or_else(PoisonError::into_inner);
            files.want(&usr_merged(&capability.name));
        }
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&NameEntry> {
        self.names.get(name).map(|number| &self.by_name[*number])
    }
}
