//! HTTP proxies in files of settings.

use crate::HostProxy;
use crate::host_files::HostFiles;
use crate::redaction::{address, clipped};
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
        "no_proxy" => (clipped(value), false),
        _ => address(value),
    };
    let value = match variable.as_str() {
        "no_proxy" => value,
        // What follows an address is none of it: a comment, another word.
        _ => value
            .split([' ', '\t', ',', ';', '"', '\''])
            .find(|part| !part.is_empty())
            .unwrap_or_default()
            .to_owned(),
    };
    Some(HostProxy {
        file: file.to_owned(),
        variable,
        value,
        has_credentials,
    })
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
        let broken = proxy(
            "/x",
            "http_proxy",
            "http://u:p@proxy:3128 http://u:hunter2@x,y\" password=z",
        )
        .expect("a proxy");
        assert_eq!(broken.value, "http://x");
        let apt = of_apt("/x", "Acquire::http::Proxy \"http://apt:3142/\";\nAPT::Get \"1\";\n");
        assert_eq!((apt.len(), apt[0].value.as_str()), (1, "http://apt:3142/"));
    }
}
