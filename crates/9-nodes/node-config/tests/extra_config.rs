//! Fields of `kubelet.extraConfig` and feature gates, against each other and against what the agent puts beside them.

#![cfg(test)]

mod cases;

use basalt_node_config::{KubeletMinor, kubelet_extra_fields};
use cases::{accepted, refused, said_for, warned};

#[test]
fn other_fields_of_the_kubelet() {
    accepted(&[
        "kubelet: { extraConfig: { registryPullQPS: 10, imageMaximumGCAge: 24h, topologyManagerScope: pod } }",
        "kubelet: { cpuManagerPolicy: static, extraConfig: { cpuManagerPolicyOptions: { full-pcpus-only: 'true' } } }",
        "kubelet: { systemReserved: { cpu: 100m }, extraConfig: { enforceNodeAllocatable: [pods, system-reserved], \
         systemReservedCgroup: /system.slice } }",
        "kubelet: { extraConfig: { shutdownGracePeriodByPodPriority: [{ priority: 0 }] } }",
        "kubelet: { extraConfig: { memoryThrottlingFactor: 0.8 } }",
    ]);
    refused(&[
        (
            "kubelet: { extraConfig: { registryPullQps: 10 } }",
            "did you mean `registryPullQPS`?",
        ),
        (
            "kubelet: { extraConfig: { registryPullQPS: -1 } }",
            "-1 is out of range",
        ),
        (
            "kubelet: { extraConfig: { registryPullQPS: many } }",
            "must be a whole number",
        ),
        ("kubelet: { extraConfig: { syncFrequency: 60 } }", "must be a time span"),
        (
            "kubelet: { extraConfig: { syncFrequency: 1d } }",
            "`1d` is not a time span",
        ),
        (
            "kubelet: { extraConfig: { tlsMinVersion: VersionTLS10 } }",
            "is not a word for `tlsMinVersion`",
        ),
        (
            "kubelet: { extraConfig: { maxPods: 10 } }",
            "write it as `kubelet.maxPods`",
        ),
        (
            "kubelet: { extraConfig: { clusterDNS: [] } }",
            "write it as `cluster.dns.addresses`",
        ),
        (
            "kubelet: { extraConfig: { cgroupDriver: cgroupfs } }",
            "is the agent's to set: containerd leaves control groups to systemd",
        ),
        (
            "kubelet: { extraConfig: { containerLogMonitorInterval: 1s } }",
            "`1s` is shorter than 3s",
        ),
        (
            "kubelet: { extraConfig: { imageMaximumGCAge: 2m } }",
            "before `imageMinimumGCAge`",
        ),
        (
            "kubelet: { extraConfig: { systemCgroups: /system } }",
            "needs `cgroupRoot`",
        ),
        (
            "kubelet: { extraConfig: { enforceNodeAllocatable: [kube-reserved] } }",
            "needs `kubeReservedCgroup`",
        ),
        (
            "kubelet: { reservedSystemCPUs: '0', extraConfig: { kubeReservedCgroup: /system.slice } }",
            "do not go with `reservedSystemCPUs`",
        ),
        (
            "kubelet: { shutdownGracePeriod: 30s, extraConfig: { shutdownGracePeriodByPodPriority: [] } }",
            "by priority and as `shutdownGracePeriod`",
        ),
    ]);
    warned(&[
        (
            "kubelet: { extraConfig: { authentication: { anonymous: { enabled: true } } } }",
            "anybody may speak",
        ),
        (
            "kubelet: { extraConfig: { authorization: { mode: AlwaysAllow } } }",
            "may do everything",
        ),
        ("kubelet: { extraConfig: { readOnlyPort: 10255 } }", "tells everybody"),
    ]);
}

#[test]
fn memory_by_numa_node() {
    let with = |reserved: &str, kept: &str| {
        format!("kubelet: {{ {kept} extraConfig: {{ {reserved} memoryManagerPolicy: Static }} }}")
    };
    let two = "reservedMemory: [{ numaNode: 0, limits: { memory: 1Gi } }, { numaNode: 1, limits: { memory: 100Mi } }],";
    let kept = "kubeReserved: { memory: 768Mi }, systemReserved: { memory: 256Mi },";
    accepted(&[
        &with(two, kept),
        "kubelet: { extraConfig: { memoryManagerPolicy: None } }",
    ]);
    refused(&[
        (&with("", kept), "needs `reservedMemory`"),
        (&with(two, ""), "depends on the machine"),
        (
            &with(
                two,
                "kubeReserved: { memory: 1Gi }, evictionHard: { memory.available: 200Mi },",
            ),
            "`reservedMemory` is 1124Mi, and 1224Mi are reserved otherwise",
        ),
    ]);
}

/// Cases of fields of `extraConfig`.
#[track_caller]
fn fields_refused(cases: &[(&str, &str)]) {
    for (fields, words) in cases {
        refused(&[(&format!("kubelet: {{ extraConfig: {{ {fields} }} }}"), words)]);
    }
}

#[test]
fn parts_of_fields_have_types() {
    fields_refused(&[
        (
            "authentication: { webhok: {} }",
            "`authentication` has no field `webhok`",
        ),
        (
            "authentication: { webhook: { enabled: 'no' } }",
            "`enabled` must be `true` or `false`",
        ),
        (
            "authentication: { x509: { clientCAFile: /etc/ca } }",
            "write it as `cluster.ca`",
        ),
        ("authorization: { mode: RBAC }", "write one of `AlwaysAllow`, `Webhook`"),
        ("logging: null", "`logging` must be keys with values"),
        (
            "logging: { vmodule: [{ filePattern: 'a=b', verbosity: 2 }] }",
            "is not a pattern of source files",
        ),
        ("shutdownGracePeriodByPodPriority: [30s]", "must be keys with values"),
        ("staticPodURLHeader: { X-Node: a }", "`X-Node` must be a list"),
        (
            "evictionMinimumReclaim: { memory.free: 1Mi }",
            "has no field `memory.free`",
        ),
        (
            "evictionMinimumReclaim: { memory.available: 0% }",
            "nor a percentage above 0",
        ),
        ("qosReserved: { memory: half }", "is not a percentage"),
        ("qosReserved: { cpu: 10% }", "`qosReserved` has no field `cpu`"),
        ("eventBurst: 18446744073709551615", "is out of range for `eventBurst`"),
        ("memoryThrottlingFactor: 1.5", "write a number from more than 0 to 1"),
        ("draManagerReconcilePeriod: 1m", "KubeletConfiguration has no field"),
        ("showHiddenMetricsForVersion: '1.35'", "write one of ``, `1.36`"),
        ("tracing: { samplingRatePerMillion: 1000001 }", "from 0 to 1000000"),
        (
            "tracing: { endpoint: 'http://collector' }",
            "is not a place that traces",
        ),
    ]);
}

#[test]
fn fields_of_the_agent() {
    fields_refused(&[
        ("staticPodPath: /etc/pods", "the image has the folder of static pods"),
        (
            "containerRuntimeEndpoint: ''",
            "containerd listens where the image has its socket",
        ),
        ("healthzPort: 0", "it asks there whether the kubelet works"),
        ("tlsCertFile: /etc/tls.crt", "it makes the server's certificate"),
        ("runOnce: true", "the kubelet ends with it"),
        ("kind: Pod", "it writes the kubelet's configuration"),
    ]);
}

#[test]
fn servers() {
    accepted(&[
        "kubelet: { extraConfig: { address: '::', port: 10251 } }",
        "kubelet: { nodeIP: 10.0.0.11, extraConfig: { address: 10.0.0.11 } }",
        "kubelet: { extraConfig: { tlsMinVersion: VersionTLS13, tlsCipherSuites: [TLS_AES_128_GCM_SHA256] } }",
        "kubelet: { extraConfig: { tlsCipherSuites: [], tlsCurvePreferences: [29, 4588] } }",
    ]);
    fields_refused(&[
        ("address: nowhere", "is not an IP address"),
        ("address: 10.0.0.11", "that the machine may not have"),
        ("port: 10248", "is the port of the kubelet's health"),
        ("port: 10255, readOnlyPort: 10255", "10255 is the kubelet's port, too"),
        ("tlsCipherSuites: [NONE]", "`NONE` is not a word for `tlsCipherSuites`"),
        (
            "tlsCipherSuites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]",
            "one that HTTP/2 has to have",
        ),
        ("tlsCurvePreferences: [26]", "`26` is not a word for"),
        ("tlsCurvePreferences: [29, 29]", "a curve is there twice"),
    ]);
}

#[test]
fn control_groups() {
    accepted(&[
        "kubelet: { extraConfig: { cgroupsPerQOS: false, enforceNodeAllocatable: [none] } }",
        "kubelet: { extraConfig: { enforceNodeAllocatable: [kube-reserved], kubeReservedCgroup: /system.slice } }",
        "kubelet: { extraConfig: { kubeReservedCgroup: /kube } }",
        "kubelet: { extraConfig: { cgroupRoot: /, systemCgroups: /system } }",
    ]);
    fields_refused(&[
        ("cgroupsPerQOS: false", "cannot be enforced (`[pods]` unless given)"),
        ("cgroupRoot: /pods", "the image has no control group `/pods`"),
        ("cgroupRoot: /, systemCgroups: /", "cannot be the root"),
        ("enforceNodeAllocatable: [everything]", "`everything` is not a word for"),
        (
            "enforceNodeAllocatable: [none, pods]",
            "`none` stands beside other words",
        ),
        ("enforceNodeAllocatable: [pods, pods]", "a word is there twice"),
        (
            "enforceNodeAllocatable: [system-reserved, system-reserved-compressible]",
            "exclude each other",
        ),
        (
            "enforceNodeAllocatable: [kube-reserved], kubeReservedCgroup: /kube.slice",
            "no such control group exists",
        ),
        (
            "enforceNodeAllocatable: [system-reserved], systemReservedCgroup: /system.slice",
            "enforces what is reserved, which is nothing",
        ),
    ]);
}

#[test]
fn images_and_logs() {
    accepted(&[
        "kubelet: { extraConfig: { imageMinimumGCAge: 0s, imageMaximumGCAge: 3m } }",
        "kubelet: { extraConfig: { imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages, \
         preloadedImagesVerificationAllowlist: [registry.example/pause, 'registry.example/team/*'] } }",
        "kubelet: { extraConfig: { logging: { format: text, vmodule: [{ filePattern: 'kubelet*', verbosity: 4 }] } } }",
        "kubelet: { containerLogMaxSize: 1536Mi }",
    ]);
    fields_refused(&[
        (
            "imageMinimumGCAge: 0s, imageMaximumGCAge: 1m",
            "before `imageMinimumGCAge`",
        ),
        (
            "preloadedImagesVerificationAllowlist: [registry.example/pause]",
            "only for the policy `NeverVerifyAllowlistedImages`",
        ),
        (
            "preloadedImagesVerificationAllowlist: ['*']",
            "is not a pattern of images",
        ),
        ("podLogsDir: /var/log/../pods", "cannot be the folder of the pods' logs"),
        (
            "enableSystemLogHandler: false, enableSystemLogQuery: true",
            "needs `enableSystemLogHandler`",
        ),
        (
            "logging: { format: json, vmodule: [{ filePattern: a, verbosity: 1 }] }",
            "only for the format `text`",
        ),
        (
            "logging: { options: { text: { splitStream: true } } }",
            "need the feature gate `LoggingAlphaOptions`",
        ),
    ]);
    refused(&[(
        "kubelet: { containerLogMaxSize: 1.5Gi }",
        "is not a number of bytes that the kubelet takes",
    )]);
}

#[test]
fn managers_of_processors_and_memory() {
    let cpu = |options: &str, rest: &str| {
        format!(
            "kubelet: {{ cpuManagerPolicy: static, {rest} extraConfig: {{ cpuManagerPolicyOptions: {{ {options} }} }} }}"
        )
    };
    accepted(&[
        &cpu("distribute-cpus-across-numa: 'true'", ""),
        &cpu(
            "align-by-socket: 'true'",
            "featureGates: { CPUManagerPolicyAlphaOptions: true },",
        ),
        "kubelet: { extraConfig: { topologyManagerPolicyOptions: { max-allowable-numa-nodes: '16' } } }",
    ]);
    refused(&[
        (
            "kubelet: { extraConfig: { cpuManagerPolicyOptions: { full-pcpus-only: 'true' } } }",
            "only the policy `static` has options",
        ),
        (
            "kubelet: { cpuManagerPolicy: static, systemReserved: { cpu: 400u } }",
            "needs processors that are kept back",
        ),
        (
            "kubelet: { extraConfig: { topologyManagerPolicyOptions: { max-allowable-numa-nodes: '4' } } }",
            "is not a number from 8 on",
        ),
        (&cpu("full-pcpus-only: maybe", ""), "is neither true nor false"),
        (
            &cpu("align-by-socket: 'true'", ""),
            "`CPUManagerPolicyAlphaOptions`, which is off",
        ),
        (
            &cpu(
                "full-pcpus-only: 'true', distribute-cpus-across-cores: 'true'",
                "featureGates: { CPUManagerPolicyAlphaOptions: true },",
            ),
            "exclude each other",
        ),
        (
            &cpu(
                "align-by-socket: 'true'",
                "topologyManagerPolicy: single-numa-node, featureGates: { CPUManagerPolicyAlphaOptions: true },",
            ),
            "does not go with `topologyManagerPolicy: single-numa-node`",
        ),
    ]);
    let memory = |limits: &str, rest: &str| {
        format!(
            "kubelet: {{ kubeReserved: {{ memory: 1Gi }}, {rest} extraConfig: {{ memoryManagerPolicy: Static, \
             reservedMemory: [{{ numaNode: 0, limits: {{ {limits} }} }}] }} }}"
        )
    };
    accepted(&[
        &memory("memory: 1124Mi", ""),
        &memory("memory: 1024Mi", "evictionHard: { memory.available: 0% },"),
    ]);
    refused(&[
        (&memory("memory: 1124.5Mi", ""), "is not a number of bytes"),
        (
            &memory("memory: 1124Mi, hugepages-2Mi: 2Mi", ""),
            "is not reserved otherwise",
        ),
        (
            &memory("memory: 1124Mi, cpu: 1", ""),
            "`cpu` cannot be reserved by NUMA node",
        ),
        (
            &memory("memory: 1124Mi", "evictionHard: { memory.available: 5% },"),
            "depends on the machine",
        ),
    ]);
    fields_refused(&[
        (
            "reservedMemory: [{ numaNode: -1, limits: { memory: 1Gi } }]",
            "-1 is out of range",
        ),
        ("reservedMemory: [{ numaNode: 0, limits: { memory: 0 } }]", "is nothing"),
        (
            "reservedMemory: [{ numaNode: 0, limits: { memory: 1 } }, { numaNode: 0, limits: { memory: 1 } }]",
            "`memory` of NUMA node 0 is there twice",
        ),
    ]);
}

#[test]
fn namespaces_of_pods() {
    accepted(&[
        "kubelet: { extraConfig: { userNamespaces: { idsPerPod: 131072 } } }",
        "kubelet: { allowedUnsafeSysctls: ['kernel.shm*', 'net.*', 'user.max_user_namespaces'] }",
        "kubelet: { featureGates: { DefaultPodSysctls: true }, extraConfig: { defaultPodSysctls: \
         { net.ipv4.ip_unprivileged_port_start: '0' } } }",
    ]);
    refused(&[
        (
            "kubelet: { maxPods: 2500, extraConfig: { userNamespaces: { idsPerPod: 2097152 } } }",
            "there are enough for 2047 pods, and the node takes 2500",
        ),
        (
            "kubelet: { allowedUnsafeSysctls: ['kernel.shmm*'] }",
            "is not of a namespace",
        ),
        (
            "kubelet: { allowedUnsafeSysctls: ['net.*.a'] }",
            "is not the name of a sysctl",
        ),
        (
            "kubelet: { featureGates: { DefaultPodSysctls: true }, extraConfig: { defaultPodSysctls: \
             { net.core.somaxconn: '1', net/core/somaxconn: '2' } } }",
            "`net/core/somaxconn` is there twice",
        ),
        (
            "kubelet: { featureGates: { DefaultPodSysctls: true }, extraConfig: { defaultPodSysctls: { vm.swappiness: '1' } } }",
            "is not of a namespace",
        ),
    ]);
    fields_refused(&[
        ("userNamespaces: { idsPerPod: 65535 }", "65535 is out of range"),
        ("userNamespaces: { idsPerPod: 196608 }", "is not a power of two"),
        (
            "defaultPodSysctls: { net.core.somaxconn: '1' }",
            "needs the feature gate `DefaultPodSysctls`, which is off",
        ),
    ]);
}

#[test]
fn feature_gates() {
    let with = |gates: &str, rest: &str| format!("kubelet: {{ featureGates: {{ {gates} }}, {rest} }}");
    accepted(&[
        &with("MemoryQoS: false", ""),
        &with("MemoryQoS: false", "extraConfig: { memoryThrottlingFactor: 0.9 }"),
        &with("NodeLogQuery: true", ""),
        &with(
            "GracefulNodeShutdown: false, GracefulNodeShutdownBasedOnPodPriority: false, \
             WindowsGracefulNodeShutdown: false",
            "shutdownGracePeriod: 0s",
        ),
    ]);
    refused(&[
        (&with("MemoryQOS: false", ""), "did you mean `MemoryQoS`?"),
        (&with("NodeLogQuery: false", ""), "`NodeLogQuery` is locked to `true`"),
        (
            &with("GracefulNodeShutdown: false", ""),
            "`GracefulNodeShutdownBasedOnPodPriority` is on and needs `GracefulNodeShutdown`, which is off",
        ),
        (&with("AllAlpha: true", ""), "add `GenericWorkload: true`"),
        (
            &with("AllBeta: false", ""),
            "grace period of a shutdown needs the feature gate `GracefulNodeShutdown`\n    leave this gate on, or add",
        ),
        (
            &with("RotateKubeletServerCertificate: false", "serverTLSBootstrap: true"),
            "`serverTLSBootstrap` needs the feature gate",
        ),
        (
            &with(
                "CustomCPUCFSQuotaPeriod: false",
                "extraConfig: { cpuCFSQuotaPeriod: 50ms }",
            ),
            "`cpuCFSQuotaPeriod` needs the feature gate",
        ),
        (
            &with(
                "KubeletCrashLoopBackOffMax: false",
                "extraConfig: { crashLoopBackOff: { maxContainerRestartPeriod: 10s } }",
            ),
            "`crashLoopBackOff` needs the feature gate",
        ),
        (
            &with(
                "KubeletEnsureSecretPulledImages: false",
                "extraConfig: { imagePullCredentialsVerificationPolicy: NeverVerify }",
            ),
            "needs the feature gate `KubeletEnsureSecretPulledImages`",
        ),
        (
            &with(
                "MemoryQoS: false",
                "extraConfig: { memoryReservationPolicy: TieredReservation }",
            ),
            "`memoryReservationPolicy` needs the feature gate `MemoryQoS`",
        ),
    ]);
}

/// An option that was not stable in 1.35, without the feature gate that it needed there.
const UNCORE_CACHE: &str = "cpuManagerPolicy: static, featureGates: { CPUManagerPolicyBetaOptions: false }, \
     extraConfig: { cpuManagerPolicyOptions: { prefer-align-cpus-by-uncorecache: 'true' } }";

#[test]
fn each_kubelet_has_gates_and_fields_of_its_own() {
    use KubeletMinor::{V1_35, V1_36, V1_37};
    for (kubelet, more, words) in [
        (V1_37, "featureGates: { MemoryQoS: false }", ""),
        (V1_35, "featureGates: { MemoryQoS: false }", ""),
        (V1_37, "extraConfig: { memoryReservationPolicy: TieredReservation }", ""),
        (
            V1_36,
            "extraConfig: { memoryReservationPolicy: TieredReservation }",
            "`memoryReservationPolicy` needs the feature gate `MemoryQoS`",
        ),
        (
            V1_35,
            "extraConfig: { memoryReservationPolicy: None }",
            "KubeletConfiguration of Kubernetes 1.35 has no field `memoryReservationPolicy`\n    remove it: it is there since \
             Kubernetes 1.36",
        ),
        (V1_36, "extraConfig: { memoryThrottlingFactor: 0.8 }", ""),
        (
            V1_36,
            "featureGates: { DefaultPodSysctls: true }",
            "the kubelet of Kubernetes 1.36 has no feature gate `DefaultPodSysctls`\n    remove this gate: only the kubelet of \
             1.37 has this gate",
        ),
        (
            V1_37,
            "featureGates: { NodeLogQuery: false }",
            "`NodeLogQuery` is locked to `true` in Kubernetes 1.37",
        ),
        (V1_35, "featureGates: { NodeLogQuery: true }", ""),
        (
            V1_35,
            "featureGates: { NodeLogQuery: false }",
            "`NodeLogQuery` has to be on",
        ),
        (V1_35, "extraConfig: { showHiddenMetricsForVersion: '1.34' }", ""),
        (
            V1_35,
            "extraConfig: { showHiddenMetricsForVersion: '1.36' }",
            "write one of ``, `1.34`",
        ),
        (
            V1_35,
            "featureGates: { TopologyManagerPolicyOptions: false }, extraConfig: { topologyManagerPolicyOptions: {} }",
            "`topologyManagerPolicyOptions` needs the feature gate `TopologyManagerPolicyOptions`",
        ),
        (
            V1_36,
            "extraConfig: { topologyManagerPolicyOptions: { prefer-closest-numa-nodes: 'true' } }",
            "",
        ),
        (
            V1_35,
            UNCORE_CACHE,
            "needs the feature gate `CPUManagerPolicyBetaOptions`",
        ),
        (V1_36, UNCORE_CACHE, ""),
    ] {
        let (good, said) = said_for(kubelet, &format!("kubelet: {{ {more} }}"));
        assert!(
            good == words.is_empty() && said.contains(words),
            "{kubelet}: {more}: {said}"
        );
    }
}

/// The crate of joins has the fields with their first minors from the sources of each version.
#[test]
fn newer_fields_are_those_of_the_sources() {
    let listed = include_str!("../../join/src/kubelet_config/fields.txt");
    for (older, newer) in KubeletMinor::ALL.iter().zip(&KubeletMinor::ALL[1..]) {
        let since = format!(" {}", newer.number());
        let added = listed.lines().filter_map(|line| line.strip_suffix(&since));
        let before: Vec<_> = kubelet_extra_fields(*older).collect();
        let new: Vec<_> = kubelet_extra_fields(*newer)
            .filter(|name| !before.contains(name))
            .collect();
        assert_eq!(added.collect::<Vec<_>>(), new, "{newer}");
    }
}

#[test]
fn each_minor_has_a_package() {
    let packages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages");
    for minor in KubeletMinor::ALL {
        let name = match minor {
            KubeletMinor::NEWEST => "kubernetes".to_owned(),
            older => format!("kubernetes{older}"),
        };
        let spec = fs_err::read_to_string(packages.join(&name).join(format!("{name}.spec"))).unwrap();
        let version = spec.lines().find_map(|line| line.strip_prefix("Version:"));
        assert_eq!(
            version.and_then(|version| KubeletMinor::of_version(version.trim())),
            Some(minor)
        );
    }
}
