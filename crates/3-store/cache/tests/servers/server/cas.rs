//! `ContentAddressableStorage` of the test server.

use basalt_cache::Blob;
use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use bazel_remote_apis::google::rpc;
use reapi::content_addressable_storage_server::ContentAddressableStorage;
use tokio_stream::Empty;
use tonic::{Code, Request, Response, Status, Streaming};

use super::{ServerFault, Service, lock};

fn status(code: Code) -> Option<rpc::Status> {
    Some(rpc::Status {
        code: code as i32,
        ..Default::default()
    })
}

#[tonic::async_trait]
impl ContentAddressableStorage for Service {
    type GetTreeStream = Empty<Result<reapi::GetTreeResponse, Status>>;
    type GetChunkMappingStream = Empty<Result<reapi::GetChunkMappingResponse, Status>>;

    async fn find_missing_blobs(
        &self,
        request: Request<reapi::FindMissingBlobsRequest>,
    ) -> Result<Response<reapi::FindMissingBlobsResponse>, Status> {
        let fault = self
            .enter("FindMissingBlobs", &request.get_ref().instance_name, &request)
            .await?;
        let blobs = lock(&self.0.blobs);
        let absent = |digest: &reapi::Digest| Blob::try_from(digest).is_ok_and(|blob| !blobs.contains_key(&blob));
        let missing_blob_digests = match fault {
            ServerFault::ClaimsAll => Vec::new(),
            ServerFault::MissesUnasked => vec![Blob::of("unasked").to_proto()],
            _ => request.into_inner().blob_digests.into_iter().filter(absent).collect(),
        };
        Ok(Response::new(reapi::FindMissingBlobsResponse { missing_blob_digests }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<reapi::BatchUpdateBlobsRequest>,
    ) -> Result<Response<reapi::BatchUpdateBlobsResponse>, Status> {
        self.enter("BatchUpdateBlobs", &request.get_ref().instance_name, &request)
            .await?;
        let mut blobs = lock(&self.0.blobs);
        let mut update = |request: reapi::batch_update_blobs_request::Request| {
            let blob = Blob::of(&request.data);
            let right = request.digest == Some(blob.to_proto());
            if right {
                blobs.insert(blob, request.data);
            }
            reapi::batch_update_blobs_response::Response {
                digest: request.digest,
                status: status(if right { Code::Ok } else { Code::InvalidArgument }),
            }
        };
        let responses = request.into_inner().requests.into_iter().map(&mut update).collect();
        Ok(Response::new(reapi::BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<reapi::BatchReadBlobsRequest>,
    ) -> Result<Response<reapi::BatchReadBlobsResponse>, Status> {
        let fault = self
            .enter("BatchReadBlobs", &request.get_ref().instance_name, &request)
            .await?;
        let blobs = lock(&self.0.blobs);
        let read = |digest: reapi::Digest| {
            let content = Blob::try_from(&digest).ok().and_then(|blob| blobs.get(&blob).cloned());
            let mut data = content.clone().unwrap_or_default();
            match fault {
                ServerFault::FlippedBit => data.iter_mut().take(1).for_each(|byte| *byte ^= 1),
                ServerFault::TooLong => data.push(0),
                ServerFault::EndsEarly => data.truncate(data.len() / 2),
                ServerFault::HugeMessage => data.resize(3 << 20, 0),
                _ => {}
            }
            reapi::batch_read_blobs_response::Response {
                digest: Some(digest),
                data,
                compressor: 0,
                status: status(content.map_or(Code::NotFound, |_| Code::Ok)),
            }
        };
        let mut responses: Vec<_> = request.into_inner().digests.into_iter().map(read).collect();
        if fault == ServerFault::MissesUnasked {
            responses.clear();
        }
        Ok(Response::new(reapi::BatchReadBlobsResponse { responses }))
    }

    async fn get_tree(&self, _: Request<reapi::GetTreeRequest>) -> Result<Response<Self::GetTreeStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn split_blob(
        &self,
        _: Request<reapi::SplitBlobRequest>,
    ) -> Result<Response<reapi::SplitBlobResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn get_chunk_mapping(
        &self,
        _: Request<reapi::GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn splice_blob(
        &self,
        _: Request<reapi::SpliceBlobRequest>,
    ) -> Result<Response<reapi::SpliceBlobResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<reapi::RegisterChunkMappingRequest>>,
    ) -> Result<Response<reapi::RegisterChunkMappingResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}
