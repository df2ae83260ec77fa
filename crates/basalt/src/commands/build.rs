//! `basalt build`: builds packages and images by name.

use std::process::ExitCode;

use basalt_build::{Built, InputDifference};
use basalt_schedule::timings::Timings;
use basalt_store::write;
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Result};
use serde::Serialize;

use super::selection::Selection;
use super::{answer, answer_json, human, images};
use crate::arguments::Build;
use crate::checkout::{Ahead, Checkout};

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
    let is_image = |name: &String| definitions.contains_key(name);
    let names: Vec<&str> = options.names.iter().map(String::as_str).collect();
    // What an image installs is not known by names alone.
    let ahead = if names.is_empty() || options.names.iter().any(is_image) {
        Ahead::All
    } else {
        Ahead::Packages(&names)
    };
    let context = checkout.lookup_context(ahead)?;
    let selection = if names.is_empty() {
        Selection::all(&context, &definitions)
    } else {
        Selection::named(&options.names, &context, &definitions)?
    };
    let engine = context.engine(checkout).keep_going(options.keep_going);
    let provided = selection.provide(checkout, &context, &engine);
    if options.timings {
        write_timings(checkout, engine.timings())?;
    }
    let chosen = provided?.chosen;
    let packages: Vec<PackageReport> = chosen.packages.iter().map(|built| report(checkout, built)).collect();
    let images = images::by_name(images::compose(checkout, &context, chosen.images)?);
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
    let package = context.distribution.find(name)?;
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
    let logs = checkout.store.logs();
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
