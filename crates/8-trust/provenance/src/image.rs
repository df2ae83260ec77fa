//! The statement about an image.

use std::collections::BTreeMap;

use basalt_bom::{BomError, rpm_purl};
use basalt_build::BUILD_TIME;
use basalt_digest::Digest;
use basalt_image::Image;
use basalt_sources::Material;
use serde_json::{Value, json};

use crate::IMAGE_BUILD;
use crate::statement::{BuildDefinition, ResourceDescriptor, Statement};

/// A file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Path of the file in the image's folder.
    pub name: String,
    /// The digest of its content.
    pub sha256: Digest,
}

/// Returns the provenance of an image. `definition` is the checked definition; `foundation` are the files of the
/// repository that determine which tools composed the image.
///
/// # Errors
/// When a package has a name that no package URL can have.
pub fn of_image(
    image: &Image,
    files: &[ImageFile],
    definition: Value,
    foundation: &[Material],
) -> Result<Statement, BomError> {
    let subject = files
        .iter()
        .map(|file| ResourceDescriptor::file(format!("{}/{}", image.name, file.name), &file.sha256));
    let mut dependencies = Vec::new();
    for package in &image.facts.packages {
        let descriptor = ResourceDescriptor::file(format!("{}.rpm", package.nevra), &package.digest);
        let descriptor = match split(&package.nevra) {
            Some((name, evr, arch)) => descriptor.at(rpm_purl(name, &evr, arch)?),
            None => descriptor,
        };
        dependencies.push(descriptor.with("role", "installed"));
    }
    let foundation = foundation
        .iter()
        .map(|file| ResourceDescriptor::file(&file.name, &file.sha256).with("role", "foundation"));
    dependencies.extend(foundation);
    let definition = BuildDefinition {
        build_type: IMAGE_BUILD.to_owned(),
        external_parameters: BTreeMap::from([
            ("image".to_owned(), json!(image.name)),
            ("arch".to_owned(), json!(image.facts.arch)),
            ("definition".to_owned(), definition),
        ]),
        internal_parameters: BTreeMap::from([
            ("key".to_owned(), json!(image.key)),
            ("sourceDateEpoch".to_owned(), json!(BUILD_TIME)),
        ]),
        resolved_dependencies: dependencies,
    };
    Ok(Statement::new(subject.collect(), definition, env!("CARGO_PKG_VERSION")))
}

/// Name, version with release, and architecture of `zlib-1.3.1-1.bs1.x86_64`.
fn split(nevra: &str) -> Option<(&str, String, &str)> {
    let (rest, arch) = nevra.rsplit_once('.')?;
    let (rest, release) = rest.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name, format!("{version}-{release}"), arch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_from_the_end() {
        let parts = ("kubernetes-node", "1:1.37.2-1.bs1".to_owned(), "x86_64");
        assert_eq!(split("kubernetes-node-1:1.37.2-1.bs1.x86_64"), Some(parts));
        assert_eq!(split("x"), None);
    }
}
