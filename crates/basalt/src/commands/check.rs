//! `basalt check`: says what is wrong with a file before anything is built or booted from it.

use std::process::ExitCode;
use std::time::SystemTime;

use basalt_model::image;
use basalt_model::node_config::{self, Clock};
use basalt_model::problem::Problems;
use camino::{Utf8Path, Utf8PathBuf};
use miette::Result;

use super::{answer, answer_json};
use crate::project::read_text;

/// Checks every file; the exit code tells whether all of them are right.
pub fn run(files: &[Utf8PathBuf], json: bool) -> Result<ExitCode> {
    let mut wrong = Vec::new();
    for path in files {
        match check(path)? {
            Ok(what) if !json => answer(format!("{path} is right: {what}")),
            Ok(_) => {}
            Err(problems) => {
                if !json {
                    crate::show_problems(&problems);
                }
                wrong.push(serde_json::json!({ "file": path, "problems": problems.brief() }));
            }
        }
    }
    if json {
        answer_json(&serde_json::json!({ "files": files.len(), "wrong": wrong }));
    }
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What kind of file it is is told by its `apiVersion`, which definitions of images do not have.
fn check(path: &Utf8Path) -> Result<Result<String, Problems>> {
    let text = read_text(path)?;
    if !text.lines().any(|line| line.starts_with("apiVersion:")) && text.lines().any(|line| line.starts_with("name:")) {
        let checked = image::check(path.as_str(), &text);
        return Ok(checked.map(|definition| format!("the definition of the image {}", definition.name)));
    }
    Ok(
        node_config::check(path.as_str(), &text, Clock::Right(SystemTime::now()))
            .map(|(config, _)| format!("a NodeConfig for {}", config.cluster.endpoint)),
    )
}
