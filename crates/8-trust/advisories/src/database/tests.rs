//! Databases of all packings, and hostile ones.

use std::io::{Cursor, Write as _};

use basalt_progress::Silent;

use super::*;

const RECORDS: [(&str, &str); 5] = [
    (
        "GO-2026-0001.json",
        r#"{"id": "GO-2026-0001", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "Go",
            "name": "example.org/m"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}]}]}"#,
    ),
    (
        "GO-2026-0002.json",
        r#"{"id": "GO-2026-0002", "modified": "2026-01-02T00:00:00Z", "withdrawn": "2026-01-03T00:00:00Z",
            "affected": [{"package": {"ecosystem": "Go", "name": "example.org/m"}, "versions": ["1.0.0"]}]}"#,
    ),
    (
        "DSA-1.json",
        r#"{"id": "DSA-1", "affected": [{"package": {"ecosystem": "Debian:12", "name": "zlib"}, "versions": ["1"]}]}"#,
    ),
    (
        "CVE-1.json",
        r#"{"id": "CVE-1", "affected": [{"ranges": [{"type": "GIT", "repo": "https://github.com/madler/zlib",
            "events": [{"introduced": "0"}]}]}]}"#,
    ),
    ("broken.json", r#"{"id": "GO-2026-0003", "affected": ["#),
];

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(*name, options).expect("begun");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).expect("appended");
    }
    tar.into_inner().expect("finished")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).expect("written");
    gzip.finish().expect("finished")
}

fn records() -> Vec<(&'static str, &'static [u8])> {
    RECORDS.iter().map(|(name, text)| (*name, text.as_bytes())).collect()
}

struct TempPath {
    _guard: tempfile::TempDir,
    path: Utf8PathBuf,
}

fn place() -> TempPath {
    let guard = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::try_from(guard.path().to_owned()).expect("UTF-8");
    TempPath { _guard: guard, path }
}

fn read(place: &TempPath, name: &str, bytes: &[u8]) -> Result<Database, AuditError> {
    let path = place.path.join(name);
    fs_err::write(&path, bytes).expect("written");
    Database::read(&[path], None, &Silent)
}

#[test]
fn every_packing_says_the_same() {
    let place = place();
    let folder = place.path.join("osv");
    fs_err::create_dir_all(folder.join("below")).expect("made");
    for (name, text) in RECORDS {
        fs_err::write(folder.join("below").join(name), text).expect("written");
    }
    fs_err::write(folder.join("README.md"), "no record").expect("written");
    fs_err::os::unix::fs::symlink("/etc/passwd", folder.join("link.json")).expect("made");
    let expected = DatabaseStatistics {
        records: 4,
        withdrawn: 1,
        commits_only: 1,
        other_ecosystems: BTreeMap::from([("Debian".to_owned(), 1)]),
        unreadable: 1,
        unreadable_files: Vec::new(),
        newest: "2026-01-02T00:00:00Z".to_owned(),
    };
    let tar = tar(&records());
    let databases = [
        Database::read(&[folder], None, &Silent),
        read(&place, "all.zip", &zip(&records())),
        read(&place, "all.tar", &tar),
        read(&place, "all.tar.gz", &gzip(&tar)),
        read(
            &place,
            "all.tar.zst",
            &zstd::encode_all(tar.as_slice(), 3).expect("packed"),
        ),
    ];
    for database in databases {
        let database = database.expect("read");
        assert_eq!(
            database.about("Go", "example.org/m").count(),
            1,
            "the withdrawn one is out"
        );
        let mut statistics = database.statistics.clone();
        assert!(
            statistics.unreadable_files[0].0.ends_with("broken.json"),
            "{statistics:?}"
        );
        statistics.unreadable_files.clear();
        assert_eq!(statistics, expected);
    }
}

#[test]
fn the_later_of_two_records_counts() {
    let later = RECORDS[0]
        .1
        .replace("2026-01-01", "2026-02-01")
        .replace("example.org/m", "example.org/other");
    for order in [[RECORDS[0].1, &later], [&later, RECORDS[0].1]] {
        let database = Database::of_records(order.map(|text| ("x.json", text.as_bytes())));
        assert_eq!(database.about("Go", "example.org/m").count(), 0);
        assert_eq!(database.about("Go", "example.org/other").count(), 1);
    }
}

#[test]
fn an_archive_that_is_cut_short_is_refused() {
    let place = place();
    let tar = tar(&records());
    let archives: [(&str, Vec<u8>); 4] = [
        ("all.zip", zip(&records())),
        ("all.tar", tar.clone()),
        ("all.tar.gz", gzip(&tar)),
        ("all.tar.zst", zstd::encode_all(tar.as_slice(), 3).expect("packed")),
    ];
    for (name, whole) in archives {
        for cut in [1, whole.len() / 3, whole.len() / 2] {
            let error = read(&place, name, &whole[..cut]).expect_err(name);
            assert!(matches!(error, AuditError::Database { .. }), "{name} at {cut}: {error}");
        }
    }
}

#[test]
fn what_unpacks_to_far_too_much_is_refused() {
    let place = place();
    // Two hundred thousand times zero, in many records.
    let zeros = vec![b' '; 15 << 20];
    let many: Vec<(String, &[u8])> = (0..6)
        .map(|number| (format!("{number}.json"), zeros.as_slice()))
        .collect();
    let files: Vec<(&str, &[u8])> = many.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
    let tar = tar(&files);
    for (name, bytes) in [
        ("bomb.zip", zip(&files)),
        ("bomb.tar.zst", zstd::encode_all(tar.as_slice(), 3).expect("packed")),
        ("bomb.tar.gz", gzip(&tar)),
    ] {
        assert!(bytes.len() < 1 << 20, "{name}: {}", bytes.len());
        let error = read(&place, name, &bytes).expect_err(name);
        let AuditError::Database { source, .. } = error else {
            panic!("{name}: {error}");
        };
        assert!(source.to_string().contains("200 times its size"), "{name}: {source}");
    }
}

#[test]
fn a_record_that_is_too_large_is_told() {
    let place = place();
    let mut large = br#"{"id": "X-1", "details": ""#.to_vec();
    large.resize(17 << 20, b'x');
    large.extend_from_slice(b"\"}");
    let database = read(&place, "large.zip", &zip(&[("large.json", &large), records()[0]])).expect("read");
    assert_eq!((database.statistics.records, database.statistics.unreadable), (1, 1));
    assert_eq!(database.statistics.unreadable_files[0].1, "it is larger than 16 MiB");
}

#[test]
fn nothing_and_nonsense_are_no_databases() {
    let place = place();
    assert!(matches!(
        read(&place, "empty.zip", &zip(&[("README", b"x")])),
        Err(AuditError::Empty { .. })
    ));
    assert!(matches!(
        read(&place, "all.rar", b"x"),
        Err(AuditError::Database { .. })
    ));
    let missing = Database::read(&[place.path.join("nowhere.zip")], None, &Silent);
    assert!(matches!(missing, Err(AuditError::Database { .. })));
}

proptest::proptest! {
    #[test]
    fn damaged_archives_are_errors_and_never_panics(at in 0_usize..4000, with: u8, cut in 1_usize..4000) {
        let damage = |mut bytes: Vec<u8>| {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(cut);
            bytes
        };
        let _ = Database::of_zip("damaged.zip".into(), &damage(zip(&records())));
        let _ = Database::of_tar("damaged.tar".into(), &damage(tar(&records())));
    }
}
