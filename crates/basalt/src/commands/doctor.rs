//! `basalt doctor`: checks what this machine can do.

use std::process::ExitCode;

use miette::Result;

use super::{answer, answer_json};
use crate::checkout;
use crate::doctor;
use crate::terminal::Terminal;

/// Makes all checks and shows them; the exit code is 0 if none failed.
pub fn run(quiet: bool, json: bool) -> Result<ExitCode> {
    // Most checks need no checkout, and it is for the others to say that there is none.
    let content = checkout::root().ok().map(|root| checkout::content(&root));
    let report = doctor::examine(content, &Terminal::new(quiet))?;
    if json {
        answer_json(&report);
    } else {
        answer(&report);
    }
    Ok(if report.passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
