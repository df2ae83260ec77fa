//! From names of images to images: what several verbs begin with.

use std::collections::BTreeMap;

use miette::Result;

use crate::project::{Project, Workshop};

/// The images that the distribution defines, by name.
pub fn definitions(_project: &Project) -> Result<BTreeMap<String, ()>> {
    Ok(BTreeMap::new())
}

/// Builds images.
pub fn make_in(_project: &Project, _workshop: &Workshop, _names: &[&str]) -> Result<BTreeMap<String, String>> {
    Ok(BTreeMap::new())
}

/// An image in a line.
pub fn describe(image: &str) -> String {
    image.to_owned()
}

/// Builds images. Under way.
pub fn make(_project: &Project, _names: &[&str]) -> Result<BTreeMap<String, basalt_image::Image>> {
    miette::bail!("images cannot be made yet")
}
