//! Single files: from Debian's archive, from upstream, from the Python package index.

use std::io::Read;
use std::time::Duration;

use basalt_model::digest::Digest;
use basalt_model::source_lock::{Alternative, LockedFile};
use basalt_process::{Command, interrupt, tool};
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_sdk::archive::{self, ArchiveFile};
use basalt_store::{Store, StoreError};
use camino::{Utf8Path, Utf8PathBuf};

use crate::error::Mismatch;
use crate::{SourceSet, SourcesError};

/// How long a server may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// The object of a locked file, fetched if need be: from its alternatives in their order, then from upstream.
pub(crate) fn fetch(
    set: &SourceSet,
    file: &LockedFile,
    store: &Store,
    reporter: &dyn Reporter,
) -> Result<Utf8PathBuf, SourcesError> {
    if let Some(path) = store.object(&file.sha256) {
        return Ok(path);
    }
    let task = reporter.task(&file.file, Unit::Bytes, Some(file.size));
    let mut attempts = Vec::new();
    for place in places(file) {
        interrupt::check()?;
        let workspace = store.workspace()?;
        let path = workspace.path().join("download");
        let outcome = match &place {
            Place::Other(Alternative::Debian { package, file: name }) => debian(package, name, file, store, &path),
            Place::Other(Alternative::Pypi { requirement }) => pypi(requirement, &path),
            Place::Upstream(url) => download(url, &path, task.as_ref()),
        };
        match outcome.and_then(|()| verify(set, file, &place, &path)) {
            Ok(()) => {
                let (digest, _) = store.insert_file(&path)?;
                task.finish(Outcome::Done);
                return Ok(store.object_path(&digest));
            }
            Err(error @ SourcesError::Digest { .. }) => return Err(error),
            Err(SourcesError::Process(error)) if error.is_interrupt() => return Err(error.into()),
            Err(error) => attempts.push((place.to_string(), reason(&error))),
        }
    }
    task.finish(Outcome::Failed);
    Err(SourcesError::Nowhere {
        package: set.package.clone(),
        file: file.file.clone(),
        attempts,
    })
}

/// Somewhere that a file may be had.
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

/// Where to look, in order. Upstream's own bytes are of no use when a repack is locked.
fn places(file: &LockedFile) -> Vec<Place> {
    let others = file.alternatives.iter().cloned().map(Place::Other);
    let upstream = (!file.repack).then(|| Place::Upstream(file.url.clone()));
    others.chain(upstream).collect()
}

fn debian(package: &str, name: &str, file: &LockedFile, store: &Store, path: &Utf8Path) -> Result<(), SourcesError> {
    let wanted = ArchiveFile {
        path: Alternative::pool_path(package, name),
        sha256: file.sha256,
        size: file.size,
    };
    archive::fetch(&[wanted], "sources.toml", store, &basalt_progress::Silent)?;
    // It is in the store by now; a link keeps what follows the same for all places.
    Ok(std::os::unix::fs::symlink(store.object_path(&file.sha256), path)
        .map_err(StoreError::io("cannot link", path))?)
}

fn pypi(requirement: &str, path: &Utf8Path) -> Result<(), SourcesError> {
    let folder = path.with_extension("pip");
    Command::tool(tool::PIP)
        .args([
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--no-build-isolation",
            "--dest",
        ])
        .arg(&folder)
        .arg(requirement)
        .output()?;
    let mut entries = folder
        .read_dir_utf8()
        .map_err(StoreError::io("cannot list", &folder))?
        .flatten();
    let found = entries
        .next()
        .ok_or_else(|| SourcesError::Place("pip brought nothing".to_owned()))?;
    Ok(fs_err::rename(found.path(), path).map_err(StoreError::io("cannot move", path))?)
}

pub(crate) fn download(url: &str, path: &Utf8Path, task: &dyn Task) -> Result<(), SourcesError> {
    let agent = ureq::Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .build()
        .new_agent();
    let place = |error: ureq::Error| SourcesError::Place(error.to_string());
    let mut response = agent.get(url).call().map_err(place)?;
    let mut body = response.body_mut().as_reader();
    let mut file = fs_err::File::create(path).map_err(StoreError::io("cannot write", path))?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        interrupt::check()?;
        let length = body
            .read(&mut buffer)
            .map_err(|error| SourcesError::Place(error.to_string()))?;
        if length == 0 {
            return Ok(());
        }
        std::io::Write::write_all(&mut file, &buffer[..length]).map_err(StoreError::io("cannot write", path))?;
        task.advance(length as u64);
    }
}

fn verify(set: &SourceSet, file: &LockedFile, place: &Place, path: &Utf8Path) -> Result<(), SourcesError> {
    let read = || Digest::of_reader(std::fs::File::open(path)?);
    let (digest, size) = read().map_err(StoreError::io("cannot read", path))?;
    let what = if size != file.size {
        Mismatch::Size {
            expected: file.size,
            actual: size,
        }
    } else if digest != file.sha256 {
        Mismatch::Digest {
            expected: file.sha256,
            actual: digest,
        }
    } else {
        return Ok(());
    };
    Err(SourcesError::Digest {
        package: set.package.clone(),
        file: file.file.clone(),
        place: place.to_string(),
        lock: set.lock_path(),
        what,
    })
}

fn reason(error: &SourcesError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !text.contains(&cause.to_string()) {
            text += &format!(": {cause}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use basalt_model::source_lock::SourceLock;

    use super::*;

    /// A server on loopback that answers one request with the given bytes, and closes.
    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).expect("a request");
            stream.write_all(answer.as_bytes()).expect("answered");
        });
        format!("http://{address}/x.tar")
    }

    fn fetch_from(url: &str, content: &str) -> (tempfile::TempDir, Result<Utf8PathBuf, SourcesError>) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("opens");
        let text = format!(
            "[[file]]\nfile = \"x.tar\"\nsha256 = \"{}\"\nsize = {}\nurl = \"{url}\"\n",
            Digest::of(content),
            content.len()
        );
        let lock = SourceLock::parse(&text, "sources.toml".into()).expect("valid");
        let set = SourceSet {
            package: "x".to_owned(),
            folder: "distro/packages/x".into(),
            lock,
            files: basalt_store::Snapshot::default(),
        };
        let result = fetch(&set, &set.lock.files[0], &store, &basalt_progress::Silent);
        let left = std::fs::read_dir(folder.path().join("tmp")).expect("tmp").count();
        assert_eq!(left, 0, "something half-written is left");
        (folder, result)
    }

    #[test]
    fn what_is_locked_is_kept() {
        let url = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        let (_folder, result) = fetch_from(&url, "hello");
        assert_eq!(std::fs::read(result.expect("fetched")).expect("read"), b"hello");
    }

    #[test]
    fn another_content_is_refused() {
        let url = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhallo");
        let (folder, result) = fetch_from(&url, "hello");
        let error = result.expect_err("another digest").to_string();
        assert!(
            error.contains("its digest is") && error.contains("distro/packages/x/sources.toml"),
            "{error}"
        );
        assert_eq!(
            std::fs::read_dir(folder.path().join("objects"))
                .expect("objects")
                .count(),
            0
        );
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let url = server("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhel");
        let (_folder, result) = fetch_from(&url, "hello");
        assert!(
            result
                .expect_err("short")
                .to_string()
                .contains("cut short at 3 of 5 bytes")
        );
    }

    #[test]
    fn every_place_that_failed_is_named() {
        let (_folder, result) = fetch_from("http://127.0.0.1:9/x.tar", "hello");
        let error = result.expect_err("nobody listens").to_string();
        assert!(error.contains("http://127.0.0.1:9/x.tar"), "{error}");
        let url = server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        let (_folder, result) = fetch_from(&url, "hello");
        assert!(result.expect_err("not found").to_string().contains("404"));
    }
}
