//! Writing a blob by `ByteStream.Write`; what broke off goes on from where `QueryWriteStatus` says.

use std::time::Duration;

use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{QueryWriteStatusRequest, WriteRequest, WriteResponse};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::outgoing::{Outgoing, mismatch};
use super::resource::{self, Encoding};
use super::{COMPRESSED_FROM, OVERHEAD, Remote};
use crate::backend::BlobSource;
use crate::error::CacheError;
use basalt_action::Blob;

const CALL: &str = "ByteStream.Write";

impl Remote {
    /// Writes a blob. The first try is compressed where the server takes that; later ones can go on in the middle.
    pub(super) fn upload(&self, blob: &Blob, source: &mut dyn BlobSource) -> Result<(), CacheError> {
        let features = self.features()?;
        if let Some(most) = features.max_blob.filter(|most| blob.size > *most) {
            return Err(self.unsupported(format!("it takes no blob over {most} bytes, and {blob} is larger")));
        }
        let zstd = features.zstd && blob.size >= COMPRESSED_FROM;
        let uuid = uuid::Uuid::new_v4();
        let plain = resource::upload(&self.instance, Encoding::Identity, blob, uuid);
        let mut sent_plain = false;
        self.retried(|attempt| {
            let (encoding, name, offset) = match zstd && attempt == 1 {
                true => (
                    Encoding::Zstd,
                    resource::upload(&self.instance, Encoding::Zstd, blob, uuid),
                    0,
                ),
                false if sent_plain => (Encoding::Identity, plain.clone(), self.committed(&plain, blob)?),
                false => (Encoding::Identity, plain.clone(), 0),
            };
            sent_plain = encoding == Encoding::Identity;
            let outgoing =
                Outgoing::new(source, blob, encoding, offset).map_err(|error| self.unreadable(blob, error))?;
            let limit = self.limits.stream(blob.size);
            let committed = self.wait(CALL, limit, self.send(blob, name, outgoing))?;
            self.check_committed(blob, encoding, committed)
        })
    }

    /// Bytes that the server has of an upload that broke off. One that does not know it begins anew.
    fn committed(&self, name: &str, blob: &Blob) -> Result<u64, CacheError> {
        let request = QueryWriteStatusRequest {
            resource_name: name.to_owned(),
        };
        let call = "QueryWriteStatus";
        let answer = self.wait(call, self.limits.call, async {
            let mut client = ByteStreamClient::new(self.channel.clone()).max_decoding_message_size(OVERHEAD);
            Ok(client.query_write_status(request).await)
        })?;
        match answer.map(tonic::Response::into_inner) {
            Ok(status) => match u64::try_from(status.committed_size) {
                Ok(committed) if committed <= blob.size => Ok(committed),
                _ => Err(self.protocol(call, "it has more of an upload than there is")),
            },
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => Ok(0),
            Err(status) => Err(self.status(call, &status)),
        }
    }

    async fn send(&self, blob: &Blob, name: String, mut outgoing: Outgoing<'_>) -> Result<i64, CacheError> {
        let (chunks, receiver) = mpsc::channel(2);
        let mut client = ByteStreamClient::new(self.channel.clone()).max_decoding_message_size(OVERHEAD);
        // The set ends the call when it is dropped: on every error below.
        let mut call = JoinSet::new();
        call.spawn(async move { client.write(ReceiverStream::new(receiver)).await });
        while let Some(chunk) = outgoing.next().map_err(|error| self.unreadable(blob, error))? {
            let request = WriteRequest {
                resource_name: name.clone(),
                write_offset: i64::try_from(chunk.offset).unwrap_or(i64::MAX),
                finish_write: chunk.last,
                data: chunk.data,
            };
            let sent = tokio::time::timeout(self.limits.call, chunks.send(request)).await;
            match sent {
                Ok(Ok(())) => {}
                // The server has answered before the end: it has the blob, or does not want it.
                Ok(Err(_)) => break,
                Err(_) => return Err(self.timed_out(CALL, self.limits.call)),
            }
        }
        drop(chunks);
        self.answer(&mut call, self.limits.call).await
    }

    async fn answer(
        &self,
        call: &mut JoinSet<Result<tonic::Response<WriteResponse>, Status>>,
        limit: Duration,
    ) -> Result<i64, CacheError> {
        let joined = tokio::time::timeout(limit, call.join_next()).await;
        match joined.map_err(|_| self.timed_out(CALL, limit))? {
            Some(Ok(Ok(response))) => Ok(response.into_inner().committed_size),
            Some(Ok(Err(status))) => Err(self.status(CALL, &status)),
            Some(Err(_)) | None => Err(self.protocol(CALL, "the call ended without an answer")),
        }
    }

    fn check_committed(&self, blob: &Blob, encoding: Encoding, committed: i64) -> Result<(), CacheError> {
        // Of a compressed upload, servers give compressed bytes, uncompressed ones, or -1 for what was there already.
        let whole = encoding == Encoding::Zstd || u64::try_from(committed) == Ok(blob.size);
        match whole {
            true => Ok(()),
            false => Err(CacheError::Server {
                cache: self.name.clone(),
                call: CALL,
                code: Code::Aborted,
                message: format!("{committed} of {} bytes were taken", blob.size),
            }),
        }
    }

    fn unreadable(&self, blob: &Blob, source: std::io::Error) -> CacheError {
        let blob = *blob;
        match mismatch(&source) {
            Some(mismatch) => CacheError::SourceChanged { blob, mismatch },
            None => CacheError::Local {
                what: "read",
                blob,
                source,
            },
        }
    }
}
