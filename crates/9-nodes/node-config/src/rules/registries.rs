//! The registries part.

use std::collections::{HashMap, HashSet};

use super::authorities;
use crate::address::MirrorUrl;
use crate::certificate::{ClientCertificate, ClientFault};
use crate::checked::{Access, Mirror, Registry, RegistryHost};
use crate::defaults::IMAGES_HOST;
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

/// Credentials and certificates of a registry or mirror, as written.
struct RawAccess<'r> {
    ca: Option<&'r String>,
    skip_verify: bool,
    client_certificate: Option<&'r raw::ClientCertificate>,
    auth: Option<&'r raw::RegistryAuth>,
    plain_http: bool,
}

pub(super) fn registries(finder: &mut Finder<'_>, path: &Path, raw: Vec<raw::Registry>) -> Vec<Registry> {
    let mut seen = HashSet::new();
    for (index, raw) in raw.iter().enumerate() {
        if !seen.insert(raw.host.clone()) {
            let finding = Finding::error(
                format!("the registry `{}` is there twice", raw.host),
                "given again here",
            );
            finder.say(
                &path.index(index).key("host"),
                finding.with_help("put all its mirrors into one entry"),
            );
        }
    }
    hidden_mirrors(finder, path, &raw);
    let entries = raw.iter().enumerate();
    let checked: Vec<_> = entries
        .filter_map(|(index, raw)| registry(finder, &path.index(index), raw))
        .collect();
    two_credentials(finder, path, &checked);
    checked
}

/// Entries that only say how a registry is spoken to, and so keep the mirrors of `*` from being asked for it.
fn hidden_mirrors(finder: &mut Finder<'_>, path: &Path, raw: &[raw::Registry]) {
    let mirrors = |registry: &raw::Registry| registry.mirrors.as_ref().is_some_and(|mirrors| !mirrors.is_empty());
    let Some(others) = raw.iter().find(|registry| registry.host == "*" && mirrors(registry)) else {
        return;
    };
    for (index, registry) in raw.iter().enumerate() {
        if registry.host == "*" || registry.mirrors.is_some() {
            continue;
        }
        let consequence = if others.mirrors_only {
            "this node asks the registry itself, although `*` allows mirrors only"
        } else {
            "the mirrors of `*` are not asked for it"
        };
        let finding = Finding::warning(
            format!("`{}` has an entry of its own: {consequence}", registry.host),
            "hides the mirrors of `*`",
        );
        let help = "add `mirrors:` with those of `*`, or `mirrors: []` if it shall have none";
        let place = path.index(index);
        finder.say_missing(&place.key("host"), &[place.key("mirrors")], finding.with_help(help));
    }
}

/// One host with different credentials at two places: containerd knows credentials by host.
fn two_credentials(finder: &mut Finder<'_>, path: &Path, registries: &[Registry]) {
    let mut known = HashMap::new();
    for registry in registries {
        for (host, auth) in registry.credentials() {
            if known.insert(host.clone(), auth).is_some_and(|other| other != auth) {
                let finding = Finding::error(format!("`{host}` is given two different passwords"), "one too many");
                finder.say(
                    path,
                    finding.with_help("write the same `auth` wherever this host stands"),
                );
            }
        }
    }
}

fn registry(finder: &mut Finder<'_>, path: &Path, raw: &raw::Registry) -> Option<Registry> {
    let host = match raw.host.as_str() {
        "*" => Some(RegistryHost::Others),
        // The node's own registry of baked images; see `basalt-node serve-image`.
        IMAGES_HOST => {
            let finding = Finding::error(format!("`{IMAGES_HOST}` is the node's own registry"), "taken");
            finder.say(
                &path.key("host"),
                finding.with_help("remove this entry, or choose another name"),
            );
            None
        }
        name => finder.parse(&path.key("host"), name).map(RegistryHost::Named),
    };
    let given = raw.mirrors.as_deref().unwrap_or_default();
    let place = path.key("mirrors");
    let mirrors = given.iter().enumerate();
    let mirrors: Vec<_> = mirrors
        .filter_map(|(index, mirror)| self::mirror(finder, &place.index(index), mirror))
        .collect();
    if raw.mirrors_only && given.is_empty() {
        let finding = Finding::error(
            "only mirrors may be asked, but there are none",
            "nothing could be pulled",
        );
        finder.say_missing(
            &path.key("mirrorsOnly"),
            &[place],
            finding.with_help("add `mirrors:`, or remove this line"),
        );
    }
    let access = RawAccess {
        ca: raw.ca.as_ref(),
        skip_verify: raw.skip_verify,
        client_certificate: raw.client_certificate.as_ref(),
        auth: raw.auth.as_ref(),
        plain_http: raw.plain_http,
    };
    never_asked(finder, path, raw, &access);
    docker_hub(finder, path, raw);
    Some(Registry {
        host: host?,
        mirrors,
        mirrors_only: raw.mirrors_only,
        plain_http: raw.plain_http,
        access: self::access(finder, path, &access),
    })
}

/// Settings of a registry that is none, or that nobody asks.
fn never_asked(finder: &mut Finder<'_>, path: &Path, raw: &raw::Registry, access: &RawAccess<'_>) {
    let set = access.ca.is_some()
        || access.skip_verify
        || access.client_certificate.is_some()
        || access.auth.is_some()
        || access.plain_http;
    if !set {
        return;
    }
    if raw.host == "*" {
        let finding = Finding::error(
            "`*` can only have mirrors: it stands for many registries",
            "for all the others",
        );
        let help = "write credentials, certificates and `plainHttp` at the registry or the mirror that they are of";
        finder.say(&path.key("host"), finding.with_help(help));
    } else if raw.mirrors_only {
        let finding = Finding::error(
            "only mirrors are asked: what is said about the registry itself is never used",
            "never used",
        );
        finder.say(
            &path.key("mirrorsOnly"),
            finding.with_help("write credentials and certificates at the mirrors that they are of"),
        );
    }
}

/// Docker Hub under a name that no image has.
fn docker_hub(finder: &mut Finder<'_>, path: &Path, raw: &raw::Registry) {
    let has_mirrors = raw.mirrors.as_ref().is_some_and(|mirrors| !mirrors.is_empty());
    let is_other_name = match raw.host.as_str() {
        "index.docker.io" => true,
        // Docker Hub's server has this name, and credentials are of servers.
        "registry-1.docker.io" => has_mirrors || raw.auth.is_none(),
        _ => false,
    };
    if is_other_name {
        let message = format!(
            "images of Docker Hub are looked up as `docker.io`, and never as `{}`",
            raw.host
        );
        let finding = Finding::warning(message, "never asked");
        finder.say(&path.key("host"), finding.with_help("write `host: docker.io`"));
    }
}

/// The path of the API at the beginning of an address, to which containerd adds it at the end: `parseHostConfig` of
/// `core/remotes/docker/config/hosts.go` of containerd.
fn doubled_path(finder: &mut Finder<'_>, path: &Path, url: &MirrorUrl) {
    let address = url.as_str().trim_end_matches('/');
    let (_, rest) = address.split_once("://").unwrap_or(("", address));
    let (_, below) = rest.split_once('/').unwrap_or((rest, ""));
    if below.starts_with("v2/") && !below.ends_with("/v2") {
        let message = format!("containerd adds `/v2` to this address, and asks `{address}/v2/`");
        let finding = Finding::warning(message, "never answers");
        let help = "add `overridePath: true`: the address has the path of the API already";
        finder.say(path, finding.with_help(help));
    }
}

fn mirror(finder: &mut Finder<'_>, path: &Path, raw: &raw::Mirror) -> Option<Mirror> {
    let url: Option<MirrorUrl> = finder.parse(&path.key("url"), &raw.url);
    if let (Some(url), false) = (&url, raw.override_path) {
        doubled_path(finder, &path.key("url"), url);
    }
    let access = RawAccess {
        ca: raw.ca.as_ref(),
        skip_verify: raw.skip_verify,
        client_certificate: raw.client_certificate.as_ref(),
        auth: raw.auth.as_ref(),
        plain_http: raw.url.starts_with("http://"),
    };
    let access = self::access(finder, path, &access);
    Some(Mirror {
        url: url?,
        access,
        override_path: raw.override_path,
    })
}

fn access(finder: &mut Finder<'_>, path: &Path, raw: &RawAccess<'_>) -> Access {
    let ca = authorities(finder, &path.key("ca"), raw.ca);
    if raw.plain_http {
        let unused = [
            ("ca", raw.ca.is_some()),
            ("clientCertificate", raw.client_certificate.is_some()),
            ("skipVerify", raw.skip_verify),
        ];
        for (key, _) in unused.into_iter().filter(|(_, given)| *given) {
            let finding = Finding::error(format!("without TLS, `{key}` has no use"), "never used");
            finder.say(
                &path.key(key),
                finding.with_help("write `https://`, or remove `plainHttp`; otherwise remove this line"),
            );
        }
    } else if raw.skip_verify {
        let finding = Finding::warning("whoever is between may answer in its place", "trusts anybody");
        finder.say(
            &path.key("skipVerify"),
            finding.with_help("give its authority as `ca` instead"),
        );
    }
    if let Some(auth) = raw.auth {
        credentials(finder, &path.key("auth"), auth);
    }
    Access {
        ca,
        skip_verify: raw.skip_verify,
        client_certificate: raw
            .client_certificate
            .and_then(|raw| client_certificate(finder, &path.key("clientCertificate"), raw)),
        auth: raw.auth.cloned(),
    }
}

fn client_certificate(finder: &mut Finder<'_>, path: &Path, raw: &raw::ClientCertificate) -> Option<ClientCertificate> {
    match ClientCertificate::new(&raw.certificate, &raw.key) {
        Ok(pair) => Some(pair),
        Err(ClientFault::Certificate) => {
            let finding = Finding::error("there is no certificate in PEM here", "not a certificate");
            finder.say(
                &path.key("certificate"),
                finding.with_help("paste the whole PEM block, from `-----BEGIN CERTIFICATE-----` on"),
            );
            None
        }
        Err(ClientFault::Key) => {
            let finding = Finding::error("this is not a private key in PEM without a password", "not a key");
            finder.say(
                &path.key("key"),
                finding.with_help("paste the whole PEM block, from `-----BEGIN PRIVATE KEY-----` on"),
            );
            None
        }
    }
}

/// Name and password, or a token.
fn credentials(finder: &mut Finder<'_>, path: &Path, auth: &raw::RegistryAuth) {
    let control = |text: &String| text.is_empty() || text.chars().any(char::is_control);
    match (&auth.username, &auth.password, &auth.identity_token) {
        (Some(_), Some(_), None) | (None, None, Some(_)) => {}
        _ => {
            let finding = Finding::error(
                "credentials are a name and a password, or a token",
                "not both, not half",
            );
            finder.say_missing(
                path,
                &["username", "password", "identityToken"].map(|key| path.key(key)),
                finding.with_help("write `username` and `password`, or `identityToken` alone"),
            );
        }
    }
    if let Some(name) = &auth.username
        && (control(name) || name.contains(':'))
    {
        let finding = Finding::error(
            "the user name is empty, or has a colon or a control character",
            "not a name",
        );
        finder.say(
            &path.key("username"),
            finding.with_help("write the name that the registry knows"),
        );
    }
    let secrets = [
        ("password", "password", &auth.password),
        ("identityToken", "token", &auth.identity_token),
    ];
    for (key, what, secret) in secrets {
        if secret.as_ref().is_some_and(control) {
            let finding = Finding::error(
                format!("the {what} is empty, or has a control character"),
                format!("not a {what}"),
            );
            finder.say(&path.key(key), finding.with_help("write it in one line, in quotes"));
        }
    }
}
