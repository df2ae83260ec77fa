//! `basalt kubectl`: runs Basalt's kubectl against the running cluster.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use basalt_cluster::LocalCluster;
use miette::{IntoDiagnostic as _, Result, WrapErr as _};

use crate::checkout::Checkout;

/// Replaces this process by kubectl, which takes over terminal, signals and exit code.
pub fn run(checkout: &Checkout, arguments: &[String]) -> Result<ExitCode> {
    let command = LocalCluster::open(checkout.cluster_state())?.kubectl(arguments)?;
    // exec returns only when the program could not be started.
    Err(command.to_std().exec())
        .into_diagnostic()
        .wrap_err("kubectl could not be started")
}
