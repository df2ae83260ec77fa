//! `ActionCache` of the test server.

use basalt_cache::Blob;
use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use reapi::action_cache_server::ActionCache;
use tonic::{Request, Response, Status};

use super::{ServerFault, Service, lock};

fn blob(digest: Option<&reapi::Digest>) -> Result<Blob, Status> {
    let digest = digest.ok_or_else(|| Status::invalid_argument("no digest"))?;
    Blob::try_from(digest).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn changed(fault: ServerFault, mut result: reapi::ActionResult) -> reapi::ActionResult {
    match fault {
        ServerFault::ChangedResult => {
            let metadata = result.execution_metadata.get_or_insert_default();
            for any in &mut metadata.auxiliary_metadata {
                // A path inside of what was signed.
                let at = any.value.windows(3).position(|bytes| bytes == b"rpm").expect("an RPM");
                any.value[at..at + 3].copy_from_slice(b"exe");
            }
        }
        ServerFault::StrippedResult => result.execution_metadata = None,
        ServerFault::HugeResult => result.stdout_raw = vec![0; 64 << 20],
        _ => {}
    }
    result
}

#[tonic::async_trait]
impl ActionCache for Service {
    async fn get_action_result(
        &self,
        request: Request<reapi::GetActionResultRequest>,
    ) -> Result<Response<reapi::ActionResult>, Status> {
        let fault = self
            .enter("GetActionResult", &request.get_ref().instance_name, &request)
            .await?;
        let action = blob(request.get_ref().action_digest.as_ref())?;
        let results = lock(&self.0.results);
        let found = match fault {
            ServerFault::AnothersResult => results.values().next(),
            _ => results.get(&action),
        };
        let mut result = found.cloned().ok_or_else(|| Status::not_found("no result"))?;
        // As bazel-remote does: the worker's name is filled in, which breaks no signature.
        let metadata = result.execution_metadata.get_or_insert_default();
        metadata.worker = "127.0.0.1".to_owned();
        Ok(Response::new(changed(fault, result)))
    }

    async fn update_action_result(
        &self,
        request: Request<reapi::UpdateActionResultRequest>,
    ) -> Result<Response<reapi::ActionResult>, Status> {
        self.enter("UpdateActionResult", &request.get_ref().instance_name, &request)
            .await?;
        let request = request.into_inner();
        let action = blob(request.action_digest.as_ref())?;
        let result = request
            .action_result
            .ok_or_else(|| Status::invalid_argument("no result"))?;
        lock(&self.0.results).insert(action, result.clone());
        Ok(Response::new(result))
    }
}
