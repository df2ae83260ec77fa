//! Unpacking after Ctrl-C. A program of its own, since an interruption is one of the whole process.

#![cfg(test)]

use std::io::Read as _;

use basalt_process::interrupt;
use basalt_rpm::{Payload, RpmError, unpack, verify};
use camino::Utf8Path;
use rpm::{FileOptions, PackageBuilder};

#[test]
fn an_interruption_ends_unpacking() {
    let guard = tempfile::tempdir().expect("a folder");
    let folder = Utf8Path::from_path(guard.path()).expect("UTF-8");
    let rpm = folder.join("demo.rpm");
    let package = PackageBuilder::new("demo", "1", "MIT", "x86_64", "A demonstration")
        .with_file_contents("hello\n", FileOptions::new("/usr/bin/demo").permissions(0o755))
        .and_then(PackageBuilder::build)
        .expect("an RPM");
    package.write_file(&rpm).expect("written");
    let before = folder.join("before");
    unpack(&rpm, &before).expect("unpacks");
    assert!(before.join("usr/bin/demo").exists());
    // In the middle of a file, too.
    let mut payload = Payload::open(&rpm).expect("opens");
    payload.next().expect("reads").expect("a file");
    payload.read_exact(&mut [0; 2]).expect("reads");
    interrupt::request();
    payload.read_exact(&mut [0; 2]).expect_err("interrupted");
    assert!(matches!(payload.next(), Err(RpmError::Interrupted(_))));
    assert!(matches!(verify(&rpm, None), Err(RpmError::Interrupted(_))));
    let after = folder.join("after");
    let error = unpack(&rpm, &after).expect_err("interrupted");
    assert!(matches!(error, RpmError::Interrupted(_)), "{error:?}");
    assert!(!after.join("usr/bin/demo").exists());
}
