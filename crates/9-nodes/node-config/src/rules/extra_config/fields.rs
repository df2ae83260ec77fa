//! Fields of KubeletConfiguration of Kubernetes 1.35 to 1.37, with their types and the values that they take in 1.37.2.
//!
//! Names and types are those of `k8s.io/kubelet/config/v1beta1/types.go`. Limits are those of
//! `pkg/kubelet/apis/config/validation/validation.go`, where nothing else is said.

use std::time::Duration;

use super::values;
use crate::minor::KubeletMinor;
use basalt_document::Finding;

/// Type of a field, with the values that it takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum FieldKind {
    Bool,
    /// A whole number from one to another.
    Integer(i64, i64),
    /// One of these numbers.
    OneOf(&'static [i64]),
    /// A number above 0, up to 1.
    Fraction,
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Text for which a function has no objection.
    Checked(fn(&str) -> Result<(), Finding>),
    /// A quantity, as text or as a number.
    Amount,
    /// A time span in Go's notation, from one length to another.
    Time(Duration, Duration),
    List(&'static FieldKind),
    /// Keys of any name.
    Map(&'static FieldKind),
    Object(&'static [(&'static str, FieldKind)]),
    /// A field of NodeConfig, with its name.
    Elsewhere(&'static str),
    /// Owned by the agent, with the reason.
    Agent(&'static str),
}

use FieldKind::{
    Agent, Amount, Bool, Checked, Choice, Elsewhere, Fraction, Integer, List, Map, Object, OneOf, Text, Time,
};

const MAX: i64 = i32::MAX as i64;
/// Any whole number of 32 bits that is not negative.
const COUNT: FieldKind = Integer(0, MAX);
/// Any time. Of most fields, `0s` stands for the kubelet's default.
const ANY_TIME: FieldKind = Time(Duration::ZERO, Duration::MAX);
const SWITCH: FieldKind = Checked(values::go_bool);
const RECLAIM: FieldKind = Checked(values::reclaim);
const WRITER: &str = "it writes the kubelet's configuration in this version";
const HEALTH: &str = "it asks there whether the kubelet works";
const SOCKET: &str = "containerd listens where the image has its socket";
const SERVING: &str = "it makes the server's certificate, unless `serverTLSBootstrap` has the cluster sign one";

/// Cipher suites that Go 1.26 has (`cliflag.TLSCipherSuites` of `k8s.io/component-base/cli/flag/ciphersuites_flag.go`).
const CIPHER_SUITES: &[&str] = &[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_RSA_WITH_RC4_128_SHA",
];

const AUTHENTICATION: FieldKind = Object(&[
    ("anonymous", Object(&[("enabled", Bool)])),
    ("webhook", Object(&[("cacheTTL", ANY_TIME), ("enabled", Bool)])),
    ("x509", Object(&[("clientCAFile", Elsewhere("cluster.ca"))])),
]);

/// Modes: `BuildAuthz` of `cmd/kubelet/app/auth.go`.
const AUTHORIZATION: FieldKind = Object(&[
    ("mode", Choice(&["AlwaysAllow", "Webhook"])),
    (
        "webhook",
        Object(&[("cacheAuthorizedTTL", ANY_TIME), ("cacheUnauthorizedTTL", ANY_TIME)]),
    ),
]);

/// Options: `pkg/kubelet/cm/cpumanager/policy_options.go`.
const CPU_OPTIONS: FieldKind = Object(&[
    ("align-by-socket", SWITCH),
    ("distribute-cpus-across-cores", SWITCH),
    ("distribute-cpus-across-numa", SWITCH),
    ("full-pcpus-only", SWITCH),
    ("prefer-align-cpus-by-uncorecache", SWITCH),
    ("strict-cpu-reservation", SWITCH),
]);

/// Options: `pkg/kubelet/cm/topologymanager/policy_options.go`.
const TOPOLOGY_OPTIONS: FieldKind = Object(&[
    ("max-allowable-numa-nodes", Checked(values::numa_nodes)),
    ("prefer-closest-numa-nodes", SWITCH),
]);

/// Times: with the feature gate KubeletCrashLoopBackOffMax.
const CRASH_LOOP: FieldKind = Object(&[(
    "maxContainerRestartPeriod",
    Time(Duration::from_secs(1), Duration::from_secs(300)),
)]);

/// Signals and amounts: `parseMinimumReclaims` of `pkg/kubelet/eviction/helpers.go`.
const MINIMUM_RECLAIM: FieldKind = Object(&[
    ("containerfs.available", RECLAIM),
    ("containerfs.inodesFree", RECLAIM),
    ("imagefs.available", RECLAIM),
    ("imagefs.inodesFree", RECLAIM),
    ("memory.available", RECLAIM),
    ("nodefs.available", RECLAIM),
    ("nodefs.inodesFree", RECLAIM),
    ("pid.available", RECLAIM),
]);

/// Words: `pkg/kubelet/types/constants.go`.
const ENFORCEMENTS: &[&str] = &[
    "kube-reserved",
    "kube-reserved-compressible",
    "none",
    "pods",
    "system-reserved",
    "system-reserved-compressible",
];

/// Limits: `Validate` of `k8s.io/component-base/logs/api/v1/options.go`.
const LOGGING: FieldKind = Object(&[
    ("flushFrequency", Time(Duration::from_nanos(1), Duration::MAX)),
    ("format", Choice(&["json", "text"])),
    ("options", Object(&[("json", LOG_OPTIONS), ("text", LOG_OPTIONS)])),
    ("verbosity", COUNT),
    (
        "vmodule",
        List(&Object(&[
            ("filePattern", Checked(values::file_pattern)),
            ("verbosity", COUNT),
        ])),
    ),
]);
const LOG_OPTIONS: FieldKind = Object(&[("infoBufferSize", Amount), ("splitStream", Bool)]);

/// Node numbers: `getTotalMemoryTypeReserved` of `pkg/kubelet/cm/memorymanager/memory_manager.go` wants nodes of the
/// machine.
const RESERVED_MEMORY: FieldKind = List(&Object(&[("limits", Map(&Amount)), ("numaNode", COUNT)]));

const SHUTDOWN: FieldKind = List(&Object(&[
    ("priority", Integer(i32::MIN as i64, MAX)),
    ("shutdownGracePeriodSeconds", COUNT),
]));

/// Limits: `k8s.io/component-base/tracing/api/v1/config.go`.
const TRACING: FieldKind = Object(&[
    ("endpoint", Checked(values::trace_endpoint)),
    ("samplingRatePerMillion", Integer(0, 1_000_000)),
]);

/// Fields that the oldest kubelet does not have, with the first minor that does.
pub(super) const SINCE: &[(&str, KubeletMinor)] = &[
    ("defaultPodSysctls", KubeletMinor::V1_37),
    ("memoryReservationPolicy", KubeletMinor::V1_36),
    ("tlsCurvePreferences", KubeletMinor::V1_36),
];

/// All fields, sorted by name.
pub(super) const FIELDS: &[(&str, FieldKind)] = &[
    ("address", Checked(values::ip_address)),
    ("allowedUnsafeSysctls", Elsewhere("kubelet.allowedUnsafeSysctls")),
    ("apiVersion", Agent(WRITER)),
    ("authentication", AUTHENTICATION),
    ("authorization", AUTHORIZATION),
    ("cgroupDriver", Agent("containerd leaves control groups to systemd")),
    ("cgroupRoot", Checked(values::cgroup_root)),
    ("cgroupsPerQOS", Bool),
    ("clusterDNS", Elsewhere("cluster.dns.addresses")),
    ("clusterDomain", Elsewhere("cluster.dns.domain")),
    (
        "configMapAndSecretChangeDetectionStrategy",
        Choice(&["Cache", "Get", "Watch"]),
    ),
    ("containerLogMaxFiles", Elsewhere("kubelet.containerLogMaxFiles")),
    ("containerLogMaxSize", Elsewhere("kubelet.containerLogMaxSize")),
    ("containerLogMaxWorkers", Integer(1, MAX)),
    (
        "containerLogMonitorInterval",
        Time(Duration::from_secs(3), Duration::MAX),
    ),
    ("containerRuntimeEndpoint", Agent(SOCKET)),
    (
        "contentType",
        Choice(&["application/json", "application/vnd.kubernetes.protobuf"]),
    ),
    ("cpuCFSQuota", Bool),
    (
        "cpuCFSQuotaPeriod",
        Time(Duration::from_millis(1), Duration::from_secs(1)),
    ),
    ("cpuManagerPolicy", Elsewhere("kubelet.cpuManagerPolicy")),
    ("cpuManagerPolicyOptions", CPU_OPTIONS),
    ("cpuManagerReconcilePeriod", ANY_TIME),
    ("crashLoopBackOff", CRASH_LOOP),
    ("defaultPodSysctls", Map(&Text)),
    ("enableContentionProfiling", Bool),
    ("enableControllerAttachDetach", Bool),
    ("enableDebugFlagsHandler", Bool),
    ("enableDebuggingHandlers", Bool),
    ("enableProfilingHandler", Bool),
    ("enableServer", Bool),
    ("enableSystemLogHandler", Bool),
    ("enableSystemLogQuery", Bool),
    ("enforceNodeAllocatable", List(&Choice(ENFORCEMENTS))),
    ("eventBurst", COUNT),
    ("eventRecordQPS", COUNT),
    ("evictionHard", Elsewhere("kubelet.evictionHard")),
    ("evictionMaxPodGracePeriod", COUNT),
    ("evictionMinimumReclaim", MINIMUM_RECLAIM),
    ("evictionPressureTransitionPeriod", ANY_TIME),
    ("evictionSoft", Elsewhere("kubelet.evictionSoft")),
    ("evictionSoftGracePeriod", Elsewhere("kubelet.evictionSoftGracePeriod")),
    ("failCgroupV1", Bool),
    ("failSwapOn", Elsewhere("kubelet.failSwapOn")),
    ("featureGates", Elsewhere("kubelet.featureGates")),
    ("fileCheckFrequency", ANY_TIME),
    ("hairpinMode", Choice(&["hairpin-veth", "none", "promiscuous-bridge"])),
    ("healthzBindAddress", Agent(HEALTH)),
    ("healthzPort", Agent(HEALTH)),
    ("httpCheckFrequency", ANY_TIME),
    (
        "imageGCHighThresholdPercent",
        Elsewhere("kubelet.imageGCHighThresholdPercent"),
    ),
    (
        "imageGCLowThresholdPercent",
        Elsewhere("kubelet.imageGCLowThresholdPercent"),
    ),
    ("imageMaximumGCAge", ANY_TIME),
    ("imageMinimumGCAge", ANY_TIME),
    (
        "imagePullCredentialsVerificationPolicy",
        Choice(&[
            "AlwaysVerify",
            "NeverVerify",
            "NeverVerifyAllowlistedImages",
            "NeverVerifyPreloadedImages",
        ]),
    ),
    ("imageServiceEndpoint", Agent(SOCKET)),
    ("iptablesDropBit", Integer(0, 31)),
    ("iptablesMasqueradeBit", Integer(0, 31)),
    ("kernelMemcgNotification", Bool),
    ("kind", Agent(WRITER)),
    ("kubeAPIBurst", COUNT),
    ("kubeAPIQPS", COUNT),
    ("kubeReserved", Elsewhere("kubelet.kubeReserved")),
    ("kubeReservedCgroup", Text),
    ("kubeletCgroups", Text),
    ("localStorageCapacityIsolation", Bool),
    ("logging", LOGGING),
    ("makeIPTablesUtilChains", Bool),
    ("maxOpenFiles", Integer(0, i64::MAX)),
    ("maxParallelImagePulls", Elsewhere("kubelet.maxParallelImagePulls")),
    ("maxPods", Elsewhere("kubelet.maxPods")),
    ("memoryManagerPolicy", Choice(&["None", "Static"])),
    ("memoryReservationPolicy", Choice(&["None", "TieredReservation"])),
    ("memorySwap", Elsewhere("kubelet.memorySwap")),
    ("memoryThrottlingFactor", Fraction),
    ("mergeDefaultEvictionSettings", Bool),
    ("nodeLeaseDurationSeconds", Integer(1, MAX)),
    ("nodeStatusMaxImages", Integer(-1, MAX)),
    ("nodeStatusReportFrequency", ANY_TIME),
    ("nodeStatusUpdateFrequency", ANY_TIME),
    ("oomScoreAdj", Integer(-1000, 1000)),
    ("podCIDR", Checked(values::networks)),
    ("podLogsDir", Checked(values::pod_logs)),
    ("podPidsLimit", Elsewhere("kubelet.podPidsLimit")),
    ("podsPerCore", COUNT),
    ("port", Integer(1, 65535)),
    (
        "preloadedImagesVerificationAllowlist",
        List(&Checked(values::image_pattern)),
    ),
    ("protectKernelDefaults", Bool),
    ("providerID", Elsewhere("kubelet.providerID")),
    // `ParseQOSReserved` of `pkg/kubelet/cm/helpers_linux.go`.
    ("qosReserved", Object(&[("memory", Checked(values::percentage))])),
    ("readOnlyPort", Integer(0, 65535)),
    ("registerNode", Bool),
    ("registerWithTaints", Elsewhere("taints")),
    ("registryBurst", COUNT),
    ("registryPullQPS", COUNT),
    ("reservedMemory", RESERVED_MEMORY),
    ("reservedSystemCPUs", Elsewhere("kubelet.reservedSystemCPUs")),
    ("resolvConf", Checked(values::path_or_nothing)),
    ("rotateCertificates", Bool),
    ("runOnce", Agent("the kubelet ends with it")),
    ("runtimeRequestTimeout", ANY_TIME),
    ("seccompDefault", Elsewhere("kubelet.seccompDefault")),
    ("serializeImagePulls", Elsewhere("kubelet.maxParallelImagePulls")),
    ("serverTLSBootstrap", Elsewhere("kubelet.serverTLSBootstrap")),
    ("showHiddenMetricsForVersion", Text),
    ("shutdownGracePeriod", Elsewhere("kubelet.shutdownGracePeriod")),
    ("shutdownGracePeriodByPodPriority", SHUTDOWN),
    (
        "shutdownGracePeriodCriticalPods",
        Elsewhere("kubelet.shutdownGracePeriodCriticalPods"),
    ),
    ("singleProcessOOMKill", Bool),
    ("staticPodPath", Agent("the image has the folder of static pods")),
    ("staticPodURL", Checked(values::url_or_nothing)),
    ("staticPodURLHeader", Map(&List(&Text))),
    ("streamingConnectionIdleTimeout", ANY_TIME),
    ("syncFrequency", ANY_TIME),
    ("systemCgroups", Text),
    ("systemReserved", Elsewhere("kubelet.systemReserved")),
    ("systemReservedCgroup", Text),
    ("tlsCertFile", Agent(SERVING)),
    ("tlsCipherSuites", List(&Choice(CIPHER_SUITES))),
    // Curves that Go 1.26 has: `k8s.io/component-base/cli/flag/curves_flag.go`.
    ("tlsCurvePreferences", List(&OneOf(&[23, 24, 25, 29, 4587, 4588, 4589]))),
    ("tlsMinVersion", Choice(&["VersionTLS12", "VersionTLS13"])),
    ("tlsPrivateKeyFile", Agent(SERVING)),
    ("topologyManagerPolicy", Elsewhere("kubelet.topologyManagerPolicy")),
    ("topologyManagerPolicyOptions", TOPOLOGY_OPTIONS),
    ("topologyManagerScope", Choice(&["container", "pod"])),
    ("tracing", TRACING),
    (
        "userNamespaces",
        Object(&[("idsPerPod", Integer(65536, u32::MAX as i64))]),
    ),
    ("volumePluginDir", Checked(values::path)),
    ("volumeStatsAggPeriod", ANY_TIME),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_sorted() {
        fn sorted(kind: &FieldKind) {
            match kind {
                List(kind) | Map(kind) => sorted(kind),
                Object(fields) => {
                    assert!(fields.is_sorted_by(|one, other| one.0 < other.0), "{fields:?}");
                    fields.iter().for_each(|(_, kind)| sorted(kind));
                }
                _ => {}
            }
        }
        sorted(&Object(FIELDS));
    }
}
