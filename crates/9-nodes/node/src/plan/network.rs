//! The network, in networkd's format.

use std::fmt::Write as _;

use basalt_node_config::{Bond, HostDns, Interface, InterfaceMatch, NetworkSettings, NodeConfig, Vlan};

use super::PlannedFile;

const FOLDER: &str = "/run/systemd/network";
const HEADER: &str = "# Written by basalt-node at every start.\n";

/// Files that sort before the image's own, which asks DHCP on every interface that nobody else claims.
///
/// Of the files that fit an interface, networkd takes the first one: members of bonds (05), then the entries of the
/// NodeConfig in their order (10), then what follows from bonds and VLANs that have no entry (20).
pub(super) fn files(config: &NodeConfig) -> Vec<PlannedFile> {
    let Some(network) = &config.network else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for bond in &network.bonds {
        files.push(file(&format!("10-node-config-{}.netdev", bond.name), bond_device(bond)));
        for (index, member) in bond.members.iter().enumerate() {
            let name = format!("05-node-config-{}-{index:02}.network", bond.name);
            files.push(file(&name, bond_member(bond, member)));
        }
    }
    for vlan in &network.vlans {
        files.push(file(&format!("10-node-config-{}.netdev", vlan.name), vlan_device(vlan)));
    }
    for (index, interface) in network.interfaces.iter().enumerate() {
        let text = unit(interface, network);
        files.push(file(&format!("10-node-config-{index:02}.network"), text));
    }
    files.extend(implied(network));
    if network.interfaces.is_empty() && network.dns != HostDns::default() {
        // Nothing is said about interfaces: they keep what the image does, and get these servers besides.
        let mut text = String::from("[Network]\n");
        name_servers(&mut text, &network.dns);
        files.push(file("90-basalt-dhcp.network.d/50-node-config.conf", text));
    }
    files
}

fn file(name: &str, text: String) -> PlannedFile {
    PlannedFile::public(format!("{FOLDER}/{name}"), text)
}

/// Networks of bonds and VLANs that have no entry, and of hardware that has none and carries VLANs. What carries VLANs
/// has no addresses of its own; the others ask DHCP.
fn implied(network: &NetworkSettings) -> Vec<PlannedFile> {
    let implied = network.without_entry().into_iter().map(|name| {
        let vlans = vlan_lines(network, name);
        let mut text = format!("{HEADER}[Match]\nName={name}\n");
        if !network.made().any(|made| made == name) {
            text.push_str("Kind=!*\n");
        }
        if vlans.is_empty() {
            text.push_str("\n[Link]\nRequiredForOnline=routable\n\n[Network]\nDHCP=yes\n");
            text.push_str("LLDP=no\nEmitLLDP=no\nKeepConfiguration=dynamic\n");
            name_servers(&mut text, &network.dns);
            dhcp(&mut text, None, None);
        } else {
            text.push_str("\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=no\nLinkLocalAddressing=no\n");
            text.push_str("LLDP=no\nEmitLLDP=no\nIPv6AcceptRA=no\n");
            text.push_str(&vlans);
        }
        file(&format!("20-node-config-{name}.network"), text)
    });
    implied.collect()
}

/// The lines that put VLANs on an interface.
fn vlan_lines(network: &NetworkSettings, name: &str) -> String {
    let vlans = network.vlans_on(name);
    vlans.map(|vlan| format!("VLAN={}\n", vlan.name)).collect()
}

fn bond_device(bond: &Bond) -> String {
    let mut text = format!(
        "{HEADER}[NetDev]\nName={}\nKind=bond\n\n[Bond]\nMode={}\nMIIMonitorSec=100ms\n",
        bond.name,
        bond.mode.name()
    );
    if let Some(rate) = bond.lacp_rate {
        let _ = writeln!(text, "LACPTransmitRate={}", rate.name());
    }
    if let Some(policy) = bond.transmit_hash_policy {
        let _ = writeln!(text, "TransmitHashPolicy={}", policy.name());
    }
    text
}

fn bond_member(bond: &Bond, member: &InterfaceMatch) -> String {
    let mut text = format!("{HEADER}[Match]\n");
    // Once it is one, a member has the bond's address: by its own, networkd would not know it again, and leave it to another file.
    hardware(&mut text, member, "PermanentMACAddress");
    let _ = write!(
        text,
        "\n[Link]\nRequiredForOnline=no\n\n[Network]\nBond={}\nLLDP=no\nEmitLLDP=no\n",
        bond.name
    );
    text
}

fn vlan_device(vlan: &Vlan) -> String {
    format!(
        "{HEADER}[NetDev]\nName={}\nKind=vlan\n\n[VLAN]\nId={}\n",
        vlan.name, vlan.id
    )
}

/// Lines that match hardware alone: a pattern shall not take hold of the pods' interfaces. `address` is networkd's key for an
/// address of hardware.
fn hardware(text: &mut String, matches: &InterfaceMatch, address: &str) {
    let _ = match matches {
        InterfaceMatch::Name(name) => writeln!(text, "Name={name}\nKind=!*"),
        InterfaceMatch::Mac(mac) => writeln!(text, "{address}={mac}\nKind=!*"),
    };
}

fn unit(interface: &Interface, network: &NetworkSettings) -> String {
    let mut text = format!("{HEADER}[Match]\n");
    match network.made().find(|name| interface.is_of(name)) {
        Some(name) => {
            let _ = writeln!(text, "Name={name}");
        }
        None => hardware(&mut text, &interface.matches, "MACAddress"),
    }
    if interface.unmanaged {
        text.push_str("\n[Link]\nUnmanaged=yes\n");
        return text;
    }
    let is_waited_for = !interface.optional && !interface.is_bare();
    let online = if is_waited_for { "routable" } else { "no" };
    let _ = writeln!(text, "\n[Link]\nRequiredForOnline={online}");
    if let Some(mtu) = interface.mtu {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let _ = writeln!(text, "\n[Network]\nDHCP={}", if interface.dhcp { "yes" } else { "no" });
    if interface.is_bare() {
        text.push_str("LinkLocalAddressing=no\n");
    }
    text.push_str("LLDP=no\nEmitLLDP=no\n");
    if interface.dhcp {
        text.push_str("KeepConfiguration=dynamic\n");
    } else if !interface.addresses.iter().any(|cidr| cidr.address.is_ipv6()) {
        text.push_str("IPv6AcceptRA=no\n");
    }
    for address in &interface.addresses {
        let _ = writeln!(text, "Address={address}");
    }
    if let InterfaceMatch::Name(name) = &interface.matches {
        text.push_str(&vlan_lines(network, name.as_str()));
    }
    if !interface.is_bare() {
        name_servers(&mut text, &network.dns);
    }
    routes(&mut text, interface);
    if interface.dhcp {
        dhcp(&mut text, interface.mtu, interface.metric);
    }
    text
}

fn routes(text: &mut String, interface: &Interface) {
    let metric = |text: &mut String, metric: Option<u32>| {
        if let Some(metric) = metric {
            let _ = writeln!(text, "Metric={metric}");
        }
    };
    let on_link = |text: &mut String, on_link: bool| {
        if on_link {
            text.push_str("GatewayOnLink=yes\n");
        }
    };
    if let Some(gateway) = interface.gateway {
        let _ = writeln!(text, "\n[Route]\nGateway={gateway}");
        on_link(text, interface.gateway_on_link);
        metric(text, interface.metric);
    }
    for route in &interface.routes {
        let _ = writeln!(text, "\n[Route]\nDestination={}\nGateway={}", route.to, route.via);
        on_link(text, route.on_link);
        metric(text, route.metric);
    }
}

/// Parts that are taken of an answer of DHCP, and the identifier to ask with (see `dhcp.network` of the package
/// basalt-defaults). Time servers reach chronyd by way of [`crate::follow`].
fn dhcp(text: &mut String, mtu: Option<u32>, metric: Option<u32>) {
    let metric = metric
        .map(|metric| format!("RouteMetric={metric}\n"))
        .unwrap_or_default();
    let use_mtu = if mtu.is_some() { "no" } else { "yes" };
    let _ = write!(
        text,
        "\n[DHCPv4]\nClientIdentifier=mac\nUseHostname=no\nUseDomains=yes\nUseNTP=yes\nUseMTU={use_mtu}\n{metric}"
    );
    let _ = write!(text, "\n[DHCPv6]\nUseHostname=no\nUseDomains=yes\nUseNTP=yes\n");
    let _ = write!(text, "\n[IPv6AcceptRA]\nUseDomains=yes\n{metric}");
}

fn name_servers(text: &mut String, dns: &HostDns) {
    for server in &dns.servers {
        let _ = writeln!(text, "DNS={server}");
    }
    if !dns.search.is_empty() {
        let domains: Vec<_> = dns.search.iter().map(|domain| domain.as_str()).collect();
        let _ = writeln!(text, "Domains={}", domains.join(" "));
    }
}
