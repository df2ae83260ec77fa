//! /etc/network/interfaces, as Debian's ifupdown reads it.

use std::net::Ipv4Addr;

use super::{bonding, default_route, push_once};
use crate::host_files::HostFiles;
use crate::redaction::{hosts, known_or_hidden, lists};
use crate::syntax::lines;
use crate::{HostBond, HostInterface, HostNetwork, HostRoute, HostVlan};

/// Options that are not read, by their names with hyphens. Those of bonds, bridges and wireless networks are in [`OF_BONDS`] and
/// [`KINDS`]. Of other words, which may be what is left of a broken line, there is a sign.
const OPTIONS: &str = "accept-ra autoconf client down dns-domain dns-options dns-sortlist endpoint ethernet-port ethtool \
    gro-offload gso-offload hwaddress hostname leasetime lease link-autoneg link-duplex link-speed local media metric mode \
    offload-gro offload-gso offload-lro offload-rx offload-tso offload-tx pointopoint post-down post-up pre-down pre-up privext \
    request-prefix scope sg-offload tso-offload ttl unmanaged up vendor vlan-id wait-delay";
/// Options of bonds (ifenslave), without `bond-`.
const OF_BONDS: &str = "active-port active-slave ad-actor-sys-prio ad-actor-system ad-select ad-user-port-key all-ports-active \
    all-slaves-active arp-all-targets arp-interval arp-ip-target arp-validate downdelay fail-over-mac give-a-chance lacp-active \
    lacp-rate lp-interval master miimon min-links mode num-grat-arp num-unsol-na packets-per-port packets-per-slave \
    peer-notif-delay primary primary-reselect queue-id resend-igmp tlb-dynamic-lb updelay use-carrier xmit-hash-policy";
/// Options of bridges (bridge-utils), without `bridge-`.
const OF_BRIDGES: &str = "access ageing allow-untagged bridgeprio fd garbage gcint hello hw maxage maxwait mcqifaddr mcquerier \
    mcrouter mcsnoop pathcost portprio pvid stp trunk vids vlan-aware vlan-protocol waitport";
/// Options of wireless networks (wireless-tools), without `wireless-`.
const OF_WIRELESS: &str = "ap channel commit enc essid frag freq key key1 key2 key3 key4 keymode mode nick nwid power rate retry rts \
    sens txpower";
/// Options of wpasupplicant, without `wpa-`.
const OF_WPA: &str = "altsubject-match altsubject-match2 anonymous-identity ap-scan auth-alg bridge bssid ca-cert ca-cert2 ca-path \
    ca-path2 client-cert client-cert2 conf debug-level dh-file dh-file2 driver eap eap-workaround eapol-flags eappsk engine engine-id \
    fast-reauth frequency group identity ieee80211w iface key-id key-mgmt logfile maint-debug mapping-script mapping-script-priority \
    mode nai pac-file pairwise passphrase password pcsc phase1 phase2 pin priority private-key private-key-passwd \
    private-key-passwd2 private-key2 proactive-key-caching proto psk roam roam-default-iface scan-ssid ssid subject-match \
    subject-match2 verbosity wep-key0 wep-key1 wep-key2 wep-key3 wep-tx-keyidx";
/// Beginnings of options, with the names that follow.
const KINDS: [(&str, &str); 3] = [("bridge-", OF_BRIDGES), ("wireless-", OF_WIRELESS), ("wpa-", OF_WPA)];

/// Ways to an address that are read.
const METHODS: [&str; 5] = ["auto", "dhcp", "loopback", "manual", "static"];

/// Reads the file and those of the folder beside it.
pub(super) fn read(files: &mut HostFiles<'_>, network: &mut HostNetwork) {
    for path in files.with_parts("/etc/network/interfaces", "/etc/network/interfaces.d", "") {
        let Some(text) = files.text(&path) else { continue };
        if add(network, &text) {
            network.files.push(path);
        }
    }
}

/// Adds the interfaces of a file; returns `false` if it has none but the loopback.
fn add(network: &mut HostNetwork, text: &str) -> bool {
    let mut is_found = false;
    let mut name = String::new();
    for line in lines(text) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (key, values) = match words.split_first() {
            Some((key, values)) => (*key, values),
            None => continue,
        };
        if key == "iface" {
            name = values.first().copied().unwrap_or_default().to_owned();
            if name == "lo" || name.is_empty() {
                name.clear();
                continue;
            }
            is_found = true;
            let interface = interface(network, &name);
            interface.dhcp |= values.contains(&"dhcp") || values.contains(&"auto");
            if values.get(2).is_some_and(|method| !METHODS.contains(method)) {
                push_once(&mut interface.others, "method".to_owned());
            }
            if let Some((link, id)) = name
                .rsplit_once('.')
                .and_then(|(link, id)| Some((link, id.parse().ok()?)))
            {
                vlan(network, &name, link, Some(id));
            }
        } else if ["auto", "allow-hotplug", "source", "source-directory", "mapping"].contains(&key) {
            name.clear();
        } else if !name.is_empty() {
            option(network, &name, key, values);
        }
    }
    is_found
}

/// Applies an option of a stanza.
fn option(network: &mut HostNetwork, name: &str, key: &str, values: &[&str]) {
    let Some(first) = values.first() else { return };
    // Both spellings are ifupdown's.
    let key = key.replace('_', "-");
    if let Some(parameter) = key.strip_prefix("bond-") {
        bond_parameter(bond(network, name), parameter, first, values);
        return;
    }
    match key.as_str() {
        "vlan-raw-device" => return vlan(network, name, first, None),
        "bridge-ports" => network.others.push(format!("bridge {name}")),
        _ => {}
    }
    let interface = interface(network, name);
    let words = || values.iter().copied();
    match key.as_str() {
        "address" => interface.addresses.push((*first).to_owned()),
        "netmask" => {
            if let (Some(address), Some(length)) = (interface.addresses.last_mut(), prefix_length(first))
                && !address.contains('/')
            {
                *address = format!("{address}/{length}");
            }
        }
        "gateway" => interface.routes.push(default_route((*first).to_owned())),
        "mtu" => interface.mtu = first.parse().ok(),
        "dns-nameservers" | "dns-nameserver" => interface.name_servers.extend(hosts(words())),
        "dns-search" => interface.search.extend(hosts(words())),
        "up" | "post-up" => match route(values) {
            Some(route) => interface.routes.push(route),
            None => push_once(&mut interface.others, key.clone()),
        },
        // What takes a route away again, and what follows from the address.
        "down" | "pre-down" | "post-down" if values.contains(&"route") => {}
        "broadcast" | "network" | "bridge-ports" => {}
        other => {
            let is_of_kind = KINDS.iter().any(|(kind, names)| {
                let name = other.strip_prefix(*kind);
                name.is_some_and(|name| lists(names, name))
            });
            let name = match is_of_kind {
                true => other.to_owned(),
                false => known_or_hidden(OPTIONS, other),
            };
            push_once(&mut interface.others, name);
        }
    }
}

/// Applies a parameter of a bond, or names it.
fn bond_parameter(bond: &mut HostBond, parameter: &str, first: &str, values: &[&str]) {
    if ["slaves", "ports"].contains(&parameter) {
        let members = hosts(values.iter().copied());
        bond.members.extend(members.filter(|member| member != "none"));
    } else if !bonding::apply(bond, parameter, first) {
        push_once(&mut bond.others, known_or_hidden(OF_BONDS, parameter));
    }
}

/// Entry of an interface, made if there is none.
fn interface<'n>(network: &'n mut HostNetwork, name: &str) -> &'n mut HostInterface {
    let at = network.interfaces.iter().position(|interface| interface.name == name);
    let at = at.unwrap_or(network.interfaces.len());
    if at == network.interfaces.len() {
        network.interfaces.push(HostInterface {
            name: name.to_owned(),
            is_configured: true,
            ..HostInterface::default()
        });
    }
    last_or_at(&mut network.interfaces, at)
}

/// Entry of a bond, made if there is none.
fn bond<'n>(network: &'n mut HostNetwork, name: &str) -> &'n mut HostBond {
    let at = network.bonds.iter().position(|bond| bond.name == name);
    let at = at.unwrap_or(network.bonds.len());
    if at == network.bonds.len() {
        network.bonds.push(HostBond {
            name: name.to_owned(),
            ..HostBond::default()
        });
    }
    last_or_at(&mut network.bonds, at)
}

/// Element of a list that has it.
#[expect(clippy::indexing_slicing, reason = "the callers have made the element")]
fn last_or_at<T>(list: &mut [T], at: usize) -> &mut T {
    &mut list[at]
}

/// Makes the entry of a VLAN, or corrects the interface that it is on. A number may be in the name: `vlan10`.
fn vlan(network: &mut HostNetwork, name: &str, link: &str, id: Option<u64>) {
    if let Some(vlan) = network.vlans.iter_mut().find(|vlan| vlan.name == name) {
        vlan.link = link.to_owned();
        return;
    }
    let digits = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    network.vlans.push(HostVlan {
        name: name.to_owned(),
        id: id.or_else(|| digits.parse().ok()).unwrap_or_default(),
        link: link.to_owned(),
    });
}

/// Route of a command `ip route add 10.0.0.0/8 via 10.0.0.1`.
fn route(words: &[&str]) -> Option<HostRoute> {
    let at = words.iter().position(|word| ["route", "r", "ro"].contains(word))?;
    let mut rest = words.iter().skip(at + 2);
    let to = rest.next()?;
    let via = rest.skip_while(|word| **word != "via").nth(1)?;
    Some(HostRoute {
        to: (*to).to_owned(),
        via: Some((*via).to_owned()),
        ..HostRoute::default()
    })
}

/// Length of the prefix that a mask stands for: `255.255.255.0`, `24`.
fn prefix_length(mask: &str) -> Option<u32> {
    match mask.parse::<Ipv4Addr>() {
        Ok(mask) => Some(u32::from(mask).leading_ones()),
        Err(_) => mask.parse().ok().filter(|length| *length <= 128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_read() {
        let text = "auto lo\niface lo inet loopback\nauto bond0\niface bond0 inet static\n  address 10.0.0.2\n  netmask 255.255.255.0\n  \
                    gateway 10.0.0.1\n  bond-slaves eno1 eno2\n  bond-mode 802.3ad\n  dns-nameservers 10.0.0.3\n  up ip route add 172.16.0.0/12 via 10.0.0.9\n\
                    auto bond0.10\niface bond0.10 inet manual\n  mtu 9000\niface ens3 inet dhcp\n";
        let mut network = HostNetwork::default();
        assert!(add(&mut network, text));
        let names: Vec<_> = network
            .interfaces
            .iter()
            .map(|interface| interface.name.as_str())
            .collect();
        assert_eq!(names, ["bond0", "bond0.10", "ens3"]);
        let bond = &network.interfaces[0];
        assert_eq!((bond.addresses[0].as_str(), bond.routes.len()), ("10.0.0.2/24", 2));
        assert_eq!(bond.routes[1].via.as_deref(), Some("10.0.0.9"));
        assert_eq!(network.bonds[0].members, ["eno1", "eno2"]);
        assert_eq!((network.vlans[0].id, network.vlans[0].link.as_str()), (10, "bond0"));
        assert!(network.interfaces[2].dhcp);
        assert!(bond.others.is_empty() && network.bonds[0].others.is_empty());
        assert!(!add(&mut HostNetwork::default(), "auto lo\niface lo inet loopback\n"));
    }

    #[test]
    fn options_that_are_not_read_are_named() {
        let text = "iface bond0 inet static\n  address 10.0.0.2/24\n  bond_mode 4\n  bond-lacp-rate 1\n  bond-xmit-hash-policy 7\n  bond-miimon 100\n  \
                    bond-downdelay 200\n  bond-slaves eno1 eno2 --token hunter2\niface wlan0 inet ppp\n  wpa-psk hunter2\n  hwaddress x\n  \
                    post-up /usr/local/bin/fw hunter2\n  down ip route del 10.0.0.0/8\n  Hunter2 x\n  password: hunter2\n";
        let mut network = HostNetwork::default();
        assert!(add(&mut network, text));
        let bond = &network.bonds[0];
        assert_eq!(
            (
                bond.mode.as_deref(),
                bond.lacp_rate.as_deref(),
                bond.hash_policy.as_deref()
            ),
            (Some("802.3ad"), Some("fast"), None)
        );
        assert_eq!(
            (&bond.members[..], &bond.others[..]),
            (
                &["eno1".to_owned(), "eno2".to_owned()][..],
                &["xmit-hash-policy".to_owned(), "downdelay".to_owned()][..]
            )
        );
        assert_eq!(
            network.interfaces[1].others,
            ["method", "wpa-psk", "hwaddress", "post-up", "*"]
        );
        assert!(!format!("{network:?}").to_lowercase().contains("hunter2"));
    }

    #[test]
    fn words_are_no_names_by_their_beginnings() {
        let text = "iface wlan0 inet manual\n  wpa-hunter x\n  bridge-hunter x\n  wireless-hunter x\n  bond-hunter x\n  wpa-ssid x\n  \
                    bridge_stp on\n  wireless-key1 x\n  bond-updelay 200\n";
        let mut network = HostNetwork::default();
        assert!(add(&mut network, text));
        assert_eq!(
            network.interfaces[0].others,
            ["*", "wpa-ssid", "bridge-stp", "wireless-key1"]
        );
        assert_eq!(network.bonds[0].others, ["*", "updelay"]);
    }
}
