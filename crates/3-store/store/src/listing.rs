//! Listing of the files below a folder.

use camino::{Utf8Path, Utf8PathBuf};

use crate::StoreError;

/// Lists all entries below a folder that are not folders themselves, sorted. Links are listed, and not followed.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files_below(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry.map_err(|error| failed(folder, error))?;
        if !entry.file_type().is_dir() {
            let path = Utf8PathBuf::try_from(entry.into_path());
            found.push(path.map_err(|error| StoreError::io("cannot list", folder)(error.into_io_error()))?);
        }
    }
    found.sort();
    Ok(found)
}

fn failed(folder: &Utf8Path, error: walkdir::Error) -> StoreError {
    let path = error.path().and_then(Utf8Path::from_path).unwrap_or(folder).to_owned();
    StoreError::io("cannot list", &path)(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_looked_into_and_links_are_not_followed() {
        let guard = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(guard.path()).expect("UTF-8");
        std::fs::create_dir_all(root.join("b/c")).expect("made");
        std::fs::write(root.join("b/c/d"), "").expect("written");
        std::os::unix::fs::symlink("b", root.join("a")).expect("linked");
        let found = files_below(root).expect("listed");
        assert_eq!(found, [root.join("a"), root.join("b/c/d")]);
    }
}
