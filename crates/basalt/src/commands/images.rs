//! Image definitions by name, and the images that are composed from them: shared by several verbs.

use std::collections::{BTreeMap, BTreeSet};

use basalt_bom::Catalogue;
use basalt_build::{BuiltIndex, BuiltPackages, BuiltRpm, PackageId};
use basalt_image::{Composer, Image, ImageError, Payload};

use basalt_model::image::{ImageDefinition, ImageKind};
use camino::Utf8PathBuf;
use miette::{Result, WrapErr as _};

use super::build::human;
use crate::checkout::{Ahead, BuildContext, Checkout};

/// Reads the image definitions of the distribution, by name.
pub fn definitions(checkout: &Checkout) -> Result<BTreeMap<String, ImageDefinition>> {
    Ok(basalt_image::definitions(&checkout.distro().join("images"))?)
}

/// Builds the packages that images install, unless they are built already, and composes the images.
pub fn make(checkout: &Checkout, names: &[&str]) -> Result<BTreeMap<String, Image>> {
    make_in(checkout, &checkout.lookup_context(Ahead::All)?, names)
}

/// Does the same as [`make`], with packages that are read already.
pub fn make_in(
    checkout: &Checkout,
    context: &BuildContext,
    names: &[impl AsRef<str>],
) -> Result<BTreeMap<String, Image>> {
    let assembled = assemble(checkout, context, names)?;
    Ok(assembled
        .into_iter()
        .map(|assembled| (assembled.parts.definition.name, assembled.image))
        .collect())
}

/// Definition and packages of an image.
pub struct Parts {
    /// Definition, complete with what it extends.
    pub definition: ImageDefinition,
    /// RPMs that it installs, by name.
    pub rpms: Vec<BuiltRpm>,
}

/// Composed image, with its definition and packages.
pub struct Assembled {
    /// Definition and packages.
    pub parts: Parts,
    /// The composed image.
    pub image: Image,
}

/// Returns the composer of images for the checkout's store.
pub fn composer<'a>(checkout: &'a Checkout, context: &'a BuildContext, catalogue: &'a Catalogue) -> Composer<'a> {
    Composer {
        store: &checkout.store,
        sdk: &context.sdk,
        arch: context.base.arch,
        catalogue,
        reporter: checkout.reporter(),
    }
}

/// Builds the packages that images install, unless they are built already, and composes the images.
pub fn assemble(checkout: &Checkout, context: &BuildContext, names: &[impl AsRef<str>]) -> Result<Vec<Assembled>> {
    let catalogue = checkout.catalogue()?;
    let composer = composer(checkout, context, &catalogue);
    let mut images = Vec::new();
    for parts in parts(checkout, context, names)? {
        if matches!(parts.definition.kind, ImageKind::Disk(_)) {
            // File systems of disks are made by programs of the SDK.
            context.base.materialize(&checkout.store, checkout.reporter())?;
        }
        let image = with_payloads(checkout, &parts.rpms, |payloads| {
            composer.compose(&parts.definition, payloads)
        })?;
        images.push(Assembled { parts, image });
    }
    Ok(images)
}

/// Returns the parts of images, in the order of the names. The packages are built unless they are built already, the
/// RPMs that the images install are in the store afterwards, and no image is composed.
pub fn parts(checkout: &Checkout, context: &BuildContext, names: &[impl AsRef<str>]) -> Result<Vec<Parts>> {
    let folder = checkout.distro().join("images");
    let definitions = names
        .iter()
        .map(|name| basalt_image::definition(&folder, name.as_ref()))
        .collect::<Result<Vec<_>, ImageError>>()?;
    let graph = &context.distribution.graph;
    let mut sources = BTreeMap::new();
    for definition in &definitions {
        let wanted_by = format!("distro/images/{}.yaml", definition.name);
        let makers = graph
            .makers_of(&definition.packages, &wanted_by)
            .map_err(basalt_build::BuildError::from)?;
        sources.insert(definition.name.clone(), makers);
    }
    let choose = |built: &BuiltPackages| {
        let index = BuiltIndex::of(built);
        let rpms = definitions.iter().map(|definition| {
            chosen(&definition.packages, &sources[&definition.name], &index, context)
                .wrap_err_with(|| format!("the packages of the image `{}` cannot be put together", definition.name))
        });
        rpms.collect::<Result<Vec<Vec<BuiltRpm>>>>()
    };
    let targets: BTreeSet<PackageId> = sources.values().flatten().copied().collect();
    let engine = context.engine(checkout);
    let built = engine.provide(targets, |built| Ok::<_, miette::Report>(choose(built)?.concat()))?;
    let rpms = choose(&built)?;
    let parts = definitions.into_iter().zip(rpms);
    Ok(parts.map(|(definition, rpms)| Parts { definition, rpms }).collect())
}

/// Calls a function with RPMs of the store as payloads.
pub fn with_payloads<T>(checkout: &Checkout, rpms: &[BuiltRpm], work: impl FnOnce(&[Payload<'_>]) -> T) -> T {
    let paths: Vec<Utf8PathBuf> = rpms.iter().map(|rpm| rpm.path(&checkout.store)).collect();
    let payloads: Vec<_> = rpms
        .iter()
        .zip(&paths)
        .map(|(rpm, path)| Payload {
            package: &rpm.package,
            path,
            digest: rpm.digest,
            size: rpm.size,
        })
        .collect();
    work(&payloads)
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
    let rpms = built.solve(requests, |maker| sources.contains(&maker))?;
    Ok(rpms.iter().map(|rpm| BuiltRpm::clone(rpm)).collect())
}

/// Describes an image in one line.
pub fn describe(image: &Image) -> String {
    let facts = &image.facts;
    let what = match (&facts.disk, &facts.container) {
        (Some(disk), _) => format!(
            "disk, root {} compressed, kernel {}, {} packages",
            human(disk.root_bytes),
            human(disk.kernel_bytes),
            facts.packages.len()
        ),
        (None, Some(container)) => format!("container, {} to download", human(container.download_bytes)),
        (None, None) => format!("tree, {}", human(facts.content_bytes)),
    };
    format!(
        "{:<16} {what}\n{:<16} {}",
        image.name,
        "",
        image.disk().unwrap_or_else(|| image.folder.clone())
    )
}

/// Reports an image for scripts: its paths and facts.
pub fn report(image: &Image) -> serde_json::Value {
    serde_json::json!({ "name": image.name, "key": image.key, "folder": image.folder, "disk": image.disk(), "facts": image.facts })
}
