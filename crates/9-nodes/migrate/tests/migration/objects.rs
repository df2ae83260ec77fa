//! Objects of the simulated cluster.

use serde_json::{Value, json};

use super::server::State;

/// Node with an operating system.
pub fn node(name: &str, os: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "os": os.split(' ').next() } },
        "spec": { "providerID": format!("test:///{name}") },
        "status": {
            "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "110" },
            "conditions": [{ "type": "Ready", "status": "True" }],
            "nodeInfo": { "osImage": os, "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                "operatingSystem": "linux", "systemUUID": "" },
        },
    })
}

/// Node that runs Ubuntu.
pub fn ubuntu(name: &str) -> Value {
    node(name, "Ubuntu 24.04.3 LTS")
}

/// Node that runs Basalt Linux.
pub fn basalt(name: &str) -> Value {
    node(name, "Basalt Linux 1.0")
}

/// Puts a Deployment with its ReplicaSet into the namespace `shop`; pods have the label `app` with its name.
pub fn deploy(state: &mut State, name: &str, replicas: u64) {
    let meta = json!({ "name": name, "uid": format!("uid-{name}") });
    let spec = json!({ "replicas": replicas, "selector": { "matchLabels": { "app": name } },
        "template": { "spec": { "containers": [] } } });
    state.put("deployments", "shop", json!({ "metadata": meta, "spec": spec }));
    let set = format!("{name}-5f7d");
    let template = json!({
        "metadata": { "labels": { "app": name } },
        "spec": { "terminationGracePeriodSeconds": 3,
            "containers": [{ "name": "c", "resources": { "requests": { "cpu": "100m" } } }] },
    });
    let owner = json!([{ "apiVersion": "apps/v1", "kind": "Deployment", "name": name,
        "uid": format!("uid-{name}"), "controller": true }]);
    state.put(
        "replicasets",
        "shop",
        json!({ "metadata": { "name": set, "ownerReferences": owner },
            "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": name } }, "template": template } }),
    );
}

/// Puts a budget into the namespace `shop` that covers the pods of a Deployment.
pub fn budget(state: &mut State, name: &str, app: &str, min_available: u64) {
    let spec = json!({ "minAvailable": min_available, "selector": { "matchLabels": { "app": app } } });
    state.put(
        "poddisruptionbudgets",
        "shop",
        json!({ "metadata": { "name": name }, "spec": spec }),
    );
}

/// Puts the Machine of a node into the namespace `clusters`, with what its metadata says of its owner.
pub fn machine(state: &mut State, node: &str, metadata: Value) {
    let name = format!("m-{node}");
    let annotations = json!({ "cluster.x-k8s.io/machine": name, "cluster.x-k8s.io/cluster-namespace": "clusters" });
    state.edit("nodes", "", node, json!({ "metadata": { "annotations": annotations } }));
    let mut machine = json!({ "metadata": { "name": name }, "status": { "nodeRef": { "name": node } } });
    super::server::merge(&mut machine["metadata"], &metadata);
    state.put("machines", "clusters", machine);
}

/// Puts a MachineDeployment into the namespace `clusters`, with the Machines of some nodes.
pub fn machine_deployment(state: &mut State, name: &str, nodes: &[&str]) {
    let count = nodes.len();
    let deployment = json!({ "metadata": { "name": name }, "spec": { "replicas": count },
        "status": { "replicas": count, "upToDateReplicas": count } });
    state.put("machinedeployments", "clusters", deployment);
    for node in nodes {
        machine(
            state,
            node,
            json!({ "labels": { "cluster.x-k8s.io/deployment-name": name } }),
        );
    }
}

/// Puts a pod without a controller on a node.
pub fn bare_pod(state: &mut State, name: &str, node: &str, metadata: Value) {
    let mut pod = json!({
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": { "nodeName": node, "terminationGracePeriodSeconds": 3, "containers": [{ "name": "c" }] },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    super::server::merge(&mut pod["metadata"], &metadata);
    state.put("pods", "shop", pod);
}
