//! Writing digests and sizes into a lock.

use crate::source_lock::{Alternative, SourceLock};
use basalt_digest::Digest;
use basalt_process::interrupt;
use basalt_progress::{Outcome, Reporter, Task, Unit};
use basalt_store::{FileError, Store, write};
use camino::Utf8Path;
use toml_edit::{DocumentMut, value};

use crate::download::{Downloader, ExpectedSize, Request, UNKNOWN_SIZE_CAP};
use crate::file::{Failure, Place};
use crate::{SourcesError, pypi};

/// A file whose lock was written anew.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Relocked {
    /// The file.
    pub file: String,
    /// Digest in the lock before, as it stood there; `None` where it had none.
    pub before: Option<String>,
    /// The digest now.
    pub sha256: Digest,
    /// The size in bytes.
    pub size: u64,
}

/// Fetches every `[[file]]` that the lock of a package names, wherever it is to be had first, and writes its digest and
/// size into the lock; comments and order stay.
///
/// # Errors
/// When the lock cannot be read or a file cannot be had.
pub fn relock(folder: &Utf8Path, store: &Store, reporter: &dyn Reporter) -> Result<Vec<Relocked>, SourcesError> {
    let path = folder.join("sources.toml");
    let text = fs_err::read_to_string(&path).map_err(FileError::new("cannot read", &path))?;
    let mut document = text
        .parse::<DocumentMut>()
        .map_err(|error: toml_edit::TomlError| SourcesError::Unreadable {
            path: path.clone(),
            message: error.to_string(),
        })?;
    let mut changed = Vec::new();
    let files = document.get_mut("file").and_then(|item| item.as_array_of_tables_mut());
    for table in files.into_iter().flat_map(|files| files.iter_mut()) {
        let name = table
            .get("file")
            .and_then(|item| item.as_str())
            .unwrap_or_default()
            .to_owned();
        let task = reporter.task(&name, Unit::Bytes, None);
        let (sha256, size) = get(table, &name, folder, store, task.as_ref())?;
        task.finish(Outcome::Done);
        let before = table.get("sha256").and_then(|item| item.as_str()).map(str::to_owned);
        if before.as_deref() != Some(&sha256.to_hex()) {
            changed.push(Relocked {
                file: name,
                before,
                sha256,
                size,
            });
        }
        table["sha256"] = value(sha256.to_hex());
        table["size"] = value(i64::try_from(size).unwrap_or(i64::MAX));
    }
    let written = document.to_string();
    // What would not be read again is not written: a name that no file may have, for one.
    SourceLock::parse(&written, &path).map_err(Box::new)?;
    if fs_err::read_to_string(&path).map_err(FileError::new("cannot read", &path))? != text {
        return Err(SourcesError::Changed { path });
    }
    write::atomically(&path, written)?;
    Ok(changed)
}

/// The digest and size of a file, from the first of its places that has it. At most 4 GiB are taken.
fn get(
    table: &toml_edit::Table,
    name: &str,
    folder: &Utf8Path,
    store: &Store,
    task: &dyn Task,
) -> Result<(Digest, u64), SourcesError> {
    let downloader = Downloader::default();
    let mut attempts = Vec::new();
    for place in places(table) {
        interrupt::check()?;
        match from_place(&place, &downloader, store, task) {
            Ok(found) => return Ok(found),
            Err(Failure::Fatal(error)) => return Err(*error),
            Err(Failure::Place(reason)) => attempts.push((place.to_string(), reason)),
            Err(Failure::Content(what)) => attempts.push((place.to_string(), what.to_string())),
        }
    }
    Err(SourcesError::Nowhere {
        package: folder.file_name().unwrap_or_default().to_owned(),
        file: name.to_owned(),
        lock: folder.join("sources.toml"),
        attempts,
    })
}

/// Alternatives first, as when it is fetched.
fn places(table: &toml_edit::Table) -> Vec<Place> {
    let alternatives = table.get("alternatives").and_then(|item| item.as_array());
    let others = (alternatives.into_iter().flatten())
        .filter_map(|item| item.as_str()?.parse().ok())
        .map(Place::Other);
    let url = table.get("url").and_then(|item| item.as_str());
    others.chain(url.map(|url| Place::Upstream(url.to_owned()))).collect()
}

fn from_place(
    place: &Place,
    downloader: &Downloader,
    store: &Store,
    task: &dyn Task,
) -> Result<(Digest, u64), Failure> {
    let urls = match place {
        Place::Other(Alternative::Debian(file)) => {
            let path = file.pool_path();
            let mirrors = basalt_sdk::archive::mirrors().map_err(|error| Failure::from(SourcesError::from(error)))?;
            mirrors.iter().map(|mirror| format!("{mirror}/{path}")).collect()
        }
        Place::Other(Alternative::Pypi { project, version }) => vec![pypi::find(project, version, downloader)?.url],
        Place::Upstream(url) => vec![url.clone()],
    };
    let workspace = store.workspace().map_err(SourcesError::from)?;
    let path = workspace.path().join("download");
    let mut last = Failure::Place("no mirror is known".to_owned());
    for url in urls {
        let request = Request {
            url,
            accept: None,
            size: ExpectedSize::AtMost(UNKNOWN_SIZE_CAP),
        };
        match downloader.download(&request, &path, task) {
            Ok(_) => return Ok(store.insert_file(&path).map_err(SourcesError::from)?),
            Err(error) => last = error.into(),
        }
        if matches!(last, Failure::Fatal(_)) {
            break;
        }
    }
    Err(last)
}
