//! The cluster's configuration of kubelets beside what a node has of its own: the image and its NodeConfig.

use std::fmt;

use basalt_node_config::raw::Kubelet;
use serde_json::{Map, Value, json};

use super::layers::{IMAGE_GC_HIGH, IMAGE_GC_LOW, overtaken_threshold};
use super::merge::without_zeros;
use crate::kubelet_flags::RESOLVED_CONF;

/// Fields that an image sets before any cluster's configuration, by JSON pointer. A NodeConfig may set some of them
/// otherwise.
const OF_THE_IMAGE: &[(&str, &str)] = &[
    ("/authentication/anonymous/enabled", "false"),
    ("/authentication/webhook/enabled", "true"),
    ("/authorization/mode", "\"Webhook\""),
    ("/cgroupDriver", "\"systemd\""),
    ("/healthzBindAddress", "\"127.0.0.1\""),
    ("/healthzPort", "10248"),
    ("/mergeDefaultEvictionSettings", "true"),
    ("/protectKernelDefaults", "true"),
    ("/readOnlyPort", "0"),
    ("/resolvConf", "\"/run/basalt/kubelet/resolv.conf\""),
    ("/rotateCertificates", "true"),
    ("/staticPodPath", "\"/etc/kubernetes/manifests\""),
];

/// Value that an image gives to the field of a JSON pointer.
pub(crate) fn value_of_image(pointer: &str) -> Option<Value> {
    let (_, fixed) = OF_THE_IMAGE.iter().find(|(known, _)| *known == pointer)?;
    serde_json::from_str(fixed).ok()
}

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

fn field(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// `true` for values of a field that mean the same on a node.
fn is_the_same(pointer: &str, cluster: &Value, node: &Value) -> bool {
    // The image has the name servers of systemd-resolved in a file of its own.
    cluster == node
        || (pointer == "/resolvConf" && cluster == RESOLVED_CONF && value_of_image(pointer).as_ref() == Some(node))
}

pub(super) fn contradictions(cluster: &Map<String, Value>, node: &Kubelet) -> Vec<Contradiction> {
    let extra = Value::Object(node.extra_config.clone().into_iter().collect());
    let whole = Value::Object(cluster.clone());
    let of_image = OF_THE_IMAGE.iter().filter_map(|(pointer, _)| {
        let own = extra.pointer(pointer);
        let node = own.cloned().or_else(|| value_of_image(pointer))?;
        let cluster = whole.pointer(pointer)?;
        (!is_the_same(pointer, cluster, &node) && !cluster.is_null()).then(|| Contradiction {
            field: field(pointer),
            cluster: cluster.clone(),
            node,
            is_of_image: own.is_none(),
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
    let swap = swap(cluster, node);
    let threshold = own.as_object().and_then(|own| overtaken_threshold(own, cluster));
    let threshold = threshold.and_then(|key| {
        let default = if key == "imageGCLowThresholdPercent" {
            IMAGE_GC_LOW
        } else {
            IMAGE_GC_HIGH
        };
        Some(Contradiction {
            field: key.to_owned(),
            cluster: cluster.get(key)?.clone(),
            node: json!(default),
            is_of_image: false,
        })
    });
    of_image.chain(swap).chain(of_config).chain(threshold).collect()
}

/// Contradiction about machines with swap. The image's kubelet does not start on one unless the NodeConfig says so.
fn swap(cluster: &Map<String, Value>, node: &Kubelet) -> Option<Contradiction> {
    let fails = node.fail_swap_on.unwrap_or(node.memory_swap.is_none());
    let cluster = cluster.get("failSwapOn").filter(|value| !value.is_null())?;
    (*cluster != json!(fails)).then(|| Contradiction {
        field: "failSwapOn".to_owned(),
        cluster: cluster.clone(),
        node: json!(fails),
        is_of_image: node.fail_swap_on.is_none() && node.memory_swap.is_none(),
    })
}
