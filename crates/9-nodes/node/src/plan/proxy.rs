//! The HTTP proxy, as environment variables of containerd and the kubelet.

use std::fmt::Write as _;

use basalt_node_config::NodeConfig;

/// Addresses that are never asked through a proxy: this machine, and the metadata services of clouds.
const NEAR: [&str; 5] = ["localhost", "127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10"];

/// The lines of an environment file. No value can contain a space or a quote, so systemd takes them as they are.
pub(super) fn environment(config: &NodeConfig) -> Option<String> {
    let proxy = config.proxy.as_ref()?;
    let mut text = String::new();
    for (name, url) in [("HTTP_PROXY", &proxy.http), ("HTTPS_PROXY", &proxy.https)] {
        if let Some(url) = url {
            let _ = writeln!(text, "{name}={}", url.reveal());
        }
    }
    let _ = writeln!(text, "NO_PROXY={}", direct(config).join(","));
    Some(text)
}

/// Addresses that are reached without the proxy: this machine, its networks, the API server, names and name servers of
/// the cluster, and what the NodeConfig adds. Networks are in the notation of Go's `httpproxy`.
fn direct(config: &NodeConfig) -> Vec<String> {
    let mut direct: Vec<String> = NEAR.map(str::to_owned).to_vec();
    direct.push(config.cluster.endpoint.host.clone());
    direct.extend([".svc".to_owned(), format!(".{}", config.cluster.domain)]);
    direct.extend(config.cluster.dns.iter().map(ToString::to_string));
    let interfaces = config.network.iter().flat_map(|network| &network.interfaces);
    direct.extend(interfaces.flat_map(|interface| interface.addresses.iter().map(ToString::to_string)));
    direct.extend(config.proxy.iter().flat_map(|proxy| proxy.direct.iter().cloned()));
    let mut seen = std::collections::BTreeSet::new();
    direct.retain(|entry| seen.insert(entry.clone()));
    direct
}
