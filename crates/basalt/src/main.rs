//! `basalt`: builds, ships and runs Basalt Linux.
//!
//! The command is thin. [`arguments`] defines the arguments; each verb has a file in [`commands`], which opens the
//! [`checkout`] (store, SDK, packages, images), calls a crate, and shows the result; [`terminal`] draws progress;
//! [`output`] is what writes. Errors end here, where they are shown with place, cause and help.

mod arguments;
mod checkout;
mod color;
mod commands;
mod doctor;
mod environment;
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

use basalt_advisories::AuditError;
use basalt_document::problem::Problems;
use basalt_hardening::HardeningError;
use basalt_image::ImageError;
use basalt_preflight::PreflightError;
use basalt_process::interrupt;
use clap::{CommandFactory as _, FromArgMatches as _};

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
            let code = match problems_of(&report) {
                Some(problems) => {
                    show_problems(problems);
                    ExitCode::from(exit::FAILED)
                }
                None => show(&report),
            };
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

/// Sets how errors are shown. Lines are never broken: they hold commands and paths, which are pasted.
fn set_report_handler(color: bool) {
    let handler = move |_: &(dyn miette::Diagnostic + 'static)| -> Box<dyn miette::ReportHandler> {
        Box::new(miette::MietteHandlerOpts::new().color(color).wrap_lines(false).build())
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

/// Problems of a file that an error is. As parts of one report, each would have a line with nothing but `Error:` before it.
fn problems_of(report: &miette::Report) -> Option<&Problems> {
    let of_image = || match report.downcast_ref::<ImageError>()? {
        ImageError::Definition(problems) => Some(&**problems),
        _ => None,
    };
    let of_hardening = || match report.downcast_ref::<HardeningError>()? {
        HardeningError::Data(problems) => Some(&**problems),
        _ => None,
    };
    let of_audit = || match report.downcast_ref::<AuditError>()? {
        AuditError::Data(problems) => Some(&**problems),
        _ => None,
    };
    let of_preflight = || match report.downcast_ref::<PreflightError>()? {
        PreflightError::Document(problems) => Some(&**problems),
        _ => None,
    };
    let problems = report.downcast_ref::<Problems>();
    problems
        .or_else(of_image)
        .or_else(of_hardening)
        .or_else(of_audit)
        .or_else(of_preflight)
}

/// Shows the problems of a user's file, each with the lines that it is in, and their sum.
fn show_problems(problems: &Problems) {
    show_each(problems);
    show_line(&problems.to_string());
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
    fn problems_of_files_are_found_in_errors() {
        let problems = basalt_document::Document::parse("a.yaml", "a: [").expect_err("problems");
        let boxed = || Box::new(problems.clone());
        for report in [
            miette::Report::new(problems.clone()),
            miette::Report::new(ImageError::Definition(boxed())),
            miette::Report::new(HardeningError::Data(boxed())),
            miette::Report::new(AuditError::Data(boxed())),
            miette::Report::new(PreflightError::Document(boxed())),
        ] {
            assert!(problems_of(&report).is_some(), "{report}");
        }
        assert!(problems_of(&miette::Report::msg("another error")).is_none());
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
