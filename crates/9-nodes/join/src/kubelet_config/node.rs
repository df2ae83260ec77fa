//! The cluster's configuration of kubelets beside what a node has of its own: the image and its NodeConfig.

use std::fmt;

use basalt_node_config::raw::Kubelet;
use serde_json::{Map, Value};

use super::merge::without_zeros;
use crate::kubelet_flags::RUNTIME_ENDPOINT;

/// Fields that an image sets, and no configuration can change, by JSON pointer.
const OF_THE_IMAGE: &[(&str, &str)] = &[
    ("/authentication/anonymous/enabled", "false"),
    ("/authentication/webhook/enabled", "true"),
    ("/authorization/mode", "\"Webhook\""),
    ("/cgroupDriver", "\"systemd\""),
    ("/failSwapOn", "true"),
    ("/healthzBindAddress", "\"127.0.0.1\""),
    ("/healthzPort", "10248"),
    ("/mergeDefaultEvictionSettings", "true"),
    ("/protectKernelDefaults", "true"),
    ("/readOnlyPort", "0"),
    ("/resolvConf", "\"/run/systemd/resolve/resolv.conf\""),
    ("/rotateCertificates", "true"),
    ("/staticPodPath", "\"/etc/kubernetes/manifests\""),
];

/// Fields whose values are places on a node: an image has its own.
pub(super) const PLACES: &[&str] = &[
    "/authentication/x509/clientCAFile",
    "/volumePluginDir",
    "/tlsCertFile",
    "/tlsPrivateKeyFile",
];

/// Fields of a NodeConfig's part `kubelet` that have the same name and meaning in KubeletConfiguration.
const SHARED: &[&str] = &[
    "allowedUnsafeSysctls",
    "containerLogMaxFiles",
    "containerLogMaxSize",
    "cpuManagerPolicy",
    "evictionHard",
    "evictionSoft",
    "evictionSoftGracePeriod",
    "featureGates",
    "imageGCHighThresholdPercent",
    "imageGCLowThresholdPercent",
    "maxParallelImagePulls",
    "maxPods",
    "podPidsLimit",
    "reservedSystemCPUs",
    "seccompDefault",
    "serverTLSBootstrap",
    "shutdownGracePeriod",
    "shutdownGracePeriodCriticalPods",
    "topologyManagerPolicy",
];

/// A setting that cluster and node see differently. The node's counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Contradiction {
    /// Field: `cgroupDriver`.
    pub field: String,
    /// Value in the cluster's configuration.
    pub cluster: Value,
    /// Value on the node.
    pub node: Value,
    /// `true` if the image has it, and `false` if the NodeConfig has.
    pub is_of_image: bool,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field, cluster, node, ..
        } = self;
        let by = if self.is_of_image {
            "the image"
        } else {
            "the NodeConfig"
        };
        write!(
            f,
            "`{field}` is {cluster} in the cluster's kubelet-config, and {node} by {by}, which counts"
        )
    }
}

/// Settings of the cluster in the form of a NodeConfig.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenOver {
    /// Settings that a NodeConfig can express.
    pub kubelet: Kubelet,
    /// Fields that it cannot, by name.
    pub rest: Vec<String>,
}

fn field(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

pub(super) fn contradictions(cluster: &Map<String, Value>, node: &Kubelet) -> Vec<Contradiction> {
    let cluster = Value::Object(cluster.clone());
    let of_image = OF_THE_IMAGE.iter().filter_map(|(pointer, fixed)| {
        let node: Value = serde_json::from_str(fixed).ok()?;
        let cluster = cluster.pointer(pointer)?;
        (*cluster != node && !cluster.is_null()).then(|| Contradiction {
            field: field(pointer),
            cluster: cluster.clone(),
            node,
            is_of_image: true,
        })
    });
    let own = serde_json::to_value(node).unwrap_or_default();
    let of_config = own.as_object().into_iter().flatten().filter_map(|(key, node)| {
        let cluster = without_zeros(cluster.get(key)?)?;
        (SHARED.contains(&key.as_str()) && cluster != *node).then(|| Contradiction {
            field: key.clone(),
            cluster,
            node: node.clone(),
            is_of_image: false,
        })
    });
    of_image.chain(of_config).collect()
}

pub(super) fn taken_over(cluster: &Map<String, Value>) -> TakenOver {
    let mut settings = Map::new();
    let mut rest = Vec::new();
    for (key, value) in cluster {
        let Some(value) = without_zeros(value) else { continue };
        if SHARED.contains(&key.as_str()) {
            settings.insert(key.clone(), value);
        } else if let Some(reserved) = reserved(key, &value) {
            settings.insert(key.clone(), reserved);
        } else {
            rest.extend(unexpressed(key, &value));
        }
    }
    // One after the other: a value that NodeConfig does not take must not take the others with it.
    let mut kubelet = Map::new();
    for (key, value) in settings {
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        match serde_json::from_value::<Kubelet>(alone) {
            Ok(_) => {
                kubelet.insert(key, value);
            }
            Err(_) => rest.push(key),
        }
    }
    rest.sort();
    TakenOver {
        kubelet: serde_json::from_value(Value::Object(kubelet)).unwrap_or_default(),
        rest,
    }
}

/// Resources in the form of a NodeConfig: other names, and a number of processes.
fn reserved(key: &str, value: &Value) -> Option<Value> {
    if key != "systemReserved" && key != "kubeReserved" {
        return None;
    }
    let mut amounts = Map::new();
    for (resource, amount) in value.as_object()? {
        let amount = amount.as_str()?;
        let (name, amount) = match resource.as_str() {
            "ephemeral-storage" => ("ephemeralStorage", amount.into()),
            "pid" => ("pid", Value::from(amount.parse::<u64>().ok()?)),
            other => (other, amount.into()),
        };
        amounts.insert(name.to_owned(), amount);
    }
    Some(Value::Object(amounts))
}

/// Fields below a key that a node will not have as the cluster has them. What the image sets is told of by
/// [`contradictions`], or is the same.
fn unexpressed(key: &str, value: &Value) -> Vec<String> {
    const ELSEWHERE: &[&str] = &[
        "/apiVersion",
        "/kind",
        "/clusterDNS",
        "/clusterDomain",
        "/containerRuntimeEndpoint",
    ];
    let mut leaves = Vec::new();
    collect_leaves(&format!("/{key}"), value, &mut leaves);
    let is_known = |pointer: &str| {
        OF_THE_IMAGE.iter().any(|(fixed, _)| *fixed == pointer)
            || PLACES.contains(&pointer)
            || ELSEWHERE.contains(&pointer)
            || (pointer == "/serializeImagePulls")
            || value.as_str() == Some(RUNTIME_ENDPOINT)
    };
    leaves.retain(|pointer| !is_known(pointer));
    leaves.iter().map(|pointer| field(pointer)).collect()
}

fn collect_leaves(pointer: &str, value: &Value, leaves: &mut Vec<String>) {
    match value {
        Value::Object(object) => object
            .iter()
            .for_each(|(key, value)| collect_leaves(&format!("{pointer}/{key}"), value, leaves)),
        _ => leaves.push(pointer.to_owned()),
    }
}
