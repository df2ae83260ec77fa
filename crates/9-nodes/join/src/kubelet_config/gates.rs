//! Feature gates of the cluster's configuration that a kubelet does not start with: those that it does not have, and those that
//! are locked to another value in it.

use basalt_node_config::{KubeletMinor, kubelet_feature_gates, locked_feature_gate};
use serde_json::{Map, Value};

use super::fields::DroppedField;
use crate::skew::KubernetesVersion;

/// Path of feature gates.
pub(super) const PREFIX: &str = "featureGates.";

/// Takes the gates away that a kubelet does not start with.
pub(super) fn drop_refused(configuration: &mut Map<String, Value>, kubelet: KubernetesVersion) -> Vec<DroppedField> {
    let minor = KubeletMinor::nearest(kubelet.minor);
    let Some(Value::Object(gates)) = configuration.get_mut("featureGates") else {
        return Vec::new();
    };
    let mut dropped = Vec::new();
    gates.retain(|name, value| {
        let refused = if has(minor, name) {
            locked_elsewhere(minor, name, value)
        } else {
            Some(unknown(minor, name))
        };
        let is_taken = refused.is_none();
        dropped.extend(refused);
        is_taken
    });
    dropped
}

/// A gate that a kubelet does not have.
fn unknown(kubelet: KubeletMinor, name: &str) -> DroppedField {
    let all = KubeletMinor::ALL.into_iter();
    let newer = all.clone().find(|other| *other > kubelet && has(*other, name));
    let older = all.rev().find(|other| *other < kubelet && has(*other, name));
    DroppedField {
        path: format!("{PREFIX}{name}"),
        since: newer.map(KubeletMinor::number),
        until: older.map(KubeletMinor::number),
        locked: None,
    }
}

/// A gate of which a kubelet has another value that cannot be changed.
fn locked_elsewhere(kubelet: KubeletMinor, name: &str, value: &Value) -> Option<DroppedField> {
    let locked = locked_feature_gate(kubelet, name).filter(|locked| *value != Value::Bool(*locked))?;
    Some(DroppedField {
        path: format!("{PREFIX}{name}"),
        since: None,
        until: None,
        locked: Some(locked),
    })
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
        let dropped = drop_refused(&mut configuration, kubelet.parse().unwrap());
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
    fn gates_that_are_locked_to_another_value_go_and_are_named() {
        // Stable and locked in all three kubelets; locked since 1.36; with the value that it is locked to.
        let gates =
            json!({ "KubeletTracing": false, "NodeLogQuery": false, "NodeSwap": true, "GracefulNodeShutdown": false });
        for (kubelet, left, names) in [
            (
                "v1.35.5",
                json!({ "NodeLogQuery": false, "NodeSwap": true, "GracefulNodeShutdown": false }),
                vec!["`featureGates.KubeletTracing` (locked to `true`)"],
            ),
            (
                "v1.37.2",
                json!({ "NodeSwap": true, "GracefulNodeShutdown": false }),
                vec![
                    "`featureGates.KubeletTracing` (locked to `true`)",
                    "`featureGates.NodeLogQuery` (locked to `true`)",
                ],
            ),
        ] {
            let mut configuration = Map::from_iter([("featureGates".to_owned(), gates.clone())]);
            let dropped = drop_refused(&mut configuration, kubelet.parse().unwrap());
            let said: Vec<_> = dropped.iter().map(ToString::to_string).collect();
            assert_eq!(said, names, "{kubelet}");
            assert_eq!(configuration["featureGates"], left, "{kubelet}");
            assert!(
                dropped
                    .iter()
                    .all(|field| field.reason().contains("cannot be switched"))
            );
        }
    }

    #[test]
    fn other_configurations_are_left_alone() {
        for gates in [json!(null), json!({}), json!("x")] {
            let mut configuration = Map::from_iter([("featureGates".to_owned(), gates.clone())]);
            assert!(drop_refused(&mut configuration, "v1.36.3".parse().unwrap()).is_empty());
            assert_eq!(configuration["featureGates"], gates);
        }
    }
}
