//! `local-volume`: volumes on the disk of one node.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};
use crate::volume::VolumeSource;

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "local-volume",
    title: "A volume is on the disk of one node",
    verdict: WorkloadVerdict::RunsOtherwise,
    topic: RuleTopic::Volumes,
    source: "https://github.com/rancher/local-path-provisioner/issues/31",
    reason: "The data of a local volume, and of a hostPath, stays on the node of before. A node that takes its place has an empty folder, and \
             under another name the pod waits for ever: `volume node affinity conflict`.",
    examples: &[
        RuleExample::objects(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: data}\nspec:\n  capacity: {storage: 1Gi}\n  \
             local: {path: /var/lib/data}\n",
        ),
        RuleExample::objects(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: data}\nspec:\n  capacity: {storage: 1Gi}\n  \
             hostPath: {path: /var/lib/data}\n",
        ),
    ],
    counter_examples: &[RuleExample::objects(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: data}\nspec:\n  capacity: {storage: 1Gi}\n  \
         csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}\n",
    )],
    check,
};

fn check(subject: &Subject<'_>, _: &Context<'_>, found: &mut Found<'_>) {
    let Some(volume) = subject.storage().and_then(|storage| storage.volume.as_ref()) else {
        return;
    };
    if let VolumeSource::Local { path } | VolumeSource::HostPath { path, .. } = &volume.source {
        let help = "move the data before the node goes: a backup and restore, or replicas on other nodes";
        found.add(
            &volume.place,
            format!("the data in {} stays on its node", path.value),
            help,
        );
    }
}
