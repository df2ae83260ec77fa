//! Nodes, as the API server describes them.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;

use crate::AccessError;

/// Name of a node: a DNS subdomain (RFC 1123), which is safe in a path of the API and in an argument.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct NodeName(String);

impl NodeName {
    /// Text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for NodeName {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let is_letter = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_label = |label: &str| {
            !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_letter)
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            return Ok(Self(text.to_owned()));
        }
        Err(AccessError::Name { name: text.to_owned() })
    }
}

/// Facts of a Node object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeInfo {
    /// Name.
    pub name: String,
    /// Condition Ready; `None` when the kubelet has not reported for a while, or never.
    pub ready: Option<bool>,
    /// `true` if no pods are scheduled to it (`kubectl cordon`).
    pub cordoned: bool,
    /// Id of its last known boot.
    pub boot_id: String,
    /// Operating system, as `Basalt Linux 1`.
    pub os: String,
    /// Architecture, as Go names it: `amd64`.
    pub architecture: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Version of the kubelet.
    pub kubelet: String,
    /// Address inside the cluster.
    pub address: Option<String>,
}

impl NodeInfo {
    /// Reads a Node object.
    ///
    /// # Errors
    /// [`AccessError::Answer`] for an object without a name.
    pub fn parse(node: &Value) -> Result<Self, AccessError> {
        let name = text(node, "/metadata/name").ok_or(AccessError::Answer {
            what: "a Node object",
            reason: "it has no metadata.name".to_owned(),
        })?;
        let info = |key: &str| text(node, &format!("/status/nodeInfo/{key}")).unwrap_or_default();
        Ok(Self {
            name,
            ready: ready(node),
            cordoned: node.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true),
            boot_id: info("bootID"),
            os: info("osImage"),
            architecture: info("architecture"),
            kernel: info("kernelVersion"),
            kubelet: info("kubeletVersion"),
            address: address(node),
        })
    }

    /// Checks for a node of this distribution, which carries Basalt's agent and the pause image.
    pub fn is_basalt(&self) -> bool {
        self.os.starts_with("Basalt Linux")
    }

    /// State in a word, as `kubectl get nodes` shows it.
    pub fn state(&self) -> &'static str {
        match (self.ready, self.cordoned) {
            (Some(true), false) => "Ready",
            (Some(true), true) => "Ready,SchedulingDisabled",
            (Some(false), _) => "NotReady",
            (None, _) => "Unknown",
        }
    }
}

/// Text at a JSON pointer.
pub(crate) fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// Elements at a JSON pointer.
pub(crate) fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn ready(node: &Value) -> Option<bool> {
    let is_ready = |condition: &&Value| condition.pointer("/type").and_then(Value::as_str) == Some("Ready");
    let condition = list(node, "/status/conditions").find(is_ready)?;
    match condition.pointer("/status").and_then(Value::as_str) {
        Some("True") => Some(true),
        Some("False") => Some(false),
        _ => None,
    }
}

fn address(node: &Value) -> Option<String> {
    let is_internal = |address: &&Value| address.pointer("/type").and_then(Value::as_str) == Some("InternalIP");
    let address = list(node, "/status/addresses").find(is_internal)?;
    text(address, "/address")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_dns_subdomains() {
        for name in ["node-1", "a", "ip-10-0-0-1.eu-west-1.compute.internal", "0a"] {
            assert_eq!(name.parse::<NodeName>().expect(name).as_str(), name);
        }
        let long = "a".repeat(254);
        for name in [
            "", "Node", "a_b", "-a", "a-", "a..b", "../x", "a/b", "a b", "--all", "a?x", &long,
        ] {
            assert!(name.parse::<NodeName>().is_err(), "{name}");
        }
    }

    #[test]
    fn nodes_are_read() {
        let node = json!({
            "metadata": { "name": "node-1" },
            "spec": { "unschedulable": true },
            "status": {
                "conditions": [{ "type": "MemoryPressure", "status": "False" }, { "type": "Ready", "status": "True" }],
                "addresses": [{ "type": "Hostname", "address": "node-1" }, { "type": "InternalIP", "address": "10.87.0.11" }],
                "nodeInfo": { "bootID": "b", "osImage": "Basalt Linux 1", "architecture": "amd64" },
            },
        });
        let info = NodeInfo::parse(&node).expect("a node");
        assert_eq!((info.ready, info.cordoned), (Some(true), true));
        assert_eq!(info.address.as_deref(), Some("10.87.0.11"));
        assert_eq!(info.state(), "Ready,SchedulingDisabled");
        assert!(info.is_basalt());
        let unknown = json!({ "metadata": { "name": "n" }, "status": { "conditions": [{ "type": "Ready", "status": "Unknown" }] } });
        let info = NodeInfo::parse(&unknown).expect("a node");
        assert_eq!((info.ready, info.state(), info.is_basalt()), (None, "Unknown", false));
        assert!(NodeInfo::parse(&json!({})).is_err());
    }
}
