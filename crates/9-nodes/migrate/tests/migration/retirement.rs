//! Ends of old machines: by Cluster API, by a command, by hand; and what is left alone.

use basalt_migrate::facts::ReplacementOrder;
use basalt_migrate::model::NamespacedName;
use basalt_migrate::record::MigrationPhase;
use basalt_migrate::{MachineRetirement, MigrationOptions, ReplacementSource};
use basalt_progress::Silent;
use serde_json::{Value, json};

use super::objects::{bare_pod, basalt, machine, machine_deployment};
use super::replacements::two_nodes;
use super::server::{State, text};
use super::simulation::{Recorded, Simulation, options as usual};

/// Options of a migration to nodes that are there.
fn options(nodes: &[&str], retirement: MachineRetirement) -> MigrationOptions {
    MigrationOptions {
        replacement: ReplacementSource::Existing,
        retirement,
        ..usual(nodes)
    }
}

/// Two old nodes with Machines of one MachineDeployment, and a replacement.
fn machines(state: &mut State) {
    two_nodes(state);
    machine_deployment(state, "old", &["old-1", "old-2"]);
    state.put("nodes", "", basalt("new-1"));
}

fn names(simulation: &Simulation, resource: &str) -> Vec<String> {
    simulation.state(|state| {
        let all = state.all(resource);
        all.iter().map(|one| text(one, "/metadata/name").to_owned()).collect()
    })
}

fn replicas(simulation: &Simulation, name: &str) -> Value {
    simulation.state(|state| {
        let all = state.all("machinedeployments");
        let one = all.iter().find(|one| text(one, "/metadata/name") == name);
        one.expect("it is there")["spec"]["replicas"].clone()
    })
}

fn is_cordoned(simulation: &Simulation, node: &str) -> bool {
    simulation.state(|state| {
        let nodes = state.all("nodes");
        let node = nodes.iter().find(|one| text(one, "/metadata/name") == node);
        node.expect("it is there")["spec"]["unschedulable"] == true
    })
}

/// Switches the machine of a node off: its kubelet is not heard of any more.
fn switch_off(state: &mut State, node: &str) {
    let conditions = json!([{ "type": "Ready", "status": "Unknown" }]);
    state.edit("nodes", "", node, json!({ "status": { "conditions": conditions } }));
}

#[tokio::test(start_paused = true)]
async fn machines_stay_unless_somebody_says_otherwise() {
    let simulation = Simulation::new(machines);
    let options = options(&["old-1"], MachineRetirement::Keep);
    let plan = simulation.plan(&options).await.expect("a plan");
    assert_eq!(
        plan.afterwards,
        ["old-1: stays, empty and cordoned; its machine runs on"]
    );
    let report = simulation.run(&options).await.expect("a report");
    assert_eq!(report.nodes[0].phase, Some(MigrationPhase::Done));
    assert_eq!(
        (names(&simulation, "machines").len(), replicas(&simulation, "old")),
        (2, json!(2))
    );
}

#[tokio::test(start_paused = true)]
async fn cluster_api_ends_the_machine_that_is_marked() {
    let simulation = Simulation::new(machines);
    let options = options(&["old-2"], MachineRetirement::ClusterApi);
    let plan = simulation.plan(&options).await.expect("a plan");
    assert_eq!(
        plan.afterwards,
        [
            "old-2: Machine clusters/m-old-2 is marked, and MachineDeployment clusters/old scaled down by one (now 2): the machine \
             and its disks are deleted"
        ]
    );
    let told = Recorded::default();
    let report = simulation.run_with(&options, &told).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(names(&simulation, "nodes"), ["new-1", "old-1"]);
    assert_eq!(names(&simulation, "machines"), ["m-old-1"]);
    assert_eq!(replicas(&simulation, "old"), json!(1));
    let lines = told.lines();
    let at = |part: &str| lines.iter().position(|line| line.contains(part));
    let order = [
        at("old-2: Soaking"),
        at("old-2: Retiring"),
        at("is marked, and"),
        at("its object is gone"),
    ];
    assert!(order.is_sorted() && order.iter().all(Option::is_some), "{lines:?}");
    // Again, with all of it done: nothing more goes.
    let again = simulation.run(&options).await.expect("a report");
    assert!(again.complete);
    assert_eq!(replicas(&simulation, "old"), json!(1));
}

#[tokio::test(start_paused = true)]
async fn one_pool_ends_with_as_many_machines_as_before() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        machine_deployment(state, "pool", &["old-1", "old-2"]);
    });
    let mut options = options(&["old-1", "old-2"], MachineRetirement::ClusterApi);
    options.replacement = ReplacementSource::MachineDeployment(NamespacedName::new("clusters", "pool"));
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(replicas(&simulation, "pool"), json!(2));
    assert_eq!(names(&simulation, "nodes"), ["machine-3", "machine-4"]);
}

#[tokio::test(start_paused = true)]
async fn machines_of_a_set_and_of_nobody_go_too() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
        let set = json!({ "metadata": { "name": "set" }, "spec": { "replicas": 1 }, "status": { "replicas": 1 } });
        state.put("machinesets", "clusters", set);
        let owner = json!([{ "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineSet", "name": "set", "uid": "u", "controller": true }]);
        machine(state, "old-1", json!({ "ownerReferences": owner }));
        machine(state, "old-2", json!({}));
    });
    let options = options(&["old-1", "old-2"], MachineRetirement::ClusterApi);
    let plan = simulation.plan(&options).await.expect("a plan");
    assert!(
        plan.afterwards[0].contains("MachineSet clusters/set scaled down"),
        "{plan:?}"
    );
    assert!(
        plan.afterwards[1].contains("Machine clusters/m-old-2 is deleted"),
        "{plan:?}"
    );
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(names(&simulation, "nodes"), ["new-1"]);
}

#[tokio::test(start_paused = true)]
async fn what_would_not_last_or_hit_another_machine_is_refused() {
    let refusal = |change: fn(&mut State)| async move {
        let simulation = Simulation::new(|state| {
            machines(state);
            change(state);
        });
        let mut options = options(&["old-1"], MachineRetirement::ClusterApi);
        options.deadline = std::time::Duration::from_secs(60);
        let obstacles = simulation.plan(&options).await.expect("a plan").obstacles;
        let report = simulation.run(&options).await.expect("a report");
        assert!(!report.complete && is_cordoned(&simulation, "old-1"), "{report:?}");
        assert_eq!(replicas(&simulation, "old"), json!(2));
        (obstacles.join("; "), report.nodes[0].reason.clone().expect("a reason"))
    };
    let applied = |state: &mut State| {
        let fields = json!([{ "manager": "capi-topology", "operation": "Apply", "fieldsType": "FieldsV1",
            "fieldsV1": { "f:spec": { "f:replicas": {} } } }]);
        state.edit(
            "machinedeployments",
            "clusters",
            "old",
            json!({ "metadata": { "managedFields": fields } }),
        );
    };
    let (obstacle, reason) = refusal(applied).await;
    assert!(obstacle.contains("applied by `capi-topology`") && reason.contains("applied by `capi-topology`"));
    let foreign = |state: &mut State| {
        let none = json!({ "cluster.x-k8s.io/machine": null });
        state.edit("nodes", "", "old-1", json!({ "metadata": { "annotations": none } }));
    };
    let (obstacle, reason) = refusal(foreign).await;
    assert!(obstacle.contains("Cluster API has not made it") && reason.contains("Cluster API has not made it"));
    let other = |state: &mut State| {
        let status = json!({ "status": { "nodeRef": { "name": "old-2" } } });
        state.edit("machines", "clusters", "m-old-1", status);
    };
    assert!(refusal(other).await.1.contains("is not that of node old-1"));
    // Nobody can say which of the two would go.
    let rollout = |state: &mut State| {
        state.edit(
            "machinedeployments",
            "clusters",
            "old",
            json!({ "status": { "upToDateReplicas": 1 } }),
        )
    };
    assert!(refusal(rollout).await.1.contains("Machines of several revisions"));
}

#[tokio::test(start_paused = true)]
async fn an_old_revision_goes_first_where_machines_are_replaced_on_deletion() {
    let simulation = Simulation::new(|state| {
        machines(state);
        let deployment = json!({ "spec": { "rollout": { "strategy": { "type": "OnDelete" } } }, "status": { "upToDateReplicas": 0 } });
        state.edit("machinedeployments", "clusters", "old", deployment);
        let set = json!({ "metadata": { "name": "set" }, "spec": { "replicas": 9 }, "status": { "replicas": 2 } });
        state.put("machinesets", "clusters", set);
        let owner = json!([{ "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineSet", "name": "set", "uid": "u", "controller": true }]);
        let outdated = json!({ "metadata": { "ownerReferences": owner },
            "status": { "conditions": [{ "type": "UpToDate", "status": "False" }] } });
        state.edit("machines", "clusters", "m-old-1", outdated);
    });
    let report = simulation
        .run(&options(&["old-1"], MachineRetirement::ClusterApi))
        .await
        .expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(names(&simulation, "machines"), ["m-old-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_an_earlier_run_left_is_retired_unless_it_is_used_again() {
    let simulation = Simulation::new(machines);
    simulation
        .run(&options(&["old-1", "old-2"], MachineRetirement::Keep))
        .await
        .expect("a report");
    let owner = json!({ "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "u", "controller": true }] });
    simulation.state(|state| bare_pod(state, "back", "old-1", owner));
    let report = simulation
        .run(&options(&["old-1", "old-2"], MachineRetirement::ClusterApi))
        .await
        .expect("a report");
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert!(reason.contains("pod shop/back"), "{reason}");
    assert!(!report.complete);
    // The other one was not begun any more, after a stop; it is now.
    simulation
        .run(&options(&["old-2"], MachineRetirement::ClusterApi))
        .await
        .expect("a report");
    assert_eq!(names(&simulation, "machines"), ["m-old-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_the_machine_and_its_failure_stops() {
    let folder = std::env::temp_dir().join(format!("basalt-retire-{}", std::process::id()));
    fs_err::create_dir_all(&folder).expect("a folder");
    let file = folder.join("called");
    let command = format!(
        "echo $BASALT_MIGRATE_NODE $BASALT_MIGRATE_PROVIDER_ID >> {0}; test ! -e {0}.fail",
        file.display()
    );
    let simulation = Simulation::new(machines);
    let mut options = options(&["old-1"], MachineRetirement::Command(command));
    let plan = simulation.plan(&options).await.expect("a plan");
    assert!(plan.afterwards[0].contains("its Node object stays"), "{plan:?}");
    let report = simulation.run(&options).await.expect("a report");
    assert_eq!(report.nodes[0].phase, Some(MigrationPhase::Done));
    assert_eq!(fs_err::read_to_string(&file).expect("called"), "old-1 test:///old-1\n");
    // Done is done: the command is not run again.
    simulation.run(&options).await.expect("a report");
    assert_eq!(fs_err::read_to_string(&file).expect("called"), "old-1 test:///old-1\n");

    // With --delete-node-objects, the object goes once the machine is off.
    let simulation = Simulation::new(machines);
    simulation.at(400, |state| switch_off(state, "old-1"));
    options.delete_node_objects = true;
    let report = simulation.run(&options).await.expect("a report");
    assert!(report.complete && simulation.seconds() >= 400, "{report:?}");
    assert_eq!(names(&simulation, "nodes"), ["new-1", "old-2"]);

    fs_err::write(folder.join("called.fail"), "").expect("written");
    let simulation = Simulation::new(machines);
    let report = simulation.run(&options).await.expect("a report");
    let reason = report.nodes[0].reason.as_deref().expect("a reason");
    assert!(
        reason.starts_with("the machine could not be retired: `sh` failed"),
        "{reason}"
    );
    assert!(is_cordoned(&simulation, "old-1"));
    fs_err::remove_dir_all(&folder).expect("removed");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_switched_off_by_hand_is_waited_for() {
    let simulation = Simulation::new(machines);
    let mut options = options(&["old-1"], MachineRetirement::ByHand);
    options.delete_node_objects = true;
    simulation.at(300, |state| switch_off(state, "old-1"));
    let told = Recorded::default();
    let report = simulation.run_with(&options, &told).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert_eq!(names(&simulation, "nodes"), ["new-1", "old-2"]);
    let lines = told.lines();
    let waits = "warning: old-1: Retiring waits since ";
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with(waits) && line.contains("switch the machine of old-1 off")),
        "{lines:?}"
    );

    // Nobody comes: it stops at the deadline, as it is.
    let simulation = Simulation::new(machines);
    let report = simulation.run(&options).await.expect("a report");
    assert!(!report.complete && is_cordoned(&simulation, "old-1"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_installed_anew_stays() {
    let simulation = Simulation::new(machines);
    let mut options = options(&["old-1"], MachineRetirement::ClusterApi);
    options.replacement = ReplacementSource::ByHand;
    options.order = ReplacementOrder::AfterEviction;
    simulation.state(|state| {
        drop(
            state
                .objects
                .remove(&("nodes".to_owned(), String::new(), "new-1".to_owned())),
        )
    });
    simulation.at(200, |state| {
        let info = json!({ "osImage": "Basalt Linux 1.0" });
        state.edit("nodes", "", "old-1", json!({ "status": { "nodeInfo": info } }));
    });
    for _ in 0..2 {
        let report = simulation.run(&options).await.expect("a report");
        assert_eq!(report.nodes[0].phase, Some(MigrationPhase::Done), "{report:?}");
    }
    assert_eq!(replicas(&simulation, "old"), json!(2));
}

#[tokio::test(start_paused = true)]
async fn a_retirement_that_was_asked_for_is_not_undone() {
    let options = options(&["old-1"], MachineRetirement::ClusterApi);
    for writes in 1..300 {
        let simulation = Simulation::new(machines);
        let ended = simulation.run_until_kill(&options, writes).await;
        assert!(ended.is_none(), "it came to its end after {writes} writes");
        let is_asked_for = simulation.state(|state| {
            let nodes = state.all("nodes");
            nodes
                .iter()
                .any(|node| !node["metadata"]["annotations"]["basalt.dev/migrate-retired"].is_null())
        });
        if is_asked_for {
            let migrator = simulation.migrator("undo");
            let undone = migrator.undo(&usual(&["old-1"]), &Silent).await.expect("undone");
            let reason = undone[0].reason.as_deref().expect("a reason");
            assert!(reason.contains("is not taken back"), "{reason}");
            assert!(is_cordoned(&simulation, "old-1"));
            return;
        }
    }
    panic!("it was never asked for");
}
