//! Values of the fields that NodeConfigs are made of: usual ones, those at the borders of what is allowed, and some
//! beyond them.

/// Names of fields, each with values in YAML.
pub type Pool = &'static [(&'static str, &'static [&'static str])];

/// Fields of a NodeConfig of which the kubelet is told.
pub const NODE: Pool = &[
    ("hostname", &["worker-1", "Worker_1"]),
    (
        "labels",
        &[
            "{ tier: gold }",
            "{ node.kubernetes.io/pool: a, example.com/rack: '' }",
            "{ kubernetes.io/role: a }",
            "{ kubelet.kubernetes.io/a: b, topology.kubernetes.io/zone: z-1 }",
        ],
    ),
    (
        "taints",
        &[
            "[{ key: dedicated, value: db, effect: NoSchedule }]",
            "[{ key: example.com/a, effect: NoExecute }, { key: example.com/a, effect: PreferNoSchedule }]",
        ],
    ),
];

/// Fields of `kubelet`.
pub const OWN: Pool = &[
    ("maxPods", &["0", "1", "110", "2500"]),
    ("podPidsLimit", &["15", "16", "4096", "4194304", "4194305"]),
    ("nodeIP", &["10.0.0.11", "'::'", "'10.0.0.11,fd00::11'"]),
    ("cloudProvider", &["external"]),
    ("providerID", &["azure:///subscriptions/s/vm-1"]),
    (
        "systemReserved",
        &[
            "{ cpu: 100m }",
            "{ memory: 256Mi, ephemeralStorage: 1Gi }",
            "{ pid: 1000 }",
            "{ cpu: '0' }",
            "{ cpu: 400u, memory: 512Mi }",
        ],
    ),
    (
        "kubeReserved",
        &[
            "{ cpu: 1.5 }",
            "{ memory: 1Gi }",
            "{ memory: '0', cpu: '0' }",
            "{ pid: 0 }",
        ],
    ),
    (
        "memorySwap",
        &["{ swapBehavior: LimitedSwap }", "{ swapBehavior: NoSwap }"],
    ),
    ("failSwapOn", &["true", "false"]),
    (
        "evictionHard",
        &[
            "{ memory.available: 5% }",
            "{ memory.available: 100Mi, pid.available: 10% }",
            "{ nodefs.available: 0%, nodefs.inodesFree: 100% }",
            "{ imagefs.available: 15.5%, imagefs.inodesFree: '1' }",
            "{ containerfs.available: 5% }",
        ],
    ),
    // A soft threshold needs a time.
    (
        "evictionSoft",
        &[
            "{ memory.available: 300Mi }\n  evictionSoftGracePeriod: { memory.available: 1m30s }",
            "{ nodefs.available: 15% }\n  evictionSoftGracePeriod: { nodefs.available: 0s, pid.available: 1h }",
            "{ memory.available: 1% }",
        ],
    ),
    (
        "evictionSoftGracePeriod",
        &["{ memory.available: 1m30s }", "{ memory.free: 1m }"],
    ),
    ("imageGCHighThresholdPercent", &["50", "81", "100"]),
    ("imageGCLowThresholdPercent", &["0", "49", "84", "85"]),
    ("maxParallelImagePulls", &["1", "2", "100", "2147483647", "2147483648"]),
    ("containerLogMaxSize", &["10Mi", "'1'", "1.5Gi", "1.5G", "1Pi"]),
    ("containerLogMaxFiles", &["1", "2", "10", "2147483648"]),
    ("cpuManagerPolicy", &["none", "static"]),
    ("reservedSystemCPUs", &["'0'", "0-1,3"]),
    (
        "topologyManagerPolicy",
        &["none", "best-effort", "restricted", "single-numa-node"],
    ),
    ("shutdownGracePeriod", &["0s", "500ms", "1s", "1500ms", "5s", "1h"]),
    ("shutdownGracePeriodCriticalPods", &["0s", "1s", "10s", "30s", "31s"]),
    (
        "allowedUnsafeSysctls",
        &[
            "['net.core.*', kernel.sem]",
            "['kernel.shm*', net/ipv4/tcp_rmem]",
            "[vm.swappiness]",
            "['user.*', 'kernel.shmm*']",
            "['fs.mqueue.*', kernel.shm_rmid_forced]",
        ],
    ),
    ("seccompDefault", &["true", "false"]),
    ("serverTLSBootstrap", &["true", "false"]),
    (
        "credentialProviders",
        &[
            "[{ name: ecr, matchImages: ['*.dkr.ecr.*.amazonaws.com'], defaultCacheDuration: 12h }]",
            "[{ name: acr, matchImages: ['*.azurecr.io', 'a.example:5000/team'], defaultCacheDuration: 0s }]",
        ],
    ),
    ("verbosity", &["0", "10"]),
];

/// Fields of `kubelet.extraConfig`.
pub const EXTRA: Pool = &[
    ("address", &["0.0.0.0", "'::'", "127.0.0.1", "10.0.0.11", "nowhere"]),
    (
        "authentication",
        &[
            "{ webhook: { cacheTTL: 1m } }",
            "{ anonymous: { enabled: true } }",
            "{ webhook: { enabled: false } }",
            "{ x509: { clientCAFile: /etc/ca.crt } }",
        ],
    ),
    (
        "authorization",
        &[
            "{ mode: AlwaysAllow }",
            "{ mode: RBAC }",
            "{ webhook: { cacheAuthorizedTTL: 1m, cacheUnauthorizedTTL: 0s } }",
        ],
    ),
    ("cgroupRoot", &["/", "/pods"]),
    ("cgroupsPerQOS", &["true", "false"]),
    (
        "configMapAndSecretChangeDetectionStrategy",
        &["Get", "Cache", "Watch", "Ask"],
    ),
    ("containerLogMaxWorkers", &["0", "1", "5"]),
    (
        "containerLogMonitorInterval",
        &["2s", "2999ms", "3s", "1h", "2562047h", "2562048h"],
    ),
    (
        "contentType",
        &["application/json", "application/vnd.kubernetes.protobuf", "text/plain"],
    ),
    ("cpuCFSQuota", &["true", "false"]),
    (
        "cpuCFSQuotaPeriod",
        &["0s", "999us", "1ms", "50ms", "100ms", "1s", "1001ms"],
    ),
    (
        "cpuManagerPolicyOptions",
        &[
            "{}",
            "{ full-pcpus-only: 'true' }",
            "{ full-pcpus-only: 'yes' }",
            "{ distribute-cpus-across-numa: 'true', prefer-align-cpus-by-uncorecache: 'false' }",
            "{ align-by-socket: 'true' }",
            "{ strict-cpu-reservation: 'T' }",
        ],
    ),
    ("cpuManagerReconcilePeriod", &["0s", "5s"]),
    (
        "crashLoopBackOff",
        &[
            "{}",
            "{ maxContainerRestartPeriod: 999ms }",
            "{ maxContainerRestartPeriod: 1s }",
            "{ maxContainerRestartPeriod: 10s }",
            "{ maxContainerRestartPeriod: 300s }",
            "{ maxContainerRestartPeriod: 301s }",
            "{ maxContainerRestartPeriod: 1h }",
        ],
    ),
    (
        "defaultPodSysctls",
        &[
            "{}",
            "{ net.core.somaxconn: '1024' }",
            "{ net.core.somaxconn: '1024', net/core/somaxconn: '1' }",
            "{ vm.swappiness: '1' }",
        ],
    ),
    ("enableContentionProfiling", &["true", "false"]),
    ("enableControllerAttachDetach", &["true", "false"]),
    ("enableDebugFlagsHandler", &["true", "false"]),
    ("enableDebuggingHandlers", &["true", "false"]),
    ("enableProfilingHandler", &["true", "false"]),
    ("enableServer", &["true", "false"]),
    ("enableSystemLogHandler", &["true", "false"]),
    ("enableSystemLogQuery", &["true", "false"]),
    (
        "enforceNodeAllocatable",
        &[
            "[]",
            "[none]",
            "[pods]",
            "[none, pods]",
            "[pods, system-reserved]",
            "[pods, kube-reserved]",
            "[system-reserved, system-reserved-compressible]",
            "[everything]",
            "[pods, pods]",
            "[kube-reserved-compressible]",
        ],
    ),
    ("eventBurst", &["-1", "0", "100", "2147483647", "2147483648"]),
    ("eventRecordQPS", &["-1", "0", "50"]),
    ("evictionMaxPodGracePeriod", &["-1", "0", "60"]),
    (
        "evictionMinimumReclaim",
        &[
            "{ nodefs.available: 500Mi }",
            "{ imagefs.available: 10%, pid.available: '0' }",
            "{ memory.available: 0% }",
            "{ memory.free: 1Mi }",
        ],
    ),
    ("evictionPressureTransitionPeriod", &["0s", "5m"]),
    ("failCgroupV1", &["true", "false"]),
    ("fileCheckFrequency", &["0s", "20s"]),
    ("hairpinMode", &["promiscuous-bridge", "hairpin-veth", "none"]),
    ("httpCheckFrequency", &["0s", "20s"]),
    ("imageMaximumGCAge", &["0s", "1m", "3m", "168h"]),
    ("imageMinimumGCAge", &["0s", "2m", "4m"]),
    (
        "imagePullCredentialsVerificationPolicy",
        &[
            "NeverVerify",
            "NeverVerifyPreloadedImages",
            "NeverVerifyAllowlistedImages",
            "AlwaysVerify",
        ],
    ),
    ("iptablesDropBit", &["-1", "0", "14", "31", "32"]),
    ("iptablesMasqueradeBit", &["14", "15", "31"]),
    ("kernelMemcgNotification", &["true", "false"]),
    ("kubeAPIBurst", &["-1", "0", "100"]),
    ("kubeAPIQPS", &["-1", "0", "50"]),
    ("kubeReservedCgroup", &["''", "/kube.slice", "/system.slice"]),
    ("kubeletCgroups", &["''", "/system.slice/kubelet.service"]),
    ("localStorageCapacityIsolation", &["true", "false"]),
    (
        "logging",
        &[
            "{ format: json }",
            "{ format: text, verbosity: 2 }",
            "{ flushFrequency: 5s }",
            "{ flushFrequency: 0s }",
            "{ verbosity: 2147483648 }",
            "{ format: xml }",
            "{ format: json, vmodule: [{ filePattern: kubelet, verbosity: 4 }] }",
            "{ vmodule: [{ filePattern: 'kubelet*', verbosity: 4 }] }",
            "{ vmodule: [{ filePattern: 'a,b', verbosity: 4 }] }",
            "{ options: { json: { splitStream: true, infoBufferSize: 64Ki } } }",
            "{ options: { text: { splitStream: false, infoBufferSize: 0 } } }",
        ],
    ),
    ("makeIPTablesUtilChains", &["true", "false"]),
    ("maxOpenFiles", &["-1", "0", "1000000"]),
    ("memoryManagerPolicy", &["None", "Static"]),
    (
        "reservedMemory",
        &[
            "[{ numaNode: 0, limits: { memory: 1124Mi } }]",
            "[{ numaNode: 0, limits: { memory: 1124Mi } }, { numaNode: 0, limits: { hugepages-2Mi: 2Mi } }]",
            "[{ numaNode: 0, limits: { memory: 1Gi } }, { numaNode: 0, limits: { memory: 1Gi } }]",
            "[{ numaNode: 0, limits: { memory: 0 } }]",
            "[{ numaNode: 0, limits: { cpu: 1 } }]",
            "[{ numaNode: -1, limits: { memory: 1Gi } }]",
        ],
    ),
    ("memoryReservationPolicy", &["None", "TieredReservation"]),
    ("memoryThrottlingFactor", &["0", "0.5", "0.9", "1", "1.5"]),
    ("mergeDefaultEvictionSettings", &["true", "false"]),
    ("nodeLeaseDurationSeconds", &["0", "1", "40"]),
    ("nodeStatusMaxImages", &["-2", "-1", "0", "100"]),
    ("nodeStatusReportFrequency", &["0s", "5m"]),
    ("nodeStatusUpdateFrequency", &["0s", "10s"]),
    ("oomScoreAdj", &["-1001", "-1000", "0", "1000", "1001"]),
    ("podCIDR", &["10.1.0.0/24", "'10.1.0.0/24,fd00::/64'", "none"]),
    (
        "podLogsDir",
        &[
            "/var/log/pods",
            "/var/log/pods/",
            "var/log/pods",
            "/var/log/../pods",
            "/var/lög",
            "/",
        ],
    ),
    ("podsPerCore", &["-1", "0", "10"]),
    ("port", &["0", "1", "10248", "65535", "65536"]),
    (
        "preloadedImagesVerificationAllowlist",
        &[
            "[]",
            "[registry.example/pause]",
            "['registry.example/team/*', 'localhost:5000/a']",
            "[registry.example/pause:1]",
            "['*']",
        ],
    ),
    ("protectKernelDefaults", &["true", "false"]),
    (
        "qosReserved",
        &[
            "{ memory: 50% }",
            "{ memory: 101% }",
            "{ memory: half }",
            "{ cpu: 10% }",
        ],
    ),
    ("readOnlyPort", &["0", "10250", "10255", "65536"]),
    ("registerNode", &["true", "false"]),
    ("registryBurst", &["-1", "0", "10"]),
    ("registryPullQPS", &["-1", "0", "5"]),
    ("resolvConf", &["''", "/etc/resolv.conf", "resolv.conf"]),
    ("rotateCertificates", &["true", "false"]),
    ("runtimeRequestTimeout", &["0s", "2m"]),
    (
        "showHiddenMetricsForVersion",
        &["''", "'1.36'", "'1.37'", "'1.35'", "'1.34'"],
    ),
    (
        "shutdownGracePeriodByPodPriority",
        &[
            "[]",
            "[{ priority: 0, shutdownGracePeriodSeconds: 30 }]",
            "[{ priority: 0, shutdownGracePeriodSeconds: -1 }]",
        ],
    ),
    ("singleProcessOOMKill", &["true", "false"]),
    ("staticPodURL", &["''", "https://pods.example/node"]),
    (
        "staticPodURLHeader",
        &["{ Accept: [application/json] }", "{ Accept: a }"],
    ),
    ("streamingConnectionIdleTimeout", &["0s", "4h"]),
    ("syncFrequency", &["0s", "1m"]),
    ("systemCgroups", &["''", "/", "/system.slice"]),
    ("systemReservedCgroup", &["''", "/system", "/system.slice"]),
    (
        "tlsCipherSuites",
        &[
            "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
            "[TLS_AES_128_GCM_SHA256]",
            "[TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]",
            "[]",
            "[NONE]",
        ],
    ),
    (
        "tlsCurvePreferences",
        &[
            "[]",
            "[29, 23, 24, 25]",
            "[4587, 4588, 4589]",
            "[29, 29]",
            "[26]",
            "[0]",
        ],
    ),
    ("tlsMinVersion", &["VersionTLS12", "VersionTLS13", "VersionTLS11"]),
    (
        "topologyManagerPolicyOptions",
        &[
            "{ prefer-closest-numa-nodes: 'true' }",
            "{ max-allowable-numa-nodes: '8' }",
            "{ max-allowable-numa-nodes: '7' }",
        ],
    ),
    ("topologyManagerScope", &["container", "pod"]),
    (
        "tracing",
        &[
            "{ samplingRatePerMillion: 100 }",
            "{ samplingRatePerMillion: -1 }",
            "{ samplingRatePerMillion: 1000000 }",
            "{ samplingRatePerMillion: 1000001 }",
            "{ endpoint: 'unix:///run/otel.sock' }",
            "{ endpoint: 'dns:///collector.example:4317' }",
            "{ endpoint: 'http://collector' }",
            "{ endpoint: 'a b' }",
            "{ endpoint: '[fd00::1]:4317' }",
            "{ endpoint: 'localhost:4317' }",
        ],
    ),
    (
        "userNamespaces",
        &[
            "{ idsPerPod: 65536 }",
            "{ idsPerPod: 1 }",
            "{ idsPerPod: 131072 }",
            "{ idsPerPod: 196608 }",
            "{ idsPerPod: 33554432 }",
            "{ idsPerPod: 4294967296 }",
        ],
    ),
    ("volumePluginDir", &["/opt/volume-plugins", "plugins"]),
    ("volumeStatsAggPeriod", &["0s", "1m"]),
];
