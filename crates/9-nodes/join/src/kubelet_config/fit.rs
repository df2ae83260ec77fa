//! Fit of a cluster's configuration to a node: fields of it with which the kubelet would not start beside those of the image
//! and of the NodeConfig are left out.
//!
//! The rules are those that a NodeConfig is checked by. The image and a NodeConfig that was accepted pass them without any
//! field of the cluster. So fields are left out until all rules are passed: the one that most objections are for, two that only
//! count together, and at last all.

use std::fmt;

use basalt_node_config::{KubeletMinor, kubelet_objections};
use serde_json::{Map, Value};

use super::gates::PREFIX;
use super::layers::NodeLayers;
use super::merge::without_zeros;

/// Field of the cluster's configuration that does not go with a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfitField {
    /// Field, or a feature gate: `featureGates.MemoryQoS`.
    pub field: String,
    /// Objection to it.
    pub reason: String,
}

impl fmt::Display for UnfitField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.field, self.reason)
    }
}

/// The configuration of a cluster without the fields that do not go with a node, and those fields.
pub(super) fn fit(
    cluster: &Map<String, Value>,
    layers: &NodeLayers,
    kubelet: KubeletMinor,
) -> (Map<String, Value>, Vec<UnfitField>) {
    let judge = Judge::new(layers, kubelet);
    let (mut left, mut unfit_fields) = (cluster.clone(), Vec::new());
    loop {
        let objections = judge.objections(&left);
        let Some(first) = objections.first() else { break };
        let (out, after) = judge.way_out(&left, objections.len());
        if out.is_empty() {
            break;
        }
        let reason = objections.iter().find(|objection| !after.contains(objection));
        let reason = reason.unwrap_or(first);
        unfit_fields.extend(out.iter().map(|field| UnfitField {
            field: field.clone(),
            reason: reason.clone(),
        }));
        left = without(&left, &out);
    }
    (left, unfit_fields)
}

/// Judge of configurations with the layers of a node around them.
struct Judge<'l> {
    layers: &'l NodeLayers,
    kubelet: KubeletMinor,
    /// Objections that the cluster has no part in.
    own: Vec<String>,
}

impl<'l> Judge<'l> {
    fn new(layers: &'l NodeLayers, kubelet: KubeletMinor) -> Self {
        let mut judge = Self {
            layers,
            kubelet,
            own: Vec::new(),
        };
        judge.own = judge.objections(&Map::new());
        judge
    }

    /// Objections to a cluster's configuration. Zeros of it stand for the kubelet's defaults.
    fn objections(&self, cluster: &Map<String, Value>) -> Vec<String> {
        let set = cluster
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), without_zeros(value)?)));
        let merged = self.layers.around(&set.collect());
        let mut objections = kubelet_objections(self.kubelet, &merged);
        objections.retain(|objection| !self.own.contains(objection));
        objections
    }

    /// Fields without which there are fewer objections, as few fields as possible, and what is objected to without them. No
    /// field is left when there is no such way.
    fn way_out(&self, cluster: &Map<String, Value>, number: usize) -> (Vec<String>, Vec<String>) {
        let names = names(cluster);
        let singles = names.iter().map(|name| vec![name.clone()]);
        let pairs = names.iter().enumerate().flat_map(|(index, one)| {
            let others = names.iter().skip(index + 1);
            others.map(move |other| vec![one.clone(), other.clone()])
        });
        let best = self.best(cluster, singles, number);
        let best = best.or_else(|| self.best(cluster, pairs, number));
        best.unwrap_or_else(|| {
            let all: Vec<_> = cluster.keys().cloned().collect();
            (all, Vec::new())
        })
    }

    /// The first of the ways that leave the fewest objections, if they are fewer than so many. None is judged after one that
    /// leaves no objection.
    fn best(
        &self,
        cluster: &Map<String, Value>,
        ways: impl Iterator<Item = Vec<String>>,
        number: usize,
    ) -> Option<(Vec<String>, Vec<String>)> {
        let mut best = None;
        let mut fewest = number;
        for out in ways {
            let after = self.objections(&without(cluster, &out));
            if after.len() < fewest {
                fewest = after.len();
                best = Some((out, after));
            }
            if fewest == 0 {
                break;
            }
        }
        best
    }
}

/// Names of the fields and feature gates of a configuration.
fn names(configuration: &Map<String, Value>) -> Vec<String> {
    let gates = configuration.get("featureGates").and_then(Value::as_object);
    let gates = gates
        .into_iter()
        .flat_map(Map::keys)
        .map(|gate| format!("{PREFIX}{gate}"));
    gates.chain(configuration.keys().cloned()).collect()
}

/// A configuration without these fields.
fn without(configuration: &Map<String, Value>, names: &[String]) -> Map<String, Value> {
    let mut left = configuration.clone();
    for name in names {
        if let Some(gate) = name.strip_prefix(PREFIX) {
            if let Some(Value::Object(gates)) = left.get_mut("featureGates") {
                gates.remove(gate);
            }
        } else {
            left.remove(name);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            _ => panic!("not an object"),
        }
    }

    /// Layers with settings of a NodeConfig, and some of an image.
    fn layers(own: Value) -> NodeLayers {
        NodeLayers {
            defaults: object(json!({
                "enableSystemLogQuery": true,
                "kubeReserved": { "cpu": "80m", "memory": "900Mi" },
                "shutdownGracePeriod": "30s",
                "shutdownGracePeriodCriticalPods": "10s",
            })),
            fixed: object(json!({
                "authentication": { "x509": { "clientCAFile": "/run/ca" } },
                "cgroupDriver": "systemd",
                "mergeDefaultEvictionSettings": true,
            })),
            own: object(own),
            extra: Map::new(),
        }
    }

    /// Rest of a cluster's configuration, and words about the fields that went.
    fn fitted(cluster: Value, layers: &NodeLayers, kubelet: KubeletMinor) -> (Value, Vec<String>) {
        let (left, unfit_fields) = fit(&object(cluster), layers, kubelet);
        (
            Value::Object(left),
            unfit_fields.iter().map(ToString::to_string).collect(),
        )
    }

    #[test]
    fn what_goes_with_the_node_stays() {
        let cluster = json!({
            "maxPods": 50, "shutdownGracePeriod": "0s", "logging": { "flushFrequency": 0, "verbosity": 0 },
            "cpuManagerPolicy": "static", "cpuManagerPolicyOptions": { "full-pcpus-only": "true" },
            "evictionSoft": { "memory.available": "1Gi" }, "evictionSoftGracePeriod": { "memory.available": "1m" },
            "featureGates": { "GracefulNodeShutdown": false, "GracefulNodeShutdownBasedOnPodPriority": false,
                "WindowsGracefulNodeShutdown": false },
        });
        for kubelet in KubeletMinor::ALL {
            let (left, said) = fitted(cluster.clone(), &layers(json!({})), kubelet);
            assert_eq!((left, said), (cluster.clone(), Vec::new()), "{kubelet}");
        }
    }

    #[test]
    fn a_grace_period_of_the_node_takes_the_place_of_those_by_priority() {
        let by_priority = json!({
            "maxPods": 50,
            "shutdownGracePeriodByPodPriority": [{ "priority": 0, "shutdownGracePeriodSeconds": 60 }],
        });
        let own = layers(json!({ "shutdownGracePeriod": "20s", "shutdownGracePeriodCriticalPods": "5s" }));
        let (left, said) = fitted(by_priority.clone(), &own, KubeletMinor::V1_37);
        assert_eq!(left, json!({ "maxPods": 50 }));
        assert_eq!(
            said,
            [
                "`shutdownGracePeriodByPodPriority` (grace periods are given by priority and as `shutdownGracePeriod` as well)"
            ]
        );
        // The image's own yields.
        let (left, said) = fitted(by_priority.clone(), &layers(json!({})), KubeletMinor::V1_37);
        assert_eq!((left, said), (by_priority, Vec::new()));
        // And the other way round.
        let extra = NodeLayers {
            defaults: Map::new(),
            extra: object(json!({ "shutdownGracePeriodByPodPriority": [{ "priority": 0 }] })),
            ..layers(json!({}))
        };
        let (left, _) = fitted(json!({ "shutdownGracePeriod": "20s" }), &extra, KubeletMinor::V1_37);
        assert_eq!(left, json!({}));
    }

    #[test]
    fn each_contradiction_costs_the_cluster_its_field() {
        for (cluster, own, gone) in [
            (
                json!({ "cpuManagerPolicy": "static", "cpuManagerPolicyOptions": { "full-pcpus-only": "true" } }),
                json!({ "cpuManagerPolicy": "none" }),
                vec!["cpuManagerPolicyOptions"],
            ),
            (
                json!({ "featureGates": { "ClusterTrustBundle": false, "ClusterTrustBundleProjection": false } }),
                json!({ "featureGates": { "ClusterTrustBundleProjection": true } }),
                vec!["featureGates.ClusterTrustBundle"],
            ),
            (
                json!({ "featureGates": { "RotateKubeletServerCertificate": false } }),
                json!({ "serverTLSBootstrap": true }),
                vec!["featureGates.RotateKubeletServerCertificate"],
            ),
            // A control group that the image does not have.
            (
                json!({ "cgroupRoot": "/pods", "maxPods": 50 }),
                json!({}),
                vec!["cgroupRoot"],
            ),
            // Two that only count together.
            (
                json!({ "enforceNodeAllocatable": ["pods", "kube-reserved"], "kubeReservedCgroup": "/system.slice" }),
                json!({ "reservedSystemCPUs": "0" }),
                vec!["enforceNodeAllocatable", "kubeReservedCgroup"],
            ),
            (
                json!({ "userNamespaces": { "idsPerPod": 16_777_216 } }),
                json!({ "maxPods": 1000 }),
                vec!["userNamespaces"],
            ),
        ] {
            let (_, unfit_fields) = fit(&object(cluster.clone()), &layers(own), KubeletMinor::V1_37);
            let mut fields: Vec<_> = unfit_fields.iter().map(|unfit| unfit.field.as_str()).collect();
            fields.sort_unstable();
            assert_eq!(fields, gone, "{cluster}: {unfit_fields:?}");
        }
    }

    #[test]
    fn fields_of_a_newer_cluster_go_whose_gates_are_off_in_an_older_kubelet() {
        let cluster = json!({ "cpuCFSQuotaPeriod": "5ms", "maxPods": 50 });
        let (left, said) = fitted(cluster.clone(), &layers(json!({})), KubeletMinor::V1_35);
        assert_eq!(left, json!({ "maxPods": 50 }));
        assert!(said[0].contains("`CustomCPUCFSQuotaPeriod`, which is off"), "{said:?}");
        assert_eq!(
            fitted(cluster.clone(), &layers(json!({})), KubeletMinor::V1_37).0,
            cluster
        );
    }

    proptest! {
        /// Whatever a cluster says: what is left goes with the node.
        #[test]
        fn nothing_is_objected_to_in_the_end(
            pairs in proptest::collection::btree_map(
                prop_oneof![
                    Just("maxPods"), Just("cpuManagerPolicyOptions"), Just("featureGates"), Just("evictionSoft"),
                    Just("cgroupRoot"), Just("reservedMemory"), Just("memoryManagerPolicy"),
                ],
                prop_oneof![
                    Just(json!(null)), Just(json!(-1)), Just(json!("Static")), Just(json!({ "a": true })),
                    Just(json!({ "memory.available": "1Gi" })), Just(json!({ "GracefulNodeShutdown": false })), Just(json!([])),
                ],
                0..5,
            ),
        ) {
            let cluster = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            let layers = layers(json!({ "maxPods": 60, "shutdownGracePeriod": "20s" }));
            let (left, _) = fit(&cluster, &layers, KubeletMinor::V1_36);
            prop_assert!(Judge::new(&layers, KubeletMinor::V1_36).objections(&left).is_empty());
        }
    }
}
