//! Rules of the kubelet's own validation, in its order: `ValidateKubeletConfiguration` of
//! `pkg/kubelet/apis/config/validation/validation.go` of Kubernetes 1.35.5 to 1.37.2, with what it calls.
//!
//! Each is there with a configuration that breaks it and the NodeConfig that would bring that about. Not here are rules that
//! nothing can break: of control groups of version 1, `healthzPort` and `containerRuntimeEndpoint`, which the agent owns, times
//! below zero, which no NodeConfig can write, `ImageMaximumGCAge`, a gate that is locked, and a relative `podLogsDir`, which the
//! kubelet takes to be below the folder of its configuration.

use basalt_node_config::KubeletMinor::{self, V1_35, V1_36, V1_37};

/// A rule: the minors whose kubelets have it, a part of what they say, the fields that break it, in JSON, and the same as a
/// part of a NodeConfig.
pub type ValidationRule = (&'static [KubeletMinor], &'static str, &'static str, &'static str);

const ALL: &[KubeletMinor] = &[V1_35, V1_36, V1_37];
const SINCE_36: &[KubeletMinor] = &[V1_36, V1_37];

/// All rules.
pub const RULES: &[ValidationRule] = &[
    (
        ALL,
        "unrecognized feature gate",
        r#"{ "featureGates": { "Nope": true } }"#,
        "kubelet: { featureGates: { Nope: true } }",
    ),
    (
        ALL,
        "feature is locked to true",
        r#"{ "featureGates": { "KubeletTracing": false } }"#,
        "kubelet: { featureGates: { KubeletTracing: false } }",
    ),
    (
        ALL,
        "depends on features that are disabled",
        r#"{ "featureGates": { "GracefulNodeShutdown": false }, "shutdownGracePeriod": "0s", "shutdownGracePeriodCriticalPods": "0s" }"#,
        "kubelet: { shutdownGracePeriod: 0s, featureGates: { GracefulNodeShutdown: false } }",
    ),
    (
        ALL,
        "nodeLeaseDurationSeconds must be greater than 0",
        r#"{ "nodeLeaseDurationSeconds": -1 }"#,
        "kubelet: { extraConfig: { nodeLeaseDurationSeconds: -1 } }",
    ),
    (
        ALL,
        "systemCgroups (--system-cgroups) was specified and cgroupRoot",
        r#"{ "systemCgroups": "/system" }"#,
        "kubelet: { extraConfig: { systemCgroups: /system } }",
    ),
    (
        ALL,
        "eventBurst (--event-burst)",
        r#"{ "eventBurst": -1 }"#,
        "kubelet: { extraConfig: { eventBurst: -1 } }",
    ),
    (
        ALL,
        "eventRecordQPS (--event-qps)",
        r#"{ "eventRecordQPS": -1 }"#,
        "kubelet: { extraConfig: { eventRecordQPS: -1 } }",
    ),
    (
        ALL,
        "requires feature gate CustomCPUCFSQuotaPeriod",
        r#"{ "cpuCFSQuotaPeriod": "5ms", "featureGates": { "CustomCPUCFSQuotaPeriod": false } }"#,
        "kubelet: { extraConfig: { cpuCFSQuotaPeriod: 5ms }, featureGates: { CustomCPUCFSQuotaPeriod: false } }",
    ),
    (
        ALL,
        "must be between 1ms and 1sec",
        r#"{ "cpuCFSQuotaPeriod": "2s", "featureGates": { "CustomCPUCFSQuotaPeriod": true } }"#,
        "kubelet: { extraConfig: { cpuCFSQuotaPeriod: 2s }, featureGates: { CustomCPUCFSQuotaPeriod: true } }",
    ),
    (
        ALL,
        "imageGCHighThresholdPercent (--image-gc-high-threshold) 101",
        r#"{ "imageGCHighThresholdPercent": 101 }"#,
        "kubelet: { imageGCHighThresholdPercent: 101 }",
    ),
    (
        ALL,
        "imageGCLowThresholdPercent (--image-gc-low-threshold) -1",
        r#"{ "imageGCLowThresholdPercent": -1 }"#,
        "kubelet: { imageGCLowThresholdPercent: -1 }",
    ),
    (
        ALL,
        "must be less than imageGCHighThresholdPercent",
        r#"{ "imageGCHighThresholdPercent": 75 }"#,
        "kubelet: { imageGCHighThresholdPercent: 75 }",
    ),
    (
        &[V1_37],
        "DefaultPodSysctls feature gate is required",
        r#"{ "defaultPodSysctls": { "net.core.somaxconn": "1" } }"#,
        "kubelet: { extraConfig: { defaultPodSysctls: { net.core.somaxconn: '1' } } }",
    ),
    (
        &[V1_37],
        "is not a valid sysctl name for defaultPodSysctls",
        r#"{ "featureGates": { "DefaultPodSysctls": true }, "defaultPodSysctls": { "net core": "1" } }"#,
        "kubelet: { featureGates: { DefaultPodSysctls: true }, extraConfig: { defaultPodSysctls: { 'net core': '1' } } }",
    ),
    (
        &[V1_37],
        "is not known to be namespaced for defaultPodSysctls",
        r#"{ "featureGates": { "DefaultPodSysctls": true }, "defaultPodSysctls": { "vm.swappiness": "1" } }"#,
        "kubelet: { featureGates: { DefaultPodSysctls: true }, extraConfig: { defaultPodSysctls: { vm.swappiness: '1' } } }",
    ),
    (
        &[V1_37],
        "duplicate sysctl",
        r#"{ "featureGates": { "DefaultPodSysctls": true }, "defaultPodSysctls": { "net.core.a": "1", "net/core/a": "1" } }"#,
        "kubelet: { featureGates: { DefaultPodSysctls: true }, \
         extraConfig: { defaultPodSysctls: { net.core.a: '1', net/core/a: '1' } } }",
    ),
    (
        ALL,
        "must be greater than imageMinimumGCAge",
        r#"{ "imageMaximumGCAge": "1m" }"#,
        "kubelet: { extraConfig: { imageMaximumGCAge: 1m } }",
    ),
    (
        ALL,
        "iptablesDropBit (--iptables-drop-bit)",
        r#"{ "iptablesDropBit": 32 }"#,
        "kubelet: { extraConfig: { iptablesDropBit: 32 } }",
    ),
    (
        ALL,
        "iptablesMasqueradeBit (--iptables-masquerade-bit)",
        r#"{ "iptablesMasqueradeBit": -1 }"#,
        "kubelet: { extraConfig: { iptablesMasqueradeBit: -1 } }",
    ),
    (
        ALL,
        "kubeAPIBurst (--kube-api-burst)",
        r#"{ "kubeAPIBurst": -1 }"#,
        "kubelet: { extraConfig: { kubeAPIBurst: -1 } }",
    ),
    (
        ALL,
        "kubeAPIQPS (--kube-api-qps)",
        r#"{ "kubeAPIQPS": -1 }"#,
        "kubelet: { extraConfig: { kubeAPIQPS: -1 } }",
    ),
    (
        ALL,
        "nodeStatusMaxImages (--node-status-max-images)",
        r#"{ "nodeStatusMaxImages": -2 }"#,
        "kubelet: { extraConfig: { nodeStatusMaxImages: -2 } }",
    ),
    (
        ALL,
        "maxOpenFiles (--max-open-files)",
        r#"{ "maxOpenFiles": -1 }"#,
        "kubelet: { extraConfig: { maxOpenFiles: -1 } }",
    ),
    (
        ALL,
        "maxPods (--max-pods)",
        r#"{ "maxPods": -1 }"#,
        "kubelet: { maxPods: -1 }",
    ),
    (
        ALL,
        "oomScoreAdj (--oom-score-adj)",
        r#"{ "oomScoreAdj": 1001 }"#,
        "kubelet: { extraConfig: { oomScoreAdj: 1001 } }",
    ),
    (
        ALL,
        "podsPerCore (--pods-per-core)",
        r#"{ "podsPerCore": -1 }"#,
        "kubelet: { extraConfig: { podsPerCore: -1 } }",
    ),
    (
        ALL,
        "port (--port)",
        r#"{ "port": 65536 }"#,
        "kubelet: { extraConfig: { port: 65536 } }",
    ),
    (
        ALL,
        "readOnlyPort (--read-only-port)",
        r#"{ "readOnlyPort": 65536 }"#,
        "kubelet: { extraConfig: { readOnlyPort: 65536 } }",
    ),
    (
        ALL,
        "registryBurst (--registry-burst)",
        r#"{ "registryBurst": -1 }"#,
        "kubelet: { extraConfig: { registryBurst: -1 } }",
    ),
    (
        ALL,
        "registryPullQPS (--registry-qps)",
        r#"{ "registryPullQPS": -1 }"#,
        "kubelet: { extraConfig: { registryPullQPS: -1 } }",
    ),
    (
        ALL,
        "maxParallelImagePulls 0 must be a positive number",
        r#"{ "maxParallelImagePulls": 0 }"#,
        "kubelet: { maxParallelImagePulls: 0 }",
    ),
    (
        ALL,
        "maxParallelImagePulls cannot be larger than 1 unless",
        r#"{ "serializeImagePulls": true }"#,
        "kubelet: { extraConfig: { serializeImagePulls: true } }",
    ),
    (
        ALL,
        "requires feature gate RotateKubeletServerCertificate",
        r#"{ "serverTLSBootstrap": true, "featureGates": { "RotateKubeletServerCertificate": false } }"#,
        "kubelet: { serverTLSBootstrap: true, featureGates: { RotateKubeletServerCertificate: false } }",
    ),
    (
        ALL,
        "Runonce mode has been deprecated",
        r#"{ "runOnce": true }"#,
        "kubelet: { extraConfig: { runOnce: true } }",
    ),
    (
        ALL,
        "invalid taint",
        r#"{ "registerWithTaints": [{ "key": "a b", "effect": "NoSchedule" }] }"#,
        "taints: [{ key: a b, effect: NoSchedule }]",
    ),
    (
        ALL,
        "topologyManagerPolicy (--topology-manager-policy)",
        r#"{ "topologyManagerPolicy": "x" }"#,
        "kubelet: { topologyManagerPolicy: x }",
    ),
    (
        ALL,
        "topologyManagerScope (--topology-manager-scope)",
        r#"{ "topologyManagerScope": "x" }"#,
        "kubelet: { extraConfig: { topologyManagerScope: x } }",
    ),
    (
        ALL,
        "must be <= shutdownGracePeriod",
        r#"{ "shutdownGracePeriodCriticalPods": "31s" }"#,
        "kubelet: { shutdownGracePeriodCriticalPods: 31s }",
    ),
    (
        ALL,
        "shutdownGracePeriod {500ms} must be either zero",
        r#"{ "shutdownGracePeriod": "500ms", "shutdownGracePeriodCriticalPods": "0s" }"#,
        "kubelet: { shutdownGracePeriod: 500ms, shutdownGracePeriodCriticalPods: 0s }",
    ),
    (
        ALL,
        "shutdownGracePeriodCriticalPods {500ms} must be either zero",
        r#"{ "shutdownGracePeriodCriticalPods": "500ms" }"#,
        "kubelet: { shutdownGracePeriodCriticalPods: 500ms }",
    ),
    (
        ALL,
        "requires feature gate GracefulNodeShutdown",
        r#"{ "featureGates": { "GracefulNodeShutdown": false, "GracefulNodeShutdownBasedOnPodPriority": false,
            "WindowsGracefulNodeShutdown": false } }"#,
        "kubelet: { featureGates: { GracefulNodeShutdown: false, GracefulNodeShutdownBasedOnPodPriority: false, \
         WindowsGracefulNodeShutdown: false } }",
    ),
    (
        ALL,
        "Cannot specify both shutdownGracePeriodByPodPriority",
        r#"{ "shutdownGracePeriodByPodPriority": [{ "priority": 0, "shutdownGracePeriodSeconds": 9 }] }"#,
        "kubelet: { shutdownGracePeriod: 30s, \
         extraConfig: { shutdownGracePeriodByPodPriority: [{ priority: 0, shutdownGracePeriodSeconds: 9 }] } }",
    ),
    (
        ALL,
        "requires feature gate GracefulNodeShutdownBasedOnPodPriority",
        r#"{ "shutdownGracePeriod": "0s", "shutdownGracePeriodCriticalPods": "0s",
            "featureGates": { "GracefulNodeShutdownBasedOnPodPriority": false },
            "shutdownGracePeriodByPodPriority": [{ "priority": 0, "shutdownGracePeriodSeconds": 9 }] }"#,
        "kubelet: { featureGates: { GracefulNodeShutdownBasedOnPodPriority: false }, \
         extraConfig: { shutdownGracePeriodByPodPriority: [{ priority: 0, shutdownGracePeriodSeconds: 9 }] } }",
    ),
    (
        ALL,
        "memorySwap.swapBehavior",
        r#"{ "memorySwap": { "swapBehavior": "x" } }"#,
        "kubelet: { memorySwap: { swapBehavior: x } }",
    ),
    (
        ALL,
        "KubeletCrashLoopBackOffMax not enabled",
        r#"{ "crashLoopBackOff": { "maxContainerRestartPeriod": "9s" }, "featureGates": { "KubeletCrashLoopBackOffMax": false } }"#,
        "kubelet: { extraConfig: { crashLoopBackOff: { maxContainerRestartPeriod: 9s } }, \
         featureGates: { KubeletCrashLoopBackOffMax: false } }",
    ),
    (
        ALL,
        "must be set between 1s and 300s",
        r#"{ "crashLoopBackOff": { "maxContainerRestartPeriod": "301s" } }"#,
        "kubelet: { extraConfig: { crashLoopBackOff: { maxContainerRestartPeriod: 301s } } }",
    ),
    (
        ALL,
        "cannot be specified together in enforceNodeAllocatable",
        r#"{ "enforceNodeAllocatable": ["system-reserved", "system-reserved-compressible"], "systemReservedCgroup": "/system.slice" }"#,
        "kubelet: { systemReserved: { cpu: 100m }, extraConfig: { systemReservedCgroup: /system.slice, \
         enforceNodeAllocatable: [system-reserved, system-reserved-compressible] } }",
    ),
    (
        ALL,
        "cannot be specified together in enforceNodeAllocatable",
        r#"{ "enforceNodeAllocatable": ["kube-reserved", "kube-reserved-compressible"], "kubeReservedCgroup": "/system.slice" }"#,
        "kubelet: { extraConfig: { kubeReservedCgroup: /system.slice, \
         enforceNodeAllocatable: [kube-reserved, kube-reserved-compressible] } }",
    ),
    (
        ALL,
        "duplicated enforcements",
        r#"{ "enforceNodeAllocatable": ["pods", "pods"] }"#,
        "kubelet: { extraConfig: { enforceNodeAllocatable: [pods, pods] } }",
    ),
    (
        ALL,
        "systemReservedCgroup (--system-reserved-cgroup) must be specified",
        r#"{ "enforceNodeAllocatable": ["system-reserved"] }"#,
        "kubelet: { systemReserved: { cpu: 100m }, extraConfig: { enforceNodeAllocatable: [system-reserved] } }",
    ),
    (
        ALL,
        "kubeReservedCgroup (--kube-reserved-cgroup) must be specified",
        r#"{ "enforceNodeAllocatable": ["kube-reserved"] }"#,
        "kubelet: { extraConfig: { enforceNodeAllocatable: [kube-reserved] } }",
    ),
    (
        ALL,
        "may not contain additional enforcements",
        r#"{ "enforceNodeAllocatable": ["none", "pods"] }"#,
        "kubelet: { extraConfig: { enforceNodeAllocatable: [none, pods] } }",
    ),
    (
        ALL,
        "specified for enforceNodeAllocatable",
        r#"{ "enforceNodeAllocatable": ["x"] }"#,
        "kubelet: { extraConfig: { enforceNodeAllocatable: [x] } }",
    ),
    (
        ALL,
        "cgroupsPerQOS (--cgroups-per-qos) must be set to true",
        r#"{ "cgroupsPerQOS": false }"#,
        "kubelet: { extraConfig: { cgroupsPerQOS: false } }",
    ),
    (
        ALL,
        "specified for hairpinMode",
        r#"{ "hairpinMode": "x" }"#,
        "kubelet: { extraConfig: { hairpinMode: x } }",
    ),
    (
        ALL,
        "specified for imagePullCredentialsVerificationPolicy",
        r#"{ "imagePullCredentialsVerificationPolicy": "x" }"#,
        "kubelet: { extraConfig: { imagePullCredentialsVerificationPolicy: x } }",
    ),
    (
        ALL,
        "can't set `preloadedImagesVerificationAllowlist` if",
        r#"{ "preloadedImagesVerificationAllowlist": ["registry.example/a"] }"#,
        "kubelet: { extraConfig: { preloadedImagesVerificationAllowlist: [registry.example/a] } }",
    ),
    (
        ALL,
        "invalid image pattern in `preloadedImagesVerificationAllowlist`",
        r#"{ "imagePullCredentialsVerificationPolicy": "NeverVerifyAllowlistedImages",
            "preloadedImagesVerificationAllowlist": ["registry.example/a:1"] }"#,
        "kubelet: { extraConfig: { imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages, \
         preloadedImagesVerificationAllowlist: ['registry.example/a:1'] } }",
    ),
    (
        ALL,
        "`imagePullCredentialsVerificationPolicy` must not be set",
        r#"{ "imagePullCredentialsVerificationPolicy": "NeverVerify", "featureGates": { "KubeletEnsureSecretPulledImages": false } }"#,
        "kubelet: { extraConfig: { imagePullCredentialsVerificationPolicy: NeverVerify }, \
         featureGates: { KubeletEnsureSecretPulledImages: false } }",
    ),
    (
        ALL,
        "`preloadedImagesVerificationAllowlist` must not be set",
        r#"{ "preloadedImagesVerificationAllowlist": ["a"], "featureGates": { "KubeletEnsureSecretPulledImages": false } }"#,
        "kubelet: { extraConfig: { preloadedImagesVerificationAllowlist: [a] }, \
         featureGates: { KubeletEnsureSecretPulledImages: false } }",
    ),
    (
        ALL,
        "can't use reservedSystemCPUs",
        r#"{ "reservedSystemCPUs": "0", "kubeReservedCgroup": "/system.slice" }"#,
        "kubelet: { reservedSystemCPUs: '0', extraConfig: { kubeReservedCgroup: /system.slice } }",
    ),
    (
        ALL,
        "unable to parse reservedSystemCPUs",
        r#"{ "reservedSystemCPUs": "1-0" }"#,
        "kubelet: { reservedSystemCPUs: 1-0 }",
    ),
    (
        ALL,
        "the limit type",
        r#"{ "reservedMemory": [{ "numaNode": 0, "limits": { "cpu": "1" } }] }"#,
        "kubelet: { extraConfig: { reservedMemory: [{ numaNode: 0, limits: { cpu: 1 } }] } }",
    ),
    (
        ALL,
        "reserved memory may not be zero",
        r#"{ "reservedMemory": [{ "numaNode": 0, "limits": { "memory": "0" } }] }"#,
        "kubelet: { extraConfig: { reservedMemory: [{ numaNode: 0, limits: { memory: 0 } }] } }",
    ),
    (
        ALL,
        "has a duplicate value for NUMA node",
        r#"{ "reservedMemory": [{ "numaNode": 0, "limits": { "memory": "1" } }, { "numaNode": 0, "limits": { "memory": "1" } }] }"#,
        "kubelet: { extraConfig: { reservedMemory: \
         [{ numaNode: 0, limits: { memory: 1 } }, { numaNode: 0, limits: { memory: 1 } }] } }",
    ),
    (
        ALL,
        "userNamespaces.idsPerPod must not be less than",
        r#"{ "userNamespaces": { "idsPerPod": 1 } }"#,
        "kubelet: { extraConfig: { userNamespaces: { idsPerPod: 1 } } }",
    ),
    (
        ALL,
        "userNamespaces.idsPerPod must be a multiple of",
        r#"{ "userNamespaces": { "idsPerPod": 65537 } }"#,
        "kubelet: { extraConfig: { userNamespaces: { idsPerPod: 65537 } } }",
    ),
    (
        ALL,
        "userNamespaces.idsPerPod must not be more than",
        r#"{ "userNamespaces": { "idsPerPod": 4294967296 } }"#,
        "kubelet: { extraConfig: { userNamespaces: { idsPerPod: 4294967296 } } }",
    ),
    (
        ALL,
        "must be omitted or have the value",
        r#"{ "showHiddenMetricsForVersion": "1.20" }"#,
        "kubelet: { extraConfig: { showHiddenMetricsForVersion: '1.20' } }",
    ),
    (
        ALL,
        "logging.format",
        r#"{ "logging": { "format": "x" } }"#,
        "kubelet: { extraConfig: { logging: { format: x } } }",
    ),
    (
        ALL,
        "tracing.samplingRatePerMillion",
        r#"{ "tracing": { "samplingRatePerMillion": 1000001 } }"#,
        "kubelet: { extraConfig: { tracing: { samplingRatePerMillion: 1000001 } } }",
    ),
    (
        ALL,
        "tracing.endpoint",
        r#"{ "tracing": { "endpoint": "http://collector" } }"#,
        "kubelet: { extraConfig: { tracing: { endpoint: 'http://collector' } } }",
    ),
    (
        &[V1_37],
        "memoryThrottlingFactor must not be set when MemoryQoS",
        r#"{ "memoryThrottlingFactor": 0.8, "featureGates": { "MemoryQoS": false } }"#,
        "kubelet: { extraConfig: { memoryThrottlingFactor: 0.8 }, featureGates: { MemoryQoS: false } }",
    ),
    (
        ALL,
        "must be greater than 0 and less than or equal to 1.0",
        r#"{ "memoryThrottlingFactor": 1.5 }"#,
        "kubelet: { extraConfig: { memoryThrottlingFactor: 1.5 } }",
    ),
    (
        SINCE_36,
        "requires MemoryQoS feature gate",
        r#"{ "memoryReservationPolicy": "TieredReservation", "featureGates": { "MemoryQoS": false } }"#,
        "kubelet: { extraConfig: { memoryReservationPolicy: TieredReservation }, featureGates: { MemoryQoS: false } }",
    ),
    (
        SINCE_36,
        "specified for memoryReservationPolicy",
        r#"{ "memoryReservationPolicy": "x" }"#,
        "kubelet: { extraConfig: { memoryReservationPolicy: x } }",
    ),
    (
        &[V1_35],
        "NodeLogQuery feature gate is required",
        r#"{ "featureGates": { "NodeLogQuery": false } }"#,
        "kubelet: { featureGates: { NodeLogQuery: false } }",
    ),
    (
        ALL,
        "enableSystemLogHandler is required",
        r#"{ "enableSystemLogHandler": false }"#,
        "kubelet: { extraConfig: { enableSystemLogHandler: false, enableSystemLogQuery: true } }",
    ),
    (
        ALL,
        "containerLogMaxWorkers must be",
        r#"{ "containerLogMaxWorkers": 0 }"#,
        "kubelet: { extraConfig: { containerLogMaxWorkers: 0 } }",
    ),
    (
        ALL,
        "containerLogMonitorInterval must be",
        r#"{ "containerLogMonitorInterval": "1s" }"#,
        "kubelet: { extraConfig: { containerLogMonitorInterval: 1s } }",
    ),
    (
        ALL,
        "containerLogMaxFiles must be",
        r#"{ "containerLogMaxFiles": 1 }"#,
        "kubelet: { containerLogMaxFiles: 1 }",
    ),
    (
        ALL,
        "must be normalized",
        r#"{ "podLogsDir": "/var/log/pods/" }"#,
        "kubelet: { extraConfig: { podLogsDir: /var/log/pods/ } }",
    ),
    (
        ALL,
        "ASCII characters only",
        r#"{ "podLogsDir": "/var/lög" }"#,
        "kubelet: { extraConfig: { podLogsDir: /var/lög } }",
    ),
];
