//! Definitions of images in the content of a distribution.

use std::collections::BTreeMap;

use basalt_content::{ContentFolder, ContentPath, DistributionContent};
use basalt_document::spelling::suggestion;

use crate::ImageError;
use crate::definition::{ImageDefinition, check};

/// Reads all definitions of a distribution, by name, with their variants. Each is merged with those that it extends.
///
/// # Errors
/// When a file cannot be read or has problems, or when a variant has the name of another image.
pub fn definitions(content: &DistributionContent) -> Result<BTreeMap<String, ImageDefinition>, ImageError> {
    all(&files(content)?)
}

/// Reads the definition of an image, or of a variant, and merges it with those that it extends.
///
/// # Errors
/// When there is no such definition, when a file cannot be read or has problems, when definitions extend each other in
/// a cycle.
pub fn definition(content: &DistributionContent, name: &str) -> Result<ImageDefinition, ImageError> {
    let files = files(content)?;
    // A variant's name begins with that of its image.
    let image = |stem: &String| {
        name.strip_prefix(stem.as_str())
            .is_some_and(|rest| rest.starts_with('-'))
    };
    if files.contains_key(name) || !files.keys().any(image) {
        return read(&files, name, &mut Vec::new());
    }
    let mut all = all(&files)?;
    all.remove(name)
        .ok_or_else(|| unknown(name, all.keys().map(String::as_str)))
}

fn all(files: &Files) -> Result<BTreeMap<String, ImageDefinition>, ImageError> {
    let mut found = BTreeMap::new();
    for name in files.keys() {
        let definition = read(files, name, &mut Vec::new())?;
        for image in definition
            .variants()
            .collect::<Vec<_>>()
            .into_iter()
            .chain([definition])
        {
            if let Some(ImageDefinition { name, .. }) = found.insert(image.name.clone(), image) {
                return Err(ImageError::Twice { name });
            }
        }
    }
    Ok(found)
}

/// Files of the definitions, by the name of the image.
type Files = BTreeMap<String, ContentPath>;

fn files(content: &DistributionContent) -> Result<Files, ImageError> {
    Ok(content.files(ContentFolder::Images, "yaml")?)
}

fn read(files: &Files, name: &str, way: &mut Vec<String>) -> Result<ImageDefinition, ImageError> {
    let circle = way.iter().any(|seen| seen == name);
    way.push(name.to_owned());
    if circle {
        return Err(ImageError::Circle {
            name: name.to_owned(),
            way: way.join(" → "),
        });
    }
    let Some(ContentPath { path, .. }) = files.get(name) else {
        return Err(unknown(name, files.keys().map(String::as_str)));
    };
    let text = fs_err::read_to_string(path).map_err(ImageError::io("cannot read", path))?;
    let definition = check(path.as_str(), &text)?;
    match definition.extends.clone() {
        None => Ok(definition),
        Some(base) => Ok(definition.extending(&read(files, &base, way)?)?),
    }
}

fn unknown<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> ImageError {
    let names: Vec<&str> = names.collect();
    let list = || format!("the images are {}", names.join(", "));
    ImageError::Unknown {
        name: name.to_owned(),
        help: suggestion(name, names.iter().copied(), list),
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    fn content(files: &[(&str, &str)]) -> (tempfile::TempDir, DistributionContent) {
        let folder = tempfile::tempdir().expect("a folder");
        let content = DistributionContent::of_checkout(Utf8Path::from_path(folder.path()).expect("UTF-8"));
        let images = content.own_folder(ContentFolder::Images).path;
        fs_err::create_dir_all(&images).expect("created");
        for (name, text) in files {
            fs_err::write(images.join(format!("{name}.yaml")), text).expect("written");
        }
        (folder, content)
    }

    #[test]
    fn what_is_extended_is_part_of_it() {
        let (_guard, content) = content(&[
            ("a", "name: a\nkind: tree\npackages: [x]\n"),
            ("b", "name: b\nkind: tree\nextends: a\npackages: [y]\n"),
            ("c", "name: c\nkind: tree\nextends: b\npackages: [z]\n"),
        ]);
        let all = definitions(&content).expect("read");
        assert_eq!(all["c"].packages, ["x", "y", "z"]);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn variants_are_images_with_more_packages() {
        let (_guard, content) = content(&[
            ("a", "name: a\nkind: tree\npackages: [x]\nvariants: { k-1.2: [k1.2] }\n"),
            ("a-b", "name: a-b\nkind: tree\nextends: a\npackages: [y]\n"),
        ]);
        let all = definitions(&content).expect("read");
        let names: Vec<_> = all.keys().collect();
        assert_eq!(names, ["a", "a-b", "a-b-k-1.2", "a-k-1.2"]);
        let variant = definition(&content, "a-b-k-1.2").expect("read");
        assert_eq!(variant.packages, ["x", "y", "k1.2"]);
        assert!(variant.is_variant && variant == all["a-b-k-1.2"]);
        let error = definition(&content, "a-k-1.3").expect_err("unknown");
        assert!(matches!(error, ImageError::Unknown { help, .. } if help == "did you mean `a-k-1.2`?"));
        // What a definition offers besides is no part of the image.
        let plain = ImageDefinition {
            variants: BTreeMap::new(),
            ..all["a"].clone()
        };
        let text = |definition| serde_json::to_string(definition).expect("text");
        assert_eq!(text(&all["a"]), text(&plain));
    }

    #[test]
    fn a_variant_has_a_name_of_its_own() {
        let (_guard, content) = content(&[
            ("a", "name: a\nkind: tree\npackages: [x]\nvariants: { b: [y] }\n"),
            ("a-b", "name: a-b\nkind: tree\npackages: [z]\n"),
        ]);
        let error = definitions(&content).expect_err("twice").to_string();
        assert_eq!(
            error,
            "there are two images `a-b`: a definition, and a variant of another one"
        );
    }

    #[test]
    fn files_of_editors_define_nothing() {
        let (_guard, content) = content(&[("a", "name: a\nkind: tree\npackages: [x]\n")]);
        let images = content.own_folder(ContentFolder::Images).path;
        fs_err::write(images.join(".a.yaml.swp"), "x").expect("written");
        fs_err::os::unix::fs::symlink("user@host.1:2", images.join(".#a.yaml")).expect("linked");
        assert_eq!(definitions(&content).expect("read").keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn circles_and_unknown_names_are_said() {
        let (_guard, content) = content(&[
            ("node", "name: node\nkind: tree\nextends: other\n"),
            ("other", "name: other\nkind: tree\nextends: node\n"),
        ]);
        let error = definition(&content, "node").expect_err("a circle").to_string();
        assert_eq!(error, "the image `node` extends itself: node → other → node");
        let error = definition(&content, "nodes").expect_err("unknown");
        assert_eq!(error.to_string(), "there is no image `nodes`");
        assert!(matches!(error, ImageError::Unknown { help, .. } if help == "did you mean `node`?"));
    }
}
