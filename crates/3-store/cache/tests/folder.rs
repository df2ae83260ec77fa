//! A folder cache that several processes use at once, and one on a disk that is full.
//!
//! The processes are this test program, started again with one test and a variable.
#![cfg(test)]
#![expect(clippy::print_stdout, reason = "a child tells its parent what it saw")]

use std::io::Cursor;
use std::time::Duration;

use basalt_cache::cache::GcOutcome;
use basalt_cache::{
    Blob, Cache, CacheError, ContentAddressableStorage as _, Folder, Location, Mode, RetentionPolicy, SecretKey,
    Settings, TrustedKeys, Upload,
};
use basalt_process::Command;
use camino::{Utf8Path, Utf8PathBuf};

/// Variable in which a child finds the folder.
const FOLDER: &str = "BASALT_CACHE_TEST_FOLDER";

fn contents() -> Vec<Vec<u8>> {
    (0..30u32)
        .map(|index| format!("{index} ").into_bytes().repeat(20_000))
        .collect()
}

fn folder(path: &Utf8Path) -> Folder {
    Folder::open_within(path, Mode::Both, Duration::from_secs(60)).expect("opens")
}

fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let temporary = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(temporary.path().join("cache")).expect("UTF-8");
    (temporary, path)
}

/// Returns the command that runs this test again in a child process, through `sh`; `before` is put before the `exec`.
fn child(test: &str, path: &Utf8Path, before: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    let program = program.into_os_string().into_string().expect("UTF-8");
    let line = format!("{before} exec \"$0\" --exact \"$1\" --nocapture");
    Command::new("sh").args(["-c", &line, &program, test]).env(FOLDER, path)
}

/// The folder, for who was started as a child.
fn given_folder() -> Option<Folder> {
    let path = std::env::var(FOLDER).ok()?;
    Some(folder(Utf8Path::new(&path)))
}

fn files_in(path: &Utf8Path) -> usize {
    fs_err::read_dir(path).expect("a folder").count()
}

#[test]
fn two_processes_write_the_same_blobs_at_once() {
    if let Some(folder) = given_folder() {
        for content in contents() {
            let written = folder.write(&Blob::of(&content), &mut Cursor::new(&content));
            written.expect("writes");
        }
        return;
    }
    let (_temporary, path) = temporary();
    drop(folder(&path));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let command = child("two_processes_write_the_same_blobs_at_once", &path, "");
                command.output().expect("succeeds");
            });
        }
    });
    let folder = folder(&path);
    for content in contents() {
        let mut read = Vec::new();
        folder.read(&Blob::of(&content), &mut read).expect("is there");
        assert_eq!(read, content);
    }
    assert_eq!(files_in(&path.join("tmp")), 0);
}

#[test]
fn a_disk_that_is_full_leaves_nothing_half_written() {
    if let Some(folder) = given_folder() {
        let digests = (0..100_000u32).flat_map(|index| *Blob::of(index.to_le_bytes()).digest.as_bytes());
        let noise: Vec<u8> = digests.collect();
        let error = folder
            .write(&Blob::of(&noise), &mut Cursor::new(&noise))
            .expect_err("full");
        assert!(matches!(error, CacheError::Io { .. }), "{error:?}");
        println!("it was full");
        return;
    }
    let (_temporary, path) = temporary();
    drop(folder(&path));
    // Files of at most 128 KiB: writing more fails as it does on a full disk, instead of with a signal.
    let before = "trap '' XFSZ; ulimit -f 128;";
    let command = child("a_disk_that_is_full_leaves_nothing_half_written", &path, before);
    let output = command.output().expect("succeeds");
    assert!(output.text().contains("it was full"), "{}", output.text());
    assert_eq!(files_in(&path.join("tmp")), 0);
    assert_eq!(folder(&path).status().expect("counts").blobs, 0);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_no_miss() {
    let (_temporary, path) = temporary();
    let content = b"content";
    let blob = Blob::of(content);
    folder(&path).write(&blob, &mut Cursor::new(content)).expect("written");
    let key = SecretKey::generate("tests").expect("a name");
    let settings = Settings {
        locations: Location::parse_list(path.as_str()).expect("a location"),
        trusted: TrustedKeys::new([key.public()]).expect("one key"),
        ..Settings::default()
    };
    let cache = Cache::new(settings, std::sync::Arc::new(basalt_progress::Silent));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut for_reading = fs_err::File::open(file.path()).expect("opened").into_file();
    cache.fetch(&blob, &mut for_reading).expect_err("it cannot be written");
    let mut for_writing = file.reopen().expect("opened");
    assert!(cache.fetch(&blob, &mut for_writing).expect("written"));
    assert!(!cache.fetch(&Blob::of("missing"), &mut for_writing).expect("written"));
}

/// A cache of this location that may be written to.
fn cache(location: &str) -> Cache {
    let key = SecretKey::generate("tests").expect("a name");
    let settings = Settings {
        locations: Location::parse_list(location).expect("a location"),
        trusted: TrustedKeys::new([key.public()]).expect("one key"),
        signer: Some(key),
        ..Settings::default()
    };
    Cache::new(settings, std::sync::Arc::new(basalt_progress::Silent))
}

/// A result with one output of this content.
fn upload(content: &'static str) -> Upload {
    use bazel_remote_apis::build::bazel::remote::execution::v2::{ActionResult, OutputFile};
    let file = OutputFile {
        path: "file".to_owned(),
        digest: Some(Blob::of(content).to_proto()),
        ..OutputFile::default()
    };
    let result = ActionResult {
        output_files: vec![file],
        ..ActionResult::default()
    };
    Upload {
        action: Blob::of(format!("makes {content}")),
        named: result.clone(),
        result,
        also: Vec::new(),
    }
}

/// Pushes a result with this content; the number of locations that have it, and of those that failed.
fn push(cache: &Cache, content: &'static str) -> (usize, usize) {
    let open = |_: &Blob| Ok(Box::new(Cursor::new(content)) as Box<dyn basalt_cache::BlobSource>);
    let pushed = cache.push(&upload(content), &open).expect("the store is right");
    (pushed.locations, pushed.failed)
}

#[test]
fn a_push_counts_the_locations_that_failed() {
    let (_temporary, path) = temporary();
    let cache = cache(path.as_str());
    assert_eq!(push(&cache, "whole"), (1, 0));
    // Folders at the places of files, so that nothing can be written there, not even by root.
    let contents = ["a", "b", "c", "d", "e"];
    for content in contents {
        let hex = Blob::of(content).digest.to_hex();
        let file = path.join(format!("cas/{}/{hex}.zst", hex.split_at(2).0));
        fs_err::create_dir_all(file.join("below")).expect("made");
    }
    for content in contents {
        // From the third on the location is switched off, and is counted all the same.
        assert_eq!(push(&cache, content), (0, 1), "{content}");
    }
}

#[test]
fn a_push_into_a_damaged_cache_repairs_it() {
    let (_temporary, path) = temporary();
    assert_eq!(push(&cache(path.as_str()), "content"), (1, 0));
    let blob = Blob::of("content");
    let hex = blob.digest.to_hex();
    let file = path.join(format!("cas/{}/{hex}.zst", hex.split_at(2).0));
    let length = fs_err::metadata(&file).expect("is there").len();
    let opened = fs_err::OpenOptions::new().write(true).open(&file);
    opened.and_then(|file| file.set_len(length - 5)).expect("cut");
    assert_eq!(push(&cache(path.as_str()), "content"), (1, 0));
    let mut read = Vec::new();
    folder(&path).read(&blob, &mut read).expect("is whole again");
    assert_eq!(read, b"content");
}

#[test]
fn a_collection_where_nothing_may_be_written_removes_nothing_and_says_so() {
    let (_temporary, path) = temporary();
    assert_eq!(push(&cache(path.as_str()), "content"), (1, 0));
    let hex = Blob::of("content").digest.to_hex();
    let file = path.join(format!("cas/{}/{hex}.zst", hex.split_at(2).0));
    let old = std::time::SystemTime::now() - Duration::from_secs(24 * 60 * 60);
    let opened = fs_err::OpenOptions::new().write(true).open(&file);
    opened.and_then(|file| file.set_modified(old)).expect("aged");
    let keep = RetentionPolicy {
        bytes: Some(0),
        ..RetentionPolicy::default()
    };
    let collect = |location: &str| {
        let outcome = cache(location).gc(&keep).pop().expect("one location").outcome;
        outcome.expect("collected")
    };
    let reading = collect(&format!("file://{path}?mode=read"));
    assert!(
        matches!(reading, GcOutcome::Folder { dry_run: true, stats } if stats.blobs == 1),
        "{reading:?}"
    );
    assert!(file.exists());
    assert_eq!(collect("grpc://127.0.0.1:9"), GcOutcome::Server);
    let writing = collect(path.as_str());
    assert!(
        matches!(writing, GcOutcome::Folder { dry_run: false, stats } if stats.blobs == 1),
        "{writing:?}"
    );
    assert!(!file.exists());
}

#[test]
fn a_relative_folder_is_made_in_the_working_folder() {
    if std::env::var(FOLDER).is_ok() {
        assert_eq!(push(&cache("relative"), "content"), (1, 0));
        return;
    }
    let (guard, _) = temporary();
    let above = Utf8Path::from_path(guard.path()).expect("UTF-8");
    let before = format!("cd '{above}' &&");
    let command = child(
        "a_relative_folder_is_made_in_the_working_folder",
        Utf8Path::new("relative"),
        &before,
    );
    command.output().expect("succeeds");
    assert!(above.join("relative/CACHEDIR.TAG").exists());
    assert_eq!(folder(&above.join("relative")).status().expect("counts").blobs, 1);
}
