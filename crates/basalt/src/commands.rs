//! Verbs of the command, one file each.

use std::process::ExitCode;

use miette::{Result, miette};
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
mod names;
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
    let Arguments {
        json,
        quiet,
        cache,
        verb,
    } = arguments;
    let (json, quiet) = (*json, *quiet);
    // Names in the arguments are checked with it, before a verb has anything fetched or built. Some verbs need neither
    // checkout nor store.
    let open = || -> Result<Checkout> {
        let checkout = Checkout::open(quiet, cache.as_deref())?;
        names::check(&checkout, verb)?;
        Ok(checkout)
    };
    match verb {
        Verb::Up(options) => up::run(&open()?, options, json),
        Verb::Down => down::run(&open()?, json),
        Verb::Status => status::run(&open()?, json),
        Verb::Load(options) => load::run(&open()?, options, json),
        Verb::Node(verb) => node::run(&open()?, verb, json),
        Verb::Kubeconfig { merge } => kubeconfig::run(&open()?, *merge, json),
        Verb::Kubectl { arguments } => kubectl::run(&open()?, arguments),
        Verb::Migrate(options) => migrate::run(options, quiet, json),
        Verb::Build(options) => build::run(&open()?, options, json),
        Verb::Run(options) => run::run(&open()?, options),
        Verb::Logs { name, follow } => logs::run(&open()?, name, *follow),
        Verb::Shell { package } => shell::run(&open()?, package),
        Verb::Sources(what) => sources::run(&open()?, what, json),
        Verb::Sdk(what) => sdk::run(&open()?, what, json),
        Verb::Repo(what) => repo::run(what, open, quiet, json),
        Verb::Verify(options) => verify::run(&open()?, options, json),
        Verb::Provenance { what } => provenance::run(&open()?, what),
        Verb::Bom(options) => bom::run(&open()?, options, json),
        Verb::Licenses(options) => licenses::run(&open()?, options, json),
        Verb::Why(options) => why::run(&open()?, options, json),
        Verb::Audit(options) => audit::run(&open()?, options, json),
        Verb::Harden(options) => harden::run(&open()?, options, json),
        Verb::Addons(options) => addons::run(&open()?, options, json),
        Verb::Preflight(options) => preflight::run(options, open, json),
        Verb::Test(options) => test::run(&open()?, options, json),
        Verb::Bench(what) => bench::run(&open()?, what, json),
        Verb::Check { files, kubelet } => check::run(files, *kubelet, json),
        Verb::Config(what) => config::run(what, json),
        Verb::Clean(options) => clean::run(options, quiet, json),
        Verb::Cache(what) => cache::run(&open()?, what, json),
        Verb::Store(what) => store::run(what, quiet, json),
        Verb::Doctor => doctor::run(quiet, json),
        Verb::Completions { shell } => Ok(completions::run(*shell)),
        Verb::Supervisor { .. } => Err(miette!(
            help = "`basalt up` starts it, with this verb as its first argument",
            "the supervisor of a cluster is no verb for users"
        )),
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
