//! A folder cache that several processes use at once, and one on a disk that is full.
//!
//! The processes are this test program, started again with one of the ignored tests.

use std::io::Cursor;
use std::time::Duration;

use basalt_cache::{Blob, CacheError, ContentAddressableStorage as _, Folder, Mode};
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

fn child(test: &str, path: &Utf8Path) -> Vec<String> {
    let program = std::env::current_exe().expect("this program");
    let program = program.into_os_string().into_string().expect("UTF-8");
    let arguments = ["--ignored", "--exact", test, "--nocapture"].map(str::to_owned);
    let shell = format!("env {FOLDER}={path} {program} {}", arguments.join(" "));
    vec!["-c".to_owned(), shell]
}

fn given_folder() -> Folder {
    folder(Utf8Path::new(&std::env::var(FOLDER).expect("started by another test")))
}

#[test]
fn two_processes_write_the_same_blobs_at_once() {
    let (_temporary, path) = temporary();
    drop(folder(&path));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let command = Command::new("sh").args(child("process_that_writes", &path));
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
    let left = std::fs::read_dir(path.join("tmp")).expect("a folder").count();
    assert_eq!(left, 0);
}

#[test]
#[ignore = "a child of two_processes_write_the_same_blobs_at_once"]
fn process_that_writes() {
    let folder = given_folder();
    for content in contents() {
        folder
            .write(&Blob::of(&content), &mut Cursor::new(&content))
            .expect("writes");
    }
}

#[test]
fn a_disk_that_is_full_leaves_nothing_half_written() {
    let (_temporary, path) = temporary();
    drop(folder(&path));
    // Files of at most 64 KiB: writing more fails as it does on a full disk, instead of with a signal.
    let mut arguments = child("process_on_a_full_disk", &path);
    arguments[1] = format!("trap '' XFSZ; ulimit -f 128; exec {}", arguments[1]);
    let command = Command::new("sh").args(arguments);
    command.output().expect("succeeds");
    assert_eq!(std::fs::read_dir(path.join("tmp")).expect("a folder").count(), 0);
    let folder = folder(&path);
    assert_eq!(folder.status().expect("counts").blobs, 0);
}

#[test]
#[ignore = "a child of a_disk_that_is_full_leaves_nothing_half_written"]
fn process_on_a_full_disk() {
    let folder = given_folder();
    let noise: Vec<u8> = (0..1_000_000u32)
        .flat_map(|index| Blob::of(index.to_le_bytes()).digest.as_bytes()[..1].to_vec())
        .collect();
    let error = folder
        .write(&Blob::of(&noise), &mut Cursor::new(&noise))
        .expect_err("full");
    assert!(matches!(error, CacheError::Io { .. }), "{error:?}");
}
