//! A REAPI v2 cache in memory, on loopback, which conforms or has one fault.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use basalt_cache::Blob;
use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use bazel_remote_apis::google::bytestream as stream;
use reapi::action_cache_server::ActionCacheServer;
use reapi::capabilities_server::{Capabilities, CapabilitiesServer};
use reapi::content_addressable_storage_server::ContentAddressableStorageServer;
use stream::byte_stream_server::ByteStreamServer;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, ServerTlsConfig};
use tonic::{Request, Response, Status};

mod bytes;
mod cas;
mod results;

/// Fault that the test server simulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerFault {
    /// No fault.
    None,
    /// Content of the right size with one bit flipped.
    FlippedBit,
    /// More bytes than the blob has.
    TooLong,
    /// Data without an end.
    Endless,
    /// Empty messages without an end.
    EndlessNothing,
    /// Half of the blob, and a proper end.
    EndsEarly,
    /// Half of the blob, then an error; every time.
    BreaksAlways,
    /// Half of the blob, then an error; the first time.
    BreaksOnce,
    /// No answer at all.
    Hangs,
    /// Capabilities are told, everything else hangs.
    HangsLater,
    /// Half of the blob, and then nothing.
    HangsMidway,
    /// A byte every now and then.
    Drips,
    /// A message of 64 MiB.
    HugeMessage,
    /// Noise where zstd was announced.
    ZstdNoise,
    /// A zstd frame that grows to 8 GiB.
    ZstdBomb,
    /// A zstd stream of frames with nothing in them, without an end.
    ZstdNothing,
    /// Results of which no blob is there.
    HalfEmpty,
    /// `FindMissingBlobs` reports nothing as missing, and no blob can be read.
    ClaimsAll,
    /// Blobs are missing that were not asked for.
    MissesUnasked,
    /// The result of another action.
    AnothersResult,
    /// A result with changed outputs, the signature left as it was.
    ChangedResult,
    /// A result without its signature.
    StrippedResult,
    /// A result of 64 MiB.
    HugeResult,
    /// `UNAVAILABLE`, whatever is asked.
    Unavailable,
    /// `INTERNAL` with a message full of control characters.
    ControlCharacters,
    /// No SHA-256.
    OtherDigests,
    /// Results may not be written.
    ReadOnly,
    /// Uploads are acknowledged with fewer bytes than they had.
    TakesHalf,
    /// The first upload breaks off in the middle, and may be continued.
    UploadBreaks,
    /// An upload's answer never comes.
    UploadHangs,
}

/// State of the test server: its content, its fault, and the calls it has received.
#[derive(Debug)]
pub struct State {
    pub fault: Mutex<ServerFault>,
    zstd: bool,
    token: Option<&'static str>,
    pub blobs: Mutex<HashMap<Blob, Vec<u8>>>,
    pub results: Mutex<HashMap<Blob, reapi::ActionResult>>,
    pub uploads: Mutex<HashMap<String, Vec<u8>>>,
    /// Names of the calls that came, with what they were about.
    pub calls: Mutex<Vec<String>>,
}

/// A server that runs until it is dropped.
pub struct TestServer {
    pub state: Arc<State>,
    pub address: SocketAddr,
    // Ends the server when it is dropped.
    runtime: Option<tokio::runtime::Runtime>,
}

/// Configuration of a test server.
#[derive(Clone, Copy)]
pub struct Setup {
    pub fault: ServerFault,
    pub zstd: bool,
    pub token: Option<&'static str>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TestServer {
    pub fn start(fault: ServerFault) -> Self {
        let (zstd, token) = (false, None);
        Self::with(Setup { fault, zstd, token }, None)
    }

    pub fn with(setup: Setup, identity: Option<Identity>) -> Self {
        let state = Arc::new(State {
            fault: Mutex::new(setup.fault),
            zstd: setup.zstd,
            token: setup.token,
            blobs: Mutex::default(),
            results: Mutex::default(),
            uploads: Mutex::default(),
            calls: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a port of loopback");
        let address = listener.local_addr().expect("an address");
        let mut builder = tonic::transport::Server::builder();
        if let Some(identity) = identity {
            builder = builder
                .tls_config(ServerTlsConfig::new().identity(identity))
                .expect("TLS");
        }
        let service = || Service(Arc::clone(&state));
        let large = 256 << 20;
        let router = builder
            .add_service(CapabilitiesServer::new(service()))
            .add_service(ActionCacheServer::new(service()).max_encoding_message_size(large))
            .add_service(ContentAddressableStorageServer::new(service()))
            .add_service(ByteStreamServer::new(service()).max_encoding_message_size(large));
        runtime.spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Self {
            state,
            address,
            runtime: Some(runtime),
        }
    }

    /// The location of its instance `team`.
    pub fn location(&self) -> String {
        format!("grpc://{}/team", self.address)
    }

    pub fn add(&self, content: &[u8]) -> Blob {
        let blob = Blob::of(content);
        lock(&self.state.blobs).insert(blob, content.to_vec());
        blob
    }

    pub fn set(&self, fault: ServerFault) {
        *lock(&self.state.fault) = fault;
    }

    pub fn calls(&self, name: &str) -> usize {
        lock(&self.state.calls)
            .iter()
            .filter(|call| call.starts_with(name))
            .count()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The services, over one state.
pub struct Service(Arc<State>);

impl Service {
    fn fault(&self) -> ServerFault {
        *lock(&self.0.fault)
    }

    /// Checks that every call begins with: instance, token, and faults that concern all calls.
    async fn enter<T>(&self, call: &str, instance: &str, request: &Request<T>) -> Result<ServerFault, Status> {
        lock(&self.0.calls).push(call.to_owned());
        let sent = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        if let Some(token) = self.0.token.filter(|token| sent != Some(&format!("Bearer {token}"))) {
            return Err(Status::unauthenticated(format!(
                "a token of {} characters is wanted",
                token.len()
            )));
        }
        if instance != "team" {
            return Err(Status::invalid_argument(format!("no instance `{instance}`")));
        }
        let fault = self.fault();
        match fault {
            ServerFault::Hangs => std::future::pending().await,
            ServerFault::HangsLater if call != "GetCapabilities" => std::future::pending().await,
            ServerFault::Unavailable => return Err(Status::unavailable("gone for lunch")),
            ServerFault::ControlCharacters => return Err(Status::internal(format!("\x1b[31m\n{}", "a".repeat(5000)))),
            _ => {}
        }
        Ok(fault)
    }
}

#[tonic::async_trait]
impl Capabilities for Service {
    async fn get_capabilities(
        &self,
        request: Request<reapi::GetCapabilitiesRequest>,
    ) -> Result<Response<reapi::ServerCapabilities>, Status> {
        let fault = self
            .enter("GetCapabilities", &request.get_ref().instance_name, &request)
            .await?;
        let digest = match fault {
            ServerFault::OtherDigests => reapi::digest_function::Value::Sha512,
            _ => reapi::digest_function::Value::Sha256,
        };
        let compressors = match self.0.zstd {
            true => vec![reapi::compressor::Value::Zstd as i32],
            false => Vec::new(),
        };
        Ok(Response::new(reapi::ServerCapabilities {
            cache_capabilities: Some(reapi::CacheCapabilities {
                digest_functions: vec![digest as i32],
                action_cache_update_capabilities: Some(reapi::ActionCacheUpdateCapabilities {
                    update_enabled: fault != ServerFault::ReadOnly,
                }),
                max_batch_total_size_bytes: 1 << 20,
                supported_compressors: compressors,
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

/// A pause that ends with the test.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}
