//! `basalt completions`: completion scripts for shells.

use std::io::Write as _;
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::arguments::Arguments;
use crate::output::Stdout;

/// Writes the script to standard output.
pub fn run(shell: clap_complete::Shell) -> ExitCode {
    // In memory first: clap_complete panics when it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "basalt", &mut script);
    // A failure is recorded, and decides the exit code.
    let _ = Stdout.write_all(&script).and_then(|()| Stdout.flush());
    ExitCode::SUCCESS
}
