//! The cluster's configuration of kubelets beside what a node has of its own: the image and its NodeConfig.

use std::fmt;

use basalt_node_config::raw::Kubelet;
use serde_json::{Map, Value};

use super::merge::without_zeros;

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
