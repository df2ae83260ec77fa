//! Credential providers: what the kubelet would not start with.

use std::collections::HashSet;

use crate::address::port_number;
use crate::amount::GoDuration;
use crate::finder::Finder;
use crate::raw;
use basalt_document::{Finding, Path};

pub(super) fn check(finder: &mut Finder<'_>, path: &Path, providers: &[raw::CredentialProvider]) {
    let mut names = HashSet::new();
    for (index, provider) in providers.iter().enumerate() {
        let place = path.index(index);
        let file_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name = provider.name.as_str();
        if name.is_empty() || name.starts_with('.') || !name.chars().all(file_name) {
            let finding = Finding::error(format!("`{name}` is not the name of a program"), "not a file name");
            finder.say(
                &place.key("name"),
                finding.with_help("write the name of its file: `ecr-credential-provider`"),
            );
        } else if !names.insert(name) {
            let finding = Finding::error(format!("the provider `{name}` is there twice"), "given again here");
            finder.say(
                &place.key("name"),
                finding.with_help("put all its images into one entry"),
            );
        }
        if provider.match_images.is_empty() {
            let finding = Finding::error(format!("`{name}` is asked for no image"), "the kubelet would not start");
            finder.say(
                &place.key("matchImages"),
                finding.with_help("add a pattern: `*.azurecr.io`"),
            );
        }
        for (index, pattern) in provider.match_images.iter().enumerate() {
            if !is_pattern(pattern) {
                let finding = Finding::error(format!("`{pattern}` does not match images"), "not a pattern");
                let help = "write a registry, with `*` for parts of its name: `*.azurecr.io`, `a.example/team`";
                finder.say(&place.key("matchImages").index(index), finding.with_help(help));
            }
        }
        let _: Option<GoDuration> = finder.parse(&place.key("defaultCacheDuration"), &provider.default_cache_duration);
    }
}

/// A host, in which `*` stands for any part, with a port and the beginning of a path if need be.
fn is_pattern(text: &str) -> bool {
    let (host, path) = text.split_once('/').unwrap_or((text, "any"));
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let of_name = |c: char| c.is_ascii_alphanumeric() || ".-*".contains(c);
    let of_path = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    !name.is_empty()
        && name.chars().all(of_name)
        && port_number(port).is_some()
        && !path.is_empty()
        && path.chars().all(of_path)
}
