//! Root file systems: erofs, compressed, made by the SDK's mkfs.erofs from a tar archive.
//!
//! The compression was chosen by measurement: mkfs.erofs 1.8.6 with two workers, on 244 MiB of typical files of a node
//! (programs written in Go, C libraries). Processor time is given, since it is reproducible on a busy machine:
//!
//! | compression | cluster | processor time | size   |
//! |-------------|---------|----------------|--------|
//! | lz4         | 64 KiB  | 0.3 s          | 114 MiB |
//! | lz4hc 9     | 64 KiB  | 4.9 s          | 93 MiB |
//! | lz4hc 12    | 64 KiB  | 16.5 s         | 93 MiB |
//! | lz4hc 12    | 16 KiB  | 11.6 s         | 101 MiB |
//! | zstd 3      | 64 KiB  | 8.5 s          | 78 MiB |
//! | zstd 6      | 32 KiB  | 28.0 s         | 76 MiB |
//! | zstd 6      | 64 KiB  | 27.8 s         | 75 MiB |
//! | zstd 6      | 128 KiB | 32.9 s         | 73 MiB |
//! | zstd 9      | 64 KiB  | 43.9 s         | 73 MiB |
//! | zstd 12     | 64 KiB  | 143.7 s        | 73 MiB |
//!
//! lz4 is decompressed several times as fast as zstd, which matters at every boot and most of all under an emulator;
//! zstd would save a sixth of a download that is small already. From level 9 on, lz4hc takes longer without saving
//! more.

use basalt_sdk::SdkTree;
use camino::Utf8Path;

use crate::{BUILD_TIME, ImageError};

/// Compression algorithm and level, in the syntax of mkfs.erofs.
const COMPRESSION: &str = "lz4hc,level=9";
/// Maximum size of a compressed cluster in bytes: larger ones compress better, but reading one page costs more.
const CLUSTER: &str = "65536";

/// Makes a file system of a tar archive. `uuid` is the UUID of the file system as text.
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
    // mkfs.erofs keeps the content of the archive in a temporary file.
    sandbox
        .env("TMPDIR", folder.as_str())
        .command("mkfs.erofs", arguments)
        .output()?;
    Ok(())
}
