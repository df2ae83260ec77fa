//! NodeConfig that does what a host's settings do, as far as one can: what `basalt check` refuses is left out, and named.

use std::collections::BTreeMap;
use std::time::SystemTime;

use basalt_document::Document;
use basalt_inventory::HostInventory;
use basalt_node_config::{Clock, check, raw};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{boundary, parts};
use crate::{NodeFacts, PreflightError};

/// Values that stand for what no inventory has.
const ENDPOINT: &str = "https://kubernetes.example.com:6443";
const TOKEN: &str = "abcdef.0123456789abcdef";
/// File with the cluster's authority on nodes that kubeadm has joined.
const AUTHORITY: &str = "/etc/kubernetes/pki/ca.crt";

/// NodeConfig made from an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNodeConfig {
    /// Text, in YAML, with comments on what is to be replaced.
    pub text: String,
    /// Sections that `basalt check` would refuse, with its reason; they are left out.
    pub left_out: Vec<(String, String)>,
}

/// Section of a NodeConfig, by its name.
type Section = (&'static str, Value);

/// Text of a value in YAML, which is read as that value again.
pub(super) fn yaml(value: &impl Serialize) -> Result<String, PreflightError> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    let text = serde_saphyr::to_string_with_options(value, options);
    let text = text.map_err(|error| PreflightError::Yaml(error.to_string()))?;
    let wrong = |error: serde_json::Error| PreflightError::Yaml(error.to_string());
    let wanted = serde_json::to_value(value).map_err(wrong)?;
    match Document::parse("node.yaml", &text) {
        Ok(document) if document.root().to_json() == wanted => Ok(text),
        // JSON is YAML as well, and has every text in quotes.
        _ => Ok(serde_json::to_string_pretty(value).map_err(wrong)? + "\n"),
    }
}

/// Line of a comment, whatever the text is.
fn comment(text: &str) -> String {
    format!("# {}\n", boundary::line(text))
}

/// NodeConfig that does what the settings of a host do.
///
/// # Errors
/// When YAML cannot be written, which would be a defect.
pub fn node_config_of(host: &HostInventory, node: &NodeFacts) -> Result<HostNodeConfig, PreflightError> {
    let host = &boundary::printable(host);
    let (base, replaced) = base(host);
    let mut kept = base.clone();
    let mut left_out = Vec::new();
    for (name, value) in sections(host, node) {
        match with(&base, name, &value) {
            Ok(()) => drop(kept.insert(name.to_owned(), value)),
            Err(reason) => left_out.push((name.to_owned(), reason)),
        }
    }
    // Sections that are right alone may contradict one another.
    if let Err(reason) = accepted(&kept) {
        let sections: Vec<String> = kept.keys().filter(|key| !base.contains_key(*key)).cloned().collect();
        for name in sections {
            let mut fewer = kept.clone();
            fewer.remove(&name);
            if accepted(&fewer).is_ok() {
                kept = fewer;
                left_out.push((name, reason));
                break;
            }
        }
    }
    let mut text = comment(&format!(
        "Made from the inventory of {}. Before a node gets it:",
        host.system.hostname
    ));
    for line in replaced.iter().chain(&lost(host)) {
        text += &comment(&format!("- {line}"));
    }
    for (name, reason) in &left_out {
        text += &comment(&format!("- `{name}` is left out: {reason}"));
    }
    // Through the type: its fields are in the order of the documentation.
    let config: raw::NodeConfig =
        serde_json::from_value(Value::Object(kept)).map_err(|error| PreflightError::Yaml(error.to_string()))?;
    text += &yaml(&config)?;
    Ok(HostNodeConfig { text, left_out })
}

/// Fields that every NodeConfig has, and what is to be replaced in them.
fn base(host: &HostInventory) -> (Map<String, Value>, Vec<String>) {
    let mut replaced = vec![
        "replace `bootstrapToken`: `kubeadm token create`".to_owned(),
        "replace `hostname` and addresses, if this host stays beside the node".to_owned(),
    ];
    let server = host
        .kubelet
        .server
        .clone()
        .filter(|server| server.starts_with("https://"));
    if server.is_none() {
        replaced.push("replace `endpoint`: the address of the API server".to_owned());
    }
    let authority = host
        .certificates
        .iter()
        .find(|certificate| certificate.file == AUTHORITY);
    let is_digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pin = authority.map(|certificate| certificate.public_key_sha256.clone());
    let pin = pin.filter(is_digest);
    if pin.is_none() {
        replaced.push("replace `caCertHashes`: `kubeadm token create --print-join-command`".to_owned());
    }
    let base = serde_json::json!({
        "apiVersion": "basalt.dev/v1",
        "kind": "NodeConfig",
        "cluster": {
            "endpoint": server.unwrap_or_else(|| ENDPOINT.to_owned()),
            "bootstrapToken": TOKEN,
            "caCertHashes": [format!("sha256:{}", pin.unwrap_or_else(|| "0".repeat(64)))],
        },
    });
    match base {
        Value::Object(base) => (base, replaced),
        _ => (Map::new(), replaced),
    }
}

/// Comments on what an inventory leaves out, since it is secret.
fn lost(host: &HostInventory) -> Vec<String> {
    let mut lost = Vec::new();
    if parts::proxies(host).any(|proxy| proxy.has_credentials) {
        lost.push("add the name and the password of the proxy".to_owned());
    }
    for registry in &host.registries {
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
    let files: std::collections::BTreeSet<&str> = added.map(|certificate| certificate.file.as_str()).collect();
    lost.extend(
        files
            .iter()
            .map(|file| format!("add the content of {file} to `caCertificates`")),
    );
    lost
}

/// Sections, in the order of the documentation; those without content are left out.
fn sections(host: &HostInventory, node: &NodeFacts) -> Vec<Section> {
    let mut kubelet = parts::kubelet_of_config(host);
    kubelet.extend(parts::kubelet_of_flags(host));
    let hostname = host.kubelet.flag("hostname-override").map(|flag| flag.value.clone());
    let hostname = hostname.unwrap_or_else(|| host.system.hostname.clone());
    let sections = [
        ("hostname", value((!hostname.is_empty()).then_some(hostname))),
        ("network", value(parts::network(host))),
        ("time", value(parts::time(host))),
        ("registries", value(parts::registries(host))),
        ("kubelet", Value::Object(kubelet)),
        ("labels", value(parts::labels(host))),
        ("taints", value(parts::taints(host))),
        ("sysctls", value(parts::sysctls(host, node))),
        ("proxy", value(parts::proxy(host))),
    ];
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    sections.into_iter().filter(|(_, value)| !is_empty(value)).collect()
}

fn value(part: impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

/// Checks one section beside what every NodeConfig has.
fn with(base: &Map<String, Value>, name: &str, value: &Value) -> Result<(), String> {
    let mut config = base.clone();
    config.insert(name.to_owned(), value.clone());
    accepted(&config)
}

/// Checks a NodeConfig as `basalt check` does; the error is its first one.
fn accepted(config: &Map<String, Value>) -> Result<(), String> {
    let text = yaml(&config.iter().collect::<BTreeMap<_, _>>()).map_err(|error| error.to_string())?;
    match check("node.yaml", &text, Clock::Unsure(SystemTime::now())) {
        Ok(_) => Ok(()),
        Err(problems) => {
            let first = problems.iter().next().map(ToString::to_string);
            Err(first.unwrap_or_else(|| "it is refused".to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_as_it_was_written() {
        for text in ["a # b", "a: b", "- a", "no", "0x1f", "1e3", "~", "", " a", "a\nb: c\n"] {
            let value = serde_json::json!({ "a": text, "b": [text, 1] });
            let written = yaml(&value).expect("YAML");
            let read = Document::parse("a.yaml", &written).expect("a document");
            assert_eq!(read.root().to_json(), value, "{written}");
        }
    }

    #[test]
    fn comments_are_one_line() {
        assert_eq!(comment("a\nsysctls:\r\n"), "# a\u{fffd}sysctls:\u{fffd}\u{fffd}\n");
    }
}
