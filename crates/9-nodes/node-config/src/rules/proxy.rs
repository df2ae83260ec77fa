//! The proxy part.

use std::net::{IpAddr, Ipv6Addr};

use crate::address::{Cidr, port_number};
use crate::checked::Proxy;
use crate::finder::Finder;
use crate::name::domain;
use crate::raw;
use basalt_document::{Finding, Path};

pub(super) fn proxy(finder: &mut Finder<'_>, path: &Path, raw: &raw::Proxy) -> Proxy {
    if raw.http.is_none() && raw.https.is_none() {
        let finding = Finding::error("no proxy is named", "without effect");
        finder.say_missing(
            path,
            &["http", "https"].map(|key| path.key(key)),
            finding.with_help("add `http: http://proxy.example:3128`, or remove `proxy`"),
        );
    }
    for (index, entry) in raw.no_proxy.iter().enumerate() {
        if !is_destination(entry) {
            let finding = Finding::error(
                format!("`{entry}` is neither a domain nor an address nor a network"),
                "not a destination",
            );
            finder.say(
                &path.key("noProxy").index(index),
                finding.with_help("write one destination per entry: `.example.com`, `10.0.0.0/8`, `host.example:8443`"),
            );
        }
    }
    let http = finder.parse_given(&path.key("http"), raw.http.as_ref());
    let https = match &raw.https {
        Some(https) => finder.parse(&path.key("https"), https),
        None => http.clone(),
    };
    Proxy {
        http,
        https,
        direct: raw.no_proxy.clone(),
    }
}

/// Returns `true` for an entry that Go's reader of `NO_PROXY` understands: a network, an address, a domain with or without
/// those below it, and a port after one of the two.
fn is_destination(entry: &str) -> bool {
    if entry == "*" || entry.parse::<IpAddr>().is_ok() {
        return true;
    }
    if entry.contains('/') {
        return entry.parse::<Cidr>().is_ok();
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !entry.ends_with(']') => (host, Some(port)),
        _ => (entry, None),
    };
    if port.is_some_and(|port| port_number(port).is_none_or(|port| port == 0)) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let name = host.strip_prefix('*').unwrap_or(host);
    let name = name.strip_prefix('.').unwrap_or(name);
    let is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.parse::<IpAddr>().is_ok() || !is_number && domain(&name.to_lowercase().replace('_', "-"), "it").is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_destination;

    #[test]
    fn destinations() {
        for good in [
            "*",
            "10.0.0.1",
            "10.0.0.1:8443",
            "10.0.0.0/8",
            "fd00::1",
            "fd00::/8",
            "[fd00::1]",
            "[fd00::1]:443",
            "example.com",
            ".example.com",
            "*.example.com",
            "h:8443",
            "a_b.example",
            "Example.COM",
        ] {
            assert!(is_destination(good), "{good}");
        }
        for bad in [
            "",
            "http://x",
            "10.0.0.0/99",
            "10.0.0",
            "10.0.0.256",
            "h:0",
            "h:port",
            "[fd00::z]",
            "a, b",
            "a b",
            ".",
            "example.com/path",
        ] {
            assert!(!is_destination(bad), "{bad}");
        }
    }
}
