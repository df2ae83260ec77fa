//! HTTP proxies in files of settings.

use crate::HostProxy;
use crate::host_files::HostFiles;
use crate::redaction::{HIDDEN, address, is_host};
use crate::syntax::{assignments, settings, words};

/// Names of variables, in lower case.
const VARIABLES: [&str; 5] = ["http_proxy", "https_proxy", "no_proxy", "all_proxy", "ftp_proxy"];
/// Files with assignments.
const FILES: [&str; 6] = [
    "/etc/environment",
    "/etc/default/containerd",
    "/etc/default/crio",
    "/etc/default/docker",
    "/etc/default/kubelet",
    "/etc/profile.d/proxy.sh",
];
/// Units whose environment counts for pulls.
const UNITS: [&str; 5] = ["containerd", "crio", "cri-docker", "docker", "kubelet"];

/// Reads proxies of the system, of the container runtime and of apt.
pub(crate) fn read(files: &mut HostFiles<'_>) -> Vec<HostProxy> {
    let mut found = Vec::new();
    for path in FILES {
        let text = files.text(path).unwrap_or_default();
        found.extend(
            assignments(&text)
                .into_iter()
                .filter_map(|(name, value)| proxy(path, &name, &value)),
        );
    }
    let mut paths = files.with_parts("/etc/systemd/system.conf", "/etc/systemd/system.conf.d", ".conf");
    for unit in UNITS {
        let unit = format!("/etc/systemd/system/{unit}.service");
        paths.extend(files.with_parts(&unit, &format!("{unit}.d"), ".conf"));
    }
    for path in paths {
        let text = files.text(&path).unwrap_or_default();
        found.extend(of_unit(&path, &text));
    }
    for path in files.paths("/etc/apt/apt.conf.d", "") {
        let text = files.text(&path).unwrap_or_default();
        found.extend(of_apt(&path, &text));
    }
    found
}

/// Proxy of a variable; `None` for other variables, and for empty values.
fn proxy(file: &str, variable: &str, value: &str) -> Option<HostProxy> {
    let variable = variable.to_ascii_lowercase();
    if !VARIABLES.contains(&variable.as_str()) || value.is_empty() {
        return None;
    }
    let (value, has_credentials) = match variable.as_str() {
        "no_proxy" => (value.to_owned(), false),
        _ => first_address(value),
    };
    Some(HostProxy {
        file: file.to_owned(),
        variable,
        value,
        has_credentials,
    })
}

/// Address of a proxy at the begin of a value, and whether it had a name; `*` where the value may have none. What follows a blank or
/// a quote is none of it: a comment, another word.
fn first_address(value: &str) -> (String, bool) {
    let is_end = |letter: char| letter.is_whitespace() || letter == '"' || letter == '\'';
    let mut words = value.split(is_end).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    // A password with a blank goes on behind it, up to an `@`.
    let goes_on = |word: &str| word.contains('@') && !(word.contains("://") && first.contains('@'));
    if words.any(goes_on) {
        return (HIDDEN.to_owned(), true);
    }
    let (shown, has_name) = address(first);
    let shown = shown.split([',', ';']).next().unwrap_or_default();
    let host = shown.split_once("://").map_or(shown, |(_, rest)| rest);
    match is_host(host.split('/').next().unwrap_or_default()) {
        true => (shown.to_owned(), has_name),
        false => (HIDDEN.to_owned(), has_name),
    }
}

/// Proxies in `Environment=` and `DefaultEnvironment=`.
fn of_unit(file: &str, text: &str) -> Vec<HostProxy> {
    let settings = settings(text).into_iter();
    let settings = settings.filter(|setting| ["Environment", "DefaultEnvironment"].contains(&setting.key.as_str()));
    let words = settings.flat_map(|setting| words(&setting.value));
    words
        .filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            proxy(file, name, value)
        })
        .collect()
}

/// Proxies of apt: `Acquire::http::Proxy "http://proxy:3128";`.
fn of_apt(file: &str, text: &str) -> Vec<HostProxy> {
    let found = crate::syntax::lines(text).filter_map(|line| {
        let words = words(line.trim_end_matches(';'));
        let [name, value, ..] = words.as_slice() else {
            return None;
        };
        let variable = match name.to_ascii_lowercase().as_str() {
            "acquire::http::proxy" => "http_proxy",
            "acquire::https::proxy" => "https_proxy",
            _ => return None,
        };
        proxy(file, variable, value.trim_end_matches(';'))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_have_no_passwords() {
        let unit = "[Service]\nEnvironment=\"HTTP_PROXY=http://u:p@proxy:3128\" NO_PROXY=10.0.0.0/8,.svc TOKEN=abc\n";
        let found = of_unit("/x", unit);
        let found: Vec<_> = found
            .iter()
            .map(|proxy| (proxy.variable.as_str(), proxy.value.as_str(), proxy.has_credentials))
            .collect();
        assert_eq!(
            found,
            [
                ("http_proxy", "http://proxy:3128", true),
                ("no_proxy", "10.0.0.0/8,.svc", false)
            ]
        );
        let long = format!("{}.example", "a,".repeat(1000));
        assert_eq!(proxy("/x", "no_proxy", &long).expect("a proxy").value, long);
        for (value, kept, has_credentials) in [
            (
                "http://u:p@proxy:3128 http://u:hunter2@x,y\" password=z",
                "http://proxy:3128",
                true,
            ),
            ("http://proxy:3128/ # the one of the site", "http://proxy:3128/", false),
            ("\"http://proxy:3128", "http://proxy:3128", false),
            ("http://proxy:3128,hunter2", "http://proxy:3128", false),
            ("http://u:hun ter2@proxy:3128", "*", true),
            ("http://u:hun ter://2@proxy:3128", "*", true),
            ("http://u:p@hun ter2@proxy:3128", "*", true),
            ("http:// proxy", "*", false),
            ("password=hunter2", "*", false),
        ] {
            let found = proxy("/x", "http_proxy", value).expect("a proxy");
            assert_eq!(
                (found.value.as_str(), found.has_credentials),
                (kept, has_credentials),
                "{value}"
            );
        }
        let apt = of_apt("/x", "Acquire::http::Proxy \"http://apt:3142/\";\nAPT::Get \"1\";\n");
        assert_eq!((apt.len(), apt[0].value.as_str()), (1, "http://apt:3142/"));
    }
}
