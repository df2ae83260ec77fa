//! Files of an image in a folder, read with checks.

use std::io::{self, Read};

use basalt_digest::Digest;
use basalt_process::{ProcessError, interrupt};
use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;

use crate::OciError;

/// Greatest size of a JSON document, in bytes; registries take no larger manifest.
const LARGEST_DOCUMENT: u64 = 4 << 20;

/// Folder with the files of one or more images.
#[derive(Debug, Clone)]
pub(crate) struct ImageFolder {
    path: Utf8PathBuf,
    /// Name of the folder, or of the archive that it was, for errors.
    place: String,
}

impl ImageFolder {
    pub fn new(path: impl Into<Utf8PathBuf>, place: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            place: place.into(),
        }
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    /// Checks for a file in the folder.
    pub fn has(&self, name: &str) -> bool {
        self.path.join(name).is_file()
    }

    /// Path of a file that a document of the image names; an error when it is no file in the folder. Links are followed,
    /// and must not lead out of it.
    pub fn file(&self, name: &str) -> Result<Utf8PathBuf, OciError> {
        let is_plain = !name.is_empty() && Utf8Path::new(name).components().all(|part| part.as_str() != "..");
        let path = self.path.join(name);
        if !is_plain || Utf8Path::new(name).is_absolute() {
            return Err(self.content(name, "is named, but is not a path in the image"));
        }
        if !path.is_file() {
            return Err(self.content(name, "is named, but is not there"));
        }
        let root = self
            .path
            .canonicalize_utf8()
            .map_err(OciError::file("read", &self.path))?;
        let real = path.canonicalize_utf8().map_err(OciError::file("read", &path))?;
        if !real.starts_with(&root) {
            return Err(self.content(name, "is a link that leads out of the image"));
        }
        Ok(real)
    }

    /// Reads a document.
    pub fn document(&self, name: &str) -> Result<Vec<u8>, OciError> {
        let path = self.file(name)?;
        let failed = || OciError::file("read", &path);
        let mut bytes = Vec::new();
        let file = fs_err::File::open(&path).map_err(failed())?;
        file.take(LARGEST_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(failed())?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(self.invalid(name, "is larger than 4 MiB"));
        }
        Ok(bytes)
    }

    /// Parses a document.
    pub fn parse<T: DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T, OciError> {
        serde_json::from_slice(bytes).map_err(|error| self.invalid(name, format!("cannot be understood: {error}")))
    }

    /// Digest and size of a file's content.
    pub fn digest(&self, name: &str) -> Result<(Digest, u64), OciError> {
        let path = self.file(name)?;
        let failed = || OciError::file("read", &path);
        let file = fs_err::File::open(&path).map_err(failed())?;
        Digest::of_reader(Interruptible(file)).map_err(failed())
    }

    pub fn invalid(&self, file: &str, problem: impl Into<String>) -> OciError {
        OciError::Document {
            place: self.place.clone(),
            file: file.to_owned(),
            problem: problem.into(),
        }
    }

    pub fn content(&self, file: &str, problem: impl Into<String>) -> OciError {
        OciError::Content {
            place: self.place.clone(),
            file: file.to_owned(),
            problem: problem.into(),
        }
    }

    pub fn no_image(&self, file: &str, problem: impl Into<String>) -> OciError {
        OciError::NoImage {
            place: self.place.clone(),
            file: file.to_owned(),
            problem: problem.into(),
        }
    }

    pub fn unsupported(&self, file: &str, problem: impl Into<String>) -> OciError {
        OciError::Unsupported {
            place: self.place.clone(),
            file: file.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Reader that fails after Ctrl-C.
pub(crate) struct Interruptible<R>(pub R);

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if interrupt::requested() {
            return Err(io::Error::other(ProcessError::Interrupted));
        }
        self.0.read(buffer)
    }
}
