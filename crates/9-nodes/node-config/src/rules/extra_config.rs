//! Fields of `kubelet.extraConfig` against those of KubeletConfiguration.
//!
//! Names, types and the conditions between values that the kubelet's validation states. What only that validation
//! knows, such as the names of feature gates, is left to it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::amount::GoDuration;
use crate::finder::Finder;
use crate::raw;
use basalt_document::spelling::closest;
use basalt_document::{Finding, Path};

/// The type of a field, or who sets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Whole,
    Number,
    Text,
    /// Go's notation: `1m30s`.
    Duration,
    List,
    Map,
    /// A field of NodeConfig, with its name.
    Elsewhere(&'static str),
    /// The agent, whose image leaves no choice.
    Agent,
}

/// Fields of KubeletConfiguration of Kubernetes 1.37 (`staging/src/k8s.io/kubelet/config/v1beta1/types.go`), sorted.
const FIELDS: &[(&str, Kind)] = &[
    ("address", Kind::Text),
    ("allowedUnsafeSysctls", Kind::Elsewhere("kubelet.allowedUnsafeSysctls")),
    ("apiVersion", Kind::Agent),
    ("authentication", Kind::Map),
    ("authorization", Kind::Map),
    ("cgroupDriver", Kind::Agent),
    ("cgroupRoot", Kind::Text),
    ("cgroupsPerQOS", Kind::Bool),
    ("clusterDNS", Kind::Elsewhere("cluster.dns.addresses")),
    ("clusterDomain", Kind::Elsewhere("cluster.dns.domain")),
    ("configMapAndSecretChangeDetectionStrategy", Kind::Text),
    ("containerLogMaxFiles", Kind::Elsewhere("kubelet.containerLogMaxFiles")),
    ("containerLogMaxSize", Kind::Elsewhere("kubelet.containerLogMaxSize")),
    ("containerLogMaxWorkers", Kind::Whole),
    ("containerLogMonitorInterval", Kind::Duration),
    ("containerRuntimeEndpoint", Kind::Agent),
    ("contentType", Kind::Text),
    ("cpuCFSQuota", Kind::Bool),
    ("cpuCFSQuotaPeriod", Kind::Duration),
    ("cpuManagerPolicy", Kind::Elsewhere("kubelet.cpuManagerPolicy")),
    ("cpuManagerPolicyOptions", Kind::Map),
    ("cpuManagerReconcilePeriod", Kind::Duration),
    ("crashLoopBackOff", Kind::Map),
    ("draManagerReconcilePeriod", Kind::Duration),
    ("enableContentionProfiling", Kind::Bool),
    ("enableControllerAttachDetach", Kind::Bool),
    ("enableDebugFlagsHandler", Kind::Bool),
    ("enableDebuggingHandlers", Kind::Bool),
    ("enableProfilingHandler", Kind::Bool),
    ("enableServer", Kind::Bool),
    ("enableSystemLogHandler", Kind::Bool),
    ("enableSystemLogQuery", Kind::Bool),
    ("enforceNodeAllocatable", Kind::List),
    ("eventBurst", Kind::Whole),
    ("eventRecordQPS", Kind::Whole),
    ("evictionHard", Kind::Elsewhere("kubelet.evictionHard")),
    ("evictionMaxPodGracePeriod", Kind::Whole),
    ("evictionMinimumReclaim", Kind::Map),
    ("evictionPressureTransitionPeriod", Kind::Duration),
    ("evictionSoft", Kind::Elsewhere("kubelet.evictionSoft")),
    (
        "evictionSoftGracePeriod",
        Kind::Elsewhere("kubelet.evictionSoftGracePeriod"),
    ),
    ("failCgroupV1", Kind::Bool),
    ("failSwapOn", Kind::Elsewhere("kubelet.failSwapOn")),
    ("featureGates", Kind::Elsewhere("kubelet.featureGates")),
    ("fileCheckFrequency", Kind::Duration),
    ("hairpinMode", Kind::Text),
    ("healthzBindAddress", Kind::Agent),
    ("healthzPort", Kind::Agent),
    ("httpCheckFrequency", Kind::Duration),
    (
        "imageGCHighThresholdPercent",
        Kind::Elsewhere("kubelet.imageGCHighThresholdPercent"),
    ),
    (
        "imageGCLowThresholdPercent",
        Kind::Elsewhere("kubelet.imageGCLowThresholdPercent"),
    ),
    ("imageMaximumGCAge", Kind::Duration),
    ("imageMinimumGCAge", Kind::Duration),
    ("imagePullCredentialsVerificationPolicy", Kind::Text),
    ("imageServiceEndpoint", Kind::Agent),
    ("iptablesDropBit", Kind::Whole),
    ("iptablesMasqueradeBit", Kind::Whole),
    ("kernelMemcgNotification", Kind::Bool),
    ("kind", Kind::Agent),
    ("kubeAPIBurst", Kind::Whole),
    ("kubeAPIQPS", Kind::Whole),
    ("kubeReserved", Kind::Elsewhere("kubelet.kubeReserved")),
    ("kubeReservedCgroup", Kind::Text),
    ("kubeletCgroups", Kind::Text),
    ("localStorageCapacityIsolation", Kind::Bool),
    ("logging", Kind::Map),
    ("makeIPTablesUtilChains", Kind::Bool),
    ("maxOpenFiles", Kind::Whole),
    (
        "maxParallelImagePulls",
        Kind::Elsewhere("kubelet.maxParallelImagePulls"),
    ),
    ("maxPods", Kind::Elsewhere("kubelet.maxPods")),
    ("memoryManagerPolicy", Kind::Text),
    ("memoryReservationPolicy", Kind::Text),
    ("memorySwap", Kind::Elsewhere("kubelet.memorySwap")),
    ("memoryThrottlingFactor", Kind::Number),
    ("mergeDefaultEvictionSettings", Kind::Bool),
    ("nodeLeaseDurationSeconds", Kind::Whole),
    ("nodeStatusMaxImages", Kind::Whole),
    ("nodeStatusReportFrequency", Kind::Duration),
    ("nodeStatusUpdateFrequency", Kind::Duration),
    ("oomScoreAdj", Kind::Whole),
    ("podCIDR", Kind::Text),
    ("podLogsDir", Kind::Text),
    ("podPidsLimit", Kind::Elsewhere("kubelet.podPidsLimit")),
    ("podsPerCore", Kind::Whole),
    ("port", Kind::Whole),
    ("preloadedImagesVerificationAllowlist", Kind::List),
    ("protectKernelDefaults", Kind::Bool),
    ("providerID", Kind::Elsewhere("kubelet.providerID")),
    ("qosReserved", Kind::Map),
    ("readOnlyPort", Kind::Whole),
    ("registerNode", Kind::Bool),
    ("registerWithTaints", Kind::Elsewhere("taints")),
    ("registryBurst", Kind::Whole),
    ("registryPullQPS", Kind::Whole),
    ("reservedMemory", Kind::List),
    ("reservedSystemCPUs", Kind::Elsewhere("kubelet.reservedSystemCPUs")),
    ("resolvConf", Kind::Text),
    ("rotateCertificates", Kind::Bool),
    ("runOnce", Kind::Agent),
    ("runtimeRequestTimeout", Kind::Duration),
    ("seccompDefault", Kind::Elsewhere("kubelet.seccompDefault")),
    ("serializeImagePulls", Kind::Elsewhere("kubelet.maxParallelImagePulls")),
    ("serverTLSBootstrap", Kind::Elsewhere("kubelet.serverTLSBootstrap")),
    ("showHiddenMetricsForVersion", Kind::Text),
    ("shutdownGracePeriod", Kind::Elsewhere("kubelet.shutdownGracePeriod")),
    ("shutdownGracePeriodByPodPriority", Kind::List),
    (
        "shutdownGracePeriodCriticalPods",
        Kind::Elsewhere("kubelet.shutdownGracePeriodCriticalPods"),
    ),
    ("singleProcessOOMKill", Kind::Bool),
    ("staticPodPath", Kind::Agent),
    ("staticPodURL", Kind::Text),
    ("staticPodURLHeader", Kind::Map),
    ("streamingConnectionIdleTimeout", Kind::Duration),
    ("syncFrequency", Kind::Duration),
    ("systemCgroups", Kind::Text),
    ("systemReserved", Kind::Elsewhere("kubelet.systemReserved")),
    ("systemReservedCgroup", Kind::Text),
    ("tlsCertFile", Kind::Agent),
    ("tlsCipherSuites", Kind::List),
    ("tlsCurvePreferences", Kind::List),
    ("tlsMinVersion", Kind::Text),
    ("tlsPrivateKeyFile", Kind::Agent),
    (
        "topologyManagerPolicy",
        Kind::Elsewhere("kubelet.topologyManagerPolicy"),
    ),
    ("topologyManagerPolicyOptions", Kind::Map),
    ("topologyManagerScope", Kind::Text),
    ("tracing", Kind::Map),
    ("userNamespaces", Kind::Map),
    ("volumePluginDir", Kind::Text),
    ("volumeStatsAggPeriod", Kind::Duration),
];

/// Whole numbers with a least value and a greatest one, as the kubelet's validation has them.
const RANGES: &[(&str, i64, i64)] = &[
    ("containerLogMaxWorkers", 1, i32::MAX as i64),
    ("eventBurst", 0, i32::MAX as i64),
    ("eventRecordQPS", 0, i32::MAX as i64),
    ("evictionMaxPodGracePeriod", 0, i32::MAX as i64),
    ("iptablesDropBit", 0, 31),
    ("iptablesMasqueradeBit", 0, 31),
    ("kubeAPIBurst", 0, i32::MAX as i64),
    ("kubeAPIQPS", 0, i32::MAX as i64),
    ("maxOpenFiles", 0, i64::MAX),
    ("nodeLeaseDurationSeconds", 1, i32::MAX as i64),
    ("nodeStatusMaxImages", -1, i32::MAX as i64),
    ("oomScoreAdj", -1000, 1000),
    ("podsPerCore", 0, i32::MAX as i64),
    ("port", 1, 65535),
    ("readOnlyPort", 0, 65535),
    ("registryBurst", 0, i32::MAX as i64),
    ("registryPullQPS", 0, i32::MAX as i64),
];

/// Fields with a choice of words.
const WORDS: &[(&str, &[&str])] = &[
    ("configMapAndSecretChangeDetectionStrategy", &["Get", "Cache", "Watch"]),
    ("hairpinMode", &["promiscuous-bridge", "hairpin-veth", "none"]),
    (
        "imagePullCredentialsVerificationPolicy",
        &[
            "NeverVerify",
            "NeverVerifyPreloadedImages",
            "NeverVerifyAllowlistedImages",
            "AlwaysVerify",
        ],
    ),
    ("memoryManagerPolicy", &["None", "Static"]),
    ("memoryReservationPolicy", &["None", "TieredReservation"]),
    ("tlsMinVersion", &["VersionTLS12", "VersionTLS13"]),
    ("topologyManagerScope", &["container", "pod"]),
];

pub(super) fn check(finder: &mut Finder<'_>, path: &Path, kubelet: &raw::Kubelet) {
    let fields = &kubelet.extra_config;
    for (name, value) in fields {
        let place = path.key(name);
        let Some((_, kind)) = FIELDS.iter().find(|(known, _)| known == name) else {
            let finding = Finding::error(format!("KubeletConfiguration has no field `{name}`"), "unknown");
            let help = match closest(name, FIELDS.iter().map(|(known, _)| *known)) {
                Some(guess) => format!("did you mean `{guess}`?"),
                None => "its fields are documented with `kubelet.config.k8s.io/v1beta1`".to_owned(),
            };
            finder.say(&place, finding.with_help(help));
            continue;
        };
        let found = of_kind(name, *kind, value)
            .or_else(|| in_range(name, value))
            .or_else(|| word(name, value));
        if let Some(finding) = found {
            finder.say(&place, finding);
        }
    }
    for (key, message, help) in conditions(kubelet) {
        finder.say(
            &path.key(key),
            Finding::error(message, "the kubelet would not start").with_help(help),
        );
    }
    open_doors(finder, path, fields);
}

/// Conditions between fields that do not hold: the field, what is wrong, and help.
fn conditions(kubelet: &raw::Kubelet) -> Vec<(&'static str, &'static str, &'static str)> {
    let fields = &kubelet.extra_config;
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null());
    let time = |name: &str| {
        let text = fields.get(name)?.as_str()?;
        text.parse::<GoDuration>().ok().map(|time| time.duration())
    };
    let enforced = |word: &str| {
        let list = fields.get("enforceNodeAllocatable").and_then(Value::as_array);
        list.is_some_and(|list| {
            list.iter()
                .any(|item| item.as_str().is_some_and(|item| item.starts_with(word)))
        })
    };
    let newest = time("imageMinimumGCAge").unwrap_or(Duration::from_secs(120));
    let by_priority = has("shutdownGracePeriodByPodPriority");
    let periods = kubelet.shutdown_grace_period.is_some() || kubelet.shutdown_grace_period_critical_pods.is_some();
    let cgroups = has("systemReservedCgroup") || has("kubeReservedCgroup");
    let all = [
        (
            time("containerLogMonitorInterval").is_some_and(|time| time < Duration::from_secs(3)),
            (
                "containerLogMonitorInterval",
                "the interval is shorter than 3 s",
                "write `3s` or more",
            ),
        ),
        (
            time("imageMaximumGCAge").is_some_and(|oldest| !oldest.is_zero() && oldest <= newest),
            (
                "imageMaximumGCAge",
                "images would be removed for their age before `imageMinimumGCAge` (2m unless given)",
                "write a longer time",
            ),
        ),
        (
            time("cpuCFSQuotaPeriod")
                .is_some_and(|time| time < Duration::from_millis(1) || time > Duration::from_secs(1)),
            (
                "cpuCFSQuotaPeriod",
                "the period is not from 1 ms to 1 s",
                "write `100ms`, say",
            ),
        ),
        (
            has("systemCgroups") && !has("cgroupRoot"),
            (
                "systemCgroups",
                "`systemCgroups` needs `cgroupRoot`",
                "add `cgroupRoot: /`",
            ),
        ),
        (
            enforced("system-reserved") && !has("systemReservedCgroup"),
            (
                "enforceNodeAllocatable",
                "`system-reserved` needs `systemReservedCgroup`",
                "add `systemReservedCgroup: /system.slice`",
            ),
        ),
        (
            enforced("kube-reserved") && !has("kubeReservedCgroup"),
            (
                "enforceNodeAllocatable",
                "`kube-reserved` needs `kubeReservedCgroup`",
                "add `kubeReservedCgroup` with the control group of the kubelet",
            ),
        ),
        (
            cgroups && kubelet.reserved_system_cpus.is_some(),
            (
                if has("systemReservedCgroup") {
                    "systemReservedCgroup"
                } else {
                    "kubeReservedCgroup"
                },
                "control groups of reserved resources do not go with `reservedSystemCPUs`",
                "remove one of them",
            ),
        ),
        (
            by_priority && periods,
            (
                "shutdownGracePeriodByPodPriority",
                "grace periods are given by priority and as `shutdownGracePeriod` as well",
                "remove one of them",
            ),
        ),
    ];
    all.into_iter()
        .filter(|(broken, _)| *broken)
        .map(|(_, condition)| condition)
        .collect()
}

/// A value of another type than the field has, or a field that is not to be written here.
fn of_kind(name: &str, kind: Kind, value: &Value) -> Option<Finding> {
    let fits = match kind {
        Kind::Bool => value.is_boolean(),
        Kind::Whole => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Text => value.is_string(),
        Kind::List => value.is_array(),
        Kind::Map => value.is_object(),
        Kind::Duration => {
            let Some(text) = value.as_str() else {
                return Some(mistyped(name, "a time span such as `30s`"));
            };
            return text.parse::<GoDuration>().err();
        }
        Kind::Elsewhere(own) => {
            let finding = Finding::error(format!("`{name}` has a place of its own"), "not here");
            return Some(finding.with_help(format!("write it as `{own}`")));
        }
        Kind::Agent => {
            let finding = Finding::error(format!("`{name}` is decided by the node's image"), "not here");
            return Some(finding.with_help("remove this line"));
        }
    };
    let wanted = match kind {
        Kind::Bool => "`true` or `false`",
        Kind::Whole => "a whole number",
        Kind::Number => "a number",
        Kind::List => "a list",
        Kind::Map => "keys with values",
        _ => "text",
    };
    (!fits).then(|| mistyped(name, wanted))
}

fn mistyped(name: &str, wanted: &str) -> Finding {
    Finding::error(format!("`{name}` must be {wanted}"), "the kubelet would not start")
        .with_help(format!("write {wanted}"))
}

fn in_range(name: &str, value: &Value) -> Option<Finding> {
    let (_, least, most) = RANGES.iter().find(|(known, _, _)| *known == name)?;
    let number = value.as_i64()?;
    if (*least..=*most).contains(&number) {
        return None;
    }
    let finding = Finding::error(
        format!("{number} is out of range for `{name}`"),
        "the kubelet would not start",
    );
    Some(finding.with_help(format!("write a number from {least} to {most}")))
}

fn word(name: &str, value: &Value) -> Option<Finding> {
    let (_, words) = WORDS.iter().find(|(known, _)| *known == name)?;
    let text = value.as_str()?;
    if words.contains(&text) {
        return None;
    }
    let finding = Finding::error(
        format!("`{text}` is not a word for `{name}`"),
        "the kubelet would not start",
    );
    Some(finding.with_help(format!("write one of `{}`", words.join("`, `"))))
}

/// Values with which the kubelet starts, and serves whoever asks.
fn open_doors(finder: &mut Finder<'_>, path: &Path, fields: &BTreeMap<String, Value>) {
    let anonymous = fields
        .get("authentication")
        .and_then(|value| value.pointer("/anonymous/enabled"));
    let mode = fields.get("authorization").and_then(|value| value.get("mode"));
    let read_only = fields.get("readOnlyPort").and_then(Value::as_i64).unwrap_or_default();
    let doors = [
        (
            "authentication",
            anonymous == Some(&Value::Bool(true)),
            "anybody may speak to the kubelet",
        ),
        (
            "authorization",
            mode.and_then(Value::as_str) == Some("AlwaysAllow"),
            "whoever is let in may do everything on this node",
        ),
        (
            "readOnlyPort",
            read_only != 0,
            "the kubelet tells everybody about the pods of this node",
        ),
    ];
    for (key, open, consequence) in doors {
        if open {
            let finding = Finding::warning(format!("with this, {consequence}"), "an open door");
            finder.say(
                &path.key(key),
                finding.with_help("remove this unless the network keeps others out"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_name_fields() {
        assert!(FIELDS.is_sorted_by(|one, other| one.0 < other.0));
        let known = |name: &str| FIELDS.iter().any(|(known, _)| *known == name);
        assert!(RANGES.iter().all(|(name, _, _)| known(name)));
        assert!(WORDS.iter().all(|(name, words)| known(name) && !words.is_empty()));
    }
}
