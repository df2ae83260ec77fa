//! The kubelet part.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::checked::{Kubelet, Reserved};
use crate::finder::Finder;
use crate::raw;
use basalt_document::spelling::closest;
use basalt_document::{Finding, Path};

const SIGNALS: [&str; 6] = [
    "memory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "pid.available",
];

pub(super) fn kubelet(finder: &mut Finder<'_>, path: &Path, raw: raw::Kubelet) -> Kubelet {
    let eviction_soft = signals(finder, &path.key("evictionSoft"), &raw.eviction_soft);
    let eviction_soft_grace_period = signals(
        finder,
        &path.key("evictionSoftGracePeriod"),
        &raw.eviction_soft_grace_period,
    );
    for signal in raw.eviction_soft.keys() {
        if !raw.eviction_soft_grace_period.contains_key(signal) {
            let finding = Finding::error(format!("`{signal}` has no grace period"), "the kubelet would not start");
            let help = format!("add `evictionSoftGracePeriod:` with `{signal}: 1m`");
            finder.say(&path.key("evictionSoft").key(signal), finding.with_help(help));
        }
    }
    if let (Some(low), Some(high)) = (raw.image_gc_low_threshold_percent, raw.image_gc_high_threshold_percent)
        && low >= high
    {
        let finding = Finding::error(
            format!("the low threshold {low} is not below the high one {high}"),
            "too high",
        );
        finder.say(
            &path.key("imageGCLowThresholdPercent"),
            finding.with_help("write a lower number"),
        );
    }
    if let Some(cpus) = &raw.reserved_system_cpus
        && !is_cpu_list(cpus)
    {
        let finding = Finding::error(format!("`{cpus}` is not a list of processors"), "not a list");
        finder.say(
            &path.key("reservedSystemCPUs"),
            finding.with_help("write numbers and ranges: `0-1,8`"),
        );
    }
    if raw.cpu_manager_policy == Some(raw::CpuManagerPolicy::Static) && raw.reserved_system_cpus.is_none() {
        let reserves = |reserved: &Option<raw::Reserved>| reserved.as_ref().is_some_and(|r| r.cpu.is_some());
        if !reserves(&raw.system_reserved) && !reserves(&raw.kube_reserved) {
            let finding = Finding::error(
                "the policy `static` needs processors that are kept back",
                "the kubelet would not start",
            );
            finder.say(
                &path.key("cpuManagerPolicy"),
                finding.with_help("add `reservedSystemCPUs: \"0\"`, or `systemReserved` with `cpu`"),
            );
        }
    }
    let blank = |c: char| c.is_whitespace() || c.is_control();
    if raw
        .provider_id
        .as_ref()
        .is_some_and(|id| id.is_empty() || id.contains(blank))
    {
        let finding = Finding::error("`providerID` is empty or has spaces", "not an id");
        finder.say(
            &path.key("providerID"),
            finding.with_help("write it as the cloud gives it: `azure:///subscriptions/…`"),
        );
    }
    Kubelet {
        node_ip: finder.parse_given(&path.key("nodeIP"), raw.node_ip.as_ref()),
        system_reserved: reserved(finder, &path.key("systemReserved"), raw.system_reserved),
        kube_reserved: reserved(finder, &path.key("kubeReserved"), raw.kube_reserved),
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
            let help = match closest(signal, SIGNALS.into_iter()) {
                Some(guess) => format!("did you mean `{guess}`?"),
                None => format!("the signals are {}", SIGNALS.join(", ")),
            };
            finder.say(&place, finding.with_help(help));
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
