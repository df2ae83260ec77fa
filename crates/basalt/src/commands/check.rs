//! `basalt check`: validates files before anything is built or booted from them.

use std::process::ExitCode;
use std::time::SystemTime;

use basalt_document::problem::Problems;
use basalt_node_config::{Clock, KubeletMinor};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Result;

use super::{answer, answer_json};
use crate::checkout::read_text;

/// Checks every file; the exit code is 0 if all of them are valid.
pub fn run(files: &[Utf8PathBuf], kubelet: KubeletMinor, json: bool) -> Result<ExitCode> {
    let mut wrong = Vec::new();
    let mut warned = Vec::new();
    for path in files {
        match check(path, kubelet)? {
            Ok((what, warnings)) => {
                if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
                    if !json {
                        crate::show_problems(&warnings);
                    }
                    warned.push(serde_json::json!({ "file": path, "problems": warnings.brief() }));
                }
                if !json {
                    answer(format!("{path} is right: {what}"));
                }
            }
            Err(problems) => {
                if !json {
                    crate::show_problems(&problems);
                }
                wrong.push(serde_json::json!({ "file": path, "problems": problems.brief() }));
            }
        }
    }
    if json {
        answer_json(&serde_json::json!({ "files": files.len(), "wrong": wrong, "warnings": warned }));
    }
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Checks one file, whose kind is determined by `apiVersion`, which image definitions do not have; returns a
/// description of the file with warnings, or its problems.
fn check(path: &Utf8Path, kubelet: KubeletMinor) -> Result<Result<(String, Option<Problems>), Problems>> {
    let text = read_text(path)?;
    if !text.lines().any(|line| line.starts_with("apiVersion:")) && text.lines().any(|line| line.starts_with("name:")) {
        let checked = basalt_image::definition::check(path.as_str(), &text);
        return Ok(checked.map(|definition| (format!("the definition of the image {}", definition.name), None)));
    }
    let checked = basalt_node_config::check_for(path.as_str(), &text, Clock::Right(SystemTime::now()), kubelet);
    Ok(checked.map(|(config, warnings)| {
        let what = format!(
            "a NodeConfig for {}, with a kubelet of {kubelet}",
            config.cluster.endpoint
        );
        (what, Some(warnings))
    }))
}
