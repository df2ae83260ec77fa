//! The network against what a node has to reach, and what it is to be reached by: networks that are right by themselves,
//! and lose the node.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::address::{Cidr, NodeAddresses};
use crate::checked::{Cluster, Interface, InterfaceMatch, NetworkSettings, Registry, RegistryHost};
use crate::finder::Finder;
use crate::raw;
use basalt_document::spelling::suggestion;
use basalt_document::{Finding, Path};

/// Largest packet of an interface in bytes, unless something else is said.
const USUAL_MTU: u32 = 1500;
/// Names of bonds that help looks at.
const LOOKED_AT: usize = 20;

/// Parts of a NodeConfig that its network has to go with.
pub(super) struct Counterparts<'c> {
    pub(super) cluster: Option<&'c Cluster>,
    pub(super) registries: &'c [Registry],
    pub(super) node_ip: Option<&'c NodeAddresses>,
}

/// Checks a network, whose written form gives the places.
pub(super) fn check(
    finder: &mut Finder<'_>,
    written: &raw::Network,
    network: &NetworkSettings,
    others: &Counterparts<'_>,
) {
    let path = Path::from("network");
    loopback_servers(finder, &path.key("dns").key("servers"), written);
    // What is wrong in itself is told already, and what is left without it says little.
    if written.interfaces.len() != network.interfaces.len() || finder.has_unfit(&path) {
        return;
    }
    shared_addresses(finder, &path.key("interfaces"), network);
    api_server(finder, &path.key("interfaces"), written, others.cluster);
    mtus(finder, &path.key("interfaces"), network);
    unknown_links(finder, &path.key("vlans"), written);
    let addresses = fixed_addresses(network);
    if !addresses.is_empty() && !network.asks_dhcp() {
        name_servers(finder, &path.key("dns"), network, &addresses, others);
        node_ip(finder, &addresses, others.node_ip);
    }
}

/// Addresses of all entries.
fn fixed_addresses(network: &NetworkSettings) -> Vec<IpAddr> {
    let entries = network.interfaces.iter();
    entries
        .flat_map(|entry| entry.addresses.iter().map(|cidr| cidr.address))
        .collect()
}

/// Entries by the whole name of an interface, with their indexes. Of two, the first one counts.
fn by_name(network: &NetworkSettings) -> HashMap<&str, (usize, &Interface)> {
    let mut found = HashMap::new();
    for (index, entry) in network.interfaces.iter().enumerate() {
        if let InterfaceMatch::Name(name) = &entry.matches {
            found.entry(name.as_str()).or_insert((index, entry));
        }
    }
    found
}

/// Name servers that are the node itself, whose resolver asks others.
fn loopback_servers(finder: &mut Finder<'_>, path: &Path, written: &raw::Network) {
    let servers = written.dns.iter().flat_map(|dns| dns.servers.iter());
    let servers: Vec<Option<IpAddr>> = servers.map(|server| server.parse().ok()).collect();
    let is_own = |server: &Option<IpAddr>| server.is_some_and(|server| server.is_loopback() || server.is_unspecified());
    let has_others = servers.iter().any(|server| !is_own(server));
    for (index, server) in servers.iter().enumerate() {
        let (true, Some(address)) = (is_own(server), server) else {
            continue;
        };
        let message = format!("`{address}` is the node itself, where no name server answers when it starts");
        let finding = if has_others {
            Finding::warning(message, "nobody to ask")
        } else {
            Finding::error(message, "nobody to ask")
        };
        let help = "write the servers that it asks: on the node of before, `resolvectl status` shows them";
        finder.say(&path.index(index), finding.with_help(help));
    }
}

/// Addresses that each card gets which fits a pattern.
fn shared_addresses(finder: &mut Finder<'_>, path: &Path, network: &NetworkSettings) {
    for (index, entry) in network.interfaces.iter().enumerate() {
        let InterfaceMatch::Name(pattern) = &entry.matches else {
            continue;
        };
        if let (false, Some(first)) = (pattern.is_name(), entry.addresses.first()) {
            let message = format!("`{pattern}` may fit several cards, and each of them gets `{first}`");
            let finding = Finding::warning(message, "one address on several cards");
            let help = "write the name of the card, or its `mac`";
            finder.say(&path.index(index).key("addresses"), finding.with_help(help));
        }
    }
}

/// The API server's address as one of the node's own.
fn api_server(finder: &mut Finder<'_>, path: &Path, written: &raw::Network, cluster: Option<&Cluster>) {
    let Some(host) = cluster.and_then(|cluster| cluster.endpoint.host.parse::<IpAddr>().ok()) else {
        return;
    };
    for (index, entry) in written.interfaces.iter().enumerate() {
        let place = path.index(index).key("addresses");
        for (index, address) in entry.addresses.iter().enumerate() {
            if address.parse::<Cidr>().is_ok_and(|cidr| cidr.address == host) {
                let message = format!("`{host}` is the address of the API server, by `cluster.endpoint`");
                let finding = Finding::error(message, "never reaches the API server");
                finder.say(&place.index(index), finding.with_help("write the node's own address"));
            }
        }
    }
}

/// The API server's address as the one that the node is to register with.
pub(super) fn not_the_api_server(finder: &mut Finder<'_>, wanted: Option<&NodeAddresses>, cluster: Option<&Cluster>) {
    let Some(host) = cluster.and_then(|cluster| cluster.endpoint.host.parse::<IpAddr>().ok()) else {
        return;
    };
    if wanted.is_some_and(|wanted| wanted.iter().any(|address| address == host)) {
        let message = format!("`{host}` is the address of the API server, by `cluster.endpoint`");
        let finding = Finding::error(message, "not this node's");
        finder.say(
            &Path::from("kubelet.nodeIP"),
            finding.with_help("write the node's own address"),
        );
    }
}

/// VLANs with larger packets than what carries them.
fn mtus(finder: &mut Finder<'_>, path: &Path, network: &NetworkSettings) {
    let entries = by_name(network);
    // Of an interface that is given none, and `None` where DHCP says it.
    let usual = |entry: Option<&(usize, &Interface)>| match entry {
        Some((_, entry)) if entry.mtu.is_some() => entry.mtu,
        Some((_, entry)) if entry.dhcp => None,
        _ => Some(USUAL_MTU),
    };
    // A VLAN is made after what carries it.
    let mut of_vlans: HashMap<&str, Option<u32>> = HashMap::new();
    for vlan in &network.vlans {
        let (name, link) = (vlan.name.as_str(), vlan.link.as_str());
        let of_link = match of_vlans.get(link) {
            Some(known) => *known,
            None => usual(entries.get(link)),
        };
        let given = entries.get(name).and_then(|(index, entry)| Some((*index, entry.mtu?)));
        if let (Some((index, mtu)), Some(most)) = (given, of_link)
            && mtu > most
        {
            let message = format!("`{name}` has packets of {mtu} bytes, and `{link}`, which carries it, of {most}");
            let finding = Finding::warning(message, "larger than those of its link");
            let help = match entries.contains_key(link) {
                true => format!("write `mtu: {mtu}` in the entry of `{link}`, too"),
                false => format!("add `{{ name: {link}, dhcp: false, mtu: {mtu} }}` to `interfaces`"),
            };
            finder.say(&path.index(index).key("mtu"), finding.with_help(help));
        }
        let own = match (given, entries.get(name)) {
            (Some((_, mtu)), _) => Some(mtu),
            (None, Some((_, entry))) if entry.dhcp => None,
            (None, _) => of_link,
        };
        of_vlans.insert(name, own);
    }
}

/// Links of VLANs that have the name of a bond that nobody makes.
fn unknown_links(finder: &mut Finder<'_>, path: &Path, written: &raw::Network) {
    fn stem(name: &str) -> &str {
        name.trim_end_matches(|last: char| last.is_ascii_digit())
    }
    let bonds = || written.bonds.iter().map(|bond| bond.name.as_str());
    let mut made: Vec<&str> = bonds()
        .chain(written.vlans.iter().map(|vlan| vlan.name.as_str()))
        .collect();
    made.sort_unstable();
    let mut stems: Vec<&str> = bonds()
        .map(stem)
        .chain(["bond"])
        .filter(|stem| !stem.is_empty())
        .collect();
    stems.sort_unstable();
    for (index, vlan) in written.vlans.iter().enumerate() {
        let link = vlan.link.as_str();
        if made.binary_search(&link).is_ok() || stems.binary_search(&stem(link)).is_err() {
            continue;
        }
        let finding = Finding::warning(format!("there is no bond `{link}`"), "carried by nothing");
        let help = suggestion(link, bonds().take(LOOKED_AT), || {
            "add it to `bonds`, with its members".to_owned()
        });
        finder.say(&path.index(index).key("link"), finding.with_help(help));
    }
}

/// Fixed addresses without a name server.
fn name_servers(
    finder: &mut Finder<'_>,
    path: &Path,
    network: &NetworkSettings,
    own: &[IpAddr],
    others: &Counterparts<'_>,
) {
    if !network.dns.servers.is_empty() || !needs_names(others) {
        return;
    }
    let unless = match own.iter().any(IpAddr::is_ipv6) {
        true => ", unless router advertisements name one",
        false => "",
    };
    let message =
        format!("no name server is given, and no interface asks DHCP for one: no image of a registry is found{unless}");
    let finding = Finding::warning(message, "no name servers");
    finder.say(
        path,
        finding.with_help("add `dns: { servers: [10.0.0.2] }` below `network`"),
    );
}

/// Returns `true` unless the API server and all registries are named by addresses.
fn needs_names(others: &Counterparts<'_>) -> bool {
    let is_address = |authority: &str| {
        authority.parse::<SocketAddr>().is_ok() || authority.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
    };
    let of_cluster = others
        .cluster
        .is_some_and(|cluster| !is_address(&cluster.endpoint.host));
    let all_mirrored = others.registries.iter().any(|registry| {
        registry.host == RegistryHost::Others
            && registry.mirrors_only
            && registry.mirrors.iter().all(|mirror| is_address(mirror.url.authority()))
    });
    of_cluster || !all_mirrored
}

/// The address that the node is to register with, of those that it has.
fn node_ip(finder: &mut Finder<'_>, own: &[IpAddr], wanted: Option<&NodeAddresses>) {
    // With a fixed address of IPv6, a router may give others.
    let may_be_found = |address: &IpAddr| address.is_ipv6() && own.iter().any(IpAddr::is_ipv6);
    let strange = wanted.into_iter().flat_map(|wanted| wanted.iter());
    let mut strange =
        strange.filter(|address| !address.is_unspecified() && !own.contains(address) && !may_be_found(address));
    let Some(address) = strange.next() else { return };
    let listed: Vec<_> = own
        .iter()
        .take(LOOKED_AT)
        .map(|address| format!("`{address}`"))
        .collect();
    let message = format!("no interface has `{address}`: the addresses are {}", listed.join(", "));
    let finding = Finding::error(message, "never Ready");
    let help =
        "write one of them; or give an interface this address, by `addresses` or by an entry that asks DHCP for it";
    finder.say(&Path::from("kubelet.nodeIP"), finding.with_help(help));
}
