//! Rules about the network, names, proxies and time.

use basalt_inventory::is_hidden;
use serde_json::Value;

use super::super::{HostFound, HostRule, HostSubject, config, listed, parts};
use crate::WorkloadVerdict::{Note, RunsOtherwise, WillNotRun};

pub(super) const RULES: [HostRule; 9] = [
    HostRule {
        id: "host-network",
        title: "The network's settings have to be in the NodeConfig",
        verdict: RunsOtherwise,
        reason: "Without them, every Ethernet interface of a node asks DHCP. Hardware is named by its address in the lines: another machine has another one.",
        check: network,
    },
    HostRule {
        id: "host-network-other",
        title: "A NodeConfig cannot express a part of the network",
        verdict: WillNotRun,
        reason: "Bridges, tunnels, wireless networks and routing by policy are not part of a NodeConfig. What needs them may not be reached.",
        check: network_other,
    },
    HostRule {
        id: "host-network-setting",
        title: "A setting of an interface or a bond is not read",
        verdict: RunsOtherwise,
        reason: "Inventories have the names of such settings. What a NodeConfig has for one is written by hand: `optional`, `metric` and `gatewayOnLink` of an interface. Without the others, its interfaces and bonds work as by default.",
        check: network_setting,
    },
    HostRule {
        id: "host-endpoint",
        title: "The API server has a name that /etc/hosts alone may know",
        verdict: WillNotRun,
        reason: "A node's /etc/hosts is the image's: unless a name server knows the name, the node does not find its cluster.",
        check: endpoint,
    },
    HostRule {
        id: "host-names",
        title: "A node knows no names by /etc/hosts",
        verdict: RunsOtherwise,
        reason: "A node's /etc/hosts is the image's. Image pulls and the kubelet ask name servers; pods have `hostAliases`.",
        check: names,
    },
    HostRule {
        id: "host-proxy",
        title: "The proxy has to be in the NodeConfig",
        verdict: WillNotRun,
        reason: "Without it, image pulls do not leave a network that has only a proxy. Names and passwords are left out of inventories.",
        check: proxy,
    },
    HostRule {
        id: "host-time-servers",
        title: "The time servers have to be in the NodeConfig",
        verdict: RunsOtherwise,
        reason: "Without them, a node asks those of DHCP and a public pool. In a network that reaches neither, its clock drifts.",
        check: time_servers,
    },
    HostRule {
        id: "host-time-zone",
        title: "A node's time zone is UTC",
        verdict: Note,
        reason: "Times in logs are UTC, and so are those of CronJobs without `timeZone`.",
        check: time_zone,
    },
    HostRule {
        id: "host-filter",
        title: "A node sets up no packet filter",
        verdict: RunsOtherwise,
        reason: "What ufw, nftables, iptables or firewalld kept away reaches a node. It listens on few ports: those of the kubelet, and what pods open on it.",
        check: filter,
    },
];

/// Settings without which an interface may not be reached: of bridges, of wireless networks, of routing by policy.
const OF_REACH: [&str; 13] = [
    "access-points",
    "auth",
    "method",
    "openvswitch",
    "routing-policy",
    "Network.Bond",
    "Network.Bridge",
    "Network.IPVLAN",
    "Network.MACVLAN",
    "Network.Tunnel",
    "Network.VLAN",
    "Network.VRF",
    "Network.VXLAN",
];
/// Beginnings of such settings.
const BEFORE_REACH: [&str; 4] = ["RoutingPolicyRule.", "bridge-", "wireless-", "wpa-"];
/// Fields of an interface in a NodeConfig, with the settings of netplan, ifupdown and systemd-networkd that they stand for.
const FIELDS: [(&str, &[&str]); 3] = [
    ("gatewayOnLink", &["Route.GatewayOnLink"]),
    (
        "metric",
        &[
            "metric",
            "dhcp4-overrides.route-metric",
            "dhcp6-overrides.route-metric",
            "DHCPv4.RouteMetric",
            "IPv6AcceptRA.RouteMetric",
            "Route.Metric",
        ],
    ),
    ("optional", &["optional", "Link.RequiredForOnline"]),
];

fn network(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let Some(network) = parts::network(subject.host) else {
        return;
    };
    let host = &subject.host.network;
    let place = host.files.first().or(host.resolver.file.as_ref());
    let what = [
        (!network.interfaces.is_empty()).then_some("interfaces"),
        (!network.bonds.is_empty()).then_some("bonds"),
        (!network.vlans.is_empty()).then_some("VLANs"),
        network.dns.is_some().then_some("name servers"),
    ];
    let what: Vec<&str> = what.into_iter().flatten().collect();
    found.add_lines(
        place.map_or("/etc/resolv.conf", String::as_str),
        format!("the host has settings of {}", what.join(", ")),
        "in the NodeConfig",
        ("network", serde_json::to_value(&network).unwrap_or_default()),
    );
}

fn network_other(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let host = &subject.host.network;
    let place = host.files.first().map_or("/etc/netplan", String::as_str);
    if !host.others.is_empty() {
        found.add(
            place,
            format!("files configure {}", listed(host.others.iter().map(String::as_str), 6)),
            "do without, or have a network add-on make them",
        );
    }
    let tables = host
        .interfaces
        .iter()
        .filter(|interface| interface.routes.iter().any(|route| route.table.is_some()));
    for interface in tables {
        found.add(
            place,
            format!("{} has routes in further tables", interface.name),
            "use metrics, if they do; a NodeConfig has no tables",
        );
    }
    for interface in &host.interfaces {
        let names = interface.others.iter().filter(|name| is_of_reach(name));
        if let Some(names) = settings_listed(names) {
            found.add(
                place,
                format!("{} has {names}", interface.name),
                "do without: a NodeConfig has none of it",
            );
        }
    }
    if let Some(file) = host.files.iter().find(|file| file.ends_with(".nmconnection")) {
        found.add(
            file,
            "NetworkManager has connections, which are not read",
            "write them into `network` by hand",
        );
    }
}

fn network_setting(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let host = &subject.host.network;
    let place = host.files.first().map_or("/etc/netplan", String::as_str);
    for interface in &host.interfaces {
        let given = subject.given.interface(&interface.name, interface.mac.as_deref());
        let names = interface
            .others
            .iter()
            .filter(|name| !is_of_reach(name) && !is_given(given, name));
        if let Some(names) = settings_listed(names) {
            found.add(
                place,
                format!("{} has {names}", interface.name),
                "a NodeConfig has `optional`, `metric` and `gatewayOnLink` of an interface beside addresses, DHCP, routes, name servers and MTU: write them by hand, if these are meant, and do without the others",
            );
        }
    }
    for bond in &host.bonds {
        if let Some(names) = settings_listed(&bond.others) {
            found.add(
                place,
                format!("the bond {} has {names}", bond.name),
                "a NodeConfig has mode, rate of LACP and hash policy; a node looks at the links every 100 ms, and the kernel's defaults count for the others",
            );
        }
    }
}

/// Returns `true` for a setting without which an interface may not be reached.
fn is_of_reach(name: &str) -> bool {
    OF_REACH.contains(&name) || BEFORE_REACH.iter().any(|start| name.starts_with(start))
}

/// Returns `true` if an interface of a NodeConfig has the field that stands for a setting.
fn is_given(interface: Option<&Value>, name: &str) -> bool {
    FIELDS.iter().any(|(field, names)| {
        let has_field = interface.is_some_and(|interface| interface.get(field).is_some());
        has_field && names.contains(&name)
    })
}

/// Names of settings in a sentence; `None` if there are none. For words that are no names of settings, inventories have a sign.
fn settings_listed<'n>(names: impl IntoIterator<Item = &'n String>) -> Option<String> {
    let shown = |name: &'n String| match is_hidden(name) {
        true => "words that are no settings",
        false => name.as_str(),
    };
    let names: Vec<&str> = names.into_iter().map(shown).collect();
    (!names.is_empty()).then(|| listed(names, 6))
}

fn endpoint(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let given = subject.given.at("/cluster/endpoint").and_then(Value::as_str);
    let server = given.or(subject.host.kubelet.server.as_deref());
    let Some(endpoint) = server.and_then(|server| config::endpoint_of(server).ok()) else {
        return;
    };
    if let Some(name) = config::known_by_file(subject.host, &endpoint) {
        found.add(
            "/etc/hosts",
            format!("the API server is {}, which is {} here", endpoint.host, name.address),
            "add the name to a name server that the node asks, or give an address in `cluster.endpoint`, if the server's certificate has it",
        );
    }
}

fn names(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let hosts = &subject.host.network.hosts;
    if !hosts.is_empty() {
        let names = hosts.iter().flat_map(|host| &host.names).map(String::as_str);
        found.add(
            "/etc/hosts",
            format!("the host knows {}", listed(names, 8)),
            "add the names to a name server that `network.dns.servers` lists",
        );
    }
}

fn proxy(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let Some(proxy) = parts::proxy(subject.host) else {
        return;
    };
    let last = parts::proxies(subject.host)
        .filter(|proxy| proxy.variable != "no_proxy" && !is_hidden(&proxy.value))
        .last();
    let has_credentials = parts::proxies(subject.host).any(|proxy| proxy.has_credentials);
    let has_password = |pointer: &&str| {
        subject
            .given
            .at(pointer)
            .and_then(Value::as_str)
            .is_some_and(|url| url.contains('@'))
    };
    let is_enough = !has_credentials || ["/proxy/http", "/proxy/https"].iter().any(has_password);
    let help = match has_credentials {
        true => "in the NodeConfig, with the name and the password, which are not in the inventory",
        false => "in the NodeConfig",
    };
    let message = format!(
        "the host uses the proxy {}",
        last.map_or("", |proxy| proxy.value.as_str())
    );
    found.add_lines_unless(
        is_enough,
        last.map_or("/etc/environment", |proxy| proxy.file.as_str()),
        (message, help.to_owned()),
        ("proxy", serde_json::to_value(&proxy).unwrap_or_default()),
    );
}

fn time_servers(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let Some(time) = parts::time(subject.host) else { return };
    found.add_lines(
        subject
            .host
            .time
            .files
            .first()
            .map_or("/etc/systemd/timesyncd.conf", String::as_str),
        format!(
            "the host asks the time of {}",
            listed(time.servers.iter().map(String::as_str), 4)
        ),
        "in the NodeConfig",
        ("time", serde_json::to_value(&time).unwrap_or_default()),
    );
}

fn time_zone(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let utc = ["UTC", "Etc/UTC", "Etc/UCT", "Universal", "Zulu"];
    if let Some(zone) = subject.host.time.zone.as_deref().filter(|zone| !utc.contains(zone)) {
        found.add(
            "/etc/localtime",
            format!("the host's time zone is {zone}"),
            "give CronJobs `timeZone`, and pods the variable TZ where it matters",
        );
    }
}

fn filter(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for filter in &subject.host.filters {
        found.add(
            &filter.file,
            format!("{} has {} rules", filter.tool, filter.rules),
            "filter in front of the node, or by host policies of a network add-on (Calico, Cilium)",
        );
    }
}
