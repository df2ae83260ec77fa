//! Images and packages that a user names, and the RPMs that belong to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use basalt_build::{BuildError, Built, BuiltIndex, BuiltPackages, BuiltRpm, Engine, PackageId, Provided};
use basalt_image::definition::ImageDefinition;
use miette::{Result, WrapErr as _};

use super::names;
use crate::checkout::{BuildContext, Checkout};

/// Images and packages that are wanted.
pub struct Selection {
    /// Names of images.
    pub images: Vec<String>,
    /// Packages that are wanted by themselves.
    pub packages: BTreeSet<PackageId>,
}

/// Definition and packages of an image.
pub struct Parts {
    /// Definition, complete with what it extends.
    pub definition: ImageDefinition,
    /// RPMs that it installs, by name.
    pub rpms: Vec<BuiltRpm>,
}

/// RPMs of a [`Selection`].
pub struct SelectedRpms {
    /// Parts of the images, in the order of their names.
    pub images: Vec<Parts>,
    /// Results of the packages, in the order of their ids.
    pub packages: Vec<Arc<Built>>,
}

impl Selection {
    /// Returns everything that the distribution has, but for variants of images.
    pub fn all(context: &BuildContext, definitions: &BTreeMap<String, ImageDefinition>) -> Self {
        Self {
            images: without_variants(definitions).map(str::to_owned).collect(),
            packages: context.distribution.graph.ids().collect(),
        }
    }

    /// Returns the images and packages of some names.
    pub fn named(
        names: &[String],
        context: &BuildContext,
        definitions: &BTreeMap<String, ImageDefinition>,
    ) -> Result<Self> {
        let (images, packages): (Vec<String>, Vec<String>) =
            names.iter().cloned().partition(|name| definitions.contains_key(name));
        let packages = packages.iter().map(|name| package(name, context, definitions));
        Ok(Self {
            images,
            packages: packages.collect::<Result<_>>()?,
        })
    }

    /// Builds the packages that are wanted and those that the images install, all in one run, unless they are built
    /// already. The selected RPMs are in the store afterwards.
    pub fn provide(
        &self,
        checkout: &Checkout,
        context: &BuildContext,
        engine: &Engine<'_>,
    ) -> Result<Provided<SelectedRpms>> {
        let content = checkout.content();
        let graph = &context.distribution.graph;
        let mut targets = self.packages.clone();
        let mut images = Vec::new();
        for name in &self.images {
            let definition = basalt_image::definition(&content, name)?;
            let wanted_by = format!("the image {}", definition.name);
            let makers = graph
                .makers_of(&definition.packages, &wanted_by)
                .map_err(BuildError::from)?;
            targets.extend(&makers);
            images.push((definition, makers));
        }
        let choose = |built: &BuiltPackages| -> Result<SelectedRpms> {
            let index = BuiltIndex::of(built);
            let parts = images.iter().map(|(definition, makers)| {
                let rpms = chosen(&definition.packages, makers, &index, context).wrap_err_with(|| {
                    format!("the packages of the image `{}` cannot be put together", definition.name)
                })?;
                let definition = definition.clone();
                Ok(Parts { definition, rpms })
            });
            let packages = self.packages.iter().filter_map(|package| built.get(package));
            Ok(SelectedRpms {
                images: parts.collect::<Result<_>>()?,
                packages: packages.cloned().collect(),
            })
        };
        engine.provide(targets, choose, |selected| {
            let of_images = selected.images.iter().flat_map(|parts| &parts.rpms);
            let of_packages = selected.packages.iter().flat_map(|built| &built.rpms);
            of_images.chain(of_packages).collect()
        })
    }
}

/// Returns the names of the images that are no variants: those that are meant by all.
pub fn without_variants(definitions: &BTreeMap<String, ImageDefinition>) -> impl Iterator<Item = &str> {
    let images = definitions.iter().filter(|(_, definition)| !definition.is_variant);
    images.map(|(name, _)| name.as_str())
}

/// Returns the package of a name; the error for the name of an image says so.
pub fn package(name: &str, context: &BuildContext, images: &BTreeMap<String, ImageDefinition>) -> Result<PackageId> {
    let found = context.distribution.find(name);
    let Err(BuildError::NoSuchPackage { .. }) = found else {
        return Ok(found?);
    };
    let images = images.keys().map(String::as_str);
    Err(names::unknown(name, images.chain(context.distribution.graph.names())))
}

/// Returns the requested packages and their requirements, among the results of their makers and of these makers'
/// dependencies.
pub fn chosen(
    requests: &[String],
    makers: &BTreeSet<PackageId>,
    built: &BuiltIndex,
    context: &BuildContext,
) -> Result<Vec<BuiltRpm>> {
    let sources = context.distribution.graph.closure(makers.iter().copied());
    let rpms = built.install(requests, |maker| sources.contains(&maker))?;
    Ok(rpms.iter().map(|rpm| BuiltRpm::clone(rpm)).collect())
}
