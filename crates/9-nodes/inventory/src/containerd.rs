//! Configuration of containerd: config.toml and hosts.toml.

use toml::Value;

use crate::redaction::address;
use crate::{HostMirror, HostRegistry, HostRuntime, HostRuntimeHandler};

/// Plug-ins of the CRI: of configurations of version 2, and of version 3 (containerd 2).
const RUNTIME: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];
const IMAGES: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"];

/// File of containerd's configuration.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Path.
    pub(crate) path: String,
    /// Content; empty where it is no TOML.
    pub(crate) config: Value,
}

/// Value at a way of keys.
pub(crate) fn at<'v>(value: &'v Value, keys: &[&str]) -> Option<&'v Value> {
    keys.iter().try_fold(value, |value, key| value.get(key))
}

pub(crate) fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}

pub(crate) fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Settings of a plug-in in either version.
fn plugin<'v>(config: &'v Value, names: [&str; 2], keys: &[&str]) -> Option<&'v Value> {
    names
        .iter()
        .find_map(|name| at(config.get("plugins")?.get(name)?, keys))
}

/// Content of a config.toml; `None` if it is no TOML.
pub(crate) fn parse(config: &str) -> Option<Value> {
    toml::from_str(config).ok()
}

/// Patterns of further files that a config.toml imports.
pub(crate) fn imports(config: &Value) -> Vec<String> {
    texts(config.get("imports"))
}

/// Folders with hosts.toml files that a config.toml names.
pub(crate) fn registry_folders(config: &Value) -> Vec<String> {
    let folders = text(plugin(config, IMAGES, &["registry", "config_path"])).unwrap_or_default();
    let folders = folders.split(':').filter(|path| !path.is_empty());
    folders.map(str::to_owned).collect()
}

/// Adds the settings of a config.toml; a later file counts more.
pub(crate) fn add(runtime: &mut HostRuntime, config: &Value) {
    let of_runtime = |keys: &[&str]| plugin(config, RUNTIME, keys);
    let of_images = |keys: &[&str]| plugin(config, IMAGES, keys);
    let snapshotter = of_runtime(&["containerd", "snapshotter"]).or_else(|| of_images(&["snapshotter"]));
    runtime.snapshotter = text(snapshotter).or(runtime.snapshotter.take());
    let default = text(of_runtime(&["containerd", "default_runtime_name"]));
    runtime.default_handler = default.or(runtime.default_handler.take());
    let sandbox = of_runtime(&["sandbox_image"]).or_else(|| of_images(&["pinned_images", "sandbox"]));
    runtime.sandbox_image = text(sandbox).or(runtime.sandbox_image.take());
    runtime.cdi_folders.extend(texts(of_runtime(&["cdi_spec_dirs"])));
    runtime.disabled_plugins.extend(texts(config.get("disabled_plugins")));
    let root = text(config.get("root")).filter(|root| root != "/var/lib/containerd");
    runtime.data_folder = root.or(runtime.data_folder.take());
    let handlers = of_runtime(&["containerd", "runtimes"]).and_then(Value::as_table);
    for (name, handler) in handlers.into_iter().flatten() {
        if let Some(is_systemd) = at(handler, &["options", "SystemdCgroup"]).and_then(Value::as_bool) {
            let is_default = name == "runc" || runtime.default_handler.as_deref() == Some(name);
            if is_default || runtime.systemd_cgroup.is_none() {
                runtime.systemd_cgroup = Some(is_systemd);
            }
        }
        runtime.handlers.push(HostRuntimeHandler {
            name: name.clone(),
            kind: text(handler.get("runtime_type")),
            program: text(at(handler, &["options", "BinaryName"])),
        });
    }
}

/// Registries of config.toml itself, as containerd before 2.0 has them: `registry.mirrors`, `registry.configs`.
pub(crate) fn old_registries(file: &str, config: &Value) -> Vec<HostRegistry> {
    let table = |key: &str| plugin(config, IMAGES, &["registry", key]).and_then(Value::as_table);
    let mirrors = table("mirrors").into_iter().flatten();
    let mut found: Vec<HostRegistry> = mirrors
        .map(|(host, settings)| HostRegistry {
            file: file.to_owned(),
            host: host.clone(),
            mirrors: texts(settings.get("endpoint")).iter().map(|url| mirror(url)).collect(),
            ..HostRegistry::default()
        })
        .collect();
    for (host, settings) in table("configs").into_iter().flatten() {
        let has_credentials = settings.get("auth").is_some();
        let is_insecure = at(settings, &["tls", "insecure_skip_verify"]).and_then(Value::as_bool) == Some(true);
        match found.iter_mut().find(|registry| registry.host == *host) {
            Some(registry) => {
                registry.has_credentials |= has_credentials;
                registry.is_insecure |= is_insecure;
            }
            None => found.push(HostRegistry {
                file: file.to_owned(),
                host: host.clone(),
                has_credentials,
                is_insecure,
                ..HostRegistry::default()
            }),
        }
    }
    found
}

/// Mirror with nothing but an address.
pub(crate) fn mirror(url: &str) -> HostMirror {
    let (url, has_credentials) = address(url);
    HostMirror {
        url,
        has_credentials,
        ..HostMirror::default()
    }
}

/// Capabilities of a mirror that containerd knows.
fn capabilities(settings: &Value) -> Vec<String> {
    let found = texts(settings.get("capabilities")).into_iter();
    found
        .filter(|capability| ["dial", "pull", "push", "referrers", "resolve"].contains(&capability.as_str()))
        .collect()
}

/// Registry of a hosts.toml; `None` if it is no TOML.
pub(crate) fn hosts(file: &str, host: &str, text_of_file: &str) -> Option<HostRegistry> {
    let config: Value = toml::from_str(text_of_file).ok()?;
    let flag = |value: &Value, key: &str| value.get(key).and_then(Value::as_bool) == Some(true);
    let tables = config.get("host").and_then(Value::as_table).into_iter().flatten();
    let mut tables: Vec<(&String, &Value)> = tables.collect();
    // containerd asks in the order of the file, which a table does not keep.
    tables.sort_by_key(|(url, _)| text_of_file.find(url.as_str()));
    let mirrors = tables.into_iter().map(|(url, settings)| {
        let ca = settings.get("ca");
        let plain = mirror(url);
        HostMirror {
            capabilities: capabilities(settings),
            skip_verify: flag(settings, "skip_verify"),
            ca: text(ca).into_iter().chain(texts(ca)).collect(),
            has_client_certificate: settings.get("client").is_some(),
            override_path: flag(settings, "override_path"),
            has_credentials: plain.has_credentials || settings.get("header").is_some(),
            ..plain
        }
    });
    Some(HostRegistry {
        file: file.to_owned(),
        host: match host {
            "_default" => "*".to_owned(),
            // Such folders have another sign before the port where file systems need it: `registry_5000_`.
            host => host.to_owned(),
        },
        server: text(config.get("server")).map(|server| address(&server).0),
        mirrors: mirrors.collect(),
        has_credentials: config.get("header").is_some(),
        is_insecure: flag(&config, "skip_verify"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read() {
        let old = "version = 2\nroot = '/data/containerd'\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'pause:3.9'\n\
                   [plugins.'io.containerd.grpc.v1.cri'.containerd]\nsnapshotter = 'zfs'\ndefault_runtime_name = 'nvidia'\n\
                   [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.nvidia]\nruntime_type = 'io.containerd.runc.v2'\n\
                   [plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.nvidia.options]\nBinaryName = '/usr/bin/nvidia-container-runtime'\nSystemdCgroup = true\n\
                   [plugins.'io.containerd.grpc.v1.cri'.registry.mirrors.'docker.io']\nendpoint = ['https://u:p@mirror.example']\n\
                   [plugins.'io.containerd.grpc.v1.cri'.registry.configs.'r.example'.auth]\npassword = 'secret'\n";
        let old = parse(old).expect("TOML");
        let mut runtime = HostRuntime::default();
        add(&mut runtime, &old);
        assert!(imports(&old).is_empty() && registry_folders(&old).is_empty());
        assert_eq!(
            (runtime.snapshotter.as_deref(), runtime.systemd_cgroup),
            (Some("zfs"), Some(true))
        );
        assert_eq!(runtime.data_folder.as_deref(), Some("/data/containerd"));
        assert_eq!(
            runtime.handlers[0].program.as_deref(),
            Some("/usr/bin/nvidia-container-runtime")
        );
        let registries = old_registries("/x", &old);
        assert_eq!(registries[0].mirrors[0].url, "https://mirror.example");
        assert!(registries[0].mirrors[0].has_credentials && registries[1].has_credentials);
        assert!(!format!("{runtime:?}{registries:?}").contains("secret"));
        let new = "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n[plugins.'io.containerd.cri.v1.images']\nsnapshotter = 'overlayfs'\n\
                   [plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d:/etc/docker/certs.d'\n";
        let new = parse(new).expect("TOML");
        add(&mut runtime, &new);
        assert_eq!(imports(&new), ["/etc/containerd/conf.d/*.toml"]);
        assert_eq!(
            registry_folders(&new),
            ["/etc/containerd/certs.d", "/etc/docker/certs.d"]
        );
        assert_eq!(runtime.snapshotter.as_deref(), Some("overlayfs"));
        assert_eq!(parse("a b c"), None);
    }

    #[test]
    fn mirrors_keep_their_order() {
        let text = "server = 'https://registry-1.docker.io'\n[host.'https://z.example']\ncapabilities = ['pull', 'resolve']\n\
                    [host.'https://a.example/v2/x']\noverride_path = true\nca = '/ca.crt'\n[host.'https://a.example/v2/x'.header]\nauthorization = 'Basic secret'\n";
        let found = hosts("/f", "_default", text).expect("TOML");
        let urls: Vec<_> = found.mirrors.iter().map(|mirror| mirror.url.as_str()).collect();
        assert_eq!(
            (found.host.as_str(), urls),
            ("*", vec!["https://z.example", "https://a.example/v2/x"])
        );
        assert!(found.mirrors[1].has_credentials && found.mirrors[1].override_path);
        assert!(!format!("{found:?}").contains("secret"));
    }
}
