//! Facts about a machine that help whoever stands in front of it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use x509_cert::der::DateTime;

use crate::apply::below;

/// Facts of the status screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScreenFacts {
    /// Name and version of the system.
    pub system: String,
    /// Host name.
    pub hostname: String,
    /// Addresses of the machine, without those of loopback devices and of one link.
    pub addresses: Vec<String>,
    /// Network cards: name, MAC address, state of the link.
    pub cards: Vec<String>,
    /// Time of the clock, UTC, to the minute.
    pub time: String,
    /// Time since power-on.
    pub uptime: String,
}

impl ScreenFacts {
    /// Reads the facts of the machine whose root is here.
    pub fn read(root: &Path, now: SystemTime) -> Self {
        let text = |path: &str| fs_err::read_to_string(below(root, path)).unwrap_or_default();
        let mut addresses = ipv4_addresses(&text("/proc/net/fib_trie"));
        addresses.extend(ipv6_addresses(&text("/proc/net/if_inet6")));
        Self {
            system: pretty_name(&text("/usr/lib/os-release")).unwrap_or_else(|| "Basalt Linux".to_owned()),
            hostname: text("/proc/sys/kernel/hostname").trim().to_owned(),
            addresses,
            cards: cards(root),
            time: minute(now),
            uptime: uptime(&text("/proc/uptime")),
        }
    }
}

fn pretty_name(os_release: &str) -> Option<String> {
    let line = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

/// Local addresses in the text of `/proc/net/fib_trie`: leaves that have `/32 host LOCAL` below them. Pods of the host's
/// bridge have theirs there, too.
fn ipv4_addresses(trie: &str) -> Vec<String> {
    let (mut leaf, mut found) = (None, Vec::new());
    for line in trie.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = Some(address.to_owned());
        } else if line == "/32 host LOCAL"
            && let Some(address) = leaf.take()
            && !address.starts_with("127.")
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Addresses of global scope in the text of `/proc/net/if_inet6`.
fn ipv6_addresses(list: &str) -> Vec<String> {
    let address = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (digits, scope) = (fields.first()?, fields.get(3)?);
        let bits = u128::from_str_radix(digits, 16).ok()?;
        (*scope == "00").then(|| std::net::Ipv6Addr::from(bits).to_string())
    };
    list.lines().filter_map(address).collect()
}

/// Network devices with hardware behind them.
fn cards(root: &Path) -> Vec<String> {
    let folder = below(root, "/sys/class/net");
    let entries = fs_err::read_dir(&folder).into_iter().flatten().flatten();
    let mut cards: Vec<_> = entries
        .filter(|entry| entry.path().join("device").exists())
        .map(|entry| {
            let read = |file: &str| fs_err::read_to_string(entry.path().join(file)).unwrap_or_default();
            let name = entry.file_name().to_string_lossy().into_owned();
            format!("{name} {} {}", read("address").trim(), read("operstate").trim())
        })
        .collect();
    cards.sort();
    cards
}

/// Date and time to the minute; the last one of the year 9999 for clocks beyond it.
fn minute(now: SystemTime) -> String {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let time = DateTime::from_unix_duration(since_epoch).unwrap_or(DateTime::INFINITY);
    let (year, month, day) = (time.year(), time.month(), time.day());
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", time.hour(), time.minutes())
}

/// Time since power-on in words, from the text of `/proc/uptime`.
fn uptime(text: &str) -> String {
    let seconds: u64 = text
        .split('.')
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or_default();
    match seconds / 60 {
        minutes @ 0..120 => format!("{minutes} min"),
        minutes @ 120..2880 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\nLocal:\n     +-- 10.87.0.0/24 2 0 2\n        \
                    |-- 10.87.0.0\n           /24 link UNICAST\n        |-- 10.87.0.11\n           /32 host LOCAL\n        |-- 10.87.0.255\n           \
                    /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n        |-- 10.87.0.11\n           /32 host LOCAL\n";
        assert_eq!(ipv4_addresses(trie), ["10.87.0.11"]);
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fd000000000000000000000000000011 02 40 00 80     eth0\n\
                    fe800000000000005054000000000001 02 40 20 80     eth0\n";
        assert_eq!(ipv6_addresses(list), ["fd00::11"]);
    }

    #[test]
    fn dates() {
        let minute = |seconds| minute(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(minute(0), "1970-01-01 00:00");
        assert_eq!(minute(951_782_399), "2000-02-28 23:59");
        assert_eq!(minute(951_782_400), "2000-02-29 00:00");
        assert_eq!(minute(1_795_953_600), "2026-11-29 12:00");
        assert_eq!(minute(4_107_542_400), "2100-03-01 00:00");
    }

    #[test]
    fn a_machine_is_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            fs_err::create_dir_all(root.path().join(path).parent().unwrap()).unwrap();
            fs_err::write(root.path().join(path), text).unwrap();
        };
        write("usr/lib/os-release", "ID=basalt\nPRETTY_NAME=\"Basalt Linux 1\"\n");
        write("proc/sys/kernel/hostname", "node-1\n");
        write("proc/uptime", "7300.12 1.0\n");
        write("sys/class/net/eth0/device/x", "");
        write("sys/class/net/eth0/address", "52:54:00:00:00:01\n");
        write("sys/class/net/eth0/operstate", "down\n");
        write("sys/class/net/lo/operstate", "unknown\n");
        let facts = ScreenFacts::read(root.path(), SystemTime::UNIX_EPOCH);
        assert_eq!(
            (facts.system.as_str(), facts.hostname.as_str(), facts.uptime.as_str()),
            ("Basalt Linux 1", "node-1", "2 h")
        );
        assert_eq!(facts.cards, ["eth0 52:54:00:00:00:01 down"]);
        assert_eq!(uptime("59.9 1"), "0 min");
        assert_eq!(uptime("864000.0 1"), "10 days");
    }
}
