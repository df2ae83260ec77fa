//! Detection of the licences of modules and crates, from their sources, for the lock.

use std::collections::BTreeMap;

use crate::texts::{Detector, ModuleSources};
use crate::{BomError, Component, ComponentKind, Licences, check, lock_text};

/// Licences that were detected, and components whose licences could not be told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DetectedLicences {
    /// Components with their licences, SPDX expressions.
    pub found: Vec<(Component, String)>,
    /// Components without one: a person has to decide.
    pub unknown: Vec<Component>,
}

impl DetectedLicences {
    /// Detects the licences of all modules and crates among components, each once. A person's decision goes before what is
    /// detected.
    ///
    /// # Errors
    /// When a source cannot be read, or a licence is not an SPDX expression.
    pub fn of(
        components: impl IntoIterator<Item = Component>,
        licences: &Licences,
        sources: &ModuleSources,
    ) -> Result<Self, BomError> {
        let wanted = components.into_iter().filter(is_open);
        let wanted: BTreeMap<String, Component> = wanted.map(|component| (component.purl.clone(), component)).collect();
        let detector = Detector::load()?;
        let mut detected = Self::default();
        for component in wanted.into_values() {
            let licence = match (licences.decision(&component.name), sources.folder(&component)) {
                (Some(decision), _) => Some(decision.licence.clone()),
                (None, Some(folder)) => detector.of_folder(component.kind, &folder)?,
                (None, None) => None,
            };
            match licence {
                Some(licence) => {
                    check(&component.name, &licence)?;
                    detected.found.push((component, licence));
                }
                None => detected.unknown.push(component),
            }
        }
        Ok(detected)
    }

    /// Returns the text of the lock that has what was found.
    pub fn lock_text(&self) -> String {
        let found = self.found.iter();
        lock_text(found.map(|(of, licence)| (of.kind, of.name.as_str(), of.version.as_str(), licence.as_str())))
    }
}

/// Returns `true` for a module or crate whose licence is not known otherwise: the Go library's is, and crates of this
/// repository have that of their package.
fn is_open(component: &Component) -> bool {
    match component.kind {
        ComponentKind::Package => false,
        ComponentKind::Crate => component.digest.is_some() && component.name != "stdlib",
        ComponentKind::GoModule => component.name != "stdlib",
    }
}

#[cfg(test)]
mod tests {
    use basalt_digest::Digest;

    use super::*;

    fn component(kind: ComponentKind, name: &str, digest: Option<Digest>) -> Component {
        Component {
            kind,
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            purl: format!("pkg:{name}@1.0.0"),
            cpe: None,
            licence: None,
            digest,
            go_sum: None,
            inside: Vec::new(),
            origin: None,
        }
    }

    #[test]
    fn licences_are_detected_or_left_to_a_person() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = camino::Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs_err::create_dir_all(root.join("known-1.0.0")).expect("made");
        fs_err::write(root.join("known-1.0.0/Cargo.toml"), "[package]\nlicense = \"MIT\"\n").expect("written");
        let sources = ModuleSources {
            go: Vec::new(),
            crates: vec![root.to_owned()],
        };
        let digest = Some(Digest::of("archive"));
        let components = [
            component(ComponentKind::Crate, "known", digest),
            component(ComponentKind::Crate, "known", digest),
            component(ComponentKind::Crate, "strange", digest),
            component(ComponentKind::Crate, "our-own", None),
            component(ComponentKind::GoModule, "stdlib", None),
            component(ComponentKind::Package, "zlib", digest),
        ];
        let detected = DetectedLicences::of(components, &Licences::default(), &sources).expect("read");
        assert_eq!(detected.found.len(), 1);
        assert!(
            detected.lock_text().contains("\"known@1.0.0\" = \"MIT\""),
            "{}",
            detected.lock_text()
        );
        let unknown: Vec<_> = detected
            .unknown
            .iter()
            .map(|component| component.name.as_str())
            .collect();
        assert_eq!(unknown, ["strange"]);
    }
}
