//! Content of an upload: verified while it is read, compressed if the server supports it, and cut into chunks.

use std::io::{self, Read};

use basalt_digest::Hasher;

use super::resource::Encoding;
use crate::backend::BlobSource;
use crate::blob::BlobMismatch;
use basalt_action::Blob;

/// Bytes of a chunk.
const CHUNK: usize = 512 << 10;

/// Level of zstd for what is sent: quick, as it is stored once and anew on the other side.
const LEVEL: i32 = 3;

/// Reader that gives its end only if what it gave is the blob; else, an error that holds the [`BlobMismatch`].
struct Checked<'s> {
    source: &'s mut dyn BlobSource,
    blob: Blob,
    hasher: Hasher,
    given: u64,
}

impl Checked<'_> {
    fn verdict(&self) -> Option<BlobMismatch> {
        let size = self.blob.size;
        match self.given < size {
            true => Some(BlobMismatch::TooShort {
                received: self.given,
                size,
            }),
            false => match self.hasher.clone().finish() {
                digest if digest == self.blob.digest => None,
                digest => Some(BlobMismatch::Content(digest)),
            },
        }
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            return self.verdict().map_or(Ok(0), |mismatch| Err(io::Error::other(mismatch)));
        }
        self.given += length as u64;
        if self.given > self.blob.size {
            return Err(io::Error::other(BlobMismatch::TooLong(self.blob.size)));
        }
        let mut received = buffer.get(..length).ok_or(io::ErrorKind::InvalidData)?;
        io::copy(&mut received, &mut self.hasher)?;
        Ok(length)
    }
}

/// A chunk with its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
    /// `true` for the last chunk, which is produced only after the whole blob was verified.
    pub(super) last: bool,
}

/// Chunks of a blob.
pub(super) struct Outgoing<'s> {
    reader: Box<dyn Read + 's>,
    next: Option<Vec<u8>>,
    offset: u64,
}

impl<'s> Outgoing<'s> {
    /// The chunks from `offset` of the stream on. What is before is read all the same, as it is verified, too.
    pub(super) fn new(
        source: &'s mut dyn BlobSource,
        blob: &Blob,
        encoding: Encoding,
        offset: u64,
    ) -> io::Result<Self> {
        source.rewind()?;
        let checked = Checked {
            source,
            blob: *blob,
            hasher: Hasher::new(),
            given: 0,
        };
        let mut reader: Box<dyn Read + 's> = match encoding {
            Encoding::Identity => Box::new(checked),
            Encoding::Zstd => Box::new(zstd::stream::read::Encoder::new(checked, LEVEL)?),
        };
        io::copy(&mut (&mut reader).take(offset), &mut io::sink())?;
        let next = Some(chunk(&mut reader)?);
        Ok(Self { reader, next, offset })
    }

    /// The next chunk; `None` after the last one.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        let Some(data) = self.next.take() else {
            return Ok(None);
        };
        let following = chunk(&mut self.reader)?;
        let offset = self.offset;
        self.offset += data.len() as u64;
        let last = following.is_empty();
        if !last {
            self.next = Some(following);
        }
        Ok(Some(Chunk { offset, data, last }))
    }
}

fn chunk(reader: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(CHUNK);
    reader.take(CHUNK as u64).read_to_end(&mut data)?;
    Ok(data)
}

/// The mismatch inside an error of reading, if that is what it is.
pub(super) fn mismatch(error: &io::Error) -> Option<BlobMismatch> {
    error.get_ref()?.downcast_ref::<BlobMismatch>().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(content: &[u8], blob: &Blob, encoding: Encoding, offset: u64) -> io::Result<Vec<Chunk>> {
        let mut source = io::Cursor::new(content);
        let mut outgoing = Outgoing::new(&mut source, blob, encoding, offset)?;
        let mut chunks = Vec::new();
        while let Some(chunk) = outgoing.next()? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    fn content(size: usize) -> Vec<u8> {
        (0..size)
            .map(|index| (index.wrapping_mul(31) >> 3).to_le_bytes()[0])
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn chunks_are_the_content_and_one_is_the_last(size in 0usize..(3 * CHUNK), skip: prop::sample::Index, zstd: bool) {
            let content = content(size);
            let encoding = if zstd { Encoding::Zstd } else { Encoding::Identity };
            let offset = if zstd { 0 } else { skip.index(size + 1) };
            let chunks = chunks(&content, &Blob::of(&content), encoding, offset as u64).expect("sound");
            let mut place = offset as u64;
            for chunk in &chunks {
                prop_assert_eq!(chunk.offset, place);
                place += chunk.data.len() as u64;
            }
            let last: Vec<_> = chunks.iter().map(|chunk| chunk.last).collect();
            prop_assert_eq!(last.iter().position(|last| *last), Some(chunks.len() - 1));
            let sent: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.data).collect();
            let sent = if zstd { zstd::stream::decode_all(&*sent).expect("a frame") } else { sent };
            prop_assert_eq!(&sent, &content[offset..]);
        }
    }

    #[test]
    fn what_was_changed_is_never_finished() {
        let blob = Blob::of(content(1000));
        for wrong in [content(999), content(1001), vec![7; 1000]] {
            for encoding in [Encoding::Identity, Encoding::Zstd] {
                let error = chunks(&wrong, &blob, encoding, 0).expect_err("changed");
                assert!(mismatch(&error).is_some(), "{error:?}");
            }
        }
    }
}
