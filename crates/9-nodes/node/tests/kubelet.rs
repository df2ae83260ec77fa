//! NodeConfigs that are accepted, given to the real kubelet: it has to start with each of them.
//!
//! The kubelet validates its configuration before it does anything, and ends at the next thing that it lacks, which is
//! made to be the file for its first contact. So it needs neither a node nor privileges.

#![cfg(test)]

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use basalt_node::facts::Facts;
use basalt_node::paths;
use basalt_node::plan::plan;
use basalt_node::size::Size;
use basalt_node_config::{Clock, NodeConfig, check};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

/// Names the kubelet's program.
const KUBELET: &str = "BASALT_KUBELET";

/// Number of accepted NodeConfigs that are tried.
const CASES: usize = 300;

/// Share of the fields that a NodeConfig has.
const SHARE: f64 = 0.08;

/// End of a kubelet that took its configuration: `--bootstrap-kubeconfig` names no file.
const TAKEN: &str = "unable to load bootstrap kubeconfig";

const CA: &str = include_str!("../../node-config/tests/certificates/ca.pem");

/// Fields of `kubelet` with values at the borders of what is allowed, and some beyond them.
const OWN: &[(&str, &[&str])] = &[
    ("maxPods", &["0", "1", "110", "2500"]),
    ("podPidsLimit", &["16", "4096", "4194304"]),
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
    (
        "evictionSoft",
        &[
            "{ memory.available: 300Mi }",
            "{ nodefs.available: 15% }",
            "{ memory.available: 1% }",
        ],
    ),
    (
        "evictionSoftGracePeriod",
        &[
            "{ memory.available: 1m30s }",
            "{ memory.available: 0s, nodefs.available: 1m }",
        ],
    ),
    ("imageGCHighThresholdPercent", &["50", "81", "100"]),
    ("imageGCLowThresholdPercent", &["0", "49", "84", "85"]),
    ("maxParallelImagePulls", &["1", "2", "100"]),
    ("containerLogMaxSize", &["10Mi", "'1'", "1.5Gi"]),
    ("containerLogMaxFiles", &["1", "2", "10"]),
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
        ],
    ),
    ("seccompDefault", &["true", "false"]),
    ("serverTLSBootstrap", &["true"]),
    ("verbosity", &["0", "10"]),
];

/// Fields of `kubelet.extraConfig`.
const EXTRA: &[(&str, &[&str])] = &[
    ("address", &["0.0.0.0", "'::'", "nowhere"]),
    (
        "authentication",
        &["{ webhook: { cacheTTL: 1m } }", "{ anonymous: { enabled: true } }"],
    ),
    (
        "authorization",
        &["{ mode: AlwaysAllow }", "{ webhook: { cacheAuthorizedTTL: 1m } }"],
    ),
    ("cgroupRoot", &["/"]),
    ("cgroupsPerQOS", &["true", "false"]),
    (
        "configMapAndSecretChangeDetectionStrategy",
        &["Get", "Cache", "Watch", "Ask"],
    ),
    ("containerLogMaxWorkers", &["0", "1", "5"]),
    ("containerLogMonitorInterval", &["2s", "3s", "1h"]),
    ("contentType", &["application/json"]),
    ("cpuCFSQuota", &["false"]),
    ("cpuCFSQuotaPeriod", &["999us", "1ms", "50ms", "1s"]),
    ("cpuManagerPolicyOptions", &["{ full-pcpus-only: 'true' }"]),
    ("cpuManagerReconcilePeriod", &["0s", "5s"]),
    (
        "crashLoopBackOff",
        &[
            "{ maxContainerRestartPeriod: 10s }",
            "{ maxContainerRestartPeriod: 1h }",
        ],
    ),
    ("enableContentionProfiling", &["true"]),
    ("enableControllerAttachDetach", &["false"]),
    ("enableDebuggingHandlers", &["false"]),
    ("enableServer", &["false"]),
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
        ],
    ),
    ("eventBurst", &["0", "100"]),
    ("eventRecordQPS", &["-1", "0", "50"]),
    ("evictionMaxPodGracePeriod", &["-1", "0", "60"]),
    (
        "evictionMinimumReclaim",
        &["{ nodefs.available: 500Mi }", "{ imagefs.available: 10% }"],
    ),
    ("evictionPressureTransitionPeriod", &["0s", "5m"]),
    ("failCgroupV1", &["true", "false"]),
    ("fileCheckFrequency", &["0s", "20s"]),
    ("hairpinMode", &["promiscuous-bridge", "hairpin-veth", "none"]),
    ("httpCheckFrequency", &["20s"]),
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
    ("iptablesDropBit", &["14", "31", "32"]),
    ("iptablesMasqueradeBit", &["14", "15", "31"]),
    ("kernelMemcgNotification", &["true"]),
    ("kubeAPIBurst", &["-1", "0", "100"]),
    ("kubeAPIQPS", &["0", "50"]),
    ("kubeReservedCgroup", &["/kube.slice"]),
    ("kubeletCgroups", &["/system.slice/kubelet.service"]),
    ("localStorageCapacityIsolation", &["false"]),
    (
        "logging",
        &[
            "{ format: json }",
            "{ format: text, verbosity: 2 }",
            "{ flushFrequency: 5s }",
        ],
    ),
    ("makeIPTablesUtilChains", &["false"]),
    ("maxOpenFiles", &["-1", "0", "1000000"]),
    ("memoryManagerPolicy", &["None", "Static"]),
    (
        "reservedMemory",
        &[
            "[{ numaNode: 0, limits: { memory: 1124Mi } }]",
            "[{ numaNode: -1, limits: { memory: 1Gi } }]",
        ],
    ),
    ("memoryReservationPolicy", &["None", "TieredReservation"]),
    ("memoryThrottlingFactor", &["0", "0.5", "1", "1.5"]),
    ("mergeDefaultEvictionSettings", &["false"]),
    ("nodeLeaseDurationSeconds", &["0", "1", "40"]),
    ("nodeStatusMaxImages", &["-2", "-1", "0", "100"]),
    ("nodeStatusReportFrequency", &["5m"]),
    ("nodeStatusUpdateFrequency", &["0s", "10s"]),
    ("oomScoreAdj", &["-1000", "0", "1001"]),
    ("podCIDR", &["10.1.0.0/24", "none"]),
    (
        "podLogsDir",
        &["/var/log/pods", "var/log/pods", "/var/log/../pods", "/"],
    ),
    ("podsPerCore", &["0", "10"]),
    ("port", &["0", "1", "65535"]),
    (
        "preloadedImagesVerificationAllowlist",
        &["[registry.example/pause]", "['*']"],
    ),
    ("protectKernelDefaults", &["false"]),
    ("qosReserved", &["{ memory: 50% }", "{ memory: half }"]),
    ("readOnlyPort", &["0", "10255"]),
    ("registerNode", &["true", "false"]),
    ("registryBurst", &["0", "10"]),
    ("registryPullQPS", &["0", "5"]),
    ("resolvConf", &["''", "/etc/resolv.conf"]),
    ("rotateCertificates", &["false"]),
    ("runtimeRequestTimeout", &["0s", "2m"]),
    (
        "shutdownGracePeriodByPodPriority",
        &[
            "[{ priority: 0, shutdownGracePeriodSeconds: 30 }]",
            "[{ priority: 0, shutdownGracePeriodSeconds: -1 }]",
        ],
    ),
    ("streamingConnectionIdleTimeout", &["0s", "4h"]),
    ("syncFrequency", &["0s", "1m"]),
    ("systemCgroups", &["/system.slice"]),
    ("systemReservedCgroup", &["/system.slice"]),
    (
        "tlsCipherSuites",
        &[
            "[TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]",
            "[TLS_AES_128_GCM_SHA256]",
            "[NONE]",
        ],
    ),
    ("tlsCurvePreferences", &["[]"]),
    ("tlsMinVersion", &["VersionTLS12", "VersionTLS13", "VersionTLS11"]),
    (
        "topologyManagerPolicyOptions",
        &["{ prefer-closest-numa-nodes: 'true' }"],
    ),
    ("topologyManagerScope", &["container", "pod"]),
    (
        "tracing",
        &[
            "{ samplingRatePerMillion: 100 }",
            "{ samplingRatePerMillion: -1 }",
            "{ endpoint: 'localhost:4317' }",
        ],
    ),
    (
        "userNamespaces",
        &["{ idsPerPod: 65536 }", "{ idsPerPod: 1 }", "{ idsPerPod: 131072 }"],
    ),
    ("volumePluginDir", &["/opt/volume-plugins"]),
    ("volumeStatsAggPeriod", &["0s", "1m"]),
];

/// Lines of some fields with some of their values.
fn fields(pools: &'static [(&str, &[&str])], indent: &'static str) -> impl Strategy<Value = String> {
    let one = |(name, values): &'static (&str, &[&str])| {
        let value = proptest::sample::select(*values);
        proptest::option::weighted(SHARE, value).prop_map(move |value| {
            value
                .map(|value| format!("{indent}{name}: {value}\n"))
                .unwrap_or_default()
        })
    };
    pools
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .prop_map(|lines| lines.concat())
}

/// The kubelet part of a NodeConfig.
fn kubelet_part() -> impl Strategy<Value = String> {
    (fields(OWN, "  "), fields(EXTRA, "    ")).prop_map(|(own, extra)| {
        let extra = if extra.is_empty() {
            extra
        } else {
            format!("  extraConfig:\n{extra}")
        };
        if own.is_empty() && extra.is_empty() {
            own
        } else {
            format!("kubelet:\n{own}{extra}")
        }
    })
}

/// The NodeConfig with this kubelet part, if it is accepted.
fn accepted(kubelet: &str) -> Option<NodeConfig> {
    let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.87.0.1:6443\n  \
         bootstrapToken: abcdef.0123456789abcdef\n  ca: |\n{ca}{kubelet}"
    );
    // 2030, when the certificate is valid.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    check("node.yaml", &text, Clock::Right(now))
        .ok()
        .map(|(config, _)| config)
}

/// Runs of the kubelet, each with a folder of its own below this one.
struct Runs {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Runs {
    /// Objection of the kubelet to the configuration of a node, if it does not take it.
    fn refusal(&self, number: usize, config: &NodeConfig) -> Option<String> {
        let folder = self.folder.path().join(number.to_string());
        fs_err::create_dir_all(&folder).unwrap();
        let size = Some(Size {
            processors: 2,
            memory: 4 << 30,
        });
        let facts = Facts {
            machine_id: None,
            size,
            credential_providers: Vec::new(),
        };
        let plan = plan(config, &facts);
        let file = plan
            .files
            .iter()
            .find(|file| file.path == paths::KUBELET_CONFIG)
            .unwrap();
        let mut value: Value = serde_json::from_str(&file.content).unwrap();
        let ca = folder.join("ca.crt");
        fs_err::write(&ca, CA).unwrap();
        value["authentication"]["x509"]["clientCAFile"] = json!(ca);
        // A node has control groups of version 2; the machine of this test may not.
        value["failCgroupV1"] = json!(false);
        let path = folder.join("config.json");
        fs_err::write(&path, value.to_string()).unwrap();
        let said = self.run(&folder, &path);
        if said.contains(TAKEN) {
            return None;
        }
        // It panics where it does not know a feature gate.
        let marks = ["command failed", "panic:"];
        let reason = said.lines().find(|line| marks.iter().any(|mark| line.contains(mark)));
        Some(reason.unwrap_or(&said).to_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "the agent's crate does without basalt-process")]
    fn run(&self, folder: &Path, config: &Path) -> String {
        let argument = |name: &str, path: &Path| format!("--{name}={}", path.display());
        let nothing = Path::new("/nonexistent");
        let output = Command::new(&self.program)
            .arg(argument("config", config))
            .arg(argument("root-dir", folder))
            .arg(argument("cert-dir", folder))
            .arg(argument("bootstrap-kubeconfig", nothing))
            .arg(argument("kubeconfig", nothing))
            .arg("--hostname-override=node")
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.program.display()));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// Path of the kubelet; says that the test is skipped where there is none.
fn kubelet() -> Option<PathBuf> {
    let program = std::env::var_os(KUBELET).map(PathBuf::from);
    if program.is_none() {
        basalt_test_output::skip_this(format!("{KUBELET} does not name a kubelet"));
    }
    program
}

#[test]
fn it_starts_with_whatever_is_accepted() {
    let Some(program) = kubelet() else { return };
    let runs = Runs {
        program,
        folder: tempfile::tempdir().unwrap(),
    };
    // One that it has to refuse: else nothing is tested.
    let refused = accepted("kubelet: { featureGates: { NoSuchGate: true } }\n").unwrap();
    assert!(
        runs.refusal(CASES, &refused)
            .is_some_and(|said| said.contains("NoSuchGate"))
    );

    let mut runner = TestRunner::deterministic();
    let strategy = kubelet_part();
    let part = || strategy.new_tree(&mut runner).unwrap().current();
    let cases = std::iter::repeat_with(part).take(100 * CASES);
    let cases = cases.filter_map(|part| Some((accepted(&part)?, part)));
    let cases: Vec<_> = cases.take(CASES).collect();
    assert_eq!(cases.len(), CASES, "too few NodeConfigs are accepted");
    let (next, refusals) = (Mutex::new(cases.iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let case = next.lock().unwrap().next();
                    let Some((number, (config, part))) = case else { break };
                    let refusal = runs.refusal(number, config);
                    refusals
                        .lock()
                        .unwrap()
                        .extend(refusal.map(|said| format!("{part}{said}")));
                }
            });
        }
    });
    let refusals = refusals.into_inner().unwrap();
    assert!(
        refusals.is_empty(),
        "{} of {CASES} accepted NodeConfigs are refused:\n\n{}",
        refusals.len(),
        refusals.join("\n\n")
    );
}

/// Process that is killed when it is dropped.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended needs no signal.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `WatchdogSec=` of kubelet.service counts from the start of the program, and a first certificate may be long in coming.
#[test]
#[expect(clippy::disallowed_methods, reason = "the agent's crate does without basalt-process")]
fn it_feeds_the_watchdog_while_it_waits_for_a_certificate() {
    let Some(program) = kubelet() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let argument = |name: &str, path: &Path| format!("--{name}={}", path.display());
    // Nothing answers at port 9. Without rotation, it waits before it does anything else.
    let bootstrap = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "a", "user": {"token": "abcdef.0123456789abcdef"}}],
    });
    let config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "failCgroupV1": false, "rotateCertificates": false,
    });
    fs_err::write(path("bootstrap"), bootstrap.to_string()).unwrap();
    fs_err::write(path("config"), config.to_string()).unwrap();
    let notifications = UnixDatagram::bind(path("notify")).unwrap();
    notifications.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    let log = fs_err::File::create(path("log")).unwrap();
    let child = Command::new(program)
        .arg(argument("config", &path("config")))
        .arg(argument("root-dir", folder.path()))
        .arg(argument("cert-dir", folder.path()))
        .arg(argument("bootstrap-kubeconfig", &path("bootstrap")))
        .arg(argument("kubeconfig", &path("none")))
        .arg("--hostname-override=node")
        .env("NOTIFY_SOCKET", path("notify"))
        .env("WATCHDOG_USEC", "2000000")
        .stderr(log.into_file())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    for _ in 0..4 {
        let mut message = [0; 64];
        let length = notifications.recv(&mut message).expect("a notification");
        assert_eq!(&message[..length], b"WATCHDOG=1");
    }
    let said = fs_err::read_to_string(path("log")).unwrap();
    assert!(
        said.contains("Failed to connect to apiserver"),
        "it does not wait: {said}"
    );
    assert!(child.0.try_wait().unwrap().is_none(), "{said}");
    assert!(!path("none").exists(), "it has a certificate");
}
