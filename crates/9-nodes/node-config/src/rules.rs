//! From the raw NodeConfig to the checked one.
//!
//! Each function looks at everything in its part even when something is wrong, so that a person sees all of it; the
//! value only comes out when nothing was.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use super::certificate::Authorities;
use super::finder::Finder;
use super::minor::KubeletMinor;
use super::sysctl::SysctlName;
use super::{checked, raw};
use basalt_document::{Finding, Path};
use serde_json::{Map, Value};

mod cluster;
mod configuration;
mod connectivity;
mod credential_providers;
mod extra_config;
mod feature_gates;
mod first_contact;
mod gateways;
mod image_sysctls;
mod interfaces;
mod kubeconfig;
mod kubelet;
mod labels;
mod links;
mod memory_manager;
mod network;
mod pod_sysctls;
mod proxy;
mod registries;
mod vocabulary;

/// Feature gates of a kubelet, with their defaults.
pub(super) fn feature_gates(kubelet: KubeletMinor) -> impl Iterator<Item = (&'static str, bool)> {
    feature_gates::defaults(kubelet)
}

/// The only value that a kubelet takes for a feature gate, if the gate is locked.
pub(super) fn locked_feature_gate(kubelet: KubeletMinor, name: &str) -> Option<bool> {
    feature_gates::locked(kubelet, name)
}

/// Objections to a whole KubeletConfiguration.
pub(super) fn objections(kubelet: KubeletMinor, configuration: &Map<String, Value>) -> Vec<String> {
    configuration::objections(kubelet, configuration)
}

/// Fields of KubeletConfiguration that `kubelet.extraConfig` takes.
pub(super) fn extra_fields(kubelet: KubeletMinor) -> impl Iterator<Item = &'static str> {
    extra_config::names(kubelet)
}

/// Fields of KubeletConfiguration that the part `kubelet` has as its own.
pub(super) fn own_fields() -> impl Iterator<Item = &'static str> {
    extra_config::own_names()
}

/// Value of such a field, as a NodeConfig writes it.
pub(super) fn own_value(field: &str, value: &Value) -> Value {
    configuration::own_value(field, value)
}

/// Help on a key that a NodeConfig does not have, if another format has it.
pub(super) fn advice(path: &Path, key: &str) -> Option<String> {
    vocabulary::advice(path, key)
}

pub(super) fn node_config(finder: &mut Finder<'_>, raw: raw::NodeConfig) -> Option<checked::NodeConfig> {
    let root = Path::root();
    let hostname = finder.parse_given(&root.key("hostname"), raw.hostname.as_ref());
    let cluster = cluster::cluster(finder, &root.key("cluster"), &raw.cluster);
    let network = raw
        .network
        .as_ref()
        .map(|network| network::network(finder, &root.key("network"), network));
    let servers = raw.time.map(|time| time.servers).unwrap_or_default();
    let time_servers = finder.parse_all(&Path::from("time.servers"), &servers);
    let registries = registries::registries(finder, &root.key("registries"), raw.registries);
    if let Some(kubelet) = &raw.kubelet {
        let base = cluster.as_ref().map(|cluster| cluster.kubelet_config);
        kubelet::idle_times(finder, &root.key("kubelet"), kubelet, base);
    }
    let kubelet = kubelet::kubelet(finder, &root.key("kubelet"), raw.kubelet.unwrap_or_default());
    if let (Some(written), Some(network)) = (&raw.network, &network) {
        let others = connectivity::Counterparts {
            cluster: cluster.as_ref(),
            registries: &registries,
            node_ip: kubelet.node_ip.as_ref(),
        };
        connectivity::check(finder, written, network, &others);
    }
    let labels = labels::labels(finder, &root.key("labels"), &raw.labels, hostname.as_ref());
    let taints = taints(finder, &root.key("taints"), &raw.taints);
    external_cloud(finder, &root.key("taints"), &taints, &kubelet);
    connectivity::not_the_api_server(finder, kubelet.node_ip.as_ref(), cluster.as_ref());
    let sysctls = sysctls(finder, &root.key("sysctls"), raw.sysctls);
    let ca_certificates = authorities(finder, &root.key("caCertificates"), raw.ca_certificates.as_ref());
    let prepull = finder.parse_all(&root.key("prepull"), &raw.prepull);
    let proxy = raw
        .proxy
        .as_ref()
        .map(|raw| proxy::proxy(finder, &root.key("proxy"), raw));
    Some(checked::NodeConfig {
        hostname,
        cluster: cluster?,
        network,
        time_servers,
        registries,
        kubelet,
        labels,
        taints,
        sysctls,
        ca_certificates,
        prepull,
        proxy,
    })
}

/// Certificates, and whether they are valid now.
fn authorities(finder: &mut Finder<'_>, path: &Path, text: Option<&String>) -> Option<Authorities> {
    let authorities: Authorities = finder.parse_given(path, text)?;
    if let Some(finding) = authorities.at(finder.now()) {
        finder.say_by_clock(path, finding);
    }
    Some(authorities)
}

fn taints(finder: &mut Finder<'_>, path: &Path, raw: &[raw::Taint]) -> Vec<checked::Taint> {
    let (mut checked, mut seen) = (Vec::new(), HashSet::new());
    for (index, taint) in raw.iter().enumerate() {
        let place = path.index(index);
        let key = finder.parse(&place.key("key"), &taint.key);
        let value = finder.parse_given(&place.key("value"), taint.value.as_ref());
        if !seen.insert((&taint.key, taint.effect.name())) {
            let message = format!("the taint `{}:{}` is there twice", taint.key, taint.effect.name());
            finder.say(
                &place.key("key"),
                Finding::error(message, "given again here").with_help("keep one of them"),
            );
        }
        checked.extend(key.map(|key| checked::Taint {
            key,
            value,
            effect: taint.effect,
        }));
    }
    checked
}

/// The taint of nodes that wait for a cloud controller manager, which the kubelet sets itself when it is told of one.
fn external_cloud(finder: &mut Finder<'_>, path: &Path, taints: &[checked::Taint], kubelet: &checked::Kubelet) {
    let uninitialized = |taint: &checked::Taint| taint.key.as_str() == "node.cloudprovider.kubernetes.io/uninitialized";
    let Some(index) = taints.iter().position(uninitialized) else {
        return;
    };
    let finding = Finding::warning("this taint is the kubelet's to set", "not enough, or too much");
    let help = match kubelet.cloud_provider {
        Some(_) => "remove it: `cloudProvider: external` sets it",
        None => "write `cloudProvider: external` below `kubelet` instead: it tells the controller the address, too",
    };
    finder.say(&path.index(index).key("key"), finding.with_help(help));
}

fn sysctls(
    finder: &mut Finder<'_>,
    path: &Path,
    raw: BTreeMap<String, raw::SysctlValue>,
) -> BTreeMap<SysctlName, String> {
    let mut checked = BTreeMap::new();
    // Nothing is compared with the files of the image.
    if raw.is_empty() {
        return checked;
    }
    let image = image_sysctls::ImageSysctls::read();
    let mut known: HashMap<String, String> = HashMap::new();
    for (name, value) in raw {
        let place = path.key(&name);
        let value = match value {
            raw::SysctlValue::Number(number) => number.to_string(),
            raw::SysctlValue::Text(text) => text.trim().to_owned(),
        };
        let Some(parsed) = finder.parse_key::<SysctlName>(&place, &name) else {
            continue;
        };
        if let Some(other) = known.insert(parsed.path(), name.clone()) {
            let finding = Finding::error(format!("`{name}` is `{other}` written otherwise"), "given again here");
            finder.say_of_key(&place, finding.with_help("keep one of them"));
        }
        if value.is_empty() || value.chars().any(char::is_control) {
            let finding = Finding::error(format!("the value of `{name}` must be one line"), "not a value");
            finder.say(
                &place,
                finding.with_help("write a number, or several with spaces between them"),
            );
        } else if let Err(finding) = parsed.check(&value) {
            finder.say(&place, finding);
        } else if let Some(harm) = parsed.harm(&value) {
            let finding = Finding::error(
                format!("`{name}` must not be `{value}` on a node: {harm}"),
                "breaks the node",
            );
            finder.say(&place, finding.with_help("remove this setting"));
        } else if let Some(reason) = parsed.absence() {
            let finding = Finding::warning(format!("`{name}` has no effect: {reason}"), "not in the image's kernel");
            finder.say_of_key(&place, finding.with_help("remove this setting"));
        } else if let Some(risk) = parsed.risk(&value) {
            let finding = Finding::warning(format!("`{name}` is `{value}`: {risk}"), "may break pods");
            finder.say(
                &place,
                finding.with_help("remove this setting unless this cluster's add-ons ask for it"),
            );
        } else if let Some(finding) = image.lowered(&parsed, &value) {
            finder.say(&place, finding);
        }
        checked.insert(parsed, value);
    }
    checked
}

/// Returns `true` if two addresses are of the same kind.
fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}
