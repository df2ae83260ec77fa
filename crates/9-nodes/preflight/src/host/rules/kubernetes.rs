//! Rules about the kubelet and what it starts.

use basalt_inventory::HostKubelet;
use basalt_node::paths;

use super::super::{HostFound, HostRule, HostSubject, boundary, listed};
use crate::WorkloadVerdict::{Note, RunsOtherwise, WillNotRun};

/// Static pods of a control plane that kubeadm made.
const CONTROL_PLANE: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// Plug-ins of CNI that no network add-on names as its own first one.
const BY_HAND: [&str; 6] = ["bridge", "host-device", "ipvlan", "macvlan", "ptp", "vlan"];

pub(super) const RULES: [HostRule; 9] = [
    HostRule {
        id: "host-control-plane",
        title: "A control plane does not move to a Basalt node",
        verdict: WillNotRun,
        reason: "Basalt's nodes join control planes; they are none. `basalt migrate` refuses such a node, too.",
        check: control_plane,
    },
    HostRule {
        id: "host-static-pod",
        title: "A NodeConfig holds no static pods",
        verdict: WillNotRun,
        reason: "The folder for them is there and kept, and nothing puts files into it. The API server shows their mirrors, and not that a file stands behind them.",
        check: static_pod,
    },
    HostRule {
        id: "host-kubelet-flag",
        title: "Settings of the kubelet have to be in the NodeConfig",
        verdict: RunsOtherwise,
        reason: "Flags in kubeadm-flags.env, /etc/default/kubelet and units are the host's own: no ConfigMap of the cluster has them.",
        check: flag,
    },
    HostRule {
        id: "host-kubelet-flag-unknown",
        title: "A flag of the kubelet has no place in a NodeConfig",
        verdict: RunsOtherwise,
        reason: "Flags are taken over by the table that `basalt config from-join` has. What it does not have is the agent's, or names files of the host.",
        check: unknown_flag,
    },
    HostRule {
        id: "host-kubelet-config",
        title: "The kubelet's configuration has settings of its own",
        verdict: Note,
        reason: "With `kubeletConfig: fromCluster` a node takes them from the ConfigMap `kubelet-config`. What was changed on the host alone has to be in the NodeConfig.",
        check: config,
    },
    HostRule {
        id: "host-label",
        title: "Labels and taints of the kubelet have to be in the NodeConfig",
        verdict: RunsOtherwise,
        reason: "A node registers with those of its NodeConfig. Labels that were set in the cluster are on the Node object alone.",
        check: label,
    },
    HostRule {
        id: "host-credential-provider",
        title: "A credential provider is not in the image",
        verdict: WillNotRun,
        reason: "The kubelet asks programs for credentials of registries; on a node they are in /usr/libexec/credential-providers, where a package of the image puts them.",
        check: credential_provider,
    },
    HostRule {
        id: "host-flex-volume",
        title: "Drivers of FlexVolume are not carried over",
        verdict: WillNotRun,
        reason: "The folder of drivers on a node is what pods put there. A driver that was copied to the host is not.",
        check: flex_volume,
    },
    HostRule {
        id: "host-cni",
        title: "A network of containers was set up by hand",
        verdict: WillNotRun,
        reason: "/etc/cni/net.d of a node has what network add-ons write. A file that a person wrote has to come from a pod.",
        check: cni,
    },
];

fn control_plane(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for pod in subject
        .host
        .kubelet
        .static_pods
        .iter()
        .filter(|pod| CONTROL_PLANE.contains(&pod.name.as_str()))
    {
        found.add(
            &pod.file,
            format!("the host runs {}", pod.name),
            "leave this host as it is",
        );
    }
}

fn static_pod(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let pods = subject.host.kubelet.static_pods.iter();
    for pod in pods.filter(|pod| !CONTROL_PLANE.contains(&pod.name.as_str())) {
        let images = listed(pod.images.iter().map(String::as_str), 3);
        found.add(
            &pod.file,
            format!("the static pod {} runs {images}", pod.name),
            "make it a DaemonSet",
        );
    }
}

fn flag(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let fields = subject.kubelet.flags.kubelet();
    if fields.is_empty() {
        return;
    }
    let names = listed(fields.keys().map(String::as_str), 8);
    let place = subject
        .host
        .kubelet
        .flags
        .last()
        .map_or("/etc/default/kubelet", |flag| flag.file.as_str());
    found.add_lines(
        place,
        format!("flags of the kubelet set {names}"),
        "in the NodeConfig; addresses and names of the machine are another machine's there",
        ("kubelet", serde_json::Value::Object(fields)),
    );
}

fn unknown_flag(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for (flag, reason) in &subject.kubelet.flags.refused {
        found.add(
            &flag.file,
            format!("the kubelet has --{}={}", flag.name, boundary::shown(&flag.value)),
            format!("leave it out: {}", boundary::shown(reason)),
        );
    }
    if subject.given.at("/cluster/dns").is_some() {
        return;
    }
    let dns = ["cluster-dns", "cluster-domain"];
    for flag in dns.iter().filter_map(|name| subject.host.kubelet.flag(name)) {
        found.add(
            &flag.file,
            format!("the kubelet has --{}={}", flag.name, boundary::shown(&flag.value)),
            "in the NodeConfig, unless the cluster's `kubelet-config` has it: `cluster.dns`",
        );
    }
}

fn config(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let kubelet = &subject.host.kubelet;
    let fields = subject.kubelet.configuration.clone();
    if !fields.is_empty() {
        let names = listed(fields.keys().map(String::as_str), 8);
        found.add_lines(
            config_file(kubelet),
            format!("the kubelet's configuration has {names}"),
            "nothing is to be done if the cluster's `kubelet-config` has them; else in the NodeConfig",
            ("kubelet", serde_json::Value::Object(fields)),
        );
    }
    let is_said = |field: &&&str| subject.given.at(&format!("/kubelet/extraConfig/{field}")).is_some();
    let others = subject.kubelet.others.iter().filter(|field| !is_said(field)).copied();
    let others: Vec<&str> = others.collect();
    if !others.is_empty() {
        found.add(
            config_file(kubelet),
            format!("the kubelet's configuration has {}", listed(others, 8)),
            "nothing is to be done if the cluster's `kubelet-config` has them; else in the NodeConfig: `kubelet.extraConfig`",
        );
    }
    for (file, fields) in kubelet
        .config_parts
        .iter()
        .filter(|(file, _)| !file.ends_with("/instance-config.yaml"))
    {
        found.add(
            file,
            format!(
                "the file changes {} of the kubelet",
                listed(fields.iter().map(String::as_str), 8)
            ),
            "in the NodeConfig: `kubelet`, or `kubelet.extraConfig` for other fields",
        );
    }
}

fn label(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let kubelet = &subject.host.kubelet;
    let labels = &subject.kubelet.flags.settings.labels;
    if let Some(flag) = kubelet.flag("node-labels").filter(|_| !labels.is_empty()) {
        let lines = serde_json::to_value(labels).unwrap_or_default();
        let names = listed(labels.keys().map(String::as_str), 6);
        found.add_lines(
            &flag.file,
            format!("the kubelet registers with the labels {names}"),
            "in the NodeConfig",
            ("labels", lines),
        );
    }
    let taints = &subject.kubelet.taints;
    let written = taints.as_array().into_iter().flatten();
    let keys: Vec<&str> = written.filter_map(|taint| taint.get("key")?.as_str()).collect();
    if keys.is_empty() {
        return;
    }
    let place = kubelet.flag("register-with-taints").map(|flag| flag.file.as_str());
    let names = listed(keys, 6);
    found.add_lines(
        place.unwrap_or_else(|| config_file(kubelet)),
        format!("the kubelet registers with the taints {names}"),
        "in the NodeConfig",
        ("taints", taints.clone()),
    );
}

/// File with the kubelet's configuration.
fn config_file(kubelet: &HostKubelet) -> &str {
    kubelet.config_file.as_deref().unwrap_or(paths::KUBEADM_CONFIG)
}

fn credential_provider(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let kubelet = &subject.host.kubelet;
    let flag = kubelet.flag("image-credential-provider-config");
    for provider in &kubelet.credential_providers {
        let program = format!("{}/{}", paths::CREDENTIAL_PROVIDERS, provider.name);
        let place = flag.map_or("/var/lib/kubelet", |flag| flag.value.as_str());
        let images = listed(provider.match_images.iter().map(String::as_str), 4);
        let message = format!("the kubelet asks {} for credentials of {images}", provider.name);
        if subject.node.has_program(&program) {
            let lines = serde_json::json!({ "credentialProviders": [{
                "name": provider.name,
                "matchImages": provider.match_images,
                "defaultCacheDuration": provider.default_cache_duration.as_deref().unwrap_or("12h"),
            }] });
            found.add_lines(
                place,
                message,
                "in the NodeConfig, with its arguments",
                ("kubelet", lines),
            );
        } else {
            found.add(
                place,
                message,
                format!("build an image with a package that has {program}, or give pods `imagePullSecrets`"),
            );
        }
    }
}

fn flex_volume(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let drivers = &subject.host.kubelet.flex_volumes;
    if !drivers.is_empty() {
        found.add(
            "/usr/libexec/kubernetes/kubelet-plugins/volume/exec",
            format!(
                "the host has drivers of FlexVolume: {}",
                listed(drivers.iter().map(String::as_str), 6)
            ),
            "use the CSI driver of the same storage",
        );
    }
}

fn cni(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for network in &subject.host.cni.networks {
        let first = network.plugins.first().map(String::as_str).unwrap_or_default();
        let is_of_runtime = ["crio", "podman", "containerd", "nerdctl"]
            .iter()
            .any(|name| network.file.contains(name));
        if BY_HAND.contains(&first) && !is_of_runtime && network.name.as_deref() != Some("cbr0") {
            found.add(
                &network.file,
                format!(
                    "the network {} is of the plug-in {first}",
                    network.name.as_deref().unwrap_or("without a name")
                ),
                "have an add-on write it (Multus for further networks), or a DaemonSet",
            );
        }
    }
}
