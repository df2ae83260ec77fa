//! Sections of a NodeConfig that do what a host's settings do.

use std::collections::BTreeMap;

use basalt_inventory::{HostInventory, HostProxy, HostRegistry, is_hidden};
use basalt_node_config::raw;

use super::draft::LeftOutSetting;

mod kubelet;
mod network;
mod sysctl;

pub(super) use kubelet::HostKubeletSettings;
pub(super) use network::network;
pub(super) use sysctl::{SysctlFate, WantedSysctl, sysctl_value, sysctls, wanted_sysctls};

/// Reason for which a NodeConfig does not have a setting that [`basalt_inventory::is_hidden`].
pub(super) const NOT_THERE: &str = "the inventory does not have its value, since it may be secret";
/// The same reason for several settings.
pub(super) const NONE_THERE: &str = "the inventory does not have their values, since they may be secret";

/// Settings that no section has, although the host has them.
pub(super) fn left_out(host: &HostInventory, kubelet: &HostKubeletSettings) -> Vec<LeftOutSetting> {
    let mut found = network::left_out(host);
    found.extend_from_slice(&kubelet.flags.left_out);
    found.extend_from_slice(&kubelet.hidden);
    // In a list of exceptions, `*` is all hosts.
    let is_of_pulls = |proxy: &&HostProxy| ["http_proxy", "https_proxy"].contains(&proxy.variable.as_str());
    for hidden in proxies(host)
        .filter(is_of_pulls)
        .filter(|proxy| is_hidden(&proxy.value))
    {
        let path = format!("{} of {}", hidden.variable, hidden.file);
        found.push(LeftOutSetting::new(path, "", NOT_THERE));
    }
    let mut known: Vec<&HostRegistry> = Vec::new();
    for registry in settings_of_registries(host) {
        match known.iter().find(|first| first.host == registry.host) {
            Some(first) if first.mirrors != registry.mirrors => {
                let path = format!("registry {} of {}", registry.host, registry.file);
                let urls: Vec<&str> = registry.mirrors.iter().map(|mirror| mirror.url.as_str()).collect();
                found.push(LeftOutSetting::new(
                    path,
                    &urls.join(" "),
                    format!("{} goes before it", first.file),
                ));
            }
            Some(_) => {}
            None => known.push(registry),
        }
    }
    found
}

/// Proxies that count for pulls, in their order: of a variable, the last one counts.
pub(super) fn proxies(host: &HostInventory) -> impl Iterator<Item = &HostProxy> {
    host.proxies.iter().filter(|proxy| !proxy.file.starts_with("/etc/apt/"))
}

/// Proxy, without name and password.
pub(super) fn proxy(host: &HostInventory) -> Option<raw::Proxy> {
    let value = |variable: &str| {
        let found = proxies(host).filter(|proxy| proxy.variable == variable).last();
        found.map(|proxy| proxy.value.clone())
    };
    let with_scheme = |address: String| match address.contains("://") {
        true => address.trim_end_matches('/').to_owned(),
        false => format!("http://{}", address.trim_end_matches('/')),
    };
    let address = |variable| value(variable).filter(|value| !is_hidden(value)).map(with_scheme);
    let (http, https) = (address("http_proxy"), address("https_proxy"));
    if http.is_none() && https.is_none() {
        return None;
    }
    let direct = value("no_proxy").unwrap_or_default();
    let direct = direct
        .split([',', ' '])
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    Some(raw::Proxy {
        https: https.filter(|https| Some(https) != http.as_ref()),
        http,
        no_proxy: direct.map(str::to_owned).collect(),
    })
}

/// Settings of registries, those first that go before others of the same registry.
pub(super) fn settings_of_registries(host: &HostInventory) -> impl Iterator<Item = &HostRegistry> {
    let named = host
        .registries
        .iter()
        .filter(|registry| !registry.host.starts_with('('));
    named.filter(|registry| !registry.mirrors.is_empty() || registry.is_insecure)
}

/// Registries with mirrors, without credentials.
pub(super) fn registries(host: &HostInventory) -> Vec<raw::Registry> {
    let mut found: BTreeMap<&str, raw::Registry> = BTreeMap::new();
    for registry in settings_of_registries(host) {
        let made = registry_of(registry);
        found.entry(&registry.host).or_insert(made);
    }
    found.into_values().collect()
}

fn registry_of(found: &HostRegistry) -> raw::Registry {
    // A hosts.toml that names the registry itself among the mirrors says how to speak to it.
    let own =
        |url: &str| [format!("https://{}", found.host), format!("http://{}", found.host)].contains(&url.to_owned());
    let own_plain = found
        .mirrors
        .iter()
        .any(|mirror| mirror.url == format!("http://{}", found.host));
    let mirrors = found
        .mirrors
        .iter()
        .filter(|mirror| !own(&mirror.url))
        .map(|mirror| raw::Mirror {
            url: mirror.url.clone(),
            ca: None,
            skip_verify: mirror.skip_verify,
            client_certificate: None,
            auth: None,
            override_path: mirror.override_path,
        });
    let mirrors: Vec<raw::Mirror> = mirrors.collect();
    raw::Registry {
        host: found.host.clone(),
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
        mirrors_only: false,
        plain_http: own_plain,
        ca: None,
        skip_verify: found.is_insecure && !own_plain && found.host != "*",
        client_certificate: None,
        auth: None,
    }
}

/// Time servers.
pub(super) fn time(host: &HostInventory) -> Option<raw::Time> {
    // Those that a distribution's packages name.
    let is_own = |server: &&String| {
        !["debian.pool.ntp.org", "ubuntu.pool.ntp.org", "ntp.ubuntu.com"]
            .iter()
            .any(|pool| server.ends_with(pool))
    };
    // Names of servers are the same in capitals, and a NodeConfig has small letters.
    let servers = host.time.servers.iter().filter(is_own);
    let servers: Vec<String> = servers.map(|server| server.to_ascii_lowercase()).collect();
    (!servers.is_empty()).then_some(raw::Time { servers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_time_servers_have_small_letters() {
        let mut host = HostInventory::default();
        host.time.servers = vec!["NTP1.Example.com".to_owned(), "0.debian.pool.ntp.org".to_owned()];
        assert_eq!(
            time(&host).map(|time| time.servers),
            Some(vec!["ntp1.example.com".to_owned()])
        );
    }

    #[test]
    fn a_proxy_without_an_address_is_none() {
        let proxy_of = |variable: &str, value: &str| HostProxy {
            file: "/etc/environment".to_owned(),
            variable: variable.to_owned(),
            value: value.to_owned(),
            ..HostProxy::default()
        };
        let mut host = HostInventory {
            proxies: vec![proxy_of("http_proxy", "*"), proxy_of("no_proxy", "*")],
            ..HostInventory::default()
        };
        assert!(proxy(&host).is_none());
        let found: Vec<String> = left_out(&host, &HostKubeletSettings::of(&host))
            .into_iter()
            .map(|entry| entry.path)
            .collect();
        assert_eq!(found, ["http_proxy of /etc/environment"]);
        host.proxies.push(proxy_of("https_proxy", "http://p:3128"));
        let made = proxy(&host).expect("a proxy");
        assert_eq!((made.http, made.https), (None, Some("http://p:3128".to_owned())));
        assert_eq!(made.no_proxy, ["*"]);
    }

    #[test]
    fn settings_that_another_file_has_first_are_named() {
        let registry = |file: &str, url: &str| HostRegistry {
            host: "docker.io".to_owned(),
            file: file.to_owned(),
            mirrors: vec![basalt_inventory::HostMirror {
                url: url.to_owned(),
                ..basalt_inventory::HostMirror::default()
            }],
            ..HostRegistry::default()
        };
        let host = HostInventory {
            registries: vec![
                registry("/a", "https://a"),
                registry("/b", "https://b"),
                registry("/c", "https://a"),
            ],
            ..HostInventory::default()
        };
        let found = left_out(&host, &HostKubeletSettings::of(&host));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["`registry docker.io of /b` (https://b) is left out: /a goes before it"]
        );
    }
}
