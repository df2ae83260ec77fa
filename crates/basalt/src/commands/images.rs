//! Image definitions by name, and the images that are composed from them: shared by several verbs.

use std::collections::{BTreeMap, BTreeSet};

use basalt_bom::Catalogue;
use basalt_build::BuiltRpm;
use basalt_image::definition::{ImageDefinition, ImageKind};
use basalt_image::{Composer, Image, ImagePackage};
use basalt_node_config::KubeletMinor;
use camino::Utf8PathBuf;
use miette::{Result, miette};

use super::human;
use super::selection::{Parts, Selection};
use crate::checkout::{Ahead, BuildContext, Checkout};

/// Reads the image definitions of the distribution, by name.
pub fn definitions(checkout: &Checkout) -> Result<BTreeMap<String, ImageDefinition>> {
    Ok(basalt_image::definitions(&checkout.content())?)
}

/// Returns the minor of the kubelet in an image of the distribution: that of its package `kubelet1.N`, else the newest.
pub fn kubelet(definitions: &BTreeMap<String, ImageDefinition>, name: &str) -> KubeletMinor {
    let packages = definitions.get(name).map(|definition| definition.packages.as_slice());
    let mut versions = packages
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.strip_prefix("kubelet"));
    versions
        .find_map(KubeletMinor::of_version)
        .unwrap_or(KubeletMinor::NEWEST)
}

/// Checks that an image is the disk of a machine, which its definition says.
pub fn check_disk(definitions: &BTreeMap<String, ImageDefinition>, name: &str) -> Result<()> {
    let kind = definitions.get(name).map(|definition| &definition.kind);
    if kind.is_none_or(|kind| matches!(kind, ImageKind::Disk(_))) {
        return Ok(());
    }
    Err(miette!(
        code = "image::no_disk",
        help =
            "name an image that boots, such as `node`: `kind: disk` in distro/images; `basalt build` makes all kinds",
        "the image `{name}` is not a disk, so no machine can boot it"
    ))
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
    Ok(by_name(assemble(checkout, context, names)?))
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
    compose(checkout, context, parts(checkout, context, names)?)
}

/// Composes images whose RPMs are in the store.
pub fn compose(checkout: &Checkout, context: &BuildContext, parts: Vec<Parts>) -> Result<Vec<Assembled>> {
    let catalogue = checkout.catalogue()?;
    let composer = composer(checkout, context, &catalogue);
    let mut images = Vec::new();
    for parts in parts {
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

/// Returns composed images by name.
pub fn by_name(assembled: Vec<Assembled>) -> BTreeMap<String, Image> {
    assembled
        .into_iter()
        .map(|assembled| (assembled.parts.definition.name, assembled.image))
        .collect()
}

/// Returns the parts of images, in the order of the names. The packages are built unless they are built already, the
/// RPMs that the images install are in the store afterwards, and no image is composed.
pub fn parts(checkout: &Checkout, context: &BuildContext, names: &[impl AsRef<str>]) -> Result<Vec<Parts>> {
    let names = names.iter().map(|name| name.as_ref().to_owned()).collect();
    let selection = Selection {
        images: names,
        packages: BTreeSet::new(),
    };
    let provided = selection.provide(checkout, context, &context.engine(checkout))?;
    Ok(provided.chosen.images)
}

/// Calls a function with RPMs of the store as payloads.
pub fn with_payloads<T>(checkout: &Checkout, rpms: &[BuiltRpm], work: impl FnOnce(&[ImagePackage<'_>]) -> T) -> T {
    let paths: Vec<Utf8PathBuf> = rpms.iter().map(|rpm| rpm.path(&checkout.store)).collect();
    let payloads: Vec<_> = rpms
        .iter()
        .zip(&paths)
        .map(|(rpm, path)| ImagePackage {
            package: &rpm.package,
            path,
            digest: rpm.digest,
            size: rpm.size,
        })
        .collect();
    work(&payloads)
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
