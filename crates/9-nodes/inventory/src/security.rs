//! Confinement, limits and packet filters of a host.

use std::collections::{BTreeMap, BTreeSet};

use crate::host_files::HostFiles;
use crate::redaction::{HIDDEN, is_plain};
use crate::syntax::{assignments, lines, settings};
use crate::{HostConfinement, HostFilter, HostLimit};

/// Folder of the kubelet's profiles.
const SECCOMP: &str = "/var/lib/kubelet/seccomp";

/// Limits of pam_limits.
const LIMITS: [&str; 19] = [
    "as",
    "chroot",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "maxlogins",
    "maxsyslogins",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nonewprivs",
    "nproc",
    "priority",
    "rss",
    "rtprio",
    "stack",
];

/// Reads profiles of AppArmor and seccomp.
pub(crate) fn confinement(files: &mut HostFiles<'_>, conffiles: &BTreeSet<String>) -> HostConfinement {
    let loaded = files.text("/sys/kernel/security/apparmor/profiles");
    let loaded = loaded.map(|text| {
        let names = text.lines().filter_map(|line| line.rsplit_once(" ("));
        names.map(|(name, _)| name.to_owned()).collect()
    });
    let mut profiles = BTreeMap::new();
    for path in files.paths("/etc/apparmor.d", "") {
        if conffiles.contains(&path) || files.kind(&path) != Some(crate::host_files::PathKind::File) {
            continue;
        }
        let text = files.text(&path).unwrap_or_default();
        let names: Vec<String> = text.lines().filter_map(profile).collect();
        if !names.is_empty() {
            profiles.insert(path, names);
        }
    }
    let seccomp = files.files_below(SECCOMP).into_iter();
    let seccomp = seccomp.filter_map(|path| Some(path.strip_prefix(SECCOMP)?.trim_start_matches('/').to_owned()));
    HostConfinement {
        loaded,
        profiles,
        seccomp: seccomp.collect(),
    }
}

/// Name of the profile that a line begins: `profile name /path flags=(...) {`, `/usr/bin/a {`.
fn profile(line: &str) -> Option<String> {
    let begun = line.trim_end().strip_suffix('{')?;
    let named = begun.strip_prefix("profile ");
    let name = named.or_else(|| begun.starts_with('/').then_some(begun))?;
    Some(name.split_whitespace().next()?.trim_matches('"').to_owned())
}

/// Reads limits of files that people wrote, and systemd's defaults.
pub(crate) fn limits(files: &mut HostFiles<'_>, conffiles: &BTreeSet<String>) -> Vec<HostLimit> {
    let mut found = Vec::new();
    for path in files.with_parts("/etc/security/limits.conf", "/etc/security/limits.d", ".conf") {
        if conffiles.contains(&path) && path != "/etc/security/limits.conf" {
            continue;
        }
        let text = files.text(&path).unwrap_or_default();
        found.extend(lines(&text).filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [domain, _, item, value] = words.as_slice() else {
                return None;
            };
            LIMITS.contains(item).then(|| limit(&path, domain, item, value))
        }));
    }
    for path in files.with_parts("/etc/systemd/system.conf", "/etc/systemd/system.conf.d", ".conf") {
        let text = files.text(&path).unwrap_or_default();
        let settings = settings(&text).into_iter();
        let settings = settings.filter(|setting| {
            setting.key.starts_with("DefaultLimit")
                || ["DefaultTasksMax", "RuntimeWatchdogSec"].contains(&setting.key.as_str())
        });
        found.extend(settings.map(|setting| limit(&path, "systemd", &setting.key, &setting.value)));
    }
    found
}

fn limit(file: &str, domain: &str, item: &str, value: &str) -> HostLimit {
    HostLimit {
        file: file.to_owned(),
        domain: domain.to_owned(),
        item: item.to_owned(),
        value: match is_plain(value) || ["unlimited", "infinity"].contains(&value) {
            true => value.to_owned(),
            false => HIDDEN.to_owned(),
        },
    }
}

/// Reads packet filters that are set up at boot. Their rules are counted.
pub(crate) fn filters(files: &mut HostFiles<'_>) -> Vec<HostFilter> {
    let mut found = Vec::new();
    let ufw = files.text("/etc/ufw/ufw.conf").unwrap_or_default();
    if assignments(&ufw).contains(&("ENABLED".to_owned(), "yes".to_owned())) {
        let mut rules = 0;
        for path in ["/etc/ufw/user.rules", "/etc/ufw/user6.rules"] {
            let text = files.text(path).unwrap_or_default();
            rules += text.lines().filter(|line| line.starts_with("### tuple ###")).count();
        }
        found.push(filter("ufw", "/etc/ufw/ufw.conf", rules));
    }
    for path in files.with_parts("/etc/nftables.conf", "/etc/nftables.d", ".nft") {
        let text = files.text(&path).unwrap_or_default();
        let rules = lines(&text).filter(|line| nft_rule(line)).count();
        if rules > 0 {
            found.push(filter("nftables", &path, rules));
        }
    }
    for path in ["/etc/iptables/rules.v4", "/etc/iptables/rules.v6"] {
        let text = files.text(path).unwrap_or_default();
        let rules = text.lines().filter(|line| line.starts_with("-A ")).count();
        // kube-proxy's and an add-on's rules are saved with them, and come again by themselves.
        let foreign = text
            .lines()
            .filter(|line| line.starts_with("-A KUBE-") || line.contains("cali-"))
            .count();
        if rules > foreign {
            found.push(filter("iptables", path, rules - foreign));
        }
    }
    for path in files.paths("/etc/firewalld/zones", ".xml") {
        let text = files.text(&path).unwrap_or_default();
        let rules = ["<port ", "<service ", "<rule"]
            .iter()
            .map(|tag| text.matches(tag).count())
            .sum();
        found.push(filter("firewalld", &path, rules));
    }
    found
}

/// Returns `true` for a line with a rule of nftables, which ends in a verdict.
fn nft_rule(line: &str) -> bool {
    let line = line.trim_end_matches(['}', ';', ' ']);
    ["accept", "drop", "reject", "masquerade", "return"]
        .iter()
        .any(|verdict| line.ends_with(verdict))
        && !line.starts_with("type ")
}

fn filter(tool: &str, file: &str, rules: usize) -> HostFilter {
    HostFilter {
        tool: tool.to_owned(),
        file: file.to_owned(),
        rules,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_names() {
        assert_eq!(
            profile("profile \"k8s-app\" flags=(attach_disconnected) {").as_deref(),
            Some("k8s-app")
        );
        assert_eq!(profile("/usr/bin/a {").as_deref(), Some("/usr/bin/a"));
        assert_eq!((profile("  capability chown,"), profile("profile x")), (None, None));
    }

    #[test]
    fn rules_are_counted() {
        let text = "table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n  tcp dport 22 accept\n }\n}\n";
        assert_eq!(lines(text).filter(|line| nft_rule(line)).count(), 1);
    }
}
