//! `basalt preflight node`: what a host of another distribution has that a Basalt node does not have, or has otherwise.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::ExitCode;

use basalt_inventory::HostInventory;
use basalt_preflight::{ExaminedHost, HostFinding, PreflightDocument, PreflightError, examine_host, node_config_of};
use basalt_process::interrupt;
use camino::Utf8Path;
use miette::{IntoDiagnostic as _, Result, miette};

use super::super::selection::{self, Selection};
use super::super::{answer, answer_json, images};
use crate::arguments::HostPreflight;
use crate::checkout::{Ahead, Checkout};
use crate::text_file::read_text_or_input;

/// Package whose build makes the program.
const MAKER: &str = "basalt-node";
/// Package with the program.
const PACKAGE: &str = "basalt-inventory";
/// Path of the program in it.
const PROGRAM: &str = "/usr/bin/basalt-inventory";

/// Looks at hosts, and shows the findings.
pub(super) fn look(options: &HostPreflight, open: impl FnOnce() -> Result<Checkout>, json: bool) -> Result<ExitCode> {
    if let Some(path) = &options.write_program {
        write_program(&open()?, path)?;
        if json {
            answer_json(&serde_json::json!({ "program": path }));
        } else {
            answer(format!(
                "{path} is the program; on a node: ./basalt-inventory > node.json"
            ));
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Inventories are read before anything is built: the paths may be wrong.
    let hosts = inventories(options)?;
    if options.write_config.is_some() && hosts.len() != 1 {
        return Err(miette!(
            code = "preflight::one_host",
            help = "give one inventory",
            "a NodeConfig is made from one host, and there are {}",
            hosts.len()
        ));
    }
    interrupt::check()?;
    let (node, _) = super::facts(&options.node, open)?;
    let config = super::node_config(options.node.config.as_deref())?;
    let config = config.as_ref().map(|(_, text)| text.as_str());
    let findings = hosts.iter().map(|host| examine_host(host, &node, config));
    let findings: Vec<Vec<HostFinding>> = findings.collect();
    let examined = hosts.iter().zip(&findings);
    let examined: Vec<ExaminedHost<'_>> = examined
        .map(|(inventory, findings)| ExaminedHost { inventory, findings })
        .collect();
    let report = PreflightDocument::of_hosts(&examined, &node);
    if let (Some(path), Some(host)) = (&options.write_config, hosts.first()) {
        basalt_store::write::atomically(path, node_config_of(host, &node)?.text)?;
    }
    super::show(&report, options.format, json);
    Ok(super::exit_code(&report, options.fail_on))
}

/// Reads the inventories of files; without any, that of this machine.
fn inventories(options: &HostPreflight) -> Result<Vec<HostInventory>> {
    if options.files.is_empty() {
        let root = &options.root;
        if !root.is_dir() {
            return Err(miette!(
                code = "preflight::root",
                help = "give the folder where the root of a host is mounted",
                "`{root}` is no folder"
            ));
        }
        return Ok(vec![basalt_inventory::read(root.as_std_path())]);
    }
    let mut hosts = Vec::new();
    for path in &options.files {
        let (_, text) = read_text_or_input(path)?;
        let host = HostInventory::parse(&text).map_err(|source| PreflightError::Inventory {
            path: path.clone(),
            source,
        })?;
        hosts.push(host);
    }
    Ok(hosts)
}

/// Writes the program that reads a host, out of its package, which is built unless it is built already.
fn write_program(checkout: &Checkout, path: &Utf8Path) -> Result<()> {
    let context = checkout.lookup_context(Ahead::Packages(&[MAKER]))?;
    let maker = selection::package(MAKER, &context, &images::definitions(checkout)?)?;
    let selection = Selection {
        images: Vec::new(),
        packages: BTreeSet::from([maker]),
    };
    let provided = selection.provide(checkout, &context, &context.engine(checkout))?;
    let mut rpms = provided.chosen.packages.iter().flat_map(|built| &built.rpms);
    let missing = || miette!(code = "preflight::program", "the package {PACKAGE} has no {PROGRAM}");
    let rpm = rpms.find(|rpm| rpm.package.name == PACKAGE).ok_or_else(missing)?;
    let mut payload = basalt_rpm::Payload::open(&rpm.path(&checkout.store))?;
    while let Some(file) = payload.next()? {
        if file.paths.iter().any(|path| path == PROGRAM) {
            let mut program = Vec::new();
            payload.read_to_end(&mut program).into_diagnostic()?;
            basalt_store::write::with_mode(path, program, 0o755)?;
            return Ok(());
        }
    }
    Err(missing())
}
