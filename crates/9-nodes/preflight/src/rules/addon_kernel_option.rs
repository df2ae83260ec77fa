//! `addon-kernel-option`: kernel options that an add-on documents.

use basalt_hardening::{Need, OptionState, compare_addons};

use crate::examine::{Context, Found, Subject};
use crate::rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};

pub(super) const RULE: PreflightRule = PreflightRule {
    id: "addon-kernel-option",
    title: "An add-on needs a kernel option that is off",
    verdict: WorkloadVerdict::WillNotRun,
    topic: RuleTopic::Kernel,
    source: "https://docs.cilium.io/en/stable/operations/system_requirements/",
    reason: "The options that add-ons document are in distro/kernel-requirements.toml, with their sources. They are compared with the \
             configuration of the image's kernel; add-ons are known by the names of their images.",
    examples: &[
        RuleExample::pod("  containers:\n    - {name: cilium-agent, image: 'quay.io/cilium/cilium:v1.19.1'}")
            .on(&[FactChange::OptionOff("CONFIG_NET_CLS_BPF")]),
    ],
    counter_examples: &[
        RuleExample::pod("  containers:\n    - {name: cilium-agent, image: 'quay.io/cilium/cilium:v1.19.1'}"),
        RuleExample::pod("  containers:\n    - {name: main, image: example}")
            .on(&[FactChange::OptionOff("CONFIG_NET_CLS_BPF")]),
    ],
    check,
};

/// Images, with the beginning of the add-on's name in the table.
const ADDONS: [(&str, &str); 18] = [
    ("antrea/antrea-agent-ubuntu", "Antrea"),
    ("calico/node", "Calico"),
    ("cephcsi/cephcsi", "Rook and ceph-csi"),
    ("cilium/cilium", "Cilium"),
    ("cilium/tetragon", "Tetragon"),
    ("cloudnativelabs/kube-router", "kube-router"),
    ("falcosecurity/falco", "Falco"),
    ("inspektor-gadget/inspektor-gadget", "Inspektor Gadget"),
    ("istio/install-cni", "Istio"),
    ("istio/ztunnel", "Istio"),
    ("k8snetworkplumbingwg/multus-cni", "Multus"),
    ("kata-containers/kata-deploy", "Kata Containers"),
    ("kubeovn/kube-ovn", "Kube-OVN"),
    ("kubevirt/virt-handler", "KubeVirt"),
    ("longhornio/longhorn-manager", "Longhorn v1"),
    ("openebs/mayastor-io-engine", "OpenEBS"),
    ("sig-storage/nfsplugin", "NFS"),
    ("sig-storage/smbplugin", "SMB"),
];

fn check(subject: &Subject<'_>, context: &Context<'_>, found: &mut Found<'_>) {
    let (Some(table), Some(pod)) = (context.addons, subject.pod()) else {
        return;
    };
    for container in &pod.containers {
        let addon = ADDONS.iter().find(|(image, _)| container.is_of(image));
        let (Some((_, name)), Some(image)) = (addon, &container.image) else {
            continue;
        };
        let config = context.node.kernel.config();
        let Some(arch) = config.arch() else { continue };
        for report in compare_addons(table, &config, arch)
            .iter()
            .filter(|report| report.name.starts_with(name))
        {
            let off = report.options.iter().filter(|option| option.need == Need::Required);
            let off = off.filter(|option| matches!(option.state, OptionState::Off | OptionState::Absent));
            let off: Vec<&str> = off.map(|option| option.option.as_str()).collect();
            if !off.is_empty() {
                let help =
                    "turn them on in distro/packages/kernel and build the image; `basalt addons` shows all of them";
                found.add(&image.place, format!("{name} needs {}", off.join(", ")), help);
            }
        }
    }
}
