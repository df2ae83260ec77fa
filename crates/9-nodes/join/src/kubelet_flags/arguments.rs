//! Arguments of the kubelet that are known, and what becomes of them (`AddKubeletConfigFlags` of `cmd/kubelet/app/options`
//! of Kubernetes 1.35 to 1.37).

use super::RUNTIME_ENDPOINT;

/// Arguments that a NodeConfig has a setting of its own for.
pub(super) const KNOWN: &[(&str, &str)] = &[
    ("allowed-unsafe-sysctls", "kubelet.allowedUnsafeSysctls"),
    ("cloud-provider", "kubelet.cloudProvider"),
    ("cluster-dns", "cluster.dns.addresses"),
    ("cluster-domain", "cluster.dns.domain"),
    ("container-log-max-files", "kubelet.containerLogMaxFiles"),
    ("container-log-max-size", "kubelet.containerLogMaxSize"),
    ("cpu-manager-policy", "kubelet.cpuManagerPolicy"),
    ("eviction-hard", "kubelet.evictionHard"),
    ("eviction-soft", "kubelet.evictionSoft"),
    ("eviction-soft-grace-period", "kubelet.evictionSoftGracePeriod"),
    ("fail-swap-on", "kubelet.failSwapOn"),
    ("feature-gates", "kubelet.featureGates"),
    ("hostname-override", "hostname"),
    ("image-gc-high-threshold", "kubelet.imageGCHighThresholdPercent"),
    ("image-gc-low-threshold", "kubelet.imageGCLowThresholdPercent"),
    ("kube-reserved", "kubelet.kubeReserved"),
    ("max-pods", "kubelet.maxPods"),
    ("node-ip", "kubelet.nodeIP"),
    ("node-labels", "labels"),
    ("pod-max-pids", "kubelet.podPidsLimit"),
    ("provider-id", "kubelet.providerID"),
    ("register-with-taints", "taints"),
    ("reserved-cpus", "kubelet.reservedSystemCPUs"),
    ("rotate-server-certificates", "kubelet.serverTLSBootstrap"),
    ("seccomp-default", "kubelet.seccompDefault"),
    ("serialize-image-pulls", "kubelet.maxParallelImagePulls"),
    ("system-reserved", "kubelet.systemReserved"),
    ("topology-manager-policy", "kubelet.topologyManagerPolicy"),
    ("v", "kubelet.verbosity"),
];

/// Form of the value of a field of KubeletConfiguration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtraShape {
    /// Text, also times.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// Texts with commas between them.
    List,
    /// Pairs of texts with commas between them: `a=b,c=d`.
    Pairs,
}

use ExtraShape::{List, Number, Pairs, Switch, Text};

/// Arguments that become fields of `kubelet.extraConfig`, by their path in KubeletConfiguration.
pub(super) const EXTRA: &[(&str, &str, ExtraShape)] = &[
    ("address", "address", Text),
    ("anonymous-auth", "authentication.anonymous.enabled", Switch),
    ("authentication-token-webhook", "authentication.webhook.enabled", Switch),
    (
        "authentication-token-webhook-cache-ttl",
        "authentication.webhook.cacheTTL",
        Text,
    ),
    ("authorization-mode", "authorization.mode", Text),
    (
        "authorization-webhook-cache-authorized-ttl",
        "authorization.webhook.cacheAuthorizedTTL",
        Text,
    ),
    (
        "authorization-webhook-cache-unauthorized-ttl",
        "authorization.webhook.cacheUnauthorizedTTL",
        Text,
    ),
    ("cgroup-root", "cgroupRoot", Text),
    ("cgroups-per-qos", "cgroupsPerQOS", Switch),
    ("contention-profiling", "enableContentionProfiling", Switch),
    ("cpu-cfs-quota", "cpuCFSQuota", Switch),
    ("cpu-cfs-quota-period", "cpuCFSQuotaPeriod", Text),
    ("cpu-manager-policy-options", "cpuManagerPolicyOptions", Pairs),
    ("cpu-manager-reconcile-period", "cpuManagerReconcilePeriod", Text),
    (
        "enable-controller-attach-detach",
        "enableControllerAttachDetach",
        Switch,
    ),
    ("enable-debugging-handlers", "enableDebuggingHandlers", Switch),
    ("enable-server", "enableServer", Switch),
    ("enforce-node-allocatable", "enforceNodeAllocatable", List),
    ("event-burst", "eventBurst", Number),
    ("event-qps", "eventRecordQPS", Number),
    ("eviction-max-pod-grace-period", "evictionMaxPodGracePeriod", Number),
    ("eviction-minimum-reclaim", "evictionMinimumReclaim", Pairs),
    (
        "eviction-pressure-transition-period",
        "evictionPressureTransitionPeriod",
        Text,
    ),
    ("file-check-frequency", "fileCheckFrequency", Text),
    ("hairpin-mode", "hairpinMode", Text),
    ("http-check-frequency", "httpCheckFrequency", Text),
    ("kernel-memcg-notification", "kernelMemcgNotification", Switch),
    ("kube-api-burst", "kubeAPIBurst", Number),
    ("kube-api-content-type", "contentType", Text),
    ("kube-api-qps", "kubeAPIQPS", Number),
    ("kube-reserved-cgroup", "kubeReservedCgroup", Text),
    ("kubelet-cgroups", "kubeletCgroups", Text),
    (
        "local-storage-capacity-isolation",
        "localStorageCapacityIsolation",
        Switch,
    ),
    ("log-flush-frequency", "logging.flushFrequency", Text),
    ("logging-format", "logging.format", Text),
    ("make-iptables-util-chains", "makeIPTablesUtilChains", Switch),
    ("manifest-url", "staticPodURL", Text),
    ("max-open-files", "maxOpenFiles", Number),
    ("memory-manager-policy", "memoryManagerPolicy", Text),
    ("minimum-image-ttl-duration", "imageMinimumGCAge", Text),
    ("node-status-max-images", "nodeStatusMaxImages", Number),
    ("node-status-update-frequency", "nodeStatusUpdateFrequency", Text),
    ("oom-score-adj", "oomScoreAdj", Number),
    ("pod-cidr", "podCIDR", Text),
    ("pods-per-core", "podsPerCore", Number),
    ("port", "port", Number),
    ("protect-kernel-defaults", "protectKernelDefaults", Switch),
    ("qos-reserved", "qosReserved", Pairs),
    ("read-only-port", "readOnlyPort", Number),
    ("register-node", "registerNode", Switch),
    ("registry-burst", "registryBurst", Number),
    ("registry-qps", "registryPullQPS", Number),
    ("resolv-conf", "resolvConf", Text),
    ("rotate-certificates", "rotateCertificates", Switch),
    ("runtime-request-timeout", "runtimeRequestTimeout", Text),
    (
        "streaming-connection-idle-timeout",
        "streamingConnectionIdleTimeout",
        Text,
    ),
    ("sync-frequency", "syncFrequency", Text),
    ("system-cgroups", "systemCgroups", Text),
    ("system-reserved-cgroup", "systemReservedCgroup", Text),
    ("tls-cipher-suites", "tlsCipherSuites", List),
    ("tls-min-version", "tlsMinVersion", Text),
    ("topology-manager-policy-options", "topologyManagerPolicyOptions", Pairs),
    ("topology-manager-scope", "topologyManagerScope", Text),
    ("volume-plugin-dir", "volumePluginDir", Text),
    ("volume-stats-agg-period", "volumeStatsAggPeriod", Text),
];

/// Arguments that no NodeConfig changes, with the value that a node has. Any other value is a contradiction.
pub(super) const FIXED: &[(&str, &str)] = &[
    ("cgroup-driver", "systemd"),
    ("container-runtime", "remote"),
    ("container-runtime-endpoint", RUNTIME_ENDPOINT),
    ("healthz-bind-address", "127.0.0.1"),
    ("healthz-port", "10248"),
    ("image-service-endpoint", RUNTIME_ENDPOINT),
    ("pod-manifest-path", "/etc/kubernetes/manifests"),
];

/// Arguments that name files of the machine that they were written for, with what to do instead.
pub(super) const OF_FILES: &[(&str, &str)] = &[
    ("bootstrap-kubeconfig", "remove it: the node makes its own"),
    ("cert-dir", "remove it: the image has a place for certificates"),
    ("client-ca-file", "remove it: the node writes the cluster's authority"),
    (
        "config",
        "write its fields as `kubelet` and `kubelet.extraConfig` of the NodeConfig, or into the cluster's kubelet-config",
    ),
    (
        "config-dir",
        "write its fields as `kubelet` and `kubelet.extraConfig` of the NodeConfig",
    ),
    (
        "image-credential-provider-bin-dir",
        "put the program into the image, and write it as `kubelet.credentialProviders` of the NodeConfig",
    ),
    (
        "image-credential-provider-config",
        "write its providers as `kubelet.credentialProviders` of the NodeConfig",
    ),
    ("kubeconfig", "remove it: the node makes its own"),
    ("root-dir", "remove it: the image has a place for the kubelet's state"),
    (
        "tls-cert-file",
        "remove it; `rotate-server-certificates` has the cluster sign one",
    ),
    (
        "tls-private-key-file",
        "remove it; `rotate-server-certificates` has the cluster sign one",
    ),
];
