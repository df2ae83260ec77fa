//! Verbs of the command, one file each.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::Result;
use serde::Serialize;

use crate::arguments::{Arguments, Verb};
use crate::project::Project;

mod audit;
mod bench;
mod bom;
mod build;
mod cache;
mod check;
mod clean;
mod completions;
mod down;
mod harden;
mod images;
mod kubectl;
mod licenses;
mod logs;
mod provenance;
mod repo;
mod run;
mod sdk;
mod shell;
mod sources;
mod status;
mod store;
mod test;
mod up;
mod verify;
mod why;

/// Runs the verb of the arguments, and returns the exit code.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    // These verbs need no checkout and no store.
    match &arguments.verb {
        Verb::Completions { shell } => return Ok(completions::run(*shell)),
        Verb::Check { files } => return check::run(files, arguments.json),
        Verb::Clean(options) => return clean::run(options, arguments.quiet, arguments.json),
        Verb::Store(what) => return store::run(what, arguments.quiet, arguments.json),
        Verb::Repo(what) => return repo::run(what, arguments.quiet, arguments.cache.as_deref(), arguments.json),
        _ => {}
    }
    let project = Project::open(arguments.quiet, arguments.cache.as_deref())?;
    let json = arguments.json;
    match &arguments.verb {
        Verb::Up(options) => up::run(&project, options, json),
        Verb::Down => down::run(&project, json),
        Verb::Status => status::run(&project, json),
        Verb::Kubectl { arguments } => kubectl::run(&project, arguments),
        Verb::Bench(what) => bench::run(&project, what, json),
        Verb::Build(options) => build::run(&project, options, json),
        Verb::Cache(what) => cache::run(&project, what, json),
        Verb::Run(options) => run::run(&project, options),
        Verb::Bom(options) => bom::run(&project, options, json),
        Verb::Licenses(options) => licenses::run(&project, options, json),
        Verb::Why(options) => why::run(&project, options, json),
        Verb::Logs { name, follow } => logs::run(&project, name, *follow),
        Verb::Shell { package } => shell::run(&project, package),
        Verb::Sources(what) => sources::run(&project, what, json),
        Verb::Sdk(what) => sdk::run(&project, what, json),
        Verb::Audit(options) => audit::run(&project, options, json),
        Verb::Harden(options) => harden::run(&project, options, json),
        Verb::Verify(options) => verify::run(&project, options, json),
        Verb::Provenance { what } => provenance::run(&project, what),
        Verb::Test { quick } => test::run(&project, *quick, json),
        Verb::Completions { .. }
        | Verb::Check { .. }
        | Verb::Clean(_)
        | Verb::Store(_)
        | Verb::Repo(_)
        | Verb::Supervisor { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// Returns the exit code of a program that was run for the user: its own, or 128 and the number of the signal that
/// ended it.
fn passed_on(status: std::process::ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// `true` if output could not be written, for example to a full disk.
static LOST: AtomicBool = AtomicBool::new(false);

/// Returns `true` if all output was written.
pub fn answers_arrived() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Prints a result on standard output. A closed pipe (`| head`) is no error.
fn answer(text: impl std::fmt::Display) {
    let written = writeln!(std::io::stdout(), "{text}");
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        tracing::error!("cannot write to standard output: {error}");
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Prints a result as JSON on standard output.
fn answer_json(value: &impl Serialize) {
    answer(serde_json::to_string_pretty(value).unwrap_or_default());
}
