//! `ByteStream` of the test server.

use std::time::Duration;

use basalt_cache::Blob;
use bazel_remote_apis::google::bytestream as stream;
use stream::byte_stream_server::ByteStream;
use stream::{ReadRequest, ReadResponse, WriteRequest, WriteResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{ServerFault, Service, a_while, lock};

type Sender = mpsc::Sender<Result<ReadResponse, Status>>;

/// Parsed resource name: `team[/uploads/UUID]/(blobs|compressed-blobs/zstd)/HASH/SIZE`.
struct Name {
    instance: String,
    zstd: bool,
    blob: Blob,
}

/// Length of a content, as the protocol has it.
fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).expect("less than 2^63 bytes")
}

fn parse(name: &str) -> Result<Name, Status> {
    let wrong = || Status::invalid_argument(format!("the resource `{name}`"));
    let parts: Vec<&str> = name.split('/').collect();
    let (instance, rest) = parts.split_first().ok_or_else(wrong)?;
    let rest = match rest {
        ["uploads", _, rest @ ..] => rest,
        rest => rest,
    };
    let (zstd, hash, size) = match rest {
        ["blobs", hash, size] => (false, hash, size),
        ["compressed-blobs", "zstd", hash, size] => (true, hash, size),
        _ => return Err(wrong()),
    };
    Ok(Name {
        instance: (*instance).to_owned(),
        zstd,
        blob: Blob {
            digest: hash.parse().map_err(|_| wrong())?,
            size: size.parse().map_err(|_| wrong())?,
        },
    })
}

async fn send(sender: &Sender, data: Vec<u8>) -> bool {
    sender.send(Ok(ReadResponse { data })).await.is_ok()
}

/// Frames of a few bytes that grow to 8 GiB: one block of zeros, repeated.
fn bomb() -> Vec<u8> {
    let frame = zstd::stream::encode_all(std::io::repeat(0).take_bytes(64 << 20), 1).expect("compresses");
    frame.repeat(128)
}

trait TakeBytes: std::io::Read + Sized {
    fn take_bytes(self, bytes: u64) -> std::io::Take<Self> {
        std::io::Read::take(self, bytes)
    }
}

impl<R: std::io::Read> TakeBytes for R {}

/// Sends a blob as a conforming server does, or in another way.
async fn serve(sender: Sender, fault: ServerFault, data: Vec<u8>) {
    let half = data.len() / 2;
    match fault {
        ServerFault::Endless => while send(&sender, vec![7; 64 << 10]).await {},
        ServerFault::EndlessNothing => while send(&sender, Vec::new()).await {},
        ServerFault::ZstdNothing => {
            let nothing = zstd::stream::encode_all(&[][..], 1).expect("compresses").repeat(1000);
            while send(&sender, nothing.clone()).await {}
        }
        ServerFault::EndsEarly => drop(send(&sender, data[..half].to_vec()).await),
        ServerFault::BreaksAlways | ServerFault::BreaksOnce => {
            send(&sender, data[..half].to_vec()).await;
            let _ = sender.send(Err(Status::unavailable("broke off"))).await;
        }
        ServerFault::HangsMidway => {
            send(&sender, data[..half].to_vec()).await;
            sender.closed().await;
        }
        ServerFault::Drips => {
            for byte in data {
                if !send(&sender, vec![byte]).await {
                    break;
                }
                a_while().await;
            }
        }
        ServerFault::HugeMessage => drop(send(&sender, vec![0; 64 << 20]).await),
        ServerFault::TooLong => drop(send(&sender, [data, vec![0]].concat()).await),
        _ => {
            for chunk in data.chunks(100_000) {
                if !send(&sender, chunk.to_vec()).await {
                    break;
                }
            }
        }
    }
}

#[tonic::async_trait]
impl ByteStream for Service {
    type ReadStream = ReceiverStream<Result<ReadResponse, Status>>;

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Self::ReadStream>, Status> {
        let name = parse(&request.get_ref().resource_name)?;
        let offset = usize::try_from(request.get_ref().read_offset).unwrap_or_default();
        let call = format!("Read zstd={} offset={offset}", name.zstd);
        let fault = self.enter(&call, &name.instance, &request).await?;
        if matches!(fault, ServerFault::HalfEmpty | ServerFault::ClaimsAll) {
            return Err(Status::not_found("no blob"));
        }
        let content = lock(&self.0.blobs).get(&name.blob).cloned();
        let mut data = content.ok_or_else(|| Status::not_found("no blob"))?.split_off(offset);
        if fault == ServerFault::FlippedBit {
            data.iter_mut().take(1).for_each(|byte| *byte ^= 1);
        }
        if fault == ServerFault::BreaksOnce {
            *lock(&self.0.fault) = ServerFault::None;
        }
        let data = match (name.zstd, fault) {
            (true, ServerFault::ZstdNoise) => vec![0xa5; 100_000],
            (true, ServerFault::ZstdBomb) => bomb(),
            (true, _) => zstd::stream::encode_all(&*data, 1).expect("compresses"),
            (false, _) => data,
        };
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(serve(sender, fault, data));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn write(&self, request: Request<Streaming<WriteRequest>>) -> Result<Response<WriteResponse>, Status> {
        let fault = self.enter("Write", "team", &request).await?;
        let mut stream = request.into_inner();
        let mut upload: Option<(String, Name)> = None;
        while let Some(message) = stream.message().await? {
            let (key, name) = match upload.take() {
                Some(upload) => upload,
                None => self.begin(&message)?,
            };
            self.append(&key, &message)?;
            if fault == ServerFault::UploadBreaks {
                *lock(&self.0.fault) = ServerFault::None;
                return Err(Status::unavailable("broke off"));
            }
            if message.finish_write {
                let received = lock(&self.0.uploads).remove(&key).unwrap_or_default();
                return self.finish(fault, &name, received).await;
            }
            upload = Some((key, name));
        }
        Err(Status::invalid_argument("no end"))
    }

    async fn query_write_status(
        &self,
        request: Request<stream::QueryWriteStatusRequest>,
    ) -> Result<Response<stream::QueryWriteStatusResponse>, Status> {
        self.enter("QueryWriteStatus", "team", &request).await?;
        let uploads = lock(&self.0.uploads);
        let received = uploads.get(&request.get_ref().resource_name);
        let received = received.ok_or_else(|| Status::not_found("no upload"))?;
        Ok(Response::new(stream::QueryWriteStatusResponse {
            committed_size: length(received),
            complete: false,
        }))
    }
}

impl Service {
    fn begin(&self, message: &WriteRequest) -> Result<(String, Name), Status> {
        let key = message.resource_name.clone();
        let name = parse(&key)?;
        let call = format!("Upload zstd={} offset={}", name.zstd, message.write_offset);
        lock(&self.0.calls).push(call);
        Ok((key, name))
    }

    fn append(&self, key: &str, message: &WriteRequest) -> Result<(), Status> {
        let mut uploads = lock(&self.0.uploads);
        let received = uploads.entry(key.to_owned()).or_default();
        if message.write_offset != length(received) {
            return Err(Status::invalid_argument(format!("offset {}", message.write_offset)));
        }
        if message.data.len() > 1 << 20 {
            return Err(Status::invalid_argument("a chunk over 1 MiB"));
        }
        received.extend_from_slice(&message.data);
        Ok(())
    }

    async fn finish(
        &self,
        fault: ServerFault,
        name: &Name,
        received: Vec<u8>,
    ) -> Result<Response<WriteResponse>, Status> {
        if fault == ServerFault::UploadHangs {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
        let committed = length(&received);
        let content = match name.zstd {
            true => {
                zstd::stream::decode_all(&*received).map_err(|error| Status::invalid_argument(error.to_string()))?
            }
            false => received,
        };
        if Blob::of(&content) != name.blob {
            return Err(Status::invalid_argument("the digest differs"));
        }
        if fault == ServerFault::TakesHalf {
            return Ok(Response::new(WriteResponse {
                committed_size: committed / 2,
            }));
        }
        lock(&self.0.blobs).insert(name.blob, content);
        Ok(Response::new(WriteResponse {
            committed_size: committed,
        }))
    }
}
