//! Configuration of netplan. Sections with secrets (access points, authentication, tunnels' keys) are not read.

use basalt_document::Document;
use serde_json::{Map, Value};

use crate::network::{bonding, default_route, push_once};
use crate::redaction::{known_or_hidden, lists};
use crate::{HostBond, HostInterface, HostNetwork, HostRoute, HostVlan};

/// Keys of `network` that are not devices.
const SETTINGS: [&str; 3] = ["version", "renderer", "ethernets"];

/// Keys of a device that are read into its entry.
const READ: &str = "addresses dhcp4 dhcp6 gateway4 gateway6 match mtu nameservers renderer routes set-name";
/// Keys of a route that are read.
const READ_OF_ROUTES: [&str; 5] = ["metric", "on-link", "table", "to", "via"];
/// Keys of netplan that are not read. Their names are kept, and `*` in place of others.
const NAMES: &str = "accept-ra access-points activation-mode active-backup ad-select addresses \
    advertised-mss advertised-receive-window ageing-time all-members-active all-slaves-active anonymous arp-all-targets arp-interval \
    arp-ip-targets arp-validate auth congestion-control-algorithm critical delay dhcp-identifier dhcp4-overrides dhcp6-overrides \
    down-delay driver embedded-switch-mode emit-lldp fail-over-mac-policy forward-delay from generic-receive-offload \
    generic-segmentation-offload gratuitous-arp gratuitious-arp hello-time hostname ignore-carrier infiniband-mode initial-congestion-window \
    initial-receive-window ipv6-address-generation ipv6-address-token ipv6-mtu ipv6-privacy label lacp-rate large-receive-offload \
    learn-packet-interval lifetime link-local macaddress mark max-age mii-monitor-interval min-links mode mtu name neigh-suppress \
    networkmanager openvswitch optional optional-addresses packets-per-member packets-per-slave path-cost port-priority primary \
    primary-reselect-policy priority receive-checksum-offload regulatory-domain resend-igmp route-metric routing-policy scope \
    send-hostname stp table tcp-segmentation-offload tcp6-segmentation-offload transmit-checksum-offload transmit-hash-policy type \
    type-of-service up-delay use-dns use-domains use-hostname use-mtu use-ntp use-routes virtual-function-count wakeonlan wakeonwlan";

/// Adds the interfaces of a file; `None` if it is no such file.
pub(crate) fn add(network: &mut HostNetwork, name: &str, text: &str) -> Option<()> {
    let documents = Document::parse_stream(name, text).ok()?;
    for document in documents {
        let value = document.root().to_json();
        let sections = value.get("network")?.as_object()?;
        for (device, settings) in entries(sections, "ethernets") {
            add_interface(network, device, settings);
        }
        for (device, settings) in entries(sections, "bonds") {
            add_interface(network, device, &without(settings, &["interfaces", "parameters"]));
            network.bonds.push(bond(device, settings));
        }
        for (device, settings) in entries(sections, "vlans") {
            add_interface(network, device, &without(settings, &["id", "link"]));
            network.vlans.push(HostVlan {
                name: device.to_owned(),
                id: number(settings, "id").unwrap_or_default(),
                link: text_of(settings, "link").unwrap_or_default(),
            });
        }
        let others = sections
            .keys()
            .filter(|key| !SETTINGS.contains(&key.as_str()) && !["bonds", "vlans"].contains(&key.as_str()));
        network.others.extend(others.cloned());
    }
    Some(())
}

/// Devices of a section.
fn entries<'v>(sections: &'v Map<String, Value>, section: &str) -> impl Iterator<Item = (&'v str, &'v Value)> {
    let section = sections.get(section).and_then(Value::as_object);
    section
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

/// Adds the settings of a device to its entry; a later file adds to those before.
fn add_interface(network: &mut HostNetwork, device: &str, settings: &Value) {
    let matched = settings.get("match");
    let of_match = |key: &str| matched.and_then(|matched| text_of(matched, key));
    let mut made = HostInterface {
        name: text_of(settings, "set-name")
            .or_else(|| of_match("name"))
            .unwrap_or_else(|| device.to_owned()),
        mac: of_match("macaddress").map(|mac| mac.to_lowercase()),
        is_configured: true,
        dhcp: is_on(settings, "dhcp4") || is_on(settings, "dhcp6"),
        addresses: addresses(settings),
        mtu: number(settings, "mtu"),
        routes: routes(settings),
        others: others(settings),
        ..HostInterface::default()
    };
    if let Some(servers) = settings.get("nameservers") {
        made.name_servers = texts(servers, "addresses");
        made.search = texts(servers, "search");
    }
    match network
        .interfaces
        .iter_mut()
        .find(|interface| interface.name == made.name)
    {
        Some(before) => {
            before.mac = made.mac.or(before.mac.take());
            before.mtu = made.mtu.or(before.mtu);
            before.dhcp |= made.dhcp;
            before.addresses.append(&mut made.addresses);
            before.routes.append(&mut made.routes);
            before.name_servers.append(&mut made.name_servers);
            before.search.append(&mut made.search);
            for name in made.others {
                push_once(&mut before.others, name);
            }
        }
        None => network.interfaces.push(made),
    }
}

/// Addresses: texts, or objects whose key is the address.
fn addresses(settings: &Value) -> Vec<String> {
    let list = settings.get("addresses").and_then(Value::as_array);
    let addresses = list.into_iter().flatten().filter_map(|entry| match entry {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => fields.keys().next().cloned(),
        _ => None,
    });
    addresses.collect()
}

fn routes(settings: &Value) -> Vec<HostRoute> {
    let gateways = ["gateway4", "gateway6"].iter().filter_map(|key| text_of(settings, key));
    let mut found: Vec<HostRoute> = gateways.map(default_route).collect();
    let list = settings.get("routes").and_then(Value::as_array);
    // Blackholes, and networks that are reached without a router, are no routes by one.
    let by_router = list.into_iter().flatten().filter(|route| {
        let kind = text_of(route, "type").unwrap_or_default();
        ["", "unicast"].contains(&kind.as_str()) && route.get("via").is_some()
    });
    found.extend(by_router.map(|route| HostRoute {
        to: match text_of(route, "to").unwrap_or_default() {
            to if to == "0.0.0.0/0" || to == "::/0" => "default".to_owned(),
            to => to,
        },
        via: text_of(route, "via"),
        metric: number(route, "metric"),
        table: number(route, "table"),
        on_link: is_on(route, "on-link"),
    }));
    found
}

/// Settings without some keys.
fn without(settings: &Value, keys: &[&str]) -> Value {
    let fields = settings.as_object().into_iter().flatten();
    let fields = fields.filter(|(key, _)| !keys.contains(&key.as_str()));
    Value::Object(fields.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Names of the settings of a device that are not read, without those that say what is so without them.
fn others(settings: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for (key, value) in settings.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("match", Value::Object(fields)) => {
                let fields = fields
                    .keys()
                    .filter(|key| !["name", "macaddress"].contains(&key.as_str()));
                fields.for_each(|key| push_once(&mut names, format!("match.{}", name(key))));
            }
            ("nameservers", Value::Object(fields)) => {
                let fields = fields
                    .keys()
                    .filter(|key| !["addresses", "search"].contains(&key.as_str()));
                fields.for_each(|key| push_once(&mut names, format!("nameservers.{}", name(key))));
            }
            ("dhcp4-overrides" | "dhcp6-overrides", Value::Object(fields)) => {
                let fields = fields.iter().filter(|(key, value)| !is_default(key, value));
                fields.for_each(|(field, _)| push_once(&mut names, format!("{key}.{}", name(field))));
            }
            ("addresses", Value::Array(list)) => {
                let options = list.iter().filter_map(Value::as_object).flat_map(Map::values);
                let options = options.filter_map(Value::as_object).flat_map(Map::keys);
                options.for_each(|key| push_once(&mut names, format!("addresses.{}", name(key))));
            }
            ("routes", Value::Array(list)) => {
                let fields = list.iter().filter_map(Value::as_object).flatten();
                let fields =
                    fields.filter(|(key, value)| !READ_OF_ROUTES.contains(&key.as_str()) && !is_default(key, value));
                fields.for_each(|(key, _)| push_once(&mut names, format!("routes.{}", name(key))));
            }
            (key, value) if lists(READ, key) || is_default(key, value) => {}
            (key, _) => push_once(&mut names, name(key)),
        }
    }
    names
}

/// Name of a key that netplan has; `*` for another word.
fn name(key: &str) -> String {
    known_or_hidden(NAMES, key)
}

/// Returns `true` for a setting that says what is so without it.
fn is_default(key: &str, value: &Value) -> bool {
    let is_empty = match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    let says = |default: bool| switch(value) == Some(default);
    is_empty
        || match key {
            "critical" | "emit-lldp" | "ignore-carrier" | "ipv6-privacy" | "optional" | "wakeonlan" => says(false),
            "send-hostname" | "use-dns" | "use-hostname" | "use-mtu" | "use-ntp" | "use-routes" => says(true),
            "dhcp-identifier" => value.as_str() == Some("duid"),
            "link-local" => value
                .as_array()
                .is_some_and(|list| list.len() == 1 && list.contains(&"ipv6".into())),
            "scope" => value.as_str() == Some("global"),
            "type" => value.as_str() == Some("unicast"),
            _ => false,
        }
}

fn bond(device: &str, settings: &Value) -> HostBond {
    let mut made = HostBond {
        name: device.to_owned(),
        members: texts(settings, "interfaces"),
        ..HostBond::default()
    };
    let parameters = settings.get("parameters").and_then(Value::as_object);
    for (key, value) in parameters.into_iter().flatten() {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !bonding::apply(&mut made, key, &text) {
            push_once(&mut made.others, name(key));
        }
    }
    made
}

/// Switch, as YAML 1.1 writes it, too, which netplan reads.
fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is_on) => Some(*is_on),
        Value::String(text) => crate::syntax::switch(text),
        _ => None,
    }
}

fn is_on(settings: &Value, key: &str) -> bool {
    settings.get(key).and_then(switch) == Some(true)
}

fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        let text = "network:\n  version: 2\n  ethernets:\n    eno1: {dhcp4: no}\n    lan:\n      match: {macaddress: 'AA:BB:CC:00:11:22'}\n      \
                    addresses: [10.0.0.2/24, {10.0.0.3/24: {label: x}}]\n      gateway4: 10.0.0.1\n      nameservers: {addresses: [10.0.0.9], search: [example]}\n  \
                    bonds:\n    bond0: {interfaces: [eno1], parameters: {mode: 802.3ad, mii-monitor-interval: 100, up-delay: 5}, dhcp4: true}\n  vlans:\n    v10: {id: 10, link: bond0, routes: [{to: 0.0.0.0/0, via: 10.1.0.1, table: 7}]}\n  \
                    wifis: {w: {access-points: {x: {password: secret}}}}\n";
        let mut network = HostNetwork::default();
        assert_eq!(add(&mut network, "a.yaml", text), Some(()));
        let lan = network
            .interfaces
            .iter()
            .find(|interface| interface.name == "lan")
            .expect("an interface");
        assert_eq!(lan.mac.as_deref(), Some("aa:bb:cc:00:11:22"));
        assert_eq!((lan.addresses.len(), lan.routes.len(), lan.search.len()), (2, 1, 1));
        assert_eq!(
            (network.bonds[0].mode.as_deref(), &network.bonds[0].others[..]),
            (Some("802.3ad"), &["up-delay".to_owned()][..])
        );
        assert_eq!(lan.others, ["addresses.label"]);
        assert_eq!(
            (network.vlans[0].id, network.others.as_slice()),
            (10, &["wifis".to_owned()][..])
        );
        assert!(!format!("{network:?}").contains("secret"));
        assert_eq!(add(&mut network, "a.yaml", "- a\n"), None);
    }

    #[test]
    fn settings_that_are_not_read_are_named() {
        let text = "network:\n  ethernets:\n    eth1: {dhcp4: yes, dhcp4-overrides: {use-routes: false, use-dns: true, route-metric: 100}, dhcp-identifier: mac, accept-ra: false}\n    \
                    eth2: {match: {driver: virtio_net}, addresses: [10.4.0.2/24], routing-policy: [{from: 10.4.0.2, table: 7}], optional: false}\n    \
                    eth3: {routes: [{to: 10.9.0.0/16, scope: link}, {to: 0.0.0.0/0, type: blackhole}, {to: 10.8.0.0/16, via: 10.0.0.1, mtu: 9000}], macaddress: \"02:00:00:00:00:01\", link-local: []}\n    \
                    eth4: {renderer: networkd, link-local: [ipv6], hunter2: x}\n  bonds:\n    bond0: {parameters: {mode: 4, lacp-rate: 1, transmit-hash-policy: x, mii-monitor-interval: 50}}\n";
        let mut network = HostNetwork::default();
        assert_eq!(add(&mut network, "a.yaml", text), Some(()));
        let of = |name: &str| {
            let found = network.interfaces.iter().find(|interface| interface.name == name);
            let mut others = found.expect("an interface").others.clone();
            others.sort();
            others.join(" ")
        };
        assert!(network.interfaces[0].dhcp);
        assert_eq!(
            of("eth1"),
            "accept-ra dhcp-identifier dhcp4-overrides.route-metric dhcp4-overrides.use-routes"
        );
        assert_eq!(of("eth2"), "match.driver routing-policy");
        assert_eq!(of("eth3"), "link-local macaddress routes.mtu routes.scope routes.type");
        assert_eq!(of("eth4"), "*");
        let routes = network.interfaces.iter().flat_map(|interface| &interface.routes);
        assert_eq!(
            routes.map(|route| route.to.as_str()).collect::<Vec<_>>(),
            ["10.8.0.0/16"]
        );
        let bond = &network.bonds[0];
        assert_eq!(
            (bond.mode.as_deref(), bond.lacp_rate.as_deref()),
            (Some("802.3ad"), Some("fast"))
        );
        assert_eq!(bond.others, ["mii-monitor-interval", "transmit-hash-policy"]);
    }
}
