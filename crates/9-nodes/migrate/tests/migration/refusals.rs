//! Clusters that do not go along: budgets, busy and absent API servers, finalizers, unreachable nodes, other writers.

use std::time::Duration;

use basalt_migrate::MigrateError;
use basalt_migrate::record::MigrationPhase;
use basalt_progress::Silent;
use http::Method;
use serde_json::json;

use super::objects::{bare_pod, basalt, budget, deploy, node, ubuntu};
use super::replacements::{places, two_nodes};
use super::server::{State, text};
use super::simulation::{Recorded, Simulation, busy, options};

fn with_replacement(state: &mut State) {
    two_nodes(state);
    state.put("nodes", "", basalt("new-1"));
}

/// Cluster with one node whose budget allows no eviction.
fn strict(state: &mut State) {
    with_replacement(state);
    budget(state, "strict", "api", 3);
}

fn is_cordoned(simulation: &Simulation, node: &str) -> bool {
    simulation.state(|state| {
        let key = ("nodes".to_owned(), String::new(), node.to_owned());
        state.objects[&key]["spec"]["unschedulable"] == true
    })
}

fn annotation(simulation: &Simulation, node: &str, name: &str) -> String {
    simulation.state(|state| {
        let key = ("nodes".to_owned(), String::new(), node.to_owned());
        let annotations = &state.objects[&key]["metadata"]["annotations"];
        annotations[format!("basalt.dev/migrate-{name}")]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_allows_nothing_ends_in_a_named_and_dated_wait() {
    let simulation = Simulation::new(strict);
    let plan = simulation.plan(&options(&["old-1"])).await.expect("a plan");
    let named = "budget shop/strict allows 0 evictions, with 3 of 3 healthy pods";
    assert!(
        plan.warnings.iter().any(|warning| warning.contains(named)),
        "{:?}",
        plan.warnings
    );

    let told = Recorded::default();
    let report = simulation
        .run_with(&options(&["old-1", "old-2"]), &told)
        .await
        .expect("a report");
    assert!(!report.complete);
    let waits = told
        .lines()
        .into_iter()
        .find(|line| line.contains("Evicting waits since 2026-11-29T16:"))
        .expect("announced");
    assert!(
        waits.contains("The disruption budget strict needs 3 healthy pods and has 3 currently"),
        "{waits}"
    );
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert!(
        reason.starts_with("the deadline of the phase Evicting passed: pod shop/api-5f7d-"),
        "{reason}"
    );
    assert!(
        reason.contains("(since 2026-11-29T16:") && reason.contains("disruption budget strict"),
        "{reason}"
    );
    // What was cordoned is un-cordoned, nothing was deleted, and the next node was not begun.
    assert!(!is_cordoned(&simulation, "old-1"));
    assert_eq!(
        simulation.state(|state| state.deleted.iter().filter(|name| !name.contains("probe")).count()),
        0
    );
    assert_eq!(
        (report.nodes[1].phase, report.nodes[1].reason.as_deref()),
        (None, Some("it was not begun"))
    );
    assert_eq!(simulation.fewest("api-5f7d"), 3);
    let events = simulation.state(|state| state.all("events"));
    let warned = |reason: &str| {
        events
            .iter()
            .any(|event| event["reason"] == reason && event["type"] == "Warning")
    };
    assert!(warned("MigrateWaiting") && warned("MigrateStopped"));
}

#[tokio::test(start_paused = true)]
async fn the_wait_stands_on_the_node_while_it_lasts_and_ends_with_the_budget() {
    let simulation = Simulation::new(strict);
    let observer = simulation.clone();
    simulation.at(200, |state| {
        state.edit(
            "poddisruptionbudgets",
            "shop",
            "strict",
            json!({ "spec": { "minAvailable": 2 } }),
        )
    });
    let options = options(&["old-1"]);
    let look = async {
        tokio::time::sleep(Duration::from_secs(150)).await;
        annotation(&observer, "old-1", "blocked")
    };
    let (report, blocked) = tokio::join!(simulation.run(&options), look);
    assert!(
        blocked.starts_with("2026-11-29T16:0") && blocked.contains("disruption budget strict"),
        "{blocked}"
    );
    assert!(report.expect("a report").complete);
    assert_eq!(annotation(&simulation, "old-1", "blocked"), "");
}

#[tokio::test(start_paused = true)]
async fn pods_that_refuse_are_deleted_at_the_deadline_when_the_user_says_so() {
    let simulation = Simulation::new(strict);
    let mut options = options(&["old-1"]);
    options.drain.delete_refused = true;
    let told = Recorded::default();
    let report = simulation.run_with(&options, &told).await.expect("a report");
    assert!(report.complete, "{report:?}");
    let deleted = simulation.state(|state| state.deleted.clone());
    assert!(deleted.iter().any(|name| name.starts_with("api-")), "{deleted:?}");
    assert!(simulation.seconds() >= 600, "not before the deadline");
    assert!(
        told.lines()
            .iter()
            .any(|line| line.contains("is deleted: eviction refused it until the deadline"))
    );
}

#[tokio::test(start_paused = true)]
async fn pods_that_only_waited_for_their_turn_are_evicted_at_the_deadline() {
    let simulation = Simulation::new(|state| {
        with_replacement(state);
        deploy(state, "many", 12);
    });
    let mut options = options(&["old-1"]);
    options.drain.delete_refused = true;
    options.deadline = Duration::from_secs(15);
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    let (evicted, deleted) = simulation.state(|state| (state.evicted.clone(), state.deleted.clone()));
    assert!(
        evicted.iter().filter(|name| name.starts_with("many-")).count() >= 3,
        "{evicted:?}"
    );
    assert!(deleted.iter().all(|name| name.contains("probe")), "{deleted:?}");
}

#[tokio::test(start_paused = true)]
async fn several_budgets_for_one_pod_are_an_obstacle() {
    let simulation = Simulation::new(|state| {
        with_replacement(state);
        budget(state, "second", "web", 0);
    });
    let plan = simulation.plan(&options(&["old-1"])).await.expect("a plan");
    assert!(
        plan.obstacles[0].contains("more than one PodDisruptionBudget"),
        "{:?}",
        plan.obstacles
    );
    assert!(plan.obstacles[0].contains("shop/second") && plan.obstacles[0].contains("shop/web"));
}

#[tokio::test(start_paused = true)]
async fn a_busy_api_server_is_asked_again_when_it_says() {
    let simulation = Simulation::new(with_replacement);
    let mut asked = Vec::new();
    let clock = simulation.clone();
    let (sender, receiver) = std::sync::mpsc::channel();
    simulation.fault(move |call| {
        let evicts = call.subresource.is_some() && call.is_write();
        if !evicts || asked.len() >= 3 {
            return None;
        }
        asked.push(clock.seconds());
        sender.send(clock.seconds()).expect("received");
        Some(busy("20"))
    });
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    assert!(report.complete, "{report:?}");
    let times: Vec<i64> = receiver.try_iter().collect();
    assert_eq!(times.len(), 3);
    // The first two pods are asked for together; the third request is the first pod's second.
    assert!(times[2] - times[0] >= 20, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_comes_back_is_waited_for_and_one_that_stays_away_is_not() {
    let outage = |from: i64, until: i64| {
        let simulation = Simulation::new(with_replacement);
        let clock = simulation.clone();
        simulation.fault(move |_| {
            let away = (from..until).contains(&clock.seconds());
            away.then(|| {
                super::server::Answer::status(503, "ServiceUnavailable", "the server is shutting down").response()
            })
        });
        simulation
    };
    let short = outage(5, 120);
    assert!(short.run(&options(&["old-1"])).await.expect("a report").complete);
    let long = outage(5, 100_000);
    let error = long.run(&options(&["old-1"])).await.expect_err("it gives up");
    assert!(
        matches!(error, MigrateError::Unavailable { outage, .. } if outage.as_secs() > 300),
        "{error:?}"
    );
    // What was begun stays for the next run.
    assert!(is_cordoned(&long, "old-1"));
}

#[tokio::test(start_paused = true)]
async fn a_finalizer_that_never_ends_is_named() {
    let simulation = Simulation::new(|state| {
        with_replacement(state);
        let owner = json!([{ "apiVersion": "batch/v1", "kind": "Job", "name": "job", "uid": "u", "controller": true }]);
        bare_pod(
            state,
            "held",
            "old-1",
            json!({ "finalizers": ["example.org/never"], "ownerReferences": owner }),
        );
    });
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert!(
        reason.contains("pod shop/held is held by finalizers since ") && reason.contains("example.org/never"),
        "{reason}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_becomes_unreachable_is_said_to_be_and_can_be_given_up() {
    let unreachable = || {
        let simulation = Simulation::new(with_replacement);
        simulation.at(8, |state| {
            let status = json!({ "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }] } });
            state.edit("nodes", "", "old-1", status);
        });
        simulation
    };
    let simulation = unreachable();
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert!(
        reason.contains("the node is unreachable: nothing confirms the end of its"),
        "{reason}"
    );

    let simulation = unreachable();
    let mut options = options(&["old-1"]);
    options.drain.skip_wait_for_delete_timeout = Some(Duration::from_secs(60));
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert!(
        places(&simulation, "web")
            .iter()
            .filter(|node| *node != "old-1")
            .count()
            >= 2
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_deleted_on_the_way_leaves_nothing() {
    let simulation = Simulation::new(with_replacement);
    simulation.at(8, |state| {
        state
            .objects
            .remove(&("nodes".to_owned(), String::new(), "old-1".to_owned()));
    });
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    assert!(report.complete);
    assert_eq!(report.nodes[0].reason.as_deref(), Some("its object is gone"));
    let probes = simulation.state(|state| state.objects.keys().filter(|key| key.2.contains("probe")).count());
    assert_eq!(probes, 0);
    // The same command once more: the node is known by its replacement.
    assert!(simulation.run(&options(&["old-1"])).await.expect("a report").complete);
}

#[tokio::test(start_paused = true)]
async fn two_runs_refuse_one_another() {
    let simulation = Simulation::new(two_nodes);
    let (first, second) = (simulation.migrator("first"), simulation.migrator("second"));
    let options = options(&["old-1"]);
    simulation.at(300, |state| drop(state.put("nodes", "", basalt("new-1"))));
    let late = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        second.run(&options, &Silent).await
    };
    let (first, second) = tokio::join!(first.run(&options, &Silent), late);
    assert!(first.expect("a report").complete);
    let error = second.expect_err("refused");
    assert!(
        matches!(&error, MigrateError::Held { holder, .. } if holder == "first"),
        "{error:?}"
    );
    // The first gave the Lease back: nobody has to wait.
    let before = simulation.seconds();
    simulation.run(&options).await.expect("a report");
    assert!(simulation.seconds() - before < 10);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_left_is_taken_after_it_ran_out() {
    let simulation = Simulation::new(with_replacement);
    assert!(simulation.run_until_kill(&options(&["old-1"]), 5).await.is_none());
    let before = simulation.seconds();
    assert!(simulation.run(&options(&["old-1"])).await.expect("a report").complete);
    assert!(simulation.seconds() - before >= 30, "it was not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_lease_was_taken_ends() {
    let simulation = Simulation::new(two_nodes);
    simulation.at(60, |state| {
        state.edit(
            "leases",
            "kube-system",
            "basalt-migrate",
            json!({ "spec": { "holderIdentity": "somebody else" } }),
        );
    });
    let error = simulation.run(&options(&["old-1"])).await.expect_err("it ends");
    assert!(
        matches!(&error, MigrateError::LeaseLost { holder } if holder == "somebody else"),
        "{error:?}"
    );
    let holder = simulation.state(|state| text(&state.all("leases")[0], "/spec/holderIdentity").to_owned());
    assert_eq!(holder, "somebody else", "the other's Lease is not given back");
}

#[tokio::test(start_paused = true)]
async fn an_uncordon_by_somebody_else_is_a_veto() {
    let simulation = Simulation::new(two_nodes);
    simulation.at(60, |state| {
        state.edit("nodes", "", "old-1", json!({ "spec": { "unschedulable": false } }))
    });
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert_eq!(reason, "somebody un-cordoned the node, which is taken as a veto");
    assert_eq!(simulation.state(|state| state.evicted.len()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cordon_of_somebody_else_outlasts_a_stop_and_an_undo() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        state.edit("nodes", "", "old-1", json!({ "spec": { "unschedulable": true } }));
    });
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    assert_eq!(report.nodes[0].phase, Some(MigrationPhase::Stopped));
    assert!(is_cordoned(&simulation, "old-1"));
    let undone = simulation
        .migrator("undo")
        .undo(&options(&["old-1"]), &Silent)
        .await
        .expect("undone");
    assert_eq!(
        undone[0].reason.as_deref(),
        Some("undone; the migration had not cordoned the node")
    );
    assert!(is_cordoned(&simulation, "old-1"));
    assert_eq!(annotation(&simulation, "old-1", "phase"), "");
}

#[tokio::test(start_paused = true)]
async fn undoing_without_names_leaves_what_is_done() {
    let simulation = Simulation::new(with_replacement);
    let mut both = options(&["old-1", "old-2"]);
    both.deadline = Duration::from_secs(120);
    both.undo_on_stop = false;
    let report = simulation.run(&both).await.expect("a report");
    let phases: Vec<_> = report.nodes.iter().map(|node| node.phase).collect();
    assert_eq!(phases, [Some(MigrationPhase::Done), Some(MigrationPhase::Stopped)]);
    assert!(is_cordoned(&simulation, "old-2"));
    let undone = simulation
        .migrator("undo")
        .undo(&options(&[]), &Silent)
        .await
        .expect("undone");
    let names: Vec<&str> = undone.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["old-2"]);
    assert!(is_cordoned(&simulation, "old-1") && !is_cordoned(&simulation, "old-2"));
    simulation
        .migrator("undo")
        .undo(&options(&["old-1"]), &Silent)
        .await
        .expect("undone");
    assert!(!is_cordoned(&simulation, "old-1"));
    assert_eq!(annotation(&simulation, "new-1", "replaces"), "");
}

#[tokio::test(start_paused = true)]
async fn an_annotation_that_somebody_changed_is_refused_and_can_be_undone() {
    let simulation = Simulation::new(|state| {
        with_replacement(state);
        state.edit(
            "nodes",
            "",
            "old-1",
            json!({ "metadata": { "annotations": { "basalt.dev/migrate-phase": "Nonsense" } } }),
        );
    });
    let error = simulation.run(&options(&["old-1"])).await.expect_err("refused");
    assert!(matches!(error, MigrateError::Annotation { .. }), "{error:?}");
    simulation
        .migrator("undo")
        .undo(&options(&[]), &Silent)
        .await
        .expect("undone");
    assert!(simulation.run(&options(&["old-1"])).await.expect("a report").complete);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_cannot_start_stops_before_any_eviction() {
    let simulation = Simulation::new(with_replacement);
    simulation.at(1, |_| {});
    let broken = simulation.clone();
    simulation.fault(move |call| {
        if call.method == Method::POST && call.resource == "pods" && call.subresource.is_none() {
            let mut call = call.clone();
            call.body["metadata"]["annotations"]["test/broken"] = json!("true");
            // Locked by the caller: put by a task of its own.
            let broken = broken.clone();
            tokio::spawn(
                async move { broken.state(|state| drop(state.put("pods", "kube-system", call.body.clone()))) },
            );
            return Some(super::server::Answer::status(409, "AlreadyExists", "exists").response());
        }
        None
    });
    let mut options = options(&["old-1"]);
    options.deadline = Duration::from_secs(120);
    let report = simulation.run(&options).await.expect("a report");
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert!(
        reason.contains("the deadline of the phase Probing passed: the probe pod on new-1 is not Ready"),
        "{reason}"
    );
    assert_eq!(simulation.state(|state| state.evicted.len()), 0);
    assert!(!is_cordoned(&simulation, "old-1"));
    simulation.settle().await;
    let probes = simulation.state(|state| state.objects.keys().filter(|key| key.2.contains("probe")).count());
    assert_eq!(probes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_before_that_does_not_end_has_a_deadline() {
    let simulation = Simulation::new(|state| {
        with_replacement(state);
        let key = ("nodes".to_owned(), String::new(), "old-1".to_owned());
        let name = format!("basalt-migrate-probe-{}", text(&state.objects[&key], "/metadata/uid"));
        let metadata = json!({ "name": name, "labels": { "basalt.dev/migrate-probe": "true" },
            "annotations": { "basalt.dev/migrate-probe-for": "old-1" }, "finalizers": ["example.org/never"],
            "deletionTimestamp": "2026-11-29T15:50:00Z" });
        let pod = json!({ "metadata": metadata, "spec": { "nodeName": "new-1", "containers": [] },
            "status": { "phase": "Running" } });
        state.put("pods", "kube-system", pod);
    });
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert_eq!(
        reason,
        "the deadline of the phase Probing passed: the probe pod of before is still being deleted"
    );
    assert_eq!(simulation.state(|state| state.evicted.len()), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_missing_is_named_at_once() {
    let simulation = Simulation::new(with_replacement);
    simulation.fault(|call| {
        let patches = call.method == Method::PATCH && call.resource == "nodes";
        patches.then(|| super::server::Answer::status(403, "Forbidden", "nodes \"old-1\" is forbidden").response())
    });
    let error = simulation.run(&options(&["old-1"])).await.expect_err("refused");
    assert!(error.is_code(&[403]), "{error:?}");
    let help = miette::Diagnostic::help(&error).expect("help").to_string();
    assert!(help.contains("docs/migrate/rbac.yaml"), "{help}");
}

#[tokio::test(start_paused = true)]
async fn nodes_that_cannot_be_meant_are_refused() {
    let simulation = Simulation::new(|state| {
        state.put("nodes", "", ubuntu("old-1"));
        state.put("nodes", "", basalt("new-1"));
        let mut control = node("control", "Debian GNU/Linux 13");
        control["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] = json!("");
        state.put("nodes", "", control);
    });
    let error = simulation.plan(&options(&[])).await.expect_err("none");
    let help = miette::Diagnostic::help(&error).expect("help").to_string();
    assert!(help.ends_with("workers that do not run Basalt Linux: old-1"), "{help}");
    let error = simulation.plan(&options(&["old-2"])).await.expect_err("unknown");
    assert!(matches!(error, MigrateError::UnknownNode { .. }));
    let error = simulation.plan(&options(&["control"])).await.expect_err("refused");
    assert!(matches!(error, MigrateError::ControlPlane { .. }));
    let plan = simulation.plan(&options(&["new-1"])).await.expect("a plan");
    assert_eq!(
        plan.warnings,
        ["node new-1 is a replacement already, and is left as it is"]
    );
}
