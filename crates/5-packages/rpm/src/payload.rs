//! Payload of an RPM as a stream of files.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use basalt_process::interrupt;
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;
use rpm::PackageMetadata;

use crate::cpio::{Archive, Head};
use crate::declared::{DeclaredFiles, ExpectedContent};
use crate::files::{files_of, is_plain};
use crate::{FileKind, RpmError, header};

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
///
/// Every file is compared with the header: its name, type and size before it is returned, the digest of its data with the
/// last byte that is read of it. Data that is passed over is not hashed.
pub struct Payload {
    path: Utf8PathBuf,
    archive: Archive<Interruptible<Box<dyn Read + Send>>>,
    /// Files of the header that have not come yet.
    declared: DeclaredFiles,
    /// Names of hard links whose data follows with the last of them, by inode number, and their common declaration. No
    /// more than the header has.
    waiting: BTreeMap<u32, (Vec<String>, FileKind)>,
    /// Rest of the current file.
    content: Option<ExpectedContent>,
    /// `true` once data could not be read.
    failed: bool,
}

/// Reader that fails once we were asked to stop: a small payload may have gigabytes of data.
struct Interruptible<R>(R);

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        self.0.read(buffer)
    }
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
        let declared = DeclaredFiles::new(files_of(path, header)?);
        Ok(Self {
            path: path.to_owned(),
            archive: Archive::new(Interruptible(plain)),
            declared: declared.map_err(|what| RpmError::payload(path, what))?,
            waiting: BTreeMap::new(),
            content: None,
            failed: false,
        })
    }

    /// Returns the next file; `None` at the end.
    ///
    /// # Errors
    /// When the payload is damaged or differs from the header, or a path in it leads out of the package's tree; and when
    /// interrupted.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not lend the data of the current file"
    )]
    pub fn next(&mut self) -> Result<Option<PayloadFile>, RpmError> {
        loop {
            self.content = None;
            let head = self.archive.next().map_err(|error| self.read_error(&error))?;
            let Some(head) = head else { return self.at_end() };
            let name = self.plain_name(&head)?;
            let declared = self.declared.take(&name).map_err(|what| self.unusable(what))?;
            let kind = head.mode & KIND;
            if !is_kind(kind, &declared) {
                return Err(self.unusable(format!("`{name}` is something else than its header says")));
            }
            let mut paths = vec![name];
            if kind == REGULAR && head.links > 1 {
                let (names, common) = self
                    .waiting
                    .entry(head.inode)
                    .or_insert_with(|| (Vec::new(), declared.clone()));
                names.append(&mut paths);
                if *common != declared {
                    let names = names.join("`, `");
                    let what = format!("`{names}` are one file, and have different contents according to its header");
                    return Err(self.unusable(what));
                }
                // Only the last of several names has the data.
                if head.size == 0 && (names.len() as u64) < u64::from(head.links) {
                    continue;
                }
                let complete = self.waiting.remove(&head.inode);
                paths = complete.map(|(names, _)| names).unwrap_or_default();
            }
            let first = paths.first().map(String::as_str).unwrap_or_default();
            let content = ExpectedContent::new(first, &declared, head.size);
            self.content = content.map_err(|what| self.unusable(what))?;
            return Ok(Some(PayloadFile {
                paths,
                mode: head.mode & 0o7777,
                modified: head.modified,
                size: head.size,
                kind,
            }));
        }
    }

    fn at_end(&self) -> Result<Option<PayloadFile>, RpmError> {
        if let Some(name) = self.waiting.values().flat_map(|(names, _)| names).next() {
            return Err(self.unusable(format!("the content of the hard link `{name}` is missing")));
        }
        match self.declared.missing() {
            None => Ok(None),
            Some(path) => Err(self.unusable(format!("`{path}`, which its header has, is missing"))),
        }
    }

    fn unusable(&self, what: String) -> RpmError {
        RpmError::payload(&self.path, what)
    }

    /// Returns the error of a failed read of the payload: an interruption, or a damaged payload.
    pub(crate) fn read_error(&self, error: &io::Error) -> RpmError {
        match interrupt::check() {
            Err(interrupted) => interrupted.into(),
            Ok(()) => self.unusable(error.to_string()),
        }
    }

    /// Reads data of the current file, and compares its digest once all of it was read.
    fn read_compared(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.archive.read(buffer)?;
        let Some(content) = &mut self.content else {
            return Ok(length);
        };
        content.update(buffer.get(..length).unwrap_or_default())?;
        match self.content.take_if(|content| content.is_complete()) {
            None => Ok(length),
            Some(content) => match content.finish() {
                Ok(()) => Ok(length),
                Err(what) => Err(io::Error::new(io::ErrorKind::InvalidData, what)),
            },
        }
    }

    /// Returns `true` if an error came from reading data, and not from the other side of a copy.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed
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
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.read_compared(buffer);
        self.failed |= read.is_err();
        read
    }
}

/// Returns `true` if the type in a payload is the declared one. Devices, pipes and sockets are left to the caller: they
/// are refused by whoever unpacks them.
fn is_kind(kind: u32, declared: &FileKind) -> bool {
    match kind {
        DIRECTORY => *declared == FileKind::Directory,
        REGULAR => matches!(declared, FileKind::Regular { .. }),
        SYMLINK => matches!(declared, FileKind::Symlink(_)),
        _ => true,
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
