//! Conditions between fields of KubeletConfiguration, and between them and what else the kubelet is given: fields of the
//! NodeConfig, values of the agent, feature gates.
//!
//! Each names the place in Kubernetes 1.37.2 that it is from; `validation.go` and `validation_linux.go` are those of
//! `pkg/kubelet/apis/config/validation`.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use super::{NO_START, quantity};
use crate::amount::GoDuration;
use crate::finder::Finder;
use crate::minor::KubeletMinor;
use crate::raw;
use crate::rules::feature_gates::FeatureGates;
use crate::rules::pod_sysctls;
use basalt_document::{Finding, Path};

/// Port of the kubelet's health, which the agent asks.
const HEALTH_PORT: i64 = 10248;
/// Port of the kubelet unless another one is given.
const KUBELET_PORT: i64 = 10250;
/// Age that an image has to have to be removed unless another one is given.
const IMAGE_MINIMUM_AGE: Duration = Duration::from_secs(120);
/// Pods of a node unless another number is given.
const MAX_PODS: u32 = 110;
/// Value of `memoryThrottlingFactor` that is allowed without its feature gate.
const OLD_THROTTLING_FACTOR: f64 = 0.9;
/// Control group of the image's services. There is no other one that exists before the kubelet starts.
const SERVICES: [&str; 2] = ["/system.slice", "system.slice"];
/// Cipher suites one of which HTTP/2 has to have.
const HTTP2_SUITES: [&str; 2] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
];

/// Checks the kubelet part, whose path is given.
pub(super) fn check(finder: &mut Finder<'_>, path: &Path, kubelet: &raw::Kubelet) {
    let kubelet_minor = finder.kubelet();
    let mut conditions = Conditions {
        finder,
        path,
        kubelet,
        gates: FeatureGates::new(kubelet_minor, &kubelet.feature_gates),
    };
    conditions.server();
    conditions.tls();
    conditions.images();
    conditions.enforcement();
    conditions.reserved_groups();
    conditions.system_group();
    conditions.shutdown();
    conditions.gated();
    conditions.logging();
    conditions.metrics();
    conditions.memory();
    conditions.policy_options();
    conditions.user_namespaces();
    conditions.default_sysctls();
}

struct Conditions<'f, 'd, 'k> {
    finder: &'f mut Finder<'d>,
    path: &'k Path,
    kubelet: &'k raw::Kubelet,
    gates: FeatureGates<'k>,
}

impl<'k> Conditions<'_, '_, 'k> {
    fn say_at(&mut self, path: &Path, message: impl Into<String>, help: &str) {
        self.finder.say(path, Finding::error(message, NO_START).with_help(help));
    }

    /// An error at a field of `extraConfig`.
    fn say(&mut self, field: &str, message: impl Into<String>, help: &str) {
        let place = self.path.key("extraConfig").key(field);
        self.say_at(&place, message, help);
    }

    fn field(&self, name: &str) -> Option<&'k Value> {
        self.kubelet.extra_config.get(name)
    }

    fn text(&self, name: &str) -> Option<&'k str> {
        self.field(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.field(name)?.as_i64()
    }

    /// Returns `true` for a feature gate that is off, and not for one with a value that is no switch.
    fn lacks_gate(&self, gate: &str) -> bool {
        !self.gates.is_on(gate) && !self.finder.is_unfit(&self.path.key("featureGates").key(gate))
    }

    fn is_off(&self, name: &str) -> bool {
        self.field(name) == Some(&Value::Bool(false))
    }

    fn is_given(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| !text.is_empty())
    }

    /// A time; 0 is the kubelet's default, as if it were not given.
    fn time(&self, name: &str) -> Option<Duration> {
        let time: GoDuration = self.text(name)?.parse().ok()?;
        Some(time.duration()).filter(|time| !time.is_zero())
    }

    fn texts(&self, name: &str) -> Vec<&'k str> {
        let list = self.field(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Address and ports: `ListenAndServeKubeletServer` of `pkg/kubelet/server/server.go` exits where it cannot listen.
    fn server(&mut self) {
        let address = self.text("address").and_then(|text| text.parse::<IpAddr>().ok());
        let own = self.kubelet.node_ip.as_deref().unwrap_or_default();
        let is_own = |address: IpAddr| own.split(',').any(|own| own.trim().parse() == Ok(address));
        if address.is_some_and(|address| !address.is_unspecified() && !address.is_loopback() && !is_own(address)) {
            self.say(
                "address",
                "the kubelet would listen at an address that the machine may not have",
                "write `0.0.0.0` or `::`, or give the node this address with `nodeIP`",
            );
        }
        let port = self.number("port").unwrap_or(KUBELET_PORT);
        let read_only = self.number("readOnlyPort").unwrap_or_default();
        for (field, port) in [("port", port), ("readOnlyPort", read_only)] {
            if port == HEALTH_PORT {
                self.say(
                    field,
                    format!("{port} is the port of the kubelet's health"),
                    "write another one",
                );
            }
        }
        if read_only == port {
            self.say(
                "readOnlyPort",
                format!("{port} is the kubelet's port, too"),
                "write another one, or `0`",
            );
        }
    }

    /// Cipher suites with HTTP/2: `http2ConfigureServer` of Go's `net/http`, at which the kubelet exits; and
    /// `TLSCurvePreferences` of `k8s.io/component-base/cli/flag/curves_flag.go`.
    fn tls(&mut self) {
        let suites = self.texts("tlsCipherSuites");
        let newest = self.text("tlsMinVersion") == Some("VersionTLS13");
        let fit = suites.iter().any(|suite| HTTP2_SUITES.contains(suite));
        if !suites.is_empty() && !newest && !fit {
            self.say(
                "tlsCipherSuites",
                "none of the cipher suites is one that HTTP/2 has to have",
                "add `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`, or write `tlsMinVersion: VersionTLS13`",
            );
        }
        let curves = self.field("tlsCurvePreferences").and_then(Value::as_array);
        let mut seen = HashSet::new();
        if curves.is_some_and(|curves| !curves.iter().all(|curve| seen.insert(curve.as_i64()))) {
            self.say("tlsCurvePreferences", "a curve is there twice", "keep one of them");
        }
    }

    /// Ages of images, and images that are used without credentials: `validation.go`.
    fn images(&mut self) {
        let newest = self.time("imageMinimumGCAge").unwrap_or(IMAGE_MINIMUM_AGE);
        if self.time("imageMaximumGCAge").is_some_and(|oldest| oldest <= newest) {
            self.say(
                "imageMaximumGCAge",
                "images would be removed for their age before `imageMinimumGCAge` (2m unless given)",
                "write a longer time",
            );
        }
        let (policy, list) = (
            "imagePullCredentialsVerificationPolicy",
            "preloadedImagesVerificationAllowlist",
        );
        let listed = self
            .field(list)
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty());
        if self.lacks_gate("KubeletEnsureSecretPulledImages") {
            for field in [(policy, self.is_given(policy)), (list, listed)] {
                self.needs_gate(field.0, field.1, "KubeletEnsureSecretPulledImages");
            }
        } else if listed && self.text(policy) != Some("NeverVerifyAllowlistedImages") {
            self.say(
                list,
                "the list is only for the policy `NeverVerifyAllowlistedImages`",
                "add `imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages`",
            );
        }
    }

    /// Enforcement of what is allocatable: `validation.go`.
    fn enforcement(&mut self) {
        const FIELD: &str = "enforceNodeAllocatable";
        let given = self.field(FIELD).is_some();
        let words = if given { self.texts(FIELD) } else { vec!["pods"] };
        let has = |word: &str| words.contains(&word);
        let unique: HashSet<_> = words.iter().collect();
        if unique.len() < words.len() {
            self.say(FIELD, "a word is there twice", "keep one of them");
        }
        if has("none") && words.len() > 1 {
            self.say(
                FIELD,
                "`none` stands beside other words",
                "write `none` alone, or leave it out",
            );
        }
        for who in ["system-reserved", "kube-reserved"] {
            let compressible = format!("{who}-compressible");
            if has(who) && has(&compressible) {
                let message = format!("`{who}` and `{compressible}` exclude each other");
                self.say(FIELD, message, "keep one of them");
            }
        }
        if self.is_off("cgroupsPerQOS") && words.iter().any(|word| *word != "none") {
            self.say(
                "cgroupsPerQOS",
                "without these control groups, `enforceNodeAllocatable` cannot be enforced (`[pods]` unless given)",
                "add `enforceNodeAllocatable: [none]`",
            );
        }
    }

    /// Control groups of reserved resources: `validation.go`, and `enforceExistingCgroup` of
    /// `pkg/kubelet/cm/node_container_manager_linux.go`, which wants groups that exist and something that is reserved.
    fn reserved_groups(&mut self) {
        let kubelet = self.kubelet;
        let system = kubelet.system_reserved.as_ref();
        // The agent computes both where they are not given.
        let computed = |pick: fn(&raw::Reserved) -> bool| !system.is_some_and(pick);
        let computed = computed(|given| given.cpu.is_some()) || computed(|given| given.memory.is_some());
        let groups = [
            (
                "system-reserved",
                "systemReservedCgroup",
                "systemReserved",
                is_some(system),
            ),
            (
                "kube-reserved",
                "kubeReservedCgroup",
                "kubeReserved",
                computed || is_some(kubelet.kube_reserved.as_ref()),
            ),
        ];
        let words = self.texts("enforceNodeAllocatable");
        for (word, field, amounts, reserved) in groups {
            let given = self.is_given(field);
            if given && kubelet.reserved_system_cpus.is_some() {
                let message = "control groups of reserved resources do not go with `reservedSystemCPUs`";
                self.say(field, message, "remove one of them");
            }
            if !words.iter().any(|other| other.starts_with(word)) {
                continue;
            }
            if !given {
                let help = format!("add `{field}: /system.slice`");
                self.say("enforceNodeAllocatable", format!("`{word}` needs `{field}`"), &help);
            } else if !self.text(field).is_some_and(|group| SERVICES.contains(&group)) {
                let message = "no such control group exists when the kubelet starts";
                self.say(
                    field,
                    message,
                    "write `/system.slice`, in which the services of the node are",
                );
            }
            if !reserved && !self.finder.is_unfit(&self.path.key(amounts)) {
                let message = format!("`{word}` enforces what is reserved, which is nothing");
                self.say("enforceNodeAllocatable", message, &format!("add `{amounts}`"));
            }
        }
    }

    /// The control group of the system's processes.
    fn system_group(&mut self) {
        if self.is_given("systemCgroups") && !self.is_given("cgroupRoot") {
            self.say(
                "systemCgroups",
                "`systemCgroups` needs `cgroupRoot`",
                "add `cgroupRoot: /`",
            );
        }
        // `setupNode` of `pkg/kubelet/cm/container_manager_linux.go`.
        if self.text("systemCgroups") == Some("/") {
            self.say(
                "systemCgroups",
                "it cannot be the root of all control groups",
                "write another one",
            );
        }
    }

    /// Grace periods of a shutdown, those of the agent among them: `validation.go`.
    fn shutdown(&mut self) {
        const FIELD: &str = "shutdownGracePeriodByPodPriority";
        let given = [
            &self.kubelet.shutdown_grace_period,
            &self.kubelet.shutdown_grace_period_critical_pods,
        ];
        let by_priority = self.field(FIELD);
        if by_priority.is_some() && given.iter().any(|time| time.is_some()) {
            self.say(
                FIELD,
                "grace periods are given by priority and as `shutdownGracePeriod` as well",
                "remove one of them",
            );
        }
        let listed = by_priority
            .and_then(Value::as_array)
            .is_some_and(|list| !list.is_empty());
        self.needs_gate(FIELD, listed, "GracefulNodeShutdownBasedOnPodPriority");
        let [total, _] = given.map(|time| time.as_ref().and_then(|time| time.parse::<GoDuration>().ok()));
        let is_unfit = self.finder.is_unfit(&self.path.key("shutdownGracePeriod"));
        let none = is_unfit || total.is_some_and(|time| time.duration().is_zero());
        if by_priority.is_none() && !none && self.lacks_gate("GracefulNodeShutdown") {
            let place = self.path.key("featureGates");
            let message = "the node's grace period of a shutdown needs the feature gate `GracefulNodeShutdown`";
            let help = "leave this gate on, or add `shutdownGracePeriod: 0s` to the part `kubelet` of the NodeConfig: no argument of \
                        the kubelet says it";
            self.say_at(&place, message, help);
        }
    }

    /// A field that needs a feature gate.
    fn needs_gate(&mut self, field: &str, given: bool, gate: &str) {
        if given && self.lacks_gate(gate) {
            let help = format!("add `{gate}: true` to `featureGates`, or remove this");
            self.say(
                field,
                format!("`{field}` needs the feature gate `{gate}`, which is off"),
                &help,
            );
        }
    }

    /// Fields that need feature gates: `validation.go`, where nothing else is said.
    fn gated(&mut self) {
        let time = |text: &str| text.parse::<GoDuration>().ok().map(|time| time.duration());
        let period = self.text("cpuCFSQuotaPeriod").and_then(time);
        let other_period = period.is_some_and(|period| period != Duration::from_millis(100));
        self.needs_gate("cpuCFSQuotaPeriod", other_period, "CustomCPUCFSQuotaPeriod");
        let restart = self
            .field("crashLoopBackOff")
            .and_then(|value| value.get("maxContainerRestartPeriod"));
        self.needs_gate("crashLoopBackOff", restart.is_some(), "KubeletCrashLoopBackOffMax");
        let sysctls = self.field("defaultPodSysctls").and_then(Value::as_object);
        self.needs_gate(
            "defaultPodSysctls",
            sysctls.is_some_and(|map| !map.is_empty()),
            "DefaultPodSysctls",
        );
        // `run` of `cmd/kubelet/app/server.go` wants the field not even empty.
        let topology = self.field("topologyManagerPolicyOptions").is_some();
        self.needs_gate("topologyManagerPolicyOptions", topology, "TopologyManagerPolicyOptions");
        if self.kubelet.server_tls_bootstrap && self.lacks_gate("RotateKubeletServerCertificate") {
            let place = self.path.key("serverTLSBootstrap");
            let message = "`serverTLSBootstrap` needs the feature gate `RotateKubeletServerCertificate`, which is off";
            self.say_at(&place, message, "remove one of them");
        }
        let query = self.field("enableSystemLogQuery") == Some(&Value::Bool(true));
        if query && self.is_off("enableSystemLogHandler") {
            let message = "`enableSystemLogQuery` needs `enableSystemLogHandler`, which is off";
            self.say("enableSystemLogQuery", message, "remove one of them");
        }
    }

    /// Logs: `Validate` of `k8s.io/component-base/logs/api/v1/options.go`.
    fn logging(&mut self) {
        let Some(logging) = self.field("logging") else { return };
        let part = |pointer: &str| logging.pointer(pointer);
        let json = part("/format").and_then(Value::as_str) == Some("json");
        let modules = part("/vmodule").and_then(Value::as_array);
        if json && modules.is_some_and(|modules| !modules.is_empty()) {
            self.say(
                "logging",
                "`vmodule` is only for the format `text`",
                "remove one of them",
            );
        }
        if json && self.lacks_gate("LoggingBetaOptions") {
            let message = "the format `json` needs the feature gate `LoggingBetaOptions`, which is off";
            self.say("logging", message, "remove one of them");
        }
        let alpha = ["text", "json"].into_iter().any(|format| {
            let split = part(&format!("/options/{format}/splitStream")) == Some(&Value::Bool(true));
            let size = part(&format!("/options/{format}/infoBufferSize")).and_then(quantity);
            split || size.is_some_and(|size| size.amount() > 0.0)
        });
        if alpha && self.lacks_gate("LoggingAlphaOptions") {
            let message = "`options` need the feature gate `LoggingAlphaOptions`, which is off";
            self.say(
                "logging",
                message,
                "add `LoggingAlphaOptions: true` to `featureGates`, or remove this",
            );
        }
    }

    /// Hidden metrics: `k8s.io/component-base/metrics/api/v1/validation.go`. The minor version before, or nothing.
    fn metrics(&mut self) {
        const FIELD: &str = "showHiddenMetricsForVersion";
        let before = format!("1.{}", self.finder.kubelet().number() - 1);
        if let Some(given) = self.text(FIELD).filter(|given| !["", &before].contains(given)) {
            let message = format!("`{given}` is not a word for `{FIELD}`");
            self.say(FIELD, message, &format!("write one of ``, `{before}`"));
        }
    }

    /// Memory with control groups: `validation.go`.
    fn memory(&mut self) {
        let factor = self.field("memoryThrottlingFactor").and_then(Value::as_f64);
        let other = factor.is_some_and(|factor| (factor - OLD_THROTTLING_FACTOR).abs() > f64::EPSILON);
        // Before, the factor had no effect without the gate.
        let other = other && self.finder.kubelet() >= KubeletMinor::V1_37;
        self.needs_gate("memoryThrottlingFactor", other, "MemoryQoS");
        let tiered = self.text("memoryReservationPolicy") == Some("TieredReservation");
        self.needs_gate("memoryReservationPolicy", tiered, "MemoryQoS");
    }

    /// Options of the CPU manager: `pkg/kubelet/cm/cpumanager/policy_options.go`, `policy_none.go`.
    fn policy_options(&mut self) {
        const FIELD: &str = "cpuManagerPolicyOptions";
        let Some(options) = self.field(FIELD).and_then(Value::as_object) else {
            return;
        };
        let is_static = self.kubelet.cpu_manager_policy == Some(raw::CpuManagerPolicy::Static)
            || self.finder.is_unfit(&self.path.key("cpuManagerPolicy"));
        if !options.is_empty() && !is_static {
            self.say(
                FIELD,
                "only the policy `static` has options",
                "add `cpuManagerPolicy: static`",
            );
        }
        let gates = [
            ("align-by-socket", "CPUManagerPolicyAlphaOptions"),
            ("distribute-cpus-across-cores", "CPUManagerPolicyAlphaOptions"),
            ("distribute-cpus-across-numa", "CPUManagerPolicyBetaOptions"),
        ];
        // Stable since 1.36.
        let beta = (self.finder.kubelet() < KubeletMinor::V1_36)
            .then_some(("prefer-align-cpus-by-uncorecache", "CPUManagerPolicyBetaOptions"));
        for (option, gate) in gates.into_iter().chain(beta) {
            if options.contains_key(option) && self.lacks_gate(gate) {
                let help = format!("add `{gate}: true` to `featureGates`, or remove this");
                let place = self.path.key("extraConfig").key(FIELD).key(option);
                self.say_at(
                    &place,
                    format!("`{option}` needs the feature gate `{gate}`, which is off"),
                    &help,
                );
            }
        }
        let on = |option: &str| {
            let value = options.get(option).and_then(Value::as_str);
            value.is_some_and(|value| matches!(value, "1" | "t" | "T" | "TRUE" | "true" | "True"))
        };
        let exclusive = [
            ("full-pcpus-only", "distribute-cpus-across-cores"),
            ("distribute-cpus-across-numa", "distribute-cpus-across-cores"),
            ("prefer-align-cpus-by-uncorecache", "distribute-cpus-across-cores"),
            ("prefer-align-cpus-by-uncorecache", "distribute-cpus-across-numa"),
        ];
        for (one, other) in exclusive {
            if on(one) && on(other) {
                self.say(
                    FIELD,
                    format!("`{one}` and `{other}` exclude each other"),
                    "keep one of them",
                );
            }
        }
        let single = self.kubelet.topology_manager_policy == Some(raw::TopologyManagerPolicy::SingleNumaNode);
        if on("align-by-socket") && single {
            let message = "`align-by-socket` does not go with `topologyManagerPolicy: single-numa-node`";
            self.say(FIELD, message, "remove one of them");
        }
    }

    /// User ids of pods: `validation_linux.go`, and `MakeUserNsManager` of `pkg/kubelet/userns/userns_manager.go`, which
    /// parts what is left of 32 bits into equal parts, one for each pod.
    fn user_namespaces(&mut self) {
        let ids = self.field("userNamespaces").and_then(|value| value.get("idsPerPod"));
        let Some(ids) = ids.and_then(Value::as_u64).filter(|ids| *ids != 0) else {
            return;
        };
        let pods = self.kubelet.max_pods.unwrap_or(MAX_PODS);
        let parts = ((1_u64 << 32) / ids).saturating_sub(1);
        if !ids.is_power_of_two() {
            self.say(
                "userNamespaces",
                format!("{ids} is not a power of two"),
                "write `65536`, `131072` and so on",
            );
        } else if parts < u64::from(pods) {
            let message =
                format!("of {ids} user ids each, there are enough for {parts} pods, and the node takes {pods}");
            self.say("userNamespaces", message, "write a lower number, or less as `maxPods`");
        }
    }

    /// Sysctls of all pods: `validation.go`.
    fn default_sysctls(&mut self) {
        let sysctls = self.field("defaultPodSysctls").and_then(Value::as_object);
        let place = self.path.key("extraConfig").key("defaultPodSysctls");
        let mut seen = HashSet::new();
        for name in sysctls.into_iter().flat_map(|map| map.keys()) {
            if let Some(finding) = pod_sysctls::wrong_default(name) {
                self.finder.say(&place.key(name), finding);
            } else if !seen.insert(pod_sysctls::normalized(name)) {
                self.say_at(&place.key(name), format!("`{name}` is there twice"), "keep one of them");
            }
        }
    }
}

/// Returns `true` if anything is reserved.
fn is_some(reserved: Option<&raw::Reserved>) -> bool {
    reserved.is_some_and(|given| {
        let texts = [&given.cpu, &given.memory, &given.ephemeral_storage];
        texts.into_iter().any(Option::is_some) || given.pid.is_some()
    })
}
