//! What a look at a package's sources finds: damage, what is not here yet, and newer releases.

use std::fmt;

use basalt_store::{Store, StoreError};
use serde::Serialize;

use crate::{SourceSet, SourcesError};

/// Something worth knowing about a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub enum SourceFinding {
    /// The store's copy is not what its name says.
    Damaged {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
    /// It is not in the store; building fetches it.
    Absent {
        /// The package.
        package: String,
        /// The file.
        file: String,
    },
}

impl SourceFinding {
    /// Whether something is wrong, rather than only worth knowing.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

impl fmt::Display for SourceFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { package, file } => write!(
                f,
                "{package}: the store's copy of {file} is damaged; it was removed and will be fetched again"
            ),
            Self::Absent { package, file } => write!(f, "{package}: {file} is not fetched yet"),
        }
    }
}

impl SourceSet {
    /// Reads every file of the lock that is in the store again, and takes away what is damaged.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn check(&self, store: &Store) -> Result<Vec<SourceFinding>, SourcesError> {
        let mut findings = Vec::new();
        for file in &self.lock.files {
            let (package, name) = (self.package.clone(), file.file.clone());
            if store.object(&file.sha256).is_none() {
                findings.push(SourceFinding::Absent { package, file: name });
                continue;
            }
            match store.verify_object(&file.sha256) {
                Ok(()) => {}
                Err(StoreError::Damaged { path, .. }) => {
                    fs_err::remove_file(&path).map_err(StoreError::io("cannot remove", &path))?;
                    findings.push(SourceFinding::Damaged { package, file: name });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(findings)
    }
}
