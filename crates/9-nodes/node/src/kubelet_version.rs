//! Version of the kubelet in this image.
//!
//! The program is asked (`kubelet --version`): that is the version which will run, whichever package it is from, also in an
//! image that somebody else composed. A start of it takes a tenth of a second, under an emulator more than one, so it is
//! asked only where something follows from the answer: the version skew policy, and settings that not every kubelet has.

use std::process::Command;

use basalt_document::problem::Problems;
use basalt_join::skew::KubernetesVersion;
use basalt_node_config::{Clock, KubeletMinor, NodeConfig, check, check_for};

use crate::paths;

/// The kubelet does not say what it is.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("`kubelet --version` does not tell the version of the kubelet: {0}")]
#[diagnostic(help("the image has no kubelet, or a damaged one: use another image"))]
pub struct KubeletVersionError(String);

/// Asks the kubelet for its version.
///
/// # Errors
/// When it cannot be run, or answers something else.
pub fn installed() -> Result<KubernetesVersion, KubeletVersionError> {
    of_program(paths::KUBELET)
}

#[expect(clippy::disallowed_methods, reason = "the agent does without basalt-process")]
fn of_program(program: &str) -> Result<KubernetesVersion, KubeletVersionError> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| KubeletVersionError(error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    parse(&said).ok_or_else(|| KubeletVersionError(format!("{}, and it wrote `{}`", output.status, said.trim())))
}

/// Reads what `kubelet --version` prints: `Kubernetes v1.37.2`.
fn parse(said: &str) -> Option<KubernetesVersion> {
    said.trim().strip_prefix("Kubernetes ")?.parse().ok()
}

/// Checks a NodeConfig for the kubelet of this image; for the newest one, if there is none here.
///
/// # Errors
/// All problems of the text.
pub fn check_config(name: &str, text: &str, clock: Clock) -> Result<(NodeConfig, Problems), Problems> {
    let checked = check(name, text, clock);
    let is_the_same_for_all = matches!(&checked, Ok((config, _)) if {
        let written = &config.kubelet.written;
        written.feature_gates.is_empty() && written.extra_config.is_empty()
    });
    if is_the_same_for_all {
        return checked;
    }
    match installed().map(|version| KubeletMinor::nearest(version.minor)) {
        Ok(minor) if minor != KubeletMinor::NEWEST => check_for(name, text, clock, minor),
        _ => checked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let version = |said| parse(said).map(|version| version.to_string());
        assert_eq!(version("Kubernetes v1.36.3\n").as_deref(), Some("v1.36.3"));
        assert_eq!(version("Kubernetes v1.35.5-vendor.1\n").as_deref(), Some("v1.35.5"));
        for other in ["", "v1.36.3", "Kubernetes", "Kubernetes \n", "basalt-node 0.1.0"] {
            assert_eq!(version(other), None, "{other}");
        }
    }

    #[test]
    fn programs_that_say_nothing() {
        for (program, words) in [("/nonexistent", "os error 2"), ("/bin/false", "exit status: 1")] {
            let error = of_program(program).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
