//! The memory manager with the policy `Static`: the kubelet starts only when the memory that is reserved by NUMA node
//! is exactly what is reserved otherwise.

use serde_json::Value;

use crate::amount::Quantity;
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

/// Memory that the kubelet keeps from pods as long as no threshold is given.
const EVICTION: &str = "100Mi";

pub(super) fn check(finder: &mut Finder<'_>, path: &Path, kubelet: &raw::Kubelet) {
    let fields = &kubelet.extra_config;
    if fields.get("memoryManagerPolicy").and_then(Value::as_str) != Some("Static") {
        return;
    }
    let mut say = |message: String, help: &str| {
        let finding = Finding::error(message, "the kubelet would not start");
        finder.say(&path.key("memoryManagerPolicy"), finding.with_help(help));
    };
    let Some(list) = fields.get("reservedMemory").and_then(Value::as_array) else {
        say(
            "the policy `Static` needs `reservedMemory`".to_owned(),
            "add `reservedMemory: [{ numaNode: 0, limits: { memory: 1124Mi } }]`, say",
        );
        return;
    };
    let reserves = [&kubelet.system_reserved, &kubelet.kube_reserved];
    let given: Vec<&String> = reserves
        .into_iter()
        .flatten()
        .filter_map(|reserved| reserved.memory.as_ref())
        .collect();
    if given.is_empty() {
        say(
            "`reservedMemory` has to equal what is reserved otherwise, which depends on the machine".to_owned(),
            "add `memory` to `kubeReserved`, so that it is the same on every machine",
        );
        return;
    }
    let by_node = list
        .iter()
        .filter_map(|entry| entry.pointer("/limits/memory").and_then(Value::as_str));
    let eviction = kubelet
        .eviction_hard
        .get("memory.available")
        .map_or(EVICTION, String::as_str);
    let otherwise = given.into_iter().map(String::as_str).chain([eviction]);
    // A percentage, or what is no amount: that is said elsewhere, or known to the kubelet only.
    let (Some(by_node), Some(otherwise)) = (sum(by_node), sum(otherwise)) else {
        return;
    };
    if (by_node - otherwise).abs() >= 1.0 {
        say(
            format!(
                "`reservedMemory` is {}, and {} are reserved otherwise",
                mebibytes(by_node),
                mebibytes(otherwise)
            ),
            "make it the sum of `systemReserved`, `kubeReserved` and `memory.available` of `evictionHard`",
        );
    }
}

/// The sum of amounts, if all of them are some.
fn sum<'t>(amounts: impl Iterator<Item = &'t str>) -> Option<f64> {
    amounts
        .map(|text| text.parse::<Quantity>().ok().map(|quantity| quantity.amount()))
        .sum()
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.0}Mi", bytes / f64::from(1 << 20))
}
