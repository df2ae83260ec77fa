//! Bonds and VLANs: the interfaces that the node makes.

use std::collections::{HashMap, HashSet};

use crate::checked::{Bond, InterfaceMatch, Vlan};
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

pub(super) fn bonds(finder: &mut Finder<'_>, path: &Path, raw: &[raw::Bond]) -> Vec<Bond> {
    let mut names = HashSet::new();
    let mut checked = Vec::new();
    for (index, raw) in raw.iter().enumerate() {
        let place = path.index(index);
        if !names.insert(&raw.name) {
            twice(finder, &place, &raw.name);
        }
        checked.extend(bond(finder, &place, raw));
    }
    checked
}

fn bond(finder: &mut Finder<'_>, path: &Path, raw: &raw::Bond) -> Option<Bond> {
    let name = finder.parse(&path.key("name"), &raw.name);
    let place = path.key("members");
    if raw.members.is_empty() {
        let finding = Finding::error(format!("the bond `{}` has no members", raw.name), "nobody to bond");
        finder.say(
            &place,
            finding.with_help("add names or hardware addresses: `[eno1, eno2]`"),
        );
    }
    let mut members = Vec::new();
    for (index, member) in raw.members.iter().enumerate() {
        let place = place.index(index);
        members.extend(if member.contains(':') {
            finder.parse(&place, member).map(InterfaceMatch::Mac)
        } else {
            finder.parse(&place, member).map(InterfaceMatch::Name)
        });
    }
    let mode = raw.mode.unwrap_or(raw::BondMode::ActiveBackup);
    if raw.lacp_rate.is_some() && mode != raw::BondMode::Lacp {
        let finding = Finding::error(format!("the mode `{}` has no LACP", mode.name()), "without effect");
        finder.say_missing(
            &path.key("lacpRate"),
            &[path.key("mode")],
            finding.with_help("write `mode: 802.3ad`, or remove this line"),
        );
    }
    let spreads = matches!(
        mode,
        raw::BondMode::Lacp | raw::BondMode::Xor | raw::BondMode::TransmitLoad
    );
    if raw.transmit_hash_policy.is_some() && !spreads {
        let finding = Finding::error(format!("the mode `{}` uses no hash", mode.name()), "without effect");
        finder.say_missing(
            &path.key("transmitHashPolicy"),
            &[path.key("mode")],
            finding.with_help("write `mode: 802.3ad` or `balance-xor`, or remove this line"),
        );
    }
    Some(Bond {
        name: name?,
        members,
        mode,
        lacp_rate: raw.lacp_rate,
        transmit_hash_policy: raw.transmit_hash_policy,
    })
}

pub(super) fn vlans(finder: &mut Finder<'_>, path: &Path, network: &raw::Network) -> Vec<Vlan> {
    let mut names: HashSet<&String> = network.bonds.iter().map(|bond| &bond.name).collect();
    let vlans = network.vlans.iter().enumerate();
    let last: HashMap<&String, usize> = vlans.map(|(index, vlan)| (&vlan.name, index)).collect();
    let mut checked = Vec::new();
    for (index, raw) in network.vlans.iter().enumerate() {
        let place = path.index(index);
        if last.get(&raw.link).is_some_and(|made| *made >= index) {
            let finding = Finding::error(
                format!("`{}` is on `{}`, which is made later", raw.name, raw.link),
                "not there yet",
            );
            finder.say(
                &place.key("link"),
                finding.with_help("put the VLAN that others are on before them"),
            );
        }
        if !names.insert(&raw.name) {
            twice(finder, &place, &raw.name);
        }
        let name = finder.parse(&place.key("name"), &raw.name);
        let link = finder.parse(&place.key("link"), &raw.link);
        checked.extend(name.zip(link).map(|(name, link)| Vlan { name, id: raw.id, link }));
    }
    checked
}

fn twice(finder: &mut Finder<'_>, path: &Path, name: &str) {
    let finding = Finding::error(
        format!("two interfaces are made with the name `{name}`"),
        "given again here",
    );
    finder.say(&path.key("name"), finding.with_help("give each a name of its own"));
}
