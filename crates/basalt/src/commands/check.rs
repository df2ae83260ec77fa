//! `basalt check`: validates files before anything is built or booted from them.

use std::process::ExitCode;
use std::time::SystemTime;

use basalt_document::problem::Problems;
use basalt_document::report::{CheckReport, FileReport};
use basalt_node_config::{Clock, KubeletMinor};
use camino::Utf8PathBuf;
use miette::Result;

use super::{answer, answer_json};
use crate::text_file::read_text_or_input;

/// Checks every file; the exit code is 0 if all of them are valid.
pub fn run(files: &[Utf8PathBuf], kubelet: KubeletMinor, json: bool) -> Result<ExitCode> {
    let mut report = CheckReport::new(files.len());
    for path in files {
        let (name, text) = read_text_or_input(path)?;
        match check(&name, &text, kubelet) {
            Ok((what, warnings)) => {
                if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
                    if !json {
                        crate::show_problems(&warnings);
                    }
                    report.warnings.push(FileReport::new(&warnings));
                }
                if !json {
                    answer(format!("{name} is right: {what}"));
                }
            }
            Err(problems) => {
                if !json {
                    crate::show_problems(&problems);
                }
                report.wrong.push(FileReport::new(&problems));
            }
        }
    }
    if json {
        answer_json(&report);
    }
    Ok(if report.wrong.is_empty() {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use basalt_document::schema::published;

    use super::*;

    #[test]
    fn the_published_schema_is_current() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/check.json");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs_err::write(&path, published::<CheckReport>()).unwrap();
        }
        let text = fs_err::read_to_string(&path).unwrap_or_default();
        assert!(
            text == published::<CheckReport>(),
            "{} is out of date: run the tests with UPDATE_SCHEMAS=1",
            path.display()
        );
    }

    #[test]
    fn a_file_of_another_kind_has_one_problem() {
        let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\n";
        let problems = check("join.yaml", text, KubeletMinor::NEWEST).unwrap_err();
        let report = FileReport::new(&problems);
        assert_eq!((report.file.as_str(), report.problems.len()), ("join.yaml", 1));
        let help = report.problems[0].help.as_deref().unwrap_or_default();
        assert!(help.starts_with("`basalt config from-join"), "{help}");
    }
}
