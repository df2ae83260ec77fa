//! `basalt build`: builds packages and images by name.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use basalt_build::{BuildError, Built, InputDifference, PackageId};
use basalt_model::image::ImageDefinition;
use basalt_model::spelling::closest;
use basalt_schedule::timings::Timings;
use basalt_store::write;
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Result, miette};
use serde::Serialize;

use super::{answer, answer_json, images};
use crate::arguments::Build;
use crate::checkout::{Ahead, BuildContext, Checkout};

/// Result of a package's build, for scripts.
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

/// Builds packages and images; all of them, if none is named.
pub fn run(checkout: &Checkout, options: &Build, json: bool) -> Result<ExitCode> {
    if let Some(package) = &options.explain {
        return explain(checkout, package, json);
    }
    let definitions = images::definitions(checkout)?;
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
    // What an image installs is not known by names alone.
    let ahead = if wanted_images.is_empty() {
        Ahead::Packages(&wanted_packages)
    } else {
        Ahead::All
    };
    let context = checkout.lookup_context(ahead)?;
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
        let engine = context.engine(checkout).keep_going(options.keep_going);
        let built = engine.build(targets.iter().copied());
        if options.timings {
            write_timings(checkout, engine.timings())?;
        }
        let built = built?;
        packages = targets
            .iter()
            .filter_map(|target| built.get(target))
            .map(|built| report(checkout, built))
            .collect();
    }
    let images = images::make_in(checkout, &context, &wanted_images)?;
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

/// Shows which inputs of a package changed since its last build.
fn explain(checkout: &Checkout, name: &str, json: bool) -> Result<ExitCode> {
    let context = checkout.lookup_context(Ahead::Nothing)?;
    let package = package(name, &context, &images::definitions(checkout)?)?;
    let explanation = context.engine(checkout).explain(package)?;
    if json {
        answer_json(&explanation);
        return Ok(ExitCode::SUCCESS);
    }
    let name = context.distribution.package(package).name();
    answer(match (&explanation.before, explanation.is_built) {
        (_, true) => format!("{name} is built: nothing that goes into it differs from that build"),
        (None, false) => format!("{name} was never built in this store"),
        (Some(_), false) => format!("{name} is built again: since its last build in this store"),
    });
    if explanation.is_built {
        return Ok(ExitCode::SUCCESS);
    }
    for difference in explanation.differences.iter().flatten() {
        answer(format!("  {}", changed(difference)));
    }
    if explanation.before.is_some() && explanation.differences.is_none() {
        answer("  what went into that build is no longer in the store");
    }
    Ok(ExitCode::SUCCESS)
}

fn changed(difference: &InputDifference) -> String {
    let InputDifference { what, before, now } = difference;
    match (before, now) {
        (None, _) => format!("{what} is new"),
        (_, None) => format!("{what} is gone"),
        (Some(before), Some(now)) if before.len() == now.len() && now.len() == DIGITS => format!("{what} has changed"),
        (Some(before), Some(now)) => format!("{what} was {before}, is {now}"),
    }
}

/// Length of a digest as text.
const DIGITS: usize = 64;

/// Writes the page of a run's timings, and a JSON file of the figures beside it.
fn write_timings(checkout: &Checkout, timings: Option<Timings>) -> Result<()> {
    let Some(timings) = timings else {
        checkout.reporter().note("nothing was built, so there are no timings");
        return Ok(());
    };
    let logs = checkout.store.root().join("logs");
    let page = logs.join("build-timings.html");
    write::atomically(&page, timings.html())?;
    write::atomically(&logs.join("build-timings.json"), timings.json().into_diagnostic()?)?;
    checkout.reporter().note(&format!(
        "timings: {page} ({:.0} s, {:.0} % of {} cores, critical path {:.0} s)",
        timings.wall,
        timings.busy * 100.0,
        timings.cores,
        timings.critical_wall
    ));
    Ok(())
}

/// Returns the package of a name; the error for the name of an image says so.
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

fn report(checkout: &Checkout, built: &Built) -> PackageReport {
    let rpms = built.rpms.iter().map(|rpm| RpmReport {
        file: rpm.file.clone(),
        size: rpm.size,
        path: rpm.path(&checkout.store),
    });
    PackageReport {
        name: built.name.clone(),
        seconds: built.seconds,
        rpms: rpms.collect(),
    }
}

/// Formats a size in bytes with a binary unit.
pub fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
