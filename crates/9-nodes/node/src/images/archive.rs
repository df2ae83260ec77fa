//! OCI archives: a tar file with an image layout in it.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use fs_err::File;

/// The largest file that is taken into memory: indexes and manifests.
const LARGEST: u64 = 4 << 20;

/// Offset of the byte for the type of an entry; an ordinary file's is `0` or, in old archives, NUL.
const TYPE: usize = 156;

/// A tar file and where each of its files is.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    entries: BTreeMap<String, (u64, u64)>,
}

impl Archive {
    /// Reads the headers of a tar file. Names fit into a header here: a layout's longest is 76 characters.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut entries = BTreeMap::new();
        let mut at = 0;
        let mut header = [0; 512];
        while at + 512 <= length {
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut header)?;
            let Some((name, size)) = entry(&header) else { break };
            at += 512;
            if matches!(header.get(TYPE), Some(b'0' | 0)) {
                entries.insert(name, (at, size));
            }
            at = at.saturating_add(size.div_ceil(512) * 512);
        }
        Ok(Self { file, entries })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Offset of a file in the archive, and its size, in bytes.
    pub(super) fn find(&self, name: &str) -> Option<(u64, u64)> {
        self.entries.get(name).copied()
    }

    /// A small file's content.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let (offset, size) = self.find(name).filter(|(_, size)| *size <= LARGEST)?;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset)).ok()?;
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

/// Name and size of a file from its header; nothing at the end of the archive.
fn entry(header: &[u8; 512]) -> Option<(String, u64)> {
    let text = |range: std::ops::Range<usize>| {
        let field = header.get(range)?;
        std::str::from_utf8(field.split(|byte| *byte == 0).next()?).ok()
    };
    let name = text(0..100).filter(|name| !name.is_empty())?;
    let size = u64::from_str_radix(text(124..136)?.trim(), 8).ok()?;
    Some((name.trim_start_matches("./").to_owned(), size))
}
