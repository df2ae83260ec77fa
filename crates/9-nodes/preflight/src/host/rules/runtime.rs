//! Rules about the container runtime and registries.

use basalt_inventory::HostMirror;
use serde_json::Value;

use super::super::{HostFound, HostRule, HostSubject, listed, parts};
use crate::WorkloadVerdict::{RunsOtherwise, WillNotRun};

pub(super) const RULES: [HostRule; 5] = [
    HostRule {
        id: "host-runtime",
        title: "A node runs containerd alone",
        verdict: RunsOtherwise,
        reason: "There is neither Docker nor CRI-O. Pods run alike; what speaks to the socket of another runtime, or reads its folders, finds none.",
        check: runtime,
    },
    HostRule {
        id: "host-runtime-handler",
        title: "A runtime that RuntimeClasses name is not in the image",
        verdict: WillNotRun,
        reason: "Pods of such a RuntimeClass do not start: kata, gVisor, NVIDIA's. The handlers are compared with those that the agent sets up.",
        check: handler,
    },
    HostRule {
        id: "host-runtime-setting",
        title: "The container runtime has settings that a node does not have",
        verdict: RunsOtherwise,
        reason: "A node has the snapshotter overlayfs and control groups of systemd, and keeps all images on /var.",
        check: setting,
    },
    HostRule {
        id: "host-registry",
        title: "Settings of registries have to be in the NodeConfig",
        verdict: RunsOtherwise,
        reason: "Mirrors, registries without TLS and their authorities are `registries` of a NodeConfig.",
        check: registry,
    },
    HostRule {
        id: "host-registry-credentials",
        title: "Credentials of registries have to be in the NodeConfig",
        verdict: WillNotRun,
        reason: "Images that are pulled with credentials of the host are not pulled without them. An inventory has none: only that there are some.",
        check: credentials,
    },
];

fn runtime(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let runtime = &subject.host.runtime;
    for name in runtime.found.iter().filter(|name| *name != "containerd") {
        let help = match name.as_str() {
            "docker" | "cri-dockerd" => "build images in pods (BuildKit, kaniko); mount no socket of Docker",
            _ => "look for pods that mount its socket or folders",
        };
        found.add("/run", format!("the host has {name}"), help);
    }
    let endpoint = subject.host.kubelet.runtime_endpoint();
    if let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.ends_with(&subject.node.containerd.socket)) {
        found.add(
            subject
                .host
                .kubelet
                .config_file
                .as_deref()
                .unwrap_or("/var/lib/kubelet"),
            format!("the kubelet speaks to {endpoint}"),
            format!("a node's is {}: leave the setting out", subject.node.containerd.socket),
        );
    }
}

fn handler(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let place = subject
        .host
        .runtime
        .files
        .first()
        .map_or("/etc/containerd", String::as_str);
    for handler in &subject.host.runtime.handlers {
        if subject.node.containerd.handlers.contains(&handler.name) {
            continue;
        }
        let kind = handler.program.as_deref().or(handler.kind.as_deref());
        let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        found.add(
            place,
            format!("the runtime {}{kind} is not in the image", handler.name),
            "keep a host for pods of its RuntimeClass, or build the runtime into an image of your own",
        );
    }
}

fn setting(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let runtime = &subject.host.runtime;
    let place = runtime.files.first().map_or("/etc/containerd", String::as_str);
    let mut add = |message: String, help: &str| found.add(place, message, help);
    if let Some(name) = runtime
        .snapshotter
        .as_deref()
        .filter(|name| !["overlayfs", "overlayfs2"].contains(name))
    {
        add(
            format!("the snapshotter is {name}"),
            "images are unpacked by overlayfs on a node: nothing is to be done, unless images are of a lazy format",
        );
    }
    if runtime.systemd_cgroup == Some(false) {
        add(
            "control groups are the runtime's own".to_owned(),
            "a node's are systemd's: agents that read paths of groups (kubepods/...) find kubepods.slice/...",
        );
    }
    if let Some(name) = runtime
        .default_handler
        .as_deref()
        .filter(|name| !subject.node.containerd.handlers.contains(*name))
    {
        add(
            format!("containers have the runtime {name} unless they ask for another"),
            "a node's is runc: pods that rely on the other need a RuntimeClass, and a host that has it",
        );
    }
    if let Some(folder) = &runtime.data_folder {
        add(
            format!("images and containers are in {folder}"),
            "on a node they are on /var: make its disk large enough",
        );
    }
    if !runtime.disabled_plugins.is_empty() {
        let names = listed(runtime.disabled_plugins.iter().map(String::as_str), 4);
        add(
            format!("plug-ins are switched off: {names}"),
            "nothing is to be done, as a rule",
        );
    }
    if !runtime.docker_settings.is_empty() {
        let names = listed(runtime.docker_settings.iter().map(String::as_str), 8);
        add(
            format!("Docker has settings: {names}"),
            "sizes of logs are `kubelet.containerLogMaxSize`; others have no place",
        );
    }
}

fn registry(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let made = parts::registries(subject.host);
    for registry in made {
        let of_host = |other: &&basalt_inventory::HostRegistry| other.host == registry.host;
        let source = subject.host.registries.iter().find(of_host);
        let authorities: Vec<&str> = source
            .into_iter()
            .flat_map(|source| &source.mirrors)
            .flat_map(|mirror| &mirror.ca)
            .map(String::as_str)
            .collect();
        let help = match authorities.is_empty() {
            true => "in the NodeConfig".to_owned(),
            false => format!(
                "in the NodeConfig, with the content of {} as `ca`",
                authorities.join(" and ")
            ),
        };
        let lines = serde_json::to_value([&registry]).unwrap_or_default();
        let place = source.map_or("/etc/containerd/certs.d", |source| source.file.as_str());
        let message = format!("the registry {} has settings", registry.host);
        let given = subject.given.registry(&registry.host);
        let is_enough = authorities.is_empty() || given.is_some_and(|given| has_field(given, "ca"));
        found.add_lines_unless(is_enough, place, (message, help), ("registries", lines));
    }
    for searched in subject
        .host
        .registries
        .iter()
        .filter(|registry| registry.host.starts_with('('))
    {
        found.add(
            &searched.file,
            format!("images are searched in other registries {}", searched.host),
            "write whole names of images: a node takes docker.io for those without a registry",
        );
    }
}

/// Returns `true` for settings of a registry that have a field, themselves or for a mirror.
fn has_field(given: &Value, field: &str) -> bool {
    let mirrors = given.get("mirrors").and_then(Value::as_array);
    let mut entries = std::iter::once(given).chain(mirrors.into_iter().flatten());
    entries.any(|entry| entry.get(field).is_some())
}

/// Returns `true` for a mirror that the node would ask without the credentials that it needs.
fn lacks_credentials(subject: &HostSubject<'_>, host: &str, mirror: &HostMirror) -> bool {
    let given = subject.given.mirror(host, &mirror.url);
    // A mirror that the NodeConfig of the nodes does not have is not asked.
    let is_asked = given.is_some() || !subject.given.is_there();
    mirror.has_credentials && is_asked && given.is_none_or(|mirror| mirror.get("auth").is_none())
}

fn credentials(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for registry in &subject.host.registries {
        let mirrors = registry.mirrors.iter();
        let mirrors = mirrors.filter(|mirror| lacks_credentials(subject, &registry.host, mirror));
        let given = subject.given.registry(&registry.host);
        let urls: Vec<&str> = mirrors.map(|mirror| mirror.url.as_str()).collect();
        if registry.has_credentials && given.is_none_or(|given| given.get("auth").is_none()) {
            let lines =
                serde_json::json!([{ "host": registry.host, "auth": { "username": "NAME", "password": "PASSWORD" } }]);
            found.add_lines(
                &registry.file,
                format!("the registry {} is asked with credentials", registry.host),
                "in the NodeConfig, with name and password, or in pods by `imagePullSecrets`",
                ("registries", lines),
            );
        } else if !urls.is_empty() {
            found.add(
                &registry.file,
                format!(
                    "mirrors of {} are asked with credentials: {}",
                    registry.host,
                    listed(urls, 4)
                ),
                "give the mirror `auth` in `registries` of the NodeConfig",
            );
        }
    }
    let given = subject.given.section("registries").and_then(Value::as_array);
    let has_some = given.into_iter().flatten().any(|registry| has_field(registry, "auth"));
    if subject.host.kubelet.has_registry_credentials && !has_some {
        found.add(
            "/var/lib/kubelet/config.json",
            "the kubelet has credentials of registries in a file of Docker's form",
            "give `registries[].auth` in the NodeConfig, or pods `imagePullSecrets`",
        );
    }
}
