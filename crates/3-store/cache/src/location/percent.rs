//! Percent-encoding (RFC 3986, 2.1), read only. By hand: twelve lines, where the crate for it would be one more to trust.

/// The decoded text; `None` where a `%` is not followed by two hexadecimal digits, or the bytes are not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn only_whole_escapes_count() {
        assert_eq!(decode("a%20b%3f").as_deref(), Some("a b?"));
        assert_eq!(decode("%c3%A9").as_deref(), Some("é"));
        for wrong in ["%", "%2", "%zz", "%+f", "%ff"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
