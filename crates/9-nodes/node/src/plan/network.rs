//! The network, in networkd's format.

use std::fmt::Write as _;

use basalt_node_config::{HostDns, Interface, InterfaceMatch, NodeConfig};

use super::PlannedFile;

/// Files that sort before the image's own, which asks DHCP on every interface that nobody else claims.
pub(super) fn files(config: &NodeConfig) -> Vec<PlannedFile> {
    let Some(network) = &config.network else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for (index, interface) in network.interfaces.iter().enumerate() {
        // The first entry that fits counts, as the first file does.
        let path = format!("/run/systemd/network/10-node-config-{index:02}.network");
        files.push(PlannedFile::public(path, unit(interface, &network.dns)));
    }
    if network.interfaces.is_empty() && network.dns != HostDns::default() {
        // Nothing is said about interfaces: they keep what the image does, and get these servers besides.
        let path = "/run/systemd/network/90-basalt-dhcp.network.d/50-node-config.conf";
        let mut text = String::from("[Network]\n");
        name_servers(&mut text, &network.dns);
        files.push(PlannedFile::public(path, text));
    }
    files
}

fn unit(interface: &Interface, dns: &HostDns) -> String {
    let mut text = String::from("# Written by basalt-node at every start.\n[Match]\n");
    let _ = match &interface.matches {
        // Only hardware: a pattern shall not take hold of the pods' interfaces.
        InterfaceMatch::Name(name) => writeln!(text, "Name={name}\nKind=!*"),
        InterfaceMatch::Mac(mac) => writeln!(text, "MACAddress={mac}\nKind=!*"),
    };
    text.push_str("\n[Link]\nRequiredForOnline=routable\n");
    if let Some(mtu) = interface.mtu {
        let _ = writeln!(text, "MTUBytes={mtu}");
    }
    let _ = writeln!(text, "\n[Network]\nDHCP={}", if interface.dhcp { "yes" } else { "no" });
    text.push_str("LLDP=no\nEmitLLDP=no\n");
    if interface.dhcp {
        text.push_str("KeepConfiguration=dynamic-on-stop\n");
    } else if !interface.addresses.iter().any(|cidr| cidr.address.is_ipv6()) {
        text.push_str("IPv6AcceptRA=no\n");
    }
    for address in &interface.addresses {
        let _ = writeln!(text, "Address={address}");
    }
    name_servers(&mut text, dns);
    if let Some(gateway) = interface.gateway {
        let _ = writeln!(text, "\n[Route]\nGateway={gateway}");
    }
    for route in &interface.routes {
        let _ = writeln!(text, "\n[Route]\nDestination={}\nGateway={}", route.to, route.via);
        if let Some(metric) = route.metric {
            let _ = writeln!(text, "Metric={metric}");
        }
    }
    if interface.dhcp {
        text.push_str("\n[DHCPv4]\nUseHostname=no\nUseDomains=yes\nUseNTP=no\n");
        let _ = writeln!(text, "UseMTU={}", if interface.mtu.is_some() { "no" } else { "yes" });
        text.push_str("\n[DHCPv6]\nUseHostname=no\nUseDomains=yes\nUseNTP=no\n\n[IPv6AcceptRA]\nUseDomains=yes\n");
    }
    text
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
