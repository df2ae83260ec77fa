//! Transfers with a server that follows the protocol.

use std::io::Cursor;

use basalt_cache::{Blob, ContentAddressableStorage as _, Location, Remote, location::LocationKind};

use crate::fixture::{Team, UploadFixture, patient};
use crate::server::{ServerFault, Setup, TestServer, lock};

fn zstd(zstd: bool) -> TestServer {
    let (fault, token) = (ServerFault::None, None);
    TestServer::with(Setup { fault, zstd, token }, None)
}

fn remote(server: &TestServer) -> Remote {
    match Location::parse(&server.location()).expect("a location").place {
        LocationKind::Server(server) => Remote::new(&server, patient()).expect("a client"),
        LocationKind::Folder(_) => panic!("a server"),
    }
}

/// Uploads content while the server ends the first stream early; it has all of it afterwards.
fn upload_through_a_break(server: &TestServer, content: &[u8]) {
    let blob = Blob::of(content);
    server.set(ServerFault::UploadBreaks);
    remote(server).write(&blob, &mut Cursor::new(content)).expect("writes");
    let kept = lock(&server.state.blobs).get(&blob).cloned();
    assert_eq!(kept.as_deref(), Some(content));
}

#[test]
fn what_one_has_pushed_another_gets() {
    for compressed in [false, true] {
        let server = zstd(compressed);
        let team = Team::new();
        let built = UploadFixture::new("zlib");
        let (writer, _) = team.cache(&server.location(), patient());
        assert_eq!(built.package_from(&writer), None, "nothing is there yet");
        let pushed = built.push(&writer).expect("pushes");
        assert_eq!((pushed.locations, pushed.failed), (1, 0));
        assert_eq!(pushed.blobs, built.blobs.len() as u64);
        assert_eq!(built.push(&writer).expect("pushes").blobs, 0, "nothing is sent twice");
        let (reader, warnings) = team.cache(&server.location(), patient());
        assert_eq!(built.package_from(&reader).as_ref(), built.blobs.get(&built.package));
        assert_eq!(built.all_from(&reader).expect("complete"), built.outputs());
        let (_, statistics) = reader.statistics().remove(0);
        assert_eq!((statistics.hits, statistics.misses, statistics.failures), (2, 0, 0));
        assert!(warnings.all().is_empty());
        assert_eq!(server.calls("Read zstd=true") > 0, compressed);
        assert_eq!(server.calls("Upload zstd=true") > 0, compressed);
        assert!(server.calls("BatchReadBlobs") > 0 && server.calls("BatchUpdateBlobs") > 0);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_and_no_miss() {
    for compressed in [false, true] {
        let server = zstd(compressed);
        let team = Team::new();
        let built = UploadFixture::new("zlib");
        let (cache, warnings) = team.cache(&server.location(), patient());
        built.push(&cache).expect("pushes");
        let file = tempfile::NamedTempFile::new().expect("a file");
        // Opened for reading: writing to it fails.
        let mut into = fs_err::File::open(file.path()).expect("opened").into_file();
        cache
            .fetch(&built.package, &mut into)
            .expect_err("it cannot be written");
        // The cache is not to blame, and goes on.
        assert!(warnings.all().is_empty(), "{:?}", warnings.all());
        assert_eq!(built.package_from(&cache).as_ref(), built.blobs.get(&built.package));
    }
}

#[test]
fn outputs_without_content_are_known_by_their_digests() {
    let server = zstd(true);
    let team = Team::new();
    let mut built = UploadFixture::new("zlib");
    built.upload.named.output_files.clear();
    let (writer, _) = team.cache(&server.location(), patient());
    let pushed = built.push(&writer).expect("pushes");
    assert_eq!((pushed.locations, pushed.failed), (1, 0));
    assert!(!lock(&server.state.blobs).contains_key(&built.package));
    let (reader, warnings) = team.cache(&server.location(), patient());
    // The whole result comes back; its content is a miss, which is no failure of the cache.
    assert_eq!(built.package_from(&reader), None);
    let (_, statistics) = reader.statistics().remove(0);
    assert_eq!(
        (statistics.hits, statistics.blobs_missing, statistics.failures),
        (1, 1, 0)
    );
    assert!(warnings.all().is_empty());
}

#[test]
fn the_writer_of_a_result_is_unknown_to_other_teams() {
    let server = zstd(false);
    let built = UploadFixture::new("zlib");
    let (writer, _) = Team::new().cache(&server.location(), patient());
    built.push(&writer).expect("pushes");
    let (unknown_signer, warnings) = Team::new().cache(&server.location(), patient());
    assert_eq!(built.package_from(&unknown_signer), None);
    // Another key under the same name: that is a forgery as seen from here, and is said once.
    assert_eq!(built.package_from(&unknown_signer), None);
    assert_eq!(unknown_signer.statistics()[0].1.forged, 2);
    assert_eq!(warnings.all().len(), 1);
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    for compressed in [false, true] {
        let server = zstd(compressed);
        let blob = server.add(&b"0123456789".repeat(100_000));
        server.set(ServerFault::BreaksOnce);
        let mut content = Vec::new();
        remote(&server).read(&blob, &mut content).expect("reads");
        assert_eq!(Blob::of(&content), blob);
        let offsets: Vec<usize> = lock(&server.state.calls)
            .iter()
            .filter_map(|call| call.strip_prefix("Read zstd=false offset=")?.parse().ok())
            .collect();
        let second = *offsets.last().expect("a second try");
        assert!(second <= 500_000 && (compressed || second > 0), "{offsets:?}");
    }
}

#[test]
fn an_upload_goes_on_where_it_broke_off() {
    let server = zstd(false);
    upload_through_a_break(&server, &b"0123456789".repeat(200_000));
    assert_eq!(server.calls("Upload zstd=false offset=0"), 1);
    assert_eq!(server.calls("Upload zstd=false offset=524288"), 1);
    assert_eq!(server.calls("QueryWriteStatus"), 1);
}

#[test]
fn a_compressed_upload_that_breaks_off_is_sent_anew() {
    let server = zstd(true);
    let content = UploadFixture::new("kernel")
        .blobs
        .into_values()
        .max_by_key(Vec::len)
        .expect("a package");
    upload_through_a_break(&server, &content);
    assert_eq!(server.calls("Upload zstd=true offset=0"), 1);
    assert_eq!(server.calls("Upload zstd=false offset=0"), 1);
}

#[test]
fn several_locations_are_asked_in_their_order_and_filled_together() {
    let (first, second) = (zstd(false), zstd(true));
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("UTF-8");
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    let all = format!("{} {folder} {}?mode=read", first.location(), second.location());
    let (cache, _) = team.cache(&all, patient());
    let pushed = built.push(&cache).expect("pushes");
    assert_eq!(pushed.locations, 2, "mode=read is not written to");
    assert!(lock(&second.state.blobs).is_empty());
    // What the first has lost, the folder has.
    lock(&first.state.blobs).clear();
    assert_eq!(built.package_from(&cache).as_ref(), built.blobs.get(&built.package));
    lock(&first.state.results).clear();
    assert_eq!(built.all_from(&cache).expect("complete"), built.outputs());
    let counted: Vec<_> = cache.statistics().into_iter().map(|(_, counted)| counted).collect();
    assert_eq!(
        (counted[0].blobs_missing > 0, counted[1].hits, counted[2].hits),
        (true, 1, 0)
    );
}

#[test]
fn many_threads_use_one_cache() {
    let server = zstd(true);
    let team = Team::new();
    let (cache, warnings) = team.cache(&server.location(), patient());
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d", "e"] {
            let cache = &cache;
            scope.spawn(move || {
                let built = UploadFixture::new(name);
                assert_eq!(built.push(cache).expect("pushes").locations, 1);
                assert_eq!(built.all_from(cache).expect("complete"), built.outputs());
            });
        }
    });
    assert!(warnings.all().is_empty(), "{:?}", warnings.all());
    assert_eq!(server.calls("GetCapabilities"), 1);
}
