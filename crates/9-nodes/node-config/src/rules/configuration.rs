//! A whole KubeletConfiguration by the rules for the part `kubelet` of a NodeConfig.
//!
//! A node whose cluster has a configuration for its kubelets gives its kubelet one that is merged of several. What each of
//! them may be beside the others is the same as in a NodeConfig, and so are the rules.

use std::collections::BTreeMap;
use std::time::SystemTime;

use basalt_document::schema::UnfitPaths;
use basalt_document::{Document, Path};
use miette::Severity;
use serde_json::{Map, Value, json};

use super::{extra_config, kubelet};
use crate::Clock;
use crate::finder::Finder;
use crate::minor::KubeletMinor;
use crate::raw;

/// Fields that are judged beside each other in a NodeConfig, with a reason of people: the kubelet starts in any case.
const UNJUDGED: [&str; 2] = ["failSwapOn", "memorySwap"];

/// Objections to a configuration, in words. The kubelet of this minor version would not start with what they are about.
pub(super) fn objections(kubelet_minor: KubeletMinor, configuration: &Map<String, Value>) -> Vec<String> {
    let Ok(document) = Document::parse("KubeletConfiguration", "{}") else {
        return Vec::new();
    };
    // No rule of this part asks for the time.
    let clock = Clock::Unsure(SystemTime::UNIX_EPOCH);
    let mut finder = Finder::new(&document, UnfitPaths::default(), clock, kubelet_minor);
    kubelet::kubelet(&mut finder, &Path::root(), part(configuration));
    let found = finder.into_found().into_iter();
    let errors = found.filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| problem.message).collect()
}

/// The part `kubelet` of a NodeConfig that says the same as a configuration. Fields that neither it nor its `extraConfig` has
/// are left out, and so are values that no field of it takes.
fn part(configuration: &Map<String, Value>) -> raw::Kubelet {
    let (mut own, mut extra) = (Map::new(), BTreeMap::new());
    for (key, value) in configuration {
        if UNJUDGED.contains(&key.as_str()) {
            continue;
        }
        if extra_config::is_extra(key) {
            extra.insert(key.clone(), without_authority(key, value.clone()));
            continue;
        }
        let value = own_value(key, value);
        if serde_json::from_value::<raw::Kubelet>(json!({ key: &value })).is_ok() {
            own.insert(key.clone(), value);
        }
    }
    // A NodeConfig that is silent has the agent's time; in a configuration, it is no time at all.
    if !extra.contains_key("shutdownGracePeriodByPodPriority") {
        own.entry("shutdownGracePeriod").or_insert_with(|| "0s".into());
    }
    let mut kubelet: raw::Kubelet = serde_json::from_value(Value::Object(own)).unwrap_or_default();
    kubelet.extra_config = extra;
    kubelet
}

/// The value of a field without the certificate authority of clients, which is the agent's.
fn without_authority(key: &str, mut value: Value) -> Value {
    if let ("authentication", Some(fields)) = (key, value.as_object_mut()) {
        fields.remove("x509");
    }
    value
}

/// Value of a field that a NodeConfig has as its own, as it writes it.
pub(super) fn own_value(field: &str, value: &Value) -> Value {
    match field {
        "kubeReserved" | "systemReserved" => reserved(value),
        _ => value.clone(),
    }
}

/// Reserved resources as a NodeConfig writes them: KubeletConfiguration has a name of its own for the disk, and all amounts in
/// texts.
fn reserved(value: &Value) -> Value {
    let resources = value.as_object().into_iter().flatten();
    let written = resources.map(|(resource, amount)| match (resource.as_str(), amount.as_str()) {
        ("ephemeral-storage", _) => ("ephemeralStorage".to_owned(), amount.clone()),
        ("pid", Some(text)) => {
            let number = text.parse::<u64>();
            (resource.clone(), number.map_or_else(|_| amount.clone(), Value::from))
        }
        _ => (resource.clone(), amount.clone()),
    });
    Value::Object(written.collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A setting that is added to a NodeConfig is a field of KubeletConfiguration under the same name, or is named here.
    #[test]
    fn settings_are_own_fields() {
        // Arguments of the kubelet, a file of its own, and all other fields.
        let others = [
            "cloudProvider",
            "credentialProviders",
            "extraConfig",
            "nodeIP",
            "verbosity",
        ];
        let schema: Value = serde_json::from_str(&crate::json_schema()).expect("a schema");
        let settings = schema.pointer("/$defs/Kubelet/properties").and_then(Value::as_object);
        let settings: BTreeSet<&str> = settings.expect("settings").keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = extra_config::own_names().chain(others).collect();
        assert_eq!(settings, known);
    }

    fn of(configuration: Value) -> Vec<String> {
        match configuration {
            Value::Object(configuration) => objections(KubeletMinor::V1_37, &configuration),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_the_kubelet_starts_with() {
        let good = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": { "x509": { "clientCAFile": "/run/ca.crt" }, "webhook": { "enabled": true } },
            "cgroupDriver": "systemd",
            "clusterDNS": ["10.96.0.10"],
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "enableSystemLogQuery": true,
            "failSwapOn": true,
            "memorySwap": { "swapBehavior": "LimitedSwap" },
            "kubeReserved": { "cpu": "80m", "ephemeral-storage": "1Gi", "pid": "1000" },
            "cpuManagerPolicy": "static",
            "shutdownGracePeriodByPodPriority": [{ "priority": 0, "shutdownGracePeriodSeconds": 10 }],
            "evictionSoft": { "memory.available": "300Mi" },
            "evictionSoftGracePeriod": { "memory.available": "1m" },
            "maxPods": 110,
        });
        assert_eq!(of(good), [] as [String; 0]);
        assert_eq!(of(json!({})), [] as [String; 0]);
    }

    #[test]
    fn what_it_does_not_start_with() {
        for (configuration, words) in [
            (
                json!({ "shutdownGracePeriod": "30s", "shutdownGracePeriodByPodPriority": [{ "priority": 0 }] }),
                "by priority and as `shutdownGracePeriod`",
            ),
            (
                // Where none is given, there is none.
                json!({ "shutdownGracePeriodCriticalPods": "5s" }),
                "more than the whole shutdown with its 0s",
            ),
            (
                json!({ "evictionSoft": { "memory.available": "1Gi" } }),
                "no grace period",
            ),
            (
                json!({ "cpuManagerPolicy": "static", "systemReserved": { "cpu": "400u" } }),
                "needs processors that are kept back",
            ),
            (
                json!({ "cpuManagerPolicyOptions": { "full-pcpus-only": "true" } }),
                "only the policy `static` has options",
            ),
            (
                json!({ "featureGates": { "ClusterTrustBundle": false } }),
                "`ClusterTrustBundleProjection` is on and needs `ClusterTrustBundle`",
            ),
            (
                json!({ "reservedSystemCPUs": "0", "kubeReservedCgroup": "/kube.slice" }),
                "do not go with `reservedSystemCPUs`",
            ),
            (json!({ "eventBurst": -1 }), "-1 is out of range"),
        ] {
            let said = of(configuration.clone()).join("\n");
            assert!(said.contains(words), "{configuration}: {said}");
        }
        // With the gate off, only a time is refused.
        let off = json!({ "featureGates": { "GracefulNodeShutdown": false, "GracefulNodeShutdownBasedOnPodPriority": false,
            "WindowsGracefulNodeShutdown": false } });
        assert_eq!(of(off), [] as [String; 0]);
    }
}
