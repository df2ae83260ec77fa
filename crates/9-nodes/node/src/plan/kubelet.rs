//! What the kubelet is told: its configuration, its arguments, and how it first speaks to its cluster.

use std::collections::BTreeMap;

use basalt_node_config::{CloudProvider, CpuManagerPolicy, Kubelet, NodeConfig, Reserved, TopologyManagerPolicy};
use serde_json::{Map, Value, json};

use super::PlannedFile;
use super::containerd::base64;
use crate::paths;

pub(super) fn files(config: &NodeConfig, hostname: &str) -> Vec<PlannedFile> {
    vec![
        PlannedFile::public(paths::CLUSTER_CA, config.cluster.ca.pem()),
        PlannedFile::public(paths::KUBELET_CONFIG, pretty(&configuration(config))),
        PlannedFile::public(paths::KUBELET_ARGUMENTS, arguments(config, hostname)),
        PlannedFile::secret(paths::BOOTSTRAP_KUBECONFIG, pretty(&bootstrap(config))),
    ]
}

/// JSON is YAML as well: the kubelet reads it.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn configuration(config: &NodeConfig) -> Value {
    let Kubelet {
        seccomp_default,
        server_tls_bootstrap,
        ..
    } = config.kubelet;
    let mut value = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": { "enabled": false },
            "webhook": { "enabled": true },
            "x509": { "clientCAFile": paths::CLUSTER_CA },
        },
        "authorization": { "mode": "Webhook" },
        "cgroupDriver": "systemd",
        "clusterDNS": config.cluster.dns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "clusterDomain": config.cluster.domain.as_str(),
        "containerRuntimeEndpoint": format!("unix://{}", paths::CONTAINERD_SOCKET),
        // The image has no swap; one that is added shall not go unnoticed.
        "failSwapOn": true,
        // A new node pulls several images at once: a large one does not hold the pod network back.
        "maxParallelImagePulls": 4,
        // A NodeConfig that sets one threshold keeps the others.
        "mergeDefaultEvictionSettings": true,
        // What the kubelet needs of the kernel is set at boot (sysctl.d); it shall say so when somebody changed it.
        "protectKernelDefaults": true,
        // The servers themselves: a pod cannot reach the stub of systemd-resolved on the node's loopback.
        "resolvConf": "/run/systemd/resolve/resolv.conf",
        "rotateCertificates": true,
        "seccompDefault": seccomp_default,
        "serializeImagePulls": false,
        "serverTLSBootstrap": server_tls_bootstrap,
        // logind holds a shutdown back that long, so that pods end before their node does.
        "shutdownGracePeriod": "30s",
        "shutdownGracePeriodCriticalPods": "10s",
        "staticPodPath": paths::STATIC_PODS,
        // The default is below /usr, which is read-only.
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    });
    if let Value::Object(keys) = &mut value {
        optional(keys, config);
    }
    value
}

/// What is only there when the NodeConfig says it, so that the kubelet's defaults are the kubelet's.
fn optional(keys: &mut Map<String, Value>, config: &NodeConfig) {
    let kubelet = &config.kubelet;
    let mut put = |key: &str, value: Option<Value>| keys.extend(value.map(|value| (key.to_owned(), value)));
    // One that the cluster signs, or the one that the agent makes: see `crate::serving`.
    let serving = |path: &str| (!kubelet.server_tls_bootstrap).then(|| path.into());
    put("tlsCertFile", serving(paths::SERVING_CERTIFICATE));
    put("tlsPrivateKeyFile", serving(paths::SERVING_KEY));
    put("maxPods", kubelet.max_pods.map(Value::from));
    put("podPidsLimit", kubelet.pod_pids_limit.map(Value::from));
    put("providerID", kubelet.provider_id.clone().map(Value::from));
    put("systemReserved", reserved(&kubelet.system_reserved));
    put("kubeReserved", reserved(&kubelet.kube_reserved));
    put("evictionHard", texts(&kubelet.eviction_hard));
    put("evictionSoft", texts(&kubelet.eviction_soft));
    put("evictionSoftGracePeriod", texts(&kubelet.eviction_soft_grace_period));
    put(
        "imageGCHighThresholdPercent",
        kubelet.image_gc_high_threshold_percent.map(Value::from),
    );
    put(
        "imageGCLowThresholdPercent",
        kubelet.image_gc_low_threshold_percent.map(Value::from),
    );
    put(
        "serializeImagePulls",
        kubelet.max_parallel_image_pulls.map(|pulls| Value::from(pulls == 1)),
    );
    put(
        "maxParallelImagePulls",
        kubelet.max_parallel_image_pulls.map(Value::from),
    );
    put(
        "containerLogMaxSize",
        kubelet.container_log_max_size.as_ref().map(|size| size.as_str().into()),
    );
    put("containerLogMaxFiles", kubelet.container_log_max_files.map(Value::from));
    put(
        "cpuManagerPolicy",
        kubelet.cpu_manager_policy.map(|policy| cpu_policy(policy).into()),
    );
    put(
        "reservedSystemCPUs",
        kubelet.reserved_system_cpus.clone().map(Value::from),
    );
    put(
        "topologyManagerPolicy",
        kubelet
            .topology_manager_policy
            .map(|policy| topology_policy(policy).into()),
    );
    put(
        "shutdownGracePeriod",
        kubelet.shutdown_grace_period.as_ref().map(|time| time.as_str().into()),
    );
    put(
        "shutdownGracePeriodCriticalPods",
        kubelet
            .shutdown_grace_period_critical_pods
            .as_ref()
            .map(|time| time.as_str().into()),
    );
    let some = |list: &[String]| (!list.is_empty()).then(|| Value::from(list.to_vec()));
    put("allowedUnsafeSysctls", some(&kubelet.allowed_unsafe_sysctls));
    put(
        "featureGates",
        (!kubelet.feature_gates.is_empty()).then(|| json!(kubelet.feature_gates)),
    );
    put(
        "logging",
        kubelet.verbosity.map(|verbosity| json!({ "verbosity": verbosity })),
    );
    let taints = config.taints.iter().map(|taint| {
        let value = taint.value.as_ref().map(|value| value.as_str()).unwrap_or_default();
        json!({ "key": taint.key.as_str(), "value": value, "effect": taint.effect.name() })
    });
    put(
        "registerWithTaints",
        (!config.taints.is_empty()).then(|| taints.collect()),
    );
}

fn reserved(reserved: &Reserved) -> Option<Value> {
    let mut keys = Map::new();
    let amounts = [
        ("cpu", &reserved.cpu),
        ("memory", &reserved.memory),
        ("ephemeral-storage", &reserved.ephemeral_storage),
    ];
    for (key, amount) in amounts {
        keys.extend(amount.as_ref().map(|amount| (key.to_owned(), amount.as_str().into())));
    }
    keys.extend(reserved.pid.map(|pid| ("pid".to_owned(), pid.to_string().into())));
    (!keys.is_empty()).then_some(Value::Object(keys))
}

fn texts<T: ToString>(map: &BTreeMap<String, T>) -> Option<Value> {
    let keys: Map<_, _> = map
        .iter()
        .map(|(key, value)| (key.clone(), value.to_string().into()))
        .collect();
    (!keys.is_empty()).then_some(Value::Object(keys))
}

fn cpu_policy(policy: CpuManagerPolicy) -> &'static str {
    match policy {
        CpuManagerPolicy::None => "none",
        CpuManagerPolicy::Static => "static",
    }
}

fn topology_policy(policy: TopologyManagerPolicy) -> &'static str {
    match policy {
        TopologyManagerPolicy::None => "none",
        TopologyManagerPolicy::BestEffort => "best-effort",
        TopologyManagerPolicy::Restricted => "restricted",
        TopologyManagerPolicy::SingleNumaNode => "single-numa-node",
    }
}

/// An environment file. No value here can contain a space, so systemd splits it at the right places.
fn arguments(config: &NodeConfig, hostname: &str) -> String {
    let mut arguments = vec![
        format!("--config={}", paths::KUBELET_CONFIG),
        format!("--bootstrap-kubeconfig={}", paths::BOOTSTRAP_KUBECONFIG),
        format!("--kubeconfig={}", paths::KUBECONFIG),
        format!("--hostname-override={hostname}"),
    ];
    if let Some(CloudProvider::External) = config.kubelet.cloud_provider {
        arguments.push("--cloud-provider=external".to_owned());
    }
    if !config.labels.is_empty() {
        let labels: Vec<_> = config
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        arguments.push(format!("--node-labels={}", labels.join(",")));
    }
    format!("KUBELET_ARGUMENTS={}\n", arguments.join(" "))
}

fn bootstrap(config: &NodeConfig) -> Value {
    let cluster = &config.cluster;
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "cluster",
            "cluster": {
                "server": cluster.endpoint.to_string(),
                "certificate-authority-data": base64(cluster.ca.pem().as_bytes()),
            },
        }],
        "users": [{ "name": "bootstrap", "user": { "token": cluster.bootstrap_token.reveal() } }],
        "contexts": [{ "name": "bootstrap", "context": { "cluster": "cluster", "user": "bootstrap" } }],
        "current-context": "bootstrap",
    })
}
