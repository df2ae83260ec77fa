//! Kubelet of a host, and network plug-ins of containers.

use std::collections::BTreeMap;

use basalt_document::Document;
use serde_json::Value;

use crate::host_files::HostFiles;
use crate::redaction::{HIDDEN, configuration, is_plain, is_switch, lists};
use crate::syntax::{assignments, settings, words};
use crate::{HostCni, HostCniNetwork, HostCredentialProvider, HostFlag, HostKubelet, HostStaticPod, UnobservedReason};

const CONFIG: &str = "/var/lib/kubelet/config.yaml";
const STATIC_PODS: &str = "/etc/kubernetes/manifests";
const FLEX_VOLUMES: &str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec";
/// Files with flags in assignments, in the order in which kubeadm's unit reads them.
const FLAG_FILES: [&str; 3] = [
    "/var/lib/kubelet/kubeadm-flags.env",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
];

/// Flags of the kubelet whose values are numbers, sizes, durations and switches.
const PLAIN_FLAGS: &str = "anonymous-auth authentication-token-webhook authentication-token-webhook-cache-ttl \
    authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl cgroups-per-qos \
    container-log-max-files container-log-max-size contention-profiling cpu-cfs-quota cpu-cfs-quota-period \
    cpu-manager-reconcile-period enable-controller-attach-detach enable-debugging-handlers enable-server event-burst event-qps \
    eviction-max-pod-grace-period eviction-pressure-transition-period fail-swap-on file-check-frequency healthz-port \
    http-check-frequency image-gc-high-threshold image-gc-low-threshold image-pull-progress-deadline \
    kernel-memcg-notification kube-api-burst kube-api-qps local-storage-capacity-isolation log-flush-frequency \
    make-iptables-util-chains max-open-files max-pods maximum-dead-containers maximum-dead-containers-per-container \
    minimum-container-ttl-duration minimum-image-ttl-duration node-status-max-images node-status-update-frequency \
    oom-score-adj pod-max-pids pods-per-core port protect-kernel-defaults read-only-port register-node \
    register-schedulable registry-burst registry-qps reserved-cpus rotate-certificates rotate-server-certificates \
    runtime-request-timeout seccomp-default serialize-image-pulls streaming-connection-idle-timeout sync-frequency v \
    volume-stats-agg-period";
/// Flags whose values are names, paths, addresses, labels and the like.
const TEXT_FLAGS: &str = "address allowed-unsafe-sysctls authorization-mode bootstrap-kubeconfig cert-dir cgroup-driver cgroup-root \
    client-ca-file cloud-config cloud-provider cluster-dns cluster-domain config config-dir container-runtime \
    container-runtime-endpoint cpu-manager-policy cpu-manager-policy-options enforce-node-allocatable eviction-hard \
    eviction-minimum-reclaim eviction-soft eviction-soft-grace-period feature-gates hairpin-mode healthz-bind-address \
    hostname-override image-credential-provider-bin-dir image-credential-provider-config image-service-endpoint \
    kube-api-content-type kube-reserved kube-reserved-cgroup kubeconfig kubelet-cgroups lock-file logging-format \
    manifest-url memory-manager-policy network-plugin node-ip node-labels pod-cidr pod-infra-container-image \
    pod-manifest-path provider-id qos-reserved register-with-taints reserved-memory resolv-conf root-dir \
    runtime-cgroups seccomp-profile-root system-cgroups system-reserved system-reserved-cgroup tls-cert-file \
    tls-cipher-suites tls-min-version tls-private-key-file topology-manager-policy topology-manager-policy-options \
    topology-manager-scope vmodule volume-plugin-dir";

/// Reads flags, configuration and static pods.
pub(crate) fn read(files: &mut HostFiles<'_>) -> HostKubelet {
    let flags = flags(files);
    let flag = |name: &str| {
        flags
            .iter()
            .rev()
            .find(|flag: &&HostFlag| flag.name == name)
            .map(|flag| flag.value.clone())
    };
    let path = flag("config").unwrap_or_else(|| CONFIG.to_owned());
    let config = yaml(files, &path);
    let of_config = |key: &str| {
        config
            .as_ref()
            .and_then(|config| config.get(key)?.as_str())
            .map(str::to_owned)
    };
    let manifests = of_config("staticPodPath").or_else(|| flag("pod-manifest-path"));
    let manifests = manifests.unwrap_or_else(|| STATIC_PODS.to_owned());
    let volume_plugins = of_config("volumePluginDir").unwrap_or_else(|| FLEX_VOLUMES.to_owned());
    let kubeconfig = yaml(files, "/etc/kubernetes/kubelet.conf");
    let providers = flag("image-credential-provider-config").and_then(|path| yaml(files, &path));
    let mut parts = BTreeMap::new();
    let folder = flag("config-dir").unwrap_or_else(|| "/etc/kubernetes/kubelet.conf.d".to_owned());
    for path in files.with_parts("/var/lib/kubelet/instance-config.yaml", &folder, ".conf") {
        if let Some(Value::Object(fields)) = yaml(files, &path) {
            let fields = fields
                .keys()
                .filter(|field| !["apiVersion", "kind"].contains(&field.as_str()));
            parts.insert(path, fields.cloned().collect());
        }
    }
    HostKubelet {
        version: None,
        server: kubeconfig.as_ref().and_then(server),
        config_file: config.is_some().then_some(path),
        config: config.as_ref().map(configuration),
        config_parts: parts,
        credential_providers: providers.as_ref().map(credential_providers).unwrap_or_default(),
        static_pods: static_pods(files, &manifests),
        plugins: files
            .names("/var/lib/kubelet/plugins")
            .into_iter()
            .filter(|name| name != "kubernetes.io")
            .collect(),
        device_plugins: device_plugins(files),
        flex_volumes: files.names(volume_plugins.trim_end_matches('/')),
        has_registry_credentials: ["/var/lib/kubelet/config.json", "/root/.docker/config.json"]
            .iter()
            .any(|path| files.has(path)),
        flags,
    }
}

fn device_plugins(files: &mut HostFiles<'_>) -> Vec<String> {
    let names = files.names("/var/lib/kubelet/device-plugins").into_iter();
    names
        .filter(|name| name.ends_with(".sock") && name != "kubelet.sock")
        .collect()
}

/// First document of a file in YAML or JSON.
fn yaml(files: &mut HostFiles<'_>, path: &str) -> Option<Value> {
    let text = files.text(path)?;
    match Document::parse_stream(path, &text) {
        Ok(documents) => documents.first().map(|document| document.root().to_json()),
        Err(_) => {
            files.miss(path, UnobservedReason::Malformed);
            None
        }
    }
}

fn flags(files: &mut HostFiles<'_>) -> Vec<HostFlag> {
    let mut found = Vec::new();
    let mut units = vec!["/etc/systemd/system/kubelet.service".to_owned()];
    for folder in [
        "/usr/lib/systemd/system/kubelet.service.d",
        "/etc/systemd/system/kubelet.service.d",
    ] {
        units.extend(files.paths(folder, ".conf"));
    }
    for path in units {
        let text = files.text(&path).unwrap_or_default();
        for setting in settings(&text) {
            match setting.key.as_str() {
                "Environment" => {
                    for (name, value) in words(&setting.value).iter().filter_map(|word| word.split_once('=')) {
                        if name.starts_with("KUBELET") {
                            found.extend(flags_of(&path, value));
                        }
                    }
                }
                "ExecStart" => found.extend(flags_of(&path, &setting.value)),
                _ => {}
            }
        }
    }
    for path in FLAG_FILES {
        let text = files.text(path).unwrap_or_default();
        let arguments = assignments(&text)
            .into_iter()
            .filter(|(name, _)| name.starts_with("KUBELET"));
        found.extend(arguments.flat_map(|(_, value)| flags_of(path, &value)));
    }
    found
}

/// Value of a flag that is known; of others no more than that they switch something.
fn shown(name: &str, value: &str) -> String {
    let is_public = is_switch(value) || lists(TEXT_FLAGS, name) || lists(PLAIN_FLAGS, name) && is_plain(value);
    match is_public {
        true if value.contains("://") => crate::redaction::address(value).0,
        true => value.to_owned(),
        false => HIDDEN.to_owned(),
    }
}

/// Name of a flag; `*` for what is none.
fn flag_name(name: &str) -> String {
    let name = name.replace('_', "-");
    let is_kept = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    match name.len() <= 64 && name.chars().all(is_kept) {
        true => name,
        false => HIDDEN.to_owned(),
    }
}

/// Flags of a command line: `--name=value`, `--name value`, `--name`.
fn flags_of(file: &str, line: &str) -> Vec<HostFlag> {
    let words = words(line);
    let mut words = words.iter().peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--") else { continue };
        let (name, given) = match flag.split_once('=') {
            Some((name, given)) => (name, given.to_owned()),
            None => match words.next_if(|next| !next.starts_with(['-', '$'])) {
                Some(next) => (flag, next.clone()),
                None => (flag, "true".to_owned()),
            },
        };
        found.push(HostFlag {
            value: shown(&flag_name(name), &given),
            name: flag_name(name),
            file: file.to_owned(),
        });
    }
    found
}

/// Address of the API server in a kubeconfig. Nothing else of it is kept.
fn server(kubeconfig: &Value) -> Option<String> {
    let server = kubeconfig.get("clusters")?.get(0)?.get("cluster")?.get("server")?;
    server.as_str().map(|server| crate::redaction::address(server).0)
}

/// Programs of a CredentialProviderConfig; their arguments and environment are left out.
fn credential_providers(config: &Value) -> Vec<HostCredentialProvider> {
    let providers = config.get("providers").and_then(Value::as_array).into_iter().flatten();
    let of = |provider: &Value, key: &str| provider.get(key).and_then(Value::as_str).map(str::to_owned);
    providers
        .map(|provider| {
            let images = provider
                .get("matchImages")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            HostCredentialProvider {
                name: of(provider, "name").unwrap_or_default(),
                match_images: images.filter_map(Value::as_str).map(str::to_owned).collect(),
                default_cache_duration: of(provider, "defaultCacheDuration"),
            }
        })
        .collect()
}

fn static_pods(files: &mut HostFiles<'_>, folder: &str) -> Vec<HostStaticPod> {
    let mut found = Vec::new();
    for path in files.paths(folder, "") {
        if ![".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending)) {
            continue;
        }
        let Some(pod) = yaml(files, &path) else { continue };
        let metadata = |key: &str| pod.get("metadata")?.get(key)?.as_str().map(str::to_owned);
        let containers = pod.get("spec").and_then(|spec| spec.get("containers")?.as_array());
        let images = containers
            .into_iter()
            .flatten()
            .filter_map(|container| container.get("image")?.as_str());
        found.push(HostStaticPod {
            name: metadata("name").unwrap_or_default(),
            namespace: metadata("namespace"),
            images: images.map(str::to_owned).collect(),
            file: path,
        });
    }
    found
}

/// Reads programs and networks of CNI.
pub(crate) fn cni(files: &mut HostFiles<'_>) -> HostCni {
    let mut networks = Vec::new();
    for path in files.paths("/etc/cni/net.d", "") {
        if ![".conf", ".conflist", ".json"]
            .iter()
            .any(|ending| path.ends_with(ending))
        {
            continue;
        }
        let Some(text) = files.text(&path) else { continue };
        match serde_json::from_str::<Value>(&text) {
            Ok(config) => networks.push(network(path, &config)),
            Err(_) => files.miss(&path, UnobservedReason::Malformed),
        }
    }
    HostCni {
        programs: files.names("/opt/cni/bin"),
        networks,
    }
}

/// Name and plug-ins of a network. A plug-in's settings may have a token, and are left out.
fn network(file: String, config: &Value) -> HostCniNetwork {
    let kind = |plugin: &Value| plugin.get("type").and_then(Value::as_str).map(str::to_owned);
    let plugins = config.get("plugins").and_then(Value::as_array).into_iter().flatten();
    HostCniNetwork {
        file,
        name: config.get("name").and_then(Value::as_str).map(str::to_owned),
        plugins: kind(config).into_iter().chain(plugins.filter_map(kind)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        let line = "/usr/bin/kubelet $KUBELET_ARGS --node-ip=10.0.0.1 --v 4 --bootstrap-token abc --enable --node-labels=a=b,c=d";
        let found = flags_of("/x", line);
        let found: Vec<_> = found
            .iter()
            .map(|flag| (flag.name.as_str(), flag.value.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("node-ip", "10.0.0.1"),
                ("v", "4"),
                ("bootstrap-token", "*"),
                ("enable", "true"),
                ("node-labels", "a=b,c=d")
            ]
        );
    }

    #[test]
    fn values_of_known_flags_are_shown() {
        for (name, value, kept) in [
            ("azure-sp-secret", "/hunter2/abc", "*"),
            ("psk", "hunter2", "*"),
            ("auth", "hunter2", "*"),
            ("event-burst", "hunter2", "*"),
            ("event-burst", "100", "100"),
            ("cert-dir", "/etc/pki", "/etc/pki"),
            ("tls-private-key-file", "/etc/key.pem", "/etc/key.pem"),
            (
                "container-runtime-endpoint",
                "unix:///run/crio/crio.sock",
                "unix:///run/crio/crio.sock",
            ),
            ("manifest-url", "https://u:x@h/p?sig=x", "https://h/p"),
            ("experimental", "true", "true"),
        ] {
            assert_eq!(shown(name, value), kept, "{name}");
        }
        assert_eq!(
            (flag_name("max-pods").as_str(), flag_name("aGVsbG8").as_str()),
            ("max-pods", "*")
        );
    }

    #[test]
    fn networks_have_plugins() {
        let config =
            serde_json::json!({"name": "k8s", "plugins": [{"type": "calico", "token": "secret"}, {"type": "portmap"}]});
        let found = network("/x".to_owned(), &config);
        assert_eq!(found.plugins, ["calico", "portmap"]);
        let kubeconfig =
            serde_json::json!({"clusters": [{"cluster": {"server": "https://a:6443"}}], "users": [{"token": "x"}]});
        assert_eq!(server(&kubeconfig).as_deref(), Some("https://a:6443"));
    }
}
