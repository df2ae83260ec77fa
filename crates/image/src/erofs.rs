//! The root file system: erofs, compressed, made by the SDK's mkfs.erofs from an archive.

use basalt_sdk::SdkTree;
use camino::Utf8Path;

use crate::{BUILD_TIME, ImageError};

/// The compression, as mkfs.erofs takes it.
const COMPRESSION: &str = "lz4hc,level=12";
/// The largest unit of compression in bytes: larger ones compress better, and cost more to read a page of.
const CLUSTER: &str = "65536";

/// Makes a file system of an archive. `uuid` is its identity, in text.
pub(crate) fn make(sdk: &SdkTree, archive: &Utf8Path, image: &Utf8Path, uuid: &str) -> Result<(), ImageError> {
    let folder = image.parent().unwrap_or(Utf8Path::new("/"));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    // Every file has the same time, so that inodes need not store it.
    let arguments = [
        "--quiet".to_owned(),
        "--tar=f".to_owned(),
        format!("-z{COMPRESSION}"),
        format!("-C{CLUSTER}"),
        format!("--workers={workers}"),
        format!("-T{BUILD_TIME}"),
        "--all-time".to_owned(),
        format!("-U{uuid}"),
        image.to_string(),
        archive.to_string(),
    ];
    let mut sandbox = sdk.sandbox().show_writable(folder);
    if !archive.starts_with(folder) {
        sandbox = sandbox.show(archive);
    }
    // mkfs.erofs keeps what it read in a temporary file.
    sandbox
        .env("TMPDIR", folder.as_str())
        .command("mkfs.erofs", arguments)
        .output()?;
    Ok(())
}
