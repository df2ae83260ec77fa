//! Settings that a NodeConfig has a place for: modules, sysctls, proxies, mirrors, certificate authorities.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::HostSetting;
use crate::reader::InventoryReader;

/// Folders of sysctl.d(5) that people write to; a name in an earlier one hides that in a later one.
const SYSCTL_FOLDERS: [&str; 3] = ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d"];

/// Units whose proxies count.
const PROXIED: [&str; 4] = ["containerd", "kubelet", "docker", "crio"];

/// Files with variables of the whole system, or of one service.
const ENVIRONMENTS: [&str; 4] = [
    "/etc/environment",
    "/etc/default/containerd",
    "/etc/default/kubelet",
    "/etc/sysconfig/kubelet",
];

fn entry(file: &str, entry: impl Into<String>) -> HostSetting {
    HostSetting {
        file: file.to_owned(),
        entry: entry.into(),
    }
}

/// Lines without comments and space around them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// Modules of modules-load.d(5), and of /etc/modules.
pub(crate) fn modules(reader: &mut InventoryReader) -> Vec<HostSetting> {
    let folder = "/etc/modules-load.d";
    // On Debian, modules.conf there is a link to /etc/modules.
    let names = reader.own_files(folder).into_iter();
    let files = names.map(|name| format!("{folder}/{name}"));
    let mut files: Vec<String> = files.filter(|file| !reader.is_of_package(file)).collect();
    files.push("/etc/modules".to_owned());
    let mut found = Vec::new();
    for file in files {
        let text = reader.text(&file).unwrap_or_default();
        let names = lines(&text).filter_map(|line| line.split_whitespace().next());
        found.extend(names.map(|name| entry(&file, name)));
    }
    found
}

/// Kernel settings of files that no package brought, each key as it counts in the end.
pub(crate) fn sysctls(reader: &mut InventoryReader) -> Vec<HostSetting> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for folder in SYSCTL_FOLDERS {
        for name in reader.own_files(folder) {
            if name.ends_with(".conf") {
                files.entry(name.clone()).or_insert_with(|| format!("{folder}/{name}"));
            }
        }
    }
    let mut files: Vec<String> = files.into_values().filter(|file| !reader.is_of_package(file)).collect();
    files.push("/etc/sysctl.conf".to_owned());
    let mut found: BTreeMap<String, HostSetting> = BTreeMap::new();
    for file in files {
        let text = reader.text(&file).unwrap_or_default();
        for (key, value) in lines(&text).filter_map(|line| line.split_once('=')) {
            let key = key.trim().trim_start_matches('-').replace('/', ".");
            let setting = format!("{key} = {}", value.trim());
            found.insert(key, entry(&file, setting));
        }
    }
    found.into_values().collect()
}

/// Proxies of the system, the container runtime and the kubelet.
pub(crate) fn proxies(reader: &mut InventoryReader) -> Vec<HostSetting> {
    let mut files: Vec<String> = ENVIRONMENTS.map(str::to_owned).to_vec();
    let units = PROXIED.map(|unit| format!("/etc/systemd/system/{unit}.service"));
    let folders = units.iter().map(|unit| format!("{unit}.d"));
    let folders: Vec<String> = folders.chain(["/etc/systemd/system.conf.d".to_owned()]).collect();
    files.extend(units);
    for folder in folders {
        let names = reader.files(&folder).into_iter();
        files.extend(names.map(|name| format!("{folder}/{name}")));
    }
    let mut found = Vec::new();
    for file in files {
        let text = reader.text(&file).unwrap_or_default();
        found.extend(lines(&text).flat_map(proxies_of).map(|setting| entry(&file, setting)));
    }
    found
}

/// Proxies in a line: `Environment="HTTP_PROXY=..." "NO_PROXY=..."`, `export http_proxy=...`.
fn proxies_of(line: &str) -> Vec<String> {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"];
    let line = ["DefaultEnvironment=", "Environment=", "export "]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(line);
    let words = line.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
    let settings = words.filter_map(|word| word.split_once('='));
    let settings = settings.filter(|(name, _)| names.contains(&name.to_ascii_uppercase().as_str()));
    settings
        .map(|(name, value)| format!("{name}={}", without_password(value.trim_matches(['"', '\'']))))
        .collect()
}

/// Address without the name and the password before an `@`.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        (_, None) => url.to_owned(),
    }
}

/// Mirrors of containerd and docker, each with its registry.
pub(crate) fn mirrors(reader: &mut InventoryReader) -> Vec<HostSetting> {
    let folder = "/etc/containerd/certs.d";
    let mut found = Vec::new();
    for registry in reader.folders(folder) {
        let file = format!("{folder}/{registry}/hosts.toml");
        let text = reader.text(&file).unwrap_or_default();
        let hosts = lines(&text).filter_map(|line| line.strip_prefix("[host.\"")?.split('"').next());
        found.extend(hosts.map(|host| entry(&file, format!("{registry} by {}", without_password(host)))));
    }
    let file = "/etc/containerd/config.toml";
    let text = reader.text(file).unwrap_or_default();
    // The older form: [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
    let registries = lines(&text).filter_map(|line| line.split_once(".mirrors.\"")?.1.split('"').next());
    found.extend(registries.map(|registry| entry(file, format!("{registry} by mirrors of this file"))));
    let file = "/etc/docker/daemon.json";
    let daemon: Value = serde_json::from_str(&reader.text(file).unwrap_or_default()).unwrap_or_default();
    let urls = daemon.get("registry-mirrors").and_then(Value::as_array);
    let urls = urls.into_iter().flatten().filter_map(Value::as_str);
    found.extend(urls.map(|url| entry(file, format!("docker.io by {}", without_password(url)))));
    found
}

/// Certificate authorities that were added to those of the distribution, and those of registries.
pub(crate) fn certificates(reader: &mut InventoryReader) -> Vec<String> {
    let mut folders = vec![
        "/usr/local/share/ca-certificates".to_owned(),
        "/etc/pki/ca-trust/source/anchors".to_owned(),
    ];
    for parent in ["/usr/local/share/ca-certificates", "/etc/containerd/certs.d"] {
        let inner = reader.folders(parent).into_iter();
        folders.extend(inner.map(|name| format!("{parent}/{name}")));
    }
    let mut found = Vec::new();
    for folder in folders {
        let names = reader.files(&folder).into_iter();
        let names = names.filter(|name| [".crt", ".pem", ".cer"].iter().any(|end| name.ends_with(end)));
        found.extend(names.map(|name| format!("{folder}/{name}")));
    }
    found
}
