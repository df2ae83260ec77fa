//! The gRPC back end against BuildGrid, a server of others.
//!
//! `BASALT_BUILDGRID` names a Python environment in which it is installed: `python3 -m venv FOLDER; FOLDER/bin/pip
//! install buildgrid`. Without it, nothing is tested, and that is said.
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::collections::HashMap;
use std::io::{self, Cursor, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use basalt_cache::{
    Blob, Cache, ContentAddressableStorage as _, Limits, Location, Remote, SecretKey, Settings, Source,
};
use basalt_cache::{TrustedKeys, Upload, location::Place};
use basalt_process::Command;
use basalt_progress::Silent;
use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;

/// Time until it listens: Python imports a great deal, and the machine may be busy.
const START: Duration = Duration::from_secs(300);

struct BuildGrid {
    address: SocketAddr,
    child: Child,
    // Removes the folder when it is dropped.
    _folder: tempfile::TempDir,
}

impl Drop for BuildGrid {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl BuildGrid {
    fn start(environment: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("UTF-8");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let file = format!("{path}/server.yml");
        std::fs::write(&file, configuration(address, path)).expect("writes");
        let command = Command::new(format!("{environment}/bin/bgd")).args(["server", "start", &file]);
        let child = command
            .to_std()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("BASALT_BUILDGRID holds bin/bgd");
        let mut server = Self {
            address,
            child,
            _folder: folder,
        };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let ended = self.child.try_wait().expect("its status");
            assert!(ended.is_none(), "BuildGrid has ended: {ended:?}");
            assert!(begun.elapsed() < START, "BuildGrid does not listen");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn location(&self, instance: &str) -> String {
        format!("grpc://{}/{instance}", self.address)
    }

    fn remote(&self, instance: &str) -> Remote {
        match Location::parse(&self.location(instance)).expect("a location").place {
            Place::Server(server) => Remote::new(&server, limits()).expect("a client"),
            Place::Folder(_) => panic!("a server"),
        }
    }
}

fn configuration(address: SocketAddr, folder: &str) -> String {
    format!(
        "server:
  - !channel
    address: '{address}'
    insecure-mode: true
description: cache
authorization:
  method: none
monitoring:
  enabled: false
storages:
  - !disk-storage &cas
    path: {folder}/cas
caches:
  - !lru-action-cache &ac
    storage: *cas
    max-cached-refs: 1000
    allow-updates: true
    cache-failed-actions: false
instances:
  - name: 'team/main'
    description: cache
    storages: [*cas]
    caches: [*ac]
    services:
      - !action-cache
        cache: *ac
      - !cas
        storage: *cas
      - !bytestream
        storage: *cas
thread-pool-size: 20
"
    )
}

fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(30),
        call: Duration::from_secs(120),
        ..Limits::default()
    }
}

fn cache(location: &str, trusted: &SecretKey, signer: Option<SecretKey>) -> Cache {
    let settings = Settings {
        locations: vec![Location::parse(location).expect("a location")],
        trusted: TrustedKeys::new([trusted.public()]).expect("one key"),
        signer,
        limits: limits(),
    };
    Cache::new(settings, Arc::new(Silent))
}

/// A result of a large file and two hundred small ones.
fn built() -> (Upload, HashMap<Blob, Vec<u8>>) {
    let digests = (0..100_000u32).map(|index| Blob::of(index.to_le_bytes()).digest.to_hex());
    let large = digests.collect::<String>().into_bytes();
    let small = (0..200u32).map(|index| format!("file {index}").into_bytes());
    let blobs: HashMap<Blob, Vec<u8>> = small
        .chain([large, Vec::new()])
        .map(|content| (Blob::of(&content), content))
        .collect();
    let file = |blob: &Blob| reapi::OutputFile {
        path: blob.digest.short(),
        digest: Some(blob.to_proto()),
        ..Default::default()
    };
    let mut output_files: Vec<_> = blobs.keys().map(file).collect();
    output_files.sort_by(|a, b| a.path.cmp(&b.path));
    let upload = Upload {
        action: Blob::of("an action"),
        result: reapi::ActionResult {
            output_files,
            ..Default::default()
        },
        also: Vec::new(),
    };
    (upload, blobs)
}

#[test]
fn buildgrid_keeps_results_with_their_signatures() {
    let Ok(environment) = std::env::var("BASALT_BUILDGRID") else {
        eprintln!("SKIPPED: no cache of others is tried, because BASALT_BUILDGRID names no environment with BuildGrid");
        return;
    };
    let server = BuildGrid::start(&environment);
    let features = *server.remote("team/main").features().expect("it is there");
    eprintln!("BuildGrid offers {features:?}");
    results_come_back(&server);
    large_blobs_come_back(&server.remote("team/main"));
    let other = server.remote("another");
    assert!(
        other.read(&Blob::of("a"), &mut Vec::new()).is_err(),
        "the instance is part of every name"
    );
}

fn results_come_back(server: &BuildGrid) {
    let (upload, blobs) = built();
    let key = SecretKey::generate("team").expect("a name");
    let reader = cache(&server.location("team/main"), &key, None);
    assert!(reader.action_result(&upload.action).is_none(), "nothing is there yet");
    let stranger = cache(
        &server.location("team/main"),
        &SecretKey::generate("other").expect("a name"),
        None,
    );
    let writer = cache(
        &server.location("team/main"),
        &SecretKey::generate("x").expect("a name"),
        Some(key),
    );
    let open = |blob: &Blob| -> io::Result<Box<dyn Source>> {
        let content = blobs.get(blob).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(content.clone())))
    };
    let pushed = writer.push(&upload, &open).expect("pushes");
    assert_eq!((pushed.locations, pushed.failed), (1, 0), "{:?}", writer.statistics());
    assert_eq!(
        writer.push(&upload, &open).expect("pushes").blobs,
        0,
        "nothing is sent twice"
    );
    let (hit, named) = reader.complete_result(&upload.action).expect("a hit");
    assert_eq!(hit.result, upload.result);
    assert_eq!(named.len(), blobs.len());
    for blob in named {
        let mut file = tempfile::tempfile().expect("a file");
        assert!(reader.fetch(&blob, &mut file), "{blob}");
        let mut content = Vec::new();
        io::Seek::rewind(&mut file).expect("rewinds");
        file.read_to_end(&mut content).expect("reads");
        assert_eq!(blobs.get(&blob), Some(&content));
    }
    let small: Vec<Blob> = blobs.keys().copied().filter(|blob| blob.size < 1000).collect();
    assert_eq!(reader.many_bytes(&small).len(), small.len());
    assert_eq!(reader.statistics()[0].1.failures, 0);
    assert!(stranger.action_result(&upload.action).is_none());
    assert_eq!(stranger.statistics()[0].1.untrusted, 1);
}

fn large_blobs_come_back(remote: &Remote) {
    let content: Vec<u8> = (0..24u32 << 20)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let blob = Blob::of(&content);
    assert_eq!(remote.missing(&[blob, Blob::empty()]).expect("asks"), [blob]);
    remote.write(&blob, &mut Cursor::new(&content)).expect("writes");
    assert!(remote.missing(&[blob]).expect("asks").is_empty());
    let mut read = Vec::new();
    remote.read(&blob, &mut read).expect("reads");
    assert!(read == content);
}
