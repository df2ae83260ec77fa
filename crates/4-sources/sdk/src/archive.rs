//! Downloads from Debian's archive, with the mirrors and settings of the machine's apt.

use basalt_digest::Digest;
use basalt_process::{Command, ProcessError, interrupt, tool};
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_store::Store;
use camino::Utf8Path;

use crate::SdkError;

pub use crate::mirror::mirrors;

/// Number of files per call of the downloader.
const BATCH: usize = 16;
/// Minimum of the limit for the size of files, in bytes: apt writes a few small files of its own.
const SMALLEST_CAP: u64 = 1 << 20;
/// Options of apt: time-outs in seconds, number of retries, redirects.
const PATIENCE: [&str; 4] = [
    "-oAcquire::http::Timeout=30",
    "-oAcquire::https::Timeout=30",
    "-oAcquire::Retries=3",
    "-oAcquire::http::AllowRedirect=true",
];

/// File of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Path below the archive's root: `pool/main/...`.
    pub path: String,
    /// SHA-256 digest of the content.
    pub sha256: Digest,
    /// Size in bytes.
    pub size: u64,
}

/// Fetches those of the files that are not intact in the store; `lock` is the name of the file that lists them, for
/// errors. Each mirror is tried for the files that those before it did not have. All files are compared with their
/// digests.
///
/// # Errors
/// When a file cannot be fetched or has another digest: the error of the first mirror. Files that were fetched before
/// it stay in the store.
pub fn fetch(files: &[ArchiveFile], lock: &str, store: &Store, reporter: &dyn Reporter) -> Result<(), SdkError> {
    let missing = absent(files, store)?;
    if missing.is_empty() {
        return Ok(());
    }
    let total = missing.iter().map(|file| file.size).sum();
    let task = reporter.task("fetching from the Debian mirror", Unit::Bytes, Some(total));
    let mut first = None;
    for mirror in mirrors()? {
        let source = Source {
            mirror: &mirror,
            lock,
            store,
        };
        match source.fetch(&absent(files, store)?, task.as_ref()) {
            Ok(()) => {
                task.finish(Outcome::Done);
                return Ok(());
            }
            Err(error @ (SdkError::Io(_) | SdkError::Store(_) | SdkError::Process(_))) => return Err(error),
            Err(error) => {
                tracing::debug!(mirror, %error, "this mirror does not help");
                first = first.or(Some(error));
            }
        }
    }
    Err(first.unwrap_or(SdkError::NoMirror))
}

/// Returns those of the files that are not intact in the store, the smallest first, so that one size limit fits all
/// files of a batch. Damaged objects of the store are set aside.
fn absent<'f>(files: &'f [ArchiveFile], store: &Store) -> Result<Vec<&'f ArchiveFile>, SdkError> {
    let mut absent = Vec::new();
    for file in files {
        interrupt::check()?;
        if store.intact_object(&file.sha256)?.is_none() {
            absent.push(file);
        }
    }
    absent.sort_by_key(|file| file.size);
    Ok(absent)
}

/// Mirror to fetch from, with the store to fetch into.
struct Source<'s> {
    mirror: &'s str,
    lock: &'s str,
    store: &'s Store,
}

impl Source<'_> {
    fn fetch(&self, files: &[&ArchiveFile], task: &dyn Task) -> Result<(), SdkError> {
        for batch in files.chunks(BATCH) {
            interrupt::check()?;
            let workspace = self.store.workspace()?;
            let outcome = download(self.mirror, batch, workspace.path()).output();
            for (number, file) in batch.iter().enumerate() {
                let path = workspace.path().join(number.to_string());
                if path.is_file() {
                    take(&path, file, self.lock, self.store)?;
                    task.advance(file.size);
                } else {
                    return Err(explain(file, self.mirror, outcome.err()));
                }
            }
            outcome?;
        }
        Ok(())
    }
}

/// Returns the command of apt's own downloader for a batch, with the settings of the machine's apt; file N is written
/// to `folder`/N.
///
/// The size of each file is limited to that of the largest in the batch: the kernel ends the transfer. Time-outs and
/// retries are apt's.
fn download(mirror: &str, batch: &[&ArchiveFile], folder: &Utf8Path) -> Command {
    let largest = batch.iter().map(|file| file.size).max().unwrap_or_default();
    let helper = tool::APT_HELPER;
    let mut command = if Utf8Path::new(helper.program).exists() {
        // `ulimit -f` counts blocks of 512 bytes (POSIX). Other files that apt writes are small.
        let blocks = (largest.max(SMALLEST_CAP)).div_ceil(512);
        let script = "ulimit -f \"$1\" && shift && exec \"$@\"";
        Command::new("sh").args(["-c", script, "sh", &blocks.to_string(), helper.program])
    } else {
        Command::tool(helper)
    };
    command = command.args(PATIENCE).arg("download-file");
    for (number, file) in batch.iter().enumerate() {
        command = command
            .arg(format!("{mirror}/{}", file.path))
            .arg(folder.join(number.to_string()))
            .arg(format!("SHA256:{}", file.sha256));
    }
    command
}

fn take(path: &Utf8Path, file: &ArchiveFile, lock: &str, store: &Store) -> Result<(), SdkError> {
    let (actual, _) = basalt_store::digest_of(path)?;
    if actual != file.sha256 {
        let (actual, expected) = (actual.to_hex(), file.sha256.to_hex());
        return Err(SdkError::Digest {
            path: file.path.clone(),
            lock: lock.to_owned(),
            actual,
            expected,
        });
    }
    store.insert_file(path)?;
    Ok(())
}

/// Returns the error for a file that could not be fetched, with its cause: the network, a version that the archive no
/// longer has, or the mirror.
fn explain(file: &ArchiveFile, mirror: &str, error: Option<ProcessError>) -> SdkError {
    let words = match &error {
        Some(ProcessError::Failed { tail, .. }) => tail.join(" "),
        Some(ProcessError::Interrupted) => return ProcessError::Interrupted.into(),
        Some(error) => error.to_string(),
        None => "the downloader left no file".to_owned(),
    };
    let (reason, help) = if words.contains("received signal 25") {
        // SIGXFSZ: the size limit of `download`.
        (
            "the server sent more than the file has".to_owned(),
            "the mirror is broken or was tampered with; nothing of it was kept",
        )
    } else if words.contains("404") {
        (
            "the archive does not have it any more".to_owned(),
            "newer versions have taken its place. For packages of the SDK: `./basalt sdk lock` locks what is there now; for \
             a source: see `./basalt sources check`",
        )
    } else if ["resolve", "onnect", "unreachable", "imed out"]
        .iter()
        .any(|word| words.contains(word))
    {
        (
            format!("no network ({})", shorten(&words)),
            "see that this machine reaches its mirror (`apt-get update`), and run the same command again",
        )
    } else if words.contains("Hash Sum") || words.contains("Hashes") {
        (
            "its content is not what is locked".to_owned(),
            "the mirror is broken or was tampered with; nothing of it was kept",
        )
    } else {
        (
            shorten(&words),
            "see that this machine reaches its mirror (`apt-get update`), and run the same command again",
        )
    };
    SdkError::Fetch {
        path: file.path.clone(),
        mirror: mirror.to_owned(),
        reason,
        help,
    }
}

fn shorten(words: &str) -> String {
    words
        .split("E: ")
        .nth(1)
        .unwrap_or(words)
        .chars()
        .take(160)
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Starts a server on loopback that answers every request with these bytes, at most ten times. Returns its URL.
    fn server(answer: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            for stream in listener.incoming().take(10) {
                let mut stream = stream.expect("a client");
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(&answer);
            }
        });
        format!("http://{address}")
    }

    fn file(content: &[u8]) -> ArchiveFile {
        ArchiveFile {
            path: "pool/main/x/x/x".to_owned(),
            sha256: Digest::of(content),
            size: content.len() as u64,
        }
    }

    fn fetch_from(mirror: &str, wanted: &ArchiveFile) -> (tempfile::TempDir, Store, Result<(), SdkError>) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("opens");
        let source = Source {
            mirror,
            lock: "x.lock",
            store: &store,
        };
        let result = source.fetch(&[wanted], &basalt_progress::Silent);
        (folder, store, result)
    }

    fn apt_is_here() -> bool {
        let here = Utf8Path::new(tool::APT_HELPER.program).exists();
        if !here {
            basalt_test_output::skip_this("this machine has no apt");
        }
        here
    }

    #[test]
    fn a_file_is_taken_by_its_digest() {
        if !apt_is_here() {
            return;
        }
        let answer =
            |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
        let wanted = file(b"hello");
        let (_folder, store, result) = fetch_from(&server(answer("hello")), &wanted);
        result.expect("fetched");
        assert!(store.object(&wanted.sha256).is_some());
        let (_folder, store, result) = fetch_from(&server(answer("hallo")), &wanted);
        assert!(
            matches!(result, Err(SdkError::Fetch { .. } | SdkError::Digest { .. })),
            "{result:?}"
        );
        assert!(store.object(&wanted.sha256).is_none());
    }

    #[test]
    fn a_file_that_does_not_end_is_cut() {
        if !apt_is_here() {
            return;
        }
        let mut endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
        endless.resize(8 << 20, b'x');
        let (folder, _store, result) = fetch_from(&server(endless), &file(b"hello"));
        assert!(result.is_err());
        let left = basalt_store::files_below(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("listed");
        assert!(
            left.iter()
                .all(|path| path.metadata().expect("there").len() <= 2 * SMALLEST_CAP),
            "{left:?}"
        );
    }

    #[test]
    fn a_damaged_package_is_absent_and_set_aside() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let files = [file(b"hello"), file(b"whole")];
        let store = Store::open(root).expect("opens");
        for content in [&b"hello"[..], b"whole"] {
            store.insert(content).expect("stored");
        }
        let path = store.object_path(&files[0].sha256);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opened up");
        fs_err::write(&path, b"hallo").expect("damaged");
        // A store verifies each object once: open another one.
        let store = Store::open(root).expect("opens");
        assert_eq!(absent(&files, &store).expect("looked"), [&files[0]]);
        assert!(store.object(&files[0].sha256).is_none());
        assert!(store.object(&files[1].sha256).is_some());
    }
}
