//! Any two files, by what they are.

use super::{Findings, archive, compressed, position, program, text};

/// Files within files within files: deeper than this nobody packs, unless to do harm.
const DEEPEST: usize = 12;

/// Format of a file, recognized by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program,
    Archive,
    Tar,
    Compressed(compressed::Method),
    Text,
    Other,
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        let begins = |magic: &[u8]| bytes.starts_with(magic);
        if begins(b"\x7fELF") || begins(b"MZ") {
            Self::Program
        } else if begins(b"!<arch>\n") {
            Self::Archive
        } else if bytes.get(257..262) == Some(&b"ustar"[..]) {
            Self::Tar
        } else if let Some(method) = compressed::Method::of(bytes) {
            Self::Compressed(method)
        } else if text::is_text(bytes) {
            Self::Text
        } else {
            Self::Other
        }
    }
}

/// Adds what differs between the contents of two files.
pub fn compare(findings: &mut Findings, first: &[u8], second: &[u8]) {
    if first == second {
        return;
    }
    let before = findings.count();
    let kind = Kind::of(first);
    if kind == Kind::of(second) && findings.depth() < DEEPEST {
        match kind {
            Kind::Program => program::compare(findings, first, second),
            Kind::Archive => archive::compare_ar(findings, first, second, compare),
            Kind::Tar => archive::compare_tar(findings, first, second, compare),
            Kind::Compressed(method) => compressed::compare(findings, method, first, second, compare),
            Kind::Text => text::compare(findings, first, second),
            Kind::Other => {}
        }
    }
    if findings.count() == before {
        position::compare(findings, first, second);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
    use super::*;

    fn differences(first: &[u8], second: &[u8]) -> Vec<String> {
        let mut findings = Findings::default();
        findings.within("file", |findings| compare(findings, first, second));
        findings.finish().0.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn the_same_is_the_same() {
        assert!(differences(b"\x00\x01", b"\x00\x01").is_empty());
    }

    #[test]
    fn bytes_are_told_by_their_place() {
        assert_eq!(
            differences(b"\x00\x01\x02", b"\x00\x07\x02"),
            ["file differs at byte 1: 01 02, then 07 02"]
        );
        assert_eq!(differences(b"\x00\x01", b"\x00"), ["file has 2 bytes, then 1"]);
        let with_words = differences(b"\x00\x01built by host-one\x00", b"\x00\x01built by host-two\x00");
        assert_eq!(
            with_words,
            ["file differs at byte 16: `built by host-one`, then `built by host-two`"]
        );
    }

    #[test]
    fn text_is_told_by_its_line() {
        assert_eq!(
            differences(b"one\ntwo\n", b"one\nthree\n"),
            ["file: line 2 is `two`, then `three`"]
        );
        assert_eq!(
            differences(b"one\n", b"one\ntwo\n"),
            ["file: line 2 is only in the second: `two`"]
        );
        assert_eq!(differences(b"one\n", b"one"), ["file has 4 bytes, then 3"]);
    }

    #[test]
    fn what_is_compressed_is_told_by_what_it_holds() {
        use std::io::Write as _;
        let zstd = |text: &[u8], level| zstd::encode_all(text, level).expect("compressed");
        assert_eq!(
            differences(&zstd(b"one\n", 1), &zstd(b"two\n", 1)),
            ["file: uncompressed: line 1 is `one`, then `two`"]
        );
        let gzip = |time| {
            let mut encoder = flate2::GzBuilder::new()
                .mtime(time)
                .write(Vec::new(), flate2::Compression::fast());
            encoder.write_all(b"one\n").expect("written");
            encoder.finish().expect("finished")
        };
        let differences = differences(&gzip(1), &gzip(2));
        let expected = "file holds the same, compressed otherwise: differs at byte 4: 01 00 00 00";
        assert!(
            differences.len() == 1 && differences[0].starts_with(expected),
            "{differences:?}"
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_makes_it_panic(
            magic in proptest::sample::select(vec![
                &b"\x7fELF\x02\x01\x01"[..], b"MZ", b"!<arch>\n", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00", b"",
            ]),
            first in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
            second in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
        ) {
            let (first, second) = ([magic, &first].concat(), [magic, &second].concat());
            let differences = differences(&first, &second);
            assert_eq!(differences.is_empty(), first == second);
        }
    }
}
