//! Data about packages that RPMs do not carry: upstream's identity, sources, and licences of linked modules and crates.
//!
//! ```text
//! distro/packages/identity.toml      by hand: upstream names and CPE names of packages
//! distro/packages/licences.toml      by hand: licences that are not on SPDX's list or that no program recognizes
//! distro/packages/licences.lock      by `basalt licenses --lock`: the licence of each module and crate
//! distro/packages/*/sources.toml     upstream's files
//! distro/packages/*/Cargo.lock       digests of crates
//! ```
//!
//! Licences are locked because an image must not depend on whether the sources of its modules are at hand, and so that a
//! licence that changes with a new version is a line in somebody's review.

use std::collections::BTreeMap;

use basalt_digest::Digest;
use basalt_sources::source_lock::SourceLock;
use camino::Utf8Path;
use serde::Deserialize;

use crate::licences::text;
use crate::{BomError, Licences, SourceFile, identifier};

/// Data about the distribution's packages that RPMs do not carry.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    projects: BTreeMap<String, UpstreamProject>,
    sources: BTreeMap<String, Vec<SourceFile>>,
    crates: BTreeMap<(String, String), Digest>,
    /// Licences of modules and crates.
    pub licences: Licences,
}

/// Identity of a source package's upstream project in public databases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamProject {
    /// The name that upstream's project has in vulnerability databases and with other distributions, where it is not
    /// the package's.
    pub upstream: Option<String>,
    /// `part:vendor:product` of its CPE name.
    pub cpe: Option<String>,
    /// `true` if the software is written in this repository, so that no public database has it.
    #[serde(default)]
    pub own: bool,
}

/// The part of a Cargo.lock that is read.
#[derive(Debug, Deserialize)]
struct CargoLock {
    #[serde(default)]
    package: Vec<LockedCrate>,
}

#[derive(Debug, Deserialize)]
struct LockedCrate {
    name: String,
    version: String,
    checksum: Option<Digest>,
}

impl Catalogue {
    /// Reads what the folder `distro/packages` says; files that are not there say nothing.
    ///
    /// # Errors
    /// When a file is not as described.
    pub fn read(packages: &Utf8Path) -> Result<Self, BomError> {
        let mut catalogue = Self {
            licences: Licences::read(packages)?,
            ..Self::default()
        };
        let path = packages.join("identity.toml");
        if let Some(text) = text(&path)? {
            catalogue.projects = identities(&path, &text)?;
        }
        let entries = packages
            .read_dir_utf8()
            .map_err(BomError::io("cannot list", packages))?;
        for entry in entries {
            let folder = entry.map_err(BomError::io("cannot list", packages))?.into_path();
            if let (true, Some(name)) = (folder.is_dir(), folder.file_name().map(str::to_owned)) {
                catalogue.read_sources(&name, &folder)?;
            }
        }
        Ok(catalogue)
    }

    fn read_sources(&mut self, name: &str, folder: &Utf8Path) -> Result<(), BomError> {
        let path = folder.join("sources.toml");
        let Some(text_of_lock) = text(&path)? else {
            return Ok(());
        };
        let lock = SourceLock::parse(&text_of_lock, &path).map_err(Box::new)?;
        let files = lock.files.into_iter().map(|file| SourceFile {
            file: file.file,
            url: file.url,
            digest: file.sha256,
            repack: file.repack,
        });
        self.sources.insert(name.to_owned(), files.collect());
        for crates in &lock.cargo {
            let path = folder.join(&crates.lock);
            let Some(text) = text(&path)? else { continue };
            let lock: CargoLock = toml::from_str(&text).map_err(BomError::catalogue(&path, &text))?;
            let digests = lock
                .package
                .into_iter()
                .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)));
            self.crates.extend(digests);
        }
        Ok(())
    }

    /// Returns the upstream identity of a source package; `None` if `identity.toml` has no entry for it.
    pub fn project(&self, source: &str) -> Option<&UpstreamProject> {
        self.projects.get(source)
    }

    /// Source packages with an entry in `identity.toml`.
    pub fn projects(&self) -> impl Iterator<Item = &str> {
        self.projects.keys().map(String::as_str)
    }

    /// Upstream's files that a source package is made from.
    pub fn sources(&self, source: &str) -> &[SourceFile] {
        self.sources.get(source).map(Vec::as_slice).unwrap_or_default()
    }

    /// The digest of a crate's archive.
    pub fn crate_digest(&self, name: &str, version: &str) -> Option<Digest> {
        self.crates.get(&(name.to_owned(), version.to_owned())).copied()
    }
}

fn identities(path: &Utf8Path, text: &str) -> Result<BTreeMap<String, UpstreamProject>, BomError> {
    let projects: BTreeMap<String, UpstreamProject> = toml::from_str(text).map_err(BomError::catalogue(path, text))?;
    let wrong = projects
        .values()
        .filter_map(|project| project.cpe.as_ref())
        .find(|product| !identifier::is_product(product));
    match wrong {
        None => Ok(projects),
        Some(product) => Err(BomError::Catalogue {
            path: path.to_owned(),
            text: miette::NamedSource::new(path, text.to_owned()),
            message: "`part:vendor:product` is expected, in lower case: `a:gnu:glibc`".to_owned(),
            place: text.find(product.as_str()).map(|start| (start, product.len()).into()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_shown_at_their_place() {
        let path = Utf8Path::new("identity.toml");
        for (text, message) in [
            ("[zlib]\ncpe = \"zlib:zlib\"\n", "part:vendor:product"),
            ("[zlib]\ncpa = \"a:zlib:zlib\"\n", "unknown field"),
            ("[zlib\n", "key"),
        ] {
            let BomError::Catalogue {
                message: said, place, ..
            } = identities(path, text).expect_err(text)
            else {
                panic!("{text}")
            };
            assert!(said.contains(message) || message == "key", "{said}");
            assert!(place.is_some(), "{text}");
        }
        let right =
            identities(path, "[kernel]\nupstream = \"linux\"\ncpe = \"o:linux:linux_kernel\"\n").expect("right");
        assert_eq!(right["kernel"].upstream.as_deref(), Some("linux"));
    }
}
