//! `basalt completions`: what a shell needs to complete our words.

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::arguments::Arguments;

/// Writes the script.
pub fn run(shell: clap_complete::Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Arguments::command(), "basalt", &mut std::io::stdout());
    ExitCode::SUCCESS
}
