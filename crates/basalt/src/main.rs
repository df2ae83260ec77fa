//! `basalt`: builds, ships and runs Basalt Linux.
//!
//! The command is thin. [`arguments`] says what can be asked for; each verb has a file in [`commands`], which opens the
//! [`project`] (store, SDK, packages, images), calls a room of the house, and shows what came of it; [`terminal`] draws
//! progress. Errors end here, where they are shown with place, cause and remedy.

mod arguments;
mod commands;
mod project;
mod table;
mod terminal;

use std::process::ExitCode;

use basalt_process::interrupt;
use clap::Parser as _;

/// What exit codes mean; `--help` says the same.
mod exit {
    /// The work failed.
    pub const FAILED: u8 = 1;
    /// Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    basalt_cluster::supervisor::run_if_asked(supervisor_tools);
    if let Err(error) = interrupt::install() {
        return show(&miette::Report::msg(format!("cannot listen for signals: {error}")));
    }
    let filter = tracing_subscriber::EnvFilter::try_from_env("BASALT_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    let arguments = arguments::Arguments::parse();
    match commands::run(&arguments) {
        Ok(_) if !commands::answers_arrived() => ExitCode::from(exit::FAILED),
        Ok(code) => code,
        Err(_) if interrupt::requested() => {
            show_line("interrupted; nothing is left running, and the same command goes on from here");
            ExitCode::from(exit::INTERRUPTED)
        }
        Err(report) => show(&report),
    }
}

/// What the supervisor of a cluster needs of us. Its standard error is its log.
fn supervisor_tools(plan: &basalt_cluster::Plan) -> Box<dyn basalt_machine::Tools> {
    tracing_subscriber::fmt()
        .with_env_filter("info")
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    // A lease for as long as the cluster lives: `clean` must not take away what it stands on.
    std::mem::forget(basalt_store::Store::open(&plan.inputs.cache));
    Box::new(basalt_machine::SdkTools::new(&plan.inputs.sdk))
}

#[expect(clippy::print_stderr, reason = "errors are shown here")]
fn show(report: &miette::Report) -> ExitCode {
    eprintln!("{report:?}");
    ExitCode::from(exit::FAILED)
}

#[expect(clippy::print_stderr, reason = "errors are shown here")]
fn show_line(text: &str) {
    eprintln!("{text}");
}

/// Problems of a user's file, each with the lines that it is in.
fn show_problems(problems: &basalt_model::problem::Problems) {
    for problem in problems.iter() {
        show(&miette::Report::new(problem.clone()).with_source_code(problems.source().clone()));
    }
    show_line(&problems.to_string());
}
