//! Resource names of `ByteStream`, as REAPI defines them.

use basalt_action::Blob;
use uuid::Uuid;

/// Encoding of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Zstd,
}

impl Encoding {
    fn path(self) -> &'static str {
        match self {
            Self::Identity => "blobs",
            Self::Zstd => "compressed-blobs/zstd",
        }
    }
}

/// Name of a blob to be read.
pub(super) fn download(instance: &str, encoding: Encoding, blob: &Blob) -> String {
    format!("{}{}/{blob}", prefix(instance), encoding.path())
}

/// Name of a blob to be written. `uuid` tells uploads of the same blob apart.
pub(super) fn upload(instance: &str, encoding: Encoding, blob: &Blob, uuid: Uuid) -> String {
    format!("{}uploads/{uuid}/{}/{blob}", prefix(instance), encoding.path())
}

fn prefix(instance: &str) -> String {
    match instance {
        "" => String::new(),
        instance => format!("{instance}/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        let blob = Blob::of("");
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(download("", Encoding::Identity, &blob), format!("blobs/{hash}/0"));
        let name = upload("a/b", Encoding::Zstd, &blob, Uuid::nil());
        let uuid = "00000000-0000-0000-0000-000000000000";
        assert_eq!(name, format!("a/b/uploads/{uuid}/compressed-blobs/zstd/{hash}/0"));
    }
}
