//! Plans of small clusters, whose objects are written as the API has them.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::drain::DrainPolicy;
use crate::facts::{ReplacementOrder, RetirementMode};
use crate::observe;

fn policy(mode: ReplacementMode) -> MigrationPolicy {
    MigrationPolicy {
        order: ReplacementOrder::BeforeEviction,
        mode,
        drain: DrainPolicy {
            ignore_daemonsets: true,
            ..DrainPolicy::default()
        },
        deadline: Duration::from_secs(600),
        soak: Duration::from_secs(60),
        undo_on_stop: true,
        replacement: "a Ready node that runs Basalt Linux".to_owned(),
        retirement: RetirementMode::Keep,
        delete_node_object: false,
    }
}

fn node(name: &str, os: &str, extra: Value) -> ObservedNode {
    let mut object = json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } },
        "spec": {},
        "status": {
            "allocatable": { "cpu": "2", "memory": "4Gi", "pods": "110" },
            "conditions": [{ "type": "Ready", "status": "True" }],
            "nodeInfo": { "osImage": os, "architecture": "", "bootID": "", "containerRuntimeVersion": "", "kernelVersion": "",
                "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "", "operatingSystem": "", "systemUUID": "" },
        },
    });
    merge(&mut object, extra);
    observe::node(serde_json::from_value(object).expect("a node"))
}

/// Pod of a ReplicaSet on the node `old`.
fn pod(name: &str, extra: Value) -> ObservedPod {
    let mut object = json!({
        "metadata": { "name": name, "namespace": "shop", "uid": format!("u-{name}"), "labels": { "app": "web" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u-web", "controller": true }] },
        "spec": { "nodeName": "old", "containers": [{ "name": "c", "resources": { "requests": { "cpu": "500m" } } }] },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    merge(&mut object, extra);
    observe::pod(serde_json::from_value(object).expect("a pod"))
}

fn merge(target: &mut Value, change: Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, change) => *target = change,
    }
}

fn cluster(pods: Vec<ObservedPod>) -> ObservedCluster {
    ObservedCluster {
        nodes: vec![
            node("old", "Ubuntu 24.04.3 LTS", json!({})),
            node("new", "Basalt Linux 1", json!({})),
        ],
        pods,
        ..ObservedCluster::default()
    }
}

fn plan_with(policy: &MigrationPolicy, cluster: &ObservedCluster, answers: &[(&str, EvictionAnswer)]) -> MigrationPlan {
    let answers = answers.iter().map(|(uid, answer)| ((*uid).to_owned(), answer.clone()));
    build(
        policy,
        &PlanInputs {
            cluster,
            nodes: &["old".to_owned()],
            replacements: &BTreeSet::from(["new".to_owned()]),
            answers: &answers.collect(),
            now: "2026-11-29T16:00:00Z".parse().expect("a time"),
        },
    )
}

/// Reasons for which the only pod of a plan has no room.
fn no_room(cluster: &ObservedCluster) -> Vec<String> {
    let plan = plan_with(&policy(ReplacementMode::ByHand), cluster, &[]);
    match &plan.nodes[0].pods[0].part {
        PodPart::Goes { no_room, room, .. } => {
            assert_eq!(room.is_none(), !no_room.is_empty());
            no_room.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn pods_that_fit_have_a_node_each() {
    let cluster = cluster(vec![pod("web-1", json!({})), pod("web-2", json!({}))]);
    let plan = plan_with(&policy(ReplacementMode::Existing), &cluster, &[]);
    assert_eq!(
        (plan.obstacles.as_slice(), plan.warnings.as_slice()),
        (&[][..], &[][..])
    );
    assert_eq!(plan.counts(), (2, 0, 0));
    assert_eq!(plan.replacements, ["new"]);
    for pod in &plan.nodes[0].pods {
        assert!(matches!(&pod.part, PodPart::Goes { room: Some(node), .. } if node == "new"));
    }
}

#[test]
fn every_rule_of_placement_that_fails_is_named() {
    let spec = |spec: Value| cluster(vec![pod("web-1", json!({ "spec": spec }))]);
    let cases = [
        (
            json!({ "nodeSelector": { "disk": "ssd" } }),
            "1 node: the label disk=ssd of its nodeSelector is missing",
        ),
        (
            json!({ "containers": [{ "name": "c", "resources": { "requests": { "cpu": "2001m" } } }] }),
            "1 node: not enough cpu",
        ),
        (
            json!({ "containers": [{ "name": "c", "resources": { "limits": { "nvidia.com/gpu": "1" } } }] }),
            "1 node: not enough nvidia.com/gpu",
        ),
        (
            json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchExpressions": [{ "key": "kubernetes.io/hostname", "operator": "In", "values": ["old"] }] }] } } } }),
            "1 node: its node affinity does not match",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(no_room(&spec(change)), [expected]);
    }
}

#[test]
fn taints_keep_pods_away_unless_they_are_tolerated() {
    let taint = json!({ "spec": { "taints": [{ "key": "dedicated", "value": "db", "effect": "NoSchedule" }] } });
    let mut tainted = cluster(vec![pod("web-1", json!({}))]);
    tainted.nodes[1] = node("new", "Basalt Linux 1", taint.clone());
    assert_eq!(no_room(&tainted), ["1 node: the taint dedicated is not tolerated"]);
    for toleration in [
        json!({ "operator": "Exists" }),
        json!({ "key": "dedicated", "operator": "Exists" }),
        json!({ "key": "dedicated", "value": "db" }),
    ] {
        tainted.pods = vec![pod("web-1", json!({ "spec": { "tolerations": [toleration] } }))];
        assert!(no_room(&tainted).is_empty());
    }
    tainted.pods = vec![pod(
        "web-1",
        json!({ "spec": { "tolerations": [{ "key": "dedicated", "value": "web" }] } }),
    )];
    assert_eq!(no_room(&tainted).len(), 1);
}

#[test]
fn room_is_used_up_and_host_ports_and_anti_affinities_count() {
    let large = json!({ "spec": { "containers": [{ "name": "c", "resources": { "requests": { "cpu": "1500m" } } }] } });
    let full = cluster(vec![pod("web-1", large.clone()), pod("web-2", large)]);
    let plan = plan_with(&policy(ReplacementMode::Existing), &full, &[]);
    assert_eq!(
        plan.obstacles,
        ["pod shop/web-2 has no room now: 1 node: not enough cpu"]
    );

    let port = |node: &str| json!({ "spec": { "nodeName": node, "containers": [{ "name": "c", "ports": [{ "containerPort": 80, "hostPort": 80 }] }] } });
    let ports = cluster(vec![pod("web-1", port("old")), pod("web-2", port("new"))]);
    assert_eq!(no_room(&ports), ["1 node: the host port 80 is taken"]);

    let apart = json!({ "podAntiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [
        { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "web" } } }] } });
    let apart = |node: &str| json!({ "spec": { "nodeName": node, "affinity": apart } });
    let apart = cluster(vec![pod("web-1", apart("old")), pod("web-2", apart("new"))]);
    assert_eq!(no_room(&apart), ["1 node: an anti-affinity between pods"]);
}

#[test]
fn pods_that_nobody_agreed_to_move_are_obstacles() {
    let bare = pod("bare", json!({ "metadata": { "ownerReferences": [] } }));
    let scratch = pod(
        "scratch",
        json!({ "spec": { "volumes": [{ "name": "tmp", "emptyDir": {} }] } }),
    );
    let mirror = pod(
        "mirror",
        json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } }),
    );
    let finished = pod(
        "finished",
        json!({ "metadata": { "ownerReferences": [] }, "status": { "phase": "Succeeded" } }),
    );
    let daemon = pod(
        "daemon",
        json!({ "metadata": { "ownerReferences": [
        { "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "ds", "uid": "u-ds", "controller": true }] } }),
    );
    let cluster = cluster(vec![bare, scratch, mirror, finished, daemon]);
    let mut policy = policy(ReplacementMode::ByHand);
    let plan = plan_with(&policy, &cluster, &[]);
    assert_eq!(
        plan.obstacles,
        [
            "pod shop/bare has no controller and is not made anew (--force agrees)",
            "pod shop/scratch loses the data of emptyDir tmp (--delete-emptydir-data agrees)",
        ]
    );
    assert_eq!(plan.counts(), (1, 2, 2));
    policy.drain.ignore_daemonsets = false;
    let plan = plan_with(&policy, &cluster, &[]);
    assert!(
        plan.obstacles
            .iter()
            .any(|text| text.contains("shop/daemon belongs to a DaemonSet"))
    );
    policy.drain = DrainPolicy {
        ignore_daemonsets: true,
        delete_emptydir_data: true,
        force: true,
        ..DrainPolicy::default()
    };
    let plan = plan_with(&policy, &cluster, &[]);
    assert_eq!(plan.obstacles, Vec::<String>::new());
    assert_eq!(plan.counts(), (3, 2, 0));
}

#[test]
fn a_volume_of_the_node_is_an_obstacle_and_one_that_moves_is_none() {
    let claims =
        json!({ "spec": { "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": "data" } }] } });
    let mut cluster = cluster(vec![pod("db-0", claims)]);
    let claim = json!({ "metadata": { "name": "data", "namespace": "shop" }, "spec": { "volumeName": "pv-1" } });
    let volume = |key: &str, value: &str| {
        json!({ "metadata": { "name": "pv-1" }, "spec": { "nodeAffinity": { "required": { "nodeSelectorTerms": [
            { "matchExpressions": [{ "key": key, "operator": "In", "values": [value] }] }] } } } })
    };
    let mut with = |key: &str, value: &str, policy: &MigrationPolicy| {
        let claims = vec![serde_json::from_value(claim.clone()).expect("a claim")];
        let volumes = vec![serde_json::from_value(volume(key, value)).expect("a volume")];
        cluster.volumes = observe::bound_volumes(claims, volumes);
        plan_with(policy, &cluster, &[])
    };
    let mut policy = policy(ReplacementMode::ByHand);
    let host = "kubernetes.io/hostname";
    let pinned =
        "pod shop/db-0 has the volume pv-1, which no other node reaches (--abandon-local-volumes leaves it Pending)";
    assert_eq!(with(host, "old", &policy).obstacles, [pinned]);
    policy.drain.abandon_local_volumes = true;
    let plan = with(host, "old", &policy);
    assert_eq!(plan.obstacles, Vec::<String>::new());
    assert!(
        plan.warnings[0].contains("1 node: the volume pv-1 cannot be reached"),
        "{:?}",
        plan.warnings
    );
    policy.drain.abandon_local_volumes = false;
    let elsewhere = with("topology.kubernetes.io/zone", "b", &policy);
    assert!(elsewhere.obstacles.is_empty() && elsewhere.warnings[0].contains("cannot be reached"));
}

#[test]
fn answers_to_dry_runs_are_told_apart() {
    let mut cluster = cluster(vec![pod("web-1", json!({}))]);
    let budget = json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": { "selector": { "matchLabels": { "app": "web" } } },
        "status": { "disruptionsAllowed": 0, "desiredHealthy": 1, "currentHealthy": 1, "expectedPods": 1 } });
    cluster.budgets = vec![observe::budget(serde_json::from_value(budget).expect("a budget"))];
    let message = || "a message".to_owned();
    let mut policy = policy(ReplacementMode::ByHand);
    let refused = EvictionAnswer::Budget { message: message() };
    let plan = plan_with(&policy, &cluster, &[("u-web-1", refused)]);
    assert_eq!(plan.obstacles, Vec::<String>::new());
    assert_eq!(
        plan.warnings,
        [
            "pod shop/web-1 may not go now, and its node waits until it may: budget shop/web allows 0 evictions, \
          with 1 of 1 healthy pods"
        ]
    );
    let broken = EvictionAnswer::Misconfigured { message: message() };
    let broken = [("u-web-1", broken)];
    assert_eq!(plan_with(&policy, &cluster, &broken).obstacles.len(), 1);
    policy.drain.delete_refused = true;
    assert_eq!(plan_with(&policy, &cluster, &broken).obstacles.len(), 0);
    let forbidden = EvictionAnswer::Forbidden { message: message() };
    assert_eq!(
        plan_with(&policy, &cluster, &[("u-web-1", forbidden)]).obstacles.len(),
        1
    );
}

#[test]
fn budgets_of_pods_that_need_a_flag_are_told_before_it_is_given() {
    let mut cluster = cluster(vec![pod(
        "web-1",
        json!({ "spec": { "volumes": [{ "name": "tmp", "emptyDir": {} }] } }),
    )]);
    let budget = |allowed: i32| {
        let budget = json!({ "metadata": { "name": "web", "namespace": "shop" }, "spec": { "selector": { "matchLabels": { "app": "web" } } },
            "status": { "disruptionsAllowed": allowed, "desiredHealthy": 1, "currentHealthy": 1, "expectedPods": 1 } });
        vec![observe::budget(serde_json::from_value(budget).expect("a budget"))]
    };
    let policy = policy(ReplacementMode::ByHand);
    cluster.budgets = budget(0);
    let plan = plan_with(&policy, &cluster, &[]);
    assert_eq!(plan.obstacles.len(), 1);
    assert_eq!(
        plan.warnings,
        [
            "pod shop/web-1 may not go now, also with --delete-emptydir-data: budget shop/web allows 0 evictions, with 1 of 1 \
          healthy pods"
        ]
    );
    cluster.budgets = budget(1);
    assert_eq!(plan_with(&policy, &cluster, &[]).warnings, Vec::<String>::new());
}

#[test]
fn a_plan_without_a_replacement_is_refused_where_none_comes() {
    let mut cluster = cluster(Vec::new());
    cluster.nodes.pop();
    assert_eq!(
        plan_with(&policy(ReplacementMode::Existing), &cluster, &[]).obstacles,
        ["there is no Ready node that runs Basalt Linux"]
    );
    assert!(
        plan_with(&policy(ReplacementMode::ByHand), &cluster, &[])
            .obstacles
            .is_empty()
    );
}
