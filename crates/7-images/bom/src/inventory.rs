//! Inventory: all components of a package or an image, and the relations between them.

use std::collections::{BTreeMap, BTreeSet};

use basalt_digest::Digest;
use basalt_rpm::{Dependency, Package};
use basalt_store::Store;
use serde::{Deserialize, Serialize};

use crate::go_program::GoModule;
use crate::program::{Program, Rpm, programs};
use crate::rust_program::LinkedCrate;
use crate::{BomError, Catalogue, Component, ComponentKind, Origin, PackagedFile, identifier, licences};

/// The name under which vulnerability databases and scanners have Go's standard library.
const GO_LIBRARY: &str = "stdlib";
const GO_LICENCE: &str = "BSD-3-Clause";

/// Subject of an inventory: an image or a source package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// The name of the image, or of the source package.
    pub name: String,
    /// Version of the image or the package.
    pub version: String,
    /// The architecture.
    pub arch: String,
    /// `true` for an image, `false` for a package.
    pub image: bool,
}

/// Inventory of a package or an image; each component is listed once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// Subject.
    pub subject: Subject,
    /// The components: packages first, each kind sorted by name and version.
    pub components: Vec<Component>,
    /// Relations between the components, sorted.
    pub relations: Vec<Relation>,
}

/// Directed relation between two components, each named by its package URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Relation {
    /// Package URL of the component that contains or requires the other.
    pub from: String,
    /// Type of the relation.
    pub kind: RelationKind,
    /// Package URL of the component that is contained or required.
    pub to: String,
}

/// Type of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// A program of the first component, a package, links the second one.
    Contains,
    /// The first requires the second when it runs; both are packages.
    DependsOn,
}

impl Inventory {
    /// Makes the inventory of these RPMs. The build information of their programs is cached in the store by the digest
    /// of each RPM, so that repeated runs do not read payloads.
    ///
    /// # Errors
    /// When an RPM or the build information of a program cannot be read, or when a licence is no SPDX expression.
    pub fn of_rpms(subject: Subject, rpms: &[Rpm<'_>], catalogue: &Catalogue, store: &Store) -> Result<Self, BomError> {
        let mut collection = Collection {
            catalogue,
            components: BTreeMap::new(),
            relations: BTreeSet::new(),
        };
        let mut purls = Vec::with_capacity(rpms.len());
        for rpm in rpms {
            purls.push(collection.add_package(rpm)?);
        }
        for (rpm, purl) in rpms.iter().zip(&purls) {
            for program in programs(rpm, store)? {
                collection.add_program(rpm.package, purl, &program)?;
            }
            let required = providers(&rpm.package.requires, rpms);
            for required in required.into_iter().filter_map(|index| purls.get(index)) {
                if required != purl {
                    collection.relate(purl, RelationKind::DependsOn, required);
                }
            }
        }
        let mut components: Vec<_> = collection.components.into_values().collect();
        components.sort_by(|one, other| {
            (one.kind, &one.name, &one.version, &one.purl).cmp(&(other.kind, &other.name, &other.version, &other.purl))
        });
        Ok(Self {
            subject,
            components,
            relations: collection.relations.into_iter().collect(),
        })
    }

    /// The digest of all that it says: what the identifiers of documents follow from.
    ///
    /// # Errors
    /// When it cannot be written, which is a bug.
    pub fn digest(&self) -> Result<Digest, BomError> {
        let text = serde_json::to_vec(self).map_err(BomError::document(&self.subject.name))?;
        Ok(Digest::of(text))
    }

    /// The components of one kind.
    pub fn of_kind(&self, kind: ComponentKind) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(move |component| component.kind == kind)
    }

    /// The component of that package URL.
    pub fn component(&self, purl: &str) -> Option<&Component> {
        self.components.iter().find(|component| component.purl == purl)
    }

    /// The components that a component belongs together with in a way, from it on.
    pub fn related<'i>(&'i self, from: &'i str, kind: RelationKind) -> impl Iterator<Item = &'i Component> {
        self.relations
            .iter()
            .filter(move |relation| relation.kind == kind && relation.from == from)
            .filter_map(|relation| self.component(&relation.to))
    }
}

/// Returns indexes of all RPMs that provide a capability of the requirements, or have a required file path.
fn providers(requires: &[Dependency], rpms: &[Rpm<'_>]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for wanted in requires.iter().flat_map(Dependency::capabilities) {
        let path = wanted
            .name
            .starts_with('/')
            .then(|| basalt_rpm::usr_merged(&wanted.name));
        let has = |package: &Package| match &path {
            Some(path) => package.files.iter().any(|file| basalt_rpm::usr_merged(file) == *path),
            None => false,
        };
        let having = rpms.iter().enumerate().filter(|(_, rpm)| {
            rpm.package.provides.iter().any(|provided| provided.satisfies(wanted)) || has(rpm.package)
        });
        found.extend(having.map(|(index, _)| index));
    }
    found
}

/// The name of a source package, from the file name of its SRPM: `zlib` of `zlib-1.3.1-1.bs1.src.rpm`.
pub(crate) fn source_name(package: &Package) -> &str {
    let name = package.source.rsplitn(3, '-').nth(2);
    name.unwrap_or(&package.name)
}

/// An inventory in the making.
struct Collection<'c> {
    catalogue: &'c Catalogue,
    components: BTreeMap<String, Component>,
    relations: BTreeSet<Relation>,
}

impl Collection<'_> {
    fn relate(&mut self, from: &str, kind: RelationKind, to: &str) {
        self.relations.insert(Relation {
            from: from.to_owned(),
            kind,
            to: to.to_owned(),
        });
    }

    fn add_package(&mut self, rpm: &Rpm<'_>) -> Result<String, BomError> {
        let package = rpm.package;
        licences::check(&package.name, &package.license)?;
        let source = source_name(package);
        let project = self.catalogue.project(source);
        let product = project.and_then(|project| project.cpe.as_ref());
        let upstream = project
            .and_then(|project| project.upstream.as_deref())
            .unwrap_or(source);
        let purl = identifier::rpm_purl(&package.name, &package.evr(), &package.arch)?;
        let component = Component {
            kind: ComponentKind::Package,
            name: package.name.clone(),
            version: package.evr(),
            purl: purl.clone(),
            cpe: product.map(|product| identifier::cpe(product, &package.version)),
            licence: Some(package.license.clone()),
            digest: Some(rpm.digest),
            go_sum: None,
            inside: Vec::new(),
            origin: Some(Origin {
                package: source.to_owned(),
                upstream: upstream.to_owned(),
                version: package.version.clone(),
                sources: self.catalogue.sources(source).to_vec(),
            }),
        };
        self.components.insert(purl.clone(), component);
        Ok(purl)
    }

    fn add_program(&mut self, package: &Package, purl: &str, program: &Program) -> Result<(), BomError> {
        let place = PackagedFile {
            package: package.name.clone(),
            file: program.file.clone(),
        };
        let mut linked = Vec::new();
        if let Some(go) = &program.go {
            linked.push(go_library(&go.go)?);
            for module in go.main.iter().chain(&go.modules).filter(|module| module.is_release()) {
                linked.push(self.go_module(module)?);
            }
        }
        for krate in program.rust.iter().flat_map(|rust| &rust.crates) {
            linked.push(self.linked_crate(krate, package)?);
        }
        for component in linked {
            self.relate(purl, RelationKind::Contains, &component.purl);
            let known = self.components.entry(component.purl.clone()).or_insert(component);
            if !known.inside.contains(&place) {
                known.inside.push(place.clone());
                known.inside.sort();
            }
        }
        Ok(())
    }

    fn go_module(&self, module: &GoModule) -> Result<Component, BomError> {
        let licence = self
            .catalogue
            .licences
            .of(ComponentKind::GoModule, &module.path, &module.version);
        Ok(Component {
            licence: licence.map(str::to_owned),
            go_sum: (!module.sum.is_empty()).then(|| module.sum.clone()),
            ..linked(
                ComponentKind::GoModule,
                &module.path,
                &module.version,
                identifier::go(&module.path, &module.version)?,
            )
        })
    }

    fn linked_crate(&self, krate: &LinkedCrate, package: &Package) -> Result<Component, BomError> {
        // What is from this repository is under the licence of the package that it is built for.
        let licence = match krate.local {
            true => Some(package.license.as_str()),
            false => self
                .catalogue
                .licences
                .of(ComponentKind::Crate, &krate.name, &krate.version),
        };
        Ok(Component {
            licence: licence.map(str::to_owned),
            digest: self.catalogue.crate_digest(&krate.name, &krate.version),
            ..linked(
                ComponentKind::Crate,
                &krate.name,
                &krate.version,
                identifier::cargo(&krate.name, &krate.version)?,
            )
        })
    }
}

fn go_library(version: &str) -> Result<Component, BomError> {
    Ok(Component {
        licence: Some(GO_LICENCE.to_owned()),
        ..linked(
            ComponentKind::GoModule,
            GO_LIBRARY,
            version,
            identifier::go(GO_LIBRARY, version)?,
        )
    })
}

fn linked(kind: ComponentKind, name: &str, version: &str, purl: String) -> Component {
    Component {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        purl,
        cpe: None,
        licence: None,
        digest: None,
        go_sum: None,
        inside: Vec::new(),
        origin: None,
    }
}
