//! `basalt`: builds, ships and runs Basalt Linux.
//!
//! The command is thin. [`arguments`] defines the arguments; each verb has a file in [`commands`], which opens the
//! [`checkout`] (store, SDK, packages, images), calls a crate, and shows the result; [`terminal`] draws progress;
//! [`output`] is what writes. Errors end here, where they are shown with place, cause and help ([`error_report`]).

mod arguments;
mod checkout;
mod color;
mod commands;
mod doctor;
mod environment;
mod error_report;
mod memory;
mod output;
mod table;
mod team_cache;
mod terminal;
mod text_file;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;
use std::sync::OnceLock;

use basalt_document::problem::Problems;
use basalt_process::interrupt;
use clap::{CommandFactory as _, FromArgMatches as _};
use error_report::SeparateParts;

/// Exit codes; `--help` lists the same.
mod exit {
    /// Failure of the command.
    pub const FAILED: u8 = 1;
    /// Arguments that are wrong, as clap has it.
    pub const WRONG_ARGUMENTS: u8 = 2;
    /// Failure of `preflight` to look at all objects.
    pub const COULD_NOT_LOOK: u8 = 2;
    /// Something that the machine lacks; the launcher has the same code.
    pub const LACKING: u8 = 3;
    /// Interrupt by Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

fn main() -> ExitCode {
    basalt_sandbox::enter_if_asked();
    // Modes of folders are part of digests: they must not depend on the user's umask. Secret files set their modes
    // themselves.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    basalt_cluster::supervisor::run_if_asked(supervisor_tools);
    let color = color::on_stderr();
    set_report_handler(color);
    if let Err(error) = interrupt::install() {
        return show(&miette::Report::msg(format!("cannot listen for signals: {error}")));
    }
    // Failed requests are reported by the verbs themselves, once.
    let filter = tracing_subscriber::EnvFilter::try_from_env("BASALT_LOG");
    let filter = filter.unwrap_or_else(|_| "warn,kube_client=off".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(color)
        .with_writer(|| output::Stderr)
        .without_time()
        .init();
    let arguments = parse_arguments();
    let result = commands::run(&arguments);
    if output::is_closed() {
        return ExitCode::from(output::CLOSED_PIPE);
    }
    match result {
        Ok(_) if !output::is_complete() => ExitCode::from(exit::FAILED),
        Ok(code) => code,
        Err(_) if interrupt::requested() => {
            show_line("interrupted; nothing is left running, and the same command goes on from here");
            ExitCode::from(exit::INTERRUPTED)
        }
        Err(report) => {
            let code = show(&report);
            if report.is::<doctor::SdkObstacles>() {
                ExitCode::from(exit::LACKING)
            } else {
                code
            }
        }
    }
}

/// Parses the arguments; ends the process where they are wrong, or ask for help.
fn parse_arguments() -> arguments::Arguments {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut command = arguments::Arguments::command();
    if words.first().is_some_and(|program| is_kubectl_plugin(program)) {
        // kubectl runs the program `kubectl-basalt` for `kubectl basalt`: help and errors show what the user types.
        command = command.bin_name("kubectl basalt");
    }
    let matches = command.get_matches_from(words);
    arguments::Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Returns `true` if the command was run under the name that makes it a plug-in of kubectl.
fn is_kubectl_plugin(program: &OsStr) -> bool {
    Path::new(program).file_name() == Some(OsStr::new("kubectl-basalt"))
}

/// Provides the supervisor of a cluster with its tools. Its standard error is its log.
fn supervisor_tools(plan: &basalt_cluster::ClusterPlan) -> Box<dyn basalt_machine::QemuTools> {
    tracing_subscriber::fmt()
        .with_env_filter("info")
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    hold_inputs(plan);
    Box::new(basalt_machine::SdkTools::new(&plan.inputs.sdk))
}

/// Store of the cluster that this process supervises, open until the process ends.
static CLUSTER_STORE: OnceLock<basalt_store::Store> = OnceLock::new();

/// Keeps collection from removing the inputs of a running cluster. `up` found them in the store under a lease of its
/// own; under this process's lease they have to be used once more.
fn hold_inputs(plan: &basalt_cluster::ClusterPlan) {
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
        // The cluster runs all the same, and its log explains why a collection may remove its inputs.
        Err(error) => tracing::error!(%error, "no lease of the store: `basalt clean` may remove what the cluster uses"),
    }
}

/// Sets how errors are shown.
fn set_report_handler(color: bool) {
    let handler = move |_: &(dyn miette::Diagnostic + 'static)| -> Box<dyn miette::ReportHandler> {
        Box::new(SeparateParts::new(color))
    };
    // It fails when there is a handler, and this is called once.
    let _ = miette::set_hook(Box::new(handler));
}

fn show(report: &miette::Report) -> ExitCode {
    output::print_error(format_args!("{report:?}"));
    ExitCode::from(exit::FAILED)
}

fn show_line(text: &str) {
    output::print_error(text);
}

/// Shows the problems of a user's file, each with the lines that it is in, and their sum.
fn show_problems(problems: &Problems) {
    show(&miette::Report::new(problems.clone()));
}

/// Shows the problems of a user's file, each with the lines that it is in.
fn show_each(problems: &Problems) {
    for problem in problems.shown() {
        show(&miette::Report::new(problem.clone()).with_source_code(problems.source().clone()));
    }
    if let Some(rest) = problems.rest() {
        show_line(&rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_plugin_is_recognized() {
        for (program, expected) in [
            ("kubectl-basalt", true),
            ("/usr/local/bin/kubectl-basalt", true),
            ("basalt", false),
            ("kubectl-basalt.bak", false),
            ("", false),
        ] {
            assert_eq!(is_kubectl_plugin(OsStr::new(program)), expected, "{program}");
        }
    }

    #[test]
    fn help_shows_what_the_user_of_the_plugin_types() {
        let mut command = arguments::Arguments::command().bin_name("kubectl basalt");
        let error = command
            .try_get_matches_from_mut(["/usr/bin/kubectl-basalt", "migrate", "--no-such-option"])
            .expect_err("refused");
        assert!(error.to_string().contains("kubectl basalt migrate"), "{error}");
    }
}
