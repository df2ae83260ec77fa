//! Labels that a node registers with.

use std::collections::BTreeMap;

use crate::finder::Finder;
use crate::name::{HostName, LabelKey, LabelValue};
use basalt_document::{Finding, Path};

/// Word of Kubernetes for the operating system of a node.
const SYSTEM: &str = "linux";
/// Word of Kubernetes for the architecture that images are made for.
const ARCHITECTURE: &str = "amd64";

/// Checks labels. `hostname` is the node's name, if the NodeConfig has it.
pub(super) fn labels(
    finder: &mut Finder<'_>,
    path: &Path,
    raw: &BTreeMap<String, String>,
    hostname: Option<&HostName>,
) -> BTreeMap<LabelKey, LabelValue> {
    let mut checked = BTreeMap::new();
    for (key, value) in raw {
        let place = path.key(key);
        let (parsed, value) = (finder.parse_key::<LabelKey>(&place, key), finder.parse(&place, value));
        let Some((parsed, value)) = parsed.zip(value) else {
            continue;
        };
        if !parsed.kubelet_may_set() {
            let finding = Finding::error(
                format!("no node may give itself the label `{key}`"),
                "the kubelet refuses this",
            );
            let help = format!(
                "use `node.kubernetes.io/…` or a domain of your own, or set it in the cluster: `kubectl label node NAME {key}={value}`"
            );
            finder.say_of_key(&place, finding.with_help(help));
        }
        of_machine(finder, &place, &parsed, &value, hostname);
        checked.insert(parsed, value);
    }
    checked
}

/// Labels that the kubelet sets itself, to what the machine is. Another value would take the place of that one.
fn of_machine(finder: &mut Finder<'_>, place: &Path, key: &LabelKey, value: &LabelValue, hostname: Option<&HostName>) {
    let (own, consequence) = match key.as_str() {
        "kubernetes.io/hostname" => (
            hostname.map(HostName::as_str),
            "pods with local volumes look for their node by it",
        ),
        "kubernetes.io/os" => (Some(SYSTEM), "pods for this machine would not come to it"),
        "kubernetes.io/arch" => (Some(ARCHITECTURE), "pods for this machine would not come to it"),
        _ => return,
    };
    if own == Some(value.as_str()) {
        return;
    }
    let message = format!("`{key}` is the kubelet's to set, and `{value}` takes the place of what it finds");
    let finding = Finding::error(message, "not what the machine is");
    finder.say(place, finding.with_help(format!("remove this label: {consequence}")));
}
