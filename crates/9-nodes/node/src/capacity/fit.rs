//! Rules of what the kubelet starts with on a machine. They are those of Kubernetes 1.37.2; each names its place.

use basalt_node_config::amount::Quantity;
use serde_json::{Map, Value};

use super::{Capacity, float};
use crate::size::numbers;

/// Fields with reserved resources.
const RESERVED: [&str; 2] = ["systemReserved", "kubeReserved"];

/// Thresholds that the kubelet has where none is given, by the resource that they keep from pods.
const THRESHOLDS: [(&str, &str, &str); 2] = [
    ("memory", "memory.available", "100Mi"),
    ("ephemeral-storage", "nodefs.available", "10%"),
];

/// Option of `cpuManagerPolicyOptions` that counts sockets.
const ALIGN_BY_SOCKET: &str = "align-by-socket";

/// Most NUMA nodes with which the topology manager starts, unless an option says more.
const NUMA_NODES: usize = 8;

/// Fits a configuration to a machine, and returns what was left out, in words.
pub fn fit(configuration: &mut Map<String, Value>, capacity: &Capacity) -> Vec<String> {
    let mut told: Vec<String> = processors(configuration, capacity).into_iter().collect();
    for resource in ["cpu", "memory", "ephemeral-storage"] {
        told.extend(reservation(configuration, capacity, resource));
    }
    told.extend(static_processors(configuration));
    told.extend(sockets(configuration, capacity));
    told.extend(topology(configuration, capacity));
    told.extend(memory_by_node(configuration, capacity));
    told
}

/// Processors that are reserved by number and that there are: `getReservedCPUs` of `cmd/kubelet/app/server.go`.
fn processors(configuration: &mut Map<String, Value>, capacity: &Capacity) -> Option<String> {
    const FIELD: &str = "reservedSystemCPUs";
    let list = text(configuration, FIELD)?.to_owned();
    let missing: Vec<_> = numbers(&list)?.difference(&capacity.processors).copied().collect();
    if missing.is_empty() {
        return None;
    }
    let there = numbers(&list)?;
    let there: Vec<_> = there.intersection(&capacity.processors).map(u16::to_string).collect();
    match there.is_empty() {
        true => configuration.remove(FIELD),
        false => configuration.insert(FIELD.to_owned(), there.join(",").into()),
    };
    let (missing, all) = (missing.len(), capacity.processors.len());
    Some(format!(
        "{FIELD} is {list}, and this machine has {all} processors: the {missing} that it does not have are left out"
    ))
}

/// Reserved resources that are more than there is: `validateNodeAllocatable` of
/// `pkg/kubelet/cm/node_container_manager_linux.go`. The node keeps what follows from its size instead.
fn reservation(configuration: &mut Map<String, Value>, capacity: &Capacity, resource: &str) -> Option<String> {
    // By number, they take the place of all other reserved processors.
    if resource == "cpu" && text(configuration, "reservedSystemCPUs").is_some() {
        return None;
    }
    if resource == "ephemeral-storage"
        && configuration.get("localStorageCapacityIsolation") == Some(&Value::Bool(false))
    {
        return None;
    }
    let there = capacity.of(resource)?;
    let too_much = kept_back(configuration, resource, there);
    if !exceeds(too_much, there) {
        return None;
    }
    for field in RESERVED {
        if let Some(Value::Object(amounts)) = configuration.get_mut(field) {
            amounts.remove(resource);
        }
    }
    let kept = capacity.size.kept();
    let instead = match resource {
        "cpu" => Some(format!("{}m", kept.millicores)),
        "memory" => Some(format!("{}Mi", kept.mebibytes)),
        _ => None,
    };
    if let Some(amount) = &instead
        && let Value::Object(amounts) = configuration
            .entry("kubeReserved")
            .or_insert_with(|| Value::Object(Map::new()))
    {
        amounts.insert(resource.to_owned(), amount.as_str().into());
    }
    if exceeds(kept_back(configuration, resource, there), there)
        && let Some(Value::Object(thresholds)) = configuration.get_mut("evictionHard")
    {
        thresholds.retain(|signal, _| {
            !THRESHOLDS
                .iter()
                .any(|(of, known, _)| *of == resource && known == signal)
        });
    }
    Some(format!(
        "{} of {resource} is kept from pods by reservations and evictionHard, and this machine has {}: it keeps {} instead",
        shown(resource, too_much),
        shown(resource, there),
        shown(resource, kept_back(configuration, resource, there)),
    ))
}

/// The policy `static` without processors that are kept back: `NewManager` of `pkg/kubelet/cm/cpumanager/cpu_manager.go`.
fn static_processors(configuration: &mut Map<String, Value>) -> Option<String> {
    let is_static = text(configuration, "cpuManagerPolicy") == Some("static");
    let by_number = text(configuration, "reservedSystemCPUs").is_some();
    if !is_static || by_number || reserved(configuration, "cpu") > 0.0 {
        return None;
    }
    configuration.insert("cpuManagerPolicy".to_owned(), "none".into());
    configuration.remove("cpuManagerPolicyOptions");
    Some("cpuManagerPolicy is none, not static: no processor of this machine is kept back".to_owned())
}

/// Alignment by socket on a machine with more sockets than NUMA nodes: `ValidateStaticPolicyOptions` of
/// `pkg/kubelet/cm/cpumanager/policy_options.go`.
fn sockets(configuration: &mut Map<String, Value>, capacity: &Capacity) -> Option<String> {
    let (sockets, nodes) = (capacity.sockets?, capacity.numa_nodes.len());
    if !aligns_by_socket(configuration) || sockets <= nodes {
        return None;
    }
    let options = configuration.get_mut("cpuManagerPolicyOptions")?.as_object_mut()?;
    options.remove(ALIGN_BY_SOCKET);
    Some(format!(
        "{ALIGN_BY_SOCKET} of cpuManagerPolicyOptions is left out: this machine has {sockets} sockets, and {nodes} NUMA nodes"
    ))
}

/// Returns `true` if a configuration aligns processors by socket.
pub(super) fn aligns_by_socket(configuration: &Map<String, Value>) -> bool {
    let options = configuration.get("cpuManagerPolicyOptions");
    let option = options.and_then(|options| options.get(ALIGN_BY_SOCKET)?.as_str());
    option.is_some_and(|option| option.starts_with(['1', 't', 'T']))
}

/// The topology manager on a machine with many NUMA nodes: `NewManager` of
/// `pkg/kubelet/cm/topologymanager/topology_manager.go`.
fn topology(configuration: &mut Map<String, Value>, capacity: &Capacity) -> Option<String> {
    const FIELD: &str = "topologyManagerPolicy";
    let policy = text(configuration, FIELD)
        .filter(|policy| *policy != "none")?
        .to_owned();
    let options = configuration.get("topologyManagerPolicyOptions");
    let allowed = options.and_then(|options| options.get("max-allowable-numa-nodes")?.as_str()?.parse().ok());
    let (allowed, nodes) = (allowed.unwrap_or(NUMA_NODES), capacity.numa_nodes.len());
    if nodes <= allowed {
        return None;
    }
    configuration.insert(FIELD.to_owned(), "none".into());
    Some(format!(
        "{FIELD} is none, not {policy}: this machine has {nodes} NUMA nodes, and {allowed} are allowed \
         (max-allowable-numa-nodes of topologyManagerPolicyOptions)"
    ))
}

/// Memory by NUMA node that is not exactly what is reserved otherwise, or of a node that there is not:
/// `getSystemReservedMemory` of `pkg/kubelet/cm/memorymanager/memory_manager.go`.
fn memory_by_node(configuration: &mut Map<String, Value>, capacity: &Capacity) -> Option<String> {
    text(configuration, "memoryManagerPolicy").filter(|policy| *policy == "Static")?;
    let list = configuration.get("reservedMemory").and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    let is_there = |entry: &Value| {
        let node = entry.get("numaNode").and_then(Value::as_u64);
        node.and_then(|node| u16::try_from(node).ok())
            .is_some_and(|node| capacity.numa_nodes.contains(&node))
    };
    let limits = || {
        let limits = list.iter().filter_map(|entry| entry.get("limits")?.as_object());
        limits.flatten()
    };
    let of_memory = limits().filter(|(resource, _)| *resource == "memory");
    let by_node = of_memory.fold(0.0, |sum, (_, value)| sum + amount(value));
    let there = float(capacity.size.memory);
    let otherwise = reserved(configuration, "memory") + threshold(configuration, "memory", there);
    let why = if !list.iter().all(is_there) {
        "reservedMemory names a NUMA node that this machine does not have".to_owned()
    } else if limits().any(|(resource, _)| resource != "memory") || (by_node - otherwise).abs() > 0.0 {
        let (by_node, otherwise) = (shown("memory", by_node), shown("memory", otherwise));
        format!("reservedMemory is {by_node}, and {otherwise} is kept from pods on this machine")
    } else {
        return None;
    };
    configuration.insert("memoryManagerPolicy".to_owned(), "None".into());
    configuration.remove("reservedMemory");
    Some(format!("memoryManagerPolicy is None, not Static: {why}"))
}

/// A text that is not empty.
fn text<'c>(configuration: &'c Map<String, Value>, field: &str) -> Option<&'c str> {
    configuration.get(field)?.as_str().filter(|text| !text.is_empty())
}

/// Amount of a resource that is kept from pods, of so much that there is.
fn kept_back(configuration: &Map<String, Value>, resource: &str, there: f64) -> f64 {
    reserved(configuration, resource) + threshold(configuration, resource, there)
}

/// Returns `true` if an amount is more than there is. Sums of thousandths are not exact.
fn exceeds(amount: f64, there: f64) -> bool {
    amount - there > 1e-6
}

/// Amount of a resource that is reserved under either name.
fn reserved(configuration: &Map<String, Value>, resource: &str) -> f64 {
    let fields = RESERVED
        .iter()
        .filter_map(|field| configuration.get(*field)?.get(resource));
    // `sum` of nothing is -0.0.
    fields.map(amount).fold(0.0, |sum, amount| sum + amount)
}

/// Amount of a resource that `evictionHard` keeps from pods (`hardEvictionReservation` of `pkg/kubelet/cm/helpers.go`), of so
/// much that there is.
fn threshold(configuration: &Map<String, Value>, resource: &str, there: f64) -> f64 {
    let Some(&(_, signal, default)) = THRESHOLDS.iter().find(|(of, ..)| *of == resource) else {
        return 0.0;
    };
    let given = configuration.get("evictionHard").filter(|given| !given.is_null());
    let has_default = given.is_none() || configuration.get("mergeDefaultEvictionSettings") == Some(&Value::Bool(true));
    let value = given.and_then(|given| given.get(signal)?.as_str());
    match value.or(has_default.then_some(default)) {
        // Those that switch it off.
        None | Some("0%" | "100%") => 0.0,
        Some(text) => match text.strip_suffix('%').map(str::parse::<f32>) {
            Some(percent) => (there * f64::from(percent.unwrap_or_default() / 100.0)).floor(),
            None => text.parse::<Quantity>().map_or(0.0, |amount| amount.amount()),
        },
    }
}

/// Amount of a resource; 0 for what is none.
fn amount(value: &Value) -> f64 {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return 0.0,
    };
    text.parse::<Quantity>().map_or(0.0, |amount| amount.amount())
}

/// An amount of a resource for people.
fn shown(resource: &str, amount: f64) -> String {
    match resource {
        "cpu" => format!("{:.0}m", amount * 1000.0),
        _ => format!("{:.0} MiB", amount / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::size::Size;

    const GIB: u64 = 1 << 30;

    fn machine() -> Capacity {
        Capacity {
            size: Size {
                processors: 4,
                memory: 8 * GIB,
            },
            processors: (0..4).collect(),
            sockets: Some(2),
            numa_nodes: BTreeSet::from([0]),
            disk: Some(20 * GIB),
        }
    }

    /// A configuration after it was fitted to a machine, and what was told.
    fn fitted(configuration: Value, capacity: &Capacity) -> (Value, Vec<String>) {
        let Value::Object(mut configuration) = configuration else {
            panic!("not an object")
        };
        let told = fit(&mut configuration, capacity);
        // Once it fits, nothing is left to be done.
        assert_eq!(fit(&mut configuration.clone(), capacity), [] as [String; 0]);
        (Value::Object(configuration), told)
    }

    #[test]
    fn what_fits_is_left_alone() {
        for configuration in [
            json!({}),
            json!({
                "reservedSystemCPUs": "0,2-3", "cpuManagerPolicy": "static", "topologyManagerPolicy": "single-numa-node",
                "systemReserved": { "memory": "1Gi", "ephemeral-storage": "1Gi" }, "kubeReserved": { "memory": "1Gi" },
                "evictionHard": { "memory.available": "5%", "nodefs.available": "10Gi" },
            }),
            json!({
                "memoryManagerPolicy": "Static", "mergeDefaultEvictionSettings": true, "kubeReserved": { "memory": "1Gi" },
                "reservedMemory": [{ "numaNode": 0, "limits": { "memory": "1124Mi" } }],
            }),
            json!({ "kubeReserved": { "cpu": "4", "memory": "8092Mi" }, "evictionHard": { "memory.available": "0%" } }),
            // Not by the kubelet, which the disk is not of in this case.
            json!({ "systemReserved": { "ephemeral-storage": "1Ti" }, "localStorageCapacityIsolation": false }),
        ] {
            assert_eq!(fitted(configuration.clone(), &machine()), (configuration, Vec::new()));
        }
    }

    #[test]
    fn processors_that_are_not_there_are_left_out() {
        let (found, told) = fitted(json!({ "reservedSystemCPUs": "2-5,8" }), &machine());
        assert_eq!(found, json!({ "reservedSystemCPUs": "2,3" }));
        assert_eq!(
            told,
            [
                "reservedSystemCPUs is 2-5,8, and this machine has 4 processors: the 3 that it does not have are left out"
            ]
        );
        let none =
            json!({ "reservedSystemCPUs": "64-71", "cpuManagerPolicy": "static", "kubeReserved": { "cpu": "0" } });
        let (found, told) = fitted(none, &machine());
        assert_eq!(
            found,
            json!({ "cpuManagerPolicy": "none", "kubeReserved": { "cpu": "0" } })
        );
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn more_than_the_machine_has_is_not_reserved() {
        let much = json!({
            "systemReserved": { "cpu": "3", "pid": "1000" }, "kubeReserved": { "cpu": "1001m", "memory": "16Gi" },
        });
        let (found, told) = fitted(much, &machine());
        let kept = json!({ "systemReserved": { "pid": "1000" }, "kubeReserved": { "cpu": "80m", "memory": "1843Mi" } });
        assert_eq!(found, kept);
        assert_eq!(
            told,
            [
                "4001m of cpu is kept from pods by reservations and evictionHard, and this machine has 4000m: it keeps 80m instead",
                "16484 MiB of memory is kept from pods by reservations and evictionHard, and this machine has 8192 MiB: it \
                 keeps 1943 MiB instead",
            ]
        );
        // Where a threshold is too much by itself, the kubelet's own takes its place.
        let high = json!({
            "mergeDefaultEvictionSettings": true,
            "evictionHard": { "memory.available": "16Gi", "nodefs.available": "1Ti", "pid.available": "10%" },
        });
        let (found, told) = fitted(high, &machine());
        assert_eq!(found["evictionHard"], json!({ "pid.available": "10%" }));
        assert_eq!(told.len(), 2, "{told:?}");
        let (found, _) = fitted(json!({ "kubeReserved": { "ephemeral-storage": "19Gi" } }), &machine());
        assert_eq!(found, json!({ "kubeReserved": {} }));
        // A disk of which nothing is known is not judged.
        let unknown = Capacity {
            disk: None,
            ..machine()
        };
        let reserved = json!({ "kubeReserved": { "ephemeral-storage": "19Ti" } });
        assert_eq!(fitted(reserved.clone(), &unknown), (reserved, Vec::new()));
    }

    #[test]
    fn policies_that_need_another_machine_are_off() {
        let by_node = |node: u64, memory: &str, percent: &str| {
            json!({
                "memoryManagerPolicy": "Static", "kubeReserved": { "memory": "1Gi" },
                "evictionHard": { "memory.available": percent },
                "reservedMemory": [{ "numaNode": node, "limits": { "memory": memory } }],
            })
        };
        for (node, memory, percent) in [(1, "1Gi", "0%"), (0, "1Gi", "1%"), (0, "2Gi", "0%")] {
            let (found, told) = fitted(by_node(node, memory, percent), &machine());
            assert_eq!(
                (&found["memoryManagerPolicy"], found.get("reservedMemory")),
                (&json!("None"), None)
            );
            assert_eq!(told.len(), 1, "{told:?}");
        }
        // 12.5 % of 8 GiB.
        let exact = by_node(0, "2Gi", "12.5%");
        assert_eq!(fitted(exact.clone(), &machine()), (exact, Vec::new()));
        let sockets = json!({ "cpuManagerPolicyOptions": { "align-by-socket": "true", "full-pcpus-only": "true" } });
        let (found, _) = fitted(sockets, &machine());
        assert_eq!(
            found,
            json!({ "cpuManagerPolicyOptions": { "full-pcpus-only": "true" } })
        );
        let many = Capacity {
            numa_nodes: (0..16).collect(),
            ..machine()
        };
        let (found, _) = fitted(json!({ "topologyManagerPolicy": "restricted" }), &many);
        assert_eq!(found, json!({ "topologyManagerPolicy": "none" }));
        let more = json!({
            "topologyManagerPolicy": "restricted", "topologyManagerPolicyOptions": { "max-allowable-numa-nodes": "16" },
        });
        assert_eq!(fitted(more.clone(), &many), (more, Vec::new()));
    }

    proptest! {
        /// Whatever is reserved: what is left is less than the machine has.
        #[test]
        fn what_is_left_fits(
            cpu in 0_u64..8000, memory in 0_u64..16384, system in 0_u64..16384, percent in 0_u64..=100, disk in 0_u64..40,
        ) {
            let configuration = json!({
                "kubeReserved": { "cpu": format!("{cpu}m"), "memory": format!("{memory}Mi"), "ephemeral-storage": format!("{disk}Gi") },
                "systemReserved": { "memory": format!("{system}Mi") },
                "evictionHard": { "memory.available": format!("{percent}%"), "nodefs.available": format!("{percent}%") },
            });
            let (found, _) = fitted(configuration, &machine());
            let found = found.as_object().unwrap();
            for resource in ["cpu", "memory", "ephemeral-storage"] {
                let there = machine().of(resource).unwrap();
                prop_assert!(!exceeds(kept_back(found, resource, there), there), "{found:?}");
            }
        }

        #[test]
        fn nothing_panics(list in any::<String>(), number: u64) {
            let _ = fitted(json!({ "reservedSystemCPUs": list, "evictionHard": number }), &machine());
            let exact = float(number >> 11) - float((number >> 11) + 1);
            prop_assert!((exact + 1.0).abs() < f64::EPSILON);
        }
    }
}
