use std::io::Cursor;

use super::*;

struct Fixture {
    // Removes the folder when it is dropped.
    _temporary: tempfile::TempDir,
    path: Utf8PathBuf,
    folder: Folder,
}

fn fixture() -> Fixture {
    let temporary = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(temporary.path().join("cache")).expect("UTF-8");
    let folder = Folder::open(&path, Mode::Both).expect("opens");
    Fixture {
        _temporary: temporary,
        path,
        folder,
    }
}

fn write(folder: &Folder, content: &[u8]) -> Blob {
    let blob = Blob::of(content);
    folder.write(&blob, &mut Cursor::new(content)).expect("writes");
    blob
}

fn read(folder: &Folder, blob: &Blob) -> Result<Vec<u8>, CacheError> {
    crate::backend::read_bytes(folder, blob)
}
