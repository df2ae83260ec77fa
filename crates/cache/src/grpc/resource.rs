//! Resource names of `ByteStream`, as REAPI defines them.

use rand::RngCore as _;

use basalt_action::Blob;

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
pub(super) fn upload(instance: &str, encoding: Encoding, blob: &Blob, uuid: &str) -> String {
    format!("{}uploads/{uuid}/{}/{blob}", prefix(instance), encoding.path())
}

fn prefix(instance: &str) -> String {
    match instance {
        "" => String::new(),
        instance => format!("{instance}/"),
    }
}

/// Random UUID, version 4 (RFC 9562, 5.4). By hand: six lines.
pub(super) fn uuid() -> String {
    let mut bytes = [0; 16];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        let blob = Blob::of("");
        let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(download("", Encoding::Identity, &blob), format!("blobs/{hash}/0"));
        let name = upload("a/b", Encoding::Zstd, &blob, "u");
        assert_eq!(name, format!("a/b/uploads/u/compressed-blobs/zstd/{hash}/0"));
    }

    #[test]
    fn uuids_are_of_version_4_and_differ() {
        let one = uuid();
        assert_eq!((one.len(), &one[14..15]), (36, "4"));
        assert!(matches!(&one[19..20], "8" | "9" | "a" | "b"), "{one}");
        assert_ne!(one, uuid());
    }
}
