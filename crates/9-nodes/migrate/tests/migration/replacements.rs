//! Migrations that come to their end: every origin of replacements, both orders, several nodes at once.

use basalt_migrate::facts::ReplacementOrder;
use basalt_migrate::model::NamespacedName;
use basalt_migrate::record::MigrationPhase;
use basalt_migrate::{MigrateError, ReplacementSource};
use basalt_progress::Silent;
use serde_json::json;

use super::objects::{bare_pod, basalt, budget, deploy, ubuntu};
use super::server::{Answer, State, text};
use super::simulation::{Recorded, Simulation, options};

/// Two nodes with Ubuntu, a Deployment whose budget lets one of its two pods go, and one without a budget.
pub fn two_nodes(state: &mut State) {
    state.put("nodes", "", ubuntu("old-1"));
    state.put("nodes", "", ubuntu("old-2"));
    deploy(state, "web", 2);
    deploy(state, "api", 3);
    budget(state, "web", "web", 1);
}

/// Nodes on which the pods of a Deployment are.
pub fn places(simulation: &Simulation, app: &str) -> Vec<String> {
    let mut places: Vec<String> = simulation.state(|state| {
        let pods = state.all("pods");
        let pods = pods.iter().filter(|pod| text(pod, "/metadata/labels/app") == app);
        pods.map(|pod| text(pod, "/spec/nodeName").to_owned()).collect()
    });
    places.sort();
    places
}

fn node_value(simulation: &Simulation, node: &str, pointer: &str) -> serde_json::Value {
    simulation.state(|state| {
        let nodes = state.all("nodes");
        let node = nodes
            .iter()
            .find(|object| text(object, "/metadata/name") == node)
            .expect("the node");
        node.pointer(pointer).cloned().unwrap_or_default()
    })
}

#[tokio::test(start_paused = true)]
async fn nodes_that_join_by_hand_take_the_place_of_two() {
    let simulation = Simulation::new(two_nodes);
    simulation.at(60, |state| drop(state.put("nodes", "", basalt("new-1"))));
    simulation.at(300, |state| drop(state.put("nodes", "", basalt("new-2"))));
    let told = Recorded::default();
    let report = simulation
        .run_with(&options(&["old-1", "old-2"]), &told)
        .await
        .expect("a report");
    assert!(report.complete, "{report:?}");
    let replacements: Vec<_> = report.nodes.iter().map(|node| node.replacement.as_deref()).collect();
    assert_eq!(replacements, [Some("new-1"), Some("new-2")]);
    for app in ["web", "api"] {
        assert!(places(&simulation, app).iter().all(|node| node.starts_with("new-")));
    }
    assert_eq!(node_value(&simulation, "old-1", "/spec/unschedulable"), json!(true));
    // No client of either workload was ever without a pod, and each was short of one at most.
    assert!(simulation.fewest("web-5f7d") >= 1);
    assert!(simulation.fewest("api-5f7d") >= 2);
    let waits = "warning: old-2: Replacing waits since ";
    assert!(
        told.lines()
            .iter()
            .any(|line| line.starts_with(waits) && line.contains("join a Ready node")),
        "{:?}",
        told.lines()
    );
}

#[tokio::test(start_paused = true)]
async fn pods_do_not_move_to_a_node_whose_turn_is_to_come() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        deploy(state, "more", 4);
    });
    // The new nodes have more pods than the second old one: without the mark, the scheduler would take that.
    simulation.at(60, |state| {
        for node in ["new-1", "new-2"] {
            state.put("nodes", "", basalt(node));
            for number in 0..8 {
                bare_pod(state, &format!("{node}-{number}"), node, json!({}));
            }
        }
    });
    let old = simulation.state(|state| state.all("pods").len());
    let report = simulation.run(&options(&["old-1", "old-2"])).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(simulation.state(|state| state.evicted.len()), old);
    // The first was begun at once, the second was marked meanwhile.
    assert_eq!(node_value(&simulation, "old-1", "/spec/taints"), json!(null));
    assert_eq!(node_value(&simulation, "old-2", "/spec/taints"), json!([]));
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_each_phase() {
    let simulation = Simulation::new(two_nodes);
    simulation.state(|state| drop(state.put("nodes", "", basalt("new-1"))));
    simulation.run(&options(&["old-1"])).await.expect("a report");
    let (journal, events) = simulation.state(|state| {
        let maps = state.all("configmaps");
        (text(&maps[0], "/data/journal").to_owned(), state.all("events"))
    });
    let phases = ["Replacing", "Probing", "Evicting", "Settling", "Soaking", "Done"];
    let told: Vec<&str> = journal.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(told, phases.map(|phase| format!("{phase}:")));
    let reasons: Vec<String> = events.iter().map(|event| text(event, "/reason").to_owned()).collect();
    assert_eq!(reasons, phases.map(|phase| format!("Migrate{phase}")));
    assert!(events.iter().all(|event| event["involvedObject"]["name"] == "old-1"));
}

#[tokio::test(start_paused = true)]
async fn the_journal_does_without_events() {
    let simulation = Simulation::new(two_nodes);
    simulation.state(|state| drop(state.put("nodes", "", basalt("new-1"))));
    simulation.fault(|call| {
        let is_event = call.resource == "events";
        is_event.then(|| Answer::status(403, "Forbidden", "events is forbidden").response())
    });
    let told = Recorded::default();
    let report = simulation
        .run_with(&options(&["old-1"]), &told)
        .await
        .expect("a report");
    assert!(report.complete, "{report:?}");
    let journal = simulation.state(|state| text(&state.all("configmaps")[0], "/data/journal").to_owned());
    assert_eq!(journal.lines().count(), 6, "{journal}");
    assert!(told.lines().iter().any(|line| line.contains("create an event")));
}

#[tokio::test(start_paused = true)]
async fn existing_nodes_take_the_pods_of_all() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
    });
    let mut options = options(&["old-1", "old-2"]);
    options.replacement = ReplacementSource::Existing;
    options.at_once = 2;
    let plan = simulation.plan(&options).await.expect("a plan");
    assert_eq!(
        (plan.obstacles.as_slice(), plan.warnings.as_slice()),
        (&[][..], &[][..])
    );
    let before = simulation.state(|state| state.evicted.len());
    assert_eq!(before, 0, "a plan evicts nothing");
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(places(&simulation, "web"), ["new-1", "new-1"]);
    assert!(simulation.fewest("web-5f7d") >= 1);
}

#[tokio::test(start_paused = true)]
async fn cluster_api_makes_one_machine_for_each_node() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        let deployment =
            json!({ "metadata": { "name": "workers" }, "spec": { "replicas": 0 }, "status": { "replicas": 0 } });
        state.put("machinedeployments", "clusters", deployment);
    });
    let mut options = options(&["old-1", "old-2"]);
    options.replacement = ReplacementSource::MachineDeployment(NamespacedName::new("clusters", "workers"));
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    let deployments = simulation.state(|state| state.all("machinedeployments"));
    assert_eq!(deployments[0]["spec"]["replicas"], 2);
    let replacements: Vec<_> = report.nodes.iter().map(|node| node.replacement.as_deref()).collect();
    assert_eq!(replacements, [Some("machine-1"), Some("machine-2")]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_deployment_of_a_topology_is_refused_before_anything_changes() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        let labels = json!({ "topology.cluster.x-k8s.io/owned": "", "cluster.x-k8s.io/cluster-name": "prod" });
        let managed = json!([{ "manager": "capi-topology", "operation": "Apply", "fieldsType": "FieldsV1",
            "fieldsV1": { "f:spec": { "f:replicas": {} } } }]);
        let deployment = json!({ "metadata": { "name": "workers", "labels": labels, "managedFields": managed },
            "spec": { "replicas": 0 }, "status": { "replicas": 0 } });
        state.put("machinedeployments", "clusters", deployment);
    });
    let mut options = options(&["old-1"]);
    options.replacement = ReplacementSource::MachineDeployment(NamespacedName::new("clusters", "workers"));
    let error = simulation.plan(&options).await.expect_err("refused");
    assert!(
        matches!(&error, MigrateError::FixedReplicas { owner, .. } if owner == "the topology of Cluster clusters/prod"),
        "{error:?}"
    );
    assert!(simulation.writes().is_empty());
    // A run without a plan does not scale it, either.
    let error = simulation.run(&options).await.expect_err("refused");
    assert!(matches!(&error, MigrateError::FixedReplicas { .. }), "{error:?}");
    let deployments = simulation.state(|state| state.all("machinedeployments"));
    assert_eq!(deployments[0]["spec"]["replicas"], 0);
}

#[tokio::test(start_paused = true)]
async fn cluster_api_makes_a_machine_again_after_an_undo() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        let deployment =
            json!({ "metadata": { "name": "workers" }, "spec": { "replicas": 0 }, "status": { "replicas": 0 } });
        state.put("machinedeployments", "clusters", deployment);
    });
    let mut options = options(&["old-1"]);
    options.replacement = ReplacementSource::MachineDeployment(NamespacedName::new("clusters", "workers"));
    assert!(simulation.run(&options).await.expect("a report").complete);
    let undone = simulation.migrator("undo").undo(&options, &Silent).await;
    assert_eq!(undone.expect("undone").len(), 1);
    // The machine is given back, too.
    simulation.state(|state| {
        let none = json!({ "spec": { "replicas": 0 }, "status": { "replicas": 0 } });
        state.edit("machinedeployments", "clusters", "workers", none);
        let machine = ("nodes".to_owned(), String::new(), "machine-1".to_owned());
        assert!(state.objects.remove(&machine).is_some());
        state
            .objects
            .retain(|(kind, _, _), pod| kind != "pods" || text(pod, "/spec/nodeName") != "machine-1");
    });
    simulation.settle().await;
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    let deployments = simulation.state(|state| state.all("machinedeployments"));
    assert_eq!(deployments[0]["spec"]["replicas"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_makes_the_replacement_and_its_failure_stops() {
    let folder = std::env::temp_dir().join(format!("basalt-migrate-{}", std::process::id()));
    fs_err::create_dir_all(&folder).expect("a folder");
    let file = folder.join("called");
    let simulation = Simulation::new(two_nodes);
    let mut options = options(&["old-1"]);
    let command = format!(
        "echo $BASALT_MIGRATE_NODE $BASALT_MIGRATE_PROVIDER_ID >> {}; test ! -e {0}.fail",
        file.display()
    );
    options.replacement = ReplacementSource::Command(command);
    simulation.at(120, |state| drop(state.put("nodes", "", basalt("new-1"))));
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(fs_err::read_to_string(&file).expect("called"), "old-1 test:///old-1\n");

    fs_err::write(folder.join("called.fail"), "").expect("written");
    let simulation = Simulation::new(two_nodes);
    let report = simulation.run(&options).await.expect("a report");
    assert!(!report.complete);
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert!(
        reason.starts_with("the replacement could not be made: `sh` failed"),
        "{reason}"
    );
    assert_eq!(node_value(&simulation, "old-1", "/spec/unschedulable"), json!(false));
    fs_err::remove_dir_all(&folder).expect("removed");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_installed_anew_is_its_own_replacement() {
    let simulation = Simulation::new(two_nodes);
    let mut options = options(&["old-1"]);
    options.order = ReplacementOrder::AfterEviction;
    // The kubelet of the new system finds the Node object of the old one, with its cordon.
    simulation.at(200, |state| {
        state.edit(
            "nodes",
            "",
            "old-1",
            json!({ "status": { "nodeInfo": { "osImage": "Basalt Linux 1.0" } } }),
        );
    });
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(report.nodes[0].replacement.as_deref(), Some("old-1"));
    assert_eq!(node_value(&simulation, "old-1", "/spec/unschedulable"), json!(false));
    let again = simulation.run(&options).await.expect("a report");
    assert_eq!(again.nodes[0].phase, Some(MigrationPhase::Done));
}

#[tokio::test(start_paused = true)]
async fn nodes_are_selected_by_labels() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
    });
    let mut options = options(&[]);
    options.nodes.selector = Some("os=Ubuntu".to_owned());
    options.replacement_selector = Some("os=Basalt".to_owned());
    options.replacement = ReplacementSource::Existing;
    let plan = simulation.plan(&options).await.expect("a plan");
    let names: Vec<&str> = plan.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["old-1", "old-2"]);
    assert!(simulation.run(&options).await.expect("a report").complete);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_taken_into_service_again_is_migrated_again() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
    });
    let options = options(&["old-1"]);
    assert!(simulation.run(&options).await.expect("a report").complete);
    simulation.state(|state| {
        state.edit("nodes", "", "old-1", json!({ "spec": { "unschedulable": false } }));
        deploy(state, "late", 6);
    });
    simulation.settle().await;
    assert!(places(&simulation, "late").iter().any(|node| node == "old-1"));
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert!(places(&simulation, "late").iter().all(|node| node != "old-1"));
    assert_eq!(node_value(&simulation, "old-1", "/spec/unschedulable"), json!(true));
}
