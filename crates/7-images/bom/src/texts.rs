//! Licence files: where they are, and which licences their texts are.
//!
//! Texts are compared with those on SPDX's list, by the crate `spdx`: a text counts as a licence when nine tenths of it
//! are the same. What is found is locked ([`crate::Licences`]), so that a person has seen it.

use std::collections::{BTreeMap, BTreeSet};

use basalt_rpm::Payload;
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use spdx::detection::scan::Scanner;
use spdx::detection::{Store, TextData};

use crate::program::Rpm;
use crate::{BomError, Component, ComponentKind, Licences};

/// Prefixes of names of licence files, in lower case.
const NAMES: &[&str] = &["license", "licence", "copying", "unlicense", "copyright"];
/// Largest size of a licence file, in bytes; larger files are not read.
const MOST: u64 = 1 << 20;
/// Folder with a package's licence files.
const FOLDER: &str = "/usr/share/licenses/";
/// Licences that other texts are mistaken for: `Pixar` differs from Apache-2.0 by a few words. A person has to decide.
const LOOKALIKES: &[&str] = &["Pixar"];
/// Confidence at which a text counts as a licence, from 0 to 1.
const SURE: f32 = 0.9;

/// Locations of the sources of modules and crates: module caches, and folders of vendored crates.
#[derive(Debug, Clone, Default)]
pub struct ModuleSources {
    /// Go's module caches.
    pub go: Vec<Utf8PathBuf>,
    /// Folders of `name-version/`.
    pub crates: Vec<Utf8PathBuf>,
}

/// A licence file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LicenceFile {
    /// Name of the file.
    pub name: String,
    /// Text of the file.
    pub text: String,
}

impl ModuleSources {
    /// The folder with the source of a module or crate, if it is at hand.
    pub fn folder(&self, component: &Component) -> Option<Utf8PathBuf> {
        let (roots, name) = match component.kind {
            ComponentKind::Package => return None,
            ComponentKind::GoModule => {
                let (path, version) = (escaped(&component.name), escaped(&component.version));
                (&self.go, format!("{path}@{version}"))
            }
            ComponentKind::Crate => (&self.crates, format!("{}-{}", component.name, component.version)),
        };
        roots.iter().map(|root| root.join(&name)).find(|folder| folder.is_dir())
    }

    /// The licence files of a module or crate; none when its source is not at hand.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn texts(&self, component: &Component) -> Result<Vec<LicenceFile>, BomError> {
        self.folder(component)
            .map_or(Ok(Vec::new()), |folder| files(&folder, true))
    }
}

/// A path or version as the module cache spells it: capital letters are small ones after a `!`.
fn escaped(path: &str) -> String {
    path.chars().fold(String::new(), |mut escaped, letter| {
        if letter.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(letter.to_ascii_lowercase());
        escaped
    })
}

/// The licence files of a folder, by name; with `notices`, what has to be passed on beside a licence too.
fn files(folder: &Utf8Path, notices: bool) -> Result<Vec<LicenceFile>, BomError> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().map_err(BomError::io("cannot list", folder))? {
        let path = entry.map_err(BomError::io("cannot list", folder))?.into_path();
        let name = path.file_name().unwrap_or_default().to_owned();
        let plain = name.to_lowercase();
        let wanted = NAMES.iter().any(|known| plain.starts_with(known)) || notices && plain.starts_with("notice");
        let metadata = fs_err::symlink_metadata(&path).map_err(BomError::io("cannot look at", &path))?;
        if !wanted || !metadata.is_file() || metadata.len() > MOST || plain.ends_with(".go") {
            continue;
        }
        let text = fs_err::read(&path).map_err(BomError::io("cannot read", &path))?;
        found.push(LicenceFile {
            name,
            text: String::from_utf8_lossy(&text).into_owned(),
        });
    }
    found.sort();
    Ok(found)
}

/// The licence files that a package has below `/usr/share/licenses`, by path.
///
/// # Errors
/// When the RPM cannot be read.
pub fn of_rpm(rpm: &Rpm<'_>) -> Result<Vec<LicenceFile>, BomError> {
    use std::io::Read as _;
    let mut found = Vec::new();
    if !rpm.package.files.iter().any(|path| path.starts_with(FOLDER)) {
        return Ok(found);
    }
    let mut payload = Payload::open(rpm.path)?;
    while let Some(file) = payload.next()? {
        let path = file.paths.iter().find(|path| path.starts_with(FOLDER));
        let Some(path) = path.filter(|_| file.is_regular() && file.size <= MOST).cloned() else {
            continue;
        };
        let mut text = Vec::new();
        payload
            .read_to_end(&mut text)
            .map_err(BomError::io("cannot read", rpm.path))?;
        found.push(LicenceFile {
            name: path.trim_start_matches(FOLDER).to_owned(),
            text: String::from_utf8_lossy(&text).into_owned(),
        });
    }
    found.sort();
    Ok(found)
}

/// The text of a licence on SPDX's list, or of a reference of ours.
pub fn of_licence(id: &str, licences: &Licences) -> Option<String> {
    if let Some(reference) = licences.reference(id) {
        return Some(reference.text.clone());
    }
    let (id, exception) = match id.split_once(" WITH ") {
        Some((id, exception)) => (id, spdx::exception_id(exception)),
        None => (id, None),
    };
    let text = spdx::license_id(id)?.text().to_owned();
    Some(match exception {
        Some(exception) => format!("{text}\n\n{}", exception.text()),
        None => text,
    })
}

/// Recognizes licences by their texts.
pub struct Detector(Store);

/// The part of a crate's manifest that is read.
#[derive(Debug, Default, Deserialize)]
struct Manifest {
    package: ManifestPackage,
}

#[derive(Debug, Default, Deserialize)]
struct ManifestPackage {
    license: Option<String>,
}

impl Detector {
    /// Loads SPDX's texts, which takes a moment.
    ///
    /// # Errors
    /// When they are damaged.
    pub fn load() -> Result<Self, BomError> {
        Store::load_inline()
            .map(Self)
            .map_err(|error| BomError::Detector(error.to_string()))
    }

    /// The licence of a module or crate by its source, as an SPDX expression: what a crate's manifest says, else all
    /// licences that are found in the files of its folder. None when nothing was recognized.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn of_folder(&self, kind: ComponentKind, folder: &Utf8Path) -> Result<Option<String>, BomError> {
        if kind == ComponentKind::Crate
            && let Some(licence) = of_manifest(&folder.join("Cargo.toml"))?
        {
            return Ok(Some(licence));
        }
        let mut found = BTreeSet::new();
        for file in files(folder, false)? {
            let known = self.of_text(&file.text);
            // A file of licences that is not understood makes the whole unknown: better none than a part.
            let doubtful = known.iter().any(|name| LOOKALIKES.contains(&name.as_str()));
            if doubtful || known.is_empty() && !file.name.to_lowercase().starts_with("copyright") {
                return Ok(None);
            }
            found.extend(known);
        }
        let found: Vec<_> = found.into_iter().collect();
        Ok((!found.is_empty()).then(|| found.join(" AND ")))
    }

    /// The licences whose texts are in a text.
    pub fn of_text(&self, text: &str) -> BTreeSet<String> {
        let scanner = Scanner::new(&self.0)
            .confidence_threshold(SURE)
            .optimize(true)
            .max_passes(8);
        let result = scanner.scan(&TextData::new(text));
        let parts = result.containing.iter().map(|part| part.license.name);
        let whole = result.license.iter().map(|license| license.name);
        let names: BTreeSet<&str> = if result.containing.is_empty() {
            whole.collect()
        } else {
            parts.collect()
        };
        names.into_iter().map(current).collect()
    }
}

/// The name that SPDX has today for a licence: the list keeps old ones, like `GPL-2.0`.
fn current(name: &str) -> String {
    let known = spdx::license_id(name);
    match known {
        Some(id) if id.is_deprecated() && id.is_gnu() => format!("{}-only", name.trim_end_matches('+')),
        _ => name.to_owned(),
    }
}

/// Returns the licence in a crate's manifest as a canonical SPDX expression: `MIT/Apache-2.0`, which predates SPDX
/// expressions, becomes `MIT OR Apache-2.0`.
fn of_manifest(path: &Utf8Path) -> Result<Option<String>, BomError> {
    let text = fs_err::read_to_string(path).map_err(BomError::io("cannot read", path))?;
    let manifest: Manifest = toml::from_str(&text).map_err(BomError::catalogue(path, &text))?;
    let Some(licence) = manifest.package.license else {
        return Ok(None);
    };
    let canonical = spdx::Expression::canonicalize(&licence).ok().flatten();
    Ok(Some(canonical.unwrap_or(licence)))
}

/// Texts with the names of those that they are from, each text once.
pub fn merged(texts: impl IntoIterator<Item = (String, LicenceFile)>) -> Vec<(Vec<String>, LicenceFile)> {
    let mut merged: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for (of, file) in texts {
        let plain: String = file.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (whose, _) = merged.entry(plain).or_insert_with(|| (Vec::new(), file.text));
        let who = format!("{of} ({})", file.name);
        if !whose.contains(&who) {
            whose.push(who);
        }
    }
    let mut list: Vec<_> = merged
        .into_values()
        .map(|(mut whose, text)| {
            whose.sort();
            let name = whose.first().cloned().unwrap_or_default();
            (whose, LicenceFile { name, text })
        })
        .collect();
    list.sort();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISC: &str = "ISC License\n\nCopyright (c) 2024 Somebody\n\nPermission to use, copy, modify, and/or distribute \
        this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and \
        this permission notice appear in all copies.\n\nTHE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL \
        WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO \
        EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES \
        WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER \
        TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.\n";

    #[test]
    fn licences_are_told_by_their_texts() {
        let detector = Detector::load().expect("the texts");
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let licence = || detector.of_folder(ComponentKind::GoModule, folder).expect("readable");
        assert_eq!(licence(), None);
        fs_err::write(folder.join("LICENSE"), ISC).expect("written");
        fs_err::write(folder.join("README"), "not a licence").expect("written");
        assert_eq!(licence().as_deref(), Some("ISC"));
        let apache = spdx::license_id("Apache-2.0").expect("on the list").text();
        fs_err::write(folder.join("COPYING"), apache).expect("written");
        assert_eq!(licence().as_deref(), Some("Apache-2.0 AND ISC"));
        fs_err::write(folder.join("COPYING"), format!("{apache}\n\n{ISC}")).expect("written");
        assert_eq!(licence().as_deref(), Some("Apache-2.0 AND ISC"));
        fs_err::write(folder.join("LICENCE.txt"), "You may not.").expect("written");
        assert_eq!(licence(), None);
    }

    #[test]
    fn crates_say_it_themselves() {
        let detector = Detector::load().expect("the texts");
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        for (manifest, licence) in [
            ("[package]\nlicense = \"MIT/Apache-2.0\"\n", Some("MIT OR Apache-2.0")),
            ("[package]\nlicense = \"MIT\"\n", Some("MIT")),
            ("[package]\nlicense-file = \"x\"\n", None),
        ] {
            fs_err::write(folder.join("Cargo.toml"), manifest).expect("written");
            assert_eq!(
                detector
                    .of_folder(ComponentKind::Crate, folder)
                    .expect("readable")
                    .as_deref(),
                licence
            );
        }
    }

    #[test]
    fn the_module_cache_has_its_spelling() {
        assert_eq!(escaped("github.com/Azure/go-ansiterm"), "github.com/!azure/go-ansiterm");
    }

    #[test]
    fn equal_texts_are_passed_on_once() {
        let file = |text: &str| LicenceFile {
            name: "LICENSE".to_owned(),
            text: text.to_owned(),
        };
        let list = merged([
            ("b".to_owned(), file("one text")),
            ("a".to_owned(), file("one\n text\n")),
            ("c".to_owned(), file("another")),
        ]);
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].0, ["a (LICENSE)", "b (LICENSE)"]);
    }
}
