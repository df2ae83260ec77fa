//! `nfs-lock`: locks of NFS version 3.

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "nfs-lock",
    title: "A volume of NFS version 3 needs rpc.statd for its locks",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Volumes,
    source: "https://github.com/siderolabs/talos/issues/6582",
    reason: "Mounts of version 3 with locks start rpc.statd on the client: `rpc.statd is not running but is required for remote locking`. \
             Version 4 has locks in its protocol.",
    examples: &[RuleExample::objects(
        "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: share}\nspec:\n  capacity: {storage: 1Gi}\n  \
         mountOptions: [nfsvers=3]\n  csi: {driver: nfs.csi.k8s.io, volumeHandle: share}\n",
    )
    .on(&[FactChange::NoPath("/usr/bin/rpc.statd")])],
    counter_examples: &[
        RuleExample::objects(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: share}\nspec:\n  capacity: {storage: 1Gi}\n  \
             mountOptions: [nfsvers=3, nolock]\n  csi: {driver: nfs.csi.k8s.io, volumeHandle: share}\n",
        ),
        RuleExample::objects(
            "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: share}\nprovisioner: nfs.csi.k8s.io\n\
             mountOptions: [nfsvers=4.1]\n",
        ),
    ],
    check,
};

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let Some(storage) = subject.storage().filter(|_| !context.node.has_program("rpc.statd")) else {
        return;
    };
    let options = || storage.mount_options.iter().flat_map(|option| option.value.split(','));
    if options().any(|option| matches!(option, "nolock" | "local_lock=all")) {
        return;
    }
    let is_v3 = |option: &str| matches!(option, "nfsvers=3" | "vers=3" | "v3");
    for option in storage
        .mount_options
        .iter()
        .filter(|option| option.value.split(',').any(is_v3))
    {
        let help = "mount version 4 (nfsvers=4.1), or add nolock where no two clients lock one file";
        found.add(
            &option.place,
            "the node has no rpc.statd for locks of NFS version 3",
            help,
        );
    }
}
