//! Programs of the machine beside Kubernetes: static pods, jobs of cron, timers, services.

use crate::HostSetting;
use crate::reader::InventoryReader;

/// Folder of systemd's units that people and installers write.
const UNITS: &str = "/etc/systemd/system";

/// Services of a node that every node has.
const OF_NODES: [&str; 4] = [
    "containerd.service",
    "crio.service",
    "docker.service",
    "kubelet.service",
];

/// Files of static pods.
pub(crate) fn static_pods(reader: &mut InventoryReader) -> Vec<String> {
    let folder = "/etc/kubernetes/manifests";
    let names = reader.files(folder).into_iter();
    let names = names.filter(|name| !name.starts_with('.'));
    names.map(|name| format!("{folder}/{name}")).collect()
}

/// Jobs of cron and timers of systemd that no package brought.
pub(crate) fn schedules(reader: &mut InventoryReader) -> Vec<HostSetting> {
    let mut found = Vec::new();
    let crontab = reader.text("/etc/crontab").unwrap_or_default();
    // The distribution's own lines run the folders below.
    let own = jobs(&crontab).filter(|line| !line.contains("/etc/cron."));
    found.extend(own.map(|line| job("/etc/crontab", line)));
    for folder in ["cron.d", "cron.hourly", "cron.daily", "cron.weekly", "cron.monthly"] {
        let folder = format!("/etc/{folder}");
        for name in reader.files(&folder) {
            let file = format!("{folder}/{name}");
            if !name.starts_with('.') && !reader.is_of_package(&file) {
                found.push(HostSetting {
                    entry: format!("job {name}"),
                    file,
                });
            }
        }
    }
    // Debian's and Red Hat's places of users' tables; root alone may look.
    for folder in ["/var/spool/cron/crontabs", "/var/spool/cron"] {
        for user in reader.own_files(folder) {
            let file = format!("{folder}/{user}");
            let text = reader.text(&file).unwrap_or_default();
            found.extend(jobs(&text).map(|line| job(&file, line)));
        }
    }
    let timers = reader.own_files(UNITS).into_iter();
    let timers = timers.filter(|name| name.ends_with(".timer"));
    found.extend(timers.map(|name| HostSetting {
        file: format!("{UNITS}/{name}"),
        entry: format!("timer {name}"),
    }));
    found
}

/// Lines of a table of cron that are jobs: no comments, no variables.
fn jobs(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| line.starts_with(|first: char| first.is_ascii_digit() || first == '*' || first == '@'))
}

/// Job, by its times and its program alone: arguments may be secrets.
fn job(file: &str, line: &str) -> HostSetting {
    let times = if line.starts_with('@') { 1 } else { 5 };
    let is_of_system = file == "/etc/crontab";
    let words: Vec<&str> = line
        .split_whitespace()
        .take(times + usize::from(is_of_system) + 1)
        .collect();
    HostSetting {
        file: file.to_owned(),
        entry: words.join(" "),
    }
}

/// Services of systemd that no package brought.
pub(crate) fn services(reader: &mut InventoryReader) -> Vec<String> {
    let names = reader.own_files(UNITS);
    let names = names.into_iter().filter(|name| {
        let is_of_node = OF_NODES.contains(&name.as_str());
        name.ends_with(".service") && !is_of_node && !reader.is_of_package(&format!("{UNITS}/{name}"))
    });
    names.map(|name| format!("{UNITS}/{name}")).collect()
}
