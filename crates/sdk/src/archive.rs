//! Debian's archive, by the mirror and the settings of the machine's apt.

use basalt_model::digest::Digest;
use basalt_process::{Command, ProcessError, interrupt, tool};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_store::Store;
use camino::Utf8Path;

use crate::SdkError;

/// How many files one call of the downloader is given.
const BATCH: usize = 16;

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Below the archive's root: `pool/main/...`.
    pub path: String,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The root of the archive: `$BASALT_DEBIAN_MIRROR`, or what the machine's apt uses.
///
/// # Errors
/// When there is none.
pub fn mirror() -> Result<String, SdkError> {
    if let Ok(mirror) = std::env::var("BASALT_DEBIAN_MIRROR") {
        return Ok(mirror.trim_end_matches('/').to_owned());
    }
    let targets = Command::tool(tool::APT_GET)
        .args(["indextargets", "--format", "$(SITE)"])
        .output()?;
    let found = targets
        .text()
        .lines()
        .map(|line| line.trim_end_matches('/').to_owned())
        .find(|site| is_debian(site));
    found.ok_or(SdkError::NoMirror)
}

/// Whether a site is the archive itself rather than security updates or somebody else's repository.
fn is_debian(site: &str) -> bool {
    site.rsplit('/').next() == Some("debian")
}

/// Fetches those of the files that the store has not; `lock` names what says what they must be.
///
/// # Errors
/// When one cannot be fetched, or is not what it should be. What was fetched by then is kept.
pub fn fetch(files: &[ArchiveFile], lock: &str, store: &Store, reporter: &dyn Reporter) -> Result<(), SdkError> {
    let missing: Vec<_> = files
        .iter()
        .filter(|file| store.object(&file.sha256).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mirror = mirror()?;
    let total = missing.iter().map(|file| file.size).sum();
    let task = reporter.task("fetching from the Debian mirror", Unit::Bytes, Some(total));
    for batch in missing.chunks(BATCH) {
        interrupt::check()?;
        let workspace = store.workspace()?;
        let mut command = Command::tool(tool::APT_HELPER).arg("download-file");
        for (number, file) in batch.iter().enumerate() {
            let target = workspace.path().join(number.to_string());
            command = command
                .arg(format!("{mirror}/{}", file.path))
                .arg(target)
                .arg(format!("SHA256:{}", file.sha256));
        }
        let outcome = command.output();
        for (number, file) in batch.iter().enumerate() {
            let path = workspace.path().join(number.to_string());
            if path.is_file() {
                take(&path, file, lock, store)?;
                task.advance(file.size);
            } else {
                return Err(explain(file, &mirror, outcome.err()));
            }
        }
        outcome?;
    }
    task.finish(Outcome::Done);
    Ok(())
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

/// Blames rightly: the network, the archive that moved on, or the mirror.
fn explain(file: &ArchiveFile, mirror: &str, error: Option<ProcessError>) -> SdkError {
    let words = match &error {
        Some(ProcessError::Failed { tail, .. }) => tail.join(" "),
        Some(ProcessError::Interrupted) => return ProcessError::Interrupted.into(),
        Some(error) => error.to_string(),
        None => "the downloader left no file".to_owned(),
    };
    let (reason, remedy) = if words.contains("404") {
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
        remedy,
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
    use super::*;

    #[test]
    fn the_archive_is_told_from_its_neighbours() {
        assert!(is_debian("http://mirror.example.org/debian"));
        assert!(!is_debian("http://mirror.example.org/debian-security"));
        assert!(!is_debian("https://packages.example.org/apt"));
    }
}
