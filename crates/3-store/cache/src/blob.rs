//! Verification of content against the [`Blob`] that names it.

use std::io::{self, Write};

use basalt_action::Blob;
use basalt_digest::{Digest, Hasher};

/// Writer that passes content through and compares it with the blob that it should be.
///
/// Bytes beyond the blob's size are not passed through. Content is valid only after [`Verifier::finish`] has succeeded.
pub struct Verifier<'w> {
    expected: Blob,
    into: &'w mut dyn Write,
    hasher: Hasher,
    received: u64,
    excess: bool,
    sink: Option<io::Error>,
}

/// Difference between the content that was received and the blob that was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobMismatch {
    /// More bytes than the blob has.
    #[error("there are more than its {0} bytes")]
    TooLong(u64),
    /// The end came early.
    #[error("it ends after {received} of {size} bytes")]
    TooShort {
        /// Bytes that came.
        received: u64,
        /// Bytes that the blob has.
        size: u64,
    },
    /// Compressed content that cannot be read.
    #[error("it is not, or not to its end, a zstd frame")]
    Encoding,
    /// Content of the right size with another digest; holds the SHA-256 of what was received.
    #[error("its content has the SHA-256 {0}")]
    Content(Digest),
}

impl<'w> Verifier<'w> {
    /// Lets through to `into` what should be `expected`.
    pub fn new(expected: Blob, into: &'w mut dyn Write) -> Self {
        Self {
            expected,
            into,
            hasher: Hasher::new(),
            received: 0,
            excess: false,
            sink: None,
        }
    }

    /// The blob that it should be.
    pub fn expected(&self) -> &Blob {
        &self.expected
    }

    /// Bytes that came so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The error of the writer below, if that is what failed.
    pub fn sink_error(&mut self) -> Option<io::Error> {
        self.sink.take()
    }

    /// The verdict once everything has come.
    ///
    /// # Errors
    /// The first difference.
    pub fn finish(self) -> Result<(), BlobMismatch> {
        if self.excess {
            return Err(BlobMismatch::TooLong(self.expected.size));
        }
        if self.received < self.expected.size {
            let (received, size) = (self.received, self.expected.size);
            return Err(BlobMismatch::TooShort { received, size });
        }
        match self.hasher.finish() {
            digest if digest == self.expected.digest => Ok(()),
            digest => Err(BlobMismatch::Content(digest)),
        }
    }

    /// Returns `true` if more bytes were written than the blob has.
    pub fn exceeded(&self) -> bool {
        self.excess
    }
}

impl Write for Verifier<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.expected.size - self.received {
            self.excess = true;
            return Err(io::Error::other(BlobMismatch::TooLong(self.expected.size)));
        }
        if let Err(error) = self.into.write_all(bytes) {
            let kind = error.kind();
            self.sink = Some(error);
            return Err(kind.into());
        }
        self.hasher.write_all(bytes)?;
        self.received += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Writer to a disk without space.
#[cfg(test)]
pub(crate) struct FullDisk;

#[cfg(test)]
impl Write for FullDisk {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(expected: Blob, chunks: &[&[u8]]) -> Result<(), BlobMismatch> {
        let mut kept = Vec::new();
        let mut verifier = Verifier::new(expected, &mut kept);
        for chunk in chunks {
            let _ = verifier.write_all(chunk);
        }
        let verdict = verifier.finish();
        assert!(kept.len() as u64 <= expected.size, "bounded by the size");
        verdict
    }

    #[test]
    fn each_difference_is_told_apart() {
        let blob = Blob::of("abcdef");
        assert_eq!(verdict(blob, &[b"abc", b"def"]), Ok(()));
        assert_eq!(verdict(blob, &[b"abc", b"defg"]), Err(BlobMismatch::TooLong(6)));
        assert_eq!(verdict(blob, &[b"abcdef", b"", b"g"]), Err(BlobMismatch::TooLong(6)));
        let short = BlobMismatch::TooShort { received: 3, size: 6 };
        assert_eq!(verdict(blob, &[b"abc"]), Err(short));
        let content = BlobMismatch::Content(Digest::of("abcdeF"));
        assert_eq!(verdict(blob, &[b"abcdeF"]), Err(content));
        assert_eq!(verdict(Blob::empty(), &[]), Ok(()));
    }

    #[test]
    fn a_full_disk_is_told_from_wrong_content() {
        let mut full = FullDisk;
        let mut verifier = Verifier::new(Blob::of("a"), &mut full);
        assert!(verifier.write_all(b"a").is_err());
        let sink = verifier.sink_error().map(|error| error.kind());
        assert_eq!(sink, Some(io::ErrorKind::StorageFull));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_found(mut content in prop::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index) {
            let blob = Blob::of(&content);
            let bit = at.index(content.len() * 8);
            content[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verdict(blob, &[&content]), Err(BlobMismatch::Content(Digest::of(&content))));
        }
    }
}
