//! Words of the kernel's bonding driver. Files may have its numbers in their place.

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

/// Name of a mode; `None` for what the kernel does not know.
pub(crate) fn mode(text: &str) -> Option<String> {
    word(&MODES, text)
}

/// Name of a rate of LACP.
pub(crate) fn lacp_rate(text: &str) -> Option<String> {
    word(&LACP_RATES, text)
}

/// Name of a policy of hashes.
pub(crate) fn hash_policy(text: &str) -> Option<String> {
    word(&HASH_POLICIES, text)
}

/// Returns `true` for the interval at which a node's bonds look at their links, too: 100 ms.
pub(crate) fn is_interval_of_node(text: &str) -> bool {
    text.trim_end_matches("ms") == "100"
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
    fn numbers_are_named() {
        assert_eq!(mode("4").as_deref(), Some("802.3ad"));
        assert_eq!(mode("802.3AD").as_deref(), Some("802.3ad"));
        assert_eq!((mode("7"), mode("lacp")), (None, None));
        assert_eq!(lacp_rate("1").as_deref(), Some("fast"));
        assert_eq!(hash_policy("1").as_deref(), Some("layer3+4"));
        assert!(is_interval_of_node("100") && is_interval_of_node("100ms") && !is_interval_of_node("1000"));
    }
}
