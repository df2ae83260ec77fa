//! Kernel settings of a host: those that files make, and others that workloads depend on.

use std::collections::BTreeMap;

use crate::HostSysctl;
use crate::host_files::HostFiles;
use crate::redaction::{clipped, is_secret};

/// Folders of sysctl.d, from the one that counts least: of files with the same name, that of the last folder counts.
const FOLDERS: [&str; 4] = [
    "/usr/lib/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/run/sysctl.d",
    "/etc/sysctl.d",
];
/// Settings that are changed by hand or by a start script, too, and that workloads notice.
const WATCHED: [&str; 16] = [
    "fs.aio-max-nr",
    "fs.file-max",
    "fs.inotify.max_user_instances",
    "fs.inotify.max_user_watches",
    "fs.nr_open",
    "kernel.pid_max",
    "kernel.threads-max",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_congestion_control",
    "net.netfilter.nf_conntrack_max",
    "vm.max_map_count",
    "vm.overcommit_memory",
    "vm.swappiness",
];

/// Reads settings of files, with the values in force.
pub(crate) fn read(files: &mut HostFiles<'_>) -> Vec<HostSysctl> {
    let mut found: BTreeMap<String, HostSysctl> = BTreeMap::new();
    for path in paths(files) {
        let text = files.text(&path).unwrap_or_default();
        for (key, value) in settings(&text) {
            let shown = match is_secret(&key) {
                true => "*".to_owned(),
                false => clipped(&value),
            };
            let setting = HostSysctl {
                key: key.clone(),
                configured: Some(shown),
                is_of_package: path.starts_with("/usr/lib/"),
                file: Some(path.clone()),
                running: None,
            };
            found.insert(key, setting);
        }
    }
    for key in WATCHED {
        found.entry(key.to_owned()).or_insert_with(|| HostSysctl {
            key: key.to_owned(),
            ..HostSysctl::default()
        });
    }
    let mut settings: Vec<HostSysctl> = found.into_values().collect();
    for setting in &mut settings {
        if is_secret(&setting.key) || setting.key.contains(['*', '/']) {
            continue;
        }
        let running = files.line(&format!("/proc/sys/{}", setting.key.replace('.', "/")));
        setting.running = running.map(|value| clipped(&value.replace('\t', " ")));
    }
    settings.retain(|setting| setting.configured.is_some() || setting.running.is_some());
    settings
}

/// Files in the order in which systemd-sysctl reads them: by their names; /etc/sysctl.conf comes last, as 99-sysctl.conf.
fn paths(files: &mut HostFiles<'_>) -> Vec<String> {
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for folder in FOLDERS {
        for path in files.paths(folder, ".conf") {
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            by_name.insert(name, path);
        }
    }
    by_name
        .entry("99-sysctl.conf".to_owned())
        .or_insert_with(|| "/etc/sysctl.conf".to_owned());
    by_name.into_values().collect()
}

/// Settings of a file: `key = value`, with dots or slashes, and a minus where the key may be missing.
fn settings(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(key, value)| (dotted(key.trim().trim_start_matches('-')), value.trim().to_owned()));
    pairs.filter(|(key, _)| key.contains('.')).collect()
}

/// Key with dots between its parts: in `net/ipv4/conf/eth0.1/x`, the first sign tells which one separates.
fn dotted(key: &str) -> String {
    match key.find(['.', '/']).and_then(|first| key.get(first..)) {
        Some(rest) if rest.starts_with('/') => key
            .chars()
            .map(|letter| match letter {
                '/' => '.',
                '.' => '/',
                other => other,
            })
            .collect(),
        _ => key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        let text = "# a\nvm.max_map_count = 262144\n-net/ipv4/conf/eth0.1/rp_filter=2\n;b=c\nnoise\nx=1\n";
        let found = settings(text);
        let found: Vec<_> = found
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            found,
            [("vm.max_map_count", "262144"), ("net.ipv4.conf.eth0/1.rp_filter", "2")]
        );
    }
}
