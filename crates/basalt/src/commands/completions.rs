//! `basalt completions`: completion scripts for shells.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::arguments::Arguments;

/// Writes the script to standard output.
pub fn run(shell: clap_complete::Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Arguments::command(), "basalt", &mut std::io::stdout());
    ExitCode::SUCCESS
}
