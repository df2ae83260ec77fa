//! A Basalt node beside the Debian node of the kubeadm cluster: it joins by the join command alone, and runs the same pods.

use std::time::Duration;

use basalt_cluster::topology::NodeNumber;
use basalt_cluster::{Variant, node_config};
use basalt_machine::{Files, plain_text};
use basalt_tests::{Failed, ensure, has_all, shown, until};
use serde_json::json;

use crate::fixture::{Fixture, own_name};
use crate::kubeadm::{is_ready, items};

/// Name of the node.
const NODE: &str = "basalt-1";
/// Time-out of a boot, a join and the pod network, on a busy machine without KVM.
const JOINED: Duration = Duration::from_secs(1200);
/// Time-out of pods whose images are pulled by an emulated machine.
const PULLED: Duration = Duration::from_secs(600);
/// Time-out of operations that need no boot.
const SOON: Duration = Duration::from_secs(120);

/// Number of the machine: the first one is Debian's.
fn number() -> Result<NodeNumber, Failed> {
    Ok(NodeNumber::first(2).nth(1).ok_or("no number")?)
}

/// NodeConfig from the join command, with what only this network needs: an address, and its registry.
fn joining_config(fixture: &Fixture) -> Result<String, Failed> {
    let words = [
        "config",
        "from-join",
        &fixture.kubeadm.join_command,
        "--offline",
        "--hostname",
        NODE,
    ];
    let made = fixture.cli.run(&words, SOON)?.ended_with(0)?.stdout;
    ensure(
        made.contains("caCertHashes") && !made.contains("BEGIN CERTIFICATE"),
        || "the node shall find the cluster's authority by itself".to_owned(),
    )?;
    let (network, registries) = (node_config::network(number()?), node_config::registries());
    Ok(format!("{made}\nnetwork: {network}\nregistries: {registries}\n"))
}

/// End of the console of the node's machine.
fn console(fixture: &Fixture) -> Result<String, Failed> {
    let log = Files::new(fixture.local.layout().node(&number()?.name())).console_log();
    let text = plain_text(&fs_err::read(log).unwrap_or_default());
    let lines: Vec<_> = text.lines().rev().take(60).collect();
    Ok(lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
}

pub fn a_basalt_node_joins_by_the_join_command(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let machine = fixture.local.add_node(Variant {
        credentials: [("basalt.node".to_owned(), joining_config(fixture)?)].into(),
        ..Variant::default()
    });
    let machine = machine.map_err(shown)?;
    ensure(machine == number()?.name(), || format!("the machine is {machine}"))?;
    let joined = until("the Basalt node is Ready", JOINED, || {
        cluster.get(&["node", NODE]).is_ok_and(|node| is_ready(&node))
    });
    if let Err(failed) = joined {
        let text = console(fixture)?;
        return Err(format!("{failed:?}; the end of its console:\n{text}").into());
    }
    let node = cluster.get(&["node", NODE])?;
    let info = &node["status"]["nodeInfo"];
    let system = info["osImage"].as_str().unwrap_or_default();
    ensure(
        system.starts_with("Basalt Linux") && info["kubeletVersion"] == cluster.version.as_str(),
        || format!("{node:#}"),
    )?;
    // The token is on no console.
    let secret = cluster
        .join_command
        .split_whitespace()
        .skip_while(|word| *word != "--token")
        .nth(1);
    let secret = secret.and_then(|token| token.split_once('.')).ok_or("no token")?.1;
    let text = console(fixture)?;
    ensure(!text.contains(secret), || "the console shows the token".to_owned())
}

pub fn it_has_the_clusters_kubelet_configuration(fixture: &Fixture) -> Result<(), Failed> {
    let configuration = |node: &str| {
        fixture
            .kubeadm
            .get(&["--raw", &format!("/api/v1/nodes/{node}/proxy/configz")])
    };
    let (debian, basalt) = (configuration(&fixture.kubeadm.node)?, configuration(NODE)?);
    for field in [
        "clusterDNS",
        "clusterDomain",
        "rotateCertificates",
        "authentication",
        "authorization",
    ] {
        let [ours, theirs] = [&basalt, &debian].map(|configuration| &configuration["kubeletconfig"][field]);
        ensure(!ours.is_null() && ours == theirs, || {
            format!("{field}: {ours}, and {theirs} on Debian")
        })?;
    }
    Ok(())
}

/// One web server on each node, and a Service.
fn web(image: &str) -> String {
    let pod = json!({
        "metadata": { "labels": { "app": "both" } },
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "web",
                "image": image,
                "env": [
                    { "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                    { "name": "NODE_NAME", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
                ],
                "ports": [{ "name": "http", "containerPort": 8080 }],
                "readinessProbe": { "httpGet": { "path": "/healthz", "port": "http" }, "timeoutSeconds": 5 },
            }],
        },
    });
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": { "name": "both" },
        "spec": { "selector": { "matchLabels": { "app": "both" } }, "template": pod },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": "both" },
        "spec": { "selector": { "app": "both" }, "ports": [{ "port": 80, "targetPort": "http" }] },
    });
    json!({ "apiVersion": "v1", "kind": "List", "items": [set, service] }).to_string()
}

pub fn pods_of_both_systems_answer(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let objects = web(&own_name(&fixture.local, "basalt-web")?);
    let apply = cluster.command(&["apply", "--filename", "-"]).input(objects);
    apply.output().map_err(shown)?;
    let pods = || cluster.get(&["pods", "--selector", "app=both"]);
    until("a web server is Ready on both nodes", PULLED, || {
        pods().is_ok_and(|list| items(&list).len() == 2 && items(&list).iter().all(is_ready))
    })?;
    // The API server is on Debian's node: its answer from a pod of the other node went between the two.
    for pod in items(&pods()?) {
        let (name, node) = (pod["metadata"]["name"].as_str(), pod["spec"]["nodeName"].as_str());
        let (name, node) = (name.ok_or("no name")?, node.ok_or("no node")?);
        let path = format!("/api/v1/namespaces/default/pods/{name}:8080/proxy/");
        has_all(&cluster.kubectl(&["get", "--raw", &path])?, &[name, node])?;
        has_all(&cluster.kubectl(&["logs", name])?, &[])?;
    }
    // Both are behind the Service.
    until("both answer through the Service", SOON, || {
        let ready = cluster.get(&["endpointslices", "--selector", "kubernetes.io/service-name=both"]);
        let ready = ready.unwrap_or_default();
        let slices = items(&ready).iter();
        slices
            .filter_map(|slice| slice["endpoints"].as_array())
            .map(Vec::len)
            .sum::<usize>()
            == 2
    })?;
    let path = "/api/v1/namespaces/default/services/both:80/proxy/";
    has_all(&cluster.kubectl(&["get", "--raw", path])?, &["both-"])
}
