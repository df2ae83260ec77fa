//! `basalt kubectl`: Basalt's kubectl, for the running cluster.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use basalt_cluster::Cluster;
use miette::{IntoDiagnostic as _, Result, WrapErr as _};

use crate::project::Project;

/// Becomes kubectl: terminal, signals and exit code are its own from then on.
pub fn run(project: &Project, arguments: &[String]) -> Result<ExitCode> {
    let command = Cluster::open(project.cluster_state())?.kubectl(arguments)?;
    // It returns only when it could not be started.
    Err(command.to_std().exec())
        .into_diagnostic()
        .wrap_err("kubectl could not be started")
}
