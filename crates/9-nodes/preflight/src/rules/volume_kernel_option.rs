//! `volume-kernel-option`: file systems and protocols of volumes that the kernel has to know.

use crate::examine::{Context, Found, Subject};
use crate::place::Place;
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};
use crate::volume::VolumeSource;

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "volume-kernel-option",
    title: "A volume needs a file system or a protocol that the kernel does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Volumes,
    source: "https://github.com/flatcar/Flatcar/issues/161",
    reason: "NFS, SMB, CephFS, RBD, iSCSI, NVMe over TCP and the file systems of volumes are parts of the kernel. They are looked up in its \
             configuration.",
    examples: &[
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: disks}\nprovisioner: ebs.csi.aws.com\n\
             parameters: {csi.storage.k8s.io/fstype: btrfs}\n",
        ),
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: share}\nprovisioner: smb.csi.k8s.io\n",
        )
        .on(&[FactChange::OptionOff("CONFIG_CIFS")]),
    ],
    counter_examples: &[
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: disks}\nprovisioner: ebs.csi.aws.com\n\
             parameters: {csi.storage.k8s.io/fstype: xfs}\n",
        ),
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: share}\nprovisioner: smb.csi.k8s.io\n",
        ),
    ],
    check,
};

/// Volumes that the kubelet mounts, and CSI drivers by parts of their names, with options that have to be on.
const SOURCES: [(&str, &[&str]); 15] = [
    ("cephfs", &["CONFIG_CEPH_FS"]),
    ("fc", &["CONFIG_SCSI_FC_ATTRS"]),
    ("iscsi", &["CONFIG_ISCSI_TCP"]),
    ("nfs", &["CONFIG_NFS_FS", "CONFIG_NFS_V4"]),
    ("rbd", &["CONFIG_BLK_DEV_RBD"]),
    ("cephfs.csi.ceph.com", &["CONFIG_CEPH_FS"]),
    ("rbd.csi.ceph.com", &["CONFIG_BLK_DEV_RBD"]),
    ("efs.csi.aws.com", &["CONFIG_NFS_FS", "CONFIG_NFS_V4_1"]),
    ("file.csi.azure.com", &["CONFIG_CIFS"]),
    ("filestore.csi.storage.gke.io", &["CONFIG_NFS_FS", "CONFIG_NFS_V3"]),
    ("io.openebs.csi-mayastor", &["CONFIG_NVME_TCP"]),
    ("linstor.csi.linbit.com", &["CONFIG_BLK_DEV_DRBD"]),
    ("nfs.csi.k8s.io", &["CONFIG_NFS_FS", "CONFIG_NFS_V4"]),
    ("smb.csi.k8s.io", &["CONFIG_CIFS"]),
    ("zfs.csi.openebs.io", &["CONFIG_ZFS"]),
];
/// File systems of volumes, with their options.
const FILE_SYSTEMS: [(&str, &str); 4] = [
    ("btrfs", "CONFIG_BTRFS_FS"),
    ("ext4", "CONFIG_EXT4_FS"),
    ("xfs", "CONFIG_XFS_FS"),
    ("zfs", "CONFIG_ZFS"),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let kernel = &context.node.kernel;
    let mut report = |what: &str, place: &Place, options: &[&str]| {
        let off: Vec<&str> = options.iter().copied().filter(|option| !kernel.is_on(option)).collect();
        if !off.is_empty() {
            let help = "choose another driver or file system, or turn the option on in distro/packages/kernel and build the image";
            found.add(place, format!("{what} needs {} in the kernel", off.join(", ")), help);
        }
    };
    let mut look_up = |name: &str, place: &Place| {
        let of_name = SOURCES
            .iter()
            .find(|(source, _)| name == *source || source.contains('.') && name.ends_with(source));
        if let Some((_, options)) = of_name {
            report(name, place, options);
        }
    };
    for volume in subject.volumes() {
        match &volume.source {
            VolumeSource::InTree(kind) => look_up(kind, &volume.place),
            VolumeSource::Csi { driver } => look_up(&driver.value, &driver.place),
            _ => {}
        }
    }
    let Some(storage) = subject.storage() else { return };
    if let Some(provisioner) = storage.provisioner.as_ref().filter(|_| storage.volume.is_none()) {
        look_up(&provisioner.value, &provisioner.place);
    }
    let types = storage
        .parameters
        .iter()
        .filter(|(key, _)| key.to_lowercase().ends_with("fstype"));
    for (_, value) in types {
        if let Some((name, option)) = FILE_SYSTEMS.iter().find(|(name, _)| *name == value.value) {
            report(name, &value.place, &[option]);
        }
    }
}
