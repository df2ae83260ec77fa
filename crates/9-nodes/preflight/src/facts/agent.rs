//! Configuration that the agent writes for the kubelet and containerd, from a NodeConfig.

use std::collections::BTreeSet;
use std::time::SystemTime;

use basalt_node::join_plan::JoinPlan;
use basalt_node::paths;
use basalt_node::plan::{Plan, plan};
use basalt_node_config::{Clock, check};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::PreflightError;

/// NodeConfig with nothing but what every node has; its certificate authority signs nothing.
const DEFAULT_CONFIG: &str = include_str!("node.yaml");

/// Files that the agent leaves at the places of kubeadm when the node joins.
pub(super) const KUBEADM_FILES: [&str; 5] = [
    paths::KUBEADM_CA,
    paths::KUBEADM_CONFIG,
    paths::KUBEADM_FLAGS,
    paths::KUBEADM_INSTANCE_CONFIG,
    paths::KUBEADM_KUBECONFIG,
];

/// Settings of the kubelet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubeletFacts {
    /// Folder of its state.
    pub root: String,
    /// Folder of FlexVolume drivers.
    pub volume_plugins: String,
    /// Folder of static pods.
    pub static_pods: String,
    /// File that pods with `dnsPolicy: Default` get as /etc/resolv.conf.
    pub resolv_conf: String,
    /// `failSwapOn`.
    pub fail_swap_on: bool,
    /// `protectKernelDefaults`.
    pub protect_kernel_defaults: bool,
    /// Sysctls that pods may set although Kubernetes counts them unsafe; patterns such as `net.core.*`.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// `true` if the node has files at the places of kubeadm once it has joined. Facts that do not say it are of such nodes.
    #[serde(default = "has_kubeadm_files")]
    pub kubeadm_files: bool,
}

/// Nodes join with `kubeletConfig: fromCluster`, unless their NodeConfig says otherwise.
fn has_kubeadm_files() -> bool {
    true
}

/// Settings of containerd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerdFacts {
    /// Socket of the CRI.
    pub socket: String,
    /// File with its configuration.
    pub config: String,
    /// Patterns of files that add to its configuration.
    pub imports: Vec<String>,
    /// Folder with hosts.toml files of registries.
    pub registries: String,
    /// Names of runtimes, which RuntimeClasses name as handlers.
    pub handlers: BTreeSet<String>,
}

/// Facts of an agent's plan, and sysctls that it sets, as `(key, value)`.
#[derive(Debug)]
pub(super) struct AgentFacts {
    pub(super) kubelet: KubeletFacts,
    pub(super) containerd: ContainerdFacts,
    pub(super) sysctls: Vec<(String, String)>,
}

/// Reads what the agent makes of a NodeConfig, given by name and text; of the default one if none is given.
pub(super) fn read(config: Option<(&str, &str)>) -> Result<AgentFacts, PreflightError> {
    let (name, text) = config.unwrap_or(("the default NodeConfig", DEFAULT_CONFIG));
    let (config, _) = check(name, text, Clock::Unsure(SystemTime::now()))?;
    let plan = plan(
        &config,
        &basalt_node::facts::MachineFacts {
            machine_id: None,
            size: None,
            credential_providers: Vec::new(),
        },
    );
    let sysctls = plan.sysctls.iter();
    Ok(AgentFacts {
        kubelet: kubelet(&plan)?,
        containerd: containerd(&plan)?,
        sysctls: sysctls
            .map(|(path, value)| (path.replace('/', "."), value.clone()))
            .collect(),
    })
}

/// Content of a file of a plan.
fn content<'p>(plan: &'p Plan, path: &str) -> &'p str {
    let file = plan.files.iter().find(|file| file.path == path);
    file.map(|file| file.content.as_str()).unwrap_or_default()
}

fn kubelet(plan: &Plan) -> Result<KubeletFacts, PreflightError> {
    let wrong = |error: serde_json::Error| PreflightError::Agent {
        program: "the kubelet",
        reason: error.to_string(),
    };
    // A join that asks the cluster for something has a plan of its own, and writes the kubelet's files later.
    let join: Option<JoinPlan> = match content(plan, paths::JOIN_PLAN) {
        "" => None,
        text => Some(serde_json::from_str(text).map_err(wrong)?),
    };
    let kubeadm_files = join.is_some();
    let config: Value = match join {
        Some(join) => join.configuration,
        None => serde_json::from_str(content(plan, paths::KUBELET_CONFIG)).map_err(wrong)?,
    };
    let text = |key: &str| config.get(key).and_then(Value::as_str).map(str::to_owned);
    // Defaults of KubeletConfiguration v1beta1.
    let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
    let allowed = config.get("allowedUnsafeSysctls").and_then(Value::as_array);
    let allowed = allowed.into_iter().flatten().filter_map(Value::as_str);
    let arguments = content(plan, paths::KUBELET_ARGUMENTS);
    let root = arguments
        .split_whitespace()
        .find_map(|argument| argument.strip_prefix("--root-dir="));
    Ok(KubeletFacts {
        root: root.unwrap_or("/var/lib/kubelet").to_owned(),
        volume_plugins: text("volumePluginDir")
            .unwrap_or_else(|| "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/".to_owned()),
        static_pods: text("staticPodPath").unwrap_or_default(),
        resolv_conf: text("resolvConf").unwrap_or_else(|| "/etc/resolv.conf".to_owned()),
        fail_swap_on: flag("failSwapOn", true),
        protect_kernel_defaults: flag("protectKernelDefaults", false),
        allowed_unsafe_sysctls: allowed.map(str::to_owned).collect(),
        kubeadm_files,
    })
}

fn containerd(plan: &Plan) -> Result<ContainerdFacts, PreflightError> {
    let config: toml::Value =
        toml::from_str(content(plan, paths::CONTAINERD_CONFIG)).map_err(|error| PreflightError::Agent {
            program: "containerd",
            reason: error.to_string(),
        })?;
    let plugin = |plugin: &str, keys: &[&str]| {
        let start = config.get("plugins")?.get(plugin)?;
        keys.iter().try_fold(start, |value, key| value.get(key))
    };
    let runtimes = plugin("io.containerd.cri.v1.runtime", &["containerd", "runtimes"]);
    let runtimes = runtimes.and_then(toml::Value::as_table);
    let imports = config.get("imports").and_then(toml::Value::as_array);
    let imports = imports.into_iter().flatten().filter_map(toml::Value::as_str);
    let registries = plugin("io.containerd.cri.v1.images", &["registry", "config_path"]);
    Ok(ContainerdFacts {
        socket: paths::CONTAINERD_SOCKET.to_owned(),
        config: paths::CONTAINERD_CONFIG.to_owned(),
        imports: imports.map(str::to_owned).collect(),
        registries: registries.and_then(toml::Value::as_str).unwrap_or_default().to_owned(),
        handlers: runtimes.into_iter().flat_map(|table| table.keys().cloned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_is_understood() {
        let facts = read(None).expect("facts");
        assert_eq!(facts.containerd.handlers, BTreeSet::from(["runc".to_owned()]));
        assert_eq!(facts.containerd.registries, paths::REGISTRIES);
        assert!(
            facts
                .containerd
                .imports
                .iter()
                .any(|import| import.starts_with("/etc/containerd/"))
        );
        assert_eq!(facts.kubelet.root, "/var/lib/kubelet");
        assert_eq!(facts.kubelet.static_pods, paths::STATIC_PODS);
        assert!(facts.kubelet.allowed_unsafe_sysctls.is_empty());
        assert!(facts.kubelet.kubeadm_files);
    }

    #[test]
    fn a_node_config_counts() {
        let text = format!(
            "{DEFAULT_CONFIG}kubelet: {{allowedUnsafeSysctls: [net.core.*]}}\nsysctls: {{vm.nr_hugepages: 64}}\n"
        );
        let facts = read(Some(("node.yaml", &text))).expect("facts");
        assert_eq!(facts.kubelet.allowed_unsafe_sysctls, ["net.core.*"]);
        assert!(facts.sysctls.contains(&("vm.nr_hugepages".to_owned(), "64".to_owned())));
        assert!(read(Some(("node.yaml", "kind: NodeConfig\n"))).is_err());
    }

    #[test]
    fn a_join_that_asks_the_cluster_leaves_files_of_kubeadm() {
        let alone = DEFAULT_CONFIG.replace("  kubeletConfig: fromCluster\n", "");
        let facts = read(Some(("node.yaml", &alone))).expect("facts");
        assert!(!facts.kubelet.kubeadm_files);
        assert!(facts.kubelet.protect_kernel_defaults);
        let (head, _) = DEFAULT_CONFIG.split_once("  kubeletConfig").expect("a line");
        let pin = "5c".repeat(32);
        let pinned = format!(
            "{head}  caCertHashes: ['sha256:{pin}']\n  kubeletConfig: fromNodeConfig\nkubelet: {{allowedUnsafeSysctls: [net.core.*]}}\n"
        );
        let facts = read(Some(("node.yaml", &pinned))).expect("facts");
        assert!(facts.kubelet.kubeadm_files && facts.kubelet.protect_kernel_defaults);
        assert_eq!(facts.kubelet.allowed_unsafe_sysctls, ["net.core.*"]);
    }
}
