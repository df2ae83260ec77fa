//! Packages of dpkg, and files of settings that belong to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::HostPackages;
use crate::host_files::HostFiles;
use crate::redaction::address;

/// Bytes of dpkg's and apt's databases.
const LARGEST: u64 = 32 << 20;

/// Packages, and the files of settings that they brought.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    pub(crate) document: HostPackages,
    /// Paths below /etc.
    pub(crate) conffiles: BTreeSet<String>,
}

/// Reads the databases of dpkg and apt.
pub(crate) fn read(files: &mut HostFiles<'_>) -> Packages {
    let status = files.text_up_to("/var/lib/dpkg/status", LARGEST).unwrap_or_default();
    let states = files.text_up_to("/var/lib/apt/extended_states", LARGEST);
    let mut packages = of_dpkg(&status, &automatic(states.as_deref().unwrap_or_default()));
    if states.is_none() {
        // It is not known which were asked for.
        packages.document.manual.clear();
    }
    let mut paths = files.with_parts("/etc/apt/sources.list", "/etc/apt/sources.list.d", ".list");
    paths.extend(files.paths("/etc/apt/sources.list.d", ".sources"));
    let mut archives = BTreeSet::new();
    for path in paths {
        let text = files.text(&path).unwrap_or_default();
        archives.extend(text.lines().flat_map(hosts));
    }
    packages.document.archives = archives.into_iter().collect();
    let snaps = files.names("/var/lib/snapd/snaps").into_iter();
    let snaps = snaps.filter_map(|name| Some(name.strip_suffix(".snap")?.to_owned()));
    packages.document.snaps = snaps.collect();
    packages
}

/// Fields of the paragraphs of a database, with those lines that begin with a space.
fn paragraphs(text: &str) -> impl Iterator<Item = BTreeMap<&str, Vec<&str>>> {
    text.split("\n\n").map(|paragraph| {
        let mut fields: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut last = "";
        for line in paragraph.lines() {
            if line.starts_with([' ', '\t']) {
                fields.entry(last).or_default().push(line.trim());
            } else if let Some((key, value)) = line.split_once(':') {
                last = key;
                fields.entry(key).or_default().push(value.trim());
            }
        }
        fields
    })
}

fn first<'t>(fields: &BTreeMap<&str, Vec<&'t str>>, key: &str) -> &'t str {
    fields
        .get(key)
        .and_then(|lines| lines.first())
        .copied()
        .unwrap_or_default()
}

/// Names of packages that apt installed for others.
fn automatic(text: &str) -> BTreeSet<&str> {
    let paragraphs = paragraphs(text).filter(|fields| first(fields, "Auto-Installed") == "1");
    paragraphs.map(|fields| first(&fields, "Package")).collect()
}

fn of_dpkg(text: &str, automatic: &BTreeSet<&str>) -> Packages {
    let mut packages = Packages::default();
    for fields in paragraphs(text) {
        let name = first(&fields, "Package");
        let status = first(&fields, "Status");
        if !status.ends_with(" installed") {
            continue;
        }
        packages.document.installed += 1;
        if status.starts_with("hold ") {
            packages.document.held.push(name.to_owned());
        }
        let conffiles = fields.get("Conffiles").into_iter().flatten();
        let conffiles = conffiles.filter_map(|line| line.split_whitespace().next());
        packages.conffiles.extend(conffiles.map(str::to_owned));
        let is_base = ["required", "important", "standard"].contains(&first(&fields, "Priority"))
            || first(&fields, "Essential") == "yes";
        if !is_base && !automatic.contains(name) {
            let version = first(&fields, "Version").to_owned();
            packages.document.manual.insert(name.to_owned(), version);
        }
    }
    packages
}

/// Hosts of archives in a line: `deb [..] https://host/path suite`, `URIs: https://host/path`.
fn hosts(line: &str) -> Vec<String> {
    let line = line.trim();
    if !line.starts_with("deb") && !line.starts_with("URIs:") {
        return Vec::new();
    }
    let addresses = line.split_whitespace().filter(|word| word.contains("://"));
    let hosts = addresses.filter_map(|word| {
        let (address, _) = address(word);
        let (_, rest) = address.split_once("://")?;
        rest.split('/').next().map(str::to_owned)
    });
    hosts.filter(|host| !host.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_were_asked_for_are_listed() {
        let status = "Package: bash\nEssential: yes\nStatus: install ok installed\nPriority: required\nVersion: 5\nConffiles:\n /etc/bash.bashrc 00\n\n\
                      Package: kubelet\nStatus: hold ok installed\nPriority: optional\nVersion: 1.33.1-1.1\n\nPackage: libx\nStatus: install ok installed\nVersion: 1\n\n\
                      Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
        let states = "Package: libx\nArchitecture: amd64\nAuto-Installed: 1\n";
        let found = of_dpkg(status, &automatic(states));
        assert_eq!(found.document.installed, 3);
        assert_eq!(
            found.document.manual,
            BTreeMap::from([("kubelet".to_owned(), "1.33.1-1.1".to_owned())])
        );
        assert_eq!(found.document.held, ["kubelet"]);
        assert!(found.conffiles.contains("/etc/bash.bashrc"));
    }

    #[test]
    fn archives_have_no_passwords() {
        assert_eq!(
            hosts("deb [signed-by=/x] https://u:p@archive.example/ubuntu noble main"),
            ["archive.example"]
        );
        assert_eq!(
            hosts("URIs: http://a.example/x http://b.example"),
            ["a.example", "b.example"]
        );
        assert_eq!(hosts("# deb http://c.example"), Vec::<String>::new());
    }
}
