//! Payload of an RPM as a stream of files.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use rpm::PackageMetadata;

use crate::cpio::{Archive, Head};
use crate::files::is_plain;
use crate::{RpmError, header};

/// Mask of the file type in a mode (`S_IFMT`).
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// File in a payload, under all its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFile {
    /// Absolute paths; several for a file with hard links.
    pub paths: Vec<String>,
    /// Permissions, with the set-user-ID, set-group-ID and sticky bits, without the file type.
    pub mode: u32,
    /// Modification time, in seconds since 1970.
    pub modified: u32,
    /// Size of the data in bytes.
    pub size: u64,
    kind: u32,
}

impl PayloadFile {
    /// Returns `true` for a directory.
    pub fn is_directory(&self) -> bool {
        self.kind == DIRECTORY
    }

    /// Returns `true` for a regular file.
    pub fn is_regular(&self) -> bool {
        self.kind == REGULAR
    }

    /// Returns `true` for a symbolic link; the data is its target.
    pub fn is_symlink(&self) -> bool {
        self.kind == SYMLINK
    }
}

/// Reader of an RPM's files, one after the other; as a [`Read`], it returns the data of the current file.
pub struct Payload {
    path: Utf8PathBuf,
    archive: Archive<Box<dyn Read + Send>>,
    /// Names of hard links whose data follows with the last of them, by inode number.
    waiting: BTreeMap<u32, Vec<String>>,
}

impl Payload {
    /// Opens the payload of an RPM.
    ///
    /// # Errors
    /// When the file cannot be read or is not an RPM, or its payload has a compression that Basalt does not use.
    pub fn open(path: &Utf8Path) -> Result<Self, RpmError> {
        let header = header::read_header(path)?;
        let mut file = File::open(path).map_err(RpmError::io("cannot open", path))?;
        file.seek(SeekFrom::Start(header.get_package_segment_offsets().payload))
            .map_err(RpmError::io("cannot read", path))?;
        Self::after(&header, path, BufReader::with_capacity(256 * 1024, file))
    }

    /// Opens the payload of an RPM in memory; `name` is its name in errors.
    ///
    /// # Errors
    /// When the bytes are not those of an RPM, or its payload has a compression that Basalt does not use.
    pub fn of_bytes(name: &Utf8Path, bytes: &[u8]) -> Result<Self, RpmError> {
        let header = header::parse_header(name, &mut &bytes[..])?;
        let start = usize::try_from(header.get_package_segment_offsets().payload).ok();
        let payload = start.and_then(|start| bytes.get(start..));
        let payload = payload.ok_or_else(|| RpmError::payload(name, "it has none"))?;
        Self::after(&header, name, std::io::Cursor::new(payload.to_vec()))
    }

    /// Opens the payload that follows a header, with the compression that the header names.
    fn after(
        header: &PackageMetadata,
        path: &Utf8Path,
        mut packed: impl BufRead + Send + 'static,
    ) -> Result<Self, RpmError> {
        let compressor = header
            .header
            .get_entry_data_as_string(rpm::IndexTag::RPMTAG_PAYLOADCOMPRESSOR);
        // Without the tag, the compression is gzip, if there is any.
        let plain = packed.fill_buf().is_ok_and(|bytes| bytes.starts_with(b"0707"));
        let compressor = compressor.unwrap_or(if plain { "none" } else { "gzip" });
        let plain: Box<dyn Read + Send> = match compressor {
            "zstd" => Box::new(zstd::Decoder::with_buffer(packed).map_err(RpmError::io("cannot decompress", path))?),
            "gzip" => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
            "none" | "" => Box::new(packed),
            other => {
                return Err(RpmError::payload(
                    path,
                    format!("it is compressed with `{other}`; zstd, gzip or none are expected (`%_binary_payload`)"),
                ));
            }
        };
        Ok(Self {
            path: path.to_owned(),
            archive: Archive::new(plain),
            waiting: BTreeMap::new(),
        })
    }

    /// Returns the next file; `None` at the end.
    ///
    /// # Errors
    /// When the payload is damaged, or a path in it leads out of the package's tree.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not lend the data of the current file"
    )]
    pub fn next(&mut self) -> Result<Option<PayloadFile>, RpmError> {
        loop {
            let head = self
                .archive
                .next()
                .map_err(|source| RpmError::payload(&self.path, source.to_string()))?;
            let Some(head) = head else { return self.at_end() };
            let name = self.plain_name(&head)?;
            let hard_link = head.mode & KIND == REGULAR && head.links > 1;
            let mut paths = vec![name];
            if hard_link {
                let names = self.waiting.entry(head.inode).or_default();
                names.append(&mut paths);
                // Only the last of several names has the data.
                if head.size == 0 && (names.len() as u64) < u64::from(head.links) {
                    continue;
                }
                paths = self.waiting.remove(&head.inode).unwrap_or_default();
            }
            return Ok(Some(PayloadFile {
                paths,
                mode: head.mode & 0o7777,
                modified: head.modified,
                size: head.size,
                kind: head.mode & KIND,
            }));
        }
    }

    fn at_end(&self) -> Result<Option<PayloadFile>, RpmError> {
        match self.waiting.values().flatten().next() {
            None => Ok(None),
            Some(name) => Err(RpmError::payload(
                &self.path,
                format!("the content of the hard link `{name}` is missing"),
            )),
        }
    }

    fn plain_name(&self, head: &Head) -> Result<String, RpmError> {
        let name = head.name.strip_prefix('.').unwrap_or(&head.name);
        let path = match name {
            "" => "/".to_owned(),
            name if name.starts_with('/') => name.to_owned(),
            name => format!("/{name}"),
        };
        if is_plain(&path) {
            return Ok(path);
        }
        Err(RpmError::payload(
            &self.path,
            format!("`{}` leads out of the package's tree", head.name),
        ))
    }
}

impl Read for Payload {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.archive.read(buffer)
    }
}

/// Reads the main header of an RPM as the rpm database stores it: without the first eight bytes (magic number, version,
/// reserved).
///
/// # Errors
/// When the file cannot be read or is not an RPM.
pub fn read_header_blob(path: &Utf8Path) -> Result<Vec<u8>, RpmError> {
    /// Size of the magic number, the version and four reserved bytes.
    const MAGIC: u64 = 8;
    let header = header::read_header(path)?;
    let offsets = header.get_package_segment_offsets();
    let start = offsets.header + MAGIC;
    let length = offsets
        .payload
        .checked_sub(start)
        .and_then(|length| usize::try_from(length).ok())
        .ok_or_else(|| RpmError::payload(path, "its segments are out of order"))?;
    let mut file = File::open(path).map_err(RpmError::io("cannot open", path))?;
    let mut blob = vec![0; length];
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.read_exact(&mut blob))
        .map_err(RpmError::io("cannot read", path))?;
    Ok(blob)
}
