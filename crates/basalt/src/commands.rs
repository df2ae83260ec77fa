//! Verbs of the command, one file each.

use std::process::ExitCode;

use miette::Result;
use serde::Serialize;

use crate::arguments::{Arguments, Verb};
use crate::checkout::Checkout;
use crate::output;

mod addons;
mod audit;
mod bench;
mod bom;
mod build;
mod cache;
mod check;
mod clean;
mod completions;
mod config;
mod debian;
mod doctor;
mod down;
mod harden;
mod images;
mod kubeconfig;
mod kubectl;
mod licenses;
mod load;
mod logs;
mod migrate;
mod node;
mod preflight;
mod provenance;
mod repo;
mod run;
mod sdk;
mod selection;
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
        Verb::Check { files, kubelet } => return check::run(files, *kubelet, arguments.json),
        Verb::Config(what) => return config::run(what, arguments.json),
        Verb::Clean(options) => return clean::run(options, arguments.quiet, arguments.json),
        Verb::Doctor => return doctor::run(arguments.quiet, arguments.json),
        Verb::Store(what) => return store::run(what, arguments.quiet, arguments.json),
        Verb::Migrate(options) => return migrate::run(options, arguments.quiet, arguments.json),
        Verb::Repo(what) => return repo::run(what, arguments.quiet, arguments.cache.as_deref(), arguments.json),
        Verb::Preflight(options) => {
            let open = || Checkout::open(arguments.quiet, arguments.cache.as_deref());
            return Ok(preflight::run(options, open, arguments.json));
        }
        _ => {}
    }
    let checkout = Checkout::open(arguments.quiet, arguments.cache.as_deref())?;
    let json = arguments.json;
    match &arguments.verb {
        Verb::Up(options) => up::run(&checkout, options, json),
        Verb::Down => down::run(&checkout, json),
        Verb::Status => status::run(&checkout, json),
        Verb::Load(options) => load::run(&checkout, options, json),
        Verb::Node(verb) => node::run(&checkout, verb, json),
        Verb::Kubeconfig { merge } => kubeconfig::run(&checkout, *merge, json),
        Verb::Kubectl { arguments } => kubectl::run(&checkout, arguments),
        Verb::Bench(what) => bench::run(&checkout, what, json),
        Verb::Build(options) => build::run(&checkout, options, json),
        Verb::Cache(what) => cache::run(&checkout, what, json),
        Verb::Run(options) => run::run(&checkout, options),
        Verb::Bom(options) => bom::run(&checkout, options, json),
        Verb::Licenses(options) => licenses::run(&checkout, options, json),
        Verb::Why(options) => why::run(&checkout, options, json),
        Verb::Logs { name, follow } => logs::run(&checkout, name, *follow),
        Verb::Shell { package } => shell::run(&checkout, package),
        Verb::Sources(what) => sources::run(&checkout, what, json),
        Verb::Sdk(what) => sdk::run(&checkout, what, json),
        Verb::Audit(options) => audit::run(&checkout, options, json),
        Verb::Addons(options) => addons::run(&checkout, options, json),
        Verb::Harden(options) => harden::run(&checkout, options, json),
        Verb::Verify(options) => verify::run(&checkout, options, json),
        Verb::Provenance { what } => provenance::run(&checkout, what),
        Verb::Test(options) => test::run(&checkout, options, json),
        Verb::Completions { .. }
        | Verb::Check { .. }
        | Verb::Config(_)
        | Verb::Clean(_)
        | Verb::Doctor
        | Verb::Migrate(_)
        | Verb::Store(_)
        | Verb::Repo(_)
        | Verb::Preflight(_)
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

/// Prints a result on standard output.
fn answer(text: impl std::fmt::Display) {
    output::print(text);
}

/// Prints a result as JSON on standard output.
fn answer_json(value: &impl Serialize) {
    answer(serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Formats a size in bytes with a binary unit.
pub fn human(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}
