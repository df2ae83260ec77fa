//! The network part.

use std::collections::HashSet;

use super::{gateways, interfaces, links, same_family};
use crate::address::{Address, Cidr};
use crate::checked::{HostDns, Interface, InterfaceMatch, NetworkSettings, Route};
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

/// Least MTU of an interface with IPv6 (RFC 8200): the kernel takes IPv6 from one with less.
const SMALLEST_OF_IPV6: u32 = 1280;

pub(super) fn network(finder: &mut Finder<'_>, path: &Path, raw: &raw::Network) -> NetworkSettings {
    interfaces::check(finder, path, raw);
    let place = path.key("interfaces");
    // Without a metric that has another type, ways out would be taken for equal ones.
    if !finder.has_unfit(&place) {
        gateways::check(finder, &place, &raw.interfaces);
    }
    let links: HashSet<&str> = raw.vlans.iter().map(|vlan| vlan.link.as_str()).collect();
    let interfaces = raw.interfaces.iter().enumerate();
    let interfaces = interfaces
        .filter_map(|(index, raw)| {
            let carries_vlans = raw.name.as_deref().is_some_and(|name| links.contains(name));
            interface(finder, &place.index(index), raw, carries_vlans)
        })
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
    NetworkSettings {
        interfaces,
        bonds,
        vlans,
        dns: dns.unwrap_or_default(),
    }
}

fn interface(finder: &mut Finder<'_>, path: &Path, raw: &raw::Interface, carries_vlans: bool) -> Option<Interface> {
    let matches = interface_match(finder, path, raw);
    let addresses: Vec<Cidr> = finder.parse_all(&path.key("addresses"), &raw.addresses);
    let dhcp = raw.asks_dhcp();
    if raw.unmanaged {
        left_alone(finder, path, raw);
    } else if !dhcp && raw.addresses.is_empty() && !(carries_vlans && leads_nowhere(raw)) {
        let finding = Finding::error(
            "the interface has neither addresses nor DHCP",
            "this leaves it without an address",
        );
        finder.say_missing(
            &path.key("dhcp"),
            &["addresses", "dhcp", "unmanaged"].map(|key| path.key(key)),
            finding.with_help("add `addresses:`, or set `dhcp: true`; `unmanaged: true` leaves the interface alone"),
        );
    }
    hosts(finder, &path.key("addresses"), &raw.addresses);
    mtu(finder, path, raw, &addresses);
    let gateway = gateway(finder, path, raw, &addresses, dhcp);
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

fn interface_match(finder: &mut Finder<'_>, path: &Path, raw: &raw::Interface) -> Option<InterfaceMatch> {
    match (&raw.name, &raw.mac) {
        (Some(name), None) => finder.parse(&path.key("name"), name).map(InterfaceMatch::Name),
        (None, Some(mac)) => finder.parse(&path.key("mac"), mac).map(InterfaceMatch::Mac),
        (Some(_), Some(_)) => {
            let finding = Finding::error("the interface is named twice, by `name` and by `mac`", "one too many");
            finder.say(&path.key("mac"), finding.with_help("keep one of them"));
            None
        }
        (None, None) => {
            let finding = Finding::error("it is not said which interface is meant", "this interface");
            finder.say_missing(
                path,
                &["name", "mac"].map(|key| path.key(key)),
                finding.with_help("add `name: en*`, or `mac:` with its hardware address"),
            );
            None
        }
    }
}

/// Checks that addresses are those of a host, as far as they are addresses.
fn hosts(finder: &mut Finder<'_>, path: &Path, given: &[String]) {
    for (index, text) in given.iter().enumerate() {
        let Ok(address) = text.parse::<Cidr>() else { continue };
        if is_network_itself(&address) && !address.address.is_unspecified() {
            let finding = Finding::error(
                format!("`{address}` is the network, not an address in it"),
                "not a host",
            );
            finder.say(&path.index(index), finding.with_help("write the node's own address"));
        }
    }
}

fn mtu(finder: &mut Finder<'_>, path: &Path, raw: &raw::Interface, addresses: &[Cidr]) {
    if raw.mtu.is_some_and(|mtu| mtu < SMALLEST_OF_IPV6) && addresses.iter().any(|cidr| cidr.address.is_ipv6()) {
        let finding = Finding::error(
            format!("IPv6 needs packets of {SMALLEST_OF_IPV6} bytes, and the interface has an address of it"),
            "too small for IPv6",
        );
        finder.say(
            &path.key("mtu"),
            finding.with_help(format!(
                "write {SMALLEST_OF_IPV6} or more, or remove the addresses of IPv6"
            )),
        );
    }
}

/// The default router, which is on the link or in one of the interface's networks.
fn gateway(
    finder: &mut Finder<'_>,
    path: &Path,
    raw: &raw::Interface,
    addresses: &[Cidr],
    dhcp: bool,
) -> Option<Address> {
    let gateway: Option<Address> = finder.parse_given(&path.key("gateway"), raw.gateway.as_ref());
    if raw.gateway_on_link && raw.gateway.is_none() {
        let finding = Finding::error("there is no `gateway` that could be on the link", "without effect");
        finder.say_missing(
            &path.key("gatewayOnLink"),
            &[path.key("gateway")],
            finding.with_help("add `gateway:`, or remove this line"),
        );
    }
    if let Some(gateway) = gateway
        && !raw.gateway_on_link
    {
        reachable(finder, &path.key("gateway"), gateway, addresses, dhcp);
    }
    gateway
}

fn route(finder: &mut Finder<'_>, path: &Path, raw: &raw::Route, own: &[Cidr], dhcp: bool) -> Option<Route> {
    let via: Option<Address> = finder.parse(&path.key("via"), &raw.via);
    let to: Option<Cidr> = match raw.to.as_str() {
        "default" => {
            let all = via.map(|via| if via.0.is_ipv4() { "0.0.0.0/0" } else { "::/0" });
            let help = all.map_or_else(
                || "write `0.0.0.0/0` or `::/0`".to_owned(),
                |all| format!("write `{all}`"),
            );
            let finding = Finding::error("`default` is the name of no network", "not a network");
            finder.say(&path.key("to"), finding.with_help(help));
            None
        }
        network => finder.parse(&path.key("to"), network),
    };
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

/// Returns `true` for an entry without a way to anywhere: all that what carries VLANs may have without an address.
fn leads_nowhere(raw: &raw::Interface) -> bool {
    raw.gateway.is_none() && raw.routes.is_empty()
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
