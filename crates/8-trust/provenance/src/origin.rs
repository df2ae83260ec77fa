//! Origins of files, packages, modules and crates: the package that has one, its sources, its build, and its role in an image.

use std::collections::{BTreeMap, BTreeSet};

use basalt_bom::{BomError, Component, ComponentKind, Inventory, RelationKind, SourceFile};
use basalt_build::{BuildError, Built, BuiltPackages, BuiltRpm, Distribution, PackageId};
use basalt_digest::Digest;
use basalt_document::spelling::{closest, did_you_mean};
use basalt_image::Image;
use basalt_image::definition::ImageDefinition;
use basalt_rpm::usr_merged;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

/// Origin of a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageOrigin {
    /// Path of the file that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Name, epoch, version, release and architecture of the package.
    pub package: String,
    /// Summary of the package.
    pub summary: String,
    /// Package URL.
    pub purl: String,
    /// Licence, as an SPDX expression.
    pub licence: String,
    /// Digest of the RPM.
    pub rpm: Digest,
    /// Source that it was built from.
    pub source: OriginSource,
    /// Build that made it.
    pub build: OriginBuild,
    /// Role in the image; none when the package is not in it.
    pub image: Option<OriginImage>,
    /// Components linked into the file, or into the programs of the package.
    pub holds: Vec<Component>,
}

/// Source of a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginSource {
    /// Folder of the package, from the root of the checkout.
    pub folder: String,
    /// Name of the upstream project.
    pub upstream: String,
    /// Version of the source.
    pub version: String,
    /// Files of the source.
    pub files: Vec<SourceFile>,
    /// `true` if Go modules or crates are fetched for it, which a go.sum or a Cargo.lock in its folder pins.
    pub modules: bool,
}

/// Build of a package.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginBuild {
    /// Key of the build.
    pub key: Digest,
    /// Duration in seconds.
    pub seconds: u64,
    /// Digest of the SDK.
    pub sdk: Digest,
    /// Position in the order of all builds, from 1.
    pub place: usize,
    /// Number of all builds.
    pub of: usize,
    /// Direct dependencies of the build.
    pub from: Vec<String>,
    /// Path of the log.
    pub log: Utf8PathBuf,
}

/// Role of a package in an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginImage {
    /// Name of the image.
    pub name: String,
    /// Chain of requirements from the image's definition to the package.
    pub way: Vec<String>,
    /// Packages of the image that require it.
    pub required_by: Vec<String>,
}

/// Module or crate, and the packages that it is linked into.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkedOrigin {
    /// The module or crate.
    pub component: Component,
    /// Packages with programs that have it.
    pub packages: Vec<PackageOrigin>,
}

/// File, package or linked component that a word names.
#[derive(Debug)]
pub enum OriginTarget {
    /// File, with its package.
    File {
        /// Path in the package.
        path: String,
        /// Source package.
        source: PackageId,
        /// Name of the binary package.
        package: String,
    },
    /// Package.
    Package {
        /// Source package.
        source: PackageId,
        /// Name of the binary package.
        package: String,
    },
    /// Modules or crates, several versions perhaps.
    Linked(Vec<Component>),
}

/// An origin cannot be told.
#[derive(Debug, Error, Diagnostic)]
pub enum OriginError {
    /// Nothing has that name or path.
    #[error("neither the image {image} nor a package that is built has `{what}`")]
    #[diagnostic(code(why::unknown), help("{help}"))]
    Unknown {
        /// Name or path that was asked about.
        what: String,
        /// Name of the image.
        image: String,
        /// Similar name, or the way to a list.
        help: String,
    },
    /// The result of a build is not at hand.
    #[error("the build of {name} has no result")]
    #[diagnostic(code(why::result), help("this is a bug of basalt"))]
    NoResult {
        /// Name of the package.
        name: String,
    },
    /// The inventory of a package cannot be made.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bom(#[from] BomError),
    /// The packages contradict each other.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Build(#[from] Box<BuildError>),
}

/// Maker of the inventory of all packages that a build made.
pub type InventoryOfBuild<'a> = &'a dyn Fn(&Built) -> Result<Inventory, BomError>;

/// Data in which origins are looked up.
#[derive(Clone, Copy)]
pub struct OriginLookup<'a> {
    /// All packages.
    pub distribution: &'a Distribution,
    /// Digest of the SDK.
    pub sdk: Digest,
    /// Folder of the logs of builds.
    pub logs: &'a Utf8Path,
    /// Results of the builds, as far as there are some.
    pub built: &'a BuiltPackages,
    /// Definition of the image.
    pub definition: &'a ImageDefinition,
    /// Image that is looked into first.
    pub image: &'a Image,
    /// Inventory of the image.
    pub inventory: &'a Inventory,
    /// Inventories of builds.
    pub inventory_of: InventoryOfBuild<'a>,
}

impl OriginLookup<'_> {
    /// Returns every RPM that is built, those of the image first.
    fn rpms(&self) -> Vec<(PackageId, &BuiltRpm)> {
        let in_image: BTreeSet<Digest> = self.image.facts.packages.iter().map(|package| package.digest).collect();
        let all = self.built.iter();
        let mut all: Vec<_> = all
            .flat_map(|(source, built)| built.rpms.iter().map(|rpm| (*source, rpm)))
            .collect();
        all.sort_by_key(|(_, rpm)| (!in_image.contains(&rpm.digest), rpm.package.name.clone()));
        all
    }

    /// Finds what a word names: a path, a package by its name or by that of its source, a module or a crate with or without
    /// its version.
    ///
    /// # Errors
    /// When nothing has that name, or an inventory cannot be made.
    pub fn resolve(&self, what: &str) -> Result<OriginTarget, OriginError> {
        let rpms = self.rpms();
        if what.starts_with('/') {
            return self.file(what, &rpms);
        }
        let is_of_source = |source: &PackageId| self.built.get(source).is_some_and(|built| built.name == what);
        let named = rpms.iter().find(|(_, rpm)| rpm.package.name == what);
        let found = named.or_else(|| rpms.iter().find(|(source, _)| is_of_source(source)));
        if let Some((source, rpm)) = found {
            return Ok(OriginTarget::Package {
                source: *source,
                package: rpm.package.name.clone(),
            });
        }
        let linked = self.all_linked()?;
        let (name, version) = match what.rsplit_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (what, None),
        };
        let is_named = |component: &&Component| {
            component.purl == what
                || component.name == name && version.is_none_or(|version| component.version == version)
        };
        let found: Vec<Component> = linked.iter().filter(is_named).cloned().collect();
        if !found.is_empty() {
            return Ok(OriginTarget::Linked(found));
        }
        let names = self.distribution.graph.names();
        let known = names.chain(linked.iter().map(|component| component.name.as_str()));
        Err(self.unknown(what, closest(what, known)))
    }

    fn file(&self, path: &str, rpms: &[(PackageId, &BuiltRpm)]) -> Result<OriginTarget, OriginError> {
        let wanted = usr_merged(path);
        for (source, rpm) in rpms {
            if let Some(file) = rpm.package.files.iter().find(|file| usr_merged(file) == wanted) {
                return Ok(OriginTarget::File {
                    path: file.clone(),
                    source: *source,
                    package: rpm.package.name.clone(),
                });
            }
        }
        let files = || {
            let files = rpms.iter().flat_map(|(_, rpm)| &rpm.package.files);
            files.map(String::as_str)
        };
        // The same name in another folder is more similar than another name.
        let name = wanted.rsplit('/').next().unwrap_or_default();
        let elsewhere = files().find(|file| file.rsplit('/').next() == Some(name));
        Err(self.unknown(path, elsewhere.or_else(|| closest(&wanted, files()))))
    }

    fn unknown(&self, what: &str, guess: Option<&str>) -> OriginError {
        let image = &self.image.name;
        let list =
            || format!("`basalt --json bom {image}` lists what is inside; a package that was never built is not known");
        OriginError::Unknown {
            what: what.to_owned(),
            image: image.clone(),
            help: guess.map_or_else(list, did_you_mean),
        }
    }

    /// Returns all modules and crates: of the image, and of other built packages.
    fn all_linked(&self) -> Result<Vec<Component>, OriginError> {
        let mut all: BTreeMap<String, Component> = BTreeMap::new();
        for built in self.built.values() {
            for component in (self.inventory_of)(built)?.components {
                if component.kind == ComponentKind::Package {
                    continue;
                }
                match all.get_mut(&component.purl) {
                    Some(known) => known.inside.extend(component.inside),
                    None => drop(all.insert(component.purl.clone(), component)),
                }
            }
        }
        Ok(all.into_values().collect())
    }

    /// Returns the origin of a package, or of a file in it.
    ///
    /// # Errors
    /// When the package is not built, or its inventory cannot be made.
    pub fn package(&self, source: PackageId, name: &str, file: Option<String>) -> Result<PackageOrigin, OriginError> {
        let no_result = || OriginError::NoResult { name: name.to_owned() };
        let built = self.built.get(&source).ok_or_else(no_result)?;
        let inside = (self.inventory_of)(built)?;
        let rpm = built.rpms.iter().find(|rpm| rpm.package.name == name);
        let (Some(rpm), Some(component)) = (rpm, inside.package(name)) else {
            return Err(no_result());
        };
        let holds = inside.related(&component.purl, RelationKind::Contains);
        let in_file = |component: &&Component| match &file {
            Some(file) => component.inside.iter().any(|place| place.file == *file),
            None => true,
        };
        let holds = holds.filter(in_file).cloned().collect();
        let upstream = component.origin.clone();
        let package = self.distribution.package(source);
        Ok(PackageOrigin {
            package: rpm.package.nevra(),
            summary: rpm.package.summary.clone(),
            purl: component.purl.clone(),
            licence: rpm.package.license.clone(),
            rpm: rpm.digest,
            source: OriginSource {
                folder: package.folder.place.to_string(),
                upstream: upstream
                    .as_ref()
                    .map(|origin| origin.upstream.clone())
                    .unwrap_or_default(),
                version: rpm.package.version.clone(),
                files: upstream.map(|origin| origin.sources).unwrap_or_default(),
                modules: package.sources.has_modules(),
            },
            build: self.build(source, built)?,
            image: self.in_image(name),
            holds,
            file,
        })
    }

    fn build(&self, package: PackageId, built: &Built) -> Result<OriginBuild, OriginError> {
        let graph = &self.distribution.graph;
        let order = graph.order().map_err(|error| Box::new(BuildError::from(error)))?;
        let from = graph.needs(package).iter();
        Ok(OriginBuild {
            key: built.key,
            seconds: built.seconds,
            sdk: self.sdk,
            place: order.iter().position(|other| *other == package).unwrap_or(0) + 1,
            of: order.len(),
            from: from.map(|need| graph.package(*need).name.clone()).collect(),
            log: basalt_build::log::path(self.logs, &built.name),
        })
    }

    fn in_image(&self, package: &str) -> Option<OriginImage> {
        let inventory = self.inventory;
        inventory.package(package)?;
        let way = inventory.requirement_chain(&self.definition.packages, package);
        Some(OriginImage {
            name: self.image.name.clone(),
            way: way.unwrap_or_default(),
            required_by: inventory.requirers(package).into_iter().map(str::to_owned).collect(),
        })
    }

    /// Returns a module or crate with the origins of the packages that it is linked into.
    ///
    /// # Errors
    /// When one of these is not known, or its inventory cannot be made.
    pub fn linked(&self, component: Component) -> Result<LinkedOrigin, OriginError> {
        let packages: BTreeSet<&str> = component.inside.iter().map(|place| place.package.as_str()).collect();
        let origins = packages.into_iter().map(|name| {
            let source = self.distribution.find(name).map_err(Box::new)?;
            let mut origin = self.package(source, name, None)?;
            origin.holds.clear();
            Ok::<_, OriginError>(origin)
        });
        Ok(LinkedOrigin {
            packages: origins.collect::<Result<_, _>>()?,
            component,
        })
    }
}
