//! Writing digests and sizes into a lock.

use basalt_model::digest::Digest;
use basalt_model::source_lock::Alternative;
use basalt_progress::{Reporter, Silent, Unit};
use basalt_store::{Store, StoreError, write};
use camino::Utf8Path;
use toml_edit::{DocumentMut, value};

use crate::{SourcesError, download};

/// A file whose lock was written anew.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Relocked {
    /// The file.
    pub file: String,
    /// What the lock said before, if it did.
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
    let text = fs_err::read_to_string(&path).map_err(StoreError::io("cannot read", &path))?;
    let mut document: DocumentMut = text
        .parse()
        .map_err(|error| SourcesError::Place(format!("{path} cannot be read: {error}")))?;
    let mut changed = Vec::new();
    let files = document.get_mut("file").and_then(|item| item.as_array_of_tables_mut());
    for table in files.into_iter().flat_map(|files| files.iter_mut()) {
        let name = table
            .get("file")
            .and_then(|item| item.as_str())
            .unwrap_or_default()
            .to_owned();
        let task = reporter.task(&name, Unit::Bytes, None);
        let (sha256, size) = get(table, &name, folder, store)?;
        task.finish(basalt_progress::Outcome::Done);
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
    write::atomically(&path, document.to_string())?;
    Ok(changed)
}

fn get(table: &toml_edit::Table, name: &str, folder: &Utf8Path, store: &Store) -> Result<(Digest, u64), SourcesError> {
    let mut attempts = Vec::new();
    let text = |key: &str| table.get(key).and_then(|item| item.as_str()).map(str::to_owned);
    let alternatives = table.get("alternatives").and_then(|item| item.as_array());
    let debian = alternatives
        .into_iter()
        .flatten()
        .filter_map(|item| item.as_str()?.parse::<Alternative>().ok())
        .filter_map(|alternative| match &alternative {
            Alternative::Debian { package, file } => {
                let mirror = basalt_sdk::archive::mirror().ok()?;
                Some((
                    alternative.to_string(),
                    format!("{mirror}/{}", Alternative::pool_path(package, file)),
                ))
            }
            Alternative::Pypi { .. } => None,
        });
    let upstream = text("url").into_iter().map(|url| (url.clone(), url));
    for (place, url) in debian.chain(upstream) {
        let workspace = store.workspace()?;
        let path = workspace.path().join("download");
        let task = basalt_progress::Reporter::task(&Silent, name, Unit::Bytes, None);
        match download::download(&url, &path, task.as_ref()) {
            Ok(()) => return Ok(store.insert_file(&path)?),
            Err(SourcesError::Process(error)) if error.is_interrupt() => return Err(error.into()),
            Err(error) => attempts.push((place, error.to_string())),
        }
    }
    let package = folder.file_name().unwrap_or_default().to_owned();
    Err(SourcesError::Nowhere {
        package,
        file: name.to_owned(),
        attempts,
    })
}
