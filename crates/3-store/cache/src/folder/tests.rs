use std::io::Cursor;
use std::time::SystemTime;

use bazel_remote_apis::build::bazel::remote::execution::v2::OutputFile;
use proptest::prelude::*;

use super::*;
use crate::blob::FullDisk;
use crate::key::{SecretKey, TrustedKeys};
use crate::signature;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Fixture {
    // Removes the folder when it is dropped.
    _temporary: tempfile::TempDir,
    folder: Folder,
}

impl Fixture {
    fn new() -> Self {
        let temporary = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(temporary.path().join("cache")).expect("UTF-8");
        Self {
            folder: Folder::open(&path, Mode::Both).expect("opens"),
            _temporary: temporary,
        }
    }

    fn add(&self, content: &[u8]) -> Blob {
        let blob = Blob::of(content);
        self.folder.write(&blob, &mut Cursor::new(content)).expect("writes");
        blob
    }

    fn path(&self, blob: &Blob) -> Utf8PathBuf {
        self.folder.blob_path(blob)
    }

    /// The same folder, seen by somebody who may not write to it.
    fn reader(&self) -> Folder {
        Folder::open(self.folder.path(), Mode::Read).expect("opens")
    }

    fn files_in(&self, name: &str) -> usize {
        let list = fs_err::read_dir(self.folder.path().join(name));
        list.map_or(0, |entries| entries.count())
    }
}

fn read(folder: &Folder, blob: &Blob) -> Result<Vec<u8>, CacheError> {
    crate::backend::read_bytes(folder, blob)
}

fn result(blobs: &[Blob]) -> ActionResult {
    let file = |blob: &Blob| OutputFile {
        path: blob.digest.short(),
        digest: Some(blob.to_proto()),
        ..Default::default()
    };
    ActionResult {
        output_files: blobs.iter().map(file).collect(),
        ..Default::default()
    }
}

fn age(path: &Utf8Path, by: Duration) {
    let file = fs_err::OpenOptions::new().write(true).open(path).expect("opens");
    file.set_modified(SystemTime::now() - by).expect("sets the time");
}

fn modified(path: &Utf8Path) -> SystemTime {
    fs_err::metadata(path)
        .and_then(|metadata| metadata.modified())
        .expect("a time")
}

#[test]
fn blobs_and_results_come_back_from_where_the_documentation_says() {
    let fixture = Fixture::new();
    let content = b"abc".repeat(10_000);
    let blob = fixture.add(&content);
    assert_eq!(read(&fixture.folder, &blob).expect("reads"), content);
    let hex = blob.digest.to_hex();
    let path = fixture
        .folder
        .path()
        .join("cas")
        .join(format!("{hex:.2}"))
        .join(format!("{hex}.zst"));
    assert!(fs_err::metadata(&path).expect("is there").len() < 1000, "compressed");
    let action = Blob::of("action");
    assert!(fixture.folder.action_result(&action).expect("no error").is_none());
    fixture
        .folder
        .put_action_result(&action, &result(&[blob]))
        .expect("writes");
    assert_eq!(
        fixture.folder.action_result(&action).expect("reads"),
        Some(result(&[blob]))
    );
    assert!(fixture.folder.path().join("CACHEDIR.TAG").exists());
    assert_eq!(fixture.files_in("tmp"), 0);
}

#[test]
fn the_empty_blob_is_always_there_and_another_of_no_size_never() {
    let fixture = Fixture::new();
    assert_eq!(read(&fixture.folder, &Blob::empty()).expect("reads"), b"");
    let impossible = Blob {
        digest: Blob::of("a").digest,
        size: 0,
    };
    let missing = fixture.folder.missing(&[Blob::empty(), impossible]).expect("asks");
    assert_eq!(missing, [impossible]);
}

#[test]
fn damage_of_any_kind_counts_as_missing_and_is_replaced() {
    let content = b"content ".repeat(1000);
    let frame = |content: &[u8]| zstd::stream::encode_all(content, 3).expect("compresses");
    let right = frame(&content);
    let damages: [(&str, Vec<u8>); 7] = [
        ("nothing", Vec::new()),
        ("noise", vec![0xa5; 500]),
        ("half", right[..right.len() / 2].to_vec()),
        ("other content", frame(&b"another ".repeat(1000))),
        ("shorter", frame(&content[1..])),
        ("longer", frame(&[&content[..], b"x"].concat())),
        ("a bomb", frame(&vec![0; 64 << 20])),
    ];
    for (what, damage) in damages {
        let fixture = Fixture::new();
        let blob = fixture.add(&content);
        fs_err::write(fixture.path(&blob), damage).expect("damages");
        let error = read(&fixture.folder, &blob).expect_err(what);
        assert!(matches!(error, CacheError::Wrong { .. }), "{what}: {error:?}");
        assert!(!fixture.path(&blob).exists(), "{what} is removed");
        assert_eq!(fixture.folder.missing(&[blob]).expect("asks"), [blob]);
        fixture.add(&content);
        assert_eq!(read(&fixture.folder, &blob).expect(what), content);
    }
}

#[test]
fn who_may_not_write_remembers_damage_instead_of_removing_it() {
    let fixture = Fixture::new();
    let blob = fixture.add(b"content");
    fs_err::write(fixture.path(&blob), "noise").expect("damages");
    let reader = fixture.reader();
    assert!(reader.missing(&[blob]).expect("asks").is_empty());
    assert!(read(&reader, &blob).is_err());
    assert!(fixture.path(&blob).exists());
    assert_eq!(reader.missing(&[blob]).expect("asks"), [blob]);
}

#[test]
fn what_is_no_ordinary_file_is_not_there() {
    let fixture = Fixture::new();
    let (pipe, link) = (fixture.add(b"pipe"), fixture.add(b"link"));
    for blob in [&pipe, &link] {
        fs_err::remove_file(fixture.path(blob)).expect("removes");
    }
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, fixture.path(&pipe).as_std_path(), mode).expect("a named pipe");
    fs_err::os::unix::fs::symlink("/dev/zero", fixture.path(&link)).expect("a link");
    for blob in [&pipe, &link] {
        assert!(matches!(read(&fixture.folder, blob), Err(CacheError::Missing { .. })));
    }
    assert_eq!(fixture.folder.missing(&[pipe, link]).expect("asks"), [pipe, link]);
}

#[test]
fn what_changes_while_it_is_written_is_not_kept() {
    let fixture = Fixture::new();
    for (name, content) in [("abc", "abd"), ("abc", "ab"), ("abc", "abcd")] {
        let blob = Blob::of(name);
        let error = fixture
            .folder
            .write(&blob, &mut Cursor::new(content))
            .expect_err(content);
        assert!(matches!(error, CacheError::SourceChanged { .. }), "{error:?}");
        assert!(!fixture.path(&blob).exists());
    }
    assert_eq!(fixture.files_in("tmp"), 0);
}

#[test]
fn a_disk_that_is_full_on_this_side_does_no_harm_to_the_cache() {
    let fixture = Fixture::new();
    let blob = fixture.add(b"content");
    let error = fixture.folder.read(&blob, &mut FullDisk).expect_err("full");
    assert!(matches!(&error, CacheError::Local { source, .. } if source.kind() == io::ErrorKind::StorageFull));
    assert!(error.is_ours());
    assert_eq!(read(&fixture.folder, &blob).expect("still there"), b"content");
}

#[test]
fn a_folder_that_cannot_be_written_to_is_an_error_of_the_cache() {
    let fixture = Fixture::new();
    // Instead of permissions, which mean nothing to root.
    let temporary = fixture.folder.temporary();
    fs_err::create_dir_all(temporary.parent().expect("a folder")).expect("makes");
    fs_err::write(&temporary, "in the way").expect("writes");
    let error = fixture
        .folder
        .write(&Blob::of("a"), &mut Cursor::new("a"))
        .expect_err("no folder for it");
    assert!(matches!(error, CacheError::Io { .. }) && !error.is_ours(), "{error:?}");
}

#[test]
fn modes_follow_from_the_folder_and_not_from_the_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Utf8Path| fs_err::metadata(path).expect("is there").permissions().mode() & 0o7777;
    // For one user, for a team, and for one who lets all others read.
    for (folder_mode, file_mode) in [(0o700, 0o600), (0o2775, 0o664), (0o755, 0o644)] {
        let temporary = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(temporary.path()).expect("UTF-8");
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(folder_mode)).expect("chmod");
        let folder = Folder::open(path, Mode::Both).expect("opens");
        let blob = Blob::of("content");
        folder.write(&blob, &mut Cursor::new("content")).expect("writes");
        folder.put_action_result(&blob, &result(&[blob])).expect("writes");
        for file in [folder.blob_path(&blob), folder.result_path(&blob)] {
            assert_eq!(mode(&file), file_mode, "{file}");
            for made in file.ancestors().skip(1).take(2).chain([&*folder.temporary()]) {
                assert_eq!(mode(made), folder_mode, "{made}");
            }
        }
    }
}

#[test]
fn a_folder_that_is_not_there() {
    let temporary = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(temporary.path().join("mount/cache")).expect("UTF-8");
    for mode in [Mode::Read, Mode::Both] {
        assert!(
            matches!(Folder::open(&path, mode), Err(CacheError::Io { .. })),
            "{mode:?}"
        );
    }
    fs_err::create_dir(path.parent().expect("a parent")).expect("mounts");
    assert!(Folder::open(&path, Mode::Read).is_err());
    let folder = Folder::open_within(&path, Mode::Both, Duration::from_secs(60)).expect("opens");
    let blob = Blob::of("a");
    assert!(folder.action_result(&blob).expect("no error").is_none());
    assert!(matches!(read(&folder, &blob), Err(CacheError::Missing { .. })));
    assert_eq!(folder.missing(&[blob]).expect("asks"), [blob]);
    assert!(!folder.exists() && !path.exists(), "reading made it");
    folder.write(&blob, &mut Cursor::new("a")).expect("writes");
    assert!(folder.exists() && path.join("CACHEDIR.TAG").exists());
    fs_err::write(path.join("file"), "").expect("writes");
    assert!(Folder::open(&path.join("file"), Mode::Both).is_err());
}

#[test]
fn a_result_that_is_none_is_removed() {
    let fixture = Fixture::new();
    let action = Blob::of("action");
    for content in [vec![0xff; 100], vec![0; MAX_RESULT + 1]] {
        fixture.folder.put_action_result(&action, &result(&[])).expect("writes");
        let path = fixture.folder.result_path(&action);
        fs_err::write(&path, content).expect("damages");
        assert!(matches!(
            fixture.folder.action_result(&action),
            Err(CacheError::Protocol { .. })
        ));
        assert!(!path.exists());
    }
}

#[test]
fn the_last_use_is_renewed_once_a_day_by_who_may() {
    let fixture = Fixture::new();
    let blob = fixture.add(b"content");
    let path = fixture.path(&blob);
    for (by, renewed) in [(DAY * 2, true), (DAY / 2, false)] {
        age(&path, by);
        let before = modified(&path);
        read(&fixture.reader(), &blob).expect("reads");
        assert_eq!(modified(&path), before, "nothing is written in mode=read");
        read(&fixture.folder, &blob).expect("reads");
        assert_eq!(modified(&path) > before, renewed, "{by:?}");
    }
    age(&path, DAY * 2);
    let before = modified(&path);
    fixture.folder.missing(&[blob]).expect("asks");
    assert!(modified(&path) > before, "FindMissingBlobs is a use");
}

#[test]
fn collection_leaves_what_a_push_has_found() {
    let fixture = Fixture::new();
    let content = b"content";
    let blob = fixture.add(content);
    let path = fixture.path(&blob);
    let all = RetentionPolicy {
        bytes: Some(0),
        ..RetentionPolicy::default()
    };
    let finds: [&dyn Fn() -> Result<(), CacheError>; 2] = [
        &|| {
            let missing = fixture.folder.missing(&[blob])?;
            assert!(missing.is_empty());
            Ok(())
        },
        &|| fixture.folder.write(&blob, &mut Cursor::new(content)),
    ];
    for find in finds {
        age(&path, Duration::from_secs(2 * 60 * 60));
        find().expect("finds");
        fixture.folder.gc(&all).expect("collects");
        assert!(path.exists());
    }
    age(&path, Duration::from_secs(2 * 60 * 60));
    fixture.folder.gc(&all).expect("collects");
    assert!(!path.exists());
}

#[test]
fn collection_takes_what_is_unused_and_results_without_their_blobs() {
    let fixture = Fixture::new();
    let (old, new) = (fixture.add(b"old"), fixture.add(b"new"));
    let actions = ["uses old", "uses new"].map(Blob::of);
    for (action, blob) in actions.iter().zip([old, new]) {
        fixture
            .folder
            .put_action_result(action, &result(&[blob]))
            .expect("writes");
    }
    age(&fixture.path(&old), DAY * 10);
    let leftover = fixture.folder.temporary().join("write-aB3aB3aB3aB3aB3aB3aB3aB3");
    fs_err::write(&leftover, "killed").expect("writes");
    age(&leftover, DAY * 2);
    let keep = |dry_run| RetentionPolicy {
        days: Some(5),
        dry_run,
        ..RetentionPolicy::default()
    };
    let would = fixture.folder.gc(&keep(true)).expect("tells");
    assert_eq!((would.blobs, would.results, would.leftovers), (1, 1, 1));
    assert!(fixture.path(&old).exists() && leftover.exists());
    assert_eq!(fixture.folder.gc(&keep(false)).expect("collects"), would);
    assert!(!fixture.path(&old).exists() && !leftover.exists());
    let there = actions.map(|action| fixture.folder.action_result(&action).expect("asks").is_some());
    assert_eq!(there, [false, true]);
    let again = fixture.folder.gc(&keep(false)).expect("collects");
    assert_eq!((again.blobs, again.results, again.kept), (0, 0, would.kept));
    let days = Some(u64::MAX);
    fixture
        .folder
        .gc(&RetentionPolicy {
            days,
            ..RetentionPolicy::default()
        })
        .expect("no overflow");
}

#[test]
fn collection_leaves_the_files_of_others() {
    let fixture = Fixture::new();
    fixture.add(b"content");
    let folder = fixture.folder.path();
    let hex = Blob::of("a").digest.to_hex();
    let others = [
        folder.join("tmp/thesis.odt"),
        folder.join("tmp/internationalizationtext"),
        folder.join("thesis.odt"),
        folder.join("cas/thesis.odt"),
        folder.join(format!("cas/thesis/{hex}.zst")),
        folder.join(format!("cas/{hex:.2}/{hex}.odt")),
    ];
    for path in &others {
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs_err::write(path, "thesis").expect("writes");
        age(path, DAY * 30);
    }
    let keep = RetentionPolicy {
        bytes: Some(0),
        days: Some(1),
        dry_run: false,
    };
    for folder in [Folder::open(folder, Mode::Both), Folder::open(folder, Mode::Write)] {
        folder.expect("opens").gc(&keep).expect("collects");
    }
    for path in &others {
        assert_eq!(fs_err::read_to_string(path).expect("is there"), "thesis", "{path}");
    }
}

#[test]
fn a_folder_of_another_purpose_is_not_touched() {
    let temporary = tempfile::tempdir().expect("a folder");
    let path = Utf8Path::from_path(temporary.path()).expect("UTF-8");
    let thesis = path.join("tmp/thesis.odt");
    fs_err::create_dir(path.join("tmp")).expect("made");
    fs_err::write(&thesis, "thesis").expect("writes");
    age(&thesis, DAY * 3);
    for mode in [Mode::Read, Mode::Write, Mode::Both] {
        let error = Folder::open(path, mode).expect_err("no cache");
        assert!(matches!(error, CacheError::Foreign { .. }), "{error:?}");
    }
    assert_eq!(fs_err::read_dir(path).expect("lists").count(), 1);
    assert!(thesis.exists());
}

#[test]
fn a_folder_that_an_administrator_made_is_marked_by_the_first_write() {
    let temporary = tempfile::tempdir().expect("a folder");
    let path = Utf8Path::from_path(temporary.path()).expect("UTF-8");
    let folder = Folder::open(path, Mode::Both).expect("opens");
    assert_eq!(
        fs_err::read_dir(path).expect("lists").count(),
        0,
        "nothing is written yet"
    );
    folder.write(&Blob::of("a"), &mut Cursor::new("a")).expect("writes");
    fs_err::write(path.join("README"), "the team's cache").expect("writes");
    Folder::open(path, Mode::Both).expect("is a cache by its tag");
    fs_err::remove_file(path.join("CACHEDIR.TAG")).expect("removes");
    assert!(Folder::open(path, Mode::Both).is_err());
}

#[test]
fn a_push_replaces_what_is_damaged() {
    let fixture = Fixture::new();
    let content = b"content ".repeat(1000);
    let (blob, sound) = (fixture.add(&content), fixture.add(b"sound"));
    let length = fs_err::metadata(fixture.path(&blob)).expect("is there").len();
    let file = fs_err::OpenOptions::new().write(true).open(fixture.path(&blob));
    file.and_then(|file| file.set_len(length - 5)).expect("cut");
    assert!(fixture.folder.missing(&[blob, sound]).expect("asks").is_empty());
    let wanted = |folder: &Folder| folder.missing_or_damaged(&[blob, sound]).expect("asks");
    assert_eq!(wanted(&fixture.folder), [blob]);
    fixture.add(&content);
    assert!(wanted(&fixture.folder).is_empty());
    assert_eq!(read(&fixture.reader(), &blob).expect("reads"), content);
    // Only the first look at a blob reads all of it; that it is there is asked every time.
    fs_err::remove_file(fixture.path(&sound)).expect("removes");
    assert_eq!(wanted(&fixture.folder), [sound]);
}

#[test]
fn status_counts_and_verification_finds() {
    let fixture = Fixture::new();
    let blobs = [fixture.add(b"sound"), fixture.add(b"damaged")];
    let key = SecretKey::generate("team").expect("a name");
    let (one, two) = (Blob::of("signed"), Blob::of("unsigned"));
    let signed = signature::sign(&one.digest, &result(&blobs), &result(&blobs), &key);
    fixture.folder.put_action_result(&one, &signed).expect("writes");
    fixture.folder.put_action_result(&two, &result(&blobs)).expect("writes");
    fs_err::write(fixture.path(&blobs[1]), "noise").expect("damages");
    let status = fixture.folder.status().expect("counts");
    assert_eq!((status.blobs, status.results), (2, 2));
    assert!(status.bytes > 0 && status.oldest.is_some());
    let trusted = TrustedKeys::new([key.public()]).expect("one key");
    let found = fixture.folder.verify(&trusted).expect("verifies");
    let expected = Verification {
        blobs: 1,
        damaged: 1,
        trusted: 1,
        untrusted: 1,
    };
    assert_eq!(found, expected);
    assert_eq!(fixture.folder.status().expect("counts").blobs, 1);
}

#[test]
fn threads_write_read_and_collect_at_once() {
    let fixture = Fixture::new();
    let contents: Vec<Vec<u8>> = (0..20u8).map(|index| vec![index; 5000]).collect();
    std::thread::scope(|scope| {
        for turn in 0..6 {
            let (fixture, contents) = (&fixture, &contents);
            scope.spawn(move || {
                for index in 0..contents.len() {
                    let content = &contents[(index + turn * 3) % contents.len()];
                    let blob = fixture.add(content);
                    if let (0, Ok(file)) = (
                        turn % 2,
                        fs_err::OpenOptions::new().write(true).open(fixture.path(&blob)),
                    ) {
                        file.set_modified(SystemTime::now() - DAY).expect("sets the time");
                    }
                    match read(&fixture.folder, &blob) {
                        Ok(read) => assert_eq!(&read, content),
                        Err(error) => assert!(matches!(error, CacheError::Missing { .. }), "{error:?}"),
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..10 {
                let bytes = Some(0);
                fixture
                    .folder
                    .gc(&RetentionPolicy {
                        bytes,
                        ..RetentionPolicy::default()
                    })
                    .expect("collects");
            }
        });
    });
    assert_eq!(fixture.files_in("tmp"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_flipped_bit_gives_other_content(content in prop::collection::vec(any::<u8>(), 1..400), at: prop::sample::Index) {
        let fixture = Fixture::new();
        let blob = fixture.add(&content);
        let mut bytes = fs_err::read(fixture.path(&blob)).expect("reads");
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs_err::write(fixture.path(&blob), bytes).expect("damages");
        // Some bits of a frame's header mean nothing.
        if let Ok(read) = read(&fixture.folder, &blob) {
            prop_assert_eq!(read, content);
        }
    }
}
