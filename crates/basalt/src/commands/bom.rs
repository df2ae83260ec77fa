//! `basalt bom`: bill of materials of a package or an image.

use std::process::ExitCode;

use basalt_bom::{BomError, Catalogue, Format, Inventory, Rpm, Subject};
use basalt_build::Built;
use camino::Utf8PathBuf;
use miette::{Result, miette};

use super::{answer, answer_json, images, selection};
use crate::arguments::{Bom, BomFormat};
use crate::checkout::{BuildContext, Checkout};

/// Writes the bill of materials to standard output.
pub fn run(checkout: &Checkout, options: &Bom, json: bool) -> Result<ExitCode> {
    let inventory = inventory(checkout, &options.name)?;
    if json {
        answer_json(&inventory);
        return Ok(ExitCode::SUCCESS);
    }
    let format = match options.format {
        BomFormat::Spdx => Format::Spdx,
        BomFormat::Cyclonedx => Format::CycloneDx,
    };
    let document = inventory.document(format, &checkout.catalogue()?.licences)?;
    answer(String::from_utf8_lossy(&document).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Returns the inventory of the image or package of a name, which is built if need be.
pub fn inventory(checkout: &Checkout, name: &str) -> Result<Inventory> {
    let context = checkout.build_context()?;
    let definitions = images::definitions(checkout)?;
    if definitions.contains_key(name) {
        let made = images::make_in(checkout, &context, &[name])?;
        if let Some(image) = made.get(name) {
            return Ok(image.inventory()?);
        }
    }
    let package = selection::package(name, &context, &definitions)?;
    let built = context.engine(checkout).build([package])?;
    let built = built
        .get(&package)
        .ok_or_else(|| miette!("the build of {name} has no result: a bug of basalt"))?;
    Ok(of_package(checkout, &context, &checkout.catalogue()?, built)?)
}

/// Returns the inventory of all packages that a spec makes.
pub fn of_package(
    checkout: &Checkout,
    context: &BuildContext,
    catalogue: &Catalogue,
    built: &Built,
) -> Result<Inventory, BomError> {
    let version = built.rpms.first().map(|rpm| rpm.package.evr());
    let subject = Subject {
        name: built.name.clone(),
        version: version.unwrap_or_default(),
        arch: context.base.arch.name().to_owned(),
        image: false,
    };
    let paths: Vec<Utf8PathBuf> = built.rpms.iter().map(|rpm| rpm.path(&checkout.store)).collect();
    let rpms = built.rpms.iter().zip(&paths).map(|(rpm, path)| Rpm {
        package: &rpm.package,
        path,
        digest: rpm.digest,
        size: rpm.size,
    });
    let rpms: Vec<_> = rpms.collect();
    Inventory::of_rpms(subject, &rpms, catalogue, &checkout.store)
}
