//! `iscsi-initiator`: storage that counts on the node's iSCSI daemon.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "iscsi-initiator",
    title: "A storage driver uses the node's iSCSI programs, which the image does not have",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Volumes,
    source: "https://github.com/longhorn/longhorn/issues/3161",
    reason: "Longhorn's first engine, and drivers of storage systems (HPE, Synology, NetApp's Trident, democratic-csi), run `iscsiadm` in the \
             node's namespaces. The kernel's part (iscsi_tcp) is in the image; open-iscsi is not, and is no package of Basalt's.",
    examples: &[
        RuleExample::pod("  containers:\n    - {name: longhorn-manager, image: 'longhornio/longhorn-manager:v1.10.0'}")
            .on(&[FactChange::NoPath("/usr/bin/iscsiadm")]),
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: disks}\nprovisioner: csi.san.synology.com\n",
        )
        .on(&[FactChange::NoPath("/usr/bin/iscsiadm")]),
    ],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: longhorn-manager, image: 'longhornio/longhorn-manager:v1.10.0'}")
            .on(&[FactChange::File("/usr/bin/iscsiadm")]),
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: disks}\nprovisioner: ebs.csi.aws.com\n",
        ),
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: disks}\nprovisioner: driver.longhorn.io\n\
             parameters: {dataEngine: v2}\n",
        ),
    ],
    check,
};

/// Images that run iscsiadm of the node.
const IMAGES: [&str; 6] = [
    "longhornio/longhorn-manager",
    "hpestorage/csi-driver",
    "synology/synology-csi",
    "openebs/cstor-csi-driver",
    "openebs/jiva-csi",
    "purestorage/px-pure-csi-driver",
];
/// Provisioners whose volumes are iSCSI disks that the node attaches.
const PROVISIONERS: [&str; 7] = [
    "csi.hpe.com",
    "csi.san.synology.com",
    "cstor.csi.openebs.io",
    "driver.longhorn.io",
    "jiva.csi.openebs.io",
    "org.democratic-csi.iscsi",
    "pure-csi",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    if context.node.has_program("iscsiadm") {
        return;
    }
    let help = "use NVMe over TCP, or Longhorn's second engine (`dataEngine: v2`): they do without; for open-iscsi in the image, a package has \
                to be written (CONTRIBUTING.md, \"Add a package\")";
    for container in subject.pod().into_iter().flat_map(|pod| pod.containers_of(&IMAGES)) {
        if let Some(image) = &container.image {
            let name = container.repository();
            found.add(
                &image.place,
                format!("{name} runs iscsiadm on the node, which does not have it"),
                help,
            );
        }
    }
    let Some(storage) = subject.storage() else { return };
    let is_v2 = storage
        .parameters
        .iter()
        .any(|(key, value)| key == "dataEngine" && value.value == "v2");
    let provisioner = storage.provisioner.as_ref().filter(|_| !is_v2);
    if let Some(provisioner) = provisioner.filter(|provisioner| PROVISIONERS.contains(&provisioner.value.as_str())) {
        let message = format!(
            "volumes of {} are attached with iscsiadm, which the node does not have",
            provisioner.value
        );
        found.add(&provisioner.place, message, help);
    }
}
