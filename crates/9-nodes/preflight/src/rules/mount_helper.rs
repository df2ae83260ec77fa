//! `mount-helper`: programs that the kubelet calls to mount volumes.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};
use crate::volume::VolumeSource;

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "mount-helper",
    title: "The kubelet mounts a volume with a program that the image does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Volumes,
    source: "https://github.com/Azure/AKS/issues/5772",
    reason: "Volumes of the kinds nfs, iscsi, cephfs and glusterfs are mounted by the kubelet, in the node, with mount.nfs, iscsiadm and their \
             like. CSI drivers bring these programs in their containers.",
    examples: &[
        RuleExample::pod(
            "  containers: [{name: main, image: example}]\n  volumes:\n    - name: share\n      nfs: {server: nfs.example.com, path: /share}",
        )
        .on(&[FactChange::NoPath("/usr/bin/mount.nfs")]),
        RuleExample::objects(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: disk}\nspec:\n  capacity: {storage: 1Gi}\n  \
             iscsi: {targetPortal: '10.0.0.1', iqn: 'iqn.2026-01.com.example:disk', lun: 0}\n",
        )
        .on(&[FactChange::NoPath("/usr/bin/iscsiadm")]),
    ],
    counter_examples: &[
        RuleExample::objects(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: share}\nspec:\n  capacity: {storage: 1Gi}\n  \
             csi: {driver: nfs.csi.k8s.io, volumeHandle: share}\n",
        ),
        RuleExample::pod(
            "  containers: [{name: main, image: example}]\n  volumes:\n    - name: share\n      nfs: {server: nfs.example.com, path: /share}",
        )
        .on(&[FactChange::File("/usr/bin/mount.nfs")]),
    ],
    check,
};

/// Kinds of volumes, the program that the kubelet calls, and the driver that does without.
const HELPERS: [(&str, &str, &str); 5] = [
    ("cephfs", "mount.ceph", "ceph-csi (cephfs.csi.ceph.com)"),
    (
        "glusterfs",
        "mount.glusterfs",
        "another kind of volume: Kubernetes 1.26 removed it",
    ),
    ("iscsi", "iscsiadm", "the CSI driver of the storage system"),
    ("nfs", "mount.nfs", "csi-driver-nfs (nfs.csi.k8s.io)"),
    ("rbd", "rbd", "ceph-csi (rbd.csi.ceph.com)"),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    for volume in subject.volumes() {
        let VolumeSource::InTree(kind) = &volume.source else {
            continue;
        };
        let helper = HELPERS.iter().find(|(name, ..)| name == kind);
        if let Some((_, program, instead)) = helper.filter(|(_, program, _)| !context.node.has_program(program)) {
            let help = format!(
                "use {instead}; for {program} in the image, a package has to be written (CONTRIBUTING.md, \"Add a package\")"
            );
            found.add(
                &volume.place,
                format!("the kubelet mounts {kind} with {program}, which the node does not have"),
                help,
            );
        }
    }
}
