//! Probe pods: a small pod on a replacement, whose readiness shows that sandboxes, the pod network and pulls work there.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;

use crate::api::{ClusterApi, MANAGER, failed};
use crate::error::MigrateError;
use crate::facts::ProbeState;
use crate::model::NamespacedName;

/// Label of probe pods.
pub(crate) const LABEL: &str = "basalt.dev/migrate-probe";

/// Annotation with the name of the node that is migrated.
const FOR: &str = "basalt.dev/migrate-probe-for";

/// Probe pod of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ObservedProbe {
    /// Namespace and name.
    pub(crate) name: NamespacedName,
    /// Unique identifier.
    pub(crate) uid: String,
    /// Node that is migrated.
    pub(crate) migrated: String,
    /// State; never `Absent`.
    pub(crate) state: ProbeState,
}

/// Reads all probe pods.
pub(crate) async fn list(api: &ClusterApi, namespace: &str) -> Result<Vec<ObservedProbe>, MigrateError> {
    let pods = api.labelled_pods(namespace, LABEL).await?;
    Ok(pods.into_iter().map(observe).collect())
}

fn observe(pod: Pod) -> ObservedProbe {
    let annotations = pod.metadata.annotations.clone().unwrap_or_default();
    ObservedProbe {
        name: NamespacedName::new(
            pod.metadata.namespace.clone().unwrap_or_default(),
            pod.metadata.name.clone().unwrap_or_default(),
        ),
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        migrated: annotations.get(FOR).cloned().unwrap_or_default(),
        state: state(&pod),
    }
}

fn state(pod: &Pod) -> ProbeState {
    if pod.metadata.deletion_timestamp.is_some() {
        return ProbeState::Ending;
    }
    let Some(status) = &pod.status else {
        return ProbeState::Pending {
            reason: "it was not seen by the scheduler yet".to_owned(),
        };
    };
    let text = |reason: &Option<String>, message: &Option<String>| match (reason, message) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    let phase = status.phase.as_deref().unwrap_or("Pending");
    if matches!(phase, "Failed" | "Succeeded") {
        let reason = text(&status.reason, &status.message).unwrap_or_else(|| format!("it ended ({phase})"));
        return ProbeState::Failed { reason };
    }
    let conditions = || status.conditions.iter().flatten();
    if conditions().any(|condition| condition.type_ == "Ready" && condition.status == "True") {
        return ProbeState::Ready;
    }
    let containers = status.container_statuses.iter().flatten();
    let mut waiting = containers.filter_map(|container| container.state.as_ref()?.waiting.as_ref());
    let of_container = waiting.find_map(|waiting| text(&waiting.reason, &waiting.message));
    let of_scheduler = || {
        let mut failed = conditions().filter(|one| one.type_ == "PodScheduled" && one.status == "False");
        failed.find_map(|condition| text(&condition.reason, &condition.message))
    };
    ProbeState::Pending {
        reason: of_container.or_else(of_scheduler).unwrap_or_else(|| phase.to_owned()),
    }
}

/// Creates the probe pod of a node. One that is there already is left: the name follows from the node's identifier.
pub(crate) async fn create(
    api: &ClusterApi,
    namespace: &str,
    image: &str,
    migrated: (&str, &str),
    replacement: &str,
) -> Result<(), MigrateError> {
    let (node, uid) = migrated;
    // Admitted by the Pod Security Standard `restricted`. It tolerates every taint: pools of nodes have theirs.
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{MANAGER}-probe-{uid}"),
            "namespace": namespace,
            "labels": { LABEL: "true" },
            "annotations": { FOR: node },
        },
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
                { "matchFields": [{ "key": "metadata.name", "operator": "In", "values": [replacement] }] },
            ] } } },
            "tolerations": [{ "operator": "Exists" }],
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65534, "runAsGroup": 65534,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "probe", "image": image, "imagePullPolicy": "IfNotPresent",
                "resources": { "requests": { "cpu": "1m", "memory": "8Mi" } },
                "securityContext": {
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    });
    let action = || format!("create the probe pod for node {node}");
    let pod: Pod = serde_json::from_value(pod)
        .map_err(kube::Error::SerdeError)
        .map_err(failed(action()))?;
    api.may_write()?;
    let pods = Api::<Pod>::namespaced(api.client(), namespace);
    match pods
        .create(&PostParams::default(), &pod)
        .await
        .map_err(failed(action()))
    {
        Err(error) if error.is_conflict() => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: serde_json::Value) -> ProbeState {
        state(&serde_json::from_value(json!({ "metadata": {}, "status": status })).expect("a pod"))
    }

    #[test]
    fn a_pending_probe_names_its_reason() {
        let pending = |reason: &str| ProbeState::Pending {
            reason: reason.to_owned(),
        };
        let waiting = json!({ "phase": "Pending", "containerStatuses": [{ "name": "probe", "image": "i", "imageID": "",
            "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ErrImagePull", "message": "no such host" } } }] });
        assert_eq!(read(waiting), pending("ErrImagePull: no such host"));
        let unscheduled = json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes" }] });
        assert_eq!(read(unscheduled), pending("Unschedulable: 0/2 nodes"));
        assert_eq!(read(json!({})), pending("Pending"));
    }

    #[test]
    fn readiness_and_failure_are_told_apart() {
        let ready = json!({ "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] });
        assert_eq!(read(ready), ProbeState::Ready);
        let failed = ProbeState::Failed {
            reason: "OutOfcpu".to_owned(),
        };
        assert_eq!(read(json!({ "phase": "Failed", "reason": "OutOfcpu" })), failed);
    }
}
