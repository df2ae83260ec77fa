//! Fuzz targets: parsers of untrusted input, fed with damaged and hostile files.
//!
//! ```text
//! targets/NAME.rs  --(cargo fuzz run NAME, nightly)--> a function of this crate <--(tests/corpus.rs)-- corpus/NAME/*
//! ```
//!
//! Each function takes bytes, gives them to a parser of ours, and panics when the parser breaks an invariant: it may
//! refuse any input, but must not crash, loop, take memory without bound, or touch files that it was not given. Inputs
//! that the fuzzer found lie in `corpus/`, and every test run replays them with an ordinary compiler.

use std::io::Read as _;
use std::sync::LazyLock;

use basalt_advisories::{Database, Scheme, parse_record};
use basalt_bom::Program;
use basalt_digest::Digest;
use basalt_release::Arch;
use basalt_repodata::RpmLocation;
use basalt_rpm::{Payload, parse_header, read_files, read_package, unpack};
use basalt_signing::{Certificate, Timestamp};
use camino::{Utf8Path, Utf8PathBuf};

/// A parser of untrusted input, under its name in `corpus/`.
pub type FuzzTarget = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[FuzzTarget] = &[
    ("rpm", rpm),
    ("payload", payload),
    ("repodata", repodata),
    ("osv", osv),
    ("osv_archive", osv_archive),
    ("image_archive", image_archive),
    ("signature", signature),
    ("program", program),
];

/// A name for error messages.
fn nobody() -> &'static Utf8Path {
    Utf8Path::new("fuzzed")
}

/// A folder that is taken away again, in memory where there is such a place.
fn folder() -> Option<(tempfile::TempDir, Utf8PathBuf)> {
    let memory = std::path::Path::new("/dev/shm");
    let guard = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let guard = guard.ok()?;
    let path = Utf8PathBuf::try_from(guard.path().to_owned()).ok()?;
    Some((guard, path))
}

/// An RPM: its header, what solving and composing read of it, what a repository says of it, and its payload as a stream.
///
/// # Panics
/// When a parser breaks an invariant.
pub fn rpm(data: &[u8]) {
    let understood = parse_header(nobody(), &mut &data[..]).is_ok();
    drain(data);
    let Some((_guard, path)) = folder() else { return };
    let file = path.join("fuzzed.rpm");
    if fs_err::write(&file, data).is_err() {
        return;
    }
    let package = read_package(&file);
    assert!(understood || package.is_err(), "a package without a header");
    let _ = read_files(&file);
    let placed = RpmLocation {
        href: "fuzzed.rpm",
        digest: Digest::of(data),
        size: data.len() as u64,
        time: 0,
    };
    if let Ok(described) = basalt_repodata::describe(&file, placed) {
        // What is said of any package must be XML that can be read again.
        let written = basalt_repodata::write(&[described], &[], 0);
        assert!(written.is_ok(), "{:?}", written.err());
    }
}

/// Reads a payload as a stream, to its end or to the first thing that is wrong.
fn drain(data: &[u8]) {
    let Ok(mut payload) = Payload::of_bytes(nobody(), data) else {
        return;
    };
    // Input that unpacks to a thousand times its size is refused by the callers; here it only takes time.
    let mut left: u64 = 8 << 20;
    while let Ok(Some(_)) = payload.next() {
        let mut content = (&mut payload).take(left);
        let Ok(read) = std::io::copy(&mut content, &mut std::io::sink()) else {
            return;
        };
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
}

/// The lead, the signature and the header of a well-formed RPM whose payload is not compressed.
static HONEST: LazyLock<Vec<u8>> = LazyLock::new(|| honest().unwrap_or_default());

fn honest() -> Option<Vec<u8>> {
    let config = rpm::BuildConfig::default()
        .compression(rpm::CompressionType::None)
        .source_date(1_760_000_000_u32);
    let package = rpm::PackageBuilder::new("demo", "1.2", "MIT", "x86_64", "A demonstration")
        .using_config(config)
        .release("3.bs1")
        .with_file_contents("hello\n", rpm::FileOptions::new("/usr/bin/demo").permissions(0o755))
        .and_then(rpm::PackageBuilder::build)
        .ok()?;
    let mut bytes = Vec::new();
    package.write(&mut bytes).ok()?;
    let start = package.metadata.get_package_segment_offsets().payload;
    bytes.truncate(usize::try_from(start).ok()?);
    Some(bytes)
}

/// Unpacks an RPM payload into a folder, beside a folder that must stay untouched.
///
/// # Panics
/// When something outside of the folder was touched.
pub fn payload(data: &[u8]) {
    let Some((_guard, path)) = folder() else { return };
    let (file, outside) = (path.join("fuzzed.rpm"), path.join("outside"));
    let written = fs_err::write(&file, [&HONEST, data].concat())
        .and_then(|()| fs_err::create_dir(&outside))
        .and_then(|()| fs_err::write(outside.join("precious"), "untouched"));
    if written.is_err() {
        return;
    }
    let _ = unpack(&file, &path.join("inside"));
    let names = |folder: &Utf8Path| -> Vec<String> {
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&path), ["fuzzed.rpm", "inside", "outside"]);
    assert_eq!(names(&outside), ["precious"]);
    let precious = fs_err::read(outside.join("precious")).unwrap_or_default();
    assert_eq!(precious, b"untouched");
}

/// The metadata of a repository: the first byte says as which part of it the rest is read.
///
/// # Panics
/// When a parser breaks an invariant.
pub fn repodata(data: &[u8]) {
    let Some((part, rest)) = data.split_first() else { return };
    match part % 5 {
        0 => drop(basalt_repodata::parse_repomd(rest)),
        1 => drop(basalt_repodata::parse_primary(rest)),
        2 => drop(basalt_repodata::parse_filelists(rest)),
        3 => drop(basalt_repodata::parse_other(rest)),
        _ => drop(basalt_repodata::parse_updateinfo(rest)),
    }
}

/// A record of an OSV database, and what it says about some versions.
///
/// # Panics
/// When a parser breaks an invariant.
pub fn osv(data: &[u8]) {
    let Ok(advisory) = parse_record(data) else { return };
    for affected in &advisory.affected {
        for version in ["0.0.0", "1.2.3-rc.1", "v1.27.4", "257.13", "not a version"] {
            for scheme in [Scheme::SemVer, Scheme::Upstream] {
                let _ = affected.verdict(version, &[], scheme);
            }
        }
    }
    let database = Database::of_records([("fuzzed.json", data)]);
    for affected in &advisory.affected {
        // A record that can be read is found again, unless it was withdrawn.
        let found = database.about(&affected.ecosystem, &affected.name).count();
        assert!(
            found <= advisory.affected.len(),
            "one record was found more often than it is there"
        );
    }
}

/// A database in an archive: the first byte says in which kind.
///
/// # Panics
/// When a parser breaks an invariant.
pub fn osv_archive(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind % 2 == 0 {
        drop(Database::of_zip(nobody(), rest));
    } else {
        drop(Database::of_tar(nobody(), rest));
    }
}

/// An archive of container images.
///
/// # Panics
/// When something outside of the scratch folder was touched, or a blob of an image is not what it says.
pub fn image_archive(data: &[u8]) {
    let Some((_guard, path)) = folder() else { return };
    let (file, scratch) = (path.join("fuzzed.tar"), path.join("scratch"));
    let written = fs_err::write(&file, data).and_then(|()| fs_err::create_dir(&scratch));
    if written.is_err() {
        return;
    }
    let images = basalt_oci::find(file.as_str(), None, &scratch, Arch::X86_64).unwrap_or_default();
    for blob in images.iter().flat_map(|image| &image.blobs) {
        let content = fs_err::read(&blob.path).unwrap_or_default();
        assert_eq!((Digest::of(&content), content.len() as u64), (blob.digest, blob.size));
        assert!(
            blob.path
                .canonicalize_utf8()
                .is_ok_and(|path| path.starts_with(canonical(&scratch)))
        );
    }
    let entries = path.read_dir_utf8().into_iter().flatten().flatten();
    assert_eq!(entries.count(), 2, "something beside the scratch folder");
}

fn canonical(path: &Utf8Path) -> Utf8PathBuf {
    path.canonicalize_utf8().unwrap_or_else(|_| path.to_owned())
}

/// OpenPGP: the first two bytes say how long the certificates are; a signature follows, over nothing.
///
/// # Panics
/// When a parser breaks an invariant, or when a forged signature is accepted.
pub fn signature(data: &[u8]) {
    let [high, low, rest @ ..] = data else { return };
    let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (keys, signature) = rest.split_at(length);
    let _ = basalt_signing::issuers(signature);
    let _ = basalt_signing::binary(signature).map(|bytes| basalt_signing::armored(&bytes));
    let Ok(certificates) = Certificate::parse(keys, "fuzzed") else {
        return;
    };
    let _ = basalt_signing::verify(b"nothing", signature, &certificates, Timestamp::now());
}

/// A program: what it says about the modules and crates in it.
///
/// # Panics
/// When a parser breaks an invariant.
pub fn program(data: &[u8]) {
    let _ = Program::parse("fuzzed", data);
    let _ = basalt_bom::GoProgram::parse(data);
    let _ = basalt_bom::RustProgram::parse(data);
}
