//! Kills: a run may end after any write, and the next one comes to the same end.

use std::time::Duration;

use basalt_migrate::model::NamespacedName;
use basalt_migrate::{MachineRetirement, MigrationOptions, ReplacementSource};
use serde_json::json;

use super::objects::{bare_pod, basalt, machine_deployment, ubuntu};
use super::replacements::two_nodes;
use super::simulation::{Simulation, options as usual};

/// Options with a short soak, in which there is little to kill.
fn options(nodes: &[&str]) -> MigrationOptions {
    MigrationOptions {
        soak: Duration::from_secs(4),
        ..usual(nodes)
    }
}

/// Cluster with two replacements that are there already.
fn by_hand() -> Simulation {
    Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
        state.put("nodes", "", basalt("new-2"));
    })
}

/// Cluster whose replacements come from Cluster API.
fn cluster_api() -> Simulation {
    Simulation::new(|state| {
        two_nodes(state);
        let deployment =
            json!({ "metadata": { "name": "workers" }, "spec": { "replicas": 0 }, "status": { "replicas": 0 } });
        state.put("machinedeployments", "clusters", deployment);
    })
}

/// Cluster whose old nodes have Machines, one of which is not migrated, and whose replacements are there.
fn machines() -> Simulation {
    Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", ubuntu("old-3"));
        machine_deployment(state, "old", &["old-1", "old-2", "old-3"]);
        state.put("nodes", "", basalt("new-1"));
    })
}

/// Cluster with a pod on the first node that nobody agreed to lose: the node stops.
fn refused() -> Simulation {
    Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
        state.put("nodes", "", basalt("new-2"));
        bare_pod(state, "bare", "old-1", json!({}));
    })
}

/// Kills a run after each of its writes, one cluster for each, and compares the ends.
async fn kill_everywhere(make: fn() -> Simulation, options: &MigrationOptions) -> usize {
    let reference = make();
    reference.run(options).await.expect("a report");
    reference.settle().await;
    let expected = reference.summary();
    let mut writes = 1;
    loop {
        let simulation = make();
        if simulation.run_until_kill(options, writes).await.is_some() {
            return writes - 1;
        }
        simulation.run(options).await.expect("a report");
        simulation.settle().await;
        assert_eq!(simulation.summary(), expected, "killed after {writes} writes");
        writes += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_goes_on_after_a_kill_at_any_write() {
    let kills = kill_everywhere(by_hand, &options(&["old-1", "old-2"])).await;
    assert!(kills > 40, "only {kills} writes");
}

#[tokio::test(start_paused = true)]
async fn two_nodes_at_once_go_on_after_a_kill_at_any_write() {
    let mut options = options(&["old-1", "old-2"]);
    options.at_once = 2;
    options.replacement = ReplacementSource::Existing;
    let kills = kill_everywhere(by_hand, &options).await;
    assert!(kills > 40, "only {kills} writes");
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_asked_for_once_whatever_is_killed() {
    let mut options = options(&["old-1", "old-2"]);
    options.replacement = ReplacementSource::MachineDeployment(NamespacedName::new("clusters", "workers"));
    kill_everywhere(cluster_api, &options).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_retired_once_whatever_is_killed() {
    let mut options = options(&["old-1", "old-2"]);
    options.replacement = ReplacementSource::Existing;
    options.retirement = MachineRetirement::ClusterApi;
    let reference = machines();
    reference.run(&options).await.expect("a report");
    let summary = reference.summary();
    assert_eq!(
        (summary["replicas"].as_str(), summary["machines"].as_str()),
        ("old 1", "1")
    );
    assert!(summary.contains_key("old-3") && !summary.contains_key("old-1"));
    // The names of nodes whose objects are gone are known to the next run.
    kill_everywhere(machines, &options).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_whole_after_a_kill_at_any_write() {
    kill_everywhere(refused, &options(&["old-1"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_again_and_again_comes_to_its_end() {
    let reference = by_hand();
    let options = options(&["old-1", "old-2"]);
    reference.run(&options).await.expect("a report");
    let simulation = by_hand();
    let mut kills = 0;
    // The Lease and one step with its journal: less would be no progress.
    while simulation.run_until_kill(&options, 4).await.is_none() {
        kills += 1;
        assert!(kills < 300, "no progress");
    }
    assert!(kills > 10, "only {kills} kills");
    reference.settle().await;
    simulation.settle().await;
    assert_eq!(simulation.summary(), reference.summary());
    assert!(simulation.fewest("web-5f7d") >= 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_can_be_undone_after_any_write() {
    let before = by_hand().summary();
    let options = options(&["old-1", "old-2"]);
    for writes in 1..60 {
        let simulation = by_hand();
        if simulation.run_until_kill(&options, writes).await.is_some() {
            break;
        }
        let mut all = options.clone();
        all.nodes.names = vec!["old-1".to_owned(), "old-2".to_owned()];
        let migrator = simulation.migrator("undo");
        migrator.undo(&all, &basalt_progress::Silent).await.expect("undone");
        simulation.settle().await;
        let after = simulation.summary();
        for node in ["old-1", "old-2", "new-1", "new-2"] {
            let part = |summary: &str| summary.split(", pods").next().unwrap().to_owned();
            assert_eq!(part(&after[node]), part(&before[node]), "{node} after {writes} writes");
        }
        assert!(
            !after["kube-system"].contains("pods/"),
            "a probe is left after {writes} writes"
        );
    }
}
