//! Lists of packages as XML: the text of each package is written by itself, on any thread, and the texts are joined.

use serde::Serialize;

use crate::MetadataError;
use crate::describe::PackageEntries;
use crate::raw::{COMMON, FILELISTS, OTHER, RPM};

/// Element around the packages, in one of the files.
struct ListFormat {
    root: &'static str,
    namespace: &'static str,
    rpm_namespace: Option<&'static str>,
}

const PRIMARY_LIST: ListFormat = ListFormat {
    root: "metadata",
    namespace: COMMON,
    rpm_namespace: Some(RPM),
};
const FILELISTS_LIST: ListFormat = ListFormat {
    root: "filelists",
    namespace: FILELISTS,
    rpm_namespace: None,
};
const OTHER_LIST: ListFormat = ListFormat {
    root: "otherdata",
    namespace: OTHER,
    rpm_namespace: None,
};

#[derive(Serialize)]
struct List<'p, P> {
    #[serde(rename = "@xmlns")]
    namespace: &'static str,
    #[serde(rename = "@xmlns:rpm", skip_serializing_if = "Option::is_none")]
    rpm_namespace: Option<&'static str>,
    #[serde(rename = "@packages")]
    count: usize,
    package: &'p [P],
}

impl ListFormat {
    /// Writes a list that announces `count` packages.
    fn text<P: Serialize>(&self, count: usize, packages: &[P]) -> Result<String, MetadataError> {
        let list = List {
            namespace: self.namespace,
            rpm_namespace: self.rpm_namespace,
            count,
            package: packages,
        };
        xml(Some(self.root), &list)
    }
}

/// The three lists: of all packages, or of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListTexts {
    pub(crate) primary: String,
    pub(crate) filelists: String,
    pub(crate) other: String,
}

impl ListTexts {
    /// Writes lists of one package, or of none, that announce `count` packages.
    pub(crate) fn of(package: Option<&PackageEntries>, count: usize) -> Result<Self, MetadataError> {
        Ok(Self {
            primary: PRIMARY_LIST.text(count, package.map(|package| &package.primary).as_slice())?,
            filelists: FILELISTS_LIST.text(count, package.map(|package| &package.filelists).as_slice())?,
            other: OTHER_LIST.text(count, package.map(|package| &package.other).as_slice())?,
        })
    }
}

/// Joins lists of one package each; returns the pieces of the list of all of them.
pub(crate) fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut pieces = Vec::new();
    let mut end = "";
    for text in texts {
        let (start, package, rest) = cut(text);
        if pieces.is_empty() {
            pieces.push(start);
        }
        pieces.push(package);
        end = rest;
    }
    pieces.push(end);
    pieces
}

/// Cuts a list into all up to the root's start tag, the package, and the root's end tag.
fn cut(text: &str) -> (&str, &str, &str) {
    // The XML declaration and the start tag are a line each.
    let start = text.match_indices('\n').nth(1).map_or(text.len(), |(place, _)| place);
    let (start, rest) = text.split_at(start);
    let (package, end) = rest.split_at(rest.rfind("\n</").unwrap_or(rest.len()));
    (start, package, end)
}

/// Writes a document; the type of the value names its root element, unless a name is given.
pub(crate) fn xml(root: Option<&str>, value: &impl Serialize) -> Result<String, MetadataError> {
    let unwritable = |error: quick_xml::SeError| MetadataError::Unwritable {
        file: root.unwrap_or("metadata").to_owned(),
        why: error.to_string(),
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut serializer = quick_xml::se::Serializer::with_root(&mut text, root).map_err(unwritable)?;
    serializer.indent(' ', 2);
    value.serialize(serializer).map_err(unwritable)?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::raw::{File, Filelists, FilelistsPackage, Version};

    fn package(name: &str, files: Vec<String>) -> FilelistsPackage {
        FilelistsPackage {
            package_id: "0".to_owned(),
            name: name.to_owned(),
            arch: "noarch".to_owned(),
            version: Version {
                epoch: "0".to_owned(),
                version: "1".to_owned(),
                release: "1".to_owned(),
            },
            files: files.into_iter().map(|path| File { kind: None, path }).collect(),
        }
    }

    proptest! {
        /// The joined texts of single packages are the text of all of them, also with line ends and tags in names.
        #[test]
        fn joined_texts_are_the_text_of_all(files in prop::collection::vec(prop::collection::vec("[a/\n<>&\"é ]{0,8}", 0..3), 1..5)) {
            let packages: Vec<FilelistsPackage> = files.into_iter().enumerate()
                .map(|(index, files)| package(&format!("\n</p{index}>"), files)).collect();
            let texts: Vec<String> = packages.iter()
                .map(|package| FILELISTS_LIST.text(packages.len(), std::slice::from_ref(package)).expect("XML")).collect();
            let all = Filelists { namespace: FILELISTS.to_owned(), count: packages.len(), packages };
            prop_assert_eq!(joined(texts.iter().map(String::as_str)).concat(), xml(None, &all).expect("XML"));
        }
    }

    #[test]
    fn the_list_of_no_packages_is_empty() {
        let texts = ListTexts::of(None, 0).expect("XML");
        let all = Filelists {
            namespace: FILELISTS.to_owned(),
            count: 0,
            packages: Vec::new(),
        };
        assert_eq!(texts.filelists, xml(None, &all).expect("XML"));
    }
}
