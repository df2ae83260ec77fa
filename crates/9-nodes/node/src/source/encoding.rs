//! Encodings in which user data is handed over: gzip, as cloud-init takes it from every source, and base64, in which some clouds
//! wrap it.

use std::io::Read as _;

use basalt_node_config::encoding::decode_base64;
use flate2::read::GzDecoder;

use super::{LARGEST, SourceError};

/// First bytes of what gzip made (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Bytes without gzip's compression, if they have it.
pub(super) fn decompress(bytes: Vec<u8>, place: &str) -> Result<Vec<u8>, SourceError> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let read = GzDecoder::new(bytes.as_slice())
        .take(LARGEST + 1)
        .read_to_end(&mut plain);
    match read {
        Ok(_) if plain.len() as u64 > LARGEST => Err(SourceError::TooLarge {
            place: place.to_owned(),
        }),
        Ok(_) => Ok(plain),
        Err(_) => Err(SourceError::Damaged {
            place: place.to_owned(),
            encoding: "gzip",
        }),
    }
}

/// Bytes that base64 stands for. Lines may be broken anywhere.
pub(crate) fn base64(text: &[u8], place: &str) -> Result<Vec<u8>, SourceError> {
    decode_base64(text).ok_or_else(|| SourceError::Damaged {
        place: place.to_owned(),
        encoding: "base64",
    })
}

/// Bytes that base64 stands for, if that is what they are. No NodeConfig and no user data of cloud-init has letters, digits and
/// three signs alone.
pub(crate) fn perhaps_base64(bytes: Vec<u8>) -> Vec<u8> {
    match base64(&bytes, "") {
        Ok(decoded) if !decoded.is_empty() => decoded,
        _ => bytes,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// Bytes, compressed by gzip.
    pub(crate) fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_taken_off_within_bounds() {
        let plain = b"#cloud-config\n".to_vec();
        assert_eq!(decompress(plain.clone(), "x").unwrap(), plain);
        assert_eq!(decompress(compressed(&plain), "x").unwrap(), plain);
        let mut cut = compressed(&plain);
        cut.truncate(cut.len() - 9);
        assert!(matches!(
            decompress(cut, "x"),
            Err(SourceError::Damaged { encoding: "gzip", .. })
        ));
        // A few kilobytes that become more than a node reads.
        let bomb = compressed(&vec![b'a'; 8 << 20]);
        assert!(bomb.len() < 64 << 10);
        assert!(matches!(decompress(bomb, "x"), Err(SourceError::TooLarge { .. })));
    }

    #[test]
    fn base64_is_taken_off_where_it_is() {
        assert_eq!(base64(b"aGVs\nbG8=\n", "x").unwrap(), b"hello");
        assert!(matches!(
            base64(b"a: b", "x"),
            Err(SourceError::Damaged { encoding: "base64", .. })
        ));
        for same in ["", "\n", "apiVersion: basalt.dev/v1\n", "#cloud-config\n", "aGVsbG8"] {
            assert_eq!(perhaps_base64(same.into()), same.as_bytes(), "{same:?}");
        }
        assert_eq!(perhaps_base64(b"aGVsbG8=".to_vec()), b"hello");
    }

    proptest! {
        #[test]
        fn nothing_panics(bytes: Vec<u8>) {
            let _ = decompress([&GZIP[..], &bytes].concat(), "x");
            let _ = perhaps_base64(bytes);
        }
    }
}
