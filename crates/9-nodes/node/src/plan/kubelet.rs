//! Files of the kubelet: its configuration, its arguments, and the kubeconfig of its first contact with the cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use basalt_join::kubelet_config::NodeLayers;
use basalt_node_config::{
    CloudProvider, CpuManagerPolicy, Kubelet, KubeletConfigSource, NodeConfig, Reserved, TopologyManagerPolicy,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::PlannedFile;
use crate::facts::MachineFacts;
use crate::join_plan::{JoinPlan, PlannedTrust};
use crate::paths;
use crate::size::Size;

/// Cipher suites of TLS 1.2 with forward secrecy: those of the CIS Kubernetes benchmark that every client has and that
/// processors have instructions for. Those of TLS 1.3 cannot be chosen.
const CIPHER_SUITES: [&str; 4] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
];

/// Processes and threads of a pod: enough for large Java programs, and a 256th of the kernel's `pid_max`
/// (sysctl-kubernetes.conf), so that no single pod leaves others without any.
const POD_PIDS: u64 = 16384;

/// Fields that the image needs as they are, or that follow from the machine: no cluster's configuration changes them.
const FIXED: [&str; 13] = [
    "authentication",
    "authorization",
    "cgroupDriver",
    "containerRuntimeEndpoint",
    "failSwapOn",
    // Merged by name: those of the cluster stay.
    "featureGates",
    "mergeDefaultEvictionSettings",
    "protectKernelDefaults",
    "resolvConf",
    "rotateCertificates",
    "staticPodPath",
    "tlsCertFile",
    "tlsPrivateKeyFile",
];

pub(super) fn files(config: &NodeConfig, hostname: &str, facts: &MachineFacts) -> Vec<PlannedFile> {
    let own = configuration(config, facts);
    let providers = providers(config, facts);
    let arguments = arguments(config, hostname, providers.is_some());
    let mut files = match (config.cluster.authorities(), config.cluster.kubelet_config) {
        (Some(authorities), KubeletConfigSource::FromNodeConfig) => {
            let token = config.cluster.bootstrap_token.reveal();
            let endpoint = config.cluster.endpoint.to_string();
            let configuration = with_extra(own, config);
            of_cluster(&endpoint, authorities.pem(), &token, &configuration)
        }
        _ => vec![join_plan(config, hostname, own, &arguments)],
    };
    files.push(PlannedFile::public(paths::KUBELET_ARGUMENTS, environment(&arguments)));
    let providers = providers.map(|providers| pretty(&providers));
    files.extend(providers.map(|text| PlannedFile::secret(paths::CREDENTIAL_PROVIDERS_CONFIG, text)));
    // Credential providers ask their clouds by way of the proxy; the API server is reached without it.
    let environment = super::proxy::environment(config);
    files.extend(environment.map(|text| PlannedFile::secret(paths::KUBELET_ENVIRONMENT, text)));
    files
}

/// Files that follow from a cluster that is known: its authorities, the kubelet's configuration, and the kubeconfig of the
/// first contact.
pub(crate) fn of_cluster(endpoint: &str, authorities: &str, token: &str, configuration: &Value) -> Vec<PlannedFile> {
    let kubeconfig = kubeconfig(endpoint, authorities, "bootstrap", &json!({ "token": token }));
    vec![
        PlannedFile::secret(paths::CLUSTER_CA, authorities),
        PlannedFile::secret(paths::KUBELET_CONFIG, pretty(configuration)),
        PlannedFile::secret(paths::BOOTSTRAP_KUBECONFIG, pretty(&kubeconfig)),
    ]
}

/// The kubelet's configuration with `extraConfig` on top of it.
fn with_extra(mut configuration: Value, config: &NodeConfig) -> Value {
    if let Some(fields) = configuration.as_object_mut() {
        for (key, value) in &config.kubelet.extra_config {
            merge(fields.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
    configuration
}

/// The file with what a join needs that asks the cluster for its authorities, for its configuration of kubelets, or both.
fn join_plan(config: &NodeConfig, hostname: &str, own: Value, arguments: &[String]) -> PlannedFile {
    let cluster = &config.cluster;
    let plan = JoinPlan {
        hostname: hostname.to_owned(),
        endpoint: cluster.endpoint.to_string(),
        token: cluster.bootstrap_token.reveal(),
        trust: PlannedTrust::of(&cluster.trust),
        kubelet_config: cluster.kubelet_config,
        layers: layers(config, &own),
        configuration: with_extra(own, config),
        written: config.kubelet.written.clone(),
        arguments: arguments.to_vec(),
        family_is_found: !cluster.dns_is_given && config.kubelet.node_ip.is_none(),
    };
    PlannedFile::secret(
        paths::JOIN_PLAN,
        serde_json::to_string(&plan).unwrap_or_default() + "\n",
    )
}

/// The node's own configuration, cut into the layers around that of the cluster.
fn layers(config: &NodeConfig, own: &Value) -> NodeLayers {
    let written = serde_json::to_value(&config.kubelet.written).unwrap_or_default();
    let is_written = |key: &str| written.get(key).is_some();
    let is_own = |key: &str| match key {
        "clusterDNS" => config.cluster.dns_is_given,
        "clusterDomain" => config.cluster.domain_is_given,
        "registerWithTaints" => true,
        "logging" => is_written("verbosity"),
        "serializeImagePulls" => is_written("maxParallelImagePulls"),
        "shutdownGracePeriod" | "shutdownGracePeriodCriticalPods" => {
            is_written("shutdownGracePeriod") || is_written("shutdownGracePeriodCriticalPods")
        }
        _ => is_written(key),
    };
    let mut layers = NodeLayers {
        extra: config.kubelet.extra_config.clone().into_iter().collect(),
        ..NodeLayers::default()
    };
    for (key, value) in own.as_object().into_iter().flatten() {
        let layer = match key.as_str() {
            key if FIXED.contains(&key) => &mut layers.fixed,
            key if is_own(key) => &mut layers.own,
            _ => &mut layers.defaults,
        };
        layer.insert(key.clone(), value.clone());
    }
    // Where the agent asks the kubelet how it is; and no port without authentication.
    for (key, value) in [
        ("healthzBindAddress", json!("127.0.0.1")),
        ("healthzPort", json!(10248)),
        ("readOnlyPort", json!(0)),
    ] {
        layers.fixed.insert(key.to_owned(), value);
    }
    layers
}

/// Credential providers in the kubelet's format. Those that the image does not have are left out: the kubelet would not
/// start with them.
fn providers(config: &NodeConfig, facts: &MachineFacts) -> Option<Value> {
    let known = config
        .kubelet
        .credential_providers
        .iter()
        .filter(|provider| facts.credential_providers.contains(&provider.name));
    let providers: Vec<Value> = known
        .map(|provider| {
            let variables = provider.env.iter();
            let env: Vec<_> = variables
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            json!({
                "name": provider.name,
                "matchImages": provider.match_images,
                "defaultCacheDuration": provider.default_cache_duration,
                "apiVersion": provider.api_version.unwrap_or_default().name(),
                "args": provider.args,
                "env": env,
            })
        })
        .collect();
    (!providers.is_empty()).then(|| {
        json!({
            "apiVersion": "kubelet.config.k8s.io/v1",
            "kind": "CredentialProviderConfig",
            "providers": providers,
        })
    })
}

/// Credential providers that a NodeConfig names and the image does not have.
pub(super) fn missing_providers(config: &NodeConfig, facts: &MachineFacts) -> Vec<String> {
    let providers = config.kubelet.credential_providers.iter();
    providers
        .filter(|provider| !facts.credential_providers.contains(&provider.name))
        .map(|provider| {
            format!(
                "the image has no credential provider {}/{}: the kubelet starts without it",
                paths::CREDENTIAL_PROVIDERS,
                provider.name
            )
        })
        .collect()
}

/// JSON is YAML as well: the kubelet reads it.
pub(crate) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Puts a value in the place of another; maps are merged key by key.
fn merge(old: &mut Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, value) in new {
                merge(old.entry(key.as_str()).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new.clone(),
    }
}

fn configuration(config: &NodeConfig, facts: &MachineFacts) -> Value {
    let Kubelet {
        fail_swap_on,
        pod_pids_limit,
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
        // Logs of the system for whoever may read `nodes/proxy`: nobody can log in to read them.
        "enableSystemLogQuery": log_query(&config.kubelet),
        // The image has no swap; one that is added shall not go unnoticed.
        "failSwapOn": fail_swap_on,
        // A new node pulls several images at once: a large one does not hold the pod network back.
        "maxParallelImagePulls": 4,
        // A NodeConfig that sets one threshold keeps the others.
        "mergeDefaultEvictionSettings": true,
        "podPidsLimit": pod_pids_limit.unwrap_or(POD_PIDS),
        // What the kubelet needs of the kernel is set at boot (sysctl.d); it shall say so when somebody changed it.
        "protectKernelDefaults": true,
        // The servers themselves, as far as pods reach them: see `crate::follow`.
        "resolvConf": paths::KUBELET_RESOLV_CONF,
        "rotateCertificates": true,
        "seccompDefault": seccomp_default,
        "serializeImagePulls": false,
        "serverTLSBootstrap": server_tls_bootstrap,
        "staticPodPath": paths::STATIC_PODS,
        "tlsCipherSuites": CIPHER_SUITES,
        "tlsMinVersion": "VersionTLS12",
    });
    if let Value::Object(keys) = &mut value {
        optional(keys, config, facts);
    }
    value
}

/// Value of `enableSystemLogQuery`; the kubelet does not start with it when its handler of logs is off.
fn log_query(kubelet: &Kubelet) -> bool {
    kubelet.extra_config.get("enableSystemLogHandler") != Some(&Value::Bool(false))
}

/// Feature gates: those of the NodeConfig, and the one that `enableSystemLogQuery` needs, which is off in the kubelet of 1.35
/// unless it is asked for, and locked to on in later ones.
fn feature_gates(kubelet: &Kubelet) -> Option<Value> {
    let mut gates = kubelet.feature_gates.clone();
    if log_query(kubelet) {
        gates.entry("NodeLogQuery".to_owned()).or_insert(true);
    }
    (!gates.is_empty()).then(|| json!(gates))
}

/// Time for which a shutdown waits for all pods, and the part of it that is for critical ones.
///
/// logind holds a shutdown back that long, so that pods end before their node does. The kubelet refuses more for
/// critical pods than for all, and times of less than a second.
fn shutdown(kubelet: &Kubelet) -> (String, String) {
    let total = kubelet.shutdown_grace_period.as_ref();
    let length = total.map_or(Duration::from_secs(30), |time| time.duration());
    let critical = match &kubelet.shutdown_grace_period_critical_pods {
        Some(time) => time.to_string(),
        None if length.is_zero() => "0s".to_owned(),
        None => format!("{}s", (length.as_secs() / 3).clamp(1, 10)),
    };
    (total.map_or_else(|| "30s".to_owned(), ToString::to_string), critical)
}

/// Field of KubeletConfiguration, with its value if it has one.
type Field = (&'static str, Option<Value>);

/// Fields that are only there when the NodeConfig has them, so that the kubelet's defaults are the kubelet's.
fn optional(keys: &mut Map<String, Value>, config: &NodeConfig, facts: &MachineFacts) {
    let kubelet = &config.kubelet;
    let mut put = |(key, value): Field| keys.extend(value.map(|value| (key.to_owned(), value)));
    // One that the cluster signs, or the one that the agent makes: see `crate::serving`.
    let serving = |path: &str| (!kubelet.server_tls_bootstrap).then(|| path.into());
    put(("tlsCertFile", serving(paths::SERVING_CERTIFICATE)));
    put(("tlsPrivateKeyFile", serving(paths::SERVING_KEY)));
    put(("maxPods", kubelet.max_pods.map(Value::from)));
    put(("providerID", kubelet.provider_id.clone().map(Value::from)));
    resources(kubelet, facts).into_iter().for_each(&mut put);
    images_and_logs(kubelet).into_iter().for_each(&mut put);
    processors(kubelet).into_iter().for_each(&mut put);
    if !kubelet.extra_config.contains_key("shutdownGracePeriodByPodPriority") {
        let (total, critical) = shutdown(kubelet);
        put(("shutdownGracePeriod", Some(total.into())));
        put(("shutdownGracePeriodCriticalPods", Some(critical.into())));
    }
    let some = |list: &[String]| (!list.is_empty()).then(|| Value::from(list.to_vec()));
    put(("allowedUnsafeSysctls", some(&kubelet.allowed_unsafe_sysctls)));
    put(("featureGates", feature_gates(kubelet)));
    let logging = kubelet.verbosity.map(|verbosity| json!({ "verbosity": verbosity }));
    put(("logging", logging));
    let taints = config.taints.iter().map(|taint| {
        let value = taint.value.as_ref().map(|value| value.as_str()).unwrap_or_default();
        json!({ "key": taint.key.as_str(), "value": value, "effect": taint.effect.name() })
    });
    let taints = (!config.taints.is_empty()).then(|| taints.collect());
    put(("registerWithTaints", taints));
}

/// Fields of what is kept from pods, and of swap.
fn resources(kubelet: &Kubelet, facts: &MachineFacts) -> [Field; 6] {
    let swap = kubelet.swap_behavior;
    let swap = swap.map(|behavior| json!({ "swapBehavior": behavior.name() }));
    [
        ("systemReserved", reserved(&kubelet.system_reserved)),
        ("kubeReserved", kube_reserved(kubelet, facts)),
        ("memorySwap", swap),
        ("evictionHard", texts(&kubelet.eviction_hard)),
        ("evictionSoft", texts(&kubelet.eviction_soft)),
        ("evictionSoftGracePeriod", texts(&kubelet.eviction_soft_grace_period)),
    ]
}

/// Fields of images, and of the logs of containers.
fn images_and_logs(kubelet: &Kubelet) -> [Field; 6] {
    let (high, low) = (
        kubelet.image_gc_high_threshold_percent,
        kubelet.image_gc_low_threshold_percent,
    );
    let pulls = kubelet.max_parallel_image_pulls;
    let log_size = kubelet.container_log_max_size.as_ref();
    [
        ("imageGCHighThresholdPercent", high.map(Value::from)),
        ("imageGCLowThresholdPercent", low.map(Value::from)),
        ("serializeImagePulls", pulls.map(|pulls| Value::from(pulls == 1))),
        ("maxParallelImagePulls", pulls.map(Value::from)),
        ("containerLogMaxSize", log_size.map(|size| Value::from(size.as_str()))),
        ("containerLogMaxFiles", kubelet.container_log_max_files.map(Value::from)),
    ]
}

/// Fields of processors and of where containers get them.
fn processors(kubelet: &Kubelet) -> [Field; 3] {
    let topology = kubelet.topology_manager_policy.map(topology_policy);
    [
        (
            "cpuManagerPolicy",
            kubelet.cpu_manager_policy.map(|policy| cpu_policy(policy).into()),
        ),
        (
            "reservedSystemCPUs",
            kubelet.reserved_system_cpus.clone().map(Value::from),
        ),
        ("topologyManagerPolicy", topology.map(Value::from)),
    ]
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

/// `kubeReserved`, with what follows from the size of the machine where a NodeConfig reserves nothing of a resource.
fn kube_reserved(kubelet: &Kubelet, facts: &MachineFacts) -> Option<Value> {
    let mut keys = match reserved(&kubelet.kube_reserved) {
        Some(Value::Object(keys)) => keys,
        _ => Map::new(),
    };
    let given = |names: fn(&Reserved) -> bool| names(&kubelet.system_reserved) || names(&kubelet.kube_reserved);
    if let Some(kept) = facts.size.map(Size::kept) {
        if !given(|reserved| reserved.cpu.is_some()) {
            keys.insert("cpu".to_owned(), format!("{}m", kept.millicores).into());
        }
        if !given(|reserved| reserved.memory.is_some()) {
            keys.insert("memory".to_owned(), format!("{}Mi", kept.mebibytes).into());
        }
    }
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

/// Arguments of the kubelet. None can contain a space.
fn arguments(config: &NodeConfig, hostname: &str, providers: bool) -> Vec<String> {
    let mut arguments = vec![
        format!("--config={}", paths::KUBELET_CONFIG),
        format!("--bootstrap-kubeconfig={}", paths::BOOTSTRAP_KUBECONFIG),
        format!("--kubeconfig={}", paths::KUBECONFIG),
        format!("--hostname-override={hostname}"),
    ];
    if let Some(CloudProvider::External) = config.kubelet.cloud_provider {
        arguments.push("--cloud-provider=external".to_owned());
    }
    if providers {
        arguments.push(format!(
            "--image-credential-provider-config={}",
            paths::CREDENTIAL_PROVIDERS_CONFIG
        ));
        arguments.push(format!(
            "--image-credential-provider-bin-dir={}",
            paths::CREDENTIAL_PROVIDERS
        ));
    }
    if !config.labels.is_empty() {
        let labels: Vec<_> = config
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        arguments.push(format!("--node-labels={}", labels.join(",")));
    }
    arguments
}

/// An environment file with the arguments, which systemd splits at spaces.
fn environment(arguments: &[String]) -> String {
    format!("KUBELET_ARGUMENTS={}\n", arguments.join(" "))
}

/// Kubeconfig of an API server for one user.
pub(crate) fn kubeconfig(endpoint: &str, authorities: &str, name: &str, user: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "cluster",
            "cluster": {
                "server": endpoint,
                "certificate-authority-data": STANDARD.encode(authorities),
            },
        }],
        "users": [{ "name": name, "user": user }],
        "contexts": [{ "name": name, "context": { "cluster": "cluster", "user": name } }],
        "current-context": name,
    })
}
