//! `basalt build`: packages and images, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use basalt_build::{BuildError, Built, PackageId};
use basalt_model::image::ImageDefinition;
use basalt_model::spelling::closest;
use camino::Utf8PathBuf;
use miette::{Result, miette};
use serde::Serialize;

use super::{answer, answer_json, images};
use crate::arguments::Build;
use crate::project::{BuildContext, Project};

/// What a package came to.
#[derive(Debug, Serialize)]
struct PackageReport {
    name: String,
    seconds: u64,
    rpms: Vec<RpmReport>,
}

#[derive(Debug, Serialize)]
struct RpmReport {
    file: String,
    size: u64,
    path: Utf8PathBuf,
}

/// Builds what is named, or everything.
pub fn run(project: &Project, options: &Build, json: bool) -> Result<ExitCode> {
    let definitions = images::definitions(project)?;
    let (wanted_images, wanted_packages): (Vec<&str>, Vec<&str>) = options
        .names
        .iter()
        .map(String::as_str)
        .partition(|name| definitions.contains_key(*name));
    let wanted_images = if options.names.is_empty() {
        definitions.keys().map(String::as_str).collect()
    } else {
        wanted_images
    };
    let context = project.build_context()?;
    let targets: BTreeSet<PackageId> = if options.names.is_empty() {
        context.distribution.graph.ids().collect()
    } else {
        wanted_packages
            .iter()
            .map(|name| package(name, &context, &definitions))
            .collect::<Result<_>>()?
    };
    let mut packages = Vec::new();
    if !targets.is_empty() {
        let built = context
            .engine(project)
            .keep_going(options.keep_going)
            .build(targets.iter().copied())?;
        packages = targets
            .iter()
            .filter_map(|target| built.get(target))
            .map(|built| report(project, built))
            .collect();
    }
    let images = images::make_in(project, &context, &wanted_images)?;
    if json {
        answer_json(
            &serde_json::json!({ "packages": packages, "images": images.values().map(images::report).collect::<Vec<_>>() }),
        );
        return Ok(ExitCode::SUCCESS);
    }
    for package in &packages {
        for rpm in &package.rpms {
            answer(format!("{:<52} {:>10}  {}", rpm.file, human(rpm.size), rpm.path));
        }
    }
    for image in images.values() {
        answer(images::describe(image));
    }
    Ok(ExitCode::SUCCESS)
}

/// The package of that name; where there is none, an image may have been meant.
pub fn package(name: &str, context: &BuildContext, images: &BTreeMap<String, ImageDefinition>) -> Result<PackageId> {
    let found = context.distribution.find(name);
    let Err(BuildError::NoSuchPackage { .. }) = found else {
        return Ok(found?);
    };
    let names = images
        .keys()
        .map(String::as_str)
        .chain(context.distribution.graph.names());
    let help = match closest(name, names) {
        Some(guess) => format!("did you mean `{guess}`?"),
        None => "what there is: `ls distro/images distro/packages`".to_owned(),
    };
    Err(miette!(
        code = "build::unknown",
        help = help,
        "there is no image and no package `{name}`"
    ))
}

fn report(project: &Project, built: &Built) -> PackageReport {
    let rpms = built.rpms.iter().map(|rpm| RpmReport {
        file: rpm.file.clone(),
        size: rpm.size,
        path: rpm.path(&project.store),
    });
    PackageReport {
        name: built.name.clone(),
        seconds: built.seconds,
        rpms: rpms.collect(),
    }
}

/// A size for people.
pub fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
