//! Reading a blob by `ByteStream.Read`, verified while it comes.

use std::io::Write;

use bazel_remote_apis::google::bytestream::ReadRequest;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use tonic::Code;

use super::resource::{self, Encoding};
use super::{COMPRESSED_FROM, OVERHEAD, Remote};
use crate::blob::{BlobMismatch, Verifier};
use crate::error::CacheError;
use crate::folder::WINDOW_LOG;
use basalt_action::Blob;

const CALL: &str = "ByteStream.Read";

/// Bytes of a message in a stream, at most: gRPC's usual limit.
const MAX_MESSAGE: usize = 4 << 20;

impl Remote {
    /// Reads a blob; a stream that breaks off is continued where it was, uncompressed.
    pub(super) fn download(&self, blob: &Blob, into: &mut dyn Write) -> Result<(), CacheError> {
        let zstd = self.features()?.zstd && blob.size >= COMPRESSED_FROM;
        let mut verifier = Verifier::new(*blob, into);
        self.retried(|attempt| {
            let encoding = match zstd && attempt == 1 {
                true => Encoding::Zstd,
                false => Encoding::Identity,
            };
            let limit = self.limits.stream(blob.size);
            self.wait(CALL, limit, self.receive(blob, encoding, &mut verifier))
        })?;
        verifier.finish().map_err(|mismatch| self.wrong(blob, mismatch))
    }

    async fn receive(&self, blob: &Blob, encoding: Encoding, verifier: &mut Verifier<'_>) -> Result<(), CacheError> {
        let request = ReadRequest {
            resource_name: resource::download(&self.instance, encoding, blob),
            read_offset: i64::try_from(verifier.received()).unwrap_or(i64::MAX),
            read_limit: 0,
        };
        let mut client = ByteStreamClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE + OVERHEAD);
        let failed = |status: tonic::Status| match status.code() {
            Code::NotFound => self.missing_blob(blob),
            _ => self.status(CALL, &status),
        };
        let opened = tokio::time::timeout(self.limits.call, client.read(request)).await;
        let mut stream = opened
            .map_err(|_| self.timed_out(CALL, self.limits.call))?
            .map_err(failed)?
            .into_inner();
        let mut incoming = Incoming::new(encoding, blob, verifier).map_err(|error| self.sink(blob, error))?;
        loop {
            let next = tokio::time::timeout(self.limits.call, stream.message()).await;
            match next
                .map_err(|_| self.timed_out(CALL, self.limits.call))?
                .map_err(failed)?
            {
                Some(message) => incoming
                    .push(&message.data)
                    .map_err(|error| error.explain(self, blob))?,
                None => return incoming.finish().map_err(|error| error.explain(self, blob)),
            }
        }
    }

    pub(super) fn wrong(&self, blob: &Blob, mismatch: BlobMismatch) -> CacheError {
        CacheError::Wrong {
            cache: self.name.clone(),
            blob: *blob,
            mismatch,
        }
    }

    fn sink(&self, blob: &Blob, source: std::io::Error) -> CacheError {
        let (what, blob) = ("write", *blob);
        CacheError::Local { what, blob, source }
    }
}

/// Sink of a download: received bytes pass through the decoder into the verifier.
enum Incoming<'v, 'w> {
    Identity(&'v mut Verifier<'w>),
    Zstd {
        decoder: Box<zstd::stream::write::Decoder<'static, &'v mut Verifier<'w>>>,
        /// Compressed bytes that may still come: a frame that goes on without giving anything ends.
        left: u64,
    },
}

/// Reason for which received content was rejected.
enum Rejected {
    BlobMismatch(BlobMismatch),
    Sink(std::io::Error),
}

impl Rejected {
    fn explain(self, remote: &Remote, blob: &Blob) -> CacheError {
        match self {
            Self::BlobMismatch(mismatch) => remote.wrong(blob, mismatch),
            Self::Sink(error) => remote.sink(blob, error),
        }
    }

    fn of(verifier: &mut Verifier<'_>, size: u64, otherwise: BlobMismatch) -> Self {
        match verifier.sink_error() {
            Some(error) => Self::Sink(error),
            None if verifier.exceeded() => Self::BlobMismatch(BlobMismatch::TooLong(size)),
            None => Self::BlobMismatch(otherwise),
        }
    }
}

impl<'v, 'w> Incoming<'v, 'w> {
    fn new(encoding: Encoding, blob: &Blob, verifier: &'v mut Verifier<'w>) -> std::io::Result<Self> {
        if encoding == Encoding::Identity {
            return Ok(Self::Identity(verifier));
        }
        let mut decoder = zstd::stream::write::Decoder::new(verifier)?;
        decoder.window_log_max(WINDOW_LOG)?;
        Ok(Self::Zstd {
            decoder: Box::new(decoder),
            left: blob.size + blob.size / 64 + OVERHEAD as u64,
        })
    }

    fn push(&mut self, data: &[u8]) -> Result<(), Rejected> {
        match self {
            Self::Identity(verifier) => {
                let size = verifier.expected().size;
                verifier
                    .write_all(data)
                    .map_err(|_| Rejected::of(verifier, size, BlobMismatch::TooLong(size)))
            }
            Self::Zstd { decoder, left } => {
                *left = left
                    .checked_sub(data.len() as u64)
                    .ok_or(Rejected::BlobMismatch(BlobMismatch::Encoding))?;
                decoder.write_all(data).map_err(|_| Self::rejected(decoder))
            }
        }
    }

    fn finish(self) -> Result<(), Rejected> {
        match self {
            Self::Identity(_) => Ok(()),
            Self::Zstd { mut decoder, .. } => decoder.flush().map_err(|_| Self::rejected(&mut decoder)),
        }
    }

    fn rejected(decoder: &mut zstd::stream::write::Decoder<'static, &'v mut Verifier<'w>>) -> Rejected {
        let verifier = decoder.get_mut();
        let size = verifier.expected().size;
        Rejected::of(verifier, size, BlobMismatch::Encoding)
    }
}
