//! `basalt sources`: upstream sources of packages.

use std::process::ExitCode;

use basalt_build::PackageId;
use basalt_content::ContentFolder;
use camino::Utf8PathBuf;
use miette::Result;

use super::{answer, answer_json};
use crate::arguments::Sources;
use crate::checkout::{BuildContext, Checkout};

/// Debian suites whose source packages show new upstream releases.
const SUITES: &[&str] = &["trixie", "trixie-backports", "sid"];

/// Fetches, locks, or checks sources.
pub fn run(checkout: &Checkout, what: &Sources, json: bool) -> Result<ExitCode> {
    match what {
        Sources::Fetch { packages } => {
            let context = checkout.build_context()?;
            let mut fetched = 0;
            for package in selected(&context, packages)? {
                fetched += context.engine(checkout).fetch(package)?;
            }
            if json {
                answer_json(&serde_json::json!({ "sources": fetched }));
            } else {
                answer(format!("{fetched} sources are in the store"));
            }
        }
        Sources::Lock { package } => {
            let folder = package_folder(checkout, package)?;
            let changed = basalt_sources::relock(&folder, &checkout.store, checkout.reporter())?;
            if json {
                answer_json(&changed);
            } else {
                for file in &changed {
                    answer(format!("{} {} ({} bytes)", file.sha256, file.file, file.size));
                }
                answer(match changed.len() {
                    0 => format!("nothing changed in {folder}/sources.toml"),
                    1 => format!("one lock changed in {folder}/sources.toml"),
                    many => format!("{many} locks changed in {folder}/sources.toml"),
                });
            }
        }
        Sources::Check { packages } => return check(checkout, packages, json),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the folder of a package, also of one whose spec cannot be read yet.
fn package_folder(checkout: &Checkout, package: &str) -> Result<Utf8PathBuf> {
    let content = checkout.content();
    let entries = content.entries(ContentFolder::Packages)?;
    let found = entries.into_iter().find(|entry| entry.file_name() == package);
    let place = found.unwrap_or_else(|| content.own_folder(ContentFolder::Packages).join(package));
    Ok(place.path)
}

fn selected(context: &BuildContext, names: &[String]) -> Result<Vec<PackageId>> {
    if names.is_empty() {
        return Ok(context.distribution.graph.ids().collect());
    }
    Ok(names
        .iter()
        .map(|name| context.distribution.find(name))
        .collect::<Result<_, _>>()?)
}

/// Checks that locks are complete and sources in the store are intact, and finds newer releases.
fn check(checkout: &Checkout, names: &[String], json: bool) -> Result<ExitCode> {
    let context = checkout.build_context()?;
    let suites: Vec<String> = SUITES.iter().map(|suite| (*suite).to_owned()).collect();
    let known = basalt_sdk::source_versions(&suites, &checkout.store, checkout.reporter())?;
    let mut findings = Vec::new();
    for package in selected(&context, names)? {
        let set = &context.distribution.package(package).sources;
        findings.extend(set.check(&checkout.store)?);
        findings.extend(set.newer(&known));
    }
    if json {
        answer_json(&findings);
    } else {
        for finding in &findings {
            answer(finding);
        }
        answer(format!("{} findings", findings.len()));
    }
    let damaged = findings.iter().any(basalt_sources::SourceFinding::is_damage);
    Ok(if damaged { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
