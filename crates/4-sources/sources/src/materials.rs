//! Materials of a package, for provenance statements: every source with its digest.

use crate::source_lock::LockedFile;
use basalt_digest::Digest;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::{SourceSet, SourcesError, Tools, repository};

/// A file that goes into a build, by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// Path in the repository, or the name by which the spec knows the file.
    pub name: String,
    /// Place of these very bytes: upstream's URL or, for a repack, the lock's first alternative (`debian:...`,
    /// `pypi:...`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// URL of upstream's release, for a repack: other bytes, with the same content but for what was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repack_of: Option<String>,
    /// SHA-256 of the content.
    pub sha256: Digest,
}

impl Material {
    /// A file of the repository.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_repository(root: &Utf8Path, path: &Utf8Path) -> std::io::Result<Self> {
        Ok(Self::named(path.to_string(), &fs_err::read(root.join(path))?))
    }

    /// Material that nobody publishes by itself: `content` under a name.
    pub fn named(name: String, content: &[u8]) -> Self {
        Self {
            name,
            url: None,
            repack_of: None,
            sha256: Digest::of(content),
        }
    }

    fn of_locked(file: &LockedFile) -> Self {
        let elsewhere = file.alternatives.first().map(ToString::to_string);
        let (url, repack_of) = if file.repack {
            (elsewhere, Some(file.url.clone()))
        } else {
            (Some(file.url.clone()), None)
        };
        Self {
            name: file.file.clone(),
            url,
            repack_of,
            sha256: file.sha256,
        }
    }
}

impl SourceSet {
    /// Every file that the lock names or that says what else is fetched: downloads, files of the repository, and the locks
    /// of Go modules and crates, which hold the digests of those.
    ///
    /// # Errors
    /// When a file of the repository is not there.
    pub fn materials(&self, tools: &Tools) -> Result<Vec<Material>, SourcesError> {
        let mut materials: Vec<_> = self.lock().files.iter().map(Material::of_locked).collect();
        let mut add = |path: &Utf8Path, name: String| -> Result<(), SourcesError> {
            materials.push(Material::named(name, &self.read(path)?));
            Ok(())
        };
        // The locks of Go modules lie in the package's folder, which is listed by itself.
        for locked in &self.lock().cargo {
            add(&self.folder().join(&locked.lock), plain(locked.lock.as_str()))?;
        }
        for tree in &self.lock().trees {
            for (name, file) in repository::snapshot(self, tree, tools)?.files() {
                materials.push(Material {
                    sha256: file.blob.digest,
                    ..Material::named(name.to_owned(), &[])
                });
            }
        }
        Ok(materials)
    }
}

/// A path without the steps up to the root of the repository.
fn plain(path: &str) -> String {
    path.trim_start_matches("../").to_owned()
}
