//! The registries part.

use std::collections::HashSet;

use super::authorities;
use crate::checked::{Mirror, Registry, RegistryHost};
use crate::defaults::IMAGES_HOST;
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

pub(super) fn registries(finder: &mut Finder<'_>, path: &Path, raw: Vec<raw::Registry>) -> Vec<Registry> {
    let mut seen = HashSet::new();
    let mut checked = Vec::new();
    for (index, raw) in raw.into_iter().enumerate() {
        let place = path.index(index);
        if !seen.insert(raw.host.clone()) {
            let finding = Finding::error(
                format!("the registry `{}` is there twice", raw.host),
                "given again here",
            );
            finder.say(
                &place.key("host"),
                finding.with_help("put all its mirrors into one entry"),
            );
        }
        checked.extend(registry(finder, &place, raw));
    }
    checked
}

fn registry(finder: &mut Finder<'_>, path: &Path, raw: raw::Registry) -> Option<Registry> {
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
    let place = path.key("mirrors");
    let mirrors: Vec<_> = raw
        .mirrors
        .iter()
        .enumerate()
        .filter_map(|(index, mirror)| {
            let place = place.index(index);
            let url = finder.parse(&place.key("url"), &mirror.url);
            let ca = authorities(finder, &place.key("ca"), mirror.ca.as_ref());
            if ca.is_some() && mirror.url.starts_with("http://") {
                let finding = Finding::error("a mirror without TLS has no certificate authority", "never used");
                finder.say(
                    &place.key("ca"),
                    finding.with_help("write `https://` in `url`, or remove `ca`"),
                );
            }
            Some(Mirror {
                url: url?,
                ca,
                override_path: mirror.override_path,
            })
        })
        .collect();
    if raw.mirrors_only && raw.mirrors.is_empty() {
        let finding = Finding::error(
            "only mirrors may be asked, but there are none",
            "nothing could be pulled",
        );
        finder.say(
            &path.key("mirrorsOnly"),
            finding.with_help("add `mirrors:`, or remove this line"),
        );
    }
    let ca = authorities(finder, &path.key("ca"), raw.ca.as_ref());
    if host == Some(RegistryHost::Others) && (raw.auth.is_some() || raw.plain_http || raw.ca.is_some()) {
        let finding = Finding::error(
            "`*` can only have mirrors: it stands for many registries",
            "for all the others",
        );
        finder.say(
            &path.key("host"),
            finding.with_help("write `auth`, `ca` and `plainHttp` at the registry they are of"),
        );
    }
    if raw.plain_http && ca.is_some() {
        let finding = Finding::error("a registry without TLS has no certificate authority", "never used");
        finder.say(&path.key("ca"), finding.with_help("remove `plainHttp` or `ca`"));
    }
    if let Some(auth) = &raw.auth {
        let place = path.key("auth");
        if auth.username.is_empty() || auth.username.contains(':') || auth.username.chars().any(char::is_control) {
            let finding = Finding::error(
                "the user name is empty, or has a colon or a control character",
                "not a name",
            );
            finder.say(
                &place.key("username"),
                finding.with_help("write the name that the registry knows"),
            );
        }
        if auth.password.is_empty() || auth.password.chars().any(char::is_control) {
            let finding = Finding::error("the password is empty, or has a control character", "not a password");
            finder.say(
                &place.key("password"),
                finding.with_help("write it in one line, in quotes"),
            );
        }
    }
    Some(Registry {
        host: host?,
        mirrors,
        mirrors_only: raw.mirrors_only,
        plain_http: raw.plain_http,
        ca,
        auth: raw.auth,
    })
}
