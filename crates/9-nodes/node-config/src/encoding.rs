//! Encodings of values in files that people copy from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes that base64 (RFC 4648) stands for, with any white space in it: lines may be broken anywhere. `None` for what is no
/// base64.
pub fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let signs = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    let compact: Vec<u8> = signs.copied().collect();
    STANDARD.decode(compact).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_does_not_count() {
        assert_eq!(decode_base64(b" aGVs\r\nbG8=\n").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode_base64(b"").as_deref(), Some(&b""[..]));
        for other in [&b"aGVsbG8"[..], b"aGVs_G8=", b"%"] {
            assert_eq!(decode_base64(other), None);
        }
    }
}
