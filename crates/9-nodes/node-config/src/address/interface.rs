//! Interfaces: their names, patterns of names, and hardware addresses.

use std::fmt;
use std::str::FromStr;

use crate::name::checked_text;
use basalt_document::Finding;

/// The hardware address of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        let complete = bytes.iter_mut().all(|byte| match parts.next() {
            Some(part) if part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                u8::from_str_radix(part, 16).map(|value| *byte = value).is_ok()
            }
            _ => false,
        });
        if complete && parts.next().is_none() {
            return Ok(Self(bytes));
        }
        let finding = Finding::error(format!("`{text}` is not a hardware address"), "not a hardware address");
        Err(finding.with_help("write six pairs of hexadecimal digits: `52:54:00:12:34:56`"))
    }
}

checked_text! {
    /// Pattern of interface names, with the wildcards of networkd.
    InterfacePattern, |text| {
        let good = !text.is_empty()
            && text.len() < 64
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.*?[]!@".contains(c));
        if good {
            return Ok(());
        }
        let finding = Finding::error(format!("`{text}` is not the name of an interface"), "not a name");
        Err(finding.with_help("write a name such as `eth0`, or a pattern such as `en*`"))
    }
}

impl InterfacePattern {
    /// Returns `true` for the name of one interface, without wildcards.
    pub fn is_name(&self) -> bool {
        !self.as_str().contains(['*', '?', '[']) && !self.as_str().starts_with('!')
    }

    /// Returns `true` if an interface of this name fits, as fnmatch(3) says. A `!` before a pattern inverts it, as networkd
    /// has it.
    pub fn fits(&self, name: &str) -> bool {
        match self.as_str().strip_prefix('!') {
            Some(pattern) => !matches(pattern.as_bytes(), name.as_bytes()),
            None => matches(self.as_str().as_bytes(), name.as_bytes()),
        }
    }
}

/// Matches a name by a pattern. The crate `glob` is of paths, and the image has no other use for one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // What follows the last `*`, and what it may still take.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            star = Some((rest, name));
            pattern = rest;
        } else if let Some((rest, after)) = one(pattern, name) {
            (pattern, name) = (rest, after);
        } else if pattern.is_empty() && name.is_empty() {
            return true;
        } else if let Some((rest, [_, after @ ..])) = star {
            star = Some((rest, after));
            (pattern, name) = (rest, after);
        } else {
            return false;
        }
    }
}

/// Rests of a pattern and of a name, if the name's first character fits.
fn one<'p, 'n>(pattern: &'p [u8], name: &'n [u8]) -> Option<(&'p [u8], &'n [u8])> {
    let ((wanted, rest), (first, after)) = (pattern.split_first()?, name.split_first()?);
    let (fits, rest) = match wanted {
        b'?' => (true, rest),
        b'[' => set(rest, *first).unwrap_or((*first == b'[', rest)),
        _ => (wanted == first, rest),
    };
    fits.then_some((rest, after))
}

/// `true` if a character is in the set that begins a pattern, after its `[`; and the pattern after the set. `None` for a set
/// that does not end.
fn set(pattern: &[u8], character: u8) -> Option<(bool, &[u8])> {
    let (is_negated, pattern) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    // A `]` that comes first is one of the set.
    let end = pattern.iter().skip(1).position(|end| *end == b']')? + 1;
    let (mut members, rest) = (pattern.get(..end)?, pattern.get(end + 1..)?);
    let mut is_in = false;
    while let Some((first, more)) = members.split_first() {
        let (last, more) = match more {
            [b'-', last, more @ ..] => (last, more),
            _ => (first, more),
        };
        is_in |= (*first..=*last).contains(&character);
        members = more;
    }
    Some((is_in != is_negated, rest))
}

checked_text! {
    /// The name of one interface, as the kernel takes it: at most 15 characters (`IFNAMSIZ`).
    InterfaceName, |text| {
        let good = text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
        if good && (1..=15).contains(&text.len()) && text != "." && text != ".." {
            return Ok(());
        }
        let finding = Finding::error(format!("`{text}` is not the name of one interface"), "not a name");
        Err(finding.with_help("write at most 15 letters, digits, `-`, `_` and `.`: `bond0`, `vlan10`"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_of_interfaces() {
        let fits = |pattern: &str, name: &str| pattern.parse::<InterfacePattern>().unwrap().fits(name);
        for (pattern, name) in [
            ("eth0", "eth0"),
            ("en*", "eno1"),
            ("*", "eth0"),
            ("e*1", "eno1"),
            ("e?h0", "eth0"),
            ("eth[0-2]", "eth1"),
            ("eth[!0-2]", "eth3"),
            ("eth[02]", "eth2"),
            ("e*n*1", "ens1n1"),
            ("eth[0", "eth[0"),
            ("!eth*", "eno1"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("eth0", "eth01"),
            ("en*", "eth0"),
            ("e?h0", "eh0"),
            ("eth[0-2]", "eth3"),
            ("eth[!0-2]", "eth1"),
            ("e*n*1", "ens2"),
            ("eth[0", "eth0"),
            ("!eth*", "eth1"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    proptest! {
        #[test]
        fn hardware_addresses_come_back_whole(bytes: [u8; 6]) {
            let mac = MacAddress(bytes);
            prop_assert_eq!(mac.to_string().parse::<MacAddress>(), Ok(mac));
        }

        #[test]
        fn nothing_panics(text in any::<String>(), pattern in "[a*?\\[\\]!0-]{1,20}", name in "[a0-]{0,15}") {
            let _ = text.parse::<MacAddress>();
            let _ = text.parse::<InterfacePattern>().map(|pattern| pattern.fits("eth0"));
            let _ = pattern.parse::<InterfacePattern>().map(|pattern| pattern.fits(&name));
        }

        #[test]
        fn each_name_fits_itself(name in "[a-z0-9]{1,15}", at in 0usize..15) {
            let fits = |pattern: &str| pattern.parse::<InterfacePattern>().unwrap().fits(&name);
            let (before, after) = name.split_at(at.min(name.len()));
            for pattern in [name.clone(), format!("{before}*{after}"), format!("{before}*")] {
                prop_assert!(fits(&pattern), "{}", pattern);
            }
        }
    }
}
