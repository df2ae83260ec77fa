//! NodeConfig: what a machine has to know to become a node.
//!
//! [`check`] is the one way from text to a [`NodeConfig`]; `basalt-node check`, the agent at boot and `basalt` all
//! call it. What comes out cannot be wrong in itself; what is wrong is told completely, with places and remedies.

use std::time::SystemTime;

use basalt_document::problem::Problems;
use basalt_document::schema::{self, Decoded};
use basalt_document::{Document, Finding, secret};
use miette::NamedSource;
use serde_json::{Map, Value};

use finder::Finder;

pub mod address;
pub mod amount;
pub mod certificate;
mod checked;
pub mod defaults;
pub mod encoding;
mod finder;
pub mod kubeconfig;
mod minor;
pub mod name;
mod other_document;
pub mod pin;
pub mod raw;
mod rules;
pub mod sysctl;
pub mod token;

pub use checked::{
    Access, ApiServerTrust, Bond, Cluster, HostDns, Interface, InterfaceMatch, Kubelet, Mirror, NetworkSettings,
    NodeConfig, Proxy, Registry, RegistryHost, Reserved, Route, Taint, Vlan,
};
pub use minor::KubeletMinor;
pub use other_document::is_user_data;
pub use raw::{
    CloudProvider, CpuManagerPolicy, CredentialProvider, KubeletConfigSource, RegistryAuth, SwapBehavior, TaintEffect,
    TopologyManagerPolicy,
};

/// Largest size of a NodeConfig, in bytes.
pub const LARGEST: usize = 1 << 20;

/// Trust in the clock of the machine that checks.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The clock is right: a certificate that is not valid now is an error.
    Right(SystemTime),
    /// The clock may be wrong, as at boot before any time server answered: such a certificate is worth a warning.
    Unsure(SystemTime),
}

/// Checks the text of a NodeConfig for the newest kubelet; `name` is what errors call the file.
///
/// A NodeConfig that can be used comes with warnings, often none.
pub fn check(name: &str, text: &str, clock: Clock) -> Result<(NodeConfig, Problems), Problems> {
    check_for(name, text, clock, KubeletMinor::NEWEST)
}

/// Checks the text of a NodeConfig for the kubelet of a minor version: its feature gates and fields are others.
pub fn check_for(
    name: &str,
    text: &str,
    clock: Clock,
    kubelet: KubeletMinor,
) -> Result<(NodeConfig, Problems), Problems> {
    check_document(&document(name, text)?, clock, kubelet)
}

/// Checks a NodeConfig that [`document`] has parsed, for callers that look for more in its text.
pub fn check_document(
    document: &Document,
    clock: Clock,
    kubelet: KubeletMinor,
) -> Result<(NodeConfig, Problems), Problems> {
    let Decoded {
        value,
        mut found,
        unfit,
    } = schema::decode_with_advice::<raw::NodeConfig>(document, &rules::advice);
    let mut finder = Finder::new(document, unfit, clock, kubelet);
    let config = value.and_then(|raw| rules::node_config(&mut finder, raw));
    found.append(&mut finder.into_found());
    let problems = document.problems(found);
    match config {
        Some(config) if problems.errors() == 0 => Ok((config, problems)),
        _ => Err(problems),
    }
}

/// Parses the text of a NodeConfig. Reports about the document show none of its secrets.
///
/// # Errors
/// When it is no YAML, a file of another kind, or larger than [`LARGEST`].
pub fn document(name: &str, text: &str) -> Result<Document, Problems> {
    if text.len() > LARGEST {
        let message = format!("a NodeConfig has at most {LARGEST} bytes (1 MiB), and this has more");
        let finding = Finding::error(message, "too large").with_help("look whether it is a NodeConfig at all");
        return Err(Problems::of_file(NamedSource::new(name, "".into()), finding));
    }
    // Nobody knows which parts of it are secrets: none of its text is shown.
    if let Some(finding) = other_document::finding(text) {
        return Err(Problems::of_file(NamedSource::new(name, "".into()), finding));
    }
    secret::parse::<raw::NodeConfig>(name, text)
}

/// The JSON schema of NodeConfig.
pub fn json_schema() -> String {
    schema::published::<raw::NodeConfig>()
}

/// Feature gates of the kubelet of a minor version, with their defaults.
pub fn kubelet_feature_gates(kubelet: KubeletMinor) -> impl Iterator<Item = (&'static str, bool)> {
    rules::feature_gates(kubelet)
}

/// The only value that the kubelet of a minor version takes for a feature gate, if the gate is locked.
pub fn locked_feature_gate(kubelet: KubeletMinor, name: &str) -> Option<bool> {
    rules::locked_feature_gate(kubelet, name)
}

/// Objections to a whole KubeletConfiguration, in words: what the kubelet of a minor version would not start with, by the
/// rules for the part `kubelet` of a NodeConfig. Fields that the agent owns are not looked at.
pub fn kubelet_objections(kubelet: KubeletMinor, configuration: &Map<String, Value>) -> Vec<String> {
    rules::objections(kubelet, configuration)
}

/// Fields of KubeletConfiguration that `kubelet.extraConfig` takes, for the kubelet of a minor version.
pub fn kubelet_extra_fields(kubelet: KubeletMinor) -> impl Iterator<Item = &'static str> {
    rules::extra_fields(kubelet)
}

/// Fields of KubeletConfiguration that the part `kubelet` of a NodeConfig has as its own, under the same names.
pub fn kubelet_own_fields() -> impl Iterator<Item = &'static str> {
    rules::own_fields()
}

/// Value of a field of [`kubelet_own_fields`] as a NodeConfig writes it: KubeletConfiguration writes reserved resources otherwise.
pub fn kubelet_own_value(field: &str, value: &Value) -> Value {
    rules::own_value(field, value)
}
