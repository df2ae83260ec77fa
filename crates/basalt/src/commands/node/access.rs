//! Verbs that work through the API server of any cluster.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::SystemTime;

use basalt_access::files::{FileInfo, NodeFileKind, NodePath};
use basalt_access::logs::{LogOptions, LogQuery};
use basalt_access::node::NodeName;
use basalt_access::processes::{ProcessInfo, ProcessOwner};
use basalt_access::usage::{ConsumerUsage, NodeUsage};
use basalt_access::{AccessOptions, NodeAccess, RestartOptions};
use basalt_process::plain_text;
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Result};

use super::target::Target;
use super::tell;
use crate::arguments::node::{DebugPodOptions, FilesVerb, NodeLogs, NodeVerb, RestartFlags};
use crate::checkout::Checkout;
use crate::commands::{answer, answer_json, human, passed_on};
use crate::output::Stdout;
use crate::table::Table;

/// Lines of a log that are shown unless something else is asked for.
const LAST_LINES: u32 = 200;

/// Runs a verb.
pub(super) fn run(checkout: &Checkout, target: &Target, verb: &NodeVerb, json: bool) -> Result<ExitCode> {
    let access = |pod: Option<&DebugPodOptions>| open(checkout, target, pod);
    match verb {
        NodeVerb::Shell { node, program, pod } => {
            let tty = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
            return Ok(passed_on(access(Some(pod))?.shell(&node.parse()?, tty, program)?));
        }
        NodeVerb::Logs(options) => logs(&access(Some(&options.pod))?, options)?,
        NodeVerb::Dmesg { node, boot, pod } => {
            let options = LogOptions {
                kernel: true,
                boot: Some(*boot),
                ..LogOptions::default()
            };
            let query = LogQuery::new(&options, SystemTime::now())?;
            show_text(&access(Some(pod))?.logs(&node.parse()?, &query)?);
        }
        NodeVerb::Top { node } => show_usage(&access(None)?.usage(&node.parse()?)?, json),
        NodeVerb::Ps { node, all, pod } => show_processes(&access(Some(pod))?.processes(&node.parse()?)?, *all, json),
        NodeVerb::Files(verb) => files(checkout, target, verb, json)?,
        NodeVerb::Reboot { nodes, flags, pod } => {
            let access = access(Some(pod))?;
            // All names first: none is restarted when one of them is wrong.
            let names = nodes
                .iter()
                .map(|node| node.parse())
                .collect::<Result<Vec<NodeName>, _>>()?;
            for name in &names {
                access.reboot(name, restart_options(*flags))?;
            }
            tell(json, nodes, restarted(*flags));
        }
        NodeVerb::Reset { node, flags, pod, .. } => {
            access(Some(pod))?.reset(&node.parse()?, restart_options(*flags))?;
            tell(json, std::slice::from_ref(node), restarted(*flags));
        }
        NodeVerb::Bundle { node, output, pod } => bundle(&access(Some(pod))?, node, output.as_ref(), json)?,
        NodeVerb::List | NodeVerb::Add { .. } | NodeVerb::Remove { .. } | NodeVerb::CutPower { .. } => {
            list(&access(None)?, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open<'r>(checkout: &'r Checkout, target: &Target, pod: Option<&DebugPodOptions>) -> Result<NodeAccess<'r>> {
    let options = AccessOptions {
        namespace: pod.map(|pod| pod.namespace.clone()).unwrap_or_default(),
        image: pod.and_then(|pod| pod.image.clone()),
        served_image: target.served_image()?,
    };
    Ok(NodeAccess::new(target.kubectl()?, options, checkout.reporter()))
}

fn restart_options(flags: RestartFlags) -> RestartOptions {
    RestartOptions {
        cordon: flags.cordon,
        no_wait: flags.no_wait,
    }
}

fn restarted(flags: RestartFlags) -> &'static str {
    if flags.no_wait { "starting again" } else { "Ready" }
}

fn logs(access: &NodeAccess<'_>, options: &NodeLogs) -> Result<()> {
    let name: NodeName = options.node.parse()?;
    let is_bounded = options.since.is_some() || options.boot.is_some();
    let query = LogOptions {
        units: options.units.clone(),
        all: options.all,
        kernel: false,
        since: options.since.clone(),
        tail: options.tail.or((!is_bounded).then_some(LAST_LINES)),
        boot: options.boot,
        pattern: options.grep.clone(),
    };
    let query = LogQuery::new(&query, SystemTime::now())?;
    if options.follow {
        access.follow_logs(&name, &query, |line| answer(line))?;
    } else {
        show_text(&access.logs(&name, &query)?);
    }
    Ok(())
}

/// Prints a text of others without control characters.
fn show_text(text: &str) {
    let lines: Vec<_> = text.lines().map(plain_text).collect();
    if !lines.is_empty() {
        answer(lines.join("\n"));
    }
}

fn list(access: &NodeAccess<'_>, json: bool) -> Result<()> {
    let nodes = access.nodes()?;
    if json {
        answer_json(&serde_json::json!({ "nodes": nodes }));
        return Ok(());
    }
    let mut table = Table::new(["node", "state", "address", "system", "kernel", "kubelet"]);
    for node in nodes {
        let state = node.state().to_owned();
        let address = node.address.unwrap_or_default();
        table.row([node.name, state, address, node.os, node.kernel, node.kubelet]);
    }
    answer(table);
    Ok(())
}

fn show_usage(usage: &NodeUsage, json: bool) {
    if json {
        return answer_json(usage);
    }
    let bytes = |bytes: Option<u64>| bytes.map(human).unwrap_or_else(|| "-".to_owned());
    let mut table = Table::new(["name", "cpus", "memory", "disk"]);
    let mut row = |usage: &ConsumerUsage| {
        let cpus = usage.cpus.map(|cpus| format!("{cpus:.3}"));
        table.row([
            usage.name.clone(),
            cpus.unwrap_or_else(|| "-".to_owned()),
            bytes(usage.memory),
            bytes(usage.disk),
        ]);
    };
    row(&usage.node);
    usage.system.iter().chain(&usage.pods).for_each(&mut row);
    answer(table);
    answer(format!(
        "memory left for pods: {}; disk: {} of {} left; processes and threads: {} of {}",
        bytes(usage.memory_available),
        bytes(usage.disk_available),
        bytes(usage.disk_capacity),
        usage
            .processes
            .map_or_else(|| "-".to_owned(), |count| count.to_string()),
        usage
            .processes_limit
            .map_or_else(|| "-".to_owned(), |count| count.to_string()),
    ));
}

fn show_processes(processes: &[ProcessInfo], all: bool, json: bool) {
    let shown = processes
        .iter()
        .filter(|process| all || process.owner != ProcessOwner::Kernel);
    if json {
        return answer_json(&serde_json::json!({ "processes": shown.collect::<Vec<_>>() }));
    }
    let mut table = Table::new(["pid", "user", "state", "threads", "cpu s", "memory", "owner", "command"]);
    for process in shown {
        let (seconds, milliseconds) = (process.cpu_milliseconds / 1000, process.cpu_milliseconds % 1000);
        table.row([
            process.pid.to_string(),
            process.user.to_string(),
            process.state.to_string(),
            process.threads.to_string(),
            format!("{seconds}.{:01}", milliseconds / 100),
            human(process.resident),
            plain_text(process.owner.as_str()).into_owned(),
            plain_text(&process.command).into_owned(),
        ]);
    }
    answer(table);
}

fn files(checkout: &Checkout, target: &Target, verb: &FilesVerb, json: bool) -> Result<()> {
    match verb {
        FilesVerb::List { node, path, pod } => {
            let (name, path) = (node.parse()?, NodePath::parse(path)?);
            show_files(&open(checkout, target, Some(pod))?.list_files(&name, &path)?, json);
        }
        FilesVerb::Show { node, path, pod } => {
            let (name, path) = (node.parse()?, NodePath::parse(path)?);
            open(checkout, target, Some(pod))?.show_file(&name, &path, &mut Stdout)?;
            Stdout.flush().into_diagnostic()?;
        }
        FilesVerb::Copy { node, path, into, pod } => {
            let (name, path) = (node.parse()?, NodePath::parse(path)?);
            let copied = open(checkout, target, Some(pod))?.copy_files(&name, &path, into)?;
            if json {
                answer_json(&serde_json::json!({ "into": into, "entries": copied.entries, "bytes": copied.bytes }));
            } else {
                answer(format!(
                    "{} files and folders, {}, in {into}",
                    copied.entries,
                    human(copied.bytes)
                ));
            }
        }
    }
    Ok(())
}

fn show_files(files: &[FileInfo], json: bool) {
    if json {
        return answer_json(&serde_json::json!({ "files": files }));
    }
    let mut table = Table::new(["mode", "user", "group", "size", "name"]);
    for file in files {
        let mark = match file.kind {
            NodeFileKind::File => "",
            NodeFileKind::Folder => "/",
            NodeFileKind::Link => "@",
            NodeFileKind::Special => "=",
        };
        table.row([
            format!("{:04o}", file.mode),
            file.user.to_string(),
            file.group.to_string(),
            human(file.size),
            format!("{}{mark}", plain_text(&file.name)),
        ]);
    }
    answer(table);
}

fn bundle(access: &NodeAccess<'_>, node: &str, output: Option<&Utf8PathBuf>, json: bool) -> Result<()> {
    let name: NodeName = node.parse()?;
    let target = output
        .cloned()
        .unwrap_or_else(|| format!("{name}-bundle.tar.gz").into());
    let report = access.bundle(&name, &target, SystemTime::now())?;
    if json {
        answer_json(&report);
        return Ok(());
    }
    for part in report.failed() {
        let problem = part.problem.as_deref().unwrap_or_default();
        answer(format!(
            "not collected: {} ({}): {}",
            part.file,
            part.what,
            plain_text(problem)
        ));
    }
    let collected = report.parts.len() - report.failed().count();
    answer(format!(
        "{} has {collected} of {} parts, {}; its MANIFEST says what they are, and what was left out",
        report.path,
        report.parts.len(),
        human(u64::try_from(report.bytes).unwrap_or_default()),
    ));
    Ok(())
}
