//! Permissions: docs/migrate/rbac.yaml grants what migrations ask for, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use basalt_migrate::model::NamespacedName;
use basalt_migrate::{MachineRetirement, ReplacementSource};
use basalt_progress::Silent;
use serde_json::{Value, json};

use super::objects::{bare_pod, basalt, machine, machine_deployment, node};
use super::replacements::two_nodes;
use super::server::{Permission, State};
use super::simulation::{Simulation, options};

/// Permissions of the rules of all roles in a manifest.
fn granted(manifest: &str) -> BTreeSet<Permission> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).expect("YAML");
    let roles = documents
        .iter()
        .filter(|one| matches!(one["kind"].as_str(), Some("Role" | "ClusterRole")));
    let mut granted = BTreeSet::new();
    for rule in roles.flat_map(|role| role["rules"].as_array().expect("rules")) {
        let all = |key: &str| {
            let values = rule[key].as_array().expect("a list").iter();
            values
                .map(|value| value.as_str().expect("a text").to_owned())
                .collect::<Vec<_>>()
        };
        for group in all("apiGroups") {
            for resource in all("resources") {
                for verb in all("verbs") {
                    granted.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    granted
}

/// Nodes whose machines end: of a MachineDeployment, of a MachineSet, of nobody, and one that is off.
fn ending(state: &mut State) {
    for name in ["of-deployment", "of-set", "of-nobody", "off"] {
        state.put("nodes", "", node(name, "Ubuntu 24.04.3 LTS"));
    }
    machine_deployment(state, "ending", &["of-deployment"]);
    let set = json!({ "metadata": { "name": "set" }, "spec": { "replicas": 1 }, "status": { "replicas": 1 } });
    state.put("machinesets", "clusters", set);
    let owner = json!([{ "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineSet", "name": "set", "uid": "u", "controller": true }]);
    machine(state, "of-set", json!({ "ownerReferences": owner }));
    machine(state, "of-nobody", json!({}));
    let conditions = json!([{ "type": "Ready", "status": "Unknown" }]);
    state.edit("nodes", "", "off", json!({ "status": { "conditions": conditions } }));
}

#[tokio::test(start_paused = true)]
async fn the_manifest_grants_what_is_asked_for() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        let deployment =
            json!({ "metadata": { "name": "workers" }, "spec": { "replicas": 0 }, "status": { "replicas": 0 } });
        state.put("machinedeployments", "clusters", deployment);
        let metadata = |kind: &str, name: &str| json!({ "ownerReferences": [{ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": true }] });
        bare_pod(state, "db-0", "old-1", metadata("StatefulSet", "db"));
        bare_pod(state, "operated-0", "old-1", metadata("Operated", "operated"));
        state.edit(
            "pods",
            "shop",
            "db-0",
            json!({ "spec": { "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }] } }),
        );
    });
    let mut machines = options(&["old-1"]);
    machines.replacement = ReplacementSource::MachineDeployment(NamespacedName::new("clusters", "workers"));
    simulation.plan(&machines).await.expect("a plan");
    simulation.run(&machines).await.expect("a report");
    // Pods that eviction refuses are deleted at the deadline, if the user says so.
    let mut deletes = options(&["old-2"]);
    deletes.drain.delete_refused = true;
    simulation.state(|state| {
        state.put("nodes", "", basalt("new-1"));
        state.put("nodes", "", node("spare", "Ubuntu 24.04.3 LTS"));
        super::objects::budget(state, "strict", "api", 3);
    });
    simulation.run(&deletes).await.expect("a report");
    simulation.state(ending);
    let mut ends = options(&["of-deployment", "of-set", "of-nobody"]);
    ends.replacement = ReplacementSource::Existing;
    ends.retirement = MachineRetirement::ClusterApi;
    assert!(simulation.run(&ends).await.expect("a report").complete);
    ends.nodes.names = vec!["off".to_owned()];
    ends.retirement = MachineRetirement::ByHand;
    ends.delete_node_objects = true;
    assert!(simulation.run(&ends).await.expect("a report").complete);
    simulation
        .migrator("undo")
        .undo(&options(&["old-1"]), &Silent)
        .await
        .expect("undone");

    let asked = simulation.state(|state| state.permissions.clone());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/migrate/rbac.yaml");
    let granted = granted(&fs_err::read_to_string(path).expect("the manifest"));
    let missing: Vec<_> = asked.difference(&granted).collect();
    assert!(missing.is_empty(), "not granted: {missing:?}");
    let needless: Vec<_> = granted.difference(&asked).collect();
    assert!(needless.is_empty(), "granted, and not asked for: {needless:?}");
}
