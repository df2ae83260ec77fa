//! Interfaces, bonds and VLANs against one another: of two that claim one interface, networkd follows one.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use crate::address::{Address, Cidr, InterfacePattern};
use crate::checked::InterfaceMatch;
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

/// Most entries of `interfaces`, and members of bonds.
const MOST: usize = 1000;
/// Most VLANs: their numbers, on two links.
const MOST_VLANS: usize = 8192;
/// Most characters of the name of an interface (`IFNAMSIZ`).
const LONGEST_NAME: usize = 15;

/// Member of a bond.
struct Member<'r> {
    bond: &'r str,
    text: &'r str,
    matches: InterfaceMatch,
    path: Path,
}

impl Member<'_> {
    /// Returns `true` if the interface of this name is the member.
    fn is(&self, name: &str) -> bool {
        matches!(&self.matches, InterfaceMatch::Name(pattern) if pattern.fits(name))
    }

    /// Returns `true` if every interface that fits is a member by this.
    fn has_all(&self, matches: &InterfaceMatch) -> bool {
        match matches {
            InterfaceMatch::Name(pattern) if pattern.is_name() => self.is(pattern.as_str()),
            _ => self.matches == *matches,
        }
    }
}

pub(super) fn check(finder: &mut Finder<'_>, path: &Path, network: &raw::Network) {
    let members: usize = network.bonds.iter().map(|bond| bond.members.len()).sum();
    for (key, count, most) in [
        ("interfaces", network.interfaces.len(), MOST),
        ("bonds", members.max(network.bonds.len()), MOST),
        ("vlans", network.vlans.len(), MOST_VLANS),
    ] {
        if count > most {
            let finding = Finding::error(
                format!("`{key}` has {count} entries or members, and {most} are allowed"),
                "too many",
            );
            return finder.say(&path.key(key), finding.with_help("use patterns: `en*`"));
        }
    }
    let checks = Checks {
        path,
        network,
        made: made(network),
        matches: network.interfaces.iter().map(matched).collect(),
        members: self::members(path, network),
    };
    checks.names(finder);
    checks.members(finder);
    checks.entries(finder);
    checks.vlans(finder);
    addresses(finder, &path.key("interfaces"), &network.interfaces);
}

/// Names of the interfaces that the node makes.
fn made(network: &raw::Network) -> HashSet<&str> {
    let bonds = network.bonds.iter().map(|bond| bond.name.as_str());
    bonds
        .chain(network.vlans.iter().map(|vlan| vlan.name.as_str()))
        .collect()
}

fn members<'r>(path: &Path, network: &'r raw::Network) -> Vec<Member<'r>> {
    let mut found = Vec::new();
    for (index, bond) in network.bonds.iter().enumerate() {
        let place = path.key("bonds").index(index).key("members");
        for (index, text) in bond.members.iter().enumerate() {
            let matches = if text.contains(':') {
                text.parse().map(InterfaceMatch::Mac)
            } else {
                text.parse().map(InterfaceMatch::Name)
            };
            // One that is neither is told already.
            found.extend(matches.ok().map(|matches| Member {
                bond: &bond.name,
                text,
                matches,
                path: place.index(index),
            }));
        }
    }
    found
}

/// Interfaces that an entry is about.
fn matched(entry: &raw::Interface) -> Option<InterfaceMatch> {
    match (&entry.name, &entry.mac) {
        (Some(name), None) => name.parse().ok().map(InterfaceMatch::Name),
        (None, Some(mac)) => mac.parse().ok().map(InterfaceMatch::Mac),
        _ => None,
    }
}

struct Checks<'r> {
    path: &'r Path,
    network: &'r raw::Network,
    made: HashSet<&'r str>,
    /// Interfaces that each entry is about; `None` for one that does not say so.
    matches: Vec<Option<InterfaceMatch>>,
    members: Vec<Member<'r>>,
}

impl Checks<'_> {
    /// Names that no interface has, and the one that is never the network's.
    fn names(&self, finder: &mut Finder<'_>) {
        // Those of one interface are checked by themselves; those of several may be patterns.
        let mut patterns: Vec<(Path, &str)> = Vec::new();
        let mut names: Vec<(Path, &str)> = Vec::new();
        let place = |key: &str, index: usize, field: &str| self.path.key(key).index(index).key(field);
        for (index, entry) in self.network.interfaces.iter().enumerate() {
            let name = entry.name.as_deref();
            patterns.extend(name.map(|name| (place("interfaces", index, "name"), name)));
        }
        for (index, bond) in self.network.bonds.iter().enumerate() {
            names.push((place("bonds", index, "name"), &bond.name));
        }
        for (index, vlan) in self.network.vlans.iter().enumerate() {
            names.push((place("vlans", index, "name"), &vlan.name));
            names.push((place("vlans", index, "link"), &vlan.link));
        }
        patterns.extend(self.members.iter().map(|member| (member.path.clone(), member.text)));
        for (path, name) in names.iter().chain(&patterns).filter(|(_, name)| *name == "lo") {
            let finding = Finding::error(
                format!("`{name}` is the loopback, which the kernel sets up"),
                "not a network",
            );
            finder.say(
                path,
                finding.with_help("name an interface that `ip link` shows beside it"),
            );
        }
        for (path, name) in patterns {
            let is_name = name.parse::<InterfacePattern>().is_ok_and(|pattern| pattern.is_name());
            if is_name && name.len() > LONGEST_NAME {
                let message = format!(
                    "`{name}` has {} characters, and names of interfaces have at most {LONGEST_NAME}",
                    name.len()
                );
                let finding = Finding::warning(message, "fits nothing, unless it is an alternative name");
                finder.say(
                    &path,
                    finding.with_help("write the name that `ip link` shows, or a pattern"),
                );
            }
        }
    }

    /// Members that are no hardware, or are in two bonds.
    fn members(&self, finder: &mut Finder<'_>) {
        for (index, member) in self.members.iter().enumerate() {
            if self.made.contains(member.text) {
                let message = if member.text == member.bond {
                    format!("the bond `{}` is a member of itself", member.bond)
                } else {
                    format!(
                        "`{}` is made by the node, and only hardware is a member of a bond",
                        member.text
                    )
                };
                let help = "name the hardware, and give the bond a name that no hardware has: `bond0`";
                finder.say(&member.path, Finding::error(message, "never a member").with_help(help));
                continue;
            }
            let earlier = self.members.iter().take(index).find(|earlier| {
                let is_same = earlier.matches == member.matches;
                is_same
                    || earlier.bond != member.bond
                        && (earlier.has_all(&member.matches) || member.has_all(&earlier.matches))
            });
            if let Some(earlier) = earlier {
                let message = format!("`{}` is a member of the bond `{}` already", member.text, earlier.bond);
                let finding = Finding::error(message, "in two places");
                finder.say(&member.path, finding.with_help("name each interface once"));
            }
        }
    }

    /// Entries that never count: of members of bonds, and behind others.
    fn entries(&self, finder: &mut Finder<'_>) {
        let place = self.path.key("interfaces");
        let mut earlier: Vec<(usize, &InterfaceMatch)> = Vec::new();
        for (index, (entry, matches)) in self.network.interfaces.iter().zip(&self.matches).enumerate() {
            let Some(matches) = matches else { continue };
            let key = if entry.name.is_some() { "name" } else { "mac" };
            let place = place.index(index).key(key);
            let name = entry.name.as_deref().unwrap_or_default();
            // What is not hardware is taken by its whole name only.
            let is_made = self.made.contains(name);
            let member = self.members.iter().find(|member| !is_made && member.has_all(matches));
            if let Some(member) = member {
                let message = format!(
                    "this is a member of the bond `{}`, and has no settings of its own",
                    member.bond
                );
                let help = format!("give the addresses in an entry for `{}`", member.bond);
                finder.say(&place, Finding::error(message, "never used").with_help(help));
            } else if let Some((first, by)) = earlier.iter().find(|(_, by)| hides(by, matches, is_made)) {
                let by = match by {
                    InterfaceMatch::Name(name) => name.to_string(),
                    InterfaceMatch::Mac(mac) => mac.to_string(),
                };
                let message = format!(
                    "this entry never counts: `{by}`, entry {} of the list, fits all that it fits",
                    first + 1
                );
                let help = "the first entry that fits an interface counts: put the narrower one first, or remove it";
                finder.say(&place, Finding::error(message, "never used").with_help(help));
            }
            earlier.push((index, matches));
        }
    }

    /// VLANs that their link does not carry.
    fn vlans(&self, finder: &mut Finder<'_>) {
        let mut numbers: HashMap<(&str, u32), &str> = HashMap::new();
        for (index, vlan) in self.network.vlans.iter().enumerate() {
            let place = self.path.key("vlans").index(index);
            let link = vlan.link.as_str();
            let mut refuse = |key: &str, message: String, help: String| {
                finder.say(&place.key(key), Finding::error(message, "never there").with_help(help));
            };
            if let Some(other) = numbers.insert((link, vlan.id), &vlan.name) {
                let message = format!("`{other}` is the VLAN {} on `{link}` already", vlan.id);
                refuse("id", message, "keep one of them".to_owned());
            }
            let is_made = self.made.contains(link);
            if let Some(member) = self.members.iter().find(|member| !is_made && member.is(link)) {
                let message = format!(
                    "`{link}` is a member of the bond `{}`, and carries no VLAN",
                    member.bond
                );
                refuse("link", message, format!("write `link: {}`", member.bond));
                continue;
            }
            let fitting =
                self.network
                    .interfaces
                    .iter()
                    .zip(&self.matches)
                    .find_map(|(entry, matches)| match matches {
                        Some(InterfaceMatch::Name(name)) if name.as_str() == link => Some((entry, name)),
                        Some(InterfaceMatch::Name(name)) if !is_made && name.fits(link) => Some((entry, name)),
                        _ => None,
                    });
            let Some((entry, name)) = fitting else { continue };
            if name.as_str() != link {
                let message =
                    format!("`{link}` follows the entry `{name}`, which is of many interfaces and carries no VLAN");
                refuse("link", message, format!("put an entry with `name: {link}` before it"));
            } else if entry.unmanaged {
                let message = format!("`{link}` is left alone (`unmanaged`), and carries no VLAN");
                refuse("link", message, "remove `unmanaged` there, or this VLAN".to_owned());
            }
        }
    }
}

/// Returns `true` if an entry takes every interface that another one fits.
fn hides(by: &InterfaceMatch, other: &InterfaceMatch, is_made: bool) -> bool {
    let (InterfaceMatch::Name(by), InterfaceMatch::Name(name)) = (by, other) else {
        return by == other;
    };
    if is_made || name.is_name() {
        return by == name || !is_made && by.fits(name.as_str());
    }
    // Of two patterns, those that differ in their beginnings alone are compared: `en*` has all of `eno*`.
    let beginning = by.as_str().strip_suffix('*');
    let beginning =
        beginning.filter(|beginning| !beginning.contains(['*', '?', '[', '!']) && !name.as_str().starts_with('!'));
    by == name || beginning.is_some_and(|beginning| name.as_str().starts_with(beginning))
}

/// Addresses that no host has, or that are given twice; ways out by the node itself.
fn addresses(finder: &mut Finder<'_>, path: &Path, entries: &[raw::Interface]) {
    let mut given: HashSet<IpAddr> = HashSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let place = path.index(index);
        let mut own = HashSet::new();
        for (index, text) in entry.addresses.iter().enumerate() {
            let Ok(cidr) = text.parse::<Cidr>() else { continue };
            let place = place.key("addresses").index(index);
            if let Some(reason) = no_host(&cidr) {
                let finding = Finding::error(format!("`{cidr}` is no address of a host: {reason}"), "not a host");
                finder.say(&place, finding.with_help("write the node's own address"));
            } else if !given.insert(cidr.address) {
                let finding = Finding::error(format!("`{}` is given twice", cidr.address), "given again here");
                finder.say(&place, finding.with_help("keep one of them"));
            }
            own.insert(cidr.address);
        }
        let mut ways: Vec<(Path, &str)> = Vec::new();
        ways.extend(entry.gateway.as_deref().map(|gateway| (place.key("gateway"), gateway)));
        let routes = entry.routes.iter().enumerate();
        ways.extend(routes.map(|(index, route)| (place.key("routes").index(index).key("via"), route.via.as_str())));
        for (place, router) in ways {
            if router.parse::<Address>().is_ok_and(|router| own.contains(&router.0)) {
                let finding = Finding::error(
                    format!("`{router}` is the node's own address, and no way out"),
                    "the node itself",
                );
                finder.say(&place, finding.with_help("write the address of the router"));
            }
        }
    }
}

/// Reason for which no host has an address, if there is one.
fn no_host(cidr: &Cidr) -> Option<&'static str> {
    let address = cidr.address;
    if address.is_loopback() {
        return Some("it is the loopback's");
    }
    if address.is_multicast() {
        return Some("it is one of a group of hosts");
    }
    if address.is_unspecified() {
        return Some("it stands for all of them");
    }
    let IpAddr::V4(v4) = address else { return None };
    let hosts = u32::MAX.checked_shr(u32::from(cidr.prefix)).unwrap_or(0);
    match v4.octets() {
        [0, ..] => Some("it is of the network 0.0.0.0/8, which means \"this network\""),
        _ if v4.is_broadcast() => Some("it is that of all hosts"),
        _ if cidr.prefix < 31 && u32::from(v4) & hosts == hosts => {
            Some("it is that of all hosts in its network (broadcast)")
        }
        _ => None,
    }
}
