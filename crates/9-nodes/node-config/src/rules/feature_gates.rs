//! Feature gates: those that the kubelet knows, and what follows from the ones that a NodeConfig sets.
//!
//! As `k8s.io/component-base/featuregate/feature_gate.go` of Kubernetes 1.35 to 1.37 has it: the kubelet ends at once with
//! a gate that it does not know, with another value of a locked one, and with one that is on while a gate that it needs
//! is off.

mod table;

use std::collections::BTreeMap;

use crate::finder::Finder;
use crate::minor::KubeletMinor;
use basalt_document::spelling::suggestion;
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

/// Gate that the agent switches on, for `basalt node logs`.
const LOG_QUERY: &str = "NodeLogQuery";

/// Values of a kubelet's gates under a NodeConfig.
#[derive(Debug, Clone, Copy)]
pub(super) struct FeatureGates<'a> {
    kubelet: KubeletMinor,
    given: &'a BTreeMap<String, bool>,
}

impl<'a> FeatureGates<'a> {
    pub(super) fn new(kubelet: KubeletMinor, given: &'a BTreeMap<String, bool>) -> Self {
        Self { kubelet, given }
    }

    /// Returns `true` if the feature is on.
    pub(super) fn is_on(self, name: &str) -> bool {
        known(self.kubelet, name).is_some_and(|gate| self.value(gate))
    }

    fn value(self, gate: &FeatureGate) -> bool {
        let given = |name: &str| self.given.get(name).copied();
        let of_stage = || self.given.get(all_of_stage(gate)?).copied();
        given(gate.name).or_else(of_stage).unwrap_or(gate.default)
    }

    /// Key of `featureGates` that gives a gate its value, if one does.
    fn key_of(self, gate: &FeatureGate) -> Option<&'static str> {
        let given = |name: &str| self.given.contains_key(name);
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

fn known(kubelet: KubeletMinor, name: &str) -> Option<&'static FeatureGate> {
    table::gates(kubelet).iter().find(|gate| gate.name == name)
}

/// The only value that a kubelet takes for a gate, if the gate is locked.
pub(super) fn locked(kubelet: KubeletMinor, name: &str) -> Option<bool> {
    known(kubelet, name).filter(|gate| gate.locked).map(|gate| gate.default)
}

/// Names of all gates with their defaults.
pub(super) fn defaults(kubelet: KubeletMinor) -> impl Iterator<Item = (&'static str, bool)> {
    table::gates(kubelet).iter().map(|gate| (gate.name, gate.default))
}

pub(super) fn check(finder: &mut Finder<'_>, path: &Path, given: &BTreeMap<String, bool>) {
    let kubelet = finder.kubelet();
    let findings: Vec<_> = given
        .iter()
        .filter_map(|(name, value)| Some((name, wrong(kubelet, name, *value)?)))
        .collect();
    if findings.is_empty() && !finder.has_unfit(path) {
        needs(finder, path, FeatureGates::new(kubelet, given));
    }
    for (name, finding) in findings {
        finder.say_of_key(&path.key(name), finding);
    }
}

/// Objection to a gate by itself.
fn wrong(kubelet: KubeletMinor, name: &str, value: bool) -> Option<Finding> {
    let Some(gate) = known(kubelet, name) else {
        let finding = Finding::error(
            format!("the kubelet of Kubernetes {kubelet} has no feature gate `{name}`"),
            "the kubelet would not start",
        );
        return Some(finding.with_help(instead(kubelet, name)));
    };
    if name == LOG_QUERY && !gate.locked && !value {
        let message = format!("`{LOG_QUERY}` has to be on: the agent sets `enableSystemLogQuery`");
        return Some(Finding::error(message, "the kubelet would not start").with_help("remove this gate"));
    }
    (gate.locked && gate.default != value).then(|| {
        let finding = Finding::error(
            format!("`{name}` is locked to `{}` in Kubernetes {kubelet}", gate.default),
            "the kubelet would not start",
        );
        finding.with_help("remove this gate: the feature cannot be switched any more")
    })
}

/// Advice on a gate that a kubelet does not have.
fn instead(kubelet: KubeletMinor, name: &str) -> String {
    let others = KubeletMinor::ALL
        .into_iter()
        .filter(|other| known(*other, name).is_some());
    let others: Vec<_> = others.map(|other| other.to_string()).collect();
    if !others.is_empty() {
        return format!(
            "remove this gate: only the kubelet of {} has this gate",
            others.join(" and ")
        );
    }
    let gates = table::gates(kubelet).iter().map(|gate| gate.name);
    suggestion(name, gates, || {
        format!("remove this gate; `kubelet --help` of Kubernetes {kubelet} names most gates")
    })
}

/// Gates that are on without one that they need, at the keys that bring it about.
fn needs(finder: &mut Finder<'_>, path: &Path, gates: FeatureGates<'_>) {
    let mut missing: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for gate in table::gates(gates.kubelet).iter().filter(|gate| gates.value(gate)) {
        let off = gate.needs.iter().filter_map(|name| known(gates.kubelet, name));
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
    fn the_tables_are_sorted_and_whole() {
        for kubelet in KubeletMinor::ALL {
            let gates = table::gates(kubelet);
            assert!(gates.is_sorted_by(|one, other| one.name < other.name));
            for gate in gates {
                let has_needs = gate.needs.iter().all(|name| known(kubelet, name).is_some());
                assert!(has_needs, "{} of {kubelet}", gate.name);
            }
        }
    }

    #[test]
    fn locked_gates_have_one_value() {
        assert_eq!(locked(KubeletMinor::V1_37, "NodeLogQuery"), Some(true));
        assert_eq!(locked(KubeletMinor::V1_35, "NodeLogQuery"), None);
        assert_eq!(
            locked(KubeletMinor::V1_37, "AllowOverwriteTerminationGracePeriodSeconds"),
            Some(false)
        );
        assert_eq!(locked(KubeletMinor::V1_37, "Nope"), None);
    }

    #[test]
    fn a_gate_by_name_comes_before_its_stage() {
        let given = [(ALL_ALPHA, true), ("DefaultPodSysctls", false), (ALL_BETA, false)];
        let given = given.map(|(name, value)| (name.to_owned(), value)).into();
        let gates = FeatureGates::new(KubeletMinor::V1_37, &given);
        assert!(!gates.is_on("DefaultPodSysctls"));
        assert!(gates.is_on("QOSReserved"));
        assert!(!gates.is_on("MemoryQoS"));
        assert!(gates.is_on("NodeLogQuery"));
        let none = BTreeMap::new();
        assert!(FeatureGates::new(KubeletMinor::V1_37, &none).is_on("MemoryQoS"));
        assert!(!FeatureGates::new(KubeletMinor::V1_36, &none).is_on("MemoryQoS"));
        assert!(!FeatureGates::new(KubeletMinor::V1_36, &none).is_on("DefaultPodSysctls"));
    }
}
