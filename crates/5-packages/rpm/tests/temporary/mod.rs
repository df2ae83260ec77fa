//! Temporary folders of tests.

use camino::Utf8PathBuf;

/// A folder, which goes away with its guard.
pub fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::try_from(folder.path().to_owned()).expect("UTF-8");
    (folder, path)
}
