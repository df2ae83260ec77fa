//! Fields of KubeletConfiguration, and the minor version of the kubelet that each came with.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::skew::KubernetesVersion;

/// One field per line: its path, and the minor that it came with, if that is not older than all that are listed. Made by
/// `tests/oracle/kubelet-fields.py` from the types of the Go module k8s.io/kubelet.
const FIELDS: &str = include_str!("fields.txt");

/// Newest minor of the table.
pub(super) const NEWEST: u32 = 37;

/// A field or a feature gate of the cluster's configuration that the kubelet does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedField {
    /// Path: `memorySwap.swapBehavior`, `featureGates.MemoryQoS`.
    pub path: String,
    /// Minor version that it came with; `None` for one that no newer known kubelet has either.
    pub since: Option<u32>,
    /// Last minor version that had it, where no newer kubelet does.
    #[serde(default)]
    pub until: Option<u32>,
}

impl std::fmt::Display for DroppedField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, since, until } = self;
        let is_gate = path.starts_with(super::gates::PREFIX);
        match (since, until) {
            (Some(minor), _) => write!(f, "`{path}` (since Kubernetes 1.{minor})"),
            (None, Some(minor)) => write!(f, "`{path}` (until Kubernetes 1.{minor})"),
            (None, None) if is_gate => write!(
                f,
                "`{path}` (not a feature gate of the kubelet up to Kubernetes 1.{NEWEST})"
            ),
            (None, None) => write!(f, "`{path}` (not a field up to Kubernetes 1.{NEWEST})"),
        }
    }
}

/// Entry of a field in the table: minor that it came with, 0 for one that is older than the table.
fn since(path: &str) -> Option<u32> {
    FIELDS.lines().find_map(|line| {
        let (name, minor) = line.split_once(' ').unwrap_or((line, "0"));
        (name == path).then(|| minor.parse().unwrap_or(0))
    })
}

/// `true` if the table lists what is below a field.
fn is_listed_below(path: &str) -> bool {
    FIELDS
        .lines()
        .any(|line| line.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// Takes the fields away that a kubelet does not have.
pub(super) fn drop_unknown(configuration: &mut Map<String, Value>, kubelet: KubernetesVersion) -> Vec<DroppedField> {
    let mut dropped = Vec::new();
    drop_below(configuration, "", kubelet.minor, &mut dropped);
    dropped
}

fn drop_below(object: &mut Map<String, Value>, prefix: &str, minor: u32, dropped: &mut Vec<DroppedField>) {
    object.retain(|key, value| {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        if prefix.is_empty() && matches!(key.as_str(), "apiVersion" | "kind") {
            return true;
        }
        let since = since(&path);
        if since.is_none_or(|since| since > minor) {
            dropped.push(DroppedField {
                path,
                since,
                until: None,
            });
            return false;
        }
        if is_listed_below(&path) {
            match value {
                Value::Object(inner) => drop_below(inner, &path, minor, dropped),
                Value::Array(items) => {
                    let objects = items.iter_mut().filter_map(Value::as_object_mut);
                    objects.for_each(|inner| drop_below(inner, &path, minor, dropped));
                }
                _ => {}
            }
        }
        true
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dropped(configuration: Value, minor: u32) -> (Value, Vec<String>) {
        let Value::Object(mut configuration) = configuration else {
            panic!("not an object")
        };
        let kubelet = KubernetesVersion {
            major: 1,
            minor,
            patch: 0,
        };
        let dropped = drop_unknown(&mut configuration, kubelet);
        (
            Value::Object(configuration),
            dropped.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn fields_that_are_too_new_go_and_are_named() {
        let configuration = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "maxPods": 50,
            "tlsCurvePreferences": ["X25519"],
            "defaultPodSysctls": { "a": "b" },
            "memorySwap": { "swapBehavior": "NoSwap", "later": 1 },
            "reservedMemory": [{ "numaNode": 0, "later": 1 }],
            "logging": { "options": { "anything": 1 } },
            "madeUp": true,
        });
        let (rest, names) = dropped(configuration.clone(), 36);
        assert_eq!(
            names,
            [
                "`defaultPodSysctls` (since Kubernetes 1.37)",
                "`madeUp` (not a field up to Kubernetes 1.37)",
                "`memorySwap.later` (not a field up to Kubernetes 1.37)",
                "`reservedMemory.later` (not a field up to Kubernetes 1.37)",
            ]
        );
        assert_eq!(rest["memorySwap"], json!({ "swapBehavior": "NoSwap" }));
        assert_eq!(rest["reservedMemory"], json!([{ "numaNode": 0 }]));
        assert_eq!(rest["logging"]["options"]["anything"], 1);
        let (_, names) = dropped(configuration, 35);
        assert!(
            names.contains(&"`tlsCurvePreferences` (since Kubernetes 1.36)".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn the_table_is_whole() {
        assert!(FIELDS.lines().count() > 140);
        for known in [
            "clusterDNS",
            "cgroupDriver",
            "authentication.x509.clientCAFile",
            "providerID",
        ] {
            assert_eq!(since(known), Some(0), "{known}");
        }
        assert_eq!(since("tlsCurvePreferences"), Some(36));
        let newest = FIELDS
            .lines()
            .filter_map(|line| line.split_once(' ')?.1.parse().ok())
            .max();
        assert_eq!(newest, Some(NEWEST));
    }
}
