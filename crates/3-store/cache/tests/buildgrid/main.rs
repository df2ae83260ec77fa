//! The gRPC back end against BuildGrid, a server of others.
#![cfg(test)]
#![expect(clippy::print_stderr, reason = "what the server offers is told")]

mod server;

use std::collections::HashMap;
use std::io::{self, Cursor, Read as _};
use std::sync::Arc;
use std::time::Duration;

use basalt_cache::{
    Blob, BlobSource, Cache, CallLimits, ContentAddressableStorage as _, Location, Remote, SecretKey, Settings,
};
use basalt_cache::{TrustedKeys, Upload, location::LocationKind};
use basalt_progress::Silent;
use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use server::BuildGrid;

fn remote(server: &BuildGrid, instance: &str) -> Remote {
    match Location::parse(&server.location(instance)).expect("a location").place {
        LocationKind::Server(server) => Remote::new(&server, limits()).expect("a client"),
        LocationKind::Folder(_) => panic!("a server"),
    }
}

fn limits() -> CallLimits {
    CallLimits {
        connect: Duration::from_secs(30),
        call: Duration::from_secs(120),
        ..CallLimits::default()
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
    let result = reapi::ActionResult {
        output_files,
        ..Default::default()
    };
    let upload = Upload {
        action: Blob::of("an action"),
        named: result.clone(),
        result,
        also: Vec::new(),
    };
    (upload, blobs)
}

#[test]
fn buildgrid_keeps_results_with_their_signatures() {
    let Some(server) = BuildGrid::start("buildgrid_keeps_results_with_their_signatures") else {
        return;
    };
    let features = *remote(&server, "team/main").features().expect("it is there");
    eprintln!("BuildGrid offers {features:?}");
    results_come_back(&server);
    large_blobs_come_back(&remote(&server, "team/main"));
    let other = remote(&server, "another");
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
    let unknown_signer = cache(
        &server.location("team/main"),
        &SecretKey::generate("other").expect("a name"),
        None,
    );
    let writer = cache(
        &server.location("team/main"),
        &SecretKey::generate("x").expect("a name"),
        Some(key),
    );
    let open = |blob: &Blob| -> io::Result<Box<dyn BlobSource>> {
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
        assert!(reader.fetch(&blob, &mut file).expect("written"), "{blob}");
        let mut content = Vec::new();
        io::Seek::rewind(&mut file).expect("rewinds");
        file.read_to_end(&mut content).expect("reads");
        assert_eq!(blobs.get(&blob), Some(&content));
    }
    let small: Vec<Blob> = blobs.keys().copied().filter(|blob| blob.size < 1000).collect();
    assert_eq!(reader.many_bytes(&small).len(), small.len());
    assert_eq!(reader.statistics()[0].1.failures, 0);
    assert!(unknown_signer.action_result(&upload.action).is_none());
    assert_eq!(unknown_signer.statistics()[0].1.untrusted, 1);
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
