//! `basalt sdk`: the tree of build tools.

use std::process::ExitCode;

use miette::Result;

use super::{answer, answer_json, passed_on};
use crate::arguments::Sdk;
use crate::project::Project;

/// Makes it, locks it, or steps into it.
pub fn run(project: &Project, what: &Sdk, json: bool) -> Result<ExitCode> {
    match what {
        Sdk::Build => {
            let sdk = project.sdk()?;
            if json {
                answer_json(&serde_json::json!({ "path": sdk.path, "digest": sdk.digest }));
            } else {
                answer(&sdk.path);
            }
        }
        Sdk::Lock => {
            let changes = basalt_sdk::lock(&project.distro().join("sdk"), &project.store, project.reporter())?;
            if json {
                answer_json(&changes);
            } else {
                for change in &changes {
                    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
                    answer(format!(
                        "{:<32} {} -> {}",
                        change.name,
                        version(&change.before),
                        version(&change.now)
                    ));
                }
                answer(format!("{} packages changed in distro/sdk/sdk.lock", changes.len()));
            }
        }
        Sdk::Shell => {
            let terminal = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
            let sandbox = project.sdk()?.sandbox().env("TERM", terminal);
            return Ok(passed_on(sandbox.command("bash", ["--norc"]).interactive()?));
        }
    }
    Ok(ExitCode::SUCCESS)
}
