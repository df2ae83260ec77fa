//! Places of values in an object: path and byte.

use basalt_document::Path;

/// Place of a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Path in the object: `spec.template.spec.volumes[0].hostPath.path`.
    pub path: String,
    /// First byte of the value, or of its key if the value is a list or an object, in the file that has the object.
    pub offset: usize,
}

impl Place {
    /// Place of a value at a path.
    pub(crate) fn new(path: &Path, offset: usize) -> Self {
        Self {
            path: path.to_string(),
            offset,
        }
    }
}

/// Value with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Place of the value.
    pub place: Place,
}
