//! Feature gates of the cluster's configuration that a kubelet does not have: it would not start with them.

use basalt_node_config::{KubeletMinor, kubelet_feature_gates};
use serde_json::{Map, Value};

use super::fields::DroppedField;
use crate::skew::KubernetesVersion;

/// Path of feature gates.
pub(super) const PREFIX: &str = "featureGates.";

/// Takes the gates away that a kubelet does not have.
pub(super) fn drop_unknown(configuration: &mut Map<String, Value>, kubelet: KubernetesVersion) -> Vec<DroppedField> {
    let minor = KubeletMinor::nearest(kubelet.minor);
    let Some(Value::Object(gates)) = configuration.get_mut("featureGates") else {
        return Vec::new();
    };
    let mut dropped = Vec::new();
    gates.retain(|name, _| {
        let is_known = has(minor, name);
        if !is_known {
            dropped.push(DroppedField {
                path: format!("{PREFIX}{name}"),
                since: KubeletMinor::ALL
                    .into_iter()
                    .find(|other| *other > minor && has(*other, name))
                    .map(KubeletMinor::number),
                until: KubeletMinor::ALL
                    .into_iter()
                    .rev()
                    .find(|other| *other < minor && has(*other, name))
                    .map(KubeletMinor::number),
            });
        }
        is_known
    });
    dropped
}

fn has(kubelet: KubeletMinor, gate: &str) -> bool {
    kubelet_feature_gates(kubelet).any(|(name, _)| name == gate)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dropped(kubelet: &str) -> (Value, Vec<String>) {
        let gates = json!({
            // Of 1.35 and 1.36, of 1.37 alone, of all, of none.
            "APIServerTracing": true, "DRADeviceCompatibilityGroups": true, "KubeletTracing": true, "Nope": true,
        });
        let mut configuration = Map::from_iter([("featureGates".to_owned(), gates)]);
        let dropped = drop_unknown(&mut configuration, kubelet.parse().unwrap());
        let names = dropped.iter().map(ToString::to_string).collect();
        (configuration.remove("featureGates").unwrap(), names)
    }

    #[test]
    fn gates_that_a_kubelet_does_not_have_go_and_are_named() {
        let nope = "`featureGates.Nope` (not a feature gate of the kubelet up to Kubernetes 1.37)";
        let (left, names) = dropped("v1.35.5");
        assert_eq!(left, json!({ "APIServerTracing": true, "KubeletTracing": true }));
        assert_eq!(
            names,
            [
                "`featureGates.DRADeviceCompatibilityGroups` (since Kubernetes 1.37)",
                nope
            ]
        );
        let (left, names) = dropped("v1.37.2");
        assert_eq!(
            left,
            json!({ "DRADeviceCompatibilityGroups": true, "KubeletTracing": true })
        );
        assert_eq!(names, ["`featureGates.APIServerTracing` (until Kubernetes 1.36)", nope]);
    }

    #[test]
    fn other_configurations_are_left_alone() {
        for gates in [json!(null), json!({}), json!("x")] {
            let mut configuration = Map::from_iter([("featureGates".to_owned(), gates.clone())]);
            assert!(drop_unknown(&mut configuration, "v1.36.3".parse().unwrap()).is_empty());
            assert_eq!(configuration["featureGates"], gates);
        }
    }
}
