//! Batch calls: `FindMissingBlobs`, `BatchReadBlobs`, `BatchUpdateBlobs`.

use std::collections::HashMap;
use std::io::Write;

use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_client::ContentAddressableStorageClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    BatchReadBlobsRequest, BatchReadBlobsResponse, BatchUpdateBlobsRequest, FindMissingBlobsRequest,
    batch_read_blobs_response, batch_update_blobs_request, compressor,
};
use tonic::Code;

use super::channel::Authorized;
use super::{OVERHEAD, Remote, SHA256};
use crate::backend::{BlobSource, ContentAddressableStorage, Outcomes};
use crate::blob::BlobMismatch;
use crate::error::{CacheError, sanitize};
use basalt_action::Blob;

/// Blobs in one call, at most.
const MOST: usize = 2000;

/// Bytes that a digest takes in a message, about: 64 digits, a size, and their tags.
const DIGEST: usize = 90;

impl Remote {
    fn cas(&self, answer: usize) -> ContentAddressableStorageClient<Authorized> {
        ContentAddressableStorageClient::new(self.channel.clone()).max_decoding_message_size(answer + OVERHEAD)
    }

    fn find_missing(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError> {
        let call = "FindMissingBlobs";
        let request = FindMissingBlobsRequest {
            instance_name: self.instance.clone(),
            blob_digests: blobs.iter().map(|blob| blob.to_proto()).collect(),
            digest_function: SHA256,
        };
        let answer = self.unary(call, || {
            let mut client = self.cas(blobs.len() * DIGEST);
            let request = request.clone();
            async move { client.find_missing_blobs(request).await }
        })?;
        let missing: Result<Vec<Blob>, _> = answer.missing_blob_digests.iter().map(Blob::try_from).collect();
        let missing = missing.map_err(|error| self.protocol(call, error.to_string()))?;
        match missing.iter().all(|blob| blobs.contains(blob)) {
            true => Ok(missing),
            false => Err(self.protocol(call, "it misses what it was not asked for")),
        }
    }

    fn batch_read(&self, blobs: &[Blob]) -> Result<Outcomes, CacheError> {
        let request = BatchReadBlobsRequest {
            instance_name: self.instance.clone(),
            digests: blobs.iter().map(|blob| blob.to_proto()).collect(),
            acceptable_compressors: Vec::new(),
            digest_function: SHA256,
        };
        let content: u64 = blobs.iter().map(|blob| blob.size).sum();
        let answer = usize::try_from(content).unwrap_or(usize::MAX / 2) + 2 * blobs.len() * DIGEST;
        let answer = self.unary("BatchReadBlobs", || {
            let mut client = self.cas(answer);
            let request = request.clone();
            async move { client.batch_read_blobs(request).await }
        })?;
        Ok(self.sort_out(blobs, answer))
    }

    /// Gives each blob that was asked for what was answered about it; the first answer counts, silence is a miss.
    fn sort_out(&self, blobs: &[Blob], answer: BatchReadBlobsResponse) -> Outcomes {
        let mut answered = HashMap::new();
        for response in answer.responses {
            let blob = response.digest.as_ref().and_then(|digest| Blob::try_from(digest).ok());
            if let Some(blob) = blob.filter(|blob| blobs.contains(blob)) {
                answered.entry(blob).or_insert_with(|| self.content(&blob, response));
            }
        }
        let outcome = |blob: &Blob| answered.remove(blob).unwrap_or_else(|| Err(self.missing_blob(blob)));
        blobs.iter().copied().zip(blobs.iter().map(outcome)).collect()
    }

    fn content(&self, blob: &Blob, response: batch_read_blobs_response::Response) -> Result<Vec<u8>, CacheError> {
        if let Some(status) = response.status.filter(|status| status.code != 0) {
            return Err(match Code::from(status.code) {
                Code::NotFound => self.missing_blob(blob),
                code => self.server_error("BatchReadBlobs", code, &status.message),
            });
        }
        let actual = Blob::of(&response.data);
        match response.compressor == compressor::Value::Identity as i32 {
            false => Err(self.wrong(blob, BlobMismatch::Encoding)),
            true if actual == *blob => Ok(response.data),
            true => Err(self.wrong(blob, BlobMismatch::Content(actual.digest))),
        }
    }

    fn batch_update(&self, blobs: &[(Blob, Vec<u8>)]) -> Result<(), CacheError> {
        let call = "BatchUpdateBlobs";
        let entry = |(blob, data): &(Blob, Vec<u8>)| batch_update_blobs_request::Request {
            digest: Some(blob.to_proto()),
            data: data.clone(),
            compressor: compressor::Value::Identity as i32,
        };
        let request = BatchUpdateBlobsRequest {
            instance_name: self.instance.clone(),
            requests: blobs.iter().map(entry).collect(),
            digest_function: SHA256,
        };
        let answer = self.unary(call, || {
            let mut client = self.cas(blobs.len() * 4 * DIGEST);
            let request = request.clone();
            async move { client.batch_update_blobs(request).await }
        })?;
        let statuses = answer.responses.into_iter().filter_map(|response| response.status);
        match statuses.into_iter().find(|status| status.code != 0) {
            Some(status) => Err(self.server_error(call, Code::from(status.code), &status.message)),
            None => Ok(()),
        }
    }

    fn server_error(&self, call: &'static str, code: Code, message: &str) -> CacheError {
        CacheError::Server {
            cache: self.name.clone(),
            call,
            code,
            message: sanitize(message),
        }
    }
}

/// Groups of at most `most` bytes and [`MOST`] items. What is larger by itself comes alone.
fn groups<T>(items: &[T], most: u64, size: impl Fn(&T) -> u64) -> Vec<&[T]> {
    let mut groups = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let mut total = 0;
        let fits = rest.iter().take(MOST).take_while(|item| {
            total += size(item) + DIGEST as u64;
            total <= most
        });
        let (group, others) = rest.split_at(fits.count().max(1));
        groups.push(group);
        rest = others;
    }
    groups
}

impl ContentAddressableStorage for Remote {
    fn missing(&self, blobs: &[Blob]) -> Result<Vec<Blob>, CacheError> {
        self.features()?;
        let mut asked: Vec<Blob> = blobs.iter().copied().filter(|blob| *blob != Blob::empty()).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut missing = Vec::new();
        for group in asked.chunks(MOST) {
            missing.extend(self.find_missing(group)?);
        }
        Ok(missing)
    }

    fn read(&self, blob: &Blob, into: &mut dyn Write) -> Result<(), CacheError> {
        match *blob == Blob::empty() {
            true => Ok(()),
            false => self.download(blob, into),
        }
    }

    fn write(&self, blob: &Blob, from: &mut dyn BlobSource) -> Result<(), CacheError> {
        match *blob == Blob::empty() {
            true => Ok(()),
            false => self.upload(blob, from),
        }
    }

    fn read_small(&self, blobs: &[Blob]) -> Result<Outcomes, CacheError> {
        let most = self.features()?.max_batch;
        let mut outcomes = Vec::new();
        for group in groups(blobs, most, |blob| blob.size) {
            match group {
                [blob] => outcomes.push((*blob, crate::backend::read_bytes(self, blob))),
                group => outcomes.extend(self.batch_read(group)?),
            }
        }
        Ok(outcomes)
    }

    fn write_small(&self, blobs: &[(Blob, Vec<u8>)]) -> Result<(), CacheError> {
        let most = self.features()?.max_batch;
        for group in groups(blobs, most, |(blob, _)| blob.size) {
            match group {
                [(blob, content)] => self.write(blob, &mut std::io::Cursor::new(content))?,
                group => self.batch_update(group)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn groups_are_all_in_order_and_within_the_limit(sizes in prop::collection::vec(0u64..5000, 0..200), most in 1u64..20_000) {
            let groups = groups(&sizes, most, |size| *size);
            prop_assert_eq!(&groups.concat(), &sizes);
            for group in groups {
                let total: u64 = group.iter().map(|size| size + DIGEST as u64).sum();
                prop_assert!(group.len() == 1 || (total <= most && group.len() <= MOST));
            }
        }
    }
}
