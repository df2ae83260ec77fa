//! Kustomizations among files: whether what they make is what was read.

use std::collections::BTreeSet;

use basalt_document::Document;

use crate::ManifestObject;
use crate::facts::is_below;
use crate::field::Field;

/// API group of kustomize's files.
const GROUP: &str = "kustomize.config.k8s.io";
/// Keys by which objects come that no file has, or by which those of files become others.
const RENDERING: [&str; 11] = [
    "components",
    "configMapGenerator",
    "generators",
    "helmChartInflationGenerator",
    "helmCharts",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "transformers",
    "vars",
];
/// Keys that list files, folders and URLs with objects.
const RESOURCES: [&str; 2] = ["bases", "resources"];

/// Kind and apiVersion of a kustomization that has none, which kustomize permits; `None` for any other document.
pub(crate) fn kind_of(document: &Document) -> Option<(&'static str, &'static str)> {
    let name = document.name().rsplit('/').next().unwrap_or_default();
    let root = Field::root(document.root());
    let mut keys = RESOURCES.iter().chain(&RENDERING);
    let is_one = ["kustomization.yaml", "kustomization.yml"].contains(&name) && keys.any(|key| root.get(key).is_some());
    is_one.then_some(("Kustomization", "kustomize.config.k8s.io/v1beta1"))
}

/// Files that objects were read from.
pub(crate) struct ReadFiles(BTreeSet<String>);

impl ReadFiles {
    /// Files of objects.
    pub(crate) fn of(objects: &[ManifestObject]) -> Self {
        let files = objects.iter().filter_map(ManifestObject::file);
        Self(files.map(|file| joined("", file)).collect())
    }

    /// Returns `true` for a kustomization that makes objects which are in none of the files, or changes those that are.
    pub(crate) fn lack(&self, object: &ManifestObject) -> bool {
        let root = object.root();
        let file = object.file().unwrap_or_default();
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let is_read = |resource: &str| {
            let path = joined(folder, resource);
            !path.is_empty() && self.0.iter().any(|file| is_below(file, &path))
        };
        let mut resources = RESOURCES.iter().flat_map(|key| root.list(key));
        object.group() == GROUP
            && (RENDERING.iter().any(|key| !root.list(key).is_empty())
                || resources.any(|resource| !resource.text().is_some_and(is_read)))
    }
}

/// Path in a folder, without `.` and, as far as there are folders, without `..`.
fn joined(folder: &str, path: &str) -> String {
    let folder = if path.starts_with('/') { "" } else { folder };
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(name: &str, text: &str) -> Vec<ManifestObject> {
        let documents = Document::parse_stream(name, text).expect("YAML");
        let read = |(number, document)| ManifestObject::of_document(document, number + 1);
        documents.into_iter().enumerate().flat_map(read).collect()
    }

    #[test]
    fn what_was_read_needs_no_rendering() {
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";
        let kind = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
        for (text, is_lacking) in [
            ("namespace: a\nresources: [pod.yaml, ../base, ./b/../pod.yaml]", false),
            ("resources: [other.yaml]", true),
            ("resources: [../base2]", true),
            ("bases: ['https://example.com/base']", true),
            ("helmCharts: [{name: web}]", true),
            ("resources: [pod.yaml]\npatches: [{patch: x}]", true),
            ("resources: [pod.yaml]\npatches: []", false),
        ] {
            for text in [text.to_owned(), format!("{kind}{text}")] {
                let mut all = objects("/k/overlay/pod.yaml", pod);
                all.extend(objects("/k/base/pod.yaml", pod));
                all.extend(objects("/k/overlay/kustomization.yaml", &text));
                let kustomization = all.last().expect("an object");
                assert_eq!(kustomization.id.kind, "Kustomization", "{text}");
                assert_eq!(ReadFiles::of(&all).lack(kustomization), is_lacking, "{text}");
            }
        }
    }

    #[test]
    fn values_of_charts_are_no_kustomizations() {
        assert!(objects("a/values.yaml", "resources: [a]").is_empty());
        assert!(objects("a/kustomization.yaml", "[a]").is_empty());
    }

    #[test]
    fn paths_are_joined() {
        for (folder, path, joint) in [
            ("", "./a//b", "a/b"),
            ("a/b", "../c", "a/c"),
            ("a", "../../c", "../c"),
            ("a", "/b", "b"),
        ] {
            assert_eq!(joined(folder, path), joint);
        }
    }
}
