//! Cache on a server that speaks Bazel's Remote Execution API v2 over gRPC.
//!
//! Services: `Capabilities`, `ActionCache`, `ContentAddressableStorage` and `google.bytestream.ByteStream`. Digests are
//! SHA-256. Streams are compressed with zstd (`compressed-blobs`) where the server's capabilities offer it.
//!
//! Calls are synchronous, as the rest of Basalt is threads: a tokio runtime with one worker is kept inside, and every call
//! waits on the thread that makes it. They may be made from several threads at once, but not from inside another tokio
//! runtime. Each call looks for Ctrl-C ten times a second.
//!
//! Servers are not trusted. Every answer is bounded in size before it is decoded, every wait in time.

use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_client::ActionCacheClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_client::CapabilitiesClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ActionResult, GetActionResultRequest, GetCapabilitiesRequest, UpdateActionResultRequest, digest_function,
};
use tokio::runtime::Runtime;
use tonic::{Code, Status};

use crate::backend::ActionCache;
use crate::canonical::MAX_RESULT;
use crate::error::{CacheError, chain, sanitize};
use crate::location::Server;
use crate::retry::{CallLimits, pause};
use basalt_action::Blob;

mod batch;
mod capabilities;
mod channel;
mod download;
mod outgoing;
mod resource;
mod upload;

pub use capabilities::Features;

/// Bytes of an answer that may be larger than what it carries.
const OVERHEAD: usize = 64 << 10;

/// Size below which compression is not worth a frame.
const COMPRESSED_FROM: u64 = 4 << 10;

/// SHA-256, as messages name it.
const SHA256: i32 = digest_function::Value::Sha256 as i32;

/// A cache on a server.
pub struct Remote {
    name: String,
    instance: String,
    limits: CallLimits,
    channel: channel::Authorized,
    features: OnceLock<Features>,
    asking: Mutex<()>,
    // The last field: dropped after all that runs in it.
    runtime: Runtime,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.name)
    }
}

impl Remote {
    /// Prepares a client. The server is first spoken to by the first call.
    ///
    /// # Errors
    /// When the token or the certificate authorities cannot be read.
    pub fn new(server: &Server, limits: CallLimits) -> Result<Self, CacheError> {
        let name = server.to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("basalt-cache")
            .enable_all()
            .build()
            .map_err(|error| CacheError::Unsupported {
                cache: name.clone(),
                why: format!("no thread can be started: {error}"),
            })?;
        let channel = {
            let _inside = runtime.enter();
            channel::connect(server, &limits)?
        };
        Ok(Self {
            name,
            instance: server.instance.clone(),
            limits,
            channel,
            features: OnceLock::new(),
            asking: Mutex::default(),
            runtime,
        })
    }

    /// Returns the server's capabilities (`GetCapabilities`), which are requested once.
    ///
    /// # Errors
    /// When the request fails, or the server lacks a capability that is required.
    pub fn features(&self) -> Result<&Features, CacheError> {
        let _asking = self.asking.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(features) = self.features.get() {
            return Ok(features);
        }
        let request = GetCapabilitiesRequest {
            instance_name: self.instance.clone(),
        };
        let answer = self.unary("GetCapabilities", || {
            let mut client = CapabilitiesClient::new(self.channel.clone()).max_decoding_message_size(OVERHEAD);
            let request = request.clone();
            async move { client.get_capabilities(request).await }
        });
        let features = match answer {
            // An old server without the service: what every one can.
            Err(CacheError::Server {
                code: Code::Unimplemented,
                ..
            }) => Features::default(),
            other => Features::check(&other?).map_err(|why| CacheError::Unsupported {
                cache: self.name.clone(),
                why,
            })?,
        };
        Ok(self.features.get_or_init(|| features))
    }

    /// Makes a call without streams, again where that may help.
    fn unary<T, F>(&self, call: &'static str, make: impl Fn() -> F) -> Result<T, CacheError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.retried(|_| {
            let answer = self.wait(call, self.limits.call, async { Ok(make().await) })?;
            answer
                .map(tonic::Response::into_inner)
                .map_err(|status| self.status(call, &status))
        })
    }

    /// Tries again what failed in a way that may pass. The closure gets the number of the try, from 1.
    fn retried<T>(&self, mut attempt: impl FnMut(u32) -> Result<T, CacheError>) -> Result<T, CacheError> {
        let mut count = 1;
        loop {
            let error = match attempt(count) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(pause) = pause(&self.limits, count, &error) else {
                return Err(error);
            };
            tracing::debug!(cache = %self.name, %error, "tried again");
            self.wait("a pause", pause * 2, async {
                tokio::time::sleep(pause).await;
                Ok(())
            })?;
            count += 1;
        }
    }

    /// Waits for a future on this thread, until it is done, its time is over, or Ctrl-C.
    fn wait<T>(
        &self,
        call: &'static str,
        limit: Duration,
        future: impl Future<Output = Result<T, CacheError>>,
    ) -> Result<T, CacheError> {
        let end = Instant::now() + limit;
        self.runtime.block_on(async {
            let mut future = std::pin::pin!(future);
            loop {
                if let Ok(done) = tokio::time::timeout(Duration::from_millis(100), future.as_mut()).await {
                    return done;
                }
                basalt_process::interrupt::check()?;
                if Instant::now() >= end {
                    return Err(self.timed_out(call, limit));
                }
            }
        })
    }

    fn timed_out(&self, call: &'static str, limit: Duration) -> CacheError {
        CacheError::TimedOut {
            cache: self.name.clone(),
            call,
            seconds: limit.as_secs(),
        }
    }

    /// The error that a gRPC status stands for.
    fn status(&self, call: &'static str, status: &Status) -> CacheError {
        let cache = self.name.clone();
        let message = sanitize(status.message());
        let transport = std::error::Error::source(status).filter(|source| source.is::<tonic::transport::Error>());
        match (status.code(), transport) {
            (Code::Unavailable | Code::Unknown, Some(error)) => CacheError::Unreachable {
                cache,
                why: sanitize(&chain(error)),
            },
            (Code::Unauthenticated | Code::PermissionDenied, _) => CacheError::Refused { cache, call, message },
            (Code::DeadlineExceeded, _) => self.timed_out(call, self.limits.call),
            // What tonic says of an answer that is larger than it may be, or cannot be decoded.
            (Code::OutOfRange, _) if message.contains("message length too large") => CacheError::Protocol {
                cache,
                call,
                why: message,
            },
            (code, _) => CacheError::Server {
                cache,
                call,
                code,
                message,
            },
        }
    }

    fn protocol(&self, call: &'static str, why: impl Into<String>) -> CacheError {
        CacheError::Protocol {
            cache: self.name.clone(),
            call,
            why: why.into(),
        }
    }

    fn unsupported(&self, why: impl Into<String>) -> CacheError {
        CacheError::Unsupported {
            cache: self.name.clone(),
            why: why.into(),
        }
    }

    fn missing_blob(&self, blob: &Blob) -> CacheError {
        CacheError::Missing {
            cache: self.name.clone(),
            blob: *blob,
        }
    }
}

impl ActionCache for Remote {
    fn action_result(&self, action: &Blob) -> Result<Option<ActionResult>, CacheError> {
        self.features()?;
        let request = GetActionResultRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(action.to_proto()),
            digest_function: SHA256,
            ..Default::default()
        };
        let answer = self.unary("GetActionResult", || {
            let mut client = ActionCacheClient::new(self.channel.clone()).max_decoding_message_size(MAX_RESULT);
            let request = request.clone();
            async move { client.get_action_result(request).await }
        });
        match answer {
            Ok(result) => Ok(Some(result)),
            Err(CacheError::Server {
                code: Code::NotFound, ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put_action_result(&self, action: &Blob, result: &ActionResult) -> Result<(), CacheError> {
        if !self.features()?.update {
            return Err(self.unsupported("its action cache takes no results from clients; name it with `?mode=read`"));
        }
        let request = UpdateActionResultRequest {
            instance_name: self.instance.clone(),
            action_digest: Some(action.to_proto()),
            action_result: Some(result.clone()),
            digest_function: SHA256,
            ..Default::default()
        };
        self.unary("UpdateActionResult", || {
            let mut client = ActionCacheClient::new(self.channel.clone()).max_decoding_message_size(MAX_RESULT);
            let request = request.clone();
            async move { client.update_action_result(request).await }
        })
        .map(drop)
    }
}
