//! Sections of a NodeConfig that do what a host's settings do.

use std::collections::{BTreeMap, BTreeSet};

use basalt_inventory::{HostBond, HostInterface, HostInventory, HostProxy, HostRegistry, HostRoute, HostSysctl};
use basalt_node_config::raw;
use basalt_node_config::sysctl::SysctlName;
use serde_json::{Map, Value};

use crate::NodeFacts;

/// Fields of KubeletConfiguration that a NodeConfig has under the same names.
pub(super) const KUBELET_FIELDS: [&str; 21] = [
    "allowedUnsafeSysctls",
    "containerLogMaxFiles",
    "containerLogMaxSize",
    "cpuManagerPolicy",
    "evictionHard",
    "evictionSoft",
    "evictionSoftGracePeriod",
    "failSwapOn",
    "featureGates",
    "imageGCHighThresholdPercent",
    "imageGCLowThresholdPercent",
    "kubeReserved",
    "maxParallelImagePulls",
    "maxPods",
    "memorySwap",
    "podPidsLimit",
    "reservedSystemCPUs",
    "shutdownGracePeriod",
    "shutdownGracePeriodCriticalPods",
    "systemReserved",
    "topologyManagerPolicy",
];

/// Flags of the kubelet with the fields that they set.
const KUBELET_FLAGS: [(&str, &str); 14] = [
    ("allowed-unsafe-sysctls", "allowedUnsafeSysctls"),
    ("cloud-provider", "cloudProvider"),
    ("container-log-max-files", "containerLogMaxFiles"),
    ("container-log-max-size", "containerLogMaxSize"),
    ("cpu-manager-policy", "cpuManagerPolicy"),
    ("eviction-hard", "evictionHard"),
    ("feature-gates", "featureGates"),
    ("kube-reserved", "kubeReserved"),
    ("max-pods", "maxPods"),
    ("node-ip", "nodeIP"),
    ("provider-id", "providerID"),
    ("system-reserved", "systemReserved"),
    ("topology-manager-policy", "topologyManagerPolicy"),
    ("v", "verbosity"),
];

/// Kernel settings of files that the node does not have, as far as a NodeConfig may have them, and huge pages of 2 MiB.
pub(super) fn sysctls(host: &HostInventory, node: &NodeFacts) -> BTreeMap<String, raw::SysctlValue> {
    let wanted = host.sysctls.iter().filter(|setting| is_wanted(setting, node));
    let wanted = wanted.filter_map(|setting| {
        let value = setting.configured.as_deref()?;
        refusal(&setting.key, value)
            .is_none()
            .then(|| (setting.key.clone(), sysctl_value(value)))
    });
    let mut settings: BTreeMap<String, raw::SysctlValue> = wanted.collect();
    let key = "vm.nr_hugepages";
    let pool = host.kernel.huge_pages.iter().find(|pool| pool.size_kib == 2048);
    if let Some(pages) = pool.and_then(|pool| i64::try_from(pool.pages).ok())
        && !node.sysctls.contains_key(key)
    {
        settings
            .entry(key.to_owned())
            .or_insert(raw::SysctlValue::Number(pages));
    }
    settings
}

/// Returns `true` for a setting of a file that no package brought and that the node does not have alike.
pub(super) fn is_wanted(setting: &HostSysctl, node: &NodeFacts) -> bool {
    let Some(value) = &setting.configured else {
        return false;
    };
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let is_alike = node
        .sysctls
        .get(&setting.key)
        .is_some_and(|other| words(other) == words(value));
    !setting.is_of_package && !is_alike
}

/// Reason for which a NodeConfig may not have a setting.
pub(super) fn refusal(key: &str, value: &str) -> Option<String> {
    let name = match key.parse::<SysctlName>() {
        Ok(name) => name,
        Err(finding) => return Some(finding.message),
    };
    let harm = name.harm(value).map(str::to_owned);
    harm.or_else(|| name.check(value).err().map(|finding| finding.message))
}

fn sysctl_value(value: &str) -> raw::SysctlValue {
    match value.parse() {
        Ok(number) => raw::SysctlValue::Number(number),
        Err(_) => raw::SysctlValue::Text(value.to_owned()),
    }
}

/// Network, unless all that is configured is DHCP.
pub(super) fn network(host: &HostInventory) -> Option<raw::Network> {
    let network = &host.network;
    let members: BTreeSet<&str> = network
        .bonds
        .iter()
        .flat_map(|bond| &bond.members)
        .map(String::as_str)
        .collect();
    let links: BTreeSet<&str> = network.vlans.iter().map(|vlan| vlan.link.as_str()).collect();
    let is_said = |interface: &&HostInterface| {
        let says = !interface.addresses.is_empty() || interface.dhcp || !interface.routes.is_empty();
        interface.is_configured && says && !members.contains(interface.name.as_str())
    };
    let configured: Vec<&HostInterface> = network.interfaces.iter().filter(is_said).collect();
    let is_plain = |interface: &&HostInterface| {
        interface.addresses.is_empty()
            && interface.routes.is_empty()
            && interface.name_servers.is_empty()
            && !has_mtu(interface)
    };
    let dns = host_dns(host, &configured);
    if configured.iter().all(is_plain) && network.bonds.is_empty() && network.vlans.is_empty() && dns.is_none() {
        return None;
    }
    let made: BTreeSet<&str> = network.bonds.iter().map(|bond| bond.name.as_str()).collect();
    let made: BTreeSet<&str> = made
        .into_iter()
        .chain(network.vlans.iter().map(|vlan| vlan.name.as_str()))
        .collect();
    Some(raw::Network {
        interfaces: configured
            .iter()
            .map(|found| interface(found, made.contains(found.name.as_str()), &links))
            .collect(),
        bonds: network
            .bonds
            .iter()
            .filter(|bond| !bond.members.is_empty())
            .map(bond)
            .collect(),
        vlans: network
            .vlans
            .iter()
            .map(|vlan| raw::Vlan {
                name: vlan.name.clone(),
                id: u32::try_from(vlan.id).unwrap_or_default(),
                link: vlan.link.clone(),
            })
            .collect(),
        dns,
    })
}

/// Returns `true` for an MTU that is not Ethernet's.
fn has_mtu(interface: &HostInterface) -> bool {
    interface
        .mtu
        .is_some_and(|mtu| mtu != 1500 && (576..=65535).contains(&mtu))
}

fn host_dns(host: &HostInventory, interfaces: &[&HostInterface]) -> Option<raw::HostDns> {
    let resolver = &host.network.resolver;
    let is_address = |text: &&String| text.parse::<std::net::IpAddr>().is_ok();
    let mut servers: Vec<String> = resolver.configured.iter().filter(is_address).cloned().collect();
    let mut search: Vec<String> = resolver
        .configured
        .iter()
        .filter(|text| !is_address(text))
        .cloned()
        .collect();
    for interface in interfaces {
        servers.extend(interface.name_servers.iter().cloned());
        search.extend(interface.search.iter().cloned());
    }
    // Without a link, somebody wrote the file.
    if resolver.link.is_none() {
        let own = resolver.servers.iter().filter(|server| !server.starts_with("127."));
        servers.extend(own.cloned());
        if !servers.is_empty() {
            search.extend(resolver.search.iter().cloned());
        }
    }
    let servers = without_repeats(servers);
    let search = without_repeats(
        search
            .into_iter()
            .map(|domain| domain.trim_start_matches('~').to_owned())
            .collect(),
    );
    (!servers.is_empty()).then_some(raw::HostDns { servers, search })
}

fn without_repeats(list: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    list.into_iter()
        .filter(|text| !text.is_empty() && seen.insert(text.clone()))
        .collect()
}

fn interface(found: &HostInterface, is_made: bool, links: &BTreeSet<&str>) -> raw::Interface {
    // Names of hardware may be others on another kernel: its address stays. Bonds and VLANs have none of their own.
    let mac = found
        .mac
        .clone()
        .filter(|_| !is_made && !found.name.contains('*') && !links.contains(found.name.as_str()));
    let is_default = |route: &&HostRoute| route.to == "default" && route.table.is_none();
    let default = found.routes.iter().find(is_default);
    let others = found
        .routes
        .iter()
        .filter(|route| route.table.is_none() && Some(*route) != default);
    let number = |number: u64| u32::try_from(number).ok();
    raw::Interface {
        name: mac.is_none().then(|| found.name.clone()),
        mac,
        unmanaged: false,
        optional: false,
        dhcp: found.dhcp.then_some(true),
        addresses: found.addresses.clone(),
        gateway: default.and_then(|route| route.via.clone()),
        gateway_on_link: default.is_some_and(|route| route.on_link),
        metric: default.and_then(|route| route.metric).and_then(number),
        routes: others
            .filter_map(|route| {
                let via = route.via.clone()?;
                let to = match (route.to.as_str(), via.contains(':')) {
                    ("default", true) => "::/0".to_owned(),
                    ("default", false) => "0.0.0.0/0".to_owned(),
                    (to, _) => to.to_owned(),
                };
                Some(raw::Route {
                    to,
                    via,
                    on_link: route.on_link,
                    metric: route.metric.and_then(number),
                })
            })
            .collect(),
        mtu: found.mtu.filter(|_| has_mtu(found)).and_then(number),
    }
}

fn bond(found: &HostBond) -> raw::Bond {
    // The words are those of the kernel, for netplan, ifupdown and a NodeConfig alike.
    let word = |text: &Option<String>| text.clone().map(Value::String);
    raw::Bond {
        name: found.name.clone(),
        members: found.members.clone(),
        mode: word(&found.mode).and_then(|mode| serde_json::from_value(mode).ok()),
        lacp_rate: word(&found.lacp_rate).and_then(|rate| serde_json::from_value(rate).ok()),
        transmit_hash_policy: word(&found.hash_policy).and_then(|policy| serde_json::from_value(policy).ok()),
    }
}

/// Proxies that count for pulls, the last one of each variable.
pub(super) fn proxies(host: &HostInventory) -> impl Iterator<Item = &HostProxy> {
    host.proxies.iter().filter(|proxy| !proxy.file.starts_with("/etc/apt/"))
}

/// Proxy, without name and password.
pub(super) fn proxy(host: &HostInventory) -> Option<raw::Proxy> {
    let value = |variable: &str| {
        let found = proxies(host).filter(|proxy| proxy.variable == variable).last();
        found.map(|proxy| proxy.value.clone())
    };
    let with_scheme = |address: String| match address.contains("://") {
        true => address.trim_end_matches('/').to_owned(),
        false => format!("http://{}", address.trim_end_matches('/')),
    };
    let (http, https) = (
        value("http_proxy").map(with_scheme),
        value("https_proxy").map(with_scheme),
    );
    if http.is_none() && https.is_none() {
        return None;
    }
    let direct = value("no_proxy").unwrap_or_default();
    let direct = direct
        .split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    Some(raw::Proxy {
        https: https.filter(|https| Some(https) != http.as_ref()),
        http,
        no_proxy: direct.map(str::to_owned).collect(),
    })
}

/// Registries with mirrors, without credentials.
pub(super) fn registries(host: &HostInventory) -> Vec<raw::Registry> {
    let mut found: BTreeMap<&str, raw::Registry> = BTreeMap::new();
    let settings = host
        .registries
        .iter()
        .filter(|registry| !registry.host.starts_with('('));
    for registry in settings.filter(|registry| !registry.mirrors.is_empty() || registry.is_insecure) {
        let made = registry_of(registry);
        found.entry(&registry.host).or_insert(made);
    }
    found.into_values().collect()
}

fn registry_of(found: &HostRegistry) -> raw::Registry {
    // A hosts.toml that names the registry itself among the mirrors says how to speak to it.
    let own =
        |url: &str| [format!("https://{}", found.host), format!("http://{}", found.host)].contains(&url.to_owned());
    let own_plain = found
        .mirrors
        .iter()
        .any(|mirror| mirror.url == format!("http://{}", found.host));
    let mirrors = found
        .mirrors
        .iter()
        .filter(|mirror| !own(&mirror.url))
        .map(|mirror| raw::Mirror {
            url: mirror.url.clone(),
            ca: None,
            skip_verify: mirror.skip_verify,
            client_certificate: None,
            auth: None,
            override_path: mirror.override_path,
        });
    let mirrors: Vec<raw::Mirror> = mirrors.collect();
    raw::Registry {
        host: found.host.clone(),
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
        mirrors_only: false,
        plain_http: own_plain,
        ca: None,
        skip_verify: found.is_insecure && !own_plain && found.host != "*",
        client_certificate: None,
        auth: None,
    }
}

/// Time servers.
pub(super) fn time(host: &HostInventory) -> Option<raw::Time> {
    // Those that a distribution's packages name.
    let is_own = |server: &&String| {
        !["debian.pool.ntp.org", "ubuntu.pool.ntp.org", "ntp.ubuntu.com"]
            .iter()
            .any(|pool| server.ends_with(pool))
    };
    let servers: Vec<String> = host.time.servers.iter().filter(is_own).cloned().collect();
    (!servers.is_empty()).then_some(raw::Time { servers })
}

/// Settings of the kubelet by flags, which are the node's own.
pub(super) fn kubelet_of_flags(host: &HostInventory) -> Map<String, Value> {
    let mut fields = Map::new();
    for (flag, field) in KUBELET_FLAGS {
        let Some(found) = host.kubelet.flag(flag) else { continue };
        let text = found.value.as_str();
        let value = match field {
            "maxPods" | "verbosity" | "containerLogMaxFiles" => text.parse::<u64>().map(Value::from).ok(),
            "allowedUnsafeSysctls" => Some(text.split(',').map(|entry| Value::from(entry.trim())).collect()),
            "evictionHard" => Some(pairs(text, '<')),
            "kubeReserved" | "systemReserved" => Some(reserved(&pairs(text, '='))),
            "featureGates" => Some(gates(text)),
            // The node does not know other clouds than by the controller in the cluster.
            "cloudProvider" => (text == "external").then(|| Value::from(text)),
            _ => Some(Value::from(text)),
        };
        keep(&mut fields, field, value);
    }
    fields
}

/// Settings of the kubelet by its configuration: those that a NodeConfig has under the same names, without zeros, which kubeadm
/// writes for defaults.
pub(super) fn kubelet_of_config(host: &HostInventory) -> Map<String, Value> {
    let mut fields = Map::new();
    for field in KUBELET_FIELDS {
        let Some(value) = host.kubelet.field(field) else {
            continue;
        };
        let is_nothing = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty() || text == "0s" || text == "none",
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::Array(list) => list.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            Value::Bool(_) => field == "failSwapOn" && *value == Value::Bool(true),
        };
        if is_nothing {
            continue;
        }
        let value = match field {
            "kubeReserved" | "systemReserved" => reserved(value),
            "evictionHard" | "evictionSoft" | "evictionSoftGracePeriod" => texts(value),
            _ => value.clone(),
        };
        keep(&mut fields, field, Some(value));
    }
    fields
}

/// Keeps a field if a NodeConfig can have it.
fn keep(fields: &mut Map<String, Value>, field: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    let alone = Value::Object([(field.to_owned(), value.clone())].into_iter().collect());
    if serde_json::from_value::<raw::Kubelet>(alone).is_ok() {
        fields.insert(field.to_owned(), value);
    }
}

/// Object of `a=1,b=2`.
fn pairs(text: &str, sign: char) -> Value {
    let pairs = text.split(',').filter_map(|pair| pair.split_once(sign));
    Value::Object(
        pairs
            .map(|(key, value)| (key.trim().to_owned(), Value::from(value.trim())))
            .collect(),
    )
}

/// Reserved resources under the names of a NodeConfig.
fn reserved(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    let entries = entries.map(|(key, value)| match (key.as_str(), value.as_str()) {
        ("ephemeral-storage", _) => ("ephemeralStorage".to_owned(), value.clone()),
        ("pid", Some(text)) => ("pid".to_owned(), text.parse::<u64>().map_or(value.clone(), Value::from)),
        _ => (key.clone(), value.clone()),
    });
    Value::Object(entries.collect())
}

/// Object whose values are texts, as thresholds are.
fn texts(value: &Value) -> Value {
    let entries = value.as_object().into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Value::Object(
        entries
            .map(|(key, value)| (key.clone(), Value::String(text(value))))
            .collect(),
    )
}

fn gates(text: &str) -> Value {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let pairs =
        pairs.filter_map(|(key, value)| Some((key.trim().to_owned(), Value::from(value.trim().parse::<bool>().ok()?))));
    Value::Object(pairs.collect())
}

/// Flags that no field of a NodeConfig stands for, without those that the agent sets itself.
pub(super) fn unknown_flags(host: &HostInventory) -> Vec<&basalt_inventory::HostFlag> {
    const OWN: [&str; 15] = [
        "bootstrap-kubeconfig",
        "cgroup-driver",
        "config",
        "config-dir",
        "container-runtime",
        "container-runtime-endpoint",
        "hostname-override",
        "image-credential-provider-bin-dir",
        "image-credential-provider-config",
        "kubeconfig",
        "node-labels",
        "pod-infra-container-image",
        "pod-manifest-path",
        "register-with-taints",
        "root-dir",
    ];
    let is_known = |name: &str| OWN.contains(&name) || KUBELET_FLAGS.iter().any(|(flag, _)| *flag == name);
    host.kubelet.flags.iter().filter(|flag| !is_known(&flag.name)).collect()
}

/// Labels of the flag `--node-labels`.
pub(super) fn labels(host: &HostInventory) -> BTreeMap<String, String> {
    let Some(flag) = host.kubelet.flag("node-labels") else {
        return BTreeMap::new();
    };
    let pairs = flag.value.split(',').filter(|pair| !pair.trim().is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Taints of the flag `--register-with-taints`: `key=value:NoSchedule`.
pub(super) fn taints(host: &HostInventory) -> Vec<raw::Taint> {
    let Some(flag) = host.kubelet.flag("register-with-taints") else {
        return Vec::new();
    };
    let taints = flag.value.split(',').filter_map(|taint| {
        let (start, effect) = taint.trim().rsplit_once(':')?;
        let (key, value) = start.split_once('=').unwrap_or((start, ""));
        Some(raw::Taint {
            key: key.to_owned(),
            value: (!value.is_empty()).then(|| value.to_owned()),
            effect: serde_json::from_value(Value::from(effect)).ok()?,
        })
    });
    taints.collect()
}
