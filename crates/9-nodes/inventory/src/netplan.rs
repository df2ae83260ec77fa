//! Configuration of netplan. Sections with secrets (access points, authentication, tunnels' keys) are not read.

use basalt_document::Document;
use serde_json::{Map, Value};

use crate::network::default_route;
use crate::redaction::clipped;
use crate::{HostBond, HostInterface, HostNetwork, HostRoute, HostVlan};

/// Keys of `network` that are not devices.
const SETTINGS: [&str; 3] = ["version", "renderer", "ethernets"];

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
            add_interface(network, device, settings);
            network.bonds.push(bond(device, settings));
        }
        for (device, settings) in entries(sections, "vlans") {
            add_interface(network, device, settings);
            network.vlans.push(HostVlan {
                name: clipped(device),
                id: number(settings, "id").unwrap_or_default(),
                link: text_of(settings, "link").unwrap_or_default(),
            });
        }
        let others = sections
            .keys()
            .filter(|key| !SETTINGS.contains(&key.as_str()) && !["bonds", "vlans"].contains(&key.as_str()));
        network.others.extend(others.map(|key| clipped(key)));
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
            .unwrap_or_else(|| clipped(device)),
        mac: of_match("macaddress").map(|mac| mac.to_lowercase()),
        is_configured: true,
        dhcp: ["dhcp4", "dhcp6"]
            .iter()
            .any(|key| settings.get(key) == Some(&Value::Bool(true))),
        addresses: addresses(settings),
        mtu: number(settings, "mtu"),
        routes: routes(settings),
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
        }
        None => network.interfaces.push(made),
    }
}

/// Addresses: texts, or objects whose key is the address.
fn addresses(settings: &Value) -> Vec<String> {
    let list = settings.get("addresses").and_then(Value::as_array);
    let addresses = list.into_iter().flatten().filter_map(|entry| match entry {
        Value::String(text) => Some(clipped(text)),
        Value::Object(fields) => fields.keys().next().map(|key| clipped(key)),
        _ => None,
    });
    addresses.collect()
}

fn routes(settings: &Value) -> Vec<HostRoute> {
    let gateways = ["gateway4", "gateway6"].iter().filter_map(|key| text_of(settings, key));
    let mut found: Vec<HostRoute> = gateways.map(default_route).collect();
    let list = settings.get("routes").and_then(Value::as_array);
    found.extend(list.into_iter().flatten().map(|route| HostRoute {
        to: match text_of(route, "to").unwrap_or_default() {
            to if to == "0.0.0.0/0" || to == "::/0" => "default".to_owned(),
            to => to,
        },
        via: text_of(route, "via"),
        metric: number(route, "metric"),
        table: number(route, "table"),
        on_link: route.get("on-link") == Some(&Value::Bool(true)),
    }));
    found
}

fn bond(name: &str, settings: &Value) -> HostBond {
    let parameters = settings.get("parameters");
    let of = |key: &str| parameters.and_then(|parameters| text_of(parameters, key));
    let names = parameters.and_then(Value::as_object).into_iter().flat_map(Map::keys);
    HostBond {
        name: clipped(name),
        members: texts(settings, "interfaces"),
        mode: of("mode"),
        lacp_rate: of("lacp-rate"),
        hash_policy: of("transmit-hash-policy"),
        others: names
            .filter(|key| !["mode", "lacp-rate", "transmit-hash-policy"].contains(&key.as_str()))
            .map(|key| clipped(key))
            .collect(),
    }
}

fn text_of(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(clipped)
}

fn number(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(clipped)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        let text = "network:\n  version: 2\n  ethernets:\n    eno1: {dhcp4: no}\n    lan:\n      match: {macaddress: 'AA:BB:CC:00:11:22'}\n      \
                    addresses: [10.0.0.2/24, {10.0.0.3/24: {label: x}}]\n      gateway4: 10.0.0.1\n      nameservers: {addresses: [10.0.0.9], search: [example]}\n  \
                    bonds:\n    bond0: {interfaces: [eno1], parameters: {mode: 802.3ad, mii-monitor-interval: 100}, dhcp4: true}\n  vlans:\n    v10: {id: 10, link: bond0, routes: [{to: 0.0.0.0/0, via: 10.1.0.1, table: 7}]}\n  \
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
            (Some("802.3ad"), &["mii-monitor-interval".to_owned()][..])
        );
        assert_eq!(
            (network.vlans[0].id, network.others.as_slice()),
            (10, &["wifis".to_owned()][..])
        );
        assert!(!format!("{network:?}").contains("secret"));
        assert_eq!(add(&mut network, "a.yaml", "- a\n"), None);
    }
}
