//! Other files of settings that no package brought: by their folders, without their content.

use std::collections::BTreeSet;

use crate::host_files::{HostFiles, PathKind};
use crate::syntax::{lines, settings};
use crate::{HostSettingsFile, SettingsTopic};

/// Folders with the subject of their files, and the ending that these have.
const FOLDERS: [(&str, &str, SettingsTopic); 11] = [
    ("/etc/udev/rules.d", ".rules", SettingsTopic::Udev),
    ("/etc/logrotate.d", "", SettingsTopic::Logrotate),
    ("/etc/systemd/journald.conf.d", ".conf", SettingsTopic::Journal),
    ("/etc/sudoers.d", "", SettingsTopic::Sudo),
    ("/etc/ssh/sshd_config.d", ".conf", SettingsTopic::Ssh),
    ("/etc/audit/rules.d", ".rules", SettingsTopic::Audit),
    ("/etc/tmpfiles.d", ".conf", SettingsTopic::Tmpfiles),
    ("/usr/local/bin", "", SettingsTopic::Program),
    ("/usr/local/sbin", "", SettingsTopic::Program),
    ("/etc/init.d", "", SettingsTopic::StartScript),
    ("/etc/telegraf/telegraf.d", ".conf", SettingsTopic::Agent),
];
/// Files of agents and start scripts.
const FILES: [(&str, SettingsTopic); 12] = [
    ("/etc/rc.local", SettingsTopic::StartScript),
    ("/etc/datadog-agent/datadog.yaml", SettingsTopic::Agent),
    ("/etc/filebeat/filebeat.yml", SettingsTopic::Agent),
    ("/etc/fluent-bit/fluent-bit.conf", SettingsTopic::Agent),
    ("/etc/fluent/fluentd.conf", SettingsTopic::Agent),
    ("/etc/newrelic-infra.yml", SettingsTopic::Agent),
    ("/etc/promtail/config.yml", SettingsTopic::Agent),
    ("/etc/telegraf/telegraf.conf", SettingsTopic::Agent),
    ("/etc/vector/vector.yaml", SettingsTopic::Agent),
    ("/etc/zabbix/zabbix_agentd.conf", SettingsTopic::Agent),
    ("/etc/zabbix/zabbix_agent2.conf", SettingsTopic::Agent),
    (
        "/opt/splunkforwarder/etc/system/local/outputs.conf",
        SettingsTopic::Agent,
    ),
];

/// Reads which files there are. Those of agents count also where a package brought them: the agent is what is lost.
pub(crate) fn read(files: &mut HostFiles<'_>, conffiles: &BTreeSet<String>) -> Vec<HostSettingsFile> {
    let mut found = Vec::new();
    for (folder, ending, topic) in FOLDERS {
        for path in files.paths(folder, ending) {
            let is_file = files.kind(&path) == Some(PathKind::File);
            // A link in a folder of settings switches one of a package off, or on.
            let is_link = topic != SettingsTopic::Program && files.link(&path).is_some();
            let is_readme = path.ends_with("/README");
            if is_file && !is_link && !is_readme && !conffiles.contains(&path) {
                found.push(HostSettingsFile { topic, file: path });
            }
        }
    }
    for (path, topic) in FILES {
        if files.kind(path) == Some(PathKind::File) {
            found.push(HostSettingsFile {
                topic,
                file: path.to_owned(),
            });
        }
    }
    for path in files.with_parts("/etc/rsyslog.conf", "/etc/rsyslog.d", ".conf") {
        let text = files.text(&path).unwrap_or_default();
        if lines(&text).any(is_forwarding) {
            found.push(HostSettingsFile {
                topic: SettingsTopic::Rsyslog,
                file: path,
            });
        }
    }
    let journal = "/etc/systemd/journald.conf";
    let text = files.text(journal).unwrap_or_default();
    if !settings(&text).is_empty() {
        found.push(HostSettingsFile {
            topic: SettingsTopic::Journal,
            file: journal.to_owned(),
        });
    }
    found.sort();
    found
}

/// Returns `true` for a line of rsyslog that sends to another host: `*.* @@host:514`, `action(type="omfwd" ...)`.
fn is_forwarding(line: &str) -> bool {
    let target = line.split_whitespace().nth(1).unwrap_or_default();
    target.starts_with('@') || line.contains("omfwd") || line.contains("omrelp") || line.contains("omelasticsearch")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarding_is_found() {
        assert!(is_forwarding("*.* @@logs.example:514"));
        assert!(is_forwarding("action(type=\"omfwd\" target=\"logs.example\")"));
        assert!(!is_forwarding("auth,authpriv.* /var/log/auth.log"));
    }
}
