//! Sources of OSV records: a folder, a zip archive or a tar archive, read file by file with size limits.

use std::io::{self, Read, Seek};

use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;

use crate::AuditError;
use crate::limits::DatabaseLimits;

/// Callback for each file of a database: its name, and its bytes or the reason for which it cannot be read.
pub(crate) type Take<'t> = dyn FnMut(&str, Result<&[u8], String>) -> Result<(), Refused> + 't;

/// Reason for which reading a database was aborted.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The archive is damaged, or not to be trusted.
    Archive(Box<dyn std::error::Error + Send + Sync>),
    /// The user has interrupted the run (Ctrl-C).
    Interrupted(basalt_process::ProcessError),
}

impl Refused {
    /// The error about an archive of that name.
    pub(crate) fn about(self, path: &Utf8Path) -> AuditError {
        match self {
            Self::Interrupted(error) => error.into(),
            Self::Archive(source) => AuditError::Database {
                path: path.to_owned(),
                source,
            },
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Archive(error.into())
    }
}

impl From<zip::result::ZipError> for Refused {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Archive(error.into())
    }
}

/// The ways in which a database may be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    Folder,
    Record,
    Zip,
    Tar,
    TarGz,
    TarZst,
}

impl Packing {
    /// By the name, as people give them.
    pub(crate) fn of(path: &Utf8Path) -> Option<Self> {
        if path.is_dir() {
            return Some(Self::Folder);
        }
        let ends: [(&str, Self); 7] = [
            (".json", Self::Record),
            (".zip", Self::Zip),
            (".tar", Self::Tar),
            (".tar.gz", Self::TarGz),
            (".tgz", Self::TarGz),
            (".tar.zst", Self::TarZst),
            (".tzst", Self::TarZst),
        ];
        let name = path.as_str().to_lowercase();
        ends.iter()
            .find(|(end, _)| name.ends_with(end))
            .map(|(_, packing)| *packing)
    }

    /// Hands over every file whose name ends in `.json`.
    pub(crate) fn each(self, path: &Utf8Path, limits: DatabaseLimits, take: &mut Take<'_>) -> Result<(), Refused> {
        match self {
            Self::Folder => each_of_folder(path, limits, take),
            Self::Record => each_of_file(path, path.file_name().unwrap_or_default(), limits, take),
            Self::Zip => each_of_zip(File::open(path)?, limits, take),
            Self::Tar => each_of_tar(io::BufReader::new(File::open(path)?), limits, take),
            Self::TarGz => {
                let file = File::open(path)?;
                let most = limits.unpacked(file.metadata()?.len());
                let plain = flate2::bufread::MultiGzDecoder::new(io::BufReader::new(file));
                each_of_tar(Counted::new(plain, most), limits, take)
            }
            Self::TarZst => {
                let file = File::open(path)?;
                let most = limits.unpacked(file.metadata()?.len());
                each_of_tar(Counted::new(zstd::Decoder::new(file)?, most), limits, take)
            }
        }
    }
}

/// The files below a folder, in the order of their names. Links are not followed.
fn each_of_folder(path: &Utf8Path, limits: DatabaseLimits, take: &mut Take<'_>) -> Result<(), Refused> {
    let mut rest = vec![path.to_owned()];
    while let Some(folder) = rest.pop() {
        let mut entries: Vec<Utf8PathBuf> = folder
            .read_dir_utf8()?
            .map(|entry| entry.map(camino::Utf8DirEntry::into_path))
            .collect::<io::Result<_>>()?;
        entries.sort();
        for entry in entries.iter().rev() {
            let kind = fs_err::symlink_metadata(entry)?.file_type();
            if kind.is_dir() {
                rest.push(entry.clone());
            }
        }
        for entry in entries {
            if is_record(entry.as_str()) && fs_err::symlink_metadata(&entry)?.is_file() {
                let name = entry.strip_prefix(path).unwrap_or(&entry);
                each_of_file(&entry, name.as_str(), limits, take)?;
            }
        }
    }
    Ok(())
}

fn each_of_file(path: &Utf8Path, name: &str, limits: DatabaseLimits, take: &mut Take<'_>) -> Result<(), Refused> {
    let mut bytes = Vec::new();
    let read = limits.read(&mut File::open(path)?, &mut bytes)?;
    take(name, read.then_some(bytes.as_slice()).ok_or_else(|| limits.too_large()))
}

/// The files of a zip archive.
pub(crate) fn each_of_zip(
    archive: impl Read + Seek,
    limits: DatabaseLimits,
    take: &mut Take<'_>,
) -> Result<(), Refused> {
    let mut archive = archive;
    let packed = archive.seek(io::SeekFrom::End(0))?;
    let mut zip = zip::ZipArchive::new(archive)?;
    let mut budget = limits.unpacked(packed);
    let mut bytes = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        let name = file.name()?.into_owned();
        if !file.is_file() || !is_record(&name) {
            continue;
        }
        bytes.clear();
        let read = limits.read(&mut file, &mut bytes)?;
        budget = budget.checked_sub(bytes.len() as u64).ok_or_else(|| bomb(limits))?;
        take(
            &name,
            read.then_some(bytes.as_slice()).ok_or_else(|| limits.too_large()),
        )?;
    }
    Ok(())
}

/// The files of a tar archive.
pub(crate) fn each_of_tar(archive: impl Read, limits: DatabaseLimits, take: &mut Take<'_>) -> Result<(), Refused> {
    let mut ended = Ended {
        inner: archive,
        zeros: 0,
    };
    let mut tar = tar::Archive::new(&mut ended);
    let mut bytes = Vec::new();
    for file in tar.entries()? {
        let mut file = file?;
        let name = String::from_utf8_lossy(&file.path_bytes()).into_owned();
        if !file.header().entry_type().is_file() || !is_record(&name) {
            continue;
        }
        bytes.clear();
        let read = limits.read(&mut file, &mut bytes)?;
        take(
            &name,
            read.then_some(bytes.as_slice()).ok_or_else(|| limits.too_large()),
        )?;
    }
    // An archive ends with blocks of zeros; one that was cut between two files looks whole otherwise.
    if ended.zeros < BLOCK {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

/// The size of a block of a tar archive.
const BLOCK: u64 = 512;

/// A reader that knows how many zeros it gave last.
struct Ended<R> {
    inner: R,
    zeros: u64,
}

impl<R: Read> Read for Ended<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let zeros = buffer.iter().take(read).rev().take_while(|byte| **byte == 0).count();
        self.zeros = if zeros == read {
            self.zeros + zeros as u64
        } else {
            zeros as u64
        };
        Ok(read)
    }
}

fn is_record(name: &str) -> bool {
    name.ends_with(".json")
}

fn bomb(limits: DatabaseLimits) -> io::Error {
    let what = format!(
        "it unpacks to more than {} times its size, as no database does",
        limits.ratio
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A reader that gives up after so many bytes.
struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R> Counted<R> {
    fn new(inner: R, most: u64) -> Self {
        Self { inner, left: most }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| bomb(DatabaseLimits::default()))?;
        Ok(read)
    }
}
