//! Arguments of the kubelet (`nodeRegistration.kubeletExtraArgs`) as settings of a NodeConfig.

use std::collections::BTreeMap;
use std::str::FromStr;

use basalt_document::Finding;
use basalt_document::spelling::closest;
use basalt_node_config::address::Address;
use basalt_node_config::amount::{GoDuration, Quantity, Threshold};
use basalt_node_config::name::{HostName, LabelKey, LabelValue};
use basalt_node_config::raw;

/// Socket of the container runtime of an image.
pub(crate) const RUNTIME_ENDPOINT: &str = "unix:///run/containerd/containerd.sock";

/// Settings that arguments of the kubelet stand for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KubeletFlags {
    /// Name of the node, of `--hostname-override`.
    pub hostname: Option<HostName>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<raw::Taint>,
    /// Settings of the kubelet.
    pub kubelet: raw::Kubelet,
}

/// Arguments that a NodeConfig can express, for suggestions.
const KNOWN: &[&str] = &[
    "allowed-unsafe-sysctls",
    "cloud-provider",
    "container-log-max-files",
    "container-log-max-size",
    "cpu-manager-policy",
    "eviction-hard",
    "eviction-soft",
    "eviction-soft-grace-period",
    "feature-gates",
    "hostname-override",
    "image-gc-high-threshold",
    "image-gc-low-threshold",
    "kube-reserved",
    "max-pods",
    "node-ip",
    "node-labels",
    "pod-max-pids",
    "provider-id",
    "register-with-taints",
    "reserved-cpus",
    "rotate-server-certificates",
    "seccomp-default",
    "system-reserved",
    "topology-manager-policy",
    "v",
];

/// Arguments that Basalt sets itself, with the value that it sets. Any other value is a contradiction.
const FIXED: &[(&str, &str)] = &[
    ("anonymous-auth", "false"),
    ("authorization-mode", "Webhook"),
    ("cgroup-driver", "systemd"),
    ("container-runtime", "remote"),
    ("container-runtime-endpoint", RUNTIME_ENDPOINT),
    ("fail-swap-on", "true"),
    ("protect-kernel-defaults", "true"),
    ("read-only-port", "0"),
    ("register-node", "true"),
    ("resolv-conf", "/run/systemd/resolve/resolv.conf"),
    ("rotate-certificates", "true"),
];

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
            "pod-infra-container-image" => {
                let message = "`pod-infra-container-image` has no effect: the runtime has an image of its own";
                return Err(Finding::warning(message, "ignored"));
            }
            _ => self.set_kubelet(name, value)?,
        }
        Ok(())
    }

    fn set_kubelet(&mut self, name: &str, value: &str) -> Result<(), Finding> {
        let kubelet = &mut self.kubelet;
        match name {
            "cloud-provider" => kubelet.cloud_provider = cloud_provider(value)?,
            // Templates for OpenStack put quotes inside, which systemd takes off the arguments that kubeadm leaves it.
            "provider-id" => kubelet.provider_id = Some(value.replace(['\'', '"'], "")),
            "node-ip" => kubelet.node_ip = Some(node_ip(value)?),
            "max-pods" => kubelet.max_pods = Some(number(value)?),
            "pod-max-pids" => kubelet.pod_pids_limit = pids(value)?,
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
            _ => return Err(unknown(name)),
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
    let is_same = value == fixed
        || (name == "container-runtime-endpoint" && is_runtime_endpoint(value))
        || (fixed == "true" && value.is_empty());
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

fn unknown(name: &str) -> Finding {
    let message = format!("a NodeConfig cannot express the kubelet's argument `{name}`");
    let help = match closest(name, KNOWN.iter().copied()) {
        Some(guess) => format!("did you mean `{guess}`?"),
        None => format!(
            "set it in the cluster's kubelet-config, or remove it; known are {}",
            KNOWN.join(", ")
        ),
    };
    Finding::error(message, "not taken over").with_help(help)
}

fn wrong(value: &str, expected: &str) -> Finding {
    Finding::error(format!("`{value}` is not {expected}"), "not this").with_help(format!("write {expected}"))
}

fn number<T: FromStr>(value: &str) -> Result<T, Finding> {
    value.trim().parse().map_err(|_| wrong(value, "a number"))
}

/// Limit of processes; -1 is the kubelet's word for none.
fn pids(value: &str) -> Result<Option<u64>, Finding> {
    if value.trim() == "-1" {
        Ok(None)
    } else {
        number(value).map(Some)
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

fn node_ip(value: &str) -> Result<String, Finding> {
    if value.contains(',') {
        let message = "two addresses of a node are not supported: `nodeIP` is one";
        let help = "write the one of the cluster's first family";
        return Err(Finding::error(message, "two addresses").with_help(help));
    }
    checked::<Address>(value)
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(arguments: &[(&str, &str)]) -> Result<KubeletFlags, Finding> {
        let mut flags = KubeletFlags::default();
        for (name, value) in arguments {
            flags.set(name, value)?;
        }
        Ok(flags)
    }

    #[test]
    fn arguments_become_settings() {
        let flags = set(&[
            ("provider-id", "aws:///eu-central-1a/i-0123"),
            ("cloud-provider", "external"),
            ("node-labels", "tier=front,node.kubernetes.io/pool=small,empty="),
            (
                "register-with-taints",
                "karpenter.sh/unregistered=true:NoExecute,a:NoSchedule",
            ),
            ("node-ip", "10.0.0.5"),
            ("eviction-hard", "memory.available<100Mi,nodefs.available<10%"),
            ("system-reserved", "cpu=100m,memory=1Gi,pid=100"),
            ("feature-gates", "A=true,B=false"),
            ("v", "4"),
            ("cgroup-driver", "systemd"),
            (
                "container-runtime-endpoint",
                "unix:///var/run/containerd/containerd.sock",
            ),
        ])
        .unwrap();
        assert_eq!(
            flags.kubelet.provider_id.as_deref(),
            Some("aws:///eu-central-1a/i-0123")
        );
        let quoted = set(&[("provider-id", "openstack:///'762931c8'")]).unwrap();
        assert_eq!(quoted.kubelet.provider_id.as_deref(), Some("openstack:///762931c8"));
        assert_eq!(flags.labels.len(), 3);
        assert_eq!(flags.taints.len(), 2);
        assert_eq!(flags.taints[0].value.as_deref(), Some("true"));
        assert_eq!(flags.kubelet.cloud_provider, Some(raw::CloudProvider::External));
        assert_eq!(flags.kubelet.eviction_hard["nodefs.available"], "10%");
        assert_eq!(flags.kubelet.system_reserved.unwrap().pid, Some(100));
        assert!(!flags.kubelet.feature_gates["B"]);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (name, value, expected) in [
            ("cgroup-driver", "cgroupfs", "cgroup-driver"),
            ("read-only-port", "10255", "read-only-port"),
            ("cloud-provider", "aws", "aws"),
            ("node-ip", "10.0.0.5,fd00::5", "two addresses"),
            (
                "node-labels",
                "node-role.kubernetes.io/worker=",
                "node-role.kubernetes.io/worker",
            ),
            ("node-labels", "a b=c", "a b"),
            ("register-with-taints", "a", "a taint"),
            ("register-with-taints", "a=b:Never", "Never"),
            ("max-pods", "many", "many"),
            ("root-dir", "/data", "root-dir"),
            ("feature-gates", "A", "A"),
            ("system-reserved", "gpu=1", "gpu"),
            ("cpu-manager-policy", "dynamic", "dynamic"),
        ] {
            let finding = set(&[(name, value)]).unwrap_err();
            assert!(finding.message.contains(expected), "{finding:?}");
        }
        let finding = set(&[("node-label", "a=b")]).unwrap_err();
        assert_eq!(finding.help.as_deref(), Some("did you mean `node-labels`?"));
    }

    #[test]
    fn a_taint_is_there_once() {
        let flags = set(&[("register-with-taints", "a=1:NoSchedule,a=2:NoSchedule,a:NoExecute")]).unwrap();
        let values: Vec<_> = flags.taints.iter().map(|taint| taint.value.as_deref()).collect();
        assert_eq!(values, [Some("2"), None]);
    }

    proptest! {
        #[test]
        fn nothing_panics(index in 0..KNOWN.len(), name in any::<String>(), value in any::<String>()) {
            let _ = set(&[(KNOWN[index], &value)]);
            let _ = set(&[(&name, &value)]);
            let _ = set(&[(KNOWN[index], &format!("a=b,{value}<1,{value}"))]);
        }
    }
}
