//! Reading of the API's objects into the [`model`](crate::model). Pure: no request is made here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Container, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodSpec, ResourceRequirements,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::model::{
    AntiAffinity, LocalVolume, NamespacedName, NodeReadiness, NodeTaint, ObservedBudget, ObservedNode, ObservedPod,
    ObservedVolume, PlacementRules, PodController, PodDeletion, PodStage, PodToleration,
};
use crate::quantity::Resources;
use crate::selector::{LabelMatcher, NodeMatcher};

/// Annotation of the mirror of a static pod.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Reads a node.
pub fn node(object: Node) -> ObservedNode {
    let spec = object.spec.unwrap_or_default();
    let status = object.status.unwrap_or_default();
    let taints = spec.taints.unwrap_or_default().into_iter();
    let taints = taints.map(|taint| NodeTaint {
        key: taint.key,
        value: taint.value.unwrap_or_default(),
        effect: taint.effect,
        added: taint.time_added.map(|time| time.0),
    });
    let ready = status.conditions.iter().flatten().find(|one| one.type_ == "Ready");
    let readiness = match ready.map(|condition| condition.status.as_str()) {
        Some("True") => NodeReadiness::Ready,
        Some("False") => NodeReadiness::NotReady,
        _ => NodeReadiness::Unreachable,
    };
    ObservedNode {
        name: object.metadata.name.unwrap_or_default(),
        uid: object.metadata.uid.unwrap_or_default(),
        resource_version: object.metadata.resource_version.unwrap_or_default(),
        labels: object.metadata.labels.unwrap_or_default(),
        annotations: object.metadata.annotations.unwrap_or_default(),
        taints: taints.collect(),
        unschedulable: spec.unschedulable.unwrap_or_default(),
        readiness,
        os_image: status.node_info.map(|info| info.os_image).unwrap_or_default(),
        allocatable: Resources::read(status.allocatable.as_ref()),
        provider_id: spec.provider_id,
    }
}

/// Reads a pod.
pub fn pod(object: Pod) -> ObservedPod {
    let spec = object.spec.unwrap_or_default();
    let status = object.status.unwrap_or_default();
    let name = full_name(&object.metadata);
    let controller = object.metadata.owner_references.iter().flatten();
    let mut controller = controller.filter(|owner| owner.controller == Some(true));
    let progress = match status.phase.as_deref() {
        Some("Pending") => PodStage::Pending,
        Some("Succeeded" | "Failed") => PodStage::Finished,
        _ => PodStage::Running,
    };
    let mut conditions = status.conditions.iter().flatten();
    ObservedPod {
        controller: controller.next().map(|owner| PodController {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        }),
        uid: object.metadata.uid.unwrap_or_default(),
        node: spec.node_name.clone(),
        progress,
        ready: conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        mirror: object
            .metadata
            .annotations
            .iter()
            .flatten()
            .any(|(key, _)| key == MIRROR),
        deletion: object.metadata.deletion_timestamp.map(|due| PodDeletion {
            due: due.0,
            finalizers: object.metadata.finalizers.unwrap_or_default(),
        }),
        labels: object.metadata.labels.unwrap_or_default(),
        volumes: volumes(&spec),
        claims: claims(&name.name, &spec),
        requests: requests(&spec),
        placement: placement(&name.namespace, &spec),
        name,
    }
}

fn full_name(metadata: &ObjectMeta) -> NamespacedName {
    NamespacedName {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

/// Volumes of a pod that are on its node by their kind.
fn volumes(spec: &PodSpec) -> Vec<LocalVolume> {
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|volume| {
            if volume.empty_dir.is_some() {
                let volume = volume.name.clone();
                return Some(LocalVolume::EmptyDir { volume });
            }
            let path = volume.host_path.as_ref()?.path.clone();
            Some(LocalVolume::HostPath { path })
        })
        .collect()
}

/// Claims of a pod, with those that Kubernetes makes for its generic ephemeral volumes.
fn claims(pod: &str, spec: &PodSpec) -> Vec<String> {
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|volume| {
            let named = volume.persistent_volume_claim.as_ref();
            let ephemeral = || volume.ephemeral.as_ref().map(|_| format!("{pod}-{}", volume.name));
            named.map(|claim| claim.claim_name.clone()).or_else(ephemeral)
        })
        .collect()
}

/// Resources that the scheduler reserves for a pod: the sum of its containers and sidecars, or the greatest need of its
/// init containers; requests of the whole pod go before both; the overhead of its runtime class is added.
fn requests(spec: &PodSpec) -> Resources {
    let of = |container: &Container| requested(container.resources.as_ref());
    let mut sum = Resources::default();
    for container in &spec.containers {
        sum.add(&of(container));
    }
    let mut sidecars = Resources::default();
    let mut initial = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let mut here = of(container);
        here.add(&sidecars);
        initial.raise_to(&here);
        if container.restart_policy.as_deref() == Some("Always") {
            sidecars = here;
        }
    }
    sum.add(&sidecars);
    sum.raise_to(&initial);
    sum.overlay(&requested(spec.resources.as_ref()));
    sum.add(&Resources::read(spec.overhead.as_ref()));
    sum.set("pods", 1000);
    sum
}

/// Requests, and limits where there is no request: the API server fills those in, and a manifest may not have met it.
fn requested(resources: Option<&ResourceRequirements>) -> Resources {
    let mut requested = Resources::read(resources.and_then(|all| all.limits.as_ref()));
    requested.overlay(&Resources::read(resources.and_then(|all| all.requests.as_ref())));
    requested
}

fn placement(namespace: &str, spec: &PodSpec) -> PlacementRules {
    let mut rules = PlacementRules {
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        tolerations: tolerations(spec),
        host_ports: host_ports(spec),
        ..PlacementRules::default()
    };
    if let Some(affinity) = &spec.affinity {
        read_affinity(namespace, affinity, &mut rules);
    }
    let mut spread = spec.topology_spread_constraints.iter().flatten();
    if spread.any(|constraint| constraint.when_unsatisfiable == "DoNotSchedule") {
        rules.unjudged.push("topology spread constraints");
    }
    if spec.resource_claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
        rules.unjudged.push("claims of devices");
    }
    rules
}

fn read_affinity(namespace: &str, affinity: &Affinity, rules: &mut PlacementRules) {
    let nodes = affinity.node_affinity.as_ref();
    let required = nodes.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution.as_ref());
    rules.node_affinities.extend(required.map(NodeMatcher::read));
    let pods = affinity.pod_affinity.as_ref();
    let required = pods.and_then(|pods| pods.required_during_scheduling_ignored_during_execution.as_ref());
    if required.is_some_and(|terms| !terms.is_empty()) {
        rules.unjudged.push("required pod affinity");
    }
    let away = affinity.pod_anti_affinity.as_ref();
    let terms = away.and_then(|away| away.required_during_scheduling_ignored_during_execution.as_ref());
    for term in terms.into_iter().flatten() {
        let keys = [&term.match_label_keys, &term.mismatch_label_keys];
        let by_keys = keys
            .iter()
            .any(|keys| keys.as_ref().is_some_and(|keys| !keys.is_empty()));
        if term.namespace_selector.is_some() || by_keys {
            rules.unjudged.push("anti-affinity by namespaces or label keys");
            continue;
        }
        let named = term.namespaces.clone().unwrap_or_default();
        rules.anti_affinities.push(AntiAffinity {
            topology_key: term.topology_key.clone(),
            pods: LabelMatcher::read(term.label_selector.as_ref()),
            namespaces: if named.is_empty() {
                vec![namespace.to_owned()]
            } else {
                named
            },
        });
    }
}

fn tolerations(spec: &PodSpec) -> Vec<PodToleration> {
    let tolerations = spec.tolerations.iter().flatten();
    let some = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    tolerations
        .map(|toleration| PodToleration {
            key: some(&toleration.key),
            value: match toleration.operator.as_deref() {
                Some("Exists") => None,
                _ => Some(toleration.value.clone().unwrap_or_default()),
            },
            effect: some(&toleration.effect),
        })
        .collect()
}

fn host_ports(spec: &PodSpec) -> Vec<(String, u16)> {
    let ports = spec.containers.iter().flat_map(|one| one.ports.iter().flatten());
    ports
        .filter_map(|port| {
            // Pods on the host's network have their container ports there, set by the API server as host ports.
            let number = u16::try_from(port.host_port?).ok().filter(|port| *port > 0)?;
            Some((port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()), number))
        })
        .collect()
}

/// Reads a budget.
pub fn budget(object: PodDisruptionBudget) -> ObservedBudget {
    let status = object.status.unwrap_or_default();
    let selector = object.spec.and_then(|spec| spec.selector);
    ObservedBudget {
        name: full_name(&object.metadata),
        pods: LabelMatcher::read(selector.as_ref()),
        disruptions_allowed: status.disruptions_allowed,
        desired_healthy: status.desired_healthy,
        current_healthy: status.current_healthy,
    }
}

/// Joins claims with the volumes that they are bound to, as far as those have a node affinity.
pub fn bound_volumes(
    claims: Vec<PersistentVolumeClaim>,
    volumes: Vec<PersistentVolume>,
) -> BTreeMap<NamespacedName, ObservedVolume> {
    let volumes: BTreeMap<String, ObservedVolume> = volumes
        .into_iter()
        .filter_map(|object| Some((object.metadata.name.clone()?, volume(object)?)))
        .collect();
    let bound = claims.into_iter().filter_map(|claim| {
        let name = full_name(&claim.metadata);
        let volume = volumes.get(&claim.spec?.volume_name?)?;
        Some((name, volume.clone()))
    });
    bound.collect()
}

fn volume(object: PersistentVolume) -> Option<ObservedVolume> {
    let spec = object.spec?;
    let required = spec.node_affinity.and_then(|affinity| affinity.required);
    let nodes = NodeMatcher::read(&required?);
    Some(ObservedVolume {
        name: object.metadata.name.unwrap_or_default(),
        is_local: spec.local.is_some() || spec.host_path.is_some() || nodes.names_hosts(),
        nodes,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: serde_json::Value) -> ObservedPod {
        let object = json!({ "metadata": { "name": "p", "namespace": "n" }, "spec": spec });
        pod(serde_json::from_value(object).expect("a pod"))
    }

    #[test]
    fn requests_are_counted_as_the_scheduler_counts_them() {
        let of = |cpu: &str| json!({ "requests": { "cpu": cpu } });
        let pod = read(json!({
            "initContainers": [
                { "name": "i1", "resources": of("3") },
                { "name": "side", "restartPolicy": "Always", "resources": of("500m") },
                { "name": "i2", "resources": of("3") },
            ],
            "containers": [{ "name": "a", "resources": of("1") }, { "name": "b", "resources": { "limits": { "cpu": "1" } } }],
            "overhead": { "cpu": "250m" },
        }));
        // The last init container runs beside the sidecar: 3.5, more than 1 + 1 + 0.5; then the overhead.
        assert_eq!(pod.requests.get("cpu"), 3750);
        let whole = read(json!({ "containers": [{ "name": "a", "resources": of("1") }], "resources": of("4") }));
        assert_eq!(whole.requests.get("cpu"), 4000);
        assert_eq!(whole.requests.get("pods"), 1000);
    }

    #[test]
    fn volumes_and_claims_are_told_apart() {
        let pod = read(json!({
            "containers": [],
            "volumes": [
                { "name": "tmp", "emptyDir": {} },
                { "name": "log", "hostPath": { "path": "/var/log" } },
                { "name": "data", "persistentVolumeClaim": { "claimName": "data-0" } },
                { "name": "scratch", "ephemeral": { "volumeClaimTemplate": { "spec": {} } } },
                { "name": "config", "configMap": { "name": "c" } },
            ],
        }));
        let shown: Vec<String> = pod.volumes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["emptyDir tmp", "hostPath /var/log"]);
        assert_eq!(pod.claims, ["data-0", "p-scratch"]);
    }

    #[test]
    fn a_volume_of_one_host_is_local_and_one_of_a_zone_is_not() {
        let of = |key: &str, extra: serde_json::Value| {
            let mut object = json!({ "metadata": { "name": "pv" }, "spec": { "nodeAffinity": { "required": {
                "nodeSelectorTerms": [{ "matchExpressions": [{ "key": key, "operator": "In", "values": ["x"] }] }] } } } });
            object["spec"]
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            volume(serde_json::from_value(object).expect("a volume"))
                .expect("an affinity")
                .is_local
        };
        assert!(of("kubernetes.io/hostname", json!({})));
        assert!(of("example.org/rack", json!({ "local": { "path": "/mnt/disk" } })));
        assert!(!of("topology.kubernetes.io/zone", json!({})));
    }

    #[test]
    fn readiness_is_unreachable_without_word_from_the_kubelet() {
        let of = |status: serde_json::Value| {
            node(serde_json::from_value(json!({ "metadata": {}, "status": status })).expect("a node")).readiness
        };
        let with = |status: &str| json!({ "conditions": [{ "type": "Ready", "status": status }] });
        assert_eq!(of(with("True")), NodeReadiness::Ready);
        assert_eq!(of(with("False")), NodeReadiness::NotReady);
        assert_eq!(of(with("Unknown")), NodeReadiness::Unreachable);
        assert_eq!(of(json!({})), NodeReadiness::Unreachable);
    }
}
