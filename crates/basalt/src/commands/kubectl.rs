//! `basalt kubectl`: runs Basalt's kubectl against the running cluster.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use basalt_cluster::{ClusterError, LocalCluster};
use clap::CommandFactory as _;
use miette::{IntoDiagnostic as _, Result, WrapErr as _};

use super::answer;
use crate::arguments::Arguments;
use crate::checkout::Checkout;

/// Replaces this process by kubectl, which takes over terminal, signals and exit code. Without a cluster there is no kubectl,
/// and a request for help gets ours.
pub fn run(checkout: &Checkout, arguments: &[String]) -> Result<ExitCode> {
    let command = match LocalCluster::open(checkout.cluster_state())?.kubectl(arguments) {
        Err(ClusterError::Stopped) if matches!(arguments, [option] if ["-h", "--help"].contains(&option.as_str())) => {
            answer(help().trim_end());
            return Ok(ExitCode::SUCCESS);
        }
        command => command?,
    };
    // exec returns only when the program could not be started.
    Err(command.to_std().exec())
        .into_diagnostic()
        .wrap_err("kubectl could not be started")
}

/// Help of this verb, whose `--help` is kubectl's.
fn help() -> String {
    let mut command = Arguments::command();
    command.build();
    let kubectl = command.find_subcommand_mut("kubectl");
    kubectl.map_or_else(String::new, |kubectl| kubectl.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_shows_the_call() {
        assert!(help().contains("Usage: basalt kubectl"), "{}", help());
    }
}
