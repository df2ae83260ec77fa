//! `basalt check`: validates files before anything is built or booted from them.

use std::process::ExitCode;
use std::time::SystemTime;

use basalt_document::problem::Problems;
use basalt_node_config::{Clock, KubeletMinor};
use camino::Utf8PathBuf;
use miette::Result;

use super::{answer, answer_json};
use crate::text_file::read_text_or_input;

/// Checks every file; the exit code is 0 if all of them are valid.
pub fn run(files: &[Utf8PathBuf], kubelet: KubeletMinor, json: bool) -> Result<ExitCode> {
    let mut wrong = Vec::new();
    let mut warned = Vec::new();
    for path in files {
        let (name, text) = read_text_or_input(path)?;
        match check(&name, &text, kubelet) {
            Ok((what, warnings)) => {
                if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
                    if !json {
                        crate::show_problems(&warnings);
                    }
                    warned.push(serde_json::json!({ "file": name, "problems": warnings.brief() }));
                }
                if !json {
                    answer(format!("{name} is right: {what}"));
                }
            }
            Err(problems) => {
                if !json {
                    crate::show_problems(&problems);
                }
                wrong.push(serde_json::json!({ "file": name, "problems": problems.brief() }));
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
fn check(name: &str, text: &str, kubelet: KubeletMinor) -> Result<(String, Option<Problems>), Problems> {
    if !text.lines().any(|line| line.starts_with("apiVersion:")) && text.lines().any(|line| line.starts_with("name:")) {
        let checked = basalt_image::definition::check(name, text);
        return checked.map(|definition| (format!("the definition of the image {}", definition.name), None));
    }
    let checked = basalt_node_config::check_for(name, text, Clock::Right(SystemTime::now()), kubelet);
    checked.map(|(config, warnings)| {
        let what = format!(
            "a NodeConfig for {}, with a kubelet of {kubelet}",
            config.cluster.endpoint
        );
        (what, Some(warnings))
    })
}
