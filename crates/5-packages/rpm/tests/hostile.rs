//! Malicious and damaged RPMs: nothing outside of the target folder is touched, and nothing panics.

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "std::fs: a panic names the line")]

use std::os::unix::fs::PermissionsExt as _;

use basalt_rpm::{Payload, RpmError, read_files, read_header_blob, read_package, unpack};
use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use rpm::{BuildConfig, CompressionType, FileOptions, PackageBuilder, PackageMetadata};

const FILE: u32 = 0o100_644;
const FOLDER: u32 = 0o040_777;
const LINK: u32 = 0o120_777;

/// Temporary folder of a test: the RPM lies in it, and `inside` is the target of unpacking.
struct Place {
    _guard: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl Place {
    fn new() -> Self {
        let guard = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::try_from(guard.path().to_owned()).expect("UTF-8");
        std::fs::create_dir(path.join("outside")).expect("made");
        std::fs::write(path.join("outside/precious"), "untouched").expect("written");
        std::fs::set_permissions(path.join("outside"), std::fs::Permissions::from_mode(0o750)).expect("changed");
        Self { _guard: guard, path }
    }

    fn inside(&self) -> Utf8PathBuf {
        self.path.join("inside")
    }

    /// Writes a valid RPM, not compressed.
    fn honest(&self) -> Vec<u8> {
        let config = BuildConfig::default()
            .compression(CompressionType::None)
            .source_date(1_760_000_000_u32);
        let package = PackageBuilder::new("demo", "1.2", "MIT", "x86_64", "A demonstration")
            .using_config(config)
            .release("3.bs1")
            .with_file_contents("hello\n", FileOptions::new("/usr/bin/demo").permissions(0o755))
            .and_then(PackageBuilder::build)
            .expect("an RPM");
        let path = self.path.join("demo.rpm");
        package.write_file(&path).expect("written");
        std::fs::read(&path).expect("read")
    }

    /// Builds the header of a valid RPM with a payload of these entries.
    fn rpm(&self, entries: &[Vec<u8>]) -> Utf8PathBuf {
        let honest = self.honest();
        let path = self.path.join("demo.rpm");
        let payload = PackageMetadata::open(&path)
            .expect("an RPM")
            .get_package_segment_offsets()
            .payload;
        let mut bytes = honest[..usize::try_from(payload).expect("small")].to_vec();
        bytes.extend(entries.concat());
        bytes.extend(entry("TRAILER!!!", 0, 1, 1, b""));
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// Unpacks the RPM, which must fail with these words, and checks that nothing outside has changed.
    fn refuses(&self, entries: &[Vec<u8>], words: &str) {
        let rpm = self.rpm(entries);
        let error = unpack(&rpm, &self.inside()).expect_err(words);
        let mut said = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            said += &format!(": {error}");
            cause = error.source();
        }
        assert!(said.contains(words), "{said}");
        self.is_untouched();
    }

    fn is_untouched(&self) {
        let outside = self.path.join("outside");
        let names: Vec<_> = outside
            .read_dir_utf8()
            .expect("listed")
            .flatten()
            .map(|entry| entry.file_name().to_owned())
            .collect();
        assert_eq!(names, ["precious"]);
        assert_eq!(
            std::fs::read_to_string(outside.join("precious")).expect("read"),
            "untouched"
        );
        assert_eq!(
            std::fs::metadata(&outside).expect("there").permissions().mode() & 0o7777,
            0o750
        );
        assert_eq!(
            std::fs::metadata(outside.join("precious"))
                .expect("there")
                .permissions()
                .mode()
                & 0o7777,
            0o644
        );
    }
}

/// An entry of a cpio archive ("new ASCII").
fn entry(name: &str, mode: u32, inode: u32, links: u32, data: &[u8]) -> Vec<u8> {
    sized(
        name,
        mode,
        inode,
        links,
        data,
        u32::try_from(data.len()).expect("small"),
    )
}

fn sized(name: &str, mode: u32, inode: u32, links: u32, data: &[u8], size: u32) -> Vec<u8> {
    let fields = [
        inode,
        mode,
        0,
        0,
        links,
        1_760_000_000,
        size,
        0,
        0,
        0,
        0,
        u32::try_from(name.len() + 1).expect("short"),
        0,
    ];
    let mut bytes = b"070701".to_vec();
    for field in fields {
        bytes.extend(format!("{field:08x}").bytes());
    }
    bytes.extend(name.bytes());
    bytes.push(0);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn paths_that_lead_out_are_refused() {
    for name in [
        "../outside/new",
        "./../outside/new",
        "/../outside/new",
        "./usr/../../outside/new",
        "./usr/./new",
        "./usr//new",
        "..",
        "./..",
    ] {
        Place::new().refuses(&[entry(name, FILE, 1, 1, b"x")], "leads out of the package's tree");
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let place = Place::new();
    let link = entry("./way", LINK, 1, 1, b"../outside");
    place.refuses(
        &[link, entry("./way/new", FILE, 2, 1, b"x")],
        "leads through `/way`, which is not a folder",
    );
    let place = Place::new();
    let absolute = place.path.join("outside");
    let link = entry("./way", LINK, 1, 1, absolute.as_str().as_bytes());
    place.refuses(
        &[link, entry("./way/deep/new", FILE, 2, 1, b"x")],
        "leads through `/way`",
    );
}

#[test]
fn a_link_is_not_taken_for_a_folder_and_changed() {
    let place = Place::new();
    let link = entry("./way", LINK, 1, 1, b"../outside");
    place.refuses(&[link, entry("./way", FOLDER, 2, 1, b"")], "cannot create");
}

#[test]
fn a_link_is_not_taken_for_a_file_and_overwritten() {
    let place = Place::new();
    let link = entry("./way", LINK, 1, 1, b"../outside/precious");
    place.refuses(&[link, entry("./way", FILE, 2, 1, b"x")], "cannot create");
}

#[test]
fn hard_links_stay_inside() {
    let place = Place::new();
    let link = entry("./way", LINK, 1, 1, b"../outside");
    place.refuses(
        &[
            link,
            entry("./one", FILE, 2, 2, b""),
            entry("./way/two", FILE, 2, 2, b"x"),
        ],
        "leads through `/way`",
    );
    Place::new().refuses(
        &[entry("./one", FILE, 2, 2, b"")],
        "the content of the hard link `/one` is missing",
    );
}

#[test]
fn the_same_path_twice_is_refused() {
    let place = Place::new();
    place.refuses(
        &[entry("./a", FILE, 1, 1, b"x"), entry("./a", FILE, 2, 1, b"y")],
        "cannot create",
    );
    let place = Place::new();
    place.refuses(
        &[entry("./a", FILE, 1, 1, b"x"), entry("./a/b", FILE, 2, 1, b"y")],
        "leads through `/a`",
    );
}

#[test]
fn devices_pipes_and_sockets_are_refused() {
    for kind in [0o020_000, 0o060_000, 0o010_000, 0o140_000] {
        Place::new().refuses(
            &[entry("./dev/x", kind | 0o666, 1, 1, b"")],
            "which packages must not ship",
        );
    }
}

#[test]
fn impossible_lengths_are_refused() {
    Place::new().refuses(
        &[sized("./a", LINK, 1, 1, b"", u32::MAX)],
        "the link `/a` has an impossible length",
    );
    Place::new().refuses(&[sized("./a", FILE, 1, 1, b"short", 4000)], "unexpected end of file");
    let long = format!("./{}", "a".repeat(70_000));
    Place::new().refuses(&[entry(&long, FILE, 1, 1, b"")], "a name has an impossible length");
    Place::new().refuses(&[b"070702garbage".to_vec()], "does not begin with the magic number");
}

#[test]
fn nobody_becomes_somebody_else_by_what_is_unpacked() {
    let place = Place::new();
    let rpm = place.rpm(&[
        entry("./bin", 0o042_777, 1, 1, b""),
        entry("./bin/su", 0o106_755, 2, 1, b"x"),
    ]);
    unpack(&rpm, &place.inside()).expect("unpacks");
    let mode = |path: &str| {
        std::fs::metadata(place.inside().join(path))
            .expect("there")
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!((mode("bin"), mode("bin/su")), (0o777, 0o755));
}

#[test]
fn links_that_lead_out_are_only_links() {
    // The target of a link is resolved on the system that the package is installed on. Unpacking does not follow it.
    let place = Place::new();
    let rpm = place.rpm(&[entry("./etc/way", LINK, 1, 1, b"../../outside/precious")]);
    unpack(&rpm, &place.inside()).expect("unpacks");
    assert_eq!(
        std::fs::read_link(place.inside().join("etc/way")).expect("a link"),
        Utf8Path::new("../../outside/precious")
    );
    place.is_untouched();
}

#[test]
fn headers_with_paths_that_lead_out_are_refused() {
    let place = Place::new();
    let mut bytes = place.honest();
    let folder = b"/usr/bin/\0";
    let at = bytes
        .windows(folder.len())
        .position(|window| window == folder)
        .expect("a folder");
    bytes[at..at + folder.len()].copy_from_slice(b"/../../x/\0");
    let path = place.path.join("demo.rpm");
    std::fs::write(&path, bytes).expect("written");
    let error = read_files(&path).expect_err("refused").to_string();
    assert!(error.contains("is not an absolute path in normal form"), "{error}");
}

#[test]
fn what_is_no_rpm_is_an_error() {
    let place = Place::new();
    for bytes in [
        b"".as_slice(),
        b"\xed\xab\xee\xdb",
        &[0; 96],
        &[0xff; 4096],
        b"#!/bin/sh\n",
    ] {
        let path = place.path.join("none.rpm");
        std::fs::write(&path, bytes).expect("written");
        let refused =
            |result: Result<(), RpmError>| matches!(result, Err(RpmError::Header { .. } | RpmError::Payload { .. }));
        assert!(refused(read_package(&path).map(drop)));
        assert!(refused(unpack(&path, &place.inside())));
    }
}

#[test]
fn headers_whose_entries_lead_out_of_them_are_refused() {
    // The first entry of the signature's header: type, offset, count.
    let first = 96 + 16;
    for (at, value, why) in [
        (96 + 8, 0x10_0000_u32, "wants to have"),
        (96 + 12, 0x7fff_ffff, "wants to have"),
        (first + 4, 77, "is of a kind that there is not"),
        (first + 8, u32::MAX, "lies outside of it"),
        (first + 8, 0x7fff_ffff, "lies outside of it"),
        (first + 12, u32::MAX, "goes on behind its end"),
    ] {
        let place = Place::new();
        let mut bytes = place.honest();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let path = place.path.join("led.rpm");
        std::fs::write(&path, &bytes).expect("written");
        let error = read_package(&path).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
        assert!(Payload::of_bytes(&path, &bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]
    #[test]
    fn damage_is_an_error_and_never_a_panic(at in 0_usize..4000, with: u8, cut in 1_usize..5000) {
        let place = Place::new();
        let mut bytes = place.honest();
        if let Some(byte) = bytes.get_mut(at) {
            *byte = with;
        }
        bytes.truncate(cut);
        let path = place.path.join("damaged.rpm");
        std::fs::write(&path, bytes).expect("written");
        let _ = read_package(&path);
        let _ = read_files(&path);
        let _ = read_header_blob(&path);
        if let Ok(mut payload) = Payload::open(&path) {
            while let Ok(Some(_)) = payload.next() {
                let _ = std::io::copy(&mut payload, &mut std::io::sink());
            }
        }
        let _ = unpack(&path, &place.inside());
        place.is_untouched();
    }
}
