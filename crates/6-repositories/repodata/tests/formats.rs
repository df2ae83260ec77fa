//! Metadata of repositories: written, read back, and rejected when tampered with.

#![cfg(test)]

use basalt_digest::Digest;
use basalt_repodata::{
    self, FOLDER, MetadataError, PackageEntries, REPOMD, RpmLocation, describe, list_rpms, parse_filelists,
    parse_primary, scan,
};
use basalt_rpm::RpmError;
use basalt_updateinfo::{Advisory, parse_advisory};
use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use rpm::{BuildConfig, CompressionType, Dependency, FileOptions, PackageBuilder};

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::try_from(folder.path().to_owned()).expect("UTF-8");
    (folder, path)
}

fn package(folder: &Utf8Path, name: &str) -> PackageEntries {
    let config = BuildConfig::default()
        .compression(CompressionType::Zstd)
        .source_date(1_760_000_000_u32);
    let rpm = PackageBuilder::new(name, "1.2", "MIT", "x86_64", "A <demonstration> & more")
        .using_config(config)
        .release("3.bs1")
        .description("Lines.\nMore \"lines\".")
        .requires(Dependency::greater_eq("glibc", "2.41"))
        .requires(Dependency::greater_eq("glibc", "2.41"))
        .requires(Dependency::any(format!("/usr/bin/{name}")))
        .provides(Dependency::eq("virtual", "1:2-3"))
        .obsoletes(Dependency::less("older", "1"))
        .with_file_contents("x", FileOptions::new(format!("/usr/bin/{name}")).permissions(0o755))
        .and_then(|builder| builder.with_file_contents("y", FileOptions::new("/usr/share/y & z")))
        .and_then(|builder| builder.with_dir_entry(FileOptions::dir("/usr/share/demo")))
        .and_then(PackageBuilder::build)
        .expect("an RPM");
    let path = folder.join(format!("{name}.rpm"));
    rpm.write_file(&path).expect("written");
    let bytes = fs_err::read(&path).expect("read");
    let href = format!("packages/{name}.rpm");
    let placed = RpmLocation {
        href: &href,
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        time: 7,
    };
    describe(&path, placed).expect("described")
}

fn advisory() -> Advisory {
    let text = "id = 'BASALT-2026-0001'\ntitle = 'a < b'\nseverity = 'important'\nissued = '2026-11-25'\n\
                [[package]]\nname = 'one'\nfixed = '1.2-3.bs1'\n[[package]]\nname = 'unheard-of'\nfixed = '1-1'\n\
                [[reference]]\nid = 'CVE-2026-0'\nurl = 'https://example.org/?a&b'\n";
    parse_advisory(Utf8Path::new("BASALT-2026-0001.toml"), text).expect("right")
}

/// A repository with two packages and an advisory.
fn repository(folder: &Utf8Path) -> basalt_repodata::Metadata {
    let packages = [package(folder, "two"), package(folder, "one")];
    let metadata = basalt_repodata::write(&packages, &[advisory()], 1_795_600_000).expect("written");
    fs_err::create_dir_all(folder.join(FOLDER)).expect("made");
    fs_err::write(folder.join(FOLDER).join(REPOMD), &metadata.repomd).expect("written");
    for file in &metadata.files {
        fs_err::write(folder.join(FOLDER).join(&file.name), &file.bytes).expect("written");
    }
    metadata
}

#[test]
fn what_is_written_is_read() {
    let (_guard, folder) = folder();
    let metadata = repository(&folder);
    assert_eq!(metadata.files.len(), 4);
    let index = basalt_repodata::read(&folder).expect("read");
    let names: Vec<_> = index.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(index.packages[0].evr, "1.2-3.bs1");
    assert_eq!(index.revision, "1795600000");
    assert_eq!(index.advisories.len(), 1);
    let fixed = &index.advisories[0].pkglist.collections[0].packages;
    assert_eq!(fixed.len(), 1, "packages that are not here are left out");
    assert_eq!(fixed[0].filename, "one-1.2-3.bs1.x86_64.rpm");
    assert_eq!(index.advisories[0].references.references[0].kind, "cve");
    assert_eq!(
        index.advisories[0].references.references[0].href,
        "https://example.org/?a&b"
    );
}

#[test]
fn the_same_gives_the_same_bytes() {
    let (_guard, folder) = folder();
    let (one, two) = (package(&folder, "one"), package(&folder, "two"));
    let first = basalt_repodata::write(&[one.clone(), two.clone()], &[], 1).expect("written");
    assert_eq!(basalt_repodata::write(&[two, one], &[], 1).expect("written"), first);
}

#[test]
fn the_number_of_workers_makes_no_difference() {
    let (_guard, folder) = folder();
    for name in ["one", "two", "three", "four", "five"] {
        package(&folder, name);
    }
    let written = |workers| {
        let packages = scan(&folder, &list_rpms(&folder).expect("listed"), workers).expect("scanned");
        basalt_repodata::write_on(workers, &packages, &[advisory()], 1).expect("written")
    };
    let one = written(1);
    assert_eq!([written(2), written(8)], [one.clone(), one]);
}

#[test]
fn a_scanned_file_is_described_as_a_read_one() {
    let (_guard, folder) = folder();
    let below = folder.join("a/b");
    fs_err::create_dir_all(&below).expect("made");
    let mut described = package(&below, "one");
    fs_err::write(below.join("notes.txt"), "no RPM").expect("written");
    let files = list_rpms(&folder).expect("listed");
    let [file] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(file.href, "a/b/one.rpm");
    described.primary.location.href = "a/b/one.rpm".to_owned();
    described.primary.time.file = file.modified;
    assert_eq!(scan(&folder, &files, 2).expect("scanned"), [described]);
}

#[test]
fn a_file_that_is_no_rpm_is_named() {
    let (_guard, folder) = folder();
    package(&folder, "one");
    fs_err::write(folder.join("two.rpm"), "no RPM").expect("written");
    let scanned = scan(&folder, &list_rpms(&folder).expect("listed"), 2);
    let message = scanned.expect_err("there is a text among them").to_string();
    assert!(message.contains("two.rpm"), "{message}");
}

#[test]
fn the_header_is_told_as_it_is() {
    let (_guard, folder) = folder();
    let described = package(&folder, "one");
    let format = &described.primary.format;
    let required: Vec<_> = format
        .requires
        .entries
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    // Once each; without what the package provides itself, and without requirements on rpm.
    assert_eq!(required, ["glibc"]);
    let entry = &format.requires.entries[0];
    assert_eq!(
        (
            entry.flags.as_deref(),
            entry.epoch.as_deref(),
            entry.version.as_deref(),
            entry.release.as_deref()
        ),
        (Some("GE"), Some("0"), Some("2.41"), None)
    );
    let provided = format.provides.entries.iter().find(|entry| entry.name == "virtual");
    let provided = provided.expect("provided");
    assert_eq!(
        (
            provided.flags.as_deref(),
            provided.epoch.as_deref(),
            provided.version.as_deref(),
            provided.release.as_deref()
        ),
        (Some("EQ"), Some("1"), Some("2"), Some("3"))
    );
    assert_eq!(format.obsoletes.entries[0].flags.as_deref(), Some("LT"));
    assert_eq!(described.primary.description, "Lines.\nMore \"lines\".");
    let primary: Vec<_> = format.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(primary, ["/usr/bin/one"]);
    let all: Vec<_> = described
        .filelists
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.kind.as_deref()))
        .collect();
    assert!(all.contains(&("/usr/share/demo", Some("dir"))), "{all:?}");
    assert!(all.contains(&("/usr/share/y & z", None)), "{all:?}");
}

/// Replaces a file of the metadata and its digests in the index, as a malicious server can do.
fn forge(folder: &Utf8Path, kind: &str, change: impl Fn(&str) -> String) {
    let index = folder.join(FOLDER).join(REPOMD);
    let repomd = basalt_repodata::parse_repomd(&fs_err::read(&index).expect("read")).expect("right");
    let mut repomd = repomd;
    let data = repomd.data.iter_mut().find(|data| data.kind == kind).expect("there");
    let bytes = fs_err::read(folder.join(&data.location.href)).expect("read");
    let text = String::from_utf8(zstd::decode_all(bytes.as_slice()).expect("zstd")).expect("UTF-8");
    let changed = change(&text);
    assert_ne!(changed, text, "the change does nothing");
    let bytes = zstd::encode_all(changed.as_bytes(), 3).expect("zstd");
    data.checksum.value = Digest::of(&bytes).to_hex();
    data.size = Some(bytes.len() as u64);
    data.open_checksum = None;
    data.open_size = None;
    fs_err::write(folder.join(&data.location.href), bytes).expect("written");
    let text = quick_xml::se::to_string(&repomd).expect("XML");
    fs_err::write(index, text).expect("written");
}

#[test]
fn lies_of_a_server_are_noticed() {
    for (kind, from, to, why) in [
        (
            "primary",
            "href=\"packages/one.rpm\"",
            "href=\"../../etc/one.rpm\"",
            "not a place in the repository",
        ),
        (
            "primary",
            "href=\"packages/one.rpm\"",
            "href=\"/etc/one.rpm\"",
            "not a place in the repository",
        ),
        (
            "primary",
            "href=\"packages/one.rpm\"",
            "href=\"http://elsewhere/one.rpm\"",
            "not a place in the repository",
        ),
        (
            "primary",
            "href=\"packages/one.rpm\"",
            "href=\"packages/two.rpm\"",
            "more than once",
        ),
        (
            "primary",
            "<location href",
            "<location xml:base=\"http://elsewhere/\" href",
            "not a place in the repository",
        ),
        ("primary", "packages=\"2\"", "packages=\"3\"", "announces 3 packages"),
        ("primary", "packages=\"2\"", "packages=\"0\"", "announces 0 packages"),
        ("primary", "packages=\"2\"", "packages=\"-2\"", "primary.xml"),
        ("primary", "packages=\"2\"", "", "primary.xml"),
        ("primary", "type=\"sha256\"", "type=\"md5\"", "sha256 is the only one"),
        ("primary", "<name>one</name>", "<name>../one</name>", "no proper name"),
        ("primary", "<name>one</name>", "<name>one", "primary.xml"),
        ("primary", "<name>one</name>", "<name>&one;</name>", "primary.xml"),
        (
            "primary",
            "<size package=\"",
            "<size package=\"99999999999999999999",
            "primary.xml",
        ),
        ("filelists", "name=\"one\"", "name=\"one\" pkgid=\"0\"", "filelists.xml"),
        ("other", "packages=\"2\"", "packages=\"1\"", "about other packages"),
    ] {
        let (_guard, folder) = folder();
        repository(&folder);
        forge(&folder, kind, |text| text.replacen(from, to, 1));
        let error = basalt_repodata::read(&folder).expect_err(why);
        assert!(error.to_string().contains(why), "{from} -> {to}: {error}");
    }
}

#[test]
fn what_other_writers_make_is_read() {
    let primary = |from: &'static str, to: &'static str| ("primary", from, to);
    for (kind, from, to) in [
        primary("href=\"packages/one.rpm\"", "href=\"./packages//one-1:2.rpm\""),
        primary("<time file=\"", "<time file=\"1700000000.25\" other=\""),
        primary("<time file=\"", "<time file=\"-1\" other=\""),
    ] {
        let (_guard, folder) = folder();
        repository(&folder);
        forge(&folder, kind, |text| text.replacen(from, to, 1));
        let index = basalt_repodata::read(&folder).unwrap_or_else(|error| panic!("{to}: {error}"));
        assert_eq!(index.packages.len(), 2, "{to}");
    }
    for (from, to) in [
        (
            "<timestamp>1795600000</timestamp>",
            "<timestamp>1700000000.25</timestamp>",
        ),
        ("<timestamp>1795600000</timestamp>", "<timestamp>-1</timestamp>"),
        ("<size>", "<other>"),
    ] {
        let (_guard, folder) = folder();
        let repomd = String::from_utf8(repository(&folder).repomd).expect("UTF-8");
        let changed = repomd
            .replace(from, to)
            .replace("</size>", if to == "<other>" { "</other>" } else { "</size>" });
        assert_ne!(changed, repomd, "the change does nothing");
        fs_err::write(folder.join(FOLDER).join(REPOMD), changed).expect("written");
        basalt_repodata::read(&folder).unwrap_or_else(|error| panic!("{to}: {error}"));
    }
}

#[test]
fn digests_and_compressions_that_are_not_read_are_named() {
    let (_guard, folder) = folder();
    let repomd = String::from_utf8(repository(&folder).repomd).expect("UTF-8");
    let refused = |from: &str, to: &str, why: &str| {
        let changed = repomd.replace(from, to);
        assert_ne!(changed, repomd, "the change does nothing");
        fs_err::write(folder.join(FOLDER).join(REPOMD), changed).expect("written");
        let error = basalt_repodata::read(&folder).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    };
    for kind in ["sha512", "sha", "md5"] {
        let why = format!("its digest is of the kind `{kind}`, and sha256 is the only one");
        refused("type=\"sha256\"", &format!("type=\"{kind}\""), &why);
    }
    for entry in folder.join(FOLDER).read_dir_utf8().expect("listed") {
        let path = entry.expect("listed").into_path();
        if path.extension() == Some("zst") {
            fs_err::copy(&path, path.with_extension("xz")).expect("copied");
        }
    }
    refused(".xml.zst", ".xml.xz", "`xz` is not read here; zst, gz or nothing are");
}

/// Writes an RPM of one file that provides something, with some of its bytes changed, and describes it.
fn describe_one(
    folder: &Utf8Path,
    provides: &str,
    path: &str,
    change: impl Fn(&mut Vec<u8>),
) -> Result<PackageEntries, RpmError> {
    let config = BuildConfig::default()
        .compression(CompressionType::None)
        .source_date(1_760_000_000_u32);
    let rpm = PackageBuilder::new("demo", "1.2", "MIT", "x86_64", "A demonstration")
        .using_config(config)
        .release("3.bs1")
        .provides(Dependency::any(provides))
        .with_file_contents("x", FileOptions::new(path))
        .and_then(PackageBuilder::build)
        .expect("an RPM");
    let path = folder.join("demo.rpm");
    rpm.write_file(&path).expect("written");
    let mut bytes = fs_err::read(&path).expect("read");
    change(&mut bytes);
    fs_err::write(&path, &bytes).expect("written");
    let placed = RpmLocation {
        href: "demo.rpm",
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        time: 7,
    };
    describe(&path, placed)
}

/// Overwrites the beginning of the first place that has these bytes.
fn overwrite(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = bytes.windows(old.len()).position(|window| window == old);
    let at = at.expect("the old bytes");
    bytes[at..at + new.len()].copy_from_slice(new);
}

#[test]
fn names_that_xml_cannot_hold_are_refused() {
    let (_guard, folder) = folder();
    let why = "has a character that repository metadata cannot hold";
    // The builder refuses control characters: they are written over others.
    for (provides, path, old, new) in [
        ("ksym(a@b)", "/usr/share/demo", "a@b)", "a\u{2}b)"),
        ("virtual", "/usr/share/de@mo", "de@mo", "de\u{1}mo"),
        ("virtual", "/usr/share/demo@@@", "demo@@@", "demo\u{ffff}"),
    ] {
        let change = |bytes: &mut Vec<u8>| overwrite(bytes, old.as_bytes(), new.as_bytes());
        let error = describe_one(&folder, provides, path, change).expect_err(why);
        assert!(matches!(error, RpmError::Malformed { .. }), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
    // A name that is not UTF-8, in an RPM that says that its texts are, and in one that does not.
    let damage = |bytes: &mut Vec<u8>| overwrite(bytes, b"zzzz\0", &[0xff]);
    let error = describe_one(&folder, "virtual", "/usr/share/zzzz", damage).expect_err("not UTF-8");
    let cause = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(cause.contains("invalid UTF-8"), "{cause}");
    let error = describe_one(&folder, "virtual", "/usr/share/zzzz", |bytes| {
        damage(bytes);
        // The tag of the encoding, a text, becomes one that nobody reads.
        overwrite(bytes, &[0, 0, 0x13, 0xc6, 0, 0, 0, 6], &[0, 0x70]);
    });
    let error = error.expect_err("not UTF-8").to_string();
    assert!(error.contains(&format!("zzz` {why}")), "{error}");
}

#[test]
fn names_of_255_bytes_and_of_several_lines_are_carried() {
    let (_guard, folder) = folder();
    let lines = "two\nlines\tand\ra < b";
    for name in ["n".repeat(255), "é".repeat(127), lines.to_owned()] {
        let path = format!("/etc/{name}");
        // The builder refuses control characters: they are written over others.
        let built = name.replace(char::is_control, "@");
        let change = |bytes: &mut Vec<u8>| overwrite(bytes, built.as_bytes(), name.as_bytes());
        let described = describe_one(&folder, "virtual", &format!("/etc/{built}"), change).expect("described");
        let metadata = basalt_repodata::write(&[described], &[], 1).expect("written");
        let text = |kind: &str| {
            let file = metadata.files.iter().find(|file| file.name.ends_with(kind));
            zstd::decode_all(file.expect("there").bytes.as_slice()).expect("zstd")
        };
        let lists = parse_filelists(&text("-filelists.xml.zst")).expect("XML");
        assert_eq!(lists.packages[0].files[0].path, path);
        let primary = parse_primary(&text("-primary.xml.zst")).expect("XML");
        assert_eq!(primary.packages[0].format.files[0].path, path);
    }
}

/// createrepo_c lists an RPM that lies in two places twice.
#[test]
fn a_package_under_two_places_is_read() {
    let (_guard, folder) = folder();
    repository(&folder);
    forge(&folder, "primary", |text| {
        let (before, rest) = text.split_once("<package ").expect("one");
        let (body, after) = rest.split_once("</package>").expect("its end");
        let again = body.replace("packages/", "others/");
        let text = format!("{before}<package {body}</package><package {again}</package>{after}");
        text.replacen("packages=\"2\"", "packages=\"3\"", 1)
    });
    assert_eq!(basalt_repodata::read(&folder).expect("read").packages.len(), 3);
}

#[test]
fn a_changed_byte_is_noticed() {
    let (_guard, folder) = folder();
    let metadata = repository(&folder);
    for file in &metadata.files {
        let path = folder.join(FOLDER).join(&file.name);
        let mut bytes = file.bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs_err::write(&path, &bytes).expect("written");
        let error = basalt_repodata::read(&folder).expect_err("changed");
        assert!(matches!(error, MetadataError::Changed { .. }), "{error}");
        fs_err::write(&path, &file.bytes[..middle]).expect("written");
        let error = basalt_repodata::read(&folder).expect_err("cut short");
        assert!(matches!(error, MetadataError::Changed { .. }), "{error}");
        fs_err::remove_file(&path).expect("removed");
        let error = basalt_repodata::read(&folder).expect_err("missing");
        assert!(matches!(error, MetadataError::Io { .. }), "{error}");
        fs_err::write(&path, &file.bytes).expect("written");
    }
    assert!(basalt_repodata::read(&folder).is_ok());
}

#[test]
fn an_index_that_is_cut_short_is_refused() {
    let (_guard, folder) = folder();
    let whole = repository(&folder).repomd;
    for cut in (0..whole.len() - 10).step_by(11) {
        fs_err::write(folder.join(FOLDER).join(REPOMD), &whole[..cut]).expect("written");
        assert!(basalt_repodata::read(&folder).is_err(), "cut after {cut} bytes");
    }
}

#[test]
fn a_few_bytes_do_not_become_gigabytes() {
    let (_guard, folder) = folder();
    repository(&folder);
    let index = folder.join(FOLDER).join(REPOMD);
    let mut repomd = basalt_repodata::parse_repomd(&fs_err::read(&index).expect("read")).expect("right");
    let data = &mut repomd.data[0];
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b' '), 64 << 20), 1).expect("zstd");
    data.checksum.value = Digest::of(&bomb).to_hex();
    data.size = Some(bomb.len() as u64);
    data.open_size = Some(1000);
    fs_err::write(folder.join(&data.location.href), &bomb).expect("written");
    fs_err::write(index, quick_xml::se::to_string(&repomd).expect("XML")).expect("written");
    let error = basalt_repodata::read(&folder).expect_err("a bomb");
    assert!(error.to_string().contains("more than 1000 bytes"), "{error}");
}

#[test]
fn deep_nesting_ends_in_an_error() {
    let deep = format!("<metadata packages=\"0\">{}", "<a>".repeat(200_000));
    assert!(parse_primary(deep.as_bytes()).is_err());
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(text in "(<|>|/|\"|=|metadata|package|packages|name|x|&amp;|&#0;| |<!\\[CDATA\\[|<!--|\\PC){0,60}") {
        drop(basalt_repodata::parse_repomd(text.as_bytes()));
        drop(parse_primary(text.as_bytes()));
        drop(basalt_repodata::parse_filelists(text.as_bytes()));
        drop(basalt_repodata::parse_other(text.as_bytes()));
        drop(basalt_repodata::parse_updateinfo(text.as_bytes()));
    }
}
