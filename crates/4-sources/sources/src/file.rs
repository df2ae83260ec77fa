//! Single files: from Debian's archive, from the Python package index, from upstream.

use crate::source_lock::{Alternative, DebianFile, LockedFile};
use basalt_process::interrupt;
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_sdk::archive::{self, ArchiveFile};
use basalt_store::Store;
use camino::{Utf8Path, Utf8PathBuf};

use crate::download::{DownloadError, Downloaded, Downloader, ExpectedSize, Request};
use crate::error::SourceMismatch;
use crate::{SourceSet, SourcesError, pypi};

/// Object of a locked file, compared with its digest, and fetched if it is missing or damaged: from its alternatives in
/// their order, then from upstream. A place that has other bytes is passed over as one that has none; when no place has
/// the right ones, the error is about the bytes.
pub(crate) fn fetch(
    set: &SourceSet,
    file: &LockedFile,
    store: &Store,
    downloader: &Downloader,
    reporter: &dyn Reporter,
) -> Result<Utf8PathBuf, SourcesError> {
    if let Some(path) = store.intact_object(&file.sha256)? {
        return Ok(path);
    }
    // Packages share files (GCC's archive is the source of three) and are fetched side by side: one transfer serves all. The
    // lock follows from the first byte of the digest, so that there are 256 lock files and no more.
    let _alone = store.lock(&format!("fetch-{:.2}", file.sha256.to_hex()), |_| {})?;
    if let Some(path) = store.intact_object(&file.sha256)? {
        return Ok(path);
    }
    let task = reporter.task(&file.file, Unit::Bytes, Some(file.size));
    let mut attempts = Vec::new();
    let mut wrong: Option<(Place, SourceMismatch)> = None;
    for place in places(file) {
        interrupt::check()?;
        match place.fetch(file, store, downloader, task.as_ref()) {
            Ok(path) => {
                if let Some((other, what)) = wrong {
                    reporter.warn(&format!(
                        "{}: {other} has other bytes than are locked: {what}",
                        file.file
                    ));
                }
                task.finish(Outcome::Done);
                return Ok(path);
            }
            Err(Failure::Content(what)) => {
                attempts.push((place.to_string(), what.to_string()));
                wrong = wrong.or(Some((place, what)));
            }
            Err(Failure::Fatal(error)) => return Err(*error),
            Err(Failure::Place(reason)) => attempts.push((place.to_string(), reason)),
        }
    }
    task.finish(Outcome::Failed);
    Err(match wrong {
        Some((place, what)) => SourcesError::Digest {
            package: set.package().to_owned(),
            file: file.file.clone(),
            lock: set.lock_path(),
            blame: place.blame(&what).to_owned(),
            place: place.to_string(),
            what,
        },
        None => SourcesError::Nowhere {
            package: set.package().to_owned(),
            file: file.file.clone(),
            lock: set.lock_path(),
            attempts,
        },
    })
}

/// A place where a file may be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Other(Alternative),
    Upstream(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Other(alternative) => alternative.fmt(f),
            Self::Upstream(url) => f.write_str(url),
        }
    }
}

/// Places in the order in which they are tried. Upstream's own bytes are of no use when a repack is locked.
fn places(file: &LockedFile) -> Vec<Place> {
    let others = file.alternatives.iter().cloned().map(Place::Other);
    let upstream = (!file.repack).then(|| Place::Upstream(file.url.clone()));
    others.chain(upstream).collect()
}

/// Failure of one place.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Content other than the locked one.
    Content(SourceMismatch),
    /// A place that cannot be reached or does not have the file; the message of the error.
    Place(String),
    /// A failure that another place would not help with: of the disk, or Ctrl-C.
    Fatal(Box<SourcesError>),
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Io(error) => Self::Fatal(Box::new(error.into())),
            DownloadError::Interrupted(error) => Self::Fatal(Box::new(error.into())),
            error => Self::Place(basalt_process::chain(&error)),
        }
    }
}

impl From<SourcesError> for Failure {
    fn from(error: SourcesError) -> Self {
        match error {
            SourcesError::Download(error) => (*error).into(),
            SourcesError::Io(_) | SourcesError::Store(_) | SourcesError::Process(_) => Self::Fatal(Box::new(error)),
            error => Self::Place(basalt_process::chain(&error)),
        }
    }
}

impl Place {
    /// Object of the file, from here.
    fn fetch(
        &self,
        file: &LockedFile,
        store: &Store,
        downloader: &Downloader,
        task: &dyn Task,
    ) -> Result<Utf8PathBuf, Failure> {
        let url = match self {
            Self::Other(Alternative::Debian(place)) => return debian(place, file, store),
            Self::Other(Alternative::Pypi { project, version }) => pypi::find(project, version, downloader)?.url,
            Self::Upstream(url) => url.clone(),
        };
        let workspace = store.workspace().map_err(SourcesError::from)?;
        let path = workspace.path().join("download");
        transfer(file, &url, downloader, &path, task)?;
        let (digest, _) = store.insert_file(&path).map_err(SourcesError::from)?;
        if digest != file.sha256 {
            // Between the transfer and the store, on our own disk.
            return Err(Failure::Content(SourceMismatch::Digest {
                expected: file.sha256,
                actual: digest,
                page: false,
            }));
        }
        Ok(store.object_path(&digest))
    }

    /// Most likely cause of a mismatch and advice, as a sentence without a full stop.
    fn blame(&self, what: &SourceMismatch) -> &'static str {
        match (self, what) {
            (_, SourceMismatch::Digest { page: true, .. }) => {
                "a page for people came instead of the file: of a network that wants a login, or of a server that has moved \
                 it. See what a browser shows at that address"
            }
            (Self::Other(Alternative::Debian(_)), _) => {
                "files of Debian's archive never change under a name: the mirror is broken or was tampered with. Name \
                 another one: BASALT_DEBIAN_MIRROR=<URL>"
            }
            (Self::Other(Alternative::Pypi { .. }), _) => {
                "files of the Python package index never change under a name: the index that pip is set up with is broken \
                 or was tampered with, or the lock was written for another file"
            }
            (Self::Upstream(_), _) => {
                "upstream has replaced the release, or something on the way put in another file. Look at what changed and \
                 why; if upstream says so, lock it anew"
            }
        }
    }
}

/// A file of Debian's archive, which apt's own downloader puts into the store.
fn debian(place: &DebianFile, file: &LockedFile, store: &Store) -> Result<Utf8PathBuf, Failure> {
    let wanted = ArchiveFile {
        path: place.pool_path(),
        sha256: file.sha256,
        size: file.size,
    };
    match archive::fetch(&[wanted], "sources.toml", store, &basalt_progress::Silent) {
        Ok(()) => Ok(store.object_path(&file.sha256)),
        Err(basalt_sdk::SdkError::Digest { actual, .. }) => Err(Failure::Content(SourceMismatch::Digest {
            expected: file.sha256,
            actual: actual.parse().unwrap_or(file.sha256),
            page: false,
        })),
        Err(basalt_sdk::SdkError::Io(error)) => Err(Failure::Fatal(Box::new(error.into()))),
        Err(basalt_sdk::SdkError::Store(error)) => Err(Failure::Fatal(Box::new(error.into()))),
        Err(basalt_sdk::SdkError::Process(error)) if error.is_interrupt() => {
            Err(Failure::Fatal(Box::new(error.into())))
        }
        Err(error) => Err(Failure::Place(basalt_process::chain(&error))),
    }
}

/// Transfers a file, and compares it with the lock. One that was put together from pieces gets a second chance: the server
/// may have changed it between two of them without a word.
fn transfer(
    file: &LockedFile,
    url: &str,
    downloader: &Downloader,
    path: &Utf8Path,
    task: &dyn Task,
) -> Result<(), Failure> {
    let request = Request {
        url: url.to_owned(),
        accept: None,
        size: ExpectedSize::Locked(file.size),
    };
    let fetch = |task: &dyn Task| match downloader.download(&request, path, task) {
        Err(error) if error.is_other_content() => Err(Failure::Content(SourceMismatch::Size {
            expected: file.size,
            message: error.to_string(),
        })),
        result => Ok(result?),
    };
    let mut received = fetch(task)?;
    if received.sha256 != file.sha256 && received.resumed {
        received = fetch(&basalt_progress::Silent)?;
    }
    compare(file, &received)
}

fn compare(file: &LockedFile, received: &Downloaded) -> Result<(), Failure> {
    if received.sha256 == file.sha256 {
        return Ok(());
    }
    Err(Failure::Content(SourceMismatch::Digest {
        expected: file.sha256,
        actual: received.sha256,
        page: received.content_type.starts_with("text/html"),
    }))
}

#[cfg(test)]
mod tests {
    use crate::source_lock::SourceLock;
    use basalt_digest::Digest;

    use super::*;
    use crate::download::server::{Server, answer};
    use crate::download::testing;

    /// Fetches the file that a lock names into a store.
    fn fetch_into(store: &Store, url: &str, content: &str) -> Result<Utf8PathBuf, SourcesError> {
        let text = format!(
            "[[file]]\nfile = \"x.tar\"\nsha256 = \"{}\"\nsize = {}\nurl = \"{url}\"\n",
            Digest::of(content),
            content.len(),
        );
        let lock = SourceLock::parse(&text, "sources.toml".into()).expect("valid");
        let set = SourceSet::of_lock("x", "distro/packages/x".into(), lock);
        fetch(
            &set,
            &set.lock().files[0],
            store,
            &testing::downloader(testing::limits()),
            &basalt_progress::Silent,
        )
    }

    fn fetch_from(url: &str, content: &str) -> (tempfile::TempDir, Result<Utf8PathBuf, SourcesError>) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("opens");
        let result = fetch_into(&store, url, content);
        let left = fs_err::read_dir(folder.path().join("tmp")).expect("tmp").count();
        assert_eq!(left, 0, "something half-written is left");
        (folder, result)
    }

    #[test]
    fn what_is_locked_is_kept() {
        let server = Server::start(vec![answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")]);
        let (_folder, result) = fetch_from(&server.url("x.tar"), "hello");
        assert_eq!(fs_err::read(result.expect("fetched")).expect("read"), b"hello");
    }

    #[test]
    fn packages_that_share_a_file_transfer_it_once() {
        let server = Server::start(vec![Box::new(|client| {
            client.pause(std::time::Duration::from_millis(200));
            client.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        })]);
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("opens");
        let url = server.url("x.tar");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| fetch_into(&store, &url, "hello").expect("fetched"));
            }
        });
        assert_eq!(server.requests().len(), 1);
    }

    #[test]
    fn another_content_is_refused_and_somebody_is_blamed() {
        for (answered, words) in [
            ("Content-Length: 5\r\n\r\nhallo", "its digest is"),
            ("Content-Length: 6\r\n\r\nhello!", "larger than 5 bytes"),
            ("Content-Length: 4\r\n\r\nhell", "announces 4 bytes"),
            (
                "Content-Type: text/html\r\nContent-Length: 5\r\n\r\n<html",
                "a page for people",
            ),
        ] {
            let server = Server::start(vec![answer(format!("HTTP/1.1 200 OK\r\n{answered}"))]);
            let (folder, result) = fetch_from(&server.url("x.tar"), "hello");
            let error = result.expect_err("other bytes");
            let help = miette::Diagnostic::help(&error).expect("a help").to_string();
            let text = format!("{error} {help}");
            assert!(text.contains(words), "{text}");
            assert!(text.contains("distro/packages/x/sources.toml"), "{text}");
            assert!(text.contains("./basalt sources lock x"), "{text}");
            let objects = fs_err::read_dir(folder.path().join("objects"))
                .expect("objects")
                .count();
            assert_eq!(objects, 0);
        }
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let server = Server::start(vec![answer("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel")]);
        let (_folder, result) = fetch_from(&server.url("x.tar"), "hello");
        let error = result.expect_err("short").to_string();
        assert!(error.contains("cut short at 3 of 5 bytes"), "{error}");
    }

    #[test]
    fn every_place_that_failed_is_named() {
        let (_folder, result) = fetch_from("http://127.0.0.1:9/x.tar", "hello");
        let error = result.expect_err("nobody listens").to_string();
        assert!(error.contains("http://127.0.0.1:9/x.tar"), "{error}");
        let server = Server::start(vec![answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")]);
        let (_folder, result) = fetch_from(&server.url("x.tar"), "hello");
        assert!(result.expect_err("not found").to_string().contains("404"));
    }

    #[test]
    fn pieces_of_two_files_are_fetched_again() {
        // Without a validator, the server gives the second half of another file.
        let step = |text: &'static str| answer(text);
        let server = Server::start(vec![
            step("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"),
            step("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/5\r\nContent-Length: 3\r\n\r\nLLO"),
            step("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        ]);
        let (_folder, result) = fetch_from(&server.url("x.tar"), "hello");
        assert_eq!(fs_err::read(result.expect("fetched")).expect("read"), b"hello");
        assert_eq!(server.requests().len(), 3);
    }
}
