//! Files and names at the limits of the formats: sizes above 4 GiB; names that are long, of several lines, or not UTF-8.

#![cfg(test)]

mod demo_package;
mod temporary;

use basalt_process::chain;
use basalt_rpm::{FileKind, RpmError, read_files, unpack};
use camino::Utf8Path;
use rpm::{CompressionType, FileOptions, PackageBuilder, PackageMetadata};

use temporary::folder;

/// Tags of a header: sizes of files in 32 bits and in 64 bits, and the encoding of all texts.
const FILE_SIZES: u32 = 1028;
const LONG_FILE_SIZES: u32 = 5008;
const ENCODING: u32 = 5062;
/// A tag that nobody reads.
const UNKNOWN: u32 = 9_999_999;
/// Type of numbers of 64 bits.
const INT64: u32 = 5;
/// Size in bytes of a header's introduction, whose last number is the size of the data, and of an entry.
const INTRODUCTION: usize = 16;
const ENTRY: usize = 16;

/// Bytes of an RPM whose only file, of one byte, has this path.
fn rpm(folder: &Utf8Path, path: &str) -> Vec<u8> {
    let package = demo_package::builder(CompressionType::None)
        .with_file_contents("x", FileOptions::new(path))
        .and_then(PackageBuilder::build)
        .expect("an RPM");
    let path = folder.join("honest.rpm");
    package.write_file(&path).expect("written");
    fs_err::read(&path).expect("read")
}

/// Positions of the main header and of the payload, which follows it.
fn segments(bytes: &[u8]) -> (usize, usize) {
    let metadata = PackageMetadata::parse(&mut &bytes[..]).expect("an RPM");
    let offsets = metadata.get_package_segment_offsets();
    let position = |offset: u64| usize::try_from(offset).expect("small");
    (position(offsets.header), position(offsets.payload))
}

/// Position of the entry of a tag in the main header.
fn entry(bytes: &[u8], tag: u32) -> usize {
    let (header, payload) = segments(bytes);
    let mut entries = (header + INTRODUCTION..payload).step_by(ENTRY);
    entries
        .find(|at| bytes[*at..*at + 4] == tag.to_be_bytes())
        .expect("an entry")
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
}

/// Declares another size of the only file, in 64 bits. The payload stays as it is.
fn declare_size(bytes: &mut Vec<u8>, size: u64) {
    let (header, payload) = segments(bytes);
    let end = header + INTRODUCTION - 4;
    let data = u32::from_be_bytes(bytes[end..end + 4].try_into().expect("four bytes"));
    let at = entry(bytes, FILE_SIZES);
    for (index, number) in [LONG_FILE_SIZES, INT64, data, 1].into_iter().enumerate() {
        put(bytes, at + 4 * index, number);
    }
    put(bytes, end, data + 8);
    let (before, after) = bytes.split_at(payload);
    *bytes = [before, &size.to_be_bytes(), after].concat();
}

#[test]
fn a_file_of_more_than_4_gib_is_refused_before_anything_is_unpacked() {
    let (_guard, folder) = folder();
    let honest = rpm(&folder, "/var/disk.img");
    let path = folder.join("large.rpm");
    let write = |size: u64| {
        let mut bytes = honest.clone();
        declare_size(&mut bytes, size);
        fs_err::write(&path, bytes).expect("written");
    };
    let largest = u64::from(u32::MAX);
    write(largest);
    let files = read_files(&path).unwrap_or_else(|error| panic!("{}", chain(&error)));
    assert!(matches!(files[0].kind, FileKind::Regular { size, .. } if size == largest));
    for size in [largest + 1, 5 << 30, u64::MAX] {
        write(size);
        let into = folder.join("tree");
        for result in [read_files(&path).map(drop), unpack(&path, &into)] {
            let error = result.expect_err("it is too large");
            assert!(matches!(error, RpmError::Malformed { .. }), "{error:?}");
            let words = "`/var/disk.img` is larger than 4 GiB";
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(!into.join("var").exists(), "{size}");
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_refused() {
    let (_guard, folder) = folder();
    let mut bytes = rpm(&folder, "/usr/share/zzzz");
    let name = b"zzzz\0";
    let at = bytes.windows(name.len()).position(|window| window == name);
    bytes[at.expect("a name")] = 0xff;
    let path = folder.join("bytes.rpm");
    let refused = |bytes: &[u8], words: &str| {
        fs_err::write(&path, bytes).expect("written");
        for result in [read_files(&path).map(drop), unpack(&path, &folder.join("tree"))] {
            let said = chain(&result.expect_err(words));
            assert!(said.contains(words) && said.contains(path.as_str()), "{said}");
        }
    };
    refused(&bytes, "invalid UTF-8");
    // Old RPMs do not say that their texts are UTF-8.
    let at = entry(&bytes, ENCODING);
    put(&mut bytes, at, UNKNOWN);
    refused(&bytes, "the name of the file `/usr/share/\u{fffd}zzz` is not UTF-8");
}

#[test]
fn names_of_255_bytes_and_of_several_lines_are_unpacked() {
    for name in ["n".repeat(255), "é".repeat(127), "two\nlines".to_owned()] {
        let (_guard, folder) = folder();
        let path = folder.join("demo.rpm");
        fs_err::write(&path, rpm(&folder, &format!("/usr/share/{name}"))).expect("written");
        let files = read_files(&path).expect("read");
        assert_eq!(files[0].path, format!("/usr/share/{name}"));
        let into = folder.join("tree");
        unpack(&path, &into).expect("unpacks");
        let text = fs_err::read_to_string(into.join("usr/share").join(&name));
        assert_eq!(text.expect("there"), "x");
    }
}

#[test]
fn a_name_that_no_file_system_has_is_an_error_with_its_cause() {
    let (_guard, folder) = folder();
    let path = folder.join("demo.rpm");
    let name = "n".repeat(256);
    fs_err::write(&path, rpm(&folder, &format!("/usr/share/{name}"))).expect("written");
    let said = chain(&unpack(&path, &folder.join("tree")).expect_err("too long"));
    assert!(said.contains("cannot create") && said.contains("too long"), "{said}");
}
