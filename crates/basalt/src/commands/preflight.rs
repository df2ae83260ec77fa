//! `basalt preflight`: workloads that will not run on a Basalt node, or run otherwise.

use std::process::ExitCode;

use basalt_content::ContentFile;
use basalt_hardening::AddOnTable;
use basalt_preflight::{
    ApiConnection, CLUSTER_ROLE, ClusterSource, FileSource, NodeFacts, ObjectSource, PreflightDocument, UnreadSource,
    WorkloadVerdict, cluster_role_json, examine,
};
use basalt_process::interrupt;
use miette::Result;

use super::{addons, answer, answer_json, images};
use crate::arguments::{ComparedNode, Preflight, PreflightFormat, PreflightVerb};
use crate::checkout::{Ahead, Checkout, read_text};
use crate::exit;

mod host;

/// Table of kernel options that add-ons document, in messages.
const KERNEL_REQUIREMENTS: &str = "kernel options of add-ons";

/// Looks at the objects, and shows the findings. The exit code is that of [`exit`]: unlike other verbs, this one tells
/// findings from a failure to look.
pub fn run(options: &Preflight, open: impl FnOnce() -> Result<Checkout>, json: bool) -> Result<ExitCode> {
    let outcome = match &options.what {
        Some(PreflightVerb::Node(options)) => host::look(options, open, json),
        None => look(options, open, json),
    };
    match outcome {
        Err(report) if !interrupt::requested() => {
            crate::show(&report);
            Ok(ExitCode::from(exit::COULD_NOT_LOOK))
        }
        outcome => outcome,
    }
}

fn look(options: &Preflight, open: impl FnOnce() -> Result<Checkout>, json: bool) -> Result<ExitCode> {
    if options.rbac {
        if json {
            answer_json(&cluster_role_json()?);
        } else {
            answer(CLUSTER_ROLE.trim_end());
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(path) = &options.write_facts
        && options.kubeconfig.is_none()
        && options.paths.is_empty()
    {
        let (node, _) = facts(&options.node, node_config(&options.node)?.as_ref(), open)?;
        basalt_store::write::atomically(path, node.to_json())?;
        if json {
            answer_json(&serde_json::json!({ "facts": path }));
        } else {
            answer(format!("{path} has the facts of {}, for --facts", node.image));
        }
        return Ok(ExitCode::SUCCESS);
    }
    // Objects are read before anything is built: the paths may be wrong.
    let (objects, mut unread) = match &options.kubeconfig {
        Some(kubeconfig) => {
            let connection = ApiConnection::open(kubeconfig, options.context.as_deref())?;
            ClusterSource::new(connection).read()?
        }
        None => FileSource::new(options.paths.clone(), std::io::stdin()).read()?,
    };
    interrupt::check()?;
    let (node, addons) = facts(&options.node, node_config(&options.node)?.as_ref(), open)?;
    if let Some(path) = &options.write_facts {
        basalt_store::write::atomically(path, node.to_json())?;
    }
    if addons.is_none() {
        unread.push(UnreadSource {
            source: KERNEL_REQUIREMENTS.to_owned(),
            reason: "the file with facts does not have it, and there is no checkout here: write the file again with --write-facts".to_owned(),
        });
    }
    let result = examine(&objects, &node, addons.as_ref());
    let report = PreflightDocument::new(&result, &objects, &unread, &node);
    show(&report, options.report.format, json);
    Ok(exit_code(&report, options.report.fail_on))
}

/// Prints a report in the format that was asked for.
fn show(report: &PreflightDocument, format: PreflightFormat, json: bool) {
    match format {
        _ if json => answer_json(report),
        PreflightFormat::Json => answer_json(report),
        PreflightFormat::Sarif => answer_json(&basalt_preflight::sarif(report)),
        PreflightFormat::Text => answer(basalt_preflight::text(report).trim_end()),
    }
}

/// Returns the exit code of a report: that something was left out goes before that something was found.
fn exit_code(report: &PreflightDocument, fail_on: WorkloadVerdict) -> ExitCode {
    let is_found = report.worst().is_some_and(|worst| worst >= fail_on);
    match (report.is_complete(), is_found) {
        (false, _) => ExitCode::from(exit::COULD_NOT_LOOK),
        (true, true) => ExitCode::from(exit::FAILED),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// NodeConfig of the compared node as it is written.
struct ConfigText<'o> {
    /// Name of the file.
    name: &'o str,
    text: String,
}

/// Reads the NodeConfig that is given, once: it may be a pipe.
fn node_config(options: &ComparedNode) -> Result<Option<ConfigText<'_>>> {
    let read = |path| {
        let text = read_text(path)?;
        Ok(ConfigText {
            name: path.as_str(),
            text,
        })
    };
    options.config.as_deref().map(read).transpose()
}

/// Facts of the image's nodes, and the kernel options that add-ons document. The packages of the image are built if need
/// be, unless a file has the facts.
fn facts(
    options: &ComparedNode,
    config: Option<&ConfigText<'_>>,
    open: impl FnOnce() -> Result<Checkout>,
) -> Result<(NodeFacts, Option<AddOnTable>)> {
    if let Some(path) = &options.facts {
        let node = NodeFacts::read(path)?;
        let node = match config {
            Some(config) => node.with_config(config.name, &config.text)?,
            None => node,
        };
        let table = match (&node.kernel_requirements, crate::checkout::root()) {
            (Some(text), _) => Some(AddOnTable::parse(path.as_str(), text)?),
            (None, Ok(root)) => Some(addons::table(&crate::checkout::content(&root))?),
            (None, Err(_)) => None,
        };
        return Ok((node, table));
    }
    let checkout = open()?;
    let requirements = checkout.content().file(ContentFile::KernelRequirements);
    let text = read_text(&requirements.path)?;
    let table = AddOnTable::parse(requirements.name.as_str(), &text)?;
    let config = config.map(|config| (config.name, config.text.as_str()));
    let context = checkout.lookup_context(Ahead::Nothing)?;
    let parts = images::parts(&checkout, &context, &[options.image.as_str()])?;
    let read = |parts: &super::selection::Parts| {
        images::with_payloads(&checkout, &parts.rpms, |payloads| {
            NodeFacts::of_image(&parts.definition, payloads, config)
        })
    };
    let node = parts.first().map(read).transpose()?;
    let mut node = node.ok_or_else(|| basalt_preflight::PreflightError::NoKernel {
        image: options.image.clone(),
    })?;
    node.kernel_requirements = Some(text);
    Ok((node, Some(table)))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::arguments::{Arguments, Verb};

    #[test]
    fn facts_are_written_without_objects() {
        for (words, code) in [
            (&["--write-facts", "f.json"][..], None),
            (&["--write-facts", "f.json", "a.yaml"][..], None),
            (&["--kubeconfig", "k", "--write-facts", "f.json"][..], None),
            (&["--rbac", "--write-facts", "f.json"][..], Some(2)),
            (&["--kubeconfig", "k", "a.yaml"][..], Some(2)),
            (&["--facts", "f.json"][..], Some(2)),
        ] {
            let parsed = Arguments::try_parse_from(["basalt", "preflight"].iter().chain(words));
            assert_eq!(parsed.as_ref().err().map(clap::Error::exit_code), code, "{words:?}");
            assert!(parsed.is_err() || matches!(parsed.map(|arguments| arguments.verb), Ok(Verb::Preflight(_))));
        }
    }
}
