//! Rules about file systems, volumes and servers of them.

use super::super::{HostFound, HostRule, HostSubject, listed};
use crate::WorkloadVerdict::RunsOtherwise;

/// File systems of servers.
const OF_SERVERS: [&str; 12] = [
    "9p",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.sshfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
];
/// Folders of the system itself.
const OF_SYSTEM: [&str; 5] = ["/", "/boot", "/boot/efi", "/efi", "/var/lib/lxcfs"];

pub(super) const RULES: [HostRule; 5] = [
    HostRule {
        id: "host-mount-server",
        title: "A node mounts no file system of a server",
        verdict: RunsOtherwise,
        reason: "Nothing on a node mounts what /etc/fstab names. Pods that find the folder by a host path find an empty one.",
        check: mount_of_server,
    },
    HostRule {
        id: "host-mount-disk",
        title: "A node has no further disks",
        verdict: RunsOtherwise,
        reason: "All that is written is on one partition, /var. Other disks are left alone, for a storage driver; a folder of the kubelet, of containerd or of pods that has a disk of its own has none there.",
        check: mount_of_disk,
    },
    HostRule {
        id: "host-volume-layer",
        title: "A node sets up no LVM, mdraid, encryption or multipath",
        verdict: RunsOtherwise,
        reason: "The programs for it are compared with those of the image. The kernel's drivers are there for storage drivers that bring the programs.",
        check: volume_layer,
    },
    HostRule {
        id: "host-iscsi",
        title: "A node logs in to no iSCSI target",
        verdict: RunsOtherwise,
        reason: "The program iscsiadm and its service are compared with those of the image.",
        check: iscsi,
    },
    HostRule {
        id: "host-export",
        title: "A node serves no files",
        verdict: RunsOtherwise,
        reason: "There is no NFS server in the image.",
        check: export,
    },
];

fn mount_of_server(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let systems = subject.host.storage.filesystems.iter();
    for system in systems.filter(|system| OF_SERVERS.contains(&system.kind.as_str())) {
        let place = if system.is_configured {
            "/etc/fstab"
        } else {
            "/proc/mounts"
        };
        found.add(
            place,
            format!("{} is mounted on {} ({})", system.source, system.target, system.kind),
            "make it a PersistentVolume of a storage driver, and have the pods claim it",
        );
    }
}

fn mount_of_disk(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let systems = subject.host.storage.filesystems.iter();
    let others = systems.filter(|system| !OF_SERVERS.contains(&system.kind.as_str()));
    for system in others.filter(|system| !OF_SYSTEM.contains(&system.target.as_str())) {
        let place = if system.is_configured {
            "/etc/fstab"
        } else {
            "/proc/mounts"
        };
        let is_of_node = ["/var", "/home", "/tmp", "/opt", "/srv", "/usr"].contains(&system.target.as_str())
            || ["/var/lib/kubelet", "/var/lib/containerd", "/var/lib/docker", "/var/log"]
                .iter()
                .any(|folder| system.target.starts_with(folder));
        let help = match is_of_node {
            true => "make the node's disk large enough: it is on its /var there",
            false => "move the data, and leave the disk to a storage driver",
        };
        found.add(
            place,
            format!("{} ({}) is mounted on {}", system.source, system.kind, system.target),
            help,
        );
    }
}

fn volume_layer(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let storage = &subject.host.storage;
    let multipath = if storage.has_multipath {
        vec!["multipath.conf".to_owned()]
    } else {
        Vec::new()
    };
    let layers = [
        ("/etc/lvm", "volume groups of LVM", &storage.volume_groups, "lvm"),
        ("/proc/mdstat", "arrays", &storage.arrays, "mdadm"),
        ("/etc/crypttab", "encrypted volumes", &storage.encrypted, "cryptsetup"),
        ("/etc/multipath.conf", "ways to disks", &multipath, "multipathd"),
    ];
    for (place, what, names, program) in layers {
        if names.is_empty() || subject.node.has_program(program) {
            continue;
        }
        found.add(
            place,
            format!("the host has {what}: {}", listed(names.iter().map(String::as_str), 8)),
            format!("a node has no `{program}`: give it a plain disk, and leave the others to a storage driver"),
        );
    }
}

fn iscsi(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let targets = &subject.host.storage.iscsi_targets;
    if !targets.is_empty() && !subject.node.has_program("iscsiadm") {
        found.add(
            "/etc/iscsi/nodes",
            format!("the host logs in to {}", listed(targets.iter().map(String::as_str), 4)),
            "use a storage driver that brings iscsiadm, or another protocol",
        );
    }
}

fn export(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let exports = &subject.host.storage.exports;
    if !exports.is_empty() {
        found.add(
            "/etc/exports",
            format!("the host serves {}", listed(exports.iter().map(String::as_str), 4)),
            "serve it from another machine, or from a pod with a volume",
        );
    }
}
