//! Definitions of images in a folder of a checkout.

use std::collections::BTreeMap;

use crate::definition::{ImageDefinition, check};
use basalt_document::spelling::closest;
use camino::{Utf8DirEntry, Utf8Path};

use crate::ImageError;

/// Reads all definitions in a folder, by name. Each is merged with those that it extends.
///
/// # Errors
/// When a file cannot be read or has problems.
pub fn definitions(folder: &Utf8Path) -> Result<BTreeMap<String, ImageDefinition>, ImageError> {
    let mut names = Vec::new();
    for entry in folder.read_dir_utf8().map_err(ImageError::io("cannot list", folder))? {
        let entry = entry.map_err(ImageError::io("cannot list", folder))?;
        names.extend(image_name(&entry));
    }
    names
        .into_iter()
        .map(|name| Ok((name.clone(), definition(folder, &name)?)))
        .collect()
}

/// Returns the name of the image that a file defines. Files whose name begins with a dot define none: editors keep
/// locks and copies there.
fn image_name(entry: &Utf8DirEntry) -> Option<String> {
    let name = entry.file_name().strip_suffix(".yaml")?;
    (!name.starts_with('.') && !name.is_empty()).then(|| name.to_owned())
}

/// Reads the definition of an image in a folder and merges it with those that it extends.
///
/// # Errors
/// When there is no such definition, when a file cannot be read or has problems, when definitions extend each other in
/// a cycle.
pub fn definition(folder: &Utf8Path, name: &str) -> Result<ImageDefinition, ImageError> {
    read(folder, name, &mut Vec::new())
}

fn read(folder: &Utf8Path, name: &str, way: &mut Vec<String>) -> Result<ImageDefinition, ImageError> {
    let circle = way.iter().any(|seen| seen == name);
    way.push(name.to_owned());
    if circle {
        return Err(ImageError::Circle {
            name: name.to_owned(),
            way: way.join(" → "),
        });
    }
    let path = folder.join(format!("{name}.yaml"));
    let text = match fs_err::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(unknown(folder, name)),
        text => text.map_err(ImageError::io("cannot read", &path))?,
    };
    let definition = check(path.as_str(), &text)?;
    match definition.extends.clone() {
        None => Ok(definition),
        Some(base) => Ok(definition.extending(&read(folder, &base, way)?)?),
    }
}

fn unknown(folder: &Utf8Path, name: &str) -> ImageError {
    let mut names: Vec<String> = folder
        .read_dir_utf8()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| image_name(&entry))
        .collect();
    names.sort();
    let help = match closest(name, names.iter().map(String::as_str)) {
        Some(guess) => format!("did you mean `{guess}`?"),
        None => format!("the images of {folder} are {}", names.join(", ")),
    };
    ImageError::Unknown {
        name: name.to_owned(),
        help,
    }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        for (name, text) in files {
            fs_err::write(path.join(format!("{name}.yaml")), text).expect("written");
        }
        (folder, path)
    }

    #[test]
    fn what_is_extended_is_part_of_it() {
        let (_guard, folder) = folder(&[
            ("a", "name: a\nkind: tree\npackages: [x]\n"),
            ("b", "name: b\nkind: tree\nextends: a\npackages: [y]\n"),
            ("c", "name: c\nkind: tree\nextends: b\npackages: [z]\n"),
        ]);
        let all = definitions(&folder).expect("read");
        assert_eq!(all["c"].packages, ["x", "y", "z"]);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn files_of_editors_define_nothing() {
        let (_guard, folder) = folder(&[("a", "name: a\nkind: tree\npackages: [x]\n")]);
        fs_err::write(folder.join(".a.yaml.swp"), "x").expect("written");
        fs_err::os::unix::fs::symlink("user@host.1:2", folder.join(".#a.yaml")).expect("linked");
        assert_eq!(definitions(&folder).expect("read").keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn circles_and_unknown_names_are_said() {
        let (_guard, folder) = folder(&[
            ("node", "name: node\nkind: tree\nextends: other\n"),
            ("other", "name: other\nkind: tree\nextends: node\n"),
        ]);
        let error = definition(&folder, "node").expect_err("a circle").to_string();
        assert_eq!(error, "the image `node` extends itself: node → other → node");
        let error = definition(&folder, "nodes").expect_err("unknown");
        assert_eq!(error.to_string(), "there is no image `nodes`");
        assert!(matches!(error, ImageError::Unknown { help, .. } if help == "did you mean `node`?"));
    }
}
