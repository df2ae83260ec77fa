//! What is in a folder.

use camino::{Utf8Path, Utf8PathBuf};

use crate::StoreError;

/// All that is below a folder and no folder itself, sorted. Links are listed, and not followed.
///
/// # Errors
/// When a folder cannot be listed.
pub fn files_below(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let mut found = Vec::new();
    let mut rest = vec![folder.to_owned()];
    while let Some(folder) = rest.pop() {
        let failed = || StoreError::io("cannot list", &folder);
        for entry in folder.read_dir_utf8().map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if entry.file_type().map_err(failed())?.is_dir() {
                rest.push(entry.into_path());
            } else {
                found.push(entry.into_path());
            }
        }
    }
    found.sort();
    Ok(found)
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
