//! `flex-volume`: drivers of FlexVolume, the programs that came before CSI.

use crate::examine::{Context, Found, Subject};
use crate::rule::{PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};
use crate::volume::VolumeSource;

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "flex-volume",
    title: "A FlexVolume driver is installed where the kubelet does not look, or is not installed",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::HostPaths,
    source: "https://kubernetes.io/docs/concepts/storage/volumes/#flexvolume",
    reason: "The kubelet looks for FlexVolume drivers in one folder, which is below /usr by default. Drivers are shell scripts or need \
             programs of the node, as a rule; the node has no shell.",
    examples: &[
        RuleExample::host_path("/etc/kubernetes/volumeplugins"),
        RuleExample::pod(
            "  containers:\n    - {name: main, image: example}\n  volumes:\n    - name: share\n      \
             flexVolume: {driver: fstab/cifs}",
        ),
    ],
    counter_examples: &[RuleExample::host_path("/var/lib/kubelet/volume-plugins")],
    check,
};

/// Folders that drivers are installed to elsewhere: the kubelet's default, those of AKS, Rancher, CoreOS and GKE.
const FOLDERS: [&str; 5] = [
    "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/etc/kubernetes/volumeplugins",
    "/var/lib/kubelet/volumeplugins",
    "/opt/libexec/kubernetes/kubelet-plugins/volume/exec",
    "/home/kubernetes/flexvolume",
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let node = context.node;
    let own = node.locate(&node.kubelet.volume_plugins).path;
    for path in subject.host_paths() {
        let real = node.locate(path.path).path;
        if FOLDERS.iter().any(|folder| crate::facts::is_below(path.path, folder))
            && !crate::facts::is_below(&real, &own)
        {
            let message = format!(
                "the kubelet looks for FlexVolume drivers in {own}, not in {}",
                path.path
            );
            found.add(
                path.place,
                message,
                "use a CSI driver; or set the driver's folder to the kubelet's",
            );
        }
    }
    for volume in subject.volumes() {
        let VolumeSource::Flex { driver } = &volume.source else {
            continue;
        };
        let folder = driver.value.replace('/', "~");
        let program = driver.value.rsplit('/').next().unwrap_or_default();
        if !node.locate(&format!("{own}/{folder}/{program}")).is_there() {
            found.add(
                &driver.place,
                format!("the node has no FlexVolume driver {}", driver.value),
                "use a CSI driver",
            );
        }
    }
}
