//! containerd's `hosts.toml`: mirrors of a registry.

use std::collections::BTreeMap;

use basalt_document::Finding;
use basalt_node_config::raw::{Mirror, Registry};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsFile {
    server: Option<String>,
    #[serde(default)]
    host: BTreeMap<String, Host>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    capabilities: Option<Vec<String>>,
    #[serde(default)]
    override_path: bool,
    #[serde(default)]
    skip_verify: bool,
    ca: Option<toml::Value>,
    client: Option<toml::Value>,
    header: Option<toml::Value>,
    dial_timeout: Option<String>,
}

/// Registry of a file in `/etc/containerd/certs.d/NAME/`.
///
/// # Errors
/// When it is not such a file, or a NodeConfig cannot express it.
pub(super) fn read(name: &str, text: &str) -> Result<Registry, Finding> {
    let refused = |message: String| {
        let help = "write it in the part `registries` of the NodeConfig";
        Err(Finding::error(message, "not taken over").with_help(help))
    };
    let file: HostsFile = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => return refused(format!("`hosts.toml` of `{name}` cannot be read: {}", error.message())),
    };
    let plain_http = match file.server.as_deref() {
        None => false,
        Some(server) => {
            let (scheme, host) = server.split_once("://").unwrap_or(("https", server));
            let host = host.trim_end_matches('/');
            let is_same = host == name || (name == "docker.io" && host == "registry-1.docker.io");
            if !is_same {
                return refused(format!(
                    "`server` sends requests for `{name}` to `{host}`: write it as a mirror"
                ));
            }
            scheme == "http"
        }
    };
    let mut hosts: Vec<_> = file.host.iter().collect();
    // containerd asks them in the order of the file, and TOML's tables have none.
    hosts.sort_by_key(|(url, _)| text.find(url.as_str()));
    let mut mirrors = Vec::new();
    for (url, host) in hosts {
        let push = host
            .capabilities
            .iter()
            .flatten()
            .any(|capability| capability == "push");
        for (key, given) in [
            ("ca", host.ca.is_some()),
            ("client", host.client.is_some()),
            ("header", host.header.is_some()),
            ("dial_timeout", host.dial_timeout.is_some()),
            ("capabilities with `push`", push),
        ] {
            if given {
                return refused(format!("`{key}` of the mirror `{url}` of `{name}` is not taken over"));
            }
        }
        mirrors.push(Mirror {
            url: url.clone(),
            ca: None,
            skip_verify: host.skip_verify,
            client_certificate: None,
            auth: None,
            override_path: host.override_path,
        });
    }
    Ok(Registry {
        host: if name == "_default" { "*" } else { name }.to_owned(),
        mirrors: (!mirrors.is_empty()).then_some(mirrors),
        mirrors_only: false,
        plain_http,
        ca: None,
        skip_verify: false,
        client_certificate: None,
        auth: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_keep_their_order() {
        let text = "server = \"https://registry-1.docker.io\"\n[host.\"https://z.example\"]\ncapabilities = [\"pull\", \"resolve\"]\n[host.\"https://a.example/v2/x\"]\noverride_path = true\n";
        let registry = read("docker.io", text).unwrap();
        let mirrors = registry.mirrors.unwrap();
        let urls: Vec<_> = mirrors.iter().map(|mirror| mirror.url.as_str()).collect();
        assert_eq!(urls, ["https://z.example", "https://a.example/v2/x"]);
        assert!(mirrors[1].override_path);
        assert!(!mirrors[0].skip_verify);
        let text = "[host.\"https://m.example\"]\nskip_verify = true";
        assert!(read("docker.io", text).unwrap().mirrors.unwrap()[0].skip_verify);
        assert_eq!(read("_default", "").unwrap().host, "*");
        assert!(read("a:5000", "server = \"http://a:5000\"").unwrap().plain_http);
    }

    #[test]
    fn what_cannot_be_expressed_is_named() {
        for (text, expected) in [
            ("server = \"https://other\"", "other"),
            ("[host.\"https://m\"]\nca = \"/etc/ca.crt\"", "ca"),
            ("[host.\"https://m\"]\ncapabilities = [\"push\"]", "push"),
            ("[host.\"https://m\"]\nunknown = 1", "unknown"),
            ("= 1", "cannot be read"),
        ] {
            let finding = read("docker.io", text).unwrap_err();
            assert!(finding.message.contains(expected), "{finding:?}");
        }
    }
}
