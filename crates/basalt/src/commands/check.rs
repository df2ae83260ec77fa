//! `basalt check`: validates files before anything is built or booted from them.

use std::process::ExitCode;
use std::time::SystemTime;

use basalt_document::Finding;
use basalt_document::problem::Problems;
use basalt_node_config::{Clock, KubeletMinor};
use camino::Utf8PathBuf;
use miette::{NamedSource, Result};

use super::{answer, answer_json};
use crate::text_file::read_text_or_input;

/// Beginnings of user data that is no NodeConfig: for cloud-init, scripts, MIME messages.
const USER_DATA: [&str; 7] = [
    "#!",
    "## template:",
    "#cloud-boothook",
    "#cloud-config",
    "#include",
    "Content-Type:",
    "MIME-Version:",
];

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

/// Finding about user data in the place of a NodeConfig. What comes of it depends on the machine, too.
fn user_data(text: &str) -> Option<Finding> {
    let is_ignition = text.starts_with('{') && text.contains("\"ignition\"");
    if !is_ignition && !USER_DATA.iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let finding = Finding::error(
        "this is user data of a machine, and no NodeConfig",
        "another kind of file",
    );
    let help =
        "`basalt config from-join --offline --hostname NAME --bootstrap-data FILE` shows what a node makes of it";
    Some(finding.with_help(help))
}

/// Checks one file, whose kind is determined by `apiVersion`, which image definitions do not have; returns a
/// description of the file with warnings, or its problems.
fn check(name: &str, text: &str, kubelet: KubeletMinor) -> Result<(String, Option<Problems>), Problems> {
    if let Some(finding) = user_data(text) {
        return Err(Problems::of_file(NamedSource::new(name, "".into()), finding));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_is_told_from_a_node_config() {
        for text in [
            "#cloud-config\nusers: []\n",
            "## template: jinja\n#cloud-config\n",
            "#!/bin/sh\n",
            "{\"ignition\": {\"version\": \"3.4.0\"}}",
            "MIME-Version: 1.0\n",
        ] {
            let problems = check("user-data", text, KubeletMinor::NEWEST).unwrap_err();
            assert!(
                problems.brief().contains("user data of a machine"),
                "{}",
                problems.brief()
            );
        }
        assert!(user_data("# a NodeConfig\napiVersion: basalt.dev/v1\n").is_none());
    }
}
