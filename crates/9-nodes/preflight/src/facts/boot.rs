//! What systemd makes at boot: directories and links of tmpfiles.d, mounts, sockets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{FileTree, Storage, TreeEntry};

/// File system that is mounted at boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MountPoint {
    /// Folder.
    pub path: String,
    /// Kind.
    pub storage: Storage,
    /// Options: `nodev`, `noexec`, ...
    pub options: Vec<String>,
}

/// File systems that systemd mounts without units (mount_table in its src/shared/mount-setup.c).
const API_FILE_SYSTEMS: [(&str, Storage, &str); 7] = [
    ("/dev", Storage::Kernel, "nosuid"),
    ("/dev/shm", Storage::Memory, "nosuid,nodev"),
    ("/proc", Storage::Kernel, "nosuid,noexec,nodev"),
    ("/run", Storage::Memory, "nosuid,nodev"),
    ("/sys", Storage::Kernel, "nosuid,noexec,nodev"),
    ("/sys/fs/cgroup", Storage::Kernel, "nosuid,noexec,nodev"),
    ("/sys/fs/bpf", Storage::Kernel, "nosuid,noexec,nodev"),
];

/// Mounts of systemd, before units are read.
pub(super) fn api_file_systems() -> Vec<MountPoint> {
    let mount = |(path, storage, options): (&str, Storage, &str)| MountPoint {
        path: path.to_owned(),
        storage,
        options: split(options),
    };
    API_FILE_SYSTEMS.into_iter().map(mount).collect()
}

fn split(options: &str) -> Vec<String> {
    options
        .split(',')
        .filter(|option| !option.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Values of a section of a unit, in the order of the lines: `Key=value`.
fn values<'u>(unit: &'u str, section: &str) -> Vec<(&'u str, &'u str)> {
    let mut is_inside = false;
    let mut found = Vec::new();
    for line in unit.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_inside = name == section;
        } else if is_inside && !line.starts_with(['#', ';']) {
            found.extend(line.split_once('=').map(|(key, value)| (key.trim(), value.trim())));
        }
    }
    found
}

/// Mount of a unit; `None` for units that mount nothing for the node's life, such as the boot partition.
pub(super) fn mount_of(unit: &str) -> Option<MountPoint> {
    let mut fields = BTreeMap::new();
    fields.extend(values(unit, "Mount"));
    let path = fields.get("Where")?;
    let storage = match *fields.get("Type").unwrap_or(&"") {
        "ext4" | "xfs" => Storage::State,
        "overlay" => Storage::Overlay,
        "tmpfs" | "ramfs" => Storage::Memory,
        "vfat" => return None,
        _ => Storage::Kernel,
    };
    Some(MountPoint {
        path: (*path).to_owned(),
        storage,
        options: split(fields.get("Options").unwrap_or(&"")),
    })
}

/// Port that something listens on, with the address if it is not all of them.
pub(super) type Listener = (u16, Option<IpAddr>);

/// Paths and ports that a socket unit listens on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SocketUnit {
    /// Paths of sockets.
    pub(super) paths: Vec<String>,
    /// Ports.
    pub(super) ports: Vec<Listener>,
}

/// Reads a socket unit.
pub(super) fn socket_of(unit: &str) -> SocketUnit {
    let addresses = values(unit, "Socket");
    let addresses = addresses.iter().filter(|(key, _)| key.starts_with("Listen"));
    let mut socket = SocketUnit::default();
    for (_, address) in addresses {
        // A specifier: a socket of each instance of a template.
        if address.contains('%') {
            continue;
        }
        if address.starts_with('/') {
            socket.paths.push((*address).to_owned());
        } else {
            socket.ports.extend(listener(address));
        }
    }
    socket
}

/// Reads `80`, `127.0.0.1:80` or `[::1]:80`; `None` for what is no port.
fn listener(address: &str) -> Option<Listener> {
    if let Ok(socket) = address.parse::<SocketAddr>() {
        return Some((socket.port(), Some(socket.ip()).filter(|ip| !ip.is_unspecified())));
    }
    let port = address.rsplit(':').next()?.parse().ok()?;
    Some((port, None))
}

/// Value of a key in any section: `Storage=persistent`.
pub(super) fn value_of<'u>(unit: &'u str, section: &str, key: &str) -> Option<&'u str> {
    let values = values(unit, section);
    values
        .into_iter()
        .rfind(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

/// Adds what a file of tmpfiles.d makes. Lines with specifiers (`%b`) are left out: nobody mounts those.
pub(super) fn add_tmpfiles(tree: &mut FileTree, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let mut fields = line.split_whitespace();
        let (Some(kind), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        if path.contains('%') || !path.starts_with('/') {
            continue;
        }
        let target = fields.nth(4);
        let entry = match kind.chars().next() {
            Some('d' | 'D' | 'v' | 'q' | 'Q') => TreeEntry::Directory,
            Some('f' | 'F') => TreeEntry::File,
            Some('L') => TreeEntry::Link(target.unwrap_or_default().to_owned()),
            _ => continue,
        };
        tree.add(path.trim_end_matches('/'), entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmpfiles_are_read() {
        let mut tree = FileTree::default();
        let text = "# comment\nd /var/opt 0755 root root -\nL+ /var/run - - - - ../run\nd /run/%b 0755\nf! /run/x 0644 - - - text\n\
                    z /run/y 0600 root root\nq /tmp 1777 root root 10d\n";
        add_tmpfiles(&mut tree, text);
        assert_eq!(tree.entry("/var/opt"), Some(&TreeEntry::Directory));
        assert_eq!(tree.entry("/var/run"), Some(&TreeEntry::Link("../run".to_owned())));
        assert_eq!(tree.entry("/run/x"), Some(&TreeEntry::File));
        assert_eq!((tree.entry("/run/y"), tree.entry("/run/%b")), (None, None));
        assert_eq!(tree.real_path("/var/run/a"), "/run/a");
    }

    #[test]
    fn units_are_read() {
        let unit = "[Unit]\nDescription=x\n[Mount]\n# Where=/no\nWhat=overlay\nWhere=/etc\nType=overlay\nOptions=nodev,nosuid\n";
        let mount = mount_of(unit).expect("a mount");
        assert_eq!((mount.path.as_str(), mount.storage), ("/etc", Storage::Overlay));
        assert_eq!(mount.options, ["nodev", "nosuid"]);
        assert_eq!(mount_of("[Mount]\nWhere=/boot\nType=vfat\n"), None);
        let socket = "[Socket]\nListenStream=127.0.0.1:10239\nListenStream=/run/a.sock\nListenDatagram=53\nListenNetlink=audit 1\n\
                      ListenStream=[::]:80\n";
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(
            socket_of(socket),
            SocketUnit {
                paths: vec!["/run/a.sock".to_owned()],
                ports: vec![(10239, Some(loopback)), (53, None), (80, None)],
            }
        );
        assert_eq!(
            value_of("[Journal]\nStorage=auto\nStorage=persistent\n", "Journal", "Storage"),
            Some("persistent")
        );
    }
}
