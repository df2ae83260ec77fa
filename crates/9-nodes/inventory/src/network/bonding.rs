//! Words of the kernel's bonding driver. Files may have its numbers in their place.

use crate::HostBond;

/// Modes, by their numbers.
const MODES: [&str; 7] = [
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];
/// Rates of LACP.
const LACP_RATES: [&str; 2] = ["slow", "fast"];
/// Policies of hashes.
const HASH_POLICIES: [&str; 6] = ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"];

/// Sets a parameter of a bond, whose key is one of netplan or of ifupdown. Returns `false` for another parameter, and for a value
/// that the kernel does not know. The interval at which a node's bonds look at their links, too, has no field.
pub(crate) fn apply(bond: &mut HostBond, key: &str, text: &str) -> bool {
    let (field, words) = match key {
        "mode" => (&mut bond.mode, MODES.as_slice()),
        "lacp-rate" => (&mut bond.lacp_rate, LACP_RATES.as_slice()),
        "transmit-hash-policy" | "xmit-hash-policy" => (&mut bond.hash_policy, HASH_POLICIES.as_slice()),
        "mii-monitor-interval" | "miimon" => return text.trim_end_matches("ms") == "100",
        _ => return false,
    };
    let Some(word) = word(words, text) else { return false };
    *field = Some(word);
    true
}

/// Names numbers in the parameters of a bond: inventories of older programs have them as files do.
pub(crate) fn name_numbers(bond: &mut HostBond) {
    for (field, words) in [
        (&mut bond.mode, MODES.as_slice()),
        (&mut bond.lacp_rate, LACP_RATES.as_slice()),
        (&mut bond.hash_policy, HASH_POLICIES.as_slice()),
    ] {
        let named = field.as_deref().and_then(|text| word(words, text));
        *field = named.or_else(|| field.take());
    }
}

fn word(words: &[&str], text: &str) -> Option<String> {
    let numbered = text.parse::<usize>().ok().and_then(|number| words.get(number));
    let named = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    numbered.or(named).map(|word| (*word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_have_the_words_of_the_kernel() {
        let mut bond = HostBond::default();
        for (key, text, is_known) in [
            ("mode", "4", true),
            ("mode", "7", false),
            ("mode", "lacp", false),
            ("lacp-rate", "1", true),
            ("xmit-hash-policy", "1", true),
            ("miimon", "100", true),
            ("mii-monitor-interval", "100ms", true),
            ("miimon", "1000", false),
            ("updelay", "1", false),
        ] {
            assert_eq!(apply(&mut bond, key, text), is_known, "{key} {text}");
        }
        let words = [&bond.mode, &bond.lacp_rate, &bond.hash_policy].map(Option::as_deref);
        assert_eq!(words, [Some("802.3ad"), Some("fast"), Some("layer3+4")]);
        assert!(apply(&mut bond, "mode", "802.3AD") && apply(&mut bond, "transmit-hash-policy", "2"));
        assert_eq!(
            (bond.mode.as_deref(), bond.hash_policy.as_deref()),
            (Some("802.3ad"), Some("layer2+3"))
        );
    }

    #[test]
    fn numbers_of_older_inventories_are_named() {
        let mut bond = HostBond {
            mode: Some("1".to_owned()),
            hash_policy: Some("x".to_owned()),
            ..HostBond::default()
        };
        name_numbers(&mut bond);
        assert_eq!(
            (bond.mode.as_deref(), bond.lacp_rate, bond.hash_policy.as_deref()),
            (Some("active-backup"), None, Some("x"))
        );
    }
}
