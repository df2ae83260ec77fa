//! Patches of packages that fix vulnerabilities, recognized by file names that begin with the CVE.

use std::collections::BTreeMap;

/// Patch of a package, and the vulnerability that it fixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackportedPatch {
    /// The id: `CVE-2026-1234`.
    pub id: String,
    /// The file in the package's folder.
    pub file: String,
    /// `true` if the spec names the file in a `Patch` tag, so that it is applied.
    pub applied: bool,
}

/// Returns the patches among the files of a package's folder: `CVE-2026-1234.patch`, `CVE-2026-1234-what.patch`. A
/// patch that the spec does not name is not applied, and fixes nothing.
pub fn backported_patches<'f>(files: impl IntoIterator<Item = &'f str>, spec: &str) -> Vec<BackportedPatch> {
    let mut found = BTreeMap::new();
    for file in files {
        let Some(id) = file.strip_suffix(".patch").and_then(cve_of) else {
            continue;
        };
        let applied = spec.lines().any(|line| names(line, file));
        found.insert(
            file.to_owned(),
            BackportedPatch {
                id: id.to_owned(),
                file: file.to_owned(),
                applied,
            },
        );
    }
    found.into_values().collect()
}

/// Returns `true` if a line of a spec is `Patch: file`, with or without a number (`Patch0`).
fn names(line: &str, file: &str) -> bool {
    let Some((tag, value)) = line.trim().split_once(':') else {
        return false;
    };
    let number = tag.strip_prefix("Patch").or_else(|| tag.strip_prefix("patch"));
    number.is_some_and(|number| number.chars().all(|digit| digit.is_ascii_digit())) && value.trim() == file
}

/// The `CVE-year-number` that a name begins with.
fn cve_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("CVE-")?;
    let (year, rest) = rest.split_once('-')?;
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (_, after) = rest.split_at(digits);
    let ends = after.is_empty() || after.starts_with(['-', '_', '.']);
    let right = year.len() == 4 && year.bytes().all(|digit| digit.is_ascii_digit()) && digits >= 4 && ends;
    name.strip_suffix(after).filter(|_| right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_patch_says_what_it_corrects() {
        let files = [
            "CVE-2026-1234.patch",
            "CVE-2026-12345-bounds.patch",
            "CVE-2026-777.patch",
            "CVE-2026-4444x.patch",
            "CVE-2026-5555.patch.orig",
            "0001-build.patch",
            "a.spec",
        ];
        let spec = "Name: a\nPatch0: CVE-2026-1234.patch\n# Patch1: CVE-2026-12345-bounds.patch\n";
        let found: Vec<_> = backported_patches(files, spec)
            .into_iter()
            .map(|patch| (patch.id, patch.applied))
            .collect();
        assert_eq!(
            found,
            [("CVE-2026-1234".to_owned(), true), ("CVE-2026-12345".to_owned(), false)]
        );
    }
}
