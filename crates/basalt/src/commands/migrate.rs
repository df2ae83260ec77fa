//! `basalt migrate`: moves the workloads of a cluster's nodes to replacements, node by node.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use basalt_migrate::drain::{DrainPolicy, StayReason};
use basalt_migrate::executor::NodeReport;
use basalt_migrate::facts::ReplacementOrder;
use basalt_migrate::plan::{NodePlan, PodPart, PodPlan};
use basalt_migrate::record::MigrationPhase;
use basalt_migrate::{
    ClusterConnection, MachineRetirement, MigrateError, MigrationOptions, MigrationPlan, NodeSelection,
    ReplacementSource, plan_migration, run_migration, undo_migration,
};
use basalt_process::plain_text;
use miette::{IntoDiagnostic as _, Result, miette};

use super::{answer, answer_json};
use crate::arguments::migrate::Migrate;
use crate::exit;
use crate::output;
use crate::table::Table;
use crate::terminal::Terminal;

/// Plans, runs or undoes a migration.
pub fn run(arguments: &Migrate, quiet: bool, json: bool) -> Result<ExitCode> {
    match migrate(arguments, quiet, json) {
        Err(report) if is_wrong_argument(&report) => {
            crate::show(&report);
            Ok(ExitCode::from(exit::WRONG_ARGUMENTS))
        }
        outcome => outcome,
    }
}

fn is_wrong_argument(report: &miette::Report) -> bool {
    report
        .downcast_ref::<MigrateError>()
        .is_some_and(MigrateError::is_wrong_argument)
}

fn migrate(arguments: &Migrate, quiet: bool, json: bool) -> Result<ExitCode> {
    let cluster = &arguments.cluster;
    let connection = ClusterConnection {
        kubeconfig: cluster.kubeconfig.clone(),
        context: cluster.context.clone(),
    };
    let options = options(arguments);
    let terminal = Terminal::new(quiet);
    if arguments.undo {
        show_nodes(&undo_migration(&connection, &options, &terminal)?, json);
        return Ok(ExitCode::SUCCESS);
    }
    let plan = plan_migration(&connection, &options)?;
    if !json {
        answer(plain(&describe(&plan)));
    } else if arguments.plan_only {
        answer_json(&plan);
    }
    let obstacles = plan.obstacles.len();
    if arguments.plan_only {
        return Ok(code(obstacles == 0));
    }
    if obstacles > 0 {
        return Err(MigrateError::Obstacles { count: obstacles }.into());
    }
    if !arguments.yes {
        confirm()?;
    }
    let report = run_migration(&connection, &options, &terminal)?;
    if json {
        answer_json(&report);
    } else {
        show_nodes(&report.nodes, false);
        if let Some(text) = left_machines(&report.nodes) {
            answer(plain(&text));
        }
    }
    Ok(code(report.complete))
}

/// Text about machines that nobody was told to end.
fn left_machines(nodes: &[NodeReport]) -> Option<String> {
    let is_left =
        |node: &&NodeReport| node.phase == Some(MigrationPhase::Done) && node.replacement.as_ref() != Some(&node.name);
    let names: Vec<&str> = nodes.iter().filter(is_left).map(|node| node.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "Their objects are still there, cordoned and without pods that move: {names}. Machines that run on are ended by the \
             same command with --retire-machines (Cluster API) or --retire-command, or by hand: switch them off, then \
             `kubectl delete node {objects}`.",
            names = names.join(", "),
            objects = names.join(" ")
        )
    })
}

fn code(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn options(arguments: &Migrate) -> MigrationOptions {
    let (replacement, drain, cluster) = (&arguments.replacement, &arguments.drain, &arguments.cluster);
    let source = match (&replacement.replace_command, &replacement.machine_deployment) {
        (Some(command), _) => ReplacementSource::Command(command.clone()),
        (None, Some(name)) => ReplacementSource::MachineDeployment(name.clone()),
        (None, None) if replacement.existing_replacements => ReplacementSource::Existing,
        (None, None) => ReplacementSource::ByHand,
    };
    let end = &arguments.retirement;
    let retirement = match &end.retire_command {
        Some(command) => MachineRetirement::Command(command.clone()),
        None if end.retire_machines => MachineRetirement::ClusterApi,
        None if end.delete_node_objects => MachineRetirement::ByHand,
        None => MachineRetirement::Keep,
    };
    let has_management = cluster.management_kubeconfig.is_some() || cluster.management_context.is_some();
    MigrationOptions {
        nodes: NodeSelection {
            names: arguments.nodes.clone(),
            selector: arguments.selector.clone(),
        },
        replacement: source,
        order: if replacement.replace_after_eviction {
            ReplacementOrder::AfterEviction
        } else {
            ReplacementOrder::BeforeEviction
        },
        replacement_selector: replacement.replacement_selector.clone(),
        drain: DrainPolicy {
            ignore_daemonsets: drain.ignore_daemonsets,
            delete_emptydir_data: drain.delete_emptydir_data,
            force: drain.force,
            abandon_local_volumes: drain.abandon_local_volumes,
            grace_period: drain.grace_period,
            skip_wait_for_delete_timeout: drain.skip_wait_for_delete_timeout,
            delete_refused: drain.delete_pods_that_refuse_eviction,
        },
        at_once: usize::from(arguments.at_once),
        deadline: arguments.deadline,
        soak: arguments.soak,
        undo_on_stop: !arguments.keep_cordoned,
        namespace: cluster.namespace.clone(),
        probe_image: replacement.probe_image.clone(),
        retirement,
        delete_node_objects: end.delete_node_objects,
        management: has_management.then(|| ClusterConnection {
            kubeconfig: cluster.management_kubeconfig.clone(),
            context: cluster.management_context.clone(),
        }),
    }
}

/// Asks the user, who has just seen the plan.
fn confirm() -> Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(miette!(
            code = "migrate::confirm",
            help = "--yes agrees to it; --plan-only shows it and ends",
            "nobody agreed to the plan, and nothing was changed"
        ));
    }
    output::print_error("Migrate these nodes? Type `yes` to begin.");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).into_diagnostic()?;
    if line.trim() == "yes" {
        return Ok(());
    }
    Err(miette!(
        code = "migrate::confirm",
        "the plan was declined, and nothing was changed"
    ))
}

/// Text without escape sequences: names and messages come from the cluster.
fn plain(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(plain_text).collect();
    lines.join("\n")
}

/// Describes a plan: a table for each node, then what stands in the way.
fn describe(plan: &MigrationPlan) -> String {
    let mut text = String::new();
    for node in &plan.nodes {
        text += &describe_node(node);
    }
    let (go, stay, refused) = plan.counts();
    text += &format!(
        "{}, {}, {}. ",
        counted(go, "pod goes", "pods go"),
        counted(stay, "stays", "stay"),
        counted(refused, "needs a flag", "need a flag")
    );
    text += &match plan.replacements.as_slice() {
        [] => "There is no replacement yet.\n".to_owned(),
        some => format!("Replacements that are there: {}.\n", some.join(", ")),
    };
    text += "Where pods go is a careful estimate (requests, taints, selectors, affinities), made before anything moves; the \
             scheduler decides.\n";
    for (title, lines) in [
        ("Afterwards", &plan.afterwards),
        ("Warnings", &plan.warnings),
        ("Obstacles", &plan.obstacles),
    ] {
        if !lines.is_empty() {
            text += &format!("\n{title}:\n");
            lines.iter().for_each(|line| text += &format!("  {line}\n"));
        }
    }
    text.trim_end().to_owned()
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn describe_node(node: &NodePlan) -> String {
    let state = node
        .phase
        .map(|phase| format!(", {phase} by an earlier run"))
        .unwrap_or_default();
    let mut text = format!("Node {} ({}, {:?}{state})\n", node.name, node.os_image, node.readiness);
    let mut table = Table::new(["pod", "controller", "goes to", "eviction", "volumes here"]);
    for pod in &node.pods {
        table.row(row(pod));
    }
    for line in table.to_string().lines() {
        text += &format!("  {line}\n");
    }
    text + "\n"
}

fn row(pod: &PodPlan) -> [String; 5] {
    let (place, eviction) = match &pod.part {
        PodPart::Goes {
            eviction,
            room,
            no_room,
        } => {
            let place = match room {
                Some(node) => node.clone(),
                None if no_room.is_empty() => "(ends)".to_owned(),
                None => "no room now".to_owned(),
            };
            let unjudged = pod.unjudged.iter().map(|rule| format!(", {rule} not judged"));
            let eviction = eviction.as_ref().map(|answer| match answer {
                basalt_migrate::eviction::EvictionAnswer::Accepted => "allowed".to_owned(),
                basalt_migrate::eviction::EvictionAnswer::Budget { .. } => "waits for its budget".to_owned(),
                other => other.to_string(),
            });
            (place + &unjudged.collect::<String>(), eviction.unwrap_or_default())
        }
        PodPart::Stays { why } => (
            match why {
                StayReason::DaemonSet => "stays (DaemonSet)",
                StayReason::Mirror => "stays (static pod)",
                StayReason::NotWaitedFor => "is not waited for",
            }
            .to_owned(),
            String::new(),
        ),
        PodPart::Refused { why } => (format!("needs {}", why.flag()), "not asked yet".to_owned()),
    };
    let volumes: Vec<String> = pod.volumes.iter().map(ToString::to_string).collect();
    let controller = pod.controller.clone().unwrap_or_else(|| "none".to_owned());
    [pod.pod.clone(), controller, place, eviction, volumes.join(", ")]
}

/// Shows the outcome for each node.
fn show_nodes(nodes: &[NodeReport], json: bool) {
    if json {
        answer_json(&serde_json::json!({ "nodes": nodes }));
        return;
    }
    let mut table = Table::new(["node", "phase", "replacement", "reason"]);
    for node in nodes {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        table.row([
            node.name.clone(),
            node.phase.map(|phase| phase.to_string()).unwrap_or_default(),
            text(&node.replacement),
            text(&node.reason),
        ]);
    }
    answer(plain(&table.to_string()));
}

#[cfg(test)]
mod tests {
    use basalt_migrate::drain::DrainRefusal;
    use basalt_migrate::eviction::EvictionAnswer;
    use basalt_migrate::model::{LocalVolume, NodeReadiness};
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Verb};

    fn parse(words: &[&str]) -> Result<MigrationOptions, clap::Error> {
        let words = ["basalt", "migrate"].iter().chain(words);
        match Arguments::try_parse_from(words)?.verb {
            Verb::Migrate(migrate) => Ok(options(&migrate)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_read() {
        let options = parse(&[
            "old-1",
            "-n",
            "2",
            "--deadline",
            "1h30m",
            "--soak",
            "90s",
            "--replace-command",
            "./make",
        ]);
        let options = options.expect("valid");
        assert_eq!(
            (options.at_once, options.deadline.as_secs(), options.soak.as_secs()),
            (2, 5400, 90)
        );
        assert_eq!(options.replacement, ReplacementSource::Command("./make".to_owned()));
        assert!(options.undo_on_stop && !options.drain.delete_refused);
        assert_eq!(parse(&["old-1"]).expect("valid").replacement, ReplacementSource::ByHand);
        let machines = parse(&["old-1", "--machine-deployment", "clusters/workers"]).expect("valid");
        assert!(matches!(machines.replacement, ReplacementSource::MachineDeployment(name) if name.name == "workers"));
    }

    #[test]
    fn machines_end_only_when_told() {
        let end = |words: &[&str]| {
            let options = parse(&[&["old-1"], words].concat()).expect("valid");
            (options.retirement, options.delete_node_objects)
        };
        assert_eq!(end(&[]), (MachineRetirement::Keep, false));
        assert_eq!(end(&["--retire-machines"]), (MachineRetirement::ClusterApi, false));
        let command = MachineRetirement::Command("./off".to_owned());
        assert_eq!(
            end(&["--retire-command", "./off", "--delete-node-objects"]),
            (command, true)
        );
        assert_eq!(end(&["--delete-node-objects"]), (MachineRetirement::ByHand, true));
    }

    #[test]
    fn machines_that_run_on_are_named_at_the_end() {
        let report = |name: &str, phase, replacement: &str| NodeReport {
            name: name.to_owned(),
            phase,
            replacement: Some(replacement.to_owned()),
            reason: None,
        };
        let nodes = [
            report("old-1", Some(MigrationPhase::Done), "new-1"),
            report("old-2", Some(MigrationPhase::Stopped), "new-2"),
            report("anew", Some(MigrationPhase::Done), "anew"),
            report("gone", None, "new-3"),
        ];
        let text = left_machines(&nodes).expect("one is left");
        assert!(text.contains("kubectl delete node old-1`"), "{text}");
        assert!(
            !["old-2", "anew", "gone"].iter().any(|name| text.contains(name)),
            "{text}"
        );
        assert_eq!(left_machines(&nodes[1..]), None);
    }

    #[test]
    fn options_that_contradict_are_refused() {
        for words in [
            &["--at-once", "0"][..],
            &["--deadline", "soon"],
            &["--deadline", "-5m"],
            &["--machine-deployment", "workers"],
            &["--replace-command", "x", "--existing-replacements"],
            &["--retire-command", "x", "--retire-machines"],
            &["--plan-only", "--yes"],
            &["--management-context", "x"],
        ] {
            assert!(parse(&[&["old-1"][..], words].concat()).is_err(), "{words:?}");
        }
    }

    #[test]
    fn nodes_are_named_or_selected() {
        let error = parse(&["--plan-only"]).expect_err("nothing is named");
        assert_eq!(error.exit_code(), 2);
        for word in ["NODE", "--selector", "--undo"] {
            assert!(error.to_string().contains(word), "{error}");
        }
        let error = parse(&["-l", "pool=a b"]).expect_err("no selector");
        assert!(error.to_string().contains("pool in (old,older)"), "{error}");
        for words in [&["old-1"][..], &["-l", "pool=old"], &["--undo"]] {
            assert!(parse(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn nodes_that_are_not_there_are_wrong_arguments() {
        let error = MigrateError::UnknownNode {
            name: "a".to_owned(),
            known: "b".to_owned(),
        };
        assert!(is_wrong_argument(&error.into()));
        assert!(!is_wrong_argument(&MigrateError::Obstacles { count: 1 }.into()));
    }

    #[test]
    fn a_plan_is_readable() {
        let pod = |name: &str, part: PodPart| PodPlan {
            pod: format!("shop/{name}"),
            controller: (name != "bare").then(|| "ReplicaSet web".to_owned()),
            part,
            budgets: Vec::new(),
            volumes: Vec::new(),
            unjudged: Vec::new(),
            is_held: false,
        };
        let goes = |eviction, room: Option<&str>, no_room: &[&str]| PodPart::Goes {
            eviction: Some(eviction),
            room: room.map(str::to_owned),
            no_room: no_room.iter().map(|one| (*one).to_owned()).collect(),
        };
        let refused = EvictionAnswer::Budget {
            message: "the disruption budget".to_owned(),
        };
        let mut second = pod("web-2", goes(refused, None, &["1 node: not enough cpu"]));
        second.volumes = vec![LocalVolume::HostPath {
            path: "/var/log".to_owned(),
        }];
        let plan = MigrationPlan {
            nodes: vec![NodePlan {
                name: "old-1".to_owned(),
                os_image: "Ubuntu 24.04.3 LTS".to_owned(),
                readiness: NodeReadiness::Ready,
                cordoned_by_others: false,
                phase: None,
                pods: vec![
                    pod(
                        "bare",
                        PodPart::Refused {
                            why: DrainRefusal::NoController,
                        },
                    ),
                    pod(
                        "proxy",
                        PodPart::Stays {
                            why: StayReason::DaemonSet,
                        },
                    ),
                    pod("web-1", goes(EvictionAnswer::Accepted, Some("new-1"), &[])),
                    second,
                ],
            }],
            replacements: vec!["new-1".to_owned()],
            obstacles: vec!["pod shop/bare has no controller".to_owned()],
            warnings: vec!["pod shop/web-2 has no room now".to_owned()],
            afterwards: vec!["old-1: stays, empty and cordoned; its machine runs on".to_owned()],
        };
        assert_eq!(
            describe(&plan),
            "\
Node old-1 (Ubuntu 24.04.3 LTS, Ready)
  POD         CONTROLLER      GOES TO            EVICTION              VOLUMES HERE
  shop/bare   none            needs --force      not asked yet
  shop/proxy  ReplicaSet web  stays (DaemonSet)
  shop/web-1  ReplicaSet web  new-1              allowed
  shop/web-2  ReplicaSet web  no room now        waits for its budget  hostPath /var/log

2 pods go, 1 stays, 1 needs a flag. Replacements that are there: new-1.
Where pods go is a careful estimate (requests, taints, selectors, affinities), made before anything moves; the scheduler decides.

Afterwards:
  old-1: stays, empty and cordoned; its machine runs on

Warnings:
  pod shop/web-2 has no room now

Obstacles:
  pod shop/bare has no controller"
        );
    }
}
