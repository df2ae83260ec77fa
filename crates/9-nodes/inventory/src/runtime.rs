//! Container runtimes of a host: containerd, CRI-O, Docker.

use serde_json::Value;

use crate::containerd::{self, ConfigFile, at, mirror, text, texts};
use crate::host_files::HostFiles;
use crate::redaction::address;
use crate::{HostRegistry, HostRuntime, HostRuntimeHandler, UnobservedReason};

const CONTAINERD: &str = "/etc/containerd/config.toml";
const DOCKER: &str = "/etc/docker/daemon.json";
/// Folder of hosts.toml files where no configuration names another.
const CERTS: &str = "/etc/containerd/certs.d";
/// Runtimes, with paths that tell that one is there.
const TRACES: [(&str, &[&str]); 4] = [
    ("containerd", &["/run/containerd/containerd.sock", CONTAINERD]),
    (
        "cri-o",
        &["/run/crio/crio.sock", "/etc/crio/crio.conf", "/etc/crio/crio.conf.d"],
    ),
    ("docker", &["/run/docker.sock", DOCKER, "/var/lib/docker"]),
    ("cri-dockerd", &["/run/cri-dockerd.sock"]),
];

/// Reads which runtimes there are, how they are set up, and registries with settings of their own.
pub(crate) fn read(files: &mut HostFiles<'_>) -> (HostRuntime, Vec<HostRegistry>) {
    let mut runtime = HostRuntime::default();
    for (name, traces) in TRACES {
        if traces.iter().any(|trace| files.has(trace)) {
            runtime.found.push(name.to_owned());
        }
    }
    let of_containerd = containerd_files(files);
    for file in &of_containerd {
        containerd::add(&mut runtime, &file.config);
        runtime.files.push(file.path.clone());
    }
    for path in crio_files(files) {
        let text = files.text(&path).unwrap_or_default();
        if add_crio(&mut runtime, &text).is_none() {
            files.miss(&path, UnobservedReason::Malformed);
        }
        runtime.files.push(path);
    }
    let docker: Option<Value> = files
        .text(DOCKER)
        .map(|text| serde_json::from_str(&text).unwrap_or_default());
    if let Some(config) = &docker {
        runtime.files.push(DOCKER.to_owned());
        if add_docker(&mut runtime, config).is_none() {
            files.miss(DOCKER, UnobservedReason::Malformed);
        }
    }
    runtime.handlers.sort();
    runtime.handlers.dedup();
    let registries = registries(files, &of_containerd, &docker.unwrap_or_default());
    (runtime, registries)
}

/// Files of containerd's configuration, with those that the first one imports from folders.
fn containerd_files(files: &mut HostFiles<'_>) -> Vec<ConfigFile> {
    let Some(text) = files.text(CONTAINERD) else {
        return Vec::new();
    };
    let first = containerd_file(files, CONTAINERD.to_owned(), &text);
    let mut paths = Vec::new();
    for import in containerd::imports(&first.config) {
        match import.rsplit_once("/*") {
            Some((folder, ending)) => paths.extend(files.paths(folder, ending)),
            None if files.has(&import) => paths.push(import),
            None => {}
        }
    }
    let mut found = vec![first];
    for path in paths {
        let text = files.text(&path).unwrap_or_default();
        found.push(containerd_file(files, path, &text));
    }
    found
}

/// File of containerd's configuration with this text. One that is no TOML is remembered.
fn containerd_file(files: &mut HostFiles<'_>, path: String, text: &str) -> ConfigFile {
    let config = containerd::parse(text).unwrap_or_else(|| {
        files.miss(&path, UnobservedReason::Malformed);
        toml::Value::Table(toml::Table::new())
    });
    ConfigFile { path, config }
}

fn crio_files(files: &mut HostFiles<'_>) -> Vec<String> {
    let mut paths = files.paths("/etc/crio/crio.conf.d", "");
    if files.has("/etc/crio/crio.conf") {
        paths.insert(0, "/etc/crio/crio.conf".to_owned());
    }
    paths
}

fn add_crio(runtime: &mut HostRuntime, config: &str) -> Option<()> {
    let config: toml::Value = toml::from_str(config).ok()?;
    let of = |keys: &[&str]| at(&config, keys);
    let manager = text(of(&["crio", "runtime", "cgroup_manager"]));
    runtime.systemd_cgroup = manager.map(|manager| manager == "systemd").or(runtime.systemd_cgroup);
    runtime.default_handler = text(of(&["crio", "runtime", "default_runtime"])).or(runtime.default_handler.take());
    runtime.sandbox_image = text(of(&["crio", "image", "pause_image"])).or(runtime.sandbox_image.take());
    runtime.data_folder = text(of(&["crio", "root"])).or(runtime.data_folder.take());
    let handlers = of(&["crio", "runtime", "runtimes"]).and_then(toml::Value::as_table);
    for (name, handler) in handlers.into_iter().flatten() {
        runtime.handlers.push(HostRuntimeHandler {
            name: name.clone(),
            kind: text(handler.get("runtime_type")),
            program: text(handler.get("runtime_path")),
        });
    }
    Some(())
}

fn add_docker(runtime: &mut HostRuntime, config: &Value) -> Option<()> {
    let fields = config.as_object()?;
    for (key, value) in fields {
        match key.as_str() {
            "data-root" => runtime.data_folder = value.as_str().map(str::to_owned),
            "default-runtime" => runtime.default_handler = value.as_str().map(str::to_owned),
            "runtimes" => {
                let runtimes = value.as_object().into_iter().flatten();
                runtime
                    .handlers
                    .extend(runtimes.map(|(name, settings)| HostRuntimeHandler {
                        name: name.clone(),
                        kind: None,
                        program: settings.get("path").and_then(Value::as_str).map(str::to_owned),
                    }));
            }
            "registry-mirrors" | "insecure-registries" => {}
            key => runtime.docker_settings.push(key.to_owned()),
        }
    }
    Some(())
}

/// Reads registries with settings of their own.
fn registries(files: &mut HostFiles<'_>, of_containerd: &[ConfigFile], docker: &Value) -> Vec<HostRegistry> {
    let mut found = Vec::new();
    let mut folders = Vec::new();
    for ConfigFile { path, config } in of_containerd {
        found.extend(containerd::old_registries(path, config));
        folders.extend(containerd::registry_folders(config));
    }
    if folders.is_empty() {
        folders.push(CERTS.to_owned());
    }
    for folder in folders {
        for host in files.names(&folder) {
            let path = format!("{folder}/{host}/hosts.toml");
            let Some(text) = files.text(&path) else { continue };
            match containerd::hosts(&path, &host, &text) {
                Some(registry) => found.push(registry),
                None => files.miss(&path, UnobservedReason::Malformed),
            }
        }
    }
    let folder = "/etc/containers/registries.conf.d";
    for path in files.with_parts("/etc/containers/registries.conf", folder, ".conf") {
        let text = files.text(&path).unwrap_or_default();
        found.extend(of_containers(&path, &text));
    }
    found.extend(of_docker(docker));
    found
}

/// Registries of registries.conf(5) of version 2, which CRI-O reads.
fn of_containers(file: &str, config: &str) -> Vec<HostRegistry> {
    let Ok(config) = toml::from_str::<toml::Value>(config) else {
        return Vec::new();
    };
    let flag = |value: &toml::Value| value.get("insecure").and_then(toml::Value::as_bool) == Some(true);
    let list = |value: &toml::Value, key: &str| {
        value
            .get(key)
            .and_then(toml::Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let registries = list(&config, "registry").into_iter().filter_map(|registry| {
        let location = text(registry.get("location"));
        let mirrors = list(&registry, "mirror").into_iter().filter_map(|settings| {
            let scheme = if flag(&settings) { "http" } else { "https" };
            let location = text(settings.get("location"))?;
            Some(mirror(&format!("{scheme}://{location}")))
        });
        Some(HostRegistry {
            file: file.to_owned(),
            host: address(&text(registry.get("prefix")).or_else(|| location.clone())?).0,
            server: location.map(|location| format!("https://{}", address(&location).0)),
            mirrors: mirrors.collect(),
            is_insecure: flag(&registry),
            has_credentials: false,
        })
    });
    let found: Vec<HostRegistry> = registries.collect();
    // Images without a registry in their name: Basalt's containerd takes docker.io for them.
    let searched = texts(config.get("unqualified-search-registries"));
    let others = searched.into_iter().filter(|host| host != "docker.io");
    let others = others.map(|host| HostRegistry {
        file: file.to_owned(),
        host: format!("(names without a registry: {host})"),
        ..HostRegistry::default()
    });
    found.into_iter().chain(others).collect()
}

/// Mirrors and registries without TLS of Docker.
fn of_docker(config: &Value) -> Vec<HostRegistry> {
    let list = |key: &str| {
        let list = config.get(key).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mirrors = list("registry-mirrors");
    let mut found = Vec::new();
    if !mirrors.is_empty() {
        found.push(HostRegistry {
            file: DOCKER.to_owned(),
            host: "docker.io".to_owned(),
            mirrors: mirrors.iter().map(|url| mirror(url)).collect(),
            ..HostRegistry::default()
        });
    }
    found.extend(list("insecure-registries").into_iter().map(|host| HostRegistry {
        file: DOCKER.to_owned(),
        host: address(&host).0,
        is_insecure: true,
        ..HostRegistry::default()
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_is_read() {
        let config = r#"{"registry-mirrors": ["https://u:p@m.example"], "insecure-registries": ["u:p@r:5000"], "data-root": "/data",
                         "runtimes": {"nvidia": {"path": "/usr/bin/n"}}, "log-driver": "json-file"}"#;
        let config: Value = serde_json::from_str(config).expect("JSON");
        let mut runtime = HostRuntime::default();
        assert_eq!(add_docker(&mut runtime, &config), Some(()));
        assert_eq!(
            (runtime.data_folder.as_deref(), &runtime.docker_settings[..]),
            (Some("/data"), &["log-driver".to_owned()][..])
        );
        let found = of_docker(&config);
        assert_eq!(
            (found[0].mirrors[0].url.as_str(), found[1].is_insecure),
            ("https://m.example", true)
        );
        assert_eq!(found[1].host, "r:5000");
        assert_eq!(add_docker(&mut runtime, &Value::Array(Vec::new())), None);
    }

    #[test]
    fn registries_conf_is_read() {
        let config = "unqualified-search-registries = ['docker.io', 'quay.io']\n[[registry]]\nprefix = 'docker.io'\nlocation = 'docker.io'\n\
                      [[registry.mirror]]\nlocation = 'm.example/x'\ninsecure = true\n";
        let found = of_containers("/x", config);
        assert_eq!(
            (found.len(), found[0].mirrors[0].url.as_str()),
            (2, "http://m.example/x")
        );
        let mut runtime = HostRuntime::default();
        let crio = "[crio.runtime]\ncgroup_manager = 'systemd'\n[crio.runtime.runtimes.crun]\nruntime_path = '/usr/bin/crun'\n";
        assert_eq!(add_crio(&mut runtime, crio), Some(()));
        assert_eq!(
            (runtime.systemd_cgroup, runtime.handlers[0].name.as_str()),
            (Some(true), "crun")
        );
    }
}
