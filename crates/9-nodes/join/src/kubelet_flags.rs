//! Arguments of the kubelet (`nodeRegistration.kubeletExtraArgs`) as settings of a NodeConfig.

use std::collections::BTreeMap;
use std::str::FromStr;

use basalt_document::spelling::suggestion;
use basalt_document::{Finding, Step};
use basalt_node_config::address::NodeAddresses;
use basalt_node_config::amount::{GoDuration, Quantity, Threshold};
use basalt_node_config::name::{HostName, LabelKey, LabelValue};
use basalt_node_config::raw;
use serde_json::Value;

use crate::kubelet_config::value_of_image;
use crate::origins::setting;

mod arguments;

use arguments::{EXTRA, ExtraShape, FIXED, KNOWN, OF_FILES};

/// Socket of the container runtime of an image.
pub(crate) const RUNTIME_ENDPOINT: &str = "unix:///run/containerd/containerd.sock";

/// File with the name servers of systemd-resolved, which kubeadm gives to kubelets where that runs.
pub(crate) const RESOLVED_CONF: &str = "/run/systemd/resolve/resolv.conf";

/// Processes of a pod that are as good as no limit: as many as the kernel has (`pid_max`).
const ALL_PIDS: u64 = 4_194_304;

/// Settings that arguments of the kubelet stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KubeletFlags {
    /// Name of the node, of `--hostname-override`.
    pub hostname: Option<HostName>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<raw::Taint>,
    /// Name service of the cluster, of `--cluster-dns` and `--cluster-domain`.
    pub dns: Option<raw::ClusterDns>,
    /// Settings of the kubelet.
    pub kubelet: raw::Kubelet,
}

impl KubeletFlags {
    /// Takes one argument over; its name is without dashes.
    ///
    /// # Errors
    /// When the value is wrong, or a NodeConfig cannot express the argument. A warning means that it has no effect.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Finding> {
        if let Some((_, fixed)) = FIXED.iter().find(|(known, _)| *known == name) {
            return fixed_value(name, value, fixed);
        }
        match name {
            "hostname-override" => self.hostname = Some(value.parse()?),
            "node-labels" => self.set_labels(value)?,
            "register-with-taints" => self.set_taints(value)?,
            "cluster-dns" => self.dns().addresses = Some(items(value).map(str::to_owned).collect()),
            "cluster-domain" => self.dns().domain = Some(value.to_owned()),
            "pod-infra-container-image" => {
                let message = "`pod-infra-container-image` has no effect: the runtime has an image of its own";
                return Err(Finding::warning(message, "ignored"));
            }
            "resolv-conf" if value == RESOLVED_CONF => {
                let message = "`resolv-conf` has no effect: a node gives pods the name servers of systemd-resolved, in a file of its own";
                return Err(Finding::warning(message, "ignored"));
            }
            _ => self.set_kubelet(name, value)?,
        }
        Ok(())
    }

    fn dns(&mut self) -> &mut raw::ClusterDns {
        self.dns.get_or_insert(raw::ClusterDns {
            domain: None,
            addresses: None,
        })
    }

    fn set_kubelet(&mut self, name: &str, value: &str) -> Result<(), Finding> {
        let kubelet = &mut self.kubelet;
        match name {
            "cloud-provider" => kubelet.cloud_provider = cloud_provider(value)?,
            // Templates for OpenStack put quotes inside, which systemd takes off the arguments that kubeadm leaves it.
            "provider-id" => kubelet.provider_id = Some(value.replace(['\'', '"'], "")),
            "node-ip" => kubelet.node_ip = Some(checked::<NodeAddresses>(value)?),
            "fail-swap-on" => kubelet.fail_swap_on = Some(truth(value)?),
            "max-pods" => kubelet.max_pods = Some(number(value)?),
            "pod-max-pids" => kubelet.pod_pids_limit = Some(pids(value)?),
            // `false` is what a node does unless it is told otherwise.
            "serialize-image-pulls" => kubelet.max_parallel_image_pulls = truth(value)?.then_some(1),
            "image-gc-high-threshold" => kubelet.image_gc_high_threshold_percent = Some(number(value)?),
            "image-gc-low-threshold" => kubelet.image_gc_low_threshold_percent = Some(number(value)?),
            "container-log-max-files" => kubelet.container_log_max_files = Some(number(value)?),
            "container-log-max-size" => kubelet.container_log_max_size = Some(checked::<Quantity>(value)?),
            "reserved-cpus" => kubelet.reserved_system_cpus = Some(value.to_owned()),
            "cpu-manager-policy" => kubelet.cpu_manager_policy = Some(word(value)?),
            "topology-manager-policy" => kubelet.topology_manager_policy = Some(word(value)?),
            "rotate-server-certificates" => kubelet.server_tls_bootstrap = truth(value)?,
            "seccomp-default" => kubelet.seccomp_default = Some(truth(value)?),
            "v" => kubelet.verbosity = Some(number(value)?),
            "allowed-unsafe-sysctls" => kubelet.allowed_unsafe_sysctls = items(value).map(str::to_owned).collect(),
            "feature-gates" => kubelet.feature_gates = feature_gates(value)?,
            "eviction-hard" => kubelet.eviction_hard = pairs::<Threshold>(value, '<')?,
            "eviction-soft" => kubelet.eviction_soft = pairs::<Threshold>(value, '<')?,
            "eviction-soft-grace-period" => kubelet.eviction_soft_grace_period = pairs::<GoDuration>(value, '=')?,
            "system-reserved" => kubelet.system_reserved = Some(reserved(value)?),
            "kube-reserved" => kubelet.kube_reserved = Some(reserved(value)?),
            _ => match EXTRA.iter().find(|(known, ..)| *known == name) {
                Some((_, field, shape)) => set_extra(&mut kubelet.extra_config, field, shape.read(value)?),
                None => return Err(unknown(name)),
            },
        }
        Ok(())
    }

    fn set_labels(&mut self, value: &str) -> Result<(), Finding> {
        for item in items(value) {
            let (key, value) = item.split_once('=').unwrap_or((item, ""));
            let parsed: LabelKey = key.parse()?;
            value.parse::<LabelValue>()?;
            if !parsed.kubelet_may_set() {
                let message = format!("no node may give itself the label `{key}`");
                let help = format!("set it in the cluster: `kubectl label node NAME {key}={value}`");
                return Err(Finding::error(message, "the kubelet refuses this label").with_help(help));
            }
            self.labels.insert(key.to_owned(), value.to_owned());
        }
        Ok(())
    }

    fn set_taints(&mut self, value: &str) -> Result<(), Finding> {
        for item in items(value) {
            self.add_taint(taint(item)?);
        }
        Ok(())
    }

    /// Adds a taint, unless there is one of its key and effect: then the new value counts.
    pub fn add_taint(&mut self, taint: raw::Taint) {
        self.taints
            .retain(|known| (&known.key, known.effect) != (&taint.key, taint.effect));
        self.taints.push(taint);
    }
}

/// Items of a list with commas.
fn items(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn fixed_value(name: &str, value: &str, fixed: &str) -> Result<(), Finding> {
    let is_same = value == fixed || (fixed == RUNTIME_ENDPOINT && is_runtime_endpoint(value));
    if is_same {
        return Ok(());
    }
    let message = format!("`{name}` is `{fixed}` on every Basalt node, and cannot be `{value}`");
    Err(Finding::error(message, "contradicts the image").with_help("remove this argument"))
}

/// `true` for the socket of the image's runtime, in any of the forms that kubeadm takes.
pub(crate) fn is_runtime_endpoint(text: &str) -> bool {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    matches!(
        path,
        "/run/containerd/containerd.sock" | "/var/run/containerd/containerd.sock"
    )
}

/// Setting of a NodeConfig that an argument becomes, if it becomes one.
pub(crate) fn setting_of(name: &str) -> Option<Vec<Step>> {
    if let Some((_, path)) = KNOWN.iter().find(|(known, _)| *known == name) {
        return Some(setting(&path.split('.').collect::<Vec<_>>()));
    }
    let (_, field, _) = EXTRA.iter().find(|(known, ..)| *known == name)?;
    let keys = ["kubelet", "extraConfig"].into_iter().chain(field.split('.'));
    Some(setting(&keys.collect::<Vec<_>>()))
}

/// Sets a field of KubeletConfiguration, unless the image sets it so anyway and nothing else was said before.
fn set_extra(fields: &mut BTreeMap<String, Value>, field: &str, value: Value) {
    let pointer = format!("/{}", field.replace('.', "/"));
    let mut whole = Value::Object(std::mem::take(fields).into_iter().collect());
    if whole.pointer(&pointer).is_some() || value_of_image(&pointer).as_ref() != Some(&value) {
        put(&mut whole, field, value);
    }
    if let Value::Object(keys) = whole {
        fields.extend(keys);
    }
}

/// Puts a value at a path of keys with dots between them.
fn put(object: &mut Value, field: &str, value: Value) {
    let Value::Object(keys) = object else { return };
    match field.split_once('.') {
        Some((first, rest)) => {
            let below = keys
                .entry(first)
                .or_insert_with(|| Value::Object(serde_json::Map::new()));
            put(below, rest, value);
        }
        None => drop(keys.insert(field.to_owned(), value)),
    }
}

impl ExtraShape {
    /// Value of a field in the text of an argument.
    fn read(self, text: &str) -> Result<Value, Finding> {
        Ok(match self {
            Self::Text => text.into(),
            Self::Number => number::<i64>(text)?.into(),
            Self::Switch => truth(text)?.into(),
            Self::List => items(text).collect(),
            Self::Pairs => {
                let pairs = items(text).map(|item| {
                    let (key, value) = item.split_once('=').ok_or_else(|| wrong(item, "a pair with `=`"))?;
                    Ok((key.to_owned(), Value::from(value)))
                });
                Value::Object(pairs.collect::<Result<_, Finding>>()?)
            }
        })
    }
}

fn unknown(name: &str) -> Finding {
    if let Some((_, help)) = OF_FILES.iter().find(|(known, _)| *known == name) {
        let message = format!("`{name}` names a file, and a node has none of another machine's");
        return Finding::error(message, "not taken over").with_help(*help);
    }
    let message = format!("a NodeConfig cannot express the kubelet's argument `{name}`");
    let known = KNOWN.iter().map(|(name, _)| *name);
    let known: Vec<_> = known.chain(EXTRA.iter().map(|(name, ..)| *name)).collect();
    let help = suggestion(name, known.iter().copied(), || {
        format!(
            "look for a field of NodeConfig or of its `kubelet.extraConfig`, or remove it; known are {}",
            known.join(", ")
        )
    });
    Finding::error(message, "not taken over").with_help(help)
}

fn wrong(value: &str, expected: &str) -> Finding {
    Finding::error(format!("`{value}` is not {expected}"), "not this").with_help(format!("write {expected}"))
}

fn number<T: FromStr>(value: &str) -> Result<T, Finding> {
    value.trim().parse().map_err(|_| wrong(value, "a number"))
}

/// Limit of processes; -1 is the kubelet's word for none.
fn pids(value: &str) -> Result<u64, Finding> {
    match value.trim() {
        "-1" => Ok(ALL_PIDS),
        _ => number(value),
    }
}

/// Truth values as Go's flags take them.
pub(crate) fn truth(value: &str) -> Result<bool, Finding> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(wrong(value, "`true` or `false`")),
    }
}

/// Text that a checked type takes.
fn checked<T: FromStr<Err = Finding>>(value: &str) -> Result<String, Finding> {
    value.parse::<T>().map(|_| value.to_owned())
}

/// Word of an enumeration of NodeConfig.
fn word<T: serde::de::DeserializeOwned>(value: &str) -> Result<T, Finding> {
    let text = serde_json::Value::String(value.to_owned());
    serde_json::from_value(text).map_err(|_| wrong(value, "a policy of the kubelet"))
}

fn cloud_provider(value: &str) -> Result<Option<raw::CloudProvider>, Finding> {
    match value {
        "external" => Ok(Some(raw::CloudProvider::External)),
        "" => Ok(None),
        _ => {
            let message = format!("the kubelet has no cloud provider `{value}` any more");
            let help = "write `external`, and run the cloud's controller manager in the cluster";
            Err(Finding::error(message, "not this").with_help(help))
        }
    }
}

fn feature_gates(value: &str) -> Result<BTreeMap<String, bool>, Finding> {
    items(value)
        .map(|item| {
            let (gate, state) = item.split_once('=').ok_or_else(|| wrong(item, "`Gate=true`"))?;
            Ok((gate.to_owned(), truth(state)?))
        })
        .collect()
}

/// Pairs with commas between them, such as `memory.available<100Mi`.
fn pairs<T: FromStr<Err = Finding>>(value: &str, between: char) -> Result<BTreeMap<String, String>, Finding> {
    items(value)
        .map(|item| {
            let pair = item.split_once(between);
            let (key, value) = pair.ok_or_else(|| wrong(item, &format!("a pair with `{between}`")))?;
            Ok((key.to_owned(), checked::<T>(value)?))
        })
        .collect()
}

fn reserved(value: &str) -> Result<raw::Reserved, Finding> {
    let mut reserved = raw::Reserved {
        cpu: None,
        memory: None,
        ephemeral_storage: None,
        pid: None,
    };
    for (resource, amount) in pairs::<Quantity>(value, '=')? {
        match resource.as_str() {
            "cpu" => reserved.cpu = Some(amount),
            "memory" => reserved.memory = Some(amount),
            "ephemeral-storage" => reserved.ephemeral_storage = Some(amount),
            "pid" => reserved.pid = Some(number(&amount)?),
            _ => return Err(wrong(&resource, "one of `cpu`, `memory`, `ephemeral-storage`, `pid`")),
        }
    }
    Ok(reserved)
}

/// A taint as the kubelet's argument has it: `key=value:Effect` or `key:Effect`.
fn taint(text: &str) -> Result<raw::Taint, Finding> {
    let expected = "a taint such as `example.com/dedicated=batch:NoSchedule`";
    let (name, effect) = text.rsplit_once(':').ok_or_else(|| wrong(text, expected))?;
    let effect = taint_effect(effect)?;
    let (key, value) = match name.split_once('=') {
        Some((key, value)) => (key, Some(value).filter(|value| !value.is_empty())),
        None => (name, None),
    };
    key.parse::<LabelKey>()?;
    value.map(str::parse::<LabelValue>).transpose()?;
    Ok(raw::Taint {
        key: key.to_owned(),
        value: value.map(str::to_owned),
        effect,
    })
}

/// Effect of a taint by its name in Kubernetes.
pub(crate) fn taint_effect(name: &str) -> Result<raw::TaintEffect, Finding> {
    let effects = [
        raw::TaintEffect::NoSchedule,
        raw::TaintEffect::PreferNoSchedule,
        raw::TaintEffect::NoExecute,
    ];
    let known = effects.into_iter().find(|effect| effect.name() == name);
    known.ok_or_else(|| wrong(name, "one of `NoSchedule`, `PreferNoSchedule`, `NoExecute`"))
}

#[cfg(test)]
mod tests;
