//! The kubelet part.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::{credential_providers, extra_config, feature_gates, memory_manager, pod_sysctls};
use crate::amount::{GoDuration, Quantity};
use crate::checked::{Kubelet, Reserved};
use crate::finder::Finder;
use crate::raw;
use basalt_document::spelling::suggestion;
use basalt_document::{Finding, Path};

/// Eviction signals of the kubelet.
const SIGNALS: [&str; 8] = [
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "containerfs.available",
    "containerfs.inodesFree",
    "pid.available",
];

/// The kubelet's own thresholds of image garbage collection, in percent of the disk.
const IMAGE_GC_HIGH: u32 = 85;
const IMAGE_GC_LOW: u32 = 80;

/// Time for which a shutdown waits for pods unless a NodeConfig says otherwise.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

pub(super) fn kubelet(finder: &mut Finder<'_>, path: &Path, raw: raw::Kubelet) -> Kubelet {
    let eviction_soft = signals(finder, &path.key("evictionSoft"), &raw.eviction_soft);
    let eviction_soft_grace_period = signals(
        finder,
        &path.key("evictionSoftGracePeriod"),
        &raw.eviction_soft_grace_period,
    );
    soft_evictions(finder, path, &raw);
    image_gc(finder, path, &raw);
    swap(finder, path, &raw);
    reserved_cpus(finder, path, &raw);
    provider_id(finder, &path.key("providerID"), raw.provider_id.as_deref());
    pod_sysctls::patterns(finder, &path.key("allowedUnsafeSysctls"), &raw.allowed_unsafe_sysctls);
    credential_providers::check(finder, &path.key("credentialProviders"), &raw.credential_providers);
    feature_gates::check(finder, &path.key("featureGates"), &raw.feature_gates);
    extra_config::check(finder, path, &raw);
    memory_manager::check(finder, path, &raw);
    let written = raw.clone();
    let checked = Kubelet {
        written,
        node_ip: finder.parse_given(&path.key("nodeIP"), raw.node_ip.as_ref()),
        system_reserved: reserved(finder, &path.key("systemReserved"), raw.system_reserved),
        kube_reserved: reserved(finder, &path.key("kubeReserved"), raw.kube_reserved),
        fail_swap_on: raw.fail_swap_on.unwrap_or(raw.memory_swap.is_none()),
        swap_behavior: raw.memory_swap.map(|swap| swap.swap_behavior),
        eviction_hard: signals(finder, &path.key("evictionHard"), &raw.eviction_hard),
        eviction_soft,
        eviction_soft_grace_period,
        container_log_max_size: finder
            .parse_given(&path.key("containerLogMaxSize"), raw.container_log_max_size.as_ref()),
        shutdown_grace_period: finder.parse_given(&path.key("shutdownGracePeriod"), raw.shutdown_grace_period.as_ref()),
        shutdown_grace_period_critical_pods: finder.parse_given(
            &path.key("shutdownGracePeriodCriticalPods"),
            raw.shutdown_grace_period_critical_pods.as_ref(),
        ),
        max_pods: raw.max_pods,
        pod_pids_limit: raw.pod_pids_limit,
        provider_id: raw.provider_id,
        cloud_provider: raw.cloud_provider,
        image_gc_high_threshold_percent: raw.image_gc_high_threshold_percent,
        image_gc_low_threshold_percent: raw.image_gc_low_threshold_percent,
        max_parallel_image_pulls: raw.max_parallel_image_pulls,
        container_log_max_files: raw.container_log_max_files,
        cpu_manager_policy: raw.cpu_manager_policy,
        reserved_system_cpus: raw.reserved_system_cpus,
        topology_manager_policy: raw.topology_manager_policy,
        allowed_unsafe_sysctls: raw.allowed_unsafe_sysctls,
        feature_gates: raw.feature_gates,
        seccomp_default: raw.seccomp_default.unwrap_or(true),
        server_tls_bootstrap: raw.server_tls_bootstrap,
        verbosity: raw.verbosity,
        credential_providers: raw.credential_providers,
        extra_config: raw.extra_config,
    };
    log_size(finder, path, &checked);
    static_cpus(finder, path, &checked);
    shutdown(finder, path, &checked);
    checked
}

fn reserved_cpus(finder: &mut Finder<'_>, path: &Path, raw: &raw::Kubelet) {
    if let Some(cpus) = &raw.reserved_system_cpus
        && !is_cpu_list(cpus)
    {
        let finding = Finding::error(format!("`{cpus}` is not a list of processors"), "not a list");
        finder.say(
            &path.key("reservedSystemCPUs"),
            finding.with_help("write numbers and ranges: `0-1,8`"),
        );
    }
}

/// A soft threshold without a time, which the kubelet refuses.
fn soft_evictions(finder: &mut Finder<'_>, path: &Path, raw: &raw::Kubelet) {
    for signal in raw.eviction_soft.keys() {
        if !raw.eviction_soft_grace_period.contains_key(signal) {
            let finding = Finding::error(format!("`{signal}` has no grace period"), "the kubelet would not start");
            let help = format!("add `evictionSoftGracePeriod:` with `{signal}: 1m`");
            let missing = path.key("evictionSoftGracePeriod").key(signal);
            finder.say_missing(
                &path.key("evictionSoft").key(signal),
                &[missing],
                finding.with_help(help),
            );
        }
    }
}

/// Warnings of times for which there is no soft threshold. Those of a NodeConfig alone may be for thresholds of the cluster's
/// kubelet-config, where that is the base: the agent compares them when it has read it.
pub(super) fn idle_times(
    finder: &mut Finder<'_>,
    path: &Path,
    raw: &raw::Kubelet,
    base: Option<raw::KubeletConfigSource>,
) {
    let may_be_of_cluster = base == Some(raw::KubeletConfigSource::FromCluster) && raw.eviction_soft.is_empty();
    for signal in raw.eviction_soft_grace_period.keys() {
        if raw.eviction_soft.contains_key(signal) {
            continue;
        }
        let add = format!("add `evictionSoft:` with a threshold, such as `{signal}: 15%`");
        let (finding, help) = if may_be_of_cluster {
            let message =
                format!("the grace period of `{signal}` is for a soft threshold of the cluster's kubelet-config");
            let finding = Finding::warning(message, "without effect if there is none");
            (finding, format!("leave it if the cluster has one; else {add}"))
        } else {
            let message = format!("`{signal}` has a grace period and no soft threshold");
            let finding = Finding::warning(message, "without effect");
            (finding, format!("{add}, or remove this"))
        };
        finder.say_missing(
            &path.key("evictionSoftGracePeriod").key(signal),
            &[path.key("evictionSoft").key(signal)],
            finding.with_help(help),
        );
    }
}

/// Checks the form of a provider id: the name of a cloud before `://`, by which its controller knows the machine. Oracle's ids
/// alone may have none.
fn provider_id(finder: &mut Finder<'_>, place: &Path, id: Option<&str>) {
    let Some(id) = id else { return };
    let blank = |c: char| c.is_whitespace() || c.is_control();
    let has_scheme = id
        .split_once("://")
        .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.trim_matches('/').is_empty());
    let finding = if id.contains(['$', '`', '{']) {
        Finding::error(
            format!("`{id}` has a variable or a command, and nothing puts a value in its place"),
            "not an id",
        )
        .with_help("write the id itself: each machine has one of its own")
    } else if id.is_empty() || id.contains(blank) {
        Finding::error("`providerID` is empty or has spaces", "not an id")
            .with_help("write it as the cloud gives it: `azure:///subscriptions/…`")
    } else if !has_scheme && !id.starts_with("ocid1.") {
        Finding::error(format!("`{id}` does not begin with the name of a cloud"), "not an id").with_help(format!(
            "write it as the cloud's controller does: `openstack:///{id}`, say"
        ))
    } else {
        return;
    };
    finder.say(place, finding);
}

/// Thresholds of image garbage collection against each other; one that is not given is the kubelet's own.
fn image_gc(finder: &mut Finder<'_>, path: &Path, raw: &raw::Kubelet) {
    let (given_low, given_high) = (raw.image_gc_low_threshold_percent, raw.image_gc_high_threshold_percent);
    let (low, high) = (given_low.unwrap_or(IMAGE_GC_LOW), given_high.unwrap_or(IMAGE_GC_HIGH));
    if low < high {
        return;
    }
    let message = match (given_low, given_high) {
        (Some(_), Some(_)) => format!("the low threshold {low} is not below the high one {high}"),
        (Some(_), None) => format!("the low threshold {low} is not below the kubelet's high one, {high}"),
        _ => format!("the kubelet's low threshold, {low}, is not below the high one {high}"),
    };
    let (key, help) = match given_low {
        Some(_) => ("imageGCLowThresholdPercent", "write a lower number"),
        None => (
            "imageGCHighThresholdPercent",
            "add `imageGCLowThresholdPercent` with a lower number",
        ),
    };
    finder.say_missing(
        &path.key(key),
        &["imageGCLowThresholdPercent", "imageGCHighThresholdPercent"].map(|key| path.key(key)),
        Finding::error(message, "the kubelet would not start").with_help(help),
    );
}

/// Swap for containers on a node that refuses to start where there is swap.
fn swap(finder: &mut Finder<'_>, path: &Path, raw: &raw::Kubelet) {
    let limited = raw
        .memory_swap
        .is_some_and(|swap| swap.swap_behavior == raw::SwapBehavior::LimitedSwap);
    if limited && raw.fail_swap_on == Some(true) {
        let finding = Finding::error(
            "containers may swap, but the kubelet refuses to start with swap",
            "contradicts",
        );
        finder.say(
            &path.key("failSwapOn"),
            finding.with_help("remove this line, or write `swapBehavior: NoSwap`"),
        );
    } else if limited {
        let message =
            "containers may swap, and the image has no swap: this has no effect without some that you provide";
        let help = "write `swapBehavior: NoSwap`, unless a privileged pod or a device of yours provides swap: docs/node/kubelet.md";
        finder.say(
            &path.key("memorySwap").key("swapBehavior"),
            Finding::warning(message, "nothing to swap to").with_help(help),
        );
    }
}

/// The size of a log, which has to be a whole number: `parseMaxSize` of `pkg/kubelet/logs/container_log_manager.go` of
/// Kubernetes 1.37.2.
fn log_size(finder: &mut Finder<'_>, path: &Path, kubelet: &Kubelet) {
    if let Some(size) = &kubelet.container_log_max_size
        && size.as_i64().is_none()
    {
        let finding = Finding::error(
            format!("`{size}` is not a number of bytes that the kubelet takes"),
            "the kubelet would not start",
        );
        let help = "write a whole number, with a unit up to `Ti`: `1536Mi` instead of `1.5Gi`";
        finder.say(&path.key("containerLogMaxSize"), finding.with_help(help));
    }
}

/// Thousandths of a processor, rounded as in `parseResourceList` of `cmd/kubelet/app/server.go` of Kubernetes 1.37.2.
fn millicores(amount: &Quantity) -> f64 {
    (((amount.amount() * 1e6).ceil() + 500.0) / 1000.0).floor()
}

/// The policy `static` needs processors that are kept back. Those that the node computes suffice.
fn static_cpus(finder: &mut Finder<'_>, path: &Path, kubelet: &Kubelet) {
    if kubelet.cpu_manager_policy != Some(raw::CpuManagerPolicy::Static) || kubelet.reserved_system_cpus.is_some() {
        return;
    }
    let amounts = [&kubelet.system_reserved.cpu, &kubelet.kube_reserved.cpu];
    let given: Vec<f64> = amounts.into_iter().flatten().map(millicores).collect();
    if !given.is_empty() && given.iter().sum::<f64>() <= 0.0 {
        let finding = Finding::error(
            "the policy `static` needs processors that are kept back",
            "the kubelet would not start",
        );
        finder.say_missing(
            &path.key("cpuManagerPolicy"),
            &[
                path.key("reservedSystemCPUs"),
                path.key("systemReserved").key("cpu"),
                path.key("kubeReserved").key("cpu"),
            ],
            finding.with_help("add `reservedSystemCPUs: \"0\"`, or more than nothing as `cpu` of `systemReserved`"),
        );
    }
}

/// Grace periods of a shutdown, in the pair that the kubelet is given.
fn shutdown(finder: &mut Finder<'_>, path: &Path, kubelet: &Kubelet) {
    let given = [
        ("shutdownGracePeriod", &kubelet.shutdown_grace_period),
        (
            "shutdownGracePeriodCriticalPods",
            &kubelet.shutdown_grace_period_critical_pods,
        ),
    ];
    for (key, time) in given {
        let Some(time) = time else { continue };
        if time.duration() < Duration::from_secs(1) && !time.duration().is_zero() {
            let finding = Finding::error(format!("`{time}` is less than a second"), "the kubelet would not start");
            finder.say(&path.key(key), finding.with_help("write `0s`, or at least `1s`"));
        }
    }
    let total = kubelet.shutdown_grace_period.as_ref();
    let Some(critical) = &kubelet.shutdown_grace_period_critical_pods else {
        return;
    };
    // One that is no time is told already.
    let is_compared = total.is_some() || kubelet.written.shutdown_grace_period.is_none();
    if is_compared && critical.duration() > total.map_or(SHUTDOWN_GRACE, GoDuration::duration) {
        let whole = total.map_or_else(|| format!("{}s", SHUTDOWN_GRACE.as_secs()), ToString::to_string);
        let finding = Finding::error(
            format!("critical pods have {critical}, more than the whole shutdown with its {whole}"),
            "the kubelet would not start",
        );
        finder.say_missing(
            &path.key("shutdownGracePeriodCriticalPods"),
            &[path.key("shutdownGracePeriod")],
            finding.with_help("write less here, or more as `shutdownGracePeriod`"),
        );
    }
}

fn reserved(finder: &mut Finder<'_>, path: &Path, raw: Option<raw::Reserved>) -> Reserved {
    let Some(raw) = raw else { return Reserved::default() };
    Reserved {
        cpu: finder.parse_given(&path.key("cpu"), raw.cpu.as_ref()),
        memory: finder.parse_given(&path.key("memory"), raw.memory.as_ref()),
        ephemeral_storage: finder.parse_given(&path.key("ephemeralStorage"), raw.ephemeral_storage.as_ref()),
        pid: raw.pid,
    }
}

/// Values by eviction signal.
fn signals<T: FromStr<Err = Finding>>(
    finder: &mut Finder<'_>,
    path: &Path,
    raw: &BTreeMap<String, String>,
) -> BTreeMap<String, T> {
    let mut checked = BTreeMap::new();
    for (signal, value) in raw {
        let place = path.key(signal);
        if !SIGNALS.contains(&signal.as_str()) {
            let finding = Finding::error(format!("`{signal}` is not an eviction signal"), "unknown");
            let list = || format!("the signals are {}", SIGNALS.join(", "));
            let help = suggestion(signal, SIGNALS.into_iter(), list);
            finder.say(&place, finding.with_help(help));
        } else if signal.starts_with("containerfs.") {
            let finding = Finding::warning(
                format!("the kubelet does not use `{signal}`: images and containers share one file system here"),
                "without effect",
            );
            finder.say(&place, finding.with_help("write `nodefs.` or `imagefs.` instead"));
        }
        checked.extend(finder.parse(&place, value).map(|value| (signal.clone(), value)));
    }
    checked
}

/// Numbers and ranges with commas between them.
fn is_cpu_list(text: &str) -> bool {
    text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => {
            matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if first <= last)
        }
        None => part.parse::<u16>().is_ok(),
    })
}
