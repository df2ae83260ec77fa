//! Malicious and damaged RPMs: nothing outside of the target folder is touched, and nothing panics.

#![cfg(test)]

mod demo_package;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use basalt_process::chain;
use basalt_rpm::{Payload, RpmError, read_files, read_header_blob, read_package, unpack, verify};
use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use rpm::{CompressionType, FileOptions, PackageBuilder, PackageMetadata};

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
        fs_err::create_dir(path.join("outside")).expect("made");
        fs_err::write(path.join("outside/precious"), "untouched").expect("written");
        fs_err::set_permissions(path.join("outside"), std::fs::Permissions::from_mode(0o750)).expect("changed");
        Self { _guard: guard, path }
    }

    fn inside(&self) -> Utf8PathBuf {
        self.path.join("inside")
    }

    /// Writes a valid RPM, not compressed.
    fn honest(&self) -> Vec<u8> {
        let package = demo_package::builder(CompressionType::None)
            .with_file_contents("hello\n", FileOptions::new("/usr/bin/demo").permissions(0o755))
            .and_then(PackageBuilder::build)
            .expect("an RPM");
        let path = self.path.join("demo.rpm");
        package.write_file(&path).expect("written");
        fs_err::read(&path).expect("read")
    }

    /// Builds an RPM whose payload has these entries, and whose header has as many of them as a header can have.
    fn rpm(&self, entries: &[Vec<u8>]) -> Utf8PathBuf {
        self.rpm_with(entries, entries)
    }

    /// Builds an RPM whose header has some entries, and whose payload has others.
    fn rpm_with(&self, declared: &[Vec<u8>], entries: &[Vec<u8>]) -> Utf8PathBuf {
        let path = self.path.join("demo.rpm");
        header_of(declared).write_file(&path).expect("written");
        let honest = fs_err::read(&path).expect("read");
        let payload = PackageMetadata::open(&path)
            .expect("an RPM")
            .get_package_segment_offsets()
            .payload;
        let mut bytes = honest[..usize::try_from(payload).expect("small")].to_vec();
        bytes.extend(entries.concat());
        bytes.extend(entry("TRAILER!!!", 0, 1, 1, b""));
        fs_err::write(&path, bytes).expect("written");
        path
    }

    /// Unpacks the RPM, which must fail with these words, and checks that nothing outside has changed.
    fn refuses(&self, entries: &[Vec<u8>], words: &str) {
        self.refuses_with(entries, entries, words);
    }

    fn refuses_with(&self, declared: &[Vec<u8>], entries: &[Vec<u8>], words: &str) {
        let rpm = self.rpm_with(declared, entries);
        let error = unpack(&rpm, &self.inside()).expect_err(words);
        let said = chain(&error);
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
            fs_err::read_to_string(outside.join("precious")).expect("read"),
            "untouched"
        );
        assert_eq!(
            fs_err::metadata(&outside).expect("there").permissions().mode() & 0o7777,
            0o750
        );
        assert_eq!(
            fs_err::metadata(outside.join("precious"))
                .expect("there")
                .permissions()
                .mode()
                & 0o7777,
            0o644
        );
    }
}

/// Builds an RPM with the files of these entries, but for names and lengths that no header has.
fn header_of(entries: &[Vec<u8>]) -> rpm::Package {
    let mut package = demo_package::builder(CompressionType::None);
    let mut names = Vec::new();
    for (index, bytes) in entries.iter().enumerate() {
        let Some((name, mode, inode, size, mut data)) = parsed(bytes) else {
            continue;
        };
        let parts = || name.split('/').skip(1);
        let plain = name.starts_with("./") && parts().all(|part| !["", ".", ".."].contains(&part));
        if !plain || name.len() > 4096 || names.contains(&name) {
            continue;
        }
        names.push(name.clone());
        // The data of hard links comes with the last of them.
        let others = entries.iter().skip(index).filter_map(|bytes| parsed(bytes));
        let linked = others.filter(|other| mode & 0o170_000 == 0o100_000 && other.2 == inode);
        data = linked
            .map(|other| other.4)
            .find(|data| !data.is_empty())
            .unwrap_or(data);
        data.resize(data.len().max(size.min(1 << 20)), 0);
        let path = name.strip_prefix('.').expect("begins so");
        let added = match mode & 0o170_000 {
            0o040_000 => package.with_dir_entry(FileOptions::dir(path)),
            0o120_000 => {
                let target = String::from_utf8(data).expect("UTF-8");
                package.with_symlink(FileOptions::symlink(path, target.trim_end_matches('\0')))
            }
            _ => package.with_file_contents(data, FileOptions::new(path)),
        };
        added.expect("a file");
    }
    package.build().expect("an RPM")
}

/// Name, mode, inode, size and data of an entry; none for what is no entry.
fn parsed(bytes: &[u8]) -> Option<(String, u32, u32, usize, Vec<u8>)> {
    let number = |field: usize| {
        let digits = bytes.get(6 + field * 8..14 + field * 8)?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let (inode, mode, size, length) = (number(0)?, number(1)?, number(6)? as usize, number(11)? as usize);
    let name = String::from_utf8(bytes.get(110..110 + length - 1)?.to_vec()).ok()?;
    let data = bytes.get((110 + length).next_multiple_of(4)..)?;
    Some((name, mode, inode, size, data[..data.len().min(size)].to_vec()))
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
    place.refuses(
        &[link, entry("./way", FOLDER, 2, 1, b"")],
        "`/way` is not in its header, or is in the payload twice",
    );
    // Where it was there before.
    let place = Place::new();
    fs_err::create_dir(place.inside()).expect("made");
    fs_err::os::unix::fs::symlink("../outside", place.inside().join("way")).expect("linked");
    place.refuses(&[entry("./way", FOLDER, 2, 1, b"")], "cannot create");
}

#[test]
fn a_link_is_not_taken_for_a_file_and_overwritten() {
    let place = Place::new();
    let link = entry("./way", LINK, 1, 1, b"../outside/precious");
    place.refuses(
        &[link, entry("./way", FILE, 2, 1, b"x")],
        "`/way` is not in its header, or is in the payload twice",
    );
    let place = Place::new();
    fs_err::create_dir(place.inside()).expect("made");
    fs_err::os::unix::fs::symlink("../outside/precious", place.inside().join("way")).expect("linked");
    place.refuses(&[entry("./way", FILE, 2, 1, b"x")], "cannot create");
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
        "`/a` is not in its header, or is in the payload twice",
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
        &[sized("./a", LINK, 1, 1, b"x", u32::MAX)],
        "`/a` has 4294967295 bytes, and 1 according to its header",
    );
    let long = "x".repeat(5000);
    Place::new().refuses(
        &[entry("./a", LINK, 1, 1, long.as_bytes())],
        "the link `/a` has an impossible length",
    );
    Place::new().refuses(&[sized("./a", FILE, 1, 1, b"short", 4000)], "unexpected end of file");
    let long = format!("./{}", "a".repeat(70_000));
    Place::new().refuses(&[entry(&long, FILE, 1, 1, b"")], "a name has an impossible length");
    Place::new().refuses(&[b"070702garbage".to_vec()], "does not begin with the magic number");
}

/// Entries of which each test changes some.
fn honest_entries() -> [Vec<u8>; 4] {
    [
        entry("./bin", FOLDER, 1, 1, b""),
        entry("./bin/a", FILE, 2, 1, b"content"),
        entry("./bin/empty", FILE, 3, 1, b""),
        entry("./bin/link", LINK, 4, 1, b"a"),
    ]
}

#[test]
fn a_payload_that_is_not_what_its_header_says_is_refused() {
    let honest = honest_entries();
    let place = Place::new();
    let rpm = place.rpm(&honest);
    verify(&rpm, Some(8)).expect("is what its header says");
    unpack(&rpm, &place.inside()).expect("unpacks");
    let changed = |at: usize, with: Vec<u8>| {
        let mut entries = honest.clone().to_vec();
        entries[at] = with;
        entries
    };
    let mut more = honest.to_vec();
    more.push(entry("./bin/backdoor", FILE, 5, 1, b"x"));
    for (entries, words) in [
        (more, "`/bin/backdoor` is not in its header"),
        (
            changed(1, entry("./bin/a", FILE, 2, 1, b"CONTENT")),
            "the content of `/bin/a` has the digest",
        ),
        (
            changed(1, entry("./bin/a", FILE, 2, 1, b"longer content")),
            "`/bin/a` has 14 bytes, and 7",
        ),
        (
            changed(1, entry("./bin/a", LINK, 2, 1, b"content")),
            "`/bin/a` is something else than its header says",
        ),
        (
            changed(2, entry("./bin/empty", FILE, 3, 1, b"x")),
            "`/bin/empty` has 1 bytes, and 0",
        ),
        (
            changed(3, entry("./bin/link", LINK, 4, 1, b"b")),
            "the content of `/bin/link` has the digest",
        ),
        (honest[..3].to_vec(), "`/bin/link`, which its header has, is missing"),
    ] {
        let place = Place::new();
        let rpm = place.rpm_with(&honest, &entries);
        let error = verify(&rpm, None).expect_err(words).to_string();
        assert!(error.contains(words) && error.contains(rpm.as_str()), "{error}");
        place.refuses_with(&honest, &entries, words);
    }
}

#[test]
fn hard_links_have_one_content() {
    let declared = [entry("./one", FILE, 2, 1, b"x"), entry("./two", FILE, 3, 1, b"y")];
    let linked = [entry("./one", FILE, 2, 2, b""), entry("./two", FILE, 2, 2, b"y")];
    Place::new().refuses_with(&declared, &linked, "have different contents according to its header");
    let place = Place::new();
    verify(&place.rpm(&linked), None).expect("is what its header says");
}

#[test]
fn hard_links_are_one_file_that_counts_once() {
    let linked = [
        // Of the third name, a `%ghost`, the payload has the number alone.
        entry("./a", FILE, 2, 3, b""),
        entry("./c", FILE, 2, 3, b"content"),
        entry("./empty-1", FILE, 3, 2, b""),
        entry("./empty-2", FILE, 3, 2, b""),
        // As `a`, and another file.
        entry("./same", FILE, 4, 1, b"content"),
    ];
    let place = Place::new();
    let rpm = place.rpm(&linked);
    verify(&rpm, Some(14)).expect("14 bytes");
    verify(&rpm, Some(13)).expect_err("more than 13 bytes");
    unpack(&rpm, &place.inside()).expect("unpacks");
    let found = |name: &str| {
        let path = place.inside().join(name);
        let text = fs_err::read_to_string(&path).expect("a text");
        let metadata = fs_err::metadata(path).expect("there");
        (text, metadata.ino(), metadata.nlink())
    };
    assert_eq!(found("a"), found("c"));
    assert_eq!((found("a").0.as_str(), found("a").2), ("content", 2));
    assert_eq!(found("empty-1"), found("empty-2"));
    assert_eq!((found("empty-1").0.as_str(), found("empty-1").2), ("", 2));
    assert_eq!(found("same").2, 1);
}

#[test]
fn names_without_end_take_no_memory() {
    // Each entry is another name of one file whose data never comes.
    let name = |number: usize| format!("./{number}{}", "a".repeat(60_000));
    let entries: Vec<_> = (0..100)
        .map(|number| entry(&name(number), FILE, 2, 0x7fff_ffff, b""))
        .collect();
    Place::new().refuses_with(&honest_entries(), &entries, "is not in its header");
}

#[test]
fn files_that_are_larger_than_the_disk_limit_are_refused_before_they_are_read() {
    let place = Place::new();
    let rpm = place.rpm(&[entry("./a", FILE, 1, 1, b"x"), entry("./b", FILE, 2, 1, &[0; 4096])]);
    verify(&rpm, Some(4097)).expect("fits");
    let error = verify(&rpm, Some(4096)).expect_err("too large").to_string();
    assert!(
        error.contains("with `/b`, its files have 4097 bytes, and 4096 are the limit"),
        "{error}"
    );
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
        fs_err::metadata(place.inside().join(path))
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
        fs_err::read_link(place.inside().join("etc/way")).expect("a link"),
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
    fs_err::write(&path, bytes).expect("written");
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
        fs_err::write(&path, bytes).expect("written");
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
        fs_err::write(&path, &bytes).expect("written");
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
        fs_err::write(&path, bytes).expect("written");
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
