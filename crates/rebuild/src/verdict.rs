//! What came of building something again.

use basalt_model::digest::{Digest, Hasher};
use basalt_store::{Store, StoreError};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::Difference;

/// Source text of what compares: another comparison may come to another verdict.
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

/// What was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A package: the RPMs of one spec.
    Package,
    /// An image.
    Image,
}

/// Something that was built again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// How many files were compared as a whole.
    pub files: usize,
    /// How long building it again took, in seconds.
    pub seconds: u64,
    /// Whether it was found out some other time, and remembered.
    #[serde(default)]
    pub remembered: bool,
    /// What came of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What came of building something again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// Every file is the same, to the byte.
    Identical,
    /// Something differs.
    Different {
        /// What, as far as it is kept.
        differences: Vec<Difference>,
        /// How many more differences there are.
        more: usize,
        /// The files of the second build that differ, in the store.
        kept: Vec<Kept>,
    },
    /// It could not be built under the other conditions.
    Failed {
        /// Why.
        why: String,
        /// The whole log.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<Utf8PathBuf>,
    },
}

/// A file of the second build that differs from the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name.
    pub file: String,
    /// Where the first is.
    pub first: Utf8PathBuf,
    /// Where the second is.
    pub second: Utf8PathBuf,
}

impl Checked {
    /// Whether it came out the same.
    pub fn is_identical(&self) -> bool {
        self.verdict == Verdict::Identical
    }

    /// The name of a verdict about something with that key, whose files have these digests, under these conditions.
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

    /// The verdict of that name, if it was found before. A failure is not remembered: it may have been the machine's.
    pub(crate) fn recall(key: &Digest, store: &Store) -> Option<Self> {
        let mut checked: Self = store.result(key)?;
        checked.remembered = true;
        Some(checked)
    }

    /// Remembers it.
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
            kind: Kind::Package,
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
