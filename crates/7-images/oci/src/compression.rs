//! Compression of archives and layers, told by their first bytes.

use std::io::{self, BufReader, Read, Seek as _};

use camino::Utf8Path;

use crate::OciError;
use crate::folder::Interruptible;

/// Compression of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// None, as far as can be seen.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// A method that is not read, by the name of its program.
    Unread(&'static str),
}

impl Compression {
    /// Compression of a file that begins with these bytes.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to be skipped (RFC 8878, section 3.1).
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Unread("xz"),
            [b'B', b'Z', b'h', ..] => Self::Unread("bzip2"),
            _ => Self::None,
        }
    }
}

/// Opens a file, and uncompresses it while it is read.
pub(crate) fn open(path: &Utf8Path) -> Result<(Compression, Box<dyn Read>), OciError> {
    let failed = || OciError::file("read", path);
    let mut file = fs_err::File::open(path).map_err(failed())?;
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start).map_err(failed())?;
    file.rewind().map_err(failed())?;
    let compression = Compression::of(&start);
    let reader = BufReader::with_capacity(1 << 20, Interruptible(file));
    let plain: Box<dyn Read> = match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(reader).map_err(failed())?),
        Compression::Unread(method) => {
            return Err(OciError::Compression {
                path: path.to_owned(),
                method,
            });
        }
    };
    Ok((compression, plain))
}

/// Reader that fails when more than so many bytes come out.
pub(crate) struct Limited<R> {
    pub reader: R,
    pub left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.left = self.left.checked_sub(length as u64).ok_or_else(|| {
            let problem = "it unpacks to more than is allowed";
            io::Error::new(io::ErrorKind::InvalidData, problem)
        })?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressions_are_told_apart() {
        let gzip = {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            io::Write::write_all(&mut encoder, b"text").expect("written");
            encoder.finish().expect("packed")
        };
        let zstd = zstd::encode_all(&b"text"[..], 1).expect("packed");
        for (content, expected) in [
            (&gzip[..], Compression::Gzip),
            (&zstd[..], Compression::Zstd),
            (&b"\xfd7zXZ\0\0\x04"[..], Compression::Unread("xz")),
            (&b"BZh91AY"[..], Compression::Unread("bzip2")),
            (&b"text"[..], Compression::None),
            (&b""[..], Compression::None),
        ] {
            assert_eq!(Compression::of(content), expected);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = camino::Utf8PathBuf::try_from(folder.path().join("file")).expect("UTF-8");
        for content in [&gzip[..], &zstd[..], b"text"] {
            fs_err::write(&path, content).expect("written");
            let (_, mut reader) = open(&path).expect("opened");
            let mut text = String::new();
            reader.read_to_string(&mut text).expect("read");
            assert_eq!(text, "text");
        }
    }

    #[test]
    fn bombs_are_noticed() {
        let mut text = Vec::new();
        let mut reader = Limited {
            reader: io::repeat(0),
            left: 1 << 20,
        };
        assert!(reader.read_to_end(&mut text).is_err());
    }
}
