//! Kernel settings of a host: those that files make, and others that workloads depend on.

use std::collections::BTreeMap;

use crate::HostSysctl;
use crate::host_files::HostFiles;
use crate::redaction::{HIDDEN, is_amount, is_secret, is_switch, is_word, lists};

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

/// First parts of names.
const ROOTS: &str = "abi crypto debug dev fs fscache kernel net sunrpc user vm xen";
/// Settings whose values are words that anybody may know.
const TEXTS: &str = "kernel.core_pattern kernel.hotplug kernel.modprobe kernel.poweroff_cmd kernel.seccomp.actions_logged \
    net.core.default_qdisc net.ipv4.tcp_allowed_congestion_control net.ipv4.tcp_congestion_control";

/// Reads settings of files, with the values in force.
pub(crate) fn read(files: &mut HostFiles<'_>) -> Vec<HostSysctl> {
    let mut found: BTreeMap<String, HostSysctl> = BTreeMap::new();
    for path in paths(files) {
        let text = files.text(&path).unwrap_or_default();
        for (key, value) in settings(&text) {
            let setting = HostSysctl {
                key: key.clone(),
                configured: Some(shown(&key, &value)),
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
        if is_hidden(&setting.key) || setting.key.contains(['*', '/']) {
            continue;
        }
        let running = files.line(&format!("/proc/sys/{}", setting.key.replace('.', "/")));
        setting.running = running.map(|value| shown(&setting.key, &value.replace('\t', " ")));
    }
    settings.retain(|setting| setting.configured.is_some() || setting.running.is_some());
    settings
}

/// Files in the order in which systemd-sysctl reads them: by their names; /etc/sysctl.conf comes last, as 99-sysctl.conf.
fn paths(files: &mut HostFiles<'_>) -> Vec<String> {
    let mut by_name = files.by_name(&FOLDERS, ".conf");
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
    pairs.filter(|(key, _)| is_key(key)).collect()
}

/// Returns `true` for what the kernel may have as a setting.
fn is_key(key: &str) -> bool {
    let root = key.split_once('.').map(|(root, _)| root);
    let is_kept = |letter: char| letter.is_ascii_alphanumeric() || "._-/*".contains(letter);
    root.is_some_and(|root| lists(ROOTS, root)) && key.chars().all(is_kept)
}

/// Returns `true` for settings that are secrets.
fn is_hidden(key: &str) -> bool {
    is_secret(key) && !key.ends_with("syncookies")
}

/// Value: numbers, and words of settings that are known. Programs that the kernel starts may have secrets among their arguments.
fn shown(key: &str, value: &str) -> String {
    let is_specifier = |word: &str| word.len() <= 4 && (word == "--" || word.contains('%')) && is_word(word);
    let mut words = value.split_whitespace();
    let is_public = match lists(TEXTS, key) {
        _ if is_switch(value) => true,
        _ if is_hidden(key) => false,
        true if key == "kernel.core_pattern" => {
            let first = words.next().unwrap_or_default();
            is_word(first.trim_start_matches('|')) && words.all(is_specifier)
        }
        true if key == "kernel.modprobe" || key == "kernel.hotplug" || key == "kernel.poweroff_cmd" => is_word(value),
        true => words.all(is_word),
        false => words.all(is_amount),
    };
    match is_public {
        true => value.to_owned(),
        false => HIDDEN.to_owned(),
    }
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

    #[test]
    fn public_values_are_shown() {
        for (key, value) in [
            ("net.ipv4.tcp_rmem", "4096 87380 6291456"),
            ("net.ipv4.tcp_congestion_control", "bbr"),
            ("kernel.core_pattern", "/var/crash/core.%e.%p"),
            ("kernel.core_pattern", "|/usr/share/apport/apport -p%p -s%s -- %E"),
            ("kernel.modprobe", "/sbin/modprobe"),
            ("net.ipv4.tcp_syncookies", "2"),
            ("fs.file-max", ""),
        ] {
            assert_eq!(shown(key, value), value);
        }
        for (key, value) in [
            ("kernel.core_pattern", "|/usr/bin/upload --token x %p"),
            ("kernel.core_pattern", "|/usr/bin/upload x"),
            ("kernel.modprobe", "/sbin/modprobe --password=x"),
            ("kernel.domainname", "x"),
            ("net.ipv4.tcp_fastopen_key", "00000000-00000000"),
        ] {
            assert_eq!(shown(key, value), "*");
        }
        assert!(!is_key("hunter.x") && !is_key("password=x.y") && !is_key("vm"));
    }
}
