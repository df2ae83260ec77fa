//! Time servers and time zone of a host.

use crate::HostTime;
use crate::host_files::HostFiles;
use crate::redaction::hosts;
use crate::syntax::{lines, settings};

/// Reads files of systemd-timesyncd, chrony and ntpd.
pub(crate) fn read(files: &mut HostFiles<'_>) -> HostTime {
    let mut time = HostTime::default();
    for path in files.with_parts("/etc/systemd/timesyncd.conf", "/etc/systemd/timesyncd.conf.d", ".conf") {
        let text = files.text(&path).unwrap_or_default();
        add(&mut time, path, of_timesyncd(&text));
    }
    let mut paths = [
        "/etc/chrony/chrony.conf",
        "/etc/chrony.conf",
        "/etc/ntp.conf",
        "/etc/ntpsec/ntp.conf",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(files.paths("/etc/chrony/conf.d", ".conf"));
    paths.extend(files.paths("/etc/chrony/sources.d", ".sources"));
    for path in paths {
        let text = files.text(&path).unwrap_or_default();
        add(&mut time, path, of_chrony(&text));
    }
    let zone = files.link("/etc/localtime");
    let zone = zone.and_then(|link| Some(link.split_once("zoneinfo/")?.1.to_owned()));
    let zone = zone.or_else(|| files.line("/etc/timezone"));
    time.zone = zone.and_then(|zone| zone.split_whitespace().next().map(str::to_owned));
    time
}

fn add(time: &mut HostTime, path: String, servers: Vec<String>) {
    if servers.is_empty() {
        return;
    }
    time.files.push(path);
    for server in servers {
        if !time.servers.contains(&server) {
            time.servers.push(server);
        }
    }
}

fn of_timesyncd(text: &str) -> Vec<String> {
    let settings = settings(text).into_iter().filter(|setting| setting.key == "NTP");
    settings
        .flat_map(|setting| hosts(setting.value.split_whitespace()).collect::<Vec<_>>())
        .collect()
}

/// Servers of `server`, `pool` and `peer`.
fn of_chrony(text: &str) -> Vec<String> {
    let found = lines(text).filter_map(|line| {
        let mut words = line.split_whitespace();
        let is_server = words
            .next()
            .is_some_and(|word| ["server", "pool", "peer"].contains(&word));
        hosts(words.next()).next().filter(|_| is_server)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read() {
        assert_eq!(
            of_timesyncd("[Time]\n#NTP=x\nNTP=a.example b.example u:hunter2@c.example\nFallbackNTP=c\n"),
            ["a.example", "b.example"]
        );
        assert_eq!(
            of_chrony("pool ntp.example iburst\n! x\nserver 10.0.0.1 key 5\nkeyfile /x\n"),
            ["ntp.example", "10.0.0.1"]
        );
    }
}
