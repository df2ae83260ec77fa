//! containerd's `hosts.toml`: mirrors of a registry.

use std::collections::BTreeMap;

use basalt_document::Finding;
use basalt_node_config::address::{MirrorUrl, RegistryName};
use basalt_node_config::raw::{Mirror, Registry};
use serde::Deserialize;
use toml::Spanned;

/// Capabilities of a mirror of a NodeConfig: it is asked for images by digest and by tag.
const CAPABILITIES: [&str; 2] = ["pull", "resolve"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsFile {
    server: Option<String>,
    /// Hosts by their URLs, whose places give the order.
    #[serde(default)]
    host: BTreeMap<Spanned<String>, Host>,
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
    if name != "_default" {
        name.parse::<RegistryName>()?;
    }
    let file = toml::from_str::<HostsFile>(text);
    let file =
        file.map_err(|error| refused(format!("`hosts.toml` of `{name}` cannot be read: {}", error.message())))?;
    let plain_http = is_plain(name, file.server.as_deref())?;
    let mut hosts: Vec<_> = file.host.iter().collect();
    // containerd asks them in the order of the file, and TOML's tables have none.
    hosts.sort_by_key(|(url, _)| url.span().start);
    let mirrors = hosts.into_iter().map(|(url, host)| mirror(name, url.get_ref(), host));
    let mirrors = mirrors.collect::<Result<Vec<_>, _>>()?;
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

fn refused(message: String) -> Finding {
    let help = "write it in the part `registries` of the NodeConfig";
    Finding::error(message, "not taken over").with_help(help)
}

/// Returns `true` for a registry whose server speaks plain HTTP.
fn is_plain(name: &str, server: Option<&str>) -> Result<bool, Finding> {
    let Some(server) = server else { return Ok(false) };
    let (scheme, host) = server.split_once("://").unwrap_or(("https", server));
    let host = host.trim_end_matches('/');
    let is_same = host == name || (name == "docker.io" && host == "registry-1.docker.io");
    match is_same {
        true => Ok(scheme == "http"),
        false => Err(refused(format!(
            "`server` sends requests for `{name}` to `{host}`: write it as a mirror"
        ))),
    }
}

/// Mirror of a registry of this name.
fn mirror(name: &str, url: &str, host: &Host) -> Result<Mirror, Finding> {
    url.parse::<MirrorUrl>()?;
    // None, or an empty list, stands for all of them.
    let given: Vec<_> = host.capabilities.iter().flatten().map(String::as_str).collect();
    let push = given.contains(&"push");
    if let Some(missing) = CAPABILITIES.into_iter().find(|needed| !given.contains(needed))
        && !given.is_empty()
    {
        let help = "remove `capabilities` if the mirror may be asked for tags and for content, or leave the mirror out";
        let message = format!(
            "the mirror `{url}` of `{name}` is without the capability `{missing}`, and a node asks each mirror for both"
        );
        return Err(Finding::error(message, "not taken over").with_help(help));
    }
    for (key, given) in [
        ("ca", host.ca.is_some()),
        ("client", host.client.is_some()),
        ("header", host.header.is_some()),
        ("dial_timeout", host.dial_timeout.is_some()),
        ("capabilities with `push`", push),
    ] {
        if given {
            return Err(refused(format!(
                "`{key}` of the mirror `{url}` of `{name}` is not taken over"
            )));
        }
    }
    Ok(Mirror {
        url: url.to_owned(),
        ca: None,
        skip_verify: host.skip_verify,
        client_certificate: None,
        auth: None,
        override_path: host.override_path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<String> {
        let mirrors = read("docker.io", text).unwrap().mirrors.unwrap_or_default();
        mirrors.into_iter().map(|mirror| mirror.url).collect()
    }

    #[test]
    fn an_address_that_is_part_of_another_text_has_its_own_place() {
        let mirror = "https://mirror.example";
        let server = "https://registry-1.docker.io";
        let text = format!("server = \"{server}\"\n[host.\"{mirror}\"]\n[host.\"{server}\"]\n");
        assert_eq!(urls(&text), [mirror, server]);
        let (long, short) = ("https://m.example/second/path", "https://m.example");
        let text = format!("# not {short}\n[host.\"{long}\"]\n[host.\"{short}\"]\n");
        assert_eq!(urls(&text), [long, short]);
    }

    #[test]
    fn mirrors_keep_their_order() {
        let text = "server = \"https://registry-1.docker.io\"\n[host.\"https://z.example\"]\ncapabilities = [\"pull\", \"resolve\"]\n[host.\"https://a.example/v2/x\"]\noverride_path = true\n";
        let registry = read("docker.io", text).unwrap();
        let mirrors = registry.mirrors.unwrap();
        assert_eq!(urls(text), ["https://z.example", "https://a.example/v2/x"]);
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
            (
                "[host.\"https://m\"]\ncapabilities = [\"pull\", \"resolve\", \"push\"]",
                "push",
            ),
            (
                "[host.\"https://m\"]\ncapabilities = [\"pull\"]",
                "without the capability `resolve`",
            ),
            (
                "[host.\"https://m\"]\ncapabilities = [\"resolve\"]",
                "without the capability `pull`",
            ),
            ("[host.\"m.example\"]", "does not begin with"),
            ("[host.\"https://m\"]\nunknown = 1", "unknown"),
            ("= 1", "cannot be read"),
        ] {
            let finding = read("docker.io", text).unwrap_err();
            assert!(finding.message.contains(expected), "{finding:?}");
        }
        assert!(read("*", "").is_err());
        assert_eq!(urls("[host.\"https://m\"]\ncapabilities = []"), ["https://m"]);
    }
}
