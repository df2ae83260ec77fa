//! Compressed files: by what they hold.

use std::io::{self, Read};

use super::{Comparison, Findings, position};

/// More than this is not unpacked: a file of a few bytes can hold any amount of zeros.
const MOST: u64 = 1 << 30;

/// Compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Gzip,
    Zstd,
    Xz,
}

impl Method {
    /// Recognizes the format by the magic number at the start of a file.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        [
            (&b"\x1f\x8b\x08"[..], Self::Gzip),
            (b"\x28\xb5\x2f\xfd", Self::Zstd),
            (b"\xfd7zXZ\x00", Self::Xz),
        ]
        .into_iter()
        .find_map(|(magic, method)| bytes.starts_with(magic).then_some(method))
    }

    fn unpack(self, mut packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut unpacked = Vec::new();
        match self {
            Self::Gzip => take(flate2::bufread::MultiGzDecoder::new(packed), &mut unpacked)?,
            Self::Zstd => take(zstd::Decoder::with_buffer(packed)?, &mut unpacked)?,
            Self::Xz => {
                let mut buffer = BoundedBuffer(&mut unpacked);
                lzma_rs::xz_decompress(&mut packed, &mut buffer)
                    .map_err(|error| io::Error::other(format!("{error:?}")))?;
            }
        }
        Ok(unpacked)
    }
}

fn take(reader: impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    let read = reader.take(MOST).read_to_end(into)? as u64;
    if read == MOST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(())
}

/// Buffer with a limit: writing more than [`MOST`] bytes is an error.
struct BoundedBuffer<'v>(&'v mut Vec<u8>);

impl io::Write for BoundedBuffer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > MOST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Adds what differs in what two compressed files hold. `unpacked` compares that; what cannot be
/// unpacked is left to whoever compares bytes.
pub(crate) fn compare(findings: &mut Findings, method: Method, first: &[u8], second: &[u8], unpacked: Comparison) {
    let (Ok(one), Ok(other)) = (method.unpack(first), method.unpack(second)) else {
        return;
    };
    if one != other {
        return findings.within("uncompressed", |findings| unpacked(findings, &one, &other));
    }
    let mut apart = Findings::default();
    position::compare(&mut apart, first, second);
    let (found, _) = apart.finish();
    let how = found
        .first()
        .map(|difference| difference.what.as_str())
        .unwrap_or_default();
    findings.add(format!("holds the same, compressed otherwise: {how}"));
}
