//! The network part.

use super::{interfaces, links, same_family};
use crate::address::{Address, Cidr};
use crate::checked::{HostDns, Interface, InterfaceMatch, Network, Route};
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

pub(super) fn network(finder: &mut Finder<'_>, path: &Path, raw: &raw::Network) -> Network {
    interfaces::check(finder, path, raw);
    let place = path.key("interfaces");
    let interfaces = raw.interfaces.iter().enumerate();
    let interfaces = interfaces
        .filter_map(|(index, raw)| interface(finder, &place.index(index), raw))
        .collect();
    let place = path.key("dns");
    if raw.dns.as_ref().is_some_and(|dns| dns.servers.len() > 3) {
        let finding = Finding::warning(
            "pods and programs ask the first three name servers only",
            "more than three",
        );
        finder.say(&place.key("servers").index(3), finding.with_help("keep three"));
    }
    let dns = raw.dns.as_ref().map(|dns| HostDns {
        servers: finder.parse_all(&place.key("servers"), &dns.servers),
        search: finder.parse_all(&place.key("search"), &dns.search),
    });
    let bonds = links::bonds(finder, &path.key("bonds"), &raw.bonds);
    let vlans = links::vlans(finder, &path.key("vlans"), raw);
    Network {
        interfaces,
        bonds,
        vlans,
        dns: dns.unwrap_or_default(),
    }
}

fn interface(finder: &mut Finder<'_>, path: &Path, raw: &raw::Interface) -> Option<Interface> {
    let matches = match (&raw.name, &raw.mac) {
        (Some(name), None) => finder.parse(&path.key("name"), name).map(InterfaceMatch::Name),
        (None, Some(mac)) => finder.parse(&path.key("mac"), mac).map(InterfaceMatch::Mac),
        (Some(_), Some(_)) => {
            let finding = Finding::error("the interface is named twice, by `name` and by `mac`", "one too many");
            finder.say(&path.key("mac"), finding.with_help("keep one of them"));
            None
        }
        (None, None) => {
            let finding = Finding::error("it is not said which interface is meant", "this interface");
            finder.say(
                path,
                finding.with_help("add `name: en*`, or `mac:` with its hardware address"),
            );
            None
        }
    };
    let addresses: Vec<Cidr> = finder.parse_all(&path.key("addresses"), &raw.addresses);
    let dhcp = raw.dhcp.unwrap_or(raw.addresses.is_empty()) && !raw.unmanaged;
    if raw.unmanaged {
        left_alone(finder, path, raw);
    } else if !dhcp && raw.addresses.is_empty() {
        let finding = Finding::error(
            "the interface has neither addresses nor DHCP",
            "this leaves it without an address",
        );
        finder.say(
            &path.key("dhcp"),
            finding.with_help("add `addresses:`, or set `dhcp: true`; `unmanaged: true` leaves the interface alone"),
        );
    }
    for (index, address) in addresses.iter().enumerate() {
        if is_network_itself(address) && !address.address.is_unspecified() {
            let finding = Finding::error(
                format!("`{address}` is the network, not an address in it"),
                "not a host",
            );
            finder.say(
                &path.key("addresses").index(index),
                finding.with_help("write the node's own address"),
            );
        }
    }
    let gateway: Option<Address> = finder.parse_given(&path.key("gateway"), raw.gateway.as_ref());
    if raw.gateway_on_link && gateway.is_none() {
        let finding = Finding::error("there is no `gateway` that could be on the link", "without effect");
        finder.say(
            &path.key("gatewayOnLink"),
            finding.with_help("add `gateway:`, or remove this line"),
        );
    }
    if let Some(gateway) = gateway
        && !raw.gateway_on_link
    {
        reachable(finder, &path.key("gateway"), gateway, &addresses, dhcp);
    }
    let place = path.key("routes");
    let routes = raw.routes.iter().enumerate();
    let routes = routes
        .filter_map(|(index, raw)| route(finder, &place.index(index), raw, &addresses, dhcp))
        .collect();
    Some(Interface {
        matches: matches?,
        unmanaged: raw.unmanaged,
        optional: raw.optional,
        dhcp,
        addresses,
        gateway,
        gateway_on_link: raw.gateway_on_link,
        metric: raw.metric,
        routes,
        mtu: raw.mtu,
    })
}

fn route(finder: &mut Finder<'_>, path: &Path, raw: &raw::Route, own: &[Cidr], dhcp: bool) -> Option<Route> {
    let to: Option<Cidr> = finder.parse(&path.key("to"), &raw.to);
    let via: Option<Address> = finder.parse(&path.key("via"), &raw.via);
    let (to, via) = to.zip(via)?;
    if !same_family(to.address, via.0) {
        let finding = Finding::error(
            format!("`{to}` cannot be reached by way of `{via}`"),
            "not of the same kind",
        );
        finder.say(&path.key("via"), finding.with_help("IPv4 goes by IPv4, IPv6 by IPv6"));
    }
    if !raw.on_link {
        reachable(finder, &path.key("via"), via, own, dhcp);
    }
    Some(Route {
        to,
        via,
        on_link: raw.on_link,
        metric: raw.metric,
    })
}

/// A router that is in none of the node's networks cannot be reached, and networkd would drop the route in silence.
fn reachable(finder: &mut Finder<'_>, path: &Path, router: Address, own: &[Cidr], dhcp: bool) {
    let link_local = matches!(router.0, std::net::IpAddr::V6(address) if address.is_unicast_link_local());
    if dhcp || own.is_empty() || link_local || own.iter().any(|network| network.contains(router.0)) {
        return;
    }
    let networks: Vec<_> = own.iter().map(|network| format!("`{network}`")).collect();
    let finding = Finding::error(
        format!("`{router}` is in none of the interface's networks"),
        "out of reach",
    );
    let help = format!(
        "the interface is in {}: write a router there, or correct the length",
        networks.join(" and ")
    );
    finder.say(path, finding.with_help(help));
}

/// Settings of an interface that the node leaves alone.
fn left_alone(finder: &mut Finder<'_>, path: &Path, raw: &raw::Interface) {
    let set = raw.dhcp == Some(true)
        || !raw.addresses.is_empty()
        || raw.gateway.is_some()
        || !raw.routes.is_empty()
        || raw.mtu.is_some()
        || raw.metric.is_some();
    if set {
        let finding = Finding::error(
            "the interface is left alone, and set up as well",
            "contradicts the rest",
        );
        finder.say(
            &path.key("unmanaged"),
            finding.with_help("remove this line, or everything else but the name"),
        );
    }
}

/// All bits of the host are zero, in a network that is large enough for that to matter.
fn is_network_itself(cidr: &Cidr) -> bool {
    match cidr.address {
        std::net::IpAddr::V4(address) => {
            cidr.prefix < 31 && u32::from(address).trailing_zeros() >= 32 - u32::from(cidr.prefix)
        }
        std::net::IpAddr::V6(address) => {
            cidr.prefix < 127 && u128::from(address).trailing_zeros() >= 128 - u32::from(cidr.prefix)
        }
    }
}
