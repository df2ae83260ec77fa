//! Memory that is reserved by NUMA node.
//!
//! `validateReservedMemoryConfiguration` of `pkg/kubelet/apis/config/validation/validation_reserved_memory.go` of
//! Kubernetes 1.37.2 checks it by itself. With the policy `Static`, `getSystemReservedMemory` of
//! `pkg/kubelet/cm/memorymanager/memory_manager.go` wants it to be exactly what is reserved otherwise.

use std::collections::HashSet;

use serde_json::Value;

use super::extra_config::quantity;
use crate::amount::{Quantity, Threshold};
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

const NO_START: &str = "the kubelet would not start";

/// Memory that the kubelet keeps from pods as long as no threshold is given.
const EVICTION: &str = "100Mi";

/// Checks the kubelet part, whose path is given.
pub(super) fn check(finder: &mut Finder<'_>, path: &Path, kubelet: &raw::Kubelet) {
    let place = path.key("extraConfig");
    let fields = &kubelet.extra_config;
    let is_static = fields.get("memoryManagerPolicy").and_then(Value::as_str) == Some("Static");
    let reserved = fields.get("reservedMemory");
    let list = reserved.and_then(Value::as_array);
    if let Some(list) = list {
        limits(finder, &place.key("reservedMemory"), list, is_static);
    }
    // What is no list is told already.
    if !is_static || reserved.is_some() != list.is_some() {
        return;
    }
    if let Some((message, help)) = unequal(kubelet, list.map(Vec::as_slice).unwrap_or_default()) {
        let finding = Finding::error(message, NO_START);
        let missing = [
            path.key("systemReserved").key("memory"),
            path.key("kubeReserved").key("memory"),
            path.key("evictionHard").key("memory.available"),
        ];
        finder.say_missing(&place.key("memoryManagerPolicy"), &missing, finding.with_help(help));
    }
}

/// Limits of the nodes, each by itself.
fn limits(finder: &mut Finder<'_>, path: &Path, list: &[Value], is_static: bool) {
    let mut seen = HashSet::new();
    for (index, entry) in list.iter().enumerate() {
        let node = entry.get("numaNode").and_then(Value::as_i64).unwrap_or_default();
        let limits = entry.get("limits").and_then(Value::as_object);
        for (resource, amount) in limits.into_iter().flatten() {
            let place = path.index(index).key("limits").key(resource);
            let huge = resource.starts_with("hugepages-");
            let amount = quantity(amount);
            let (message, help) = if resource != "memory" && !huge {
                let message = format!("`{resource}` cannot be reserved by NUMA node");
                (message, "write `memory`, or pages such as `hugepages-2Mi`")
            } else if !seen.insert((node, resource)) {
                let message = format!("`{resource}` of NUMA node {node} is there twice");
                (message, "keep one of them")
            } else if amount.as_ref().is_some_and(|amount| amount.amount() <= 0.0) {
                let message = format!("`{resource}` of NUMA node {node} is nothing");
                (message, "write more than 0, or remove this")
            } else if is_static && huge {
                let message =
                    format!("`{resource}` is not reserved otherwise, as it has to be for the policy `Static`");
                (message, "remove this line")
            } else if is_static && amount.is_some_and(|amount| amount.as_i64().is_none()) {
                let message = format!("`{resource}` is not a number of bytes that the kubelet takes");
                (
                    message,
                    "write a whole number, with a unit up to `Ti`: `1536Mi` instead of `1.5Gi`",
                )
            } else {
                continue;
            };
            finder.say(&place, Finding::error(message, NO_START).with_help(help));
        }
    }
}

/// Difference between what is reserved by NUMA node and what is reserved otherwise, with help.
fn unequal(kubelet: &raw::Kubelet, list: &[Value]) -> Option<(String, &'static str)> {
    if list.is_empty() {
        let help = "add `reservedMemory: [{ numaNode: 0, limits: { memory: 1124Mi } }]`, say";
        return Some(("the policy `Static` needs `reservedMemory`".to_owned(), help));
    }
    let reserves = [&kubelet.system_reserved, &kubelet.kube_reserved];
    let given: Vec<&String> = reserves
        .into_iter()
        .flatten()
        .filter_map(|reserved| reserved.memory.as_ref())
        .collect();
    let of_machine = "`reservedMemory` has to equal what is reserved otherwise, which depends on the machine";
    if given.is_empty() {
        let help = "add `memory` to `kubeReserved`, so that it is the same on every machine";
        return Some((of_machine.to_owned(), help));
    }
    let merged = kubelet.extra_config.get("mergeDefaultEvictionSettings") != Some(&Value::Bool(false));
    let eviction = match kubelet.eviction_hard.get("memory.available") {
        Some(threshold) => threshold.as_str(),
        // The kubelet's thresholds are left out once one is given, unless they are merged.
        None if merged || kubelet.eviction_hard.is_empty() => EVICTION,
        None => "0%",
    };
    let eviction = match (eviction, eviction.parse::<Threshold>()) {
        // Those that switch it off, as `parseThresholdStatement` of `pkg/kubelet/eviction/helpers.go` reads them.
        ("0%" | "100%", _) => "0",
        (text, Ok(_)) if text.ends_with('%') => {
            let help = "write `memory.available` of `evictionHard` as an amount: `100Mi`";
            return Some((of_machine.to_owned(), help));
        }
        (text, _) => text,
    };
    let by_node = list
        .iter()
        .filter_map(|entry| entry.pointer("/limits/memory").map(quantity));
    let otherwise = given.into_iter().map(String::as_str).chain([eviction]);
    // What is no amount is said elsewhere.
    let by_node = sum(by_node)?;
    let otherwise = sum(otherwise.map(|text| text.parse().ok()))?;
    let message = format!(
        "`reservedMemory` is {}, and {} are reserved otherwise",
        mebibytes(by_node),
        mebibytes(otherwise)
    );
    let help = "make it the sum of `systemReserved`, `kubeReserved` and `memory.available` of `evictionHard`";
    ((by_node - otherwise).abs() > 0.0).then_some((message, help))
}

/// The sum of amounts, if all of them are some.
fn sum(amounts: impl Iterator<Item = Option<Quantity>>) -> Option<f64> {
    amounts.map(|amount| amount.map(|amount| amount.amount())).sum()
}

fn mebibytes(bytes: f64) -> String {
    let mebi = bytes / f64::from(1 << 20);
    if mebi.fract().abs() > 0.0 {
        return format!("{bytes} bytes");
    }
    format!("{mebi:.0}Mi")
}
