//! Definitions of images: the packages and settings of a node's disk, a container image or a tree of programs.
//!
//! A definition is a file `distro/images/<name>.yaml`. [`check`] parses and checks its text;
//! [`ImageDefinition::extending`] completes a definition that extends another one.

use basalt_document::Document;
use basalt_document::problem::Problems;
use basalt_document::schema;

mod checked;
pub mod raw;
mod rules;

pub use checked::{ContainerSettings, DiskSettings, ImageDefinition, ImageKind, KindMismatch, PathPattern};

/// Parses and checks the text of a definition. `file` is the file's name in errors; the image must have the same name,
/// without `.yaml`.
///
/// # Errors
/// All problems of the text, with places and help.
pub fn check(file: &str, text: &str) -> Result<ImageDefinition, Problems> {
    let document = Document::parse(file, text)?;
    let (raw, mut found) = schema::decode_what_fits::<raw::ImageDefinition>(&document);
    let definition = raw.map(|raw| rules::image(&document, &mut found, raw));
    match definition {
        Some(definition) if found.is_empty() => Ok(definition),
        _ => Err(document.problems(found)),
    }
}

/// Returns the JSON schema of definitions, as published.
pub fn json_schema() -> String {
    schema::published::<raw::ImageDefinition>()
}
