//! Network of a host: configuration in files, devices that are there, names and name servers.

use std::net::IpAddr;

use crate::host_files::HostFiles;
use crate::redaction::{HIDDEN, hosts as hosts_of, lists};
use crate::syntax::{lines, setting_name, settings, switch};
use crate::{HostInterface, HostName, HostNetwork, HostResolver, HostRoute, netplan};

pub(crate) mod bonding;
mod ifupdown;

/// Beginnings of the names of devices that network add-ons and runtimes make.
const OF_CONTAINERS: [&str; 13] = [
    "cali",
    "cilium",
    "cni",
    "docker",
    "dummy",
    "flannel",
    "kube-",
    "lo",
    "lxc",
    "nodelocaldns",
    "tunl",
    "veth",
    "vxlan",
];

/// Settings of systemd-networkd that are on where nothing is said.
const DEFAULT_ON: &str = "DHCPv4.SendHostname DHCPv4.UseDNS DHCPv4.UseGateway DHCPv4.UseHostname DHCPv4.UseNTP DHCPv4.UseRoutes \
    DHCPv6.SendHostname DHCPv6.UseAddress DHCPv6.UseDNS DHCPv6.UseHostname DHCPv6.UseNTP IPv6AcceptRA.UseAutonomousPrefix \
    IPv6AcceptRA.UseDNS IPv6AcceptRA.UseGateway IPv6AcceptRA.UseOnLinkPrefix Link.ARP Link.RequiredForOnline Network.IPv6AcceptRA \
    Network.LLDP";
/// Settings of systemd-networkd that are off where nothing is said.
const DEFAULT_OFF: &str = "DHCPv4.UseDomains DHCPv4.UseMTU DHCPv6.UseDomains IPv6AcceptRA.UseDomains Link.Unmanaged \
    Network.ConfigureWithoutCarrier Network.DHCPServer Network.EmitLLDP";
/// Settings of systemd-networkd with the words that count where nothing is said, in small letters.
const DEFAULT_WORDS: &str =
    "DHCPv4.ClientIdentifier=duid Match.Kind=!* Match.Type=ether Network.LinkLocalAddressing=ipv6";

/// Reads the network's configuration and devices.
pub(crate) fn read(files: &mut HostFiles<'_>) -> HostNetwork {
    let mut network = HostNetwork::default();
    read_netplan(files, &mut network);
    ifupdown::read(files, &mut network);
    read_networkd(files, &mut network);
    for path in files.paths("/etc/NetworkManager/system-connections", ".nmconnection") {
        network.files.push(path);
    }
    add_devices(files, &mut network.interfaces);
    let own = files.line("/etc/hostname").unwrap_or_default();
    network.hosts = hosts(&files.text("/etc/hosts").unwrap_or_default(), &own);
    network.resolver = resolver(files);
    network
}

/// Files of netplan, of which a later one adds to those before.
fn read_netplan(files: &mut HostFiles<'_>, network: &mut HostNetwork) {
    let folders = ["/usr/lib/netplan", "/lib/netplan", "/etc/netplan", "/run/netplan"];
    for path in files.by_name(&folders, ".yaml").into_values() {
        let Some(text) = files.text(&path) else { continue };
        network.files.push(path.clone());
        if netplan::add(network, &path, &text).is_none() {
            files.miss(&path, crate::UnobservedReason::Malformed);
        }
    }
}

/// Files of systemd-networkd that people wrote.
fn read_networkd(files: &mut HostFiles<'_>, network: &mut HostNetwork) {
    let folder = "/etc/systemd/network";
    for path in files.paths(folder, ".network") {
        let Some(text) = files.text(&path) else { continue };
        network.interfaces.push(networkd_interface(&text));
        network.files.push(path);
    }
    for path in files.paths(folder, ".netdev") {
        let text = files.text(&path).unwrap_or_default();
        let kind = settings(&text).into_iter().find(|setting| setting.key == "Kind");
        network.others.extend(kind.map(|setting| setting.value));
        network.files.push(path);
    }
    network.files.extend(files.paths(folder, ".link"));
}

fn networkd_interface(text: &str) -> HostInterface {
    let mut interface = HostInterface {
        is_configured: true,
        ..HostInterface::default()
    };
    for setting in settings(text) {
        let value = setting.value.clone();
        match (setting.section.as_str(), setting.key.as_str()) {
            ("Match", "Name") => interface.name = value,
            ("Match", "MACAddress" | "PermanentMACAddress") => interface.mac = Some(value.to_lowercase()),
            ("Network", "DHCP") => interface.dhcp = asks_dhcp(&value).unwrap_or(interface.dhcp),
            ("Network" | "Address", "Address") => interface.addresses.push(value),
            ("Network", "Gateway") => interface.routes.push(default_route(value)),
            ("Network", "DNS") => interface.name_servers.extend(hosts_of(value.split_whitespace())),
            ("Network", "Domains") => interface.search.extend(hosts_of(value.split_whitespace())),
            ("Link", "MTUBytes") => interface.mtu = value.parse().ok(),
            // A section begins with its first key: each of these two may be it.
            ("Route", "Destination") => match interface.routes.last_mut().filter(|route| route.to.is_empty()) {
                Some(route) => route.to = value,
                None => interface.routes.push(HostRoute {
                    to: value,
                    ..HostRoute::default()
                }),
            },
            ("Route", "Gateway") => match interface.routes.last_mut().filter(|route| route.via.is_none()) {
                Some(route) => route.via = Some(value),
                None => interface.routes.push(HostRoute {
                    via: Some(value),
                    ..HostRoute::default()
                }),
            },
            ("Network", "Description") => {}
            (section, key) if is_default(section, key, &setting.value) => {}
            _ => {
                let name = setting_name(&setting);
                // Without a value, a setting takes back what was set before.
                let is_none = value.is_empty() && !name.contains(HIDDEN);
                if !is_none {
                    push_once(&mut interface.others, name);
                }
            }
        }
    }
    for route in interface.routes.iter_mut().filter(|route| route.to.is_empty()) {
        "default".clone_into(&mut route.to);
    }
    interface
}

/// Value of `DHCP=`: a switch, or the families that are asked, in their older words, too. systemd-networkd passes over others.
fn asks_dhcp(value: &str) -> Option<bool> {
    match value {
        "ipv4" | "ipv6" | "v4" | "v6" | "both" => Some(true),
        "none" => Some(false),
        word => switch(word),
    }
}

/// Returns `true` for a setting of systemd-networkd that says what is so without it, or that excludes no Ethernet device.
fn is_default(section: &str, key: &str, value: &str) -> bool {
    let name = format!("{section}.{key}");
    match switch(value) {
        Some(true) => lists(DEFAULT_ON, &name),
        Some(false) => lists(DEFAULT_OFF, &name),
        None => lists(DEFAULT_WORDS, &format!("{name}={}", value.to_ascii_lowercase())),
    }
}

/// Adds a name to a list that does not have it.
pub(crate) fn push_once(names: &mut Vec<String>, name: String) {
    if !names.contains(&name) {
        names.push(name);
    }
}

/// Default route by a router.
pub(crate) fn default_route(via: String) -> HostRoute {
    HostRoute {
        to: "default".to_owned(),
        via: Some(via),
        ..HostRoute::default()
    }
}

/// Adds the devices that are there, to the entries that are about them.
fn add_devices(files: &mut HostFiles<'_>, interfaces: &mut Vec<HostInterface>) {
    let folder = "/sys/class/net";
    for name in files.names(folder) {
        let is_hardware = files.link(&format!("{folder}/{name}/device")).is_some();
        let mac = files.line(&format!("{folder}/{name}/address"));
        let mac = mac.map(|mac| mac.to_lowercase());
        let is_about = |entry: &&mut HostInterface| match &entry.mac {
            // A bond has the address of its first member.
            _ if entry.is_present && !entry.name.contains(['*', '?']) => entry.name == name,
            Some(wanted) => Some(wanted) == mac.as_ref(),
            None => fits(&entry.name, &name),
        };
        let mtu = files
            .line(&format!("{folder}/{name}/mtu"))
            .and_then(|mtu| mtu.parse().ok());
        if let Some(entry) = interfaces.iter_mut().find(is_about) {
            entry.is_present = true;
            entry.is_hardware |= is_hardware;
            if !entry.name.contains(['*', '?']) {
                entry.mac = entry.mac.take().or(mac);
            }
            entry.mtu = entry.mtu.or(mtu);
        } else if is_hardware || !OF_CONTAINERS.iter().any(|start| name.starts_with(start)) {
            interfaces.push(HostInterface {
                name,
                mac,
                mtu,
                is_present: true,
                is_hardware,
                ..HostInterface::default()
            });
        }
    }
}

/// Returns `true` if a name fits a pattern with `*` at its end.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, _)) => name.starts_with(start),
        None => pattern == name,
    }
}

/// Lines about other hosts than this one.
fn hosts(text: &str, own: &str) -> Vec<HostName> {
    let found = lines(text).filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next()?.to_owned();
        address.split('%').next()?.parse::<IpAddr>().ok()?;
        let names: Vec<String> = hosts_of(words).collect();
        let is_local = address.starts_with("127.")
            || address == "::1"
            || ["fe00::", "ff00::", "ff02::"]
                .iter()
                .any(|start| address.starts_with(start));
        let is_own = !own.is_empty()
            && names
                .iter()
                .any(|name| name == own || name.split('.').next() == Some(own));
        (!is_local && !is_own && !names.is_empty()).then_some(HostName { address, names })
    });
    found.collect()
}

fn resolver(files: &mut HostFiles<'_>) -> HostResolver {
    let link = files.link("/etc/resolv.conf");
    let is_stub = link.as_deref().is_some_and(|link| link.contains("systemd/resolve"));
    let upstream = match is_stub {
        true => files.text("/run/systemd/resolve/resolv.conf"),
        false => None,
    };
    let text = upstream.or_else(|| files.text("/etc/resolv.conf")).unwrap_or_default();
    let mut resolver = HostResolver {
        link,
        ..HostResolver::default()
    };
    for line in lines(&text) {
        let mut words = line.split_whitespace();
        let target = match words.next() {
            Some("nameserver") => &mut resolver.servers,
            Some("search" | "domain") => &mut resolver.search,
            Some("options") => &mut resolver.options,
            _ => continue,
        };
        target.extend(hosts_of(words).filter(|word| word != "."));
    }
    for path in files.with_parts("/etc/systemd/resolved.conf", "/etc/systemd/resolved.conf.d", ".conf") {
        let text = files.text(&path).unwrap_or_default();
        let values = settings(&text).into_iter();
        let values = values.filter(|setting| ["DNS", "Domains"].contains(&setting.key.as_str()));
        let values: Vec<String> = values
            .flat_map(|setting| hosts_of(setting.value.split_whitespace()).collect::<Vec<_>>())
            .collect();
        if !values.is_empty() {
            resolver.configured.extend(values);
            resolver.file = Some(path);
        }
    }
    resolver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_hosts_are_listed() {
        let text = "127.0.0.1 localhost\n127.0.1.1 node-1\n10.0.0.5 node-1.example node-1\n::1 ip6-localhost\n10.0.0.9 nas nas.example --token hunter2 # x\nhunter2 x\n";
        let found = hosts(text, "node-1");
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].address.as_str(), &found[0].names[..]),
            ("10.0.0.9", &["nas".to_owned(), "nas.example".to_owned()][..])
        );
    }

    #[test]
    fn defaults_of_networkd_are_no_settings() {
        let text = "[Match]\nName=en*\nType=ether\nKind=!*\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\nNTP=\n\
                    [Link]\nRequiredForOnline=true\n[DHCPv4]\nUseDNS=Yes\nClientIdentifier=duid\n[DHCPv6]\nUseDNS=1\n[IPv6AcceptRA]\nUseDomains=no\n";
        let found = networkd_interface(text);
        assert!(found.others.is_empty() && found.dhcp, "{:?}", found.others);
        let text = "[Match]\nName=en*\nType=wlan\nDriver=x\n[Network]\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n\
                    [Link]\nRequiredForOnline=no\n[DHCPv4]\nUseDNS=no\nClientIdentifier=mac\nRouteMetric=100\n";
        let wanted = [
            "Match.Type",
            "Match.Driver",
            "Network.IPv6AcceptRA",
            "Network.LinkLocalAddressing",
            "Link.RequiredForOnline",
            "DHCPv4.UseDNS",
            "DHCPv4.ClientIdentifier",
            "DHCPv4.RouteMetric",
        ];
        assert_eq!(networkd_interface(text).others, wanted);
    }

    #[test]
    fn dhcp_is_asked_where_networkd_asks_it() {
        for (values, asks) in [
            ("DHCP=yes", true),
            ("DHCP=On", true),
            ("DHCP=1", true),
            ("DHCP=ipv6", true),
            ("DHCP=both", true),
            ("DHCP=off", false),
            ("DHCP=No", false),
            ("DHCP=0", false),
            ("DHCP=f", false),
            ("DHCP=none", false),
            ("DHCP=", false),
            ("DHCP=sometimes", false),
            ("DHCP=ipv4\nDHCP=sometimes", true),
            ("DHCP=yes\nDHCP=off", false),
        ] {
            let text = format!("[Match]\nName=eno1\n[Network]\n{values}\n");
            assert_eq!(networkd_interface(&text).dhcp, asks, "{values}");
        }
    }

    #[test]
    fn networkd_is_read() {
        let text = "[Match]\nName=en*\n[Network]\nDHCP=no\nAddress=10.0.0.2/24\nGateway=10.0.0.1\nDNS=10.0.0.1 10.0.0.3\n[Link]\nMTUBytes=9000\n\
                    [DHCPv4]\nUseDNS=no\nhunter2aGVsbG8=\n[Route]\nGateway=10.0.0.9\nDestination=192.168.0.0/16\n[Route]\nDestination=172.16.0.0/12\nGateway=10.0.0.8\n";
        let found = networkd_interface(text);
        assert_eq!((found.name.as_str(), found.dhcp, found.mtu), ("en*", false, Some(9000)));
        assert_eq!(found.others, ["DHCPv4.UseDNS", "DHCPv4.*"]);
        let routes: Vec<_> = found
            .routes
            .iter()
            .map(|route| (route.to.as_str(), route.via.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(
            routes,
            [
                ("default", "10.0.0.1"),
                ("192.168.0.0/16", "10.0.0.9"),
                ("172.16.0.0/12", "10.0.0.8")
            ]
        );
        assert!(fits("en*", "enp1s0") && !fits("en*", "eth0") && !fits("eth0", "eth01"));
    }
}
