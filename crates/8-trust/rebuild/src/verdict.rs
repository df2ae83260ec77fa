//! Verdicts on second builds, cached in the store.

use basalt_digest::{Digest, Hasher};
use basalt_store::{Store, StoreError};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::Difference;

/// Source text of the comparison: it is part of a verdict's key, because another comparison may come to another
/// verdict.
const CODE: [&str; 10] = [
    include_str!("compare.rs"),
    include_str!("compare/archive.rs"),
    include_str!("compare/bytes.rs"),
    include_str!("compare/compressed.rs"),
    include_str!("compare/disk.rs"),
    include_str!("compare/findings.rs"),
    include_str!("compare/program.rs"),
    include_str!("compare/rpm.rs"),
    include_str!("compare/text.rs"),
    include_str!("compare/tree.rs"),
];

/// Kind of a build product that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProductKind {
    /// A package: the RPMs of one spec.
    Package,
    /// An image.
    Image,
}

/// Result of one check: a package or image that was built twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Name of the package or image.
    pub name: String,
    /// Kind of the product.
    pub kind: ProductKind,
    /// Number of files that were compared as a whole.
    pub files: usize,
    /// Duration of the second build, in seconds.
    pub seconds: u64,
    /// `true` if the verdict was taken from the cache.
    #[serde(default)]
    pub remembered: bool,
    /// Verdict on the second build.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Verdict on a second build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// Every file is the same, to the byte.
    Identical,
    /// Something differs.
    Different {
        /// Differences, the first ones only where there are many.
        differences: Vec<Difference>,
        /// Number of further differences that were not kept.
        more: usize,
        /// The files of the second build that differ, in the store.
        kept: Vec<DifferingFile>,
    },
    /// The second build failed.
    Failed {
        /// Message of the build's error.
        why: String,
        /// Path of the build's log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Utf8PathBuf>,
    },
}

/// A file of the second build that differs from the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DifferingFile {
    /// File name of the RPM, or name of the image.
    pub file: String,
    /// Path of the first build's file.
    pub first: Utf8PathBuf,
    /// Path of the second build's file, in the store.
    pub second: Utf8PathBuf,
}

impl Checked {
    /// Returns `true` if every file is the same to the byte.
    pub fn is_identical(&self) -> bool {
        self.verdict == Verdict::Identical
    }

    /// Cache key of a verdict: digest of the comparison's code, the product's key `what`, the digests of its files, and
    /// that of the conditions.
    pub(crate) fn key(what: &Digest, files: impl IntoIterator<Item = Digest>, conditions: &Digest) -> Digest {
        let mut hasher = Hasher::new();
        hasher
            .fact("code", CODE.join("\0"))
            .fact("of", what.as_bytes())
            .fact("conditions", conditions.as_bytes());
        for file in files {
            hasher.fact("file", file.as_bytes());
        }
        hasher.finish()
    }

    /// Returns the cached verdict. Failures are never cached: the machine may have caused them.
    pub(crate) fn recall(key: &Digest, store: &Store) -> Option<Self> {
        let mut checked: Self = store.result(key)?;
        checked.remembered = true;
        Some(checked)
    }

    /// Caches the verdict, unless it is a failure.
    pub(crate) fn remember(&self, key: &Digest, store: &Store) -> Result<(), StoreError> {
        match self.verdict {
            Verdict::Failed { .. } => Ok(()),
            _ => store.set_result(key, self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_remembered_and_failures_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = camino::Utf8Path::from_path(folder.path()).expect("UTF-8");
        let store = Store::open(root).expect("a store");
        let key = Checked::key(&Digest::of("zlib"), [Digest::of("rpm")], &Digest::of("conditions"));
        let mut checked = Checked {
            name: "zlib".to_owned(),
            kind: ProductKind::Package,
            files: 2,
            seconds: 7,
            remembered: false,
            verdict: Verdict::Failed {
                why: "no reason".to_owned(),
                log: None,
            },
        };
        checked.remember(&key, &store).expect("kept");
        assert_eq!(Checked::recall(&key, &store), None);
        checked.verdict = Verdict::Different {
            differences: vec![Difference {
                place: vec!["zlib".to_owned()],
                what: "differs".to_owned(),
            }],
            more: 3,
            kept: Vec::new(),
        };
        checked.remember(&key, &store).expect("kept");
        checked.remembered = true;
        assert_eq!(Checked::recall(&key, &store), Some(checked));
        let other = Checked::key(&Digest::of("zlib"), [Digest::of("rpm")], &Digest::of("others"));
        assert_eq!(Checked::recall(&other, &store), None);
    }
}
