//! `basalt preflight node`: what a host of another distribution has that a Basalt node does not have, or has otherwise.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::ExitCode;

use basalt_inventory::HostInventory;
use basalt_preflight::{ExaminedHost, HostExamination, HostFinding, PreflightDocument, PreflightError};
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
    let config = super::node_config(&options.node)?;
    let (node, _) = super::facts(&options.node, config.as_ref(), open)?;
    let config = config.as_ref().map(|config| config.text.as_str());
    let examinations = hosts.iter().map(|host| HostExamination::new(host, &node));
    let examinations: Vec<HostExamination<'_>> = examinations.collect();
    let findings = examinations.iter().map(|examination| examination.findings(config));
    let findings: Vec<Vec<HostFinding>> = findings.collect();
    let examined = hosts.iter().zip(&findings);
    let examined: Vec<ExaminedHost<'_>> = examined
        .map(|(inventory, findings)| ExaminedHost { inventory, findings })
        .collect();
    let report = PreflightDocument::of_hosts(&examined, &node);
    if let (Some(path), Some(examination)) = (&options.write_config, examinations.first()) {
        basalt_store::write::atomically(path, examination.node_config()?.text)?;
    }
    super::show(&report, options.report.format, json);
    Ok(super::exit_code(&report, options.report.fail_on))
}

/// Reads the inventories of files; without any, that of this machine.
fn inventories(options: &HostPreflight) -> Result<Vec<HostInventory>> {
    if options.files.is_empty() {
        return Ok(vec![of_root(&options.root)?]);
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

/// Reads the host whose root is in a folder.
fn of_root(root: &Utf8Path) -> Result<HostInventory> {
    let help = "give the folder where the root of a host is mounted";
    if !root.is_dir() {
        return Err(miette!(code = "preflight::root", help = help, "`{root}` is no folder"));
    }
    let host = basalt_inventory::read(root.as_std_path());
    // A folder that is empty, or a mount that failed, would be a host without faults.
    if host.system.os_release.is_empty() {
        return Err(miette!(
            code = "preflight::root",
            help = help,
            "`{root}` is no root of a host: it has no etc/os-release"
        ));
    }
    Ok(host)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_has_an_os_release() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let refused = of_root(root).expect_err("refused");
        assert!(refused.to_string().contains("has no etc/os-release"), "{refused}");
        assert!(of_root(&root.join("absent")).is_err());
        fs_err::create_dir(root.join("etc")).expect("made");
        fs_err::write(root.join("etc/os-release"), "ID=debian\n").expect("written");
        assert!(of_root(root).is_ok());
    }
}
