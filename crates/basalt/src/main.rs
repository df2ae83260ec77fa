//! `basalt`: builds, ships and runs Basalt Linux.
//!
//! The command is thin. [`arguments`] says what can be asked for; each verb has a file in [`commands`], which opens the
//! [`project`] (store, SDK, packages, images), calls a room of the house, and shows what came of it; [`terminal`] draws
//! progress. Errors end here, where they are shown with place, cause and remedy.

mod arguments;
mod commands;
mod project;
mod table;
mod team_cache;
mod terminal;

use std::process::ExitCode;
use std::sync::OnceLock;

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
    // Modes of folders are part of digests: they may not depend on whose umask it is. What is secret says so itself.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
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
    hold_inputs(plan);
    Box::new(basalt_machine::SdkTools::new(&plan.inputs.sdk))
}

/// Store of the cluster that this process supervises, open for as long as it lives.
static CLUSTER_STORE: OnceLock<basalt_store::Store> = OnceLock::new();

/// Keeps collection from removing what a cluster runs from. `up` found it in the store some time ago, under a lease of its
/// own; under ours it has to be used once more.
fn hold_inputs(plan: &basalt_cluster::Plan) {
    let inputs = &plan.inputs;
    match basalt_store::Store::open(&inputs.cache) {
        Ok(store) => {
            for path in [&inputs.sdk, &inputs.node_image, &inputs.control_plane, &inputs.registry] {
                if !store.touch(path) {
                    tracing::warn!(%path, "this is not in the store: collection does not know that it is in use");
                }
            }
            CLUSTER_STORE.get_or_init(|| store);
        }
        // The cluster runs all the same, and its log says why a collection may take something away from it.
        Err(error) => tracing::error!(%error, "no lease of the store: `basalt clean` may remove what the cluster uses"),
    }
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
