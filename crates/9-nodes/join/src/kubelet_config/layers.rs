//! Layers of a kubelet's configuration, in the order in which they count.
//!
//! ```text
//! defaults of the image ◀ kubelet-config of the cluster ◀ what the image needs ◀ settings of the NodeConfig
//! ```
//!
//! kubeadm has the same order: its file instance-config.yaml and its patches count before the cluster's configuration, and
//! arguments of the kubelet (`nodeRegistration.kubeletExtraArgs`) before all files. The image's defaults come below, where
//! kubeadm leaves those of the kubelet.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::merge::{overlay, without_zeros};
use super::node::PLACES;

/// Fields of which a default counts only when the cluster sets none of them: the kubelet compares them with each other.
const TOGETHER: &[&[&str]] = &[
    &[
        "shutdownGracePeriod",
        "shutdownGracePeriodCriticalPods",
        "shutdownGracePeriodByPodPriority",
    ],
    &["serializeImagePulls", "maxParallelImagePulls"],
];

/// Thresholds of image garbage collection that the kubelet has where nothing sets them, in percent.
pub(super) const IMAGE_GC_LOW: u64 = 80;
pub(super) const IMAGE_GC_HIGH: u64 = 85;

/// Settings of a node around the configuration of its cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeLayers {
    /// Defaults of the image. Any value of the cluster but zero counts before them.
    pub defaults: Map<String, Value>,
    /// Settings that the image needs: sockets, places of files, authentication.
    pub fixed: Map<String, Value>,
    /// Settings of the NodeConfig. Each takes the place of the whole field, as an argument of the kubelet does.
    pub own: Map<String, Value>,
    /// Fields of `extraConfig`, which are merged key by key.
    pub extra: Map<String, Value>,
}

impl NodeLayers {
    /// The cluster's configuration with these layers around it.
    pub(super) fn around(&self, cluster: &Map<String, Value>) -> Map<String, Value> {
        let says = |key: &str| cluster.get(key).and_then(without_zeros);
        let mut merged = self.defaults.clone();
        for group in TOGETHER {
            if group.iter().any(|key| says(key).is_some()) {
                merged.retain(|key, _| !group.contains(&key.as_str()));
            }
        }
        yield_reservations(&mut merged, cluster);
        let mut theirs = cluster.clone();
        PLACES.iter().for_each(|pointer| remove(&mut theirs, pointer));
        // Zero stands for the kubelet's default in what kubeadm uploads, and the image has one of its own.
        theirs.retain(|key, _| !merged.contains_key(key) || says(key).is_some());
        // One threshold of a NodeConfig was checked with the kubelet's other one.
        if let Some(key) = overtaken_threshold(&self.own, &theirs) {
            theirs.remove(key);
        }
        overlay(&mut merged, &theirs);
        overlay(&mut merged, &self.fixed);
        for (key, value) in &self.own {
            match (merged.get_mut(key), value) {
                // The kubelet merges gates of its arguments and its file, too.
                (Some(Value::Object(gates)), Value::Object(own)) if key == "featureGates" => overlay(gates, own),
                // Times alone are for thresholds of the cluster, each of which has to have one.
                (Some(Value::Object(times)), Value::Object(own))
                    if key == "evictionSoftGracePeriod" && !self.own.contains_key("evictionSoft") =>
                {
                    overlay(times, own);
                }
                _ => drop(merged.insert(key.clone(), value.clone())),
            }
        }
        overlay(&mut merged, &self.extra);
        if merged.get("serverTLSBootstrap") == Some(&Value::Bool(true)) {
            // A certificate of the cluster, not one of the node's own making.
            merged.retain(|key, _| key != "tlsCertFile" && key != "tlsPrivateKeyFile");
        }
        merged
    }
}

/// Threshold of image garbage collection of the cluster that does not go with the other one, of the NodeConfig.
pub(super) fn overtaken_threshold(own: &Map<String, Value>, cluster: &Map<String, Value>) -> Option<&'static str> {
    const LOW: &str = "imageGCLowThresholdPercent";
    const HIGH: &str = "imageGCHighThresholdPercent";
    let number = |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_u64);
    match (number(own, LOW), number(own, HIGH)) {
        (Some(low), None) => number(cluster, HIGH).is_some_and(|high| low >= high).then_some(HIGH),
        (None, Some(high)) => number(cluster, LOW).is_some_and(|low| low >= high).then_some(LOW),
        _ => None,
    }
}

/// Takes resources out of the default reservation that the cluster reserves some of, under either name.
fn yield_reservations(defaults: &mut Map<String, Value>, cluster: &Map<String, Value>) {
    let Some(Value::Object(reserved)) = defaults.get_mut("kubeReserved") else {
        return;
    };
    let names = ["kubeReserved", "systemReserved"].iter();
    let theirs = names.filter_map(|key| cluster.get(*key)?.as_object());
    theirs
        .flat_map(Map::keys)
        .for_each(|resource| drop(reserved.remove(resource)));
    if reserved.is_empty() {
        defaults.remove("kubeReserved");
    }
}

/// Removes the field of a JSON pointer.
fn remove(object: &mut Map<String, Value>, pointer: &str) {
    match pointer.trim_start_matches('/').split_once('/') {
        Some((first, rest)) => {
            if let Some(Value::Object(below)) = object.get_mut(first) {
                remove(below, rest);
            }
        }
        None => drop(object.remove(pointer.trim_start_matches('/'))),
    }
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

    fn layers() -> NodeLayers {
        NodeLayers {
            defaults: object(json!({
                "podPidsLimit": 16384, "seccompDefault": true, "shutdownGracePeriod": "30s",
                "shutdownGracePeriodCriticalPods": "10s", "kubeReserved": { "cpu": "80m", "memory": "900Mi" },
            })),
            fixed: object(json!({
                "cgroupDriver": "systemd", "tlsCertFile": "/run/a", "tlsPrivateKeyFile": "/run/b",
                "authentication": { "x509": { "clientCAFile": "/run/ca" } },
            })),
            own: object(json!({ "maxPods": 60, "evictionHard": { "memory.available": "1Gi" } })),
            extra: object(json!({ "authentication": { "webhook": { "cacheTTL": "1m" } } })),
        }
    }

    fn merged(cluster: Value) -> Value {
        Value::Object(layers().around(&object(cluster)))
    }

    #[test]
    fn each_layer_counts_before_those_below_it() {
        let found = merged(json!({
            "maxPods": 50, "podPidsLimit": 4096, "cgroupDriver": "cgroupfs", "clusterDNS": ["10.0.0.53"],
            "evictionHard": { "nodefs.available": "5%" }, "volumePluginDir": "/var/x",
            "authentication": { "x509": { "clientCAFile": "/etc/kubernetes/pki/ca.crt" }, "webhook": { "cacheTTL": "0s" } },
        }));
        assert_eq!(found["maxPods"], 60);
        assert_eq!(found["podPidsLimit"], 4096);
        assert_eq!(found["cgroupDriver"], "systemd");
        assert_eq!(found["clusterDNS"], json!(["10.0.0.53"]));
        assert_eq!(found["evictionHard"], json!({ "memory.available": "1Gi" }));
        assert_eq!(found["authentication"]["x509"]["clientCAFile"], "/run/ca");
        assert_eq!(found["authentication"]["webhook"]["cacheTTL"], "1m");
        assert_eq!(found["seccompDefault"], true);
        assert_eq!(found.get("volumePluginDir"), None);
    }

    #[test]
    fn zeros_of_the_cluster_are_no_settings_where_the_image_has_a_default() {
        let found = merged(json!({ "shutdownGracePeriod": "0s", "podPidsLimit": 0, "eventRecordQPS": 0 }));
        assert_eq!(
            (&found["shutdownGracePeriod"], &found["podPidsLimit"]),
            (&json!("30s"), &json!(16384))
        );
        // The kubelet's own default is not 0: the cluster means it.
        assert_eq!(found["eventRecordQPS"], 0);
    }

    #[test]
    fn fields_that_the_kubelet_compares_are_of_one_layer() {
        let found = merged(json!({ "shutdownGracePeriod": "5s" }));
        assert_eq!(found["shutdownGracePeriod"], "5s");
        assert_eq!(found.get("shutdownGracePeriodCriticalPods"), None);
    }

    #[test]
    fn the_cluster_reserves_in_the_place_of_the_image() {
        let found = merged(json!({ "systemReserved": { "memory": "2Gi" } }));
        assert_eq!(found["kubeReserved"], json!({ "cpu": "80m" }));
        let found = merged(json!({ "kubeReserved": { "memory": "2Gi", "cpu": "1" } }));
        assert_eq!(found["kubeReserved"], json!({ "memory": "2Gi", "cpu": "1" }));
    }

    #[test]
    fn a_threshold_of_the_node_does_not_stand_beside_one_of_the_cluster_that_contradicts_it() {
        let around = |own: Value, cluster: Value| {
            let layers = NodeLayers {
                own: object(own),
                ..NodeLayers::default()
            };
            Value::Object(layers.around(&object(cluster)))
        };
        let (low, high) = ("imageGCLowThresholdPercent", "imageGCHighThresholdPercent");
        let found = around(json!({ high: 82 }), json!({ low: 84, high: 90 }));
        assert_eq!(found, json!({ high: 82 }));
        let found = around(json!({ low: 70 }), json!({ low: 50, high: 60 }));
        assert_eq!(found, json!({ low: 70 }));
        // What goes with it stays.
        let found = around(json!({ high: 82 }), json!({ low: 60, high: 90 }));
        assert_eq!(found, json!({ low: 60, high: 82 }));
    }

    #[test]
    fn times_of_soft_evictions_are_added_to_those_of_the_cluster() {
        let with = |own: Value| {
            let layers = NodeLayers {
                own: object(own),
                ..NodeLayers::default()
            };
            let cluster = json!({
                "evictionSoft": { "memory.available": "1Gi", "nodefs.available": "15%" },
                "evictionSoftGracePeriod": { "memory.available": "1m", "nodefs.available": "2m" },
            });
            Value::Object(layers.around(&object(cluster)))
        };
        let found = with(json!({ "evictionSoftGracePeriod": { "memory.available": "30s" } }));
        let times = json!({ "memory.available": "30s", "nodefs.available": "2m" });
        assert_eq!(found["evictionSoftGracePeriod"], times);
        // With thresholds of its own, a NodeConfig has all their times, and the cluster's are none of them.
        let own = json!({
            "evictionSoft": { "memory.available": "2Gi" },
            "evictionSoftGracePeriod": { "memory.available": "30s" },
        });
        assert_eq!(with(own.clone()), own);
    }

    #[test]
    fn a_cluster_that_signs_serving_certificates_is_asked_for_them() {
        let found = merged(json!({ "serverTLSBootstrap": true }));
        assert_eq!((found.get("tlsCertFile"), found.get("tlsPrivateKeyFile")), (None, None));
        assert_eq!(merged(json!({}))["tlsCertFile"], "/run/a");
    }

    proptest! {
        /// Whatever a cluster says: the image has what it needs, and the NodeConfig its word.
        #[test]
        fn no_cluster_takes_a_fixed_or_an_own_setting_away(
            pairs in proptest::collection::btree_map(
                prop_oneof![Just("maxPods"), Just("cgroupDriver"), Just("authentication"), Just("evictionHard"), Just("other")],
                prop_oneof![Just(json!(null)), Just(json!(0)), Just(json!("x")), Just(json!({ "x509": null })), Just(json!({}))],
                0..5,
            ),
        ) {
            let cluster = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            let found = Value::Object(layers().around(&cluster));
            prop_assert_eq!(&found["cgroupDriver"], "systemd");
            prop_assert_eq!(&found["maxPods"], 60);
            prop_assert_eq!(&found["evictionHard"], &json!({ "memory.available": "1Gi" }));
            prop_assert_eq!(&found["authentication"]["x509"]["clientCAFile"], "/run/ca");
        }
    }
}
