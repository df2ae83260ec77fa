//! The text of a lock as it is written, with the places of what is checked later.

use serde::Deserialize;
use toml::Spanned;

use super::Alternative;
use basalt_digest::Digest;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceLock {
    #[serde(default)]
    pub(super) file: Vec<LockedFile>,
    #[serde(default)]
    pub(super) go: Vec<GoModules>,
    #[serde(default)]
    pub(super) cargo: Vec<Crates>,
    #[serde(default)]
    pub(super) tree: Vec<RepositoryFiles>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockedFile {
    pub(super) file: Spanned<String>,
    pub(super) sha256: Digest,
    pub(super) size: u64,
    pub(super) url: Spanned<String>,
    #[serde(default)]
    pub(super) repack: bool,
    #[serde(default)]
    pub(super) alternatives: Vec<Alternative>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoModules {
    pub(super) dir: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Crates {
    pub(super) lock: Spanned<String>,
    #[serde(default)]
    pub(super) package: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepositoryFiles {
    pub(super) name: Spanned<String>,
    pub(super) paths: Vec<Spanned<String>>,
}
