//! Definitions of images: what is in a node's disk, in a container image, in a tree of programs.
//!
//! A definition is a file `distro/images/<name>.yaml`. [`check`] is the one way from its text to an
//! [`ImageDefinition`]; one that extends another is completed by [`ImageDefinition::extending`].

use basalt_document::Document;
use basalt_document::problem::Problems;
use basalt_document::schema;

mod checked;
pub mod raw;
mod rules;

pub use checked::{ContainerSettings, DiskSettings, ImageDefinition, ImageKind, KindMismatch, PathPattern};

/// Checks the text of a definition. `file` is what errors call the file; the image has its name, without the ending.
///
/// # Errors
/// All that is wrong with it, with places and remedies.
pub fn check(file: &str, text: &str) -> Result<ImageDefinition, Problems> {
    let document = Document::parse(file, text)?;
    let (raw, mut found) = schema::decode_what_fits::<raw::ImageDefinition>(&document);
    let definition = raw.map(|raw| rules::image(&document, &mut found, raw));
    match definition {
        Some(definition) if found.is_empty() => Ok(definition),
        _ => Err(document.problems(found)),
    }
}

/// The JSON schema of a definition.
pub fn json_schema() -> String {
    schema::published::<raw::ImageDefinition>()
}
