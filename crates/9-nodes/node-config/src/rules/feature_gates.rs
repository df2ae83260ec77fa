//! Feature gates: those that the kubelet knows, and what follows from the ones that a NodeConfig sets.
//!
//! As `k8s.io/component-base/featuregate/feature_gate.go` of Kubernetes 1.37.2 has it: the kubelet ends at once with a
//! gate that it does not know, with another value of a locked one, and with one that is on while a gate that it needs
//! is off.

mod table;

use std::collections::BTreeMap;

use crate::finder::Finder;
use basalt_document::spelling::closest;
use basalt_document::{Finding, Path};

/// Maturity of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GateStage {
    Alpha,
    Beta,
    Stable,
    Deprecated,
}

/// A feature gate as the kubelet has it.
#[derive(Debug, Clone, Copy)]
struct FeatureGate {
    name: &'static str,
    stage: GateStage,
    default: bool,
    /// `true` if no other value than the default is allowed.
    locked: bool,
    /// Gates that have to be on while this one is.
    needs: &'static [&'static str],
}

/// Gates that stand for all of a stage that are not set themselves.
const ALL_ALPHA: &str = "AllAlpha";
const ALL_BETA: &str = "AllBeta";

/// Values of the gates under a NodeConfig.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeatureGates<'a>(&'a BTreeMap<String, bool>);

impl<'a> FeatureGates<'a> {
    pub(super) fn new(given: &'a BTreeMap<String, bool>) -> Self {
        Self(given)
    }

    /// Returns `true` if the feature is on.
    pub(super) fn is_on(self, name: &str) -> bool {
        known(name).is_some_and(|gate| self.value(gate))
    }

    fn value(self, gate: &FeatureGate) -> bool {
        let given = |name: &str| self.0.get(name).copied();
        let of_stage = || self.0.get(all_of_stage(gate)?).copied();
        given(gate.name).or_else(of_stage).unwrap_or(gate.default)
    }

    /// Key of `featureGates` that gives a gate its value, if one does.
    fn key_of(self, gate: &FeatureGate) -> Option<&'static str> {
        let given = |name: &str| self.0.contains_key(name);
        let key = if given(gate.name) {
            gate.name
        } else {
            all_of_stage(gate)?
        };
        given(key).then_some(key)
    }
}

/// The gate that stands for all of the stage of this one.
fn all_of_stage(gate: &FeatureGate) -> Option<&'static str> {
    match gate.stage {
        _ if gate.name == ALL_ALPHA || gate.name == ALL_BETA => None,
        GateStage::Alpha => Some(ALL_ALPHA),
        GateStage::Beta => Some(ALL_BETA),
        GateStage::Stable | GateStage::Deprecated => None,
    }
}

fn known(name: &str) -> Option<&'static FeatureGate> {
    table::GATES.iter().find(|gate| gate.name == name)
}

/// Names of all gates with their defaults.
pub(super) fn defaults() -> impl Iterator<Item = (&'static str, bool)> {
    table::GATES.iter().map(|gate| (gate.name, gate.default))
}

pub(super) fn check(finder: &mut Finder<'_>, path: &Path, given: &BTreeMap<String, bool>) {
    let findings: Vec<_> = given
        .iter()
        .filter_map(|(name, value)| Some((name, wrong(name, *value)?)))
        .collect();
    if findings.is_empty() {
        needs(finder, path, FeatureGates::new(given));
    }
    for (name, finding) in findings {
        finder.say(&path.key(name), finding);
    }
}

/// Objection to a gate by itself.
fn wrong(name: &str, value: bool) -> Option<Finding> {
    let Some(gate) = known(name) else {
        let finding = Finding::error(
            format!("the kubelet has no feature gate `{name}`"),
            "the kubelet would not start",
        );
        let help = match closest(name, table::GATES.iter().map(|gate| gate.name)) {
            Some(guess) => format!("did you mean `{guess}`?"),
            None => "remove this line; `kubelet --help` of Kubernetes 1.37 names most gates".to_owned(),
        };
        return Some(finding.with_help(help));
    };
    (gate.locked && gate.default != value).then(|| {
        let finding = Finding::error(
            format!("`{name}` is locked to `{}`", gate.default),
            "the kubelet would not start",
        );
        finding.with_help("remove this line: the feature cannot be switched any more")
    })
}

/// Gates that are on without one that they need, at the keys that bring it about.
fn needs(finder: &mut Finder<'_>, path: &Path, gates: FeatureGates<'_>) {
    let mut missing: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for gate in table::GATES.iter().filter(|gate| gates.value(gate)) {
        let off = gate.needs.iter().filter_map(|name| known(name));
        for needed in off.filter(|needed| !gates.value(needed)) {
            let key = gates.key_of(gate).or_else(|| gates.key_of(needed));
            if let Some(key) = key {
                missing.entry(key).or_default().push((gate.name, needed.name));
            }
        }
    }
    for (key, pairs) in missing {
        let said: Vec<_> = pairs
            .iter()
            .map(|(gate, needed)| format!("`{gate}` is on and needs `{needed}`, which is off"))
            .collect();
        let mut needed: Vec<_> = pairs.iter().map(|(_, needed)| format!("`{needed}: true`")).collect();
        needed.sort_unstable();
        needed.dedup();
        let finding = Finding::error(said.join("; "), "the kubelet would not start");
        let help = format!("add {}, or switch off what needs it", needed.join(", "));
        finder.say(&path.key(key), finding.with_help(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_whole() {
        assert!(table::GATES.is_sorted_by(|one, other| one.name < other.name));
        for gate in table::GATES {
            assert!(gate.needs.iter().all(|name| known(name).is_some()), "{}", gate.name);
        }
    }

    #[test]
    fn a_gate_by_name_comes_before_its_stage() {
        let given = [(ALL_ALPHA, true), ("DefaultPodSysctls", false), (ALL_BETA, false)];
        let given = given.map(|(name, value)| (name.to_owned(), value)).into();
        let gates = FeatureGates::new(&given);
        assert!(!gates.is_on("DefaultPodSysctls"));
        assert!(gates.is_on("QOSReserved"));
        assert!(!gates.is_on("MemoryQoS"));
        assert!(gates.is_on("NodeLogQuery"));
        assert!(FeatureGates::new(&BTreeMap::new()).is_on("MemoryQoS"));
    }
}
