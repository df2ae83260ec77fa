//! Options of a migration.

use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::jiff::SignedDuration;

use crate::drain::DrainPolicy;
use crate::facts::{MigrationPolicy, ReplacementMode, ReplacementOrder, RetirementMode};
use crate::model::NamespacedName;

/// Connection to a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterConnection {
    /// Kubeconfig; the files of `KUBECONFIG`, `~/.kube/config` or a pod's service account unless given.
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; its current one unless given.
    pub context: Option<String>,
}

/// Nodes that are migrated.
#[derive(Debug, Clone, Default)]
pub struct NodeSelection {
    /// Names.
    pub names: Vec<String>,
    /// Selector of labels, in kubectl's syntax.
    pub selector: Option<String>,
}

impl NodeSelection {
    /// Returns `true` if nothing was named.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.selector.is_none()
    }
}

/// Origin of the nodes that take the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplacementSource {
    /// Nodes that are there already; none is added.
    Existing,
    /// Somebody joins one new node for each.
    ByHand,
    /// A command line, run with `sh -c` once for each node.
    Command(String),
    /// A MachineDeployment of Cluster API, scaled up by one for each node.
    MachineDeployment(NamespacedName),
}

/// End of the machines of nodes that are done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineRetirement {
    /// Staying, empty and cordoned.
    Keep,
    /// Somebody switches them off.
    ByHand,
    /// A command line, run with `sh -c` once for each node.
    Command(String),
    /// Cluster API: the Machine is marked, and what owns it is scaled down by one.
    ClusterApi,
}

/// Options of a migration.
#[derive(Debug, Clone)]
pub struct MigrationOptions {
    /// Nodes that are migrated.
    pub nodes: NodeSelection,
    /// Origin of the replacements.
    pub replacement: ReplacementSource,
    /// Order of eviction and replacement.
    pub order: ReplacementOrder,
    /// Selector of the nodes that are replacements, in kubectl's syntax; nodes that run Basalt Linux unless given.
    pub replacement_selector: Option<String>,
    /// Consents for draining.
    pub drain: DrainPolicy,
    /// Most nodes that are migrated at the same time.
    pub at_once: usize,
    /// Longest time in one phase of a node.
    pub deadline: Duration,
    /// Time for which moved workloads have to stay Ready before the next node.
    pub soak: Duration,
    /// A node that stops is un-cordoned, if the migration cordoned it.
    pub undo_on_stop: bool,
    /// Namespace of the Lease, the journal and the probe pods.
    pub namespace: String,
    /// Image of the probe pod.
    pub probe_image: String,
    /// End of the machines of nodes that are done.
    pub retirement: MachineRetirement,
    /// Node objects are deleted, once their machines are off.
    pub delete_node_objects: bool,
    /// Cluster that has the objects of Cluster API; the cluster itself unless given.
    pub management: Option<ClusterConnection>,
}

impl MigrationOptions {
    /// Description of a replacement, for people.
    pub fn replacement_text(&self) -> String {
        match &self.replacement_selector {
            Some(selector) => format!("a Ready node with the labels {selector}"),
            None => "a Ready node that runs Basalt Linux".to_owned(),
        }
    }

    /// Rules of the state machine.
    pub fn policy(&self) -> MigrationPolicy {
        MigrationPolicy {
            order: self.order,
            mode: match self.replacement {
                ReplacementSource::Existing => ReplacementMode::Existing,
                ReplacementSource::ByHand => ReplacementMode::ByHand,
                ReplacementSource::Command(_) | ReplacementSource::MachineDeployment(_) => ReplacementMode::Requested,
            },
            drain: self.drain.clone(),
            deadline: self.deadline,
            soak: self.soak,
            undo_on_stop: self.undo_on_stop,
            replacement: self.replacement_text(),
            retirement: match self.retirement {
                MachineRetirement::Keep => RetirementMode::Keep,
                MachineRetirement::ByHand => RetirementMode::ByHand,
                MachineRetirement::Command(_) => RetirementMode::Command,
                MachineRetirement::ClusterApi => RetirementMode::ClusterApi,
            },
            delete_node_object: self.delete_node_objects,
        }
    }
}

/// Parses a selector of labels, as kubectl has them: `pool=old,!gpu,zone in (a,b)`.
///
/// # Errors
/// When the API server would refuse it, or when it selects everything.
pub fn parse_selector(text: &str) -> Result<String, String> {
    let mut depth = 0_u32;
    let requirements = text.split(|letter: char| {
        match letter {
            '(' => depth = depth.saturating_add(1),
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    for requirement in requirements.map(str::trim) {
        if !is_requirement(requirement) {
            return Err(format!(
                "`{requirement}` is no requirement on a label: they are written pool=old, pool!=old, pool, !pool, pool in (old,older)"
            ));
        }
    }
    Ok(text.to_owned())
}

fn is_requirement(text: &str) -> bool {
    if let Some(key) = text.strip_prefix('!') {
        return is_key(key.trim());
    }
    if let Some((front, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let words: Vec<&str> = front.split_whitespace().collect();
        let is_set = matches!(words.as_slice(), [key, "in" | "notin"] if is_key(key));
        return is_set && values.split(',').all(|value| is_value(value.trim()));
    }
    let Some((key, rest)) = text.find(['=', '!', '<', '>']).map(|start| text.split_at(start)) else {
        return is_key(text);
    };
    let mut operators = ["==", "!=", "=", "<", ">"].iter();
    let value = operators.find_map(|operator| rest.strip_prefix(operator));
    is_key(key.trim()) && value.is_some_and(|value| is_value(value.trim()))
}

/// Returns `true` for keys of labels: a name, with a domain before it perhaps.
fn is_key(text: &str) -> bool {
    let (domain, name) = text
        .split_once('/')
        .map_or((None, text), |(domain, name)| (Some(domain), name));
    let is_domain = |domain: &str| !domain.is_empty() && domain.split('.').all(is_value_of_label);
    domain.is_none_or(is_domain) && is_value_of_label(name)
}

/// Returns `true` for values of labels.
fn is_value(text: &str) -> bool {
    text.is_empty() || is_value_of_label(text)
}

fn is_value_of_label(text: &str) -> bool {
    let is_end = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
    let is_inside = |letter: char| letter.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&letter);
    text.len() <= 63 && is_end(text.chars().next()) && is_end(text.chars().next_back()) && text.chars().all(is_inside)
}

/// Parses a time: `90s`, `30m`, `1h30m`.
///
/// # Errors
/// When the text is no time, or is less than nothing.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let time: SignedDuration = text.parse().map_err(|_| "it is written 90s, 30m or 1h30m".to_owned())?;
    Duration::try_from(time).map_err(|_| "it is less than nothing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_of_kubectl() {
        for right in [
            "pool=old",
            "pool == old, zone!=a,tier=,pool==",
            "!gpu,example.com/pool",
            "zone in (a, b),pool notin (x)",
            "size>3",
        ] {
            assert_eq!(parse_selector(right).as_deref(), Ok(right));
        }
        for wrong in [
            "",
            "pool=old,",
            "pool=a b",
            "a b",
            "zone in a,b",
            "=x",
            "zone within (a)",
            "a/b/c=d",
            "pool=-x",
        ] {
            assert!(parse_selector(wrong).is_err(), "{wrong}");
        }
    }
}
