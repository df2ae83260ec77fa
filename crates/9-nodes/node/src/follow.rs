//! Changes of the network after the node has joined: other addresses, name servers, time servers.
//!
//! networkd and resolved write what they know to files in `/run`. Name servers that pods can use go to the kubelet's
//! file, time servers to chronyd's. When an address that the node registered with is gone and there is another, the
//! kubelet has to start again: it keeps the one that it was told (`basalt-follow.service`).

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::address::{self, AddressSource, Choice, Family, Wanted};
use crate::apply::{self, ApplyError, below};
use crate::paths;
use crate::plan::PlannedFile;

/// Pause between looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);

/// Number of looks in a row that have to see other addresses before these are believed.
const TIMES: u32 = 5;

/// Number of name servers that a C library asks (`MAXNS` of glibc); the kubelet warns of more at every pod.
const NAME_SERVERS: usize = 3;

/// Brings the files of the kubelet and of chronyd up to date.
pub fn refresh(root: &Path) -> Result<(), ApplyError> {
    let read = |path: &str| fs_err::read_to_string(below(root, path)).unwrap_or_default();
    update(
        root,
        paths::KUBELET_RESOLV_CONF,
        name_servers(&read(paths::RESOLV_CONF)),
    )?;
    // A NodeConfig that names time servers means these and no others.
    if below(root, paths::TIME_SERVERS).exists() {
        return Ok(());
    }
    let servers = time_servers(&read(paths::NETWORK_STATE));
    // Each change of this file, its appearance as well, starts chronyd again (basalt-time-servers.path).
    if servers == read(paths::TIME_SERVERS_OF_DHCP) {
        return Ok(());
    }
    update(root, paths::TIME_SERVERS_OF_DHCP, servers)
}

/// Writes a file if there is something else in it.
fn update(root: &Path, path: &str, content: String) -> Result<(), ApplyError> {
    if fs_err::read_to_string(below(root, path)).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let file = PlannedFile {
        path: path.to_owned(),
        mode: 0o644,
        content,
    };
    apply::write(root, &file)
}

/// Follows the network until the kubelet has to start with other addresses, and returns them.
pub fn until_change(root: &Path, wanted: &Wanted) -> Result<Vec<IpAddr>, ApplyError> {
    let mut network = AddressSource::new(wanted);
    let mut seen = 0;
    loop {
        refresh(root)?;
        let (old, new) = (address::written(root), network.addresses());
        seen = if is_change(wanted, &old, &new, address::is_own) {
            seen + 1
        } else {
            0
        };
        if seen >= TIMES {
            return Ok(new);
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Returns `true` if the node has to register with new addresses in the place of old ones: there are more of them, one
/// of the old ones is gone, or the first one was of a family that the cluster does not use.
fn is_change(wanted: &Wanted, old: &[IpAddr], new: &[IpAddr], is_own: fn(IpAddr) -> bool) -> bool {
    if new.is_empty() || new == old {
        return false;
    }
    let primary = wanted.choices.first().map(|choice| match choice {
        Choice::Named(address) => Family::of(*address),
        Choice::Found(family) => *family,
    });
    let first = |addresses: &[IpAddr]| addresses.first().map(|address| Family::of(*address));
    let better = first(old) != primary && first(new) == primary;
    new.len() > old.len() || better || old.iter().any(|address| !is_own(*address))
}

/// The part of a `resolv.conf` that pods get: at most three name servers, and none that only this machine reaches. A
/// link-local one has a meaning together with an interface, which a pod does not have.
fn name_servers(resolv_conf: &str) -> String {
    let mut count = 0;
    let kept = resolv_conf.lines().filter(|line| {
        let Some(server) = line.strip_prefix("nameserver") else {
            return true;
        };
        let server = server.trim().split('%').next().unwrap_or_default();
        let usable = server.parse::<IpAddr>().is_ok_and(address::is_usable);
        count += usize::from(usable);
        usable && count <= NAME_SERVERS
    });
    kept.map(|line| format!("{line}\n")).collect()
}

/// The time servers of networkd's state (`NTP=` of `/run/systemd/netif/state`), in chrony's format.
fn time_servers(state: &str) -> String {
    let servers = state
        .lines()
        .find_map(|line| line.strip_prefix("NTP="))
        .unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    let servers = servers.split_whitespace().filter(|server| server.chars().all(plain));
    servers.map(|server| format!("server {server} iburst\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_pods() {
        let given = "# by resolved\nnameserver fe80::1%eth0\nnameserver 10.0.0.1\nnameserver 127.0.0.53\n\
                     nameserver fd00::1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nsearch example.com\noptions edns0\n";
        let expected = "# by resolved\nnameserver 10.0.0.1\nnameserver fd00::1\nnameserver 10.0.0.2\n\
                        search example.com\noptions edns0\n";
        assert_eq!(name_servers(given), expected);
        assert_eq!(name_servers(""), "");
    }

    #[test]
    fn time_servers_of_a_lease() {
        let state = "OPER_STATE=routable\nDNS=10.0.0.1\nNTP=10.0.0.1 ntp.example fd00::1\n";
        let expected = "server 10.0.0.1 iburst\nserver ntp.example iburst\nserver fd00::1 iburst\n";
        assert_eq!(time_servers(state), expected);
        assert_eq!(time_servers("OPER_STATE=routable\n"), "");
        // What a DHCP server makes up does not become a directive.
        assert_eq!(time_servers("NTP=a;b\n"), "");
    }

    #[test]
    fn files_are_brought_up_to_date() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = below(root.path(), path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        let read = |path: &str| fs_err::read_to_string(below(root.path(), path)).unwrap();
        refresh(root.path()).unwrap();
        assert_eq!(read(paths::KUBELET_RESOLV_CONF), "");
        assert!(!below(root.path(), paths::TIME_SERVERS_OF_DHCP).exists());
        write(paths::RESOLV_CONF, "nameserver 10.0.0.1\n");
        write(paths::NETWORK_STATE, "NTP=10.0.0.2\n");
        refresh(root.path()).unwrap();
        assert_eq!(read(paths::KUBELET_RESOLV_CONF), "nameserver 10.0.0.1\n");
        assert_eq!(read(paths::TIME_SERVERS_OF_DHCP), "server 10.0.0.2 iburst\n");
        // Servers that the NodeConfig names are the only ones.
        write(paths::TIME_SERVERS, "server time.example iburst\n");
        write(paths::NETWORK_STATE, "NTP=10.0.0.3\n");
        refresh(root.path()).unwrap();
        assert_eq!(read(paths::TIME_SERVERS_OF_DHCP), "server 10.0.0.2 iburst\n");
    }

    #[test]
    fn addresses_that_change() {
        let all = |list: &[&str]| -> Vec<IpAddr> { list.iter().map(|address| address.parse().unwrap()).collect() };
        let wanted = Wanted {
            choices: vec![Choice::Found(Family::V4), Choice::Found(Family::V6)],
            ..Wanted::default()
        };
        let here: fn(IpAddr) -> bool = |_| true;
        let gone: fn(IpAddr) -> bool = |_| false;
        let cases = [
            (vec!["10.0.0.1"], vec!["10.0.0.1"], gone, false),
            (vec!["10.0.0.1"], vec![], gone, false),
            (vec!["10.0.0.1"], vec!["10.0.0.2"], here, false),
            (vec!["10.0.0.1"], vec!["10.0.0.2"], gone, true),
            (vec![], vec!["10.0.0.1"], here, true),
            (vec!["10.0.0.1"], vec!["10.0.0.1", "fd00::1"], here, true),
            (vec!["fd00::1"], vec!["10.0.0.1"], here, true),
        ];
        for (old, new, is_own, expected) in cases {
            assert_eq!(
                is_change(&wanted, &all(&old), &all(&new), is_own),
                expected,
                "{old:?} {new:?}"
            );
        }
    }
}
