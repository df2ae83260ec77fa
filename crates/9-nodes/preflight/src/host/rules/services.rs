//! Rules about services, jobs, accounts, packages and files that people added.

use basalt_inventory::SettingsTopic;

use super::super::{HostFound, HostRule, HostSubject, listed};
use crate::WorkloadVerdict::{Note, RunsOtherwise};

/// Units whose additions other rules are about, as far as they are proxies and flags.
const OF_KUBERNETES: [&str; 5] = [
    "containerd.service",
    "cri-docker.service",
    "crio.service",
    "docker.service",
    "kubelet.service",
];
/// Packages that agents of logs, metrics and security come in.
const AGENTS: [&str; 26] = [
    "amazon-cloudwatch-agent",
    "auditbeat",
    "auditd",
    "collectd",
    "datadog-agent",
    "elastic-agent",
    "falcon-sensor",
    "falco",
    "filebeat",
    "fluent-bit",
    "fluentd",
    "google-cloud-ops-agent",
    "mdatp",
    "metricbeat",
    "netdata",
    "newrelic-infra",
    "node-exporter",
    "osquery",
    "prometheus-node-exporter",
    "promtail",
    "splunkforwarder",
    "sysdig",
    "td-agent",
    "telegraf",
    "wazuh-agent",
    "zabbix-agent",
];
/// Packages of programs that the kubelet and storage drivers call on the host, with the program.
const HELPERS: [(&str, &str); 6] = [
    ("ceph-common", "mount.ceph"),
    ("cifs-utils", "mount.cifs"),
    ("glusterfs-client", "mount.glusterfs"),
    ("multipath-tools", "multipath"),
    ("nfs-common", "mount.nfs"),
    ("open-iscsi", "iscsiadm"),
];

pub(super) const RULES: [HostRule; 10] = [
    HostRule {
        id: "host-unit",
        title: "A node has no units of one's own",
        verdict: RunsOtherwise,
        reason: "Units of systemd are the image's. What somebody put into /etc/systemd/system does not run there.",
        check: unit,
    },
    HostRule {
        id: "host-unit-change",
        title: "Additions to units are not carried over",
        verdict: RunsOtherwise,
        reason: "Proxies and flags of the kubelet are settings of a NodeConfig, and have rules of their own. Others are an image's.",
        check: unit_change,
    },
    HostRule {
        id: "host-cron",
        title: "A node has no cron",
        verdict: RunsOtherwise,
        reason: "Jobs that no package of the distribution brought are reported, with the program that they run.",
        check: cron,
    },
    HostRule {
        id: "host-account",
        title: "Nobody logs in to a node",
        verdict: Note,
        reason: "There is no SSH server, and no account with a shell. Ways into a node are those of the API server.",
        check: account,
    },
    HostRule {
        id: "host-agent",
        title: "An agent of logs, metrics or security runs on the host",
        verdict: RunsOtherwise,
        reason: "Agents are packages of another distribution; on a node they are DaemonSets. `basalt preflight` looks at the manifests of those.",
        check: agent,
    },
    HostRule {
        id: "host-helper",
        title: "A program that mounts volumes is not in the image",
        verdict: RunsOtherwise,
        reason: "The kubelet and storage drivers call programs of the host for NFS, CIFS, Ceph, iSCSI and multipath. They are compared with those of the image.",
        check: helper,
    },
    HostRule {
        id: "host-package",
        title: "Packages that somebody asked for are not on a node",
        verdict: Note,
        reason: "Packages that were installed for another one, the base system's and those of other rules are left out.",
        check: package,
    },
    HostRule {
        id: "host-log-forwarding",
        title: "Logs are sent by the host",
        verdict: RunsOtherwise,
        reason: "A node has the journal alone. It is kept in /var/log/journal, where collectors in pods read it.",
        check: log_forwarding,
    },
    HostRule {
        id: "host-file",
        title: "A file of settings is not carried over",
        verdict: RunsOtherwise,
        reason: "Rules of udev and audit, tmpfiles.d, start scripts and programs in /usr/local that no package brought.",
        check: file,
    },
    HostRule {
        id: "host-limit",
        title: "Limits of processes are the image's",
        verdict: Note,
        reason: "Limits of logins have no meaning without logins. Containers have those of containerd, which are without bound for open files as far as the kernel allows.",
        check: limit,
    },
];

fn unit(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for unit in subject.host.units.iter().filter(|unit| unit.is_own) {
        // A unit of the kubelet or the runtime is how some hosts are made: rules of theirs look at what is in it.
        if OF_KUBERNETES.contains(&unit.name.as_str()) {
            continue;
        }
        let does = match (&unit.program, unit.schedule.first()) {
            (Some(program), _) => format!(" ({program})"),
            (None, Some(times)) => format!(" ({times})"),
            (None, None) => String::new(),
        };
        let help = match unit.name.rsplit('.').next() {
            Some("mount" | "automount") => "make it a PersistentVolume of a storage driver",
            Some("timer") => "make it a CronJob, or a DaemonSet that waits",
            Some("swap") => "give the pods memory; a node swaps nowhere",
            _ => "make it a DaemonSet, or a package of an image of your own",
        };
        let starts = if unit.is_enabled { "starts" } else { "has" };
        let file = unit.files.first().map_or("/etc/systemd/system", String::as_str);
        found.add(file, format!("the host {starts} the unit {}{does}", unit.name), help);
    }
}

fn unit_change(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for unit in subject
        .host
        .units
        .iter()
        .filter(|unit| !unit.is_own && !unit.settings.is_empty())
    {
        let is_of_kubernetes = OF_KUBERNETES.contains(&unit.name.as_str());
        let settings = unit.settings.iter().map(String::as_str).filter(|setting| {
            !is_of_kubernetes
                || !["Service.Environment", "Service.EnvironmentFile", "Service.ExecStart"].contains(setting)
        });
        let settings: Vec<&str> = settings.collect();
        if settings.is_empty() {
            continue;
        }
        let file = unit.files.first().map_or("/etc/systemd/system", String::as_str);
        found.add(
            file,
            format!("{} is changed: {}", unit.name, listed(settings, 6)),
            "look whether the reason for it is one on a node, too",
        );
    }
}

fn cron(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for job in subject.host.cron.iter().filter(|job| !job.is_of_package) {
        let program = job.program.as_deref().unwrap_or("a command");
        let of = job
            .user
            .as_deref()
            .map(|user| format!(" as {user}"))
            .unwrap_or_default();
        found.add(
            &job.file,
            format!("cron runs {program}{of} ({})", job.schedule),
            "make it a CronJob; one for each node is a DaemonSet that waits",
        );
    }
}

fn account(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let accounts = subject.host.accounts.iter();
    let accounts: Vec<String> = accounts
        .filter(|account| account.uid != 0 || account.ssh_keys.is_some_and(|keys| keys > 0))
        .map(|account| match account.ssh_keys {
            Some(1) => format!("{} (1 key)", account.name),
            Some(keys) if keys > 0 => format!("{} ({keys} keys)", account.name),
            _ => account.name.clone(),
        })
        .collect();
    if !accounts.is_empty() {
        found.add(
            "/etc/passwd",
            format!("people log in as {}", listed(accounts.iter().map(String::as_str), 8)),
            "give them rights in the cluster, and `basalt node shell|logs|files` (docs/node/access.md)",
        );
    }
}

/// Name of an agent whose package a name is: `zabbix-agent2`, `datadog-agent`.
fn agent_of(package: &str) -> Option<&'static str> {
    AGENTS
        .into_iter()
        .find(|agent| package.strip_prefix(agent).is_some_and(|rest| rest.len() <= 2))
}

fn agent(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    let packages = subject
        .host
        .packages
        .manual
        .keys()
        .filter(|name| agent_of(name).is_some());
    let names: Vec<&str> = packages.map(String::as_str).collect();
    if !names.is_empty() {
        found.add(
            "/var/lib/dpkg/status",
            format!("the host has {}", listed(names, 8)),
            "install the agent's DaemonSet, and look at its manifests with `basalt preflight`",
        );
        return;
    }
    for file in subject
        .host
        .settings
        .iter()
        .filter(|file| file.topic == SettingsTopic::Agent)
    {
        found.add(
            &file.file,
            "the host has an agent that no package brought",
            "install the agent's DaemonSet, and look at its manifests with `basalt preflight`",
        );
    }
}

fn helper(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for (package, program) in HELPERS {
        if subject.host.packages.manual.contains_key(package) && !subject.node.has_program(program) {
            found.add(
                "/var/lib/dpkg/status",
                format!("the host has {package}, and the image has no `{program}`"),
                "use a storage driver that brings it, or build it into an image of your own",
            );
        }
    }
}

fn package(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    // What every node of kubeadm has, and what a distribution's images bring.
    let is_usual = |name: &str| {
        [
            "kubeadm",
            "kubelet",
            "kubectl",
            "containerd",
            "containerd.io",
            "cri-tools",
            "kubernetes-cni",
            "cloud-init",
            "openssh-server",
        ]
        .contains(&name)
            || ["linux-", "ubuntu-", "grub-", "language-pack-", "shim-"]
                .iter()
                .any(|start| name.starts_with(start))
            || agent_of(name).is_some()
            || HELPERS.iter().any(|(package, _)| *package == name)
    };
    let packages = subject.host.packages.manual.keys().map(String::as_str);
    let names: Vec<&str> = packages.filter(|name| !is_usual(name)).collect();
    if !names.is_empty() {
        found.add(
            "/var/lib/apt/extended_states",
            format!("somebody asked for {}", listed(names, 16)),
            "nothing is to be done for tools of people; what pods call on the host belongs into their images",
        );
    }
    let snaps: Vec<&str> = subject.host.packages.snaps.iter().map(String::as_str).collect();
    let snaps: Vec<&str> = snaps
        .into_iter()
        .filter(|snap| {
            !["core", "snapd", "lxd", "bare"]
                .iter()
                .any(|usual| snap.starts_with(usual))
        })
        .collect();
    if !snaps.is_empty() {
        found.add(
            "/var/lib/snapd",
            format!("the host has the snaps {}", listed(snaps, 8)),
            "run them as pods",
        );
    }
}

fn log_forwarding(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for file in subject
        .host
        .settings
        .iter()
        .filter(|file| file.topic == SettingsTopic::Rsyslog)
    {
        found.add(
            &file.file,
            "rsyslog sends logs to another host",
            "have a collector in a pod read /var/log/journal (docs/node/host-paths.md)",
        );
    }
}

fn file(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for file in &subject.host.settings {
        let (what, help) = match file.topic {
            SettingsTopic::Udev => ("rules of udev", "put them into a package of an image of your own"),
            SettingsTopic::Audit => (
                "rules of auditd",
                "watch by eBPF in a pod (Tetragon, Falco); there is no auditd",
            ),
            SettingsTopic::Tmpfiles => ("files made at boot", "have an init container make what pods need"),
            SettingsTopic::StartScript => ("a start script", "make it a DaemonSet, or settings of the NodeConfig"),
            SettingsTopic::Program => ("a program", "put what pods call into their images"),
            SettingsTopic::Journal => (
                "settings of the journal",
                "a node keeps its journal within bounds of its disk",
            ),
            SettingsTopic::Agent
            | SettingsTopic::Logrotate
            | SettingsTopic::Rsyslog
            | SettingsTopic::Ssh
            | SettingsTopic::Sudo => continue,
        };
        found.add(&file.file, format!("the host has {what} that no package brought"), help);
    }
}

fn limit(subject: &HostSubject<'_>, found: &mut HostFound<'_>) {
    for limit in &subject.host.limits {
        found.add(
            &limit.file,
            format!("{} of {} is {}", limit.item, limit.domain, limit.value),
            "nothing is to be done, as a rule: pods have the limits of containerd",
        );
    }
}
