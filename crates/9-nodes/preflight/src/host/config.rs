//! NodeConfig that does what a host's settings do, as far as one can: what `basalt check` refuses is left out, and named.

use std::collections::BTreeSet;

use basalt_inventory::{HostInventory, HostName, is_hidden};
use basalt_node::paths;
use basalt_node_config::address::Endpoint;
use basalt_node_config::{kubeconfig, raw};
use serde::Serialize;
use serde_json::{Map, Value};

use super::draft::LeftOutSetting;
use super::parts::{HostKubeletSettings, SysctlFate};
use super::yaml::yaml;
use super::{boundary, draft, parts};
use crate::{NodeFacts, PreflightError};

/// API server that stands for the one of a cluster, which no inventory has.
const ENDPOINT: &str = "https://kubernetes.example.com:6443";
/// Bootstrap token of the documentation, kubeadm's and ours, which stands in a NodeConfig for one of a cluster.
pub const EXAMPLE_TOKEN: &str = "abcdef.0123456789abcdef";

/// NodeConfig made from an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNodeConfig {
    /// Text, in YAML, with comments on what is to be replaced, added, and left out.
    pub text: String,
    /// Settings of the host that are left out, with the reason.
    pub left_out: Vec<LeftOutSetting>,
}

/// Parts of a NodeConfig that does what a host's settings do.
#[derive(Debug)]
pub(super) struct HostDraft {
    /// Fields that every NodeConfig has.
    common: Map<String, Value>,
    /// Fields of them to replace.
    replaced: Vec<String>,
    /// Other sections.
    sections: Map<String, Value>,
    /// Settings that are left out.
    pub(super) left_out: Vec<LeftOutSetting>,
}

/// Line of a comment, whatever the text is.
fn comment(text: &str) -> String {
    format!("# {}\n", boundary::line(text))
}

/// NodeConfig of a draft.
///
/// # Errors
/// When YAML cannot be written, which would be a defect.
pub(super) fn node_config_of(
    host: &HostInventory,
    node: &NodeFacts,
    kubelet: &HostKubeletSettings,
    draft: &HostDraft,
) -> Result<HostNodeConfig, PreflightError> {
    let mut text = comment(&format!(
        "Made from the inventory of {}. Before a node gets it:",
        host.system.hostname
    ));
    for line in draft.replaced.iter().chain(&lost(host, node, kubelet)) {
        text += &comment(&format!("- {line}"));
    }
    let of_image = sysctls_of_image(host, node);
    if !draft.left_out.is_empty() || !of_image.is_empty() {
        text += &comment("Settings of the host that this file does not have:");
    }
    for line in draft.left_out.iter().map(ToString::to_string).chain(of_image) {
        text += &comment(&format!("- {line}"));
    }
    let fields = draft.common.clone().into_iter().chain(draft.sections.clone()).collect();
    // Through the type: its fields are in the order of the documentation.
    let config: raw::NodeConfig =
        serde_json::from_value(Value::Object(fields)).map_err(|error| PreflightError::Yaml(error.to_string()))?;
    text += &yaml(&config)?;
    Ok(HostNodeConfig {
        text,
        left_out: draft.left_out.clone(),
    })
}

/// Parts of a NodeConfig that does what the settings of a host do.
pub(super) fn draft_of(host: &HostInventory, node: &NodeFacts, kubelet: &HostKubeletSettings) -> HostDraft {
    let (common, replaced) = common_fields_of(host);
    let accepted = draft::accepted(&common, sections(host, node, kubelet));
    let mut left_out = accepted.left_out;
    left_out.extend(parts::left_out(host, kubelet));
    HostDraft {
        common,
        replaced,
        sections: accepted.sections,
        left_out,
    }
}

/// Fields that every NodeConfig has, as placeholders.
pub(super) fn common_fields() -> Map<String, Value> {
    common_fields_of(&HostInventory::default()).0
}

/// Fields that every NodeConfig has, and what is to be replaced in them.
fn common_fields_of(host: &HostInventory) -> (Map<String, Value>, Vec<String>) {
    let mut replaced = vec![
        "replace `bootstrapToken`: `kubeadm token create`".to_owned(),
        "replace `hostname` and addresses, if this host stays beside the node".to_owned(),
    ];
    let endpoint = match host
        .kubelet
        .server
        .as_deref()
        .map(|server| (server, endpoint_of(server)))
    {
        Some((_, Ok(endpoint))) => {
            if let Some(name) = known_by_file(host, &endpoint) {
                replaced.push(format!(
                    "add {} to a name server, or replace it in `endpoint`: the host knows it by /etc/hosts, as {}",
                    endpoint.host, name.address
                ));
            }
            Some(endpoint)
        }
        Some((server, Err(reason))) => {
            replaced.push(format!(
                "replace `endpoint`: that of the host is {}, and {}",
                boundary::shown(server),
                boundary::shown(&reason)
            ));
            None
        }
        None => {
            replaced.push("replace `endpoint`: the address of the API server".to_owned());
            None
        }
    };
    let authority = host
        .certificates
        .iter()
        .find(|certificate| certificate.file == paths::KUBEADM_CA);
    let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pin = authority.map(|certificate| certificate.public_key_sha256.to_ascii_lowercase());
    let pin = pin.filter(is_digest);
    if pin.is_none() {
        replaced.push("replace `caCertHashes`: `kubeadm token create --print-join-command`".to_owned());
    }
    let common = serde_json::json!({
        "apiVersion": "basalt.dev/v1",
        "kind": "NodeConfig",
        "cluster": {
            "endpoint": endpoint.map_or_else(|| ENDPOINT.to_owned(), |endpoint| endpoint.to_string()),
            "bootstrapToken": EXAMPLE_TOKEN,
            "caCertHashes": [format!("sha256:{}", pin.unwrap_or_else(|| "0".repeat(64)))],
        },
    });
    match common {
        Value::Object(common) => (common, replaced),
        _ => (Map::new(), replaced),
    }
}

/// API server of a kubeconfig, which a node is given.
///
/// # Errors
/// Why a node cannot be given it, in words.
pub(super) fn endpoint_of(server: &str) -> Result<Endpoint, String> {
    if server.contains(boundary::HIDDEN) {
        return Err("it has characters that are none of an address".to_owned());
    }
    let endpoint = kubeconfig::endpoint_of(server).map_err(|finding| finding.message)?;
    // What the rules for a NodeConfig have against it beside its form.
    let mut common = common_fields();
    if let Some(Value::Object(cluster)) = common.get_mut("cluster") {
        cluster.insert("endpoint".to_owned(), endpoint.to_string().into());
    }
    draft::refusal(&common).map_or(Ok(endpoint), Err)
}

/// Entry of /etc/hosts by which a host knows its API server.
pub(super) fn known_by_file<'h>(host: &'h HostInventory, endpoint: &Endpoint) -> Option<&'h HostName> {
    let is_named = |name: &&HostName| name.names.iter().any(|name| name.eq_ignore_ascii_case(&endpoint.host));
    host.network.hosts.iter().find(is_named)
}

/// Kernel settings that a NodeConfig does not get: secrets, lower ones than the image's, and refused ones.
fn sysctls_of_image(host: &HostInventory, node: &NodeFacts) -> Vec<String> {
    let lines = parts::wanted_sysctls(host, node).filter_map(|wanted| {
        let (key, value) = (&wanted.setting.key, wanted.value);
        match wanted.fate {
            SysctlFate::Kept => None,
            SysctlFate::Secret => Some(format!("`{key}`: {}", parts::NOT_THERE)),
            SysctlFate::Lower { image } => Some(format!("`{key}` ({value}): the image has {image}")),
            SysctlFate::Refused(reason) => Some(format!(
                "`{key}` ({}): {}",
                boundary::shown(value),
                boundary::shown(&reason)
            )),
        }
    });
    lines.collect()
}

/// Comments on what is to be added: what an inventory leaves out, since it is secret, fields for `extraConfig`, and programs that
/// ask for credentials.
fn lost(host: &HostInventory, node: &NodeFacts, kubelet: &HostKubeletSettings) -> Vec<String> {
    let mut lost = Vec::new();
    if parts::proxies(host).any(|proxy| proxy.has_credentials) {
        lost.push("add the name and the password of the proxy".to_owned());
    }
    let mut known = BTreeSet::new();
    let registries = host.registries.iter();
    // Of several settings of a registry, the NodeConfig has the first; those without mirrors are added.
    for registry in registries.filter(|registry| registry.mirrors.is_empty() || known.insert(&registry.host)) {
        let has_credentials = registry.has_credentials || registry.mirrors.iter().any(|mirror| mirror.has_credentials);
        if has_credentials {
            lost.push(format!(
                "add `auth` of the registry {} ({})",
                registry.host, registry.file
            ));
        }
        for ca in registry.mirrors.iter().flat_map(|mirror| &mirror.ca) {
            lost.push(format!(
                "add `ca` of the registry {}: the content of {ca}",
                registry.host
            ));
        }
    }
    let added = host
        .certificates
        .iter()
        .filter(|certificate| super::rules::is_added(certificate));
    let files: BTreeSet<&str> = added.map(|certificate| certificate.file.as_str()).collect();
    lost.extend(
        files
            .iter()
            .map(|file| format!("add the content of {file} to `caCertificates`")),
    );
    if !kubelet.others.is_empty() {
        lost.push(format!(
            "add {} of the kubelet's configuration to `kubelet.extraConfig`, unless the cluster's `kubelet-config` has them",
            super::listed(kubelet.others.iter().copied(), 8)
        ));
    }
    for provider in &host.kubelet.credential_providers {
        let name = &provider.name;
        lost.push(
            match node.has_program(&format!("{}/{name}", paths::CREDENTIAL_PROVIDERS)) {
                true => {
                    format!("add the credential provider {name} to `kubelet.credentialProviders`, with its arguments")
                }
                false => format!("give pods `imagePullSecrets`, or take an image with the credential provider {name}"),
            },
        );
    }
    lost
}

/// Sections; those without content are left out.
fn sections(host: &HostInventory, node: &NodeFacts, settings: &HostKubeletSettings) -> Map<String, Value> {
    let flags = &settings.flags;
    let mut kubelet = settings.configuration.clone();
    kubelet.extend(flags.kubelet());
    let hostname = host.kubelet.flag("hostname-override").map(|flag| flag.value.clone());
    let hostname = hostname.filter(|name| !is_hidden(name));
    let hostname = hostname.unwrap_or_else(|| host.system.hostname.clone());
    let sections = [
        ("hostname", value((!hostname.is_empty()).then_some(hostname))),
        ("network", value(parts::network(host))),
        ("time", value(parts::time(host))),
        ("registries", value(parts::registries(host))),
        ("kubelet", Value::Object(kubelet)),
        ("labels", value(&flags.settings.labels)),
        ("taints", settings.taints.clone()),
        ("sysctls", value(parts::sysctls(host, node))),
        ("proxy", value(parts::proxy(host))),
    ];
    let sections = sections.into_iter().filter(|(_, value)| !draft::is_empty(value));
    sections.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn value(part: impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::HostExamination;
    use super::*;

    #[test]
    fn servers_of_kubeconfigs_become_endpoints() {
        let of = |server: &str| endpoint_of(server).map(|endpoint| endpoint.to_string());
        assert_eq!(
            of("https://k8s.example.com"),
            Ok("https://k8s.example.com:443".to_owned())
        );
        assert_eq!(of("https://10.0.0.1:6443/"), Ok("https://10.0.0.1:6443".to_owned()));
        assert_eq!(of("https://[fd00::1]"), Ok("https://[fd00::1]:443".to_owned()));
        let below = of("https://rancher.example.com/k8s/clusters/c-1");
        assert!(below.is_err_and(|reason| reason.contains("below a path")));
        assert!(of("http://10.0.0.1:6443").is_err());
        assert!(of("https://bad_host!:6443").is_err());
        assert!(of("https://a\u{fffd}b:6443").is_err());
    }

    #[test]
    fn a_server_that_is_none_leaves_the_sections() {
        let mut host = HostInventory::default();
        host.kubelet.server = Some("https://rancher.example.com/k8s/clusters/c-1".to_owned());
        host.time.servers = vec!["ntp.example.com".to_owned()];
        let node: NodeFacts = serde_json::from_str(include_str!("../../tests/node-facts.json")).expect("facts");
        let made = HostExamination::new(&host, &node).node_config().expect("a NodeConfig");
        assert!(
            made.left_out.is_empty() && made.text.contains("- ntp.example.com"),
            "{}",
            made.text
        );
        assert!(
            made.text
                .contains("# - replace `endpoint`: that of the host is https://rancher"),
            "{}",
            made.text
        );
    }

    #[test]
    fn what_is_not_in_the_file_is_said_in_it() {
        let mut host = HostInventory::default();
        let setting = |key: &str, value: &str| basalt_inventory::HostSysctl {
            key: key.to_owned(),
            configured: Some(value.to_owned()),
            ..basalt_inventory::HostSysctl::default()
        };
        host.sysctls = vec![
            setting("net.ipv4.tcp_fastopen_key", "*"),
            setting("kernel.core_pattern", "|/bin/dump token=* %p"),
            setting("vm.max_map_count", "262144"),
            setting("vm.swappiness", "10"),
        ];
        let node: NodeFacts = serde_json::from_str(include_str!("../../tests/node-facts.json")).expect("facts");
        let text = HostExamination::new(&host, &node)
            .node_config()
            .expect("a NodeConfig")
            .text;
        let (head, body) = text.split_once("apiVersion").expect("a body");
        for key in ["net.ipv4.tcp_fastopen_key", "kernel.core_pattern"] {
            let line = format!("`{key}`: the inventory does not have its value");
            assert!(head.contains(&line), "{text}");
        }
        assert!(head.contains("`vm.max_map_count` (262144): the image has "), "{text}");
        assert!(body.ends_with("sysctls:\n  vm.swappiness: 10\n"), "{text}");
    }

    #[test]
    fn comments_are_one_line() {
        assert_eq!(comment("a\nsysctls:\r\n"), "# a\u{fffd}sysctls:\u{fffd}\u{fffd}\n");
    }
}
