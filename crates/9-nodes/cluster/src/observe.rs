//! Observation of a cluster from outside, through its API server.

use serde_json::Value;

use crate::ClusterError;
use crate::api::Api;
use crate::stage::{Seen, Stage, Workload};

/// Name of the web server's Deployment and of its Service.
pub(crate) const WEB: &str = "web";

const APPS: &str = "/apis/apps/v1/namespaces";

/// Updates the observations that the stage depends on.
pub(crate) fn look(api: &Api, stage: Stage, seen: &mut Seen) -> Result<(), ClusterError> {
    match stage {
        Stage::ControlPlane => {
            seen.api_ready = api.is_ready();
            if !seen.api_ready {
                seen.api_checks = api.passed_checks();
            }
        }
        Stage::Nodes => seen.nodes = nodes(&api.get("/api/v1/nodes")?),
        Stage::Network => {
            seen.system = vec![
                daemon_set(
                    "flannel",
                    api.find(&format!("{APPS}/kube-system/daemonsets/flannel"))?.as_ref(),
                ),
                daemon_set(
                    "kube-proxy",
                    api.find(&format!("{APPS}/kube-system/daemonsets/kube-proxy"))?.as_ref(),
                ),
                deployment(
                    "coredns",
                    api.find(&format!("{APPS}/kube-system/deployments/coredns"))?.as_ref(),
                ),
            ];
        }
        Stage::WebServer => {
            seen.web = deployment(WEB, api.find(&format!("{APPS}/default/deployments/{WEB}"))?.as_ref());
        }
        // These stages need an action, not an observation.
        Stage::Objects | Stage::Answer => {}
    }
    Ok(())
}

/// Names of the nodes in a list, each with its condition Ready.
pub(crate) fn nodes(list: &Value) -> Vec<(String, bool)> {
    array(list, "/items")
        .iter()
        .map(|node| (text(node, "/metadata/name"), is_ready(node)))
        .collect()
}

/// Condition Ready of a node or a pod.
pub(crate) fn is_ready(object: &Value) -> bool {
    array(object, "/status/conditions")
        .iter()
        .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True")
}

fn daemon_set(name: &str, object: Option<&Value>) -> Workload {
    let status = |field: &str| object.map(|object| number(object, &format!("/status/{field}")).unwrap_or_default());
    // As long as no node was counted, none is wanted, which would look like all being there.
    Workload {
        name: name.to_owned(),
        wanted: status("desiredNumberScheduled").filter(|wanted| *wanted > 0),
        ready: status("numberReady").unwrap_or_default(),
    }
}

fn deployment(name: &str, object: Option<&Value>) -> Workload {
    Workload {
        name: name.to_owned(),
        wanted: object.and_then(|object| number(object, "/spec/replicas")),
        ready: object
            .and_then(|object| number(object, "/status/readyReplicas"))
            .unwrap_or_default(),
    }
}

/// Cluster IP of a Service in the namespace `default`; `None` when it does not exist yet.
pub(crate) fn service_address(api: &Api, name: &str) -> Result<Option<std::net::Ipv4Addr>, ClusterError> {
    let service = api.find(&format!("/api/v1/namespaces/default/services/{name}"))?;
    Ok(service.and_then(|service| text(&service, "/spec/clusterIP").parse().ok()))
}

/// Summary of one pod.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Pod {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// Name of the node that runs the pod; empty before it is scheduled.
    pub node: String,
    /// IP address of the pod; empty before it has one.
    pub address: String,
    /// Phase of the pod, or the reason why a container waits.
    pub state: String,
    /// Condition Ready of the pod.
    pub ready: bool,
}

/// Summaries of the pods in a list.
pub(crate) fn pods(list: &Value) -> Vec<Pod> {
    array(list, "/items")
        .iter()
        .map(|pod| Pod {
            namespace: text(pod, "/metadata/namespace"),
            name: text(pod, "/metadata/name"),
            node: text(pod, "/spec/nodeName"),
            address: text(pod, "/status/podIP"),
            state: why_waiting(pod).unwrap_or_else(|| text(pod, "/status/phase")),
            ready: is_ready(pod),
        })
        .collect()
}

fn why_waiting(pod: &Value) -> Option<String> {
    let waiting = array(pod, "/status/containerStatuses")
        .iter()
        .filter_map(|status| status.pointer("/state/waiting"))
        .find(|waiting| waiting.is_object())?;
    let (reason, message) = (text(waiting, "/reason"), text(waiting, "/message"));
    Some(if message.is_empty() {
        reason
    } else {
        format!("{reason}: {message}")
    })
}

/// Name of the node that sent a response of the web server: the value of its line `node`.
pub(crate) fn answering_node(body: &str) -> Option<&str> {
    body.lines().find_map(|line| line.strip_prefix("node ")).map(str::trim)
}

/// The text at a JSON pointer; empty where there is none.
fn text(value: &Value, pointer: &str) -> String {
    let text = value.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The number at a JSON pointer.
fn number(value: &Value, pointer: &str) -> Option<u64> {
    value.pointer(pointer).and_then(Value::as_u64)
}

/// The array at a JSON pointer; empty where there is none.
fn array<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    let array = value.pointer(pointer).and_then(Value::as_array);
    array.map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_are_ready_when_they_say_so() {
        let list = json!({"items": [
            {"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {"name": "b"}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
            {"metadata": {"name": "c"}},
        ]});
        assert_eq!(
            nodes(&list),
            [("a".into(), true), ("b".into(), false), ("c".into(), false)]
        );
        assert_eq!(nodes(&json!({})), []);
    }

    #[test]
    fn workloads_are_counted_once_somebody_counted_them() {
        let fresh = json!({"spec": {}, "status": {"desiredNumberScheduled": 0, "numberReady": 0}});
        assert_eq!(daemon_set("f", Some(&fresh)).wanted, None);
        let begun = json!({"status": {"desiredNumberScheduled": 2, "numberReady": 1}});
        assert_eq!(
            daemon_set("f", Some(&begun)),
            Workload {
                name: "f".into(),
                wanted: Some(2),
                ready: 1
            }
        );
        assert_eq!(daemon_set("f", None).wanted, None);
        let web = json!({"spec": {"replicas": 2}, "status": {}});
        assert_eq!(
            deployment("web", Some(&web)),
            Workload {
                name: "web".into(),
                wanted: Some(2),
                ready: 0
            }
        );
    }

    #[test]
    fn a_pod_says_why_it_waits() {
        let list = json!({"items": [{
            "metadata": {"namespace": "default", "name": "web-1"},
            "spec": {"nodeName": "node-1"},
            "status": {"phase": "Pending", "containerStatuses": [
                {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
            ]},
        }]});
        assert_eq!(pods(&list)[0].state, "ErrImagePull: not found");
    }

    #[test]
    fn the_answer_tells_its_node() {
        let body = "Hello from Basalt Linux\npod      web-1\nnode     node-2\n";
        assert_eq!(answering_node(body), Some("node-2"));
        assert_eq!(answering_node("nothing"), None);
    }
}
