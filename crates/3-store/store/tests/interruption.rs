//! Reading and writing large files after Ctrl-C. A program of its own, since an interruption is one of the whole process.

#![cfg(test)]

use basalt_process::interrupt;
use basalt_progress::Silent;
use basalt_store::{Store, StoreError, digest_of};
use camino::Utf8Path;

/// Reader without an end, which asks to stop after a while.
struct Endless(u32);

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0 += 1;
        if self.0 == 10 {
            interrupt::request();
        }
        assert!(self.0 < 1000, "nobody asks whether to stop");
        Ok(buffer.len())
    }
}

#[test]
fn an_interruption_ends_in_the_middle_of_a_file() {
    let guard = tempfile::tempdir().expect("a folder");
    let root = Utf8Path::from_path(guard.path()).expect("UTF-8").join("store");
    let store = Store::open(&root).expect("opens");
    let (digest, _) = store.insert(&b"hello"[..]).expect("stored");
    let objects = || root.join("objects").read_dir_utf8().expect("listed").count();
    let tmp = || root.join("tmp").read_dir_utf8().expect("listed").count();
    let before = (objects(), tmp());
    let error = store.insert(Endless(0)).expect_err("interrupted");
    assert!(error.is_interrupt(), "{error:?}");
    assert_eq!((objects(), tmp()), before);
    let error = digest_of(&store.object_path(&digest)).expect_err("interrupted");
    assert!(error.is_interrupt(), "{error:?}");
    assert!(matches!(store.verify(&Silent), Err(StoreError::Interrupted(_))));
}
