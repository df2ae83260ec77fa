//! Faulty servers (wrong content, hanging, failing): each costs time and a warning, never a wrong result.

use std::time::{Duration, Instant};

use basalt_cache::CacheError;

use crate::fixture::{Team, UploadFixture, impatient, patient};
use crate::server::{ServerFault, Setup, TestServer};

/// A server that was filled without a fault, and has one from then on.
fn faulty(fault: ServerFault, zstd: bool, team: &Team, built: &UploadFixture) -> TestServer {
    let setup = Setup {
        fault: ServerFault::None,
        zstd,
        token: None,
    };
    let server = TestServer::with(setup, None);
    let (writer, _) = team.cache(&server.location(), patient());
    assert_eq!(built.push(&writer).expect("pushes").locations, 1);
    server.set(fault);
    server
}

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").expect("is there");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("the peak");
    let kibibytes: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .expect("a number");
    kibibytes << 10
}

const READING: [(ServerFault, bool); 26] = [
    (ServerFault::FlippedBit, false),
    (ServerFault::FlippedBit, true),
    (ServerFault::TooLong, false),
    (ServerFault::Endless, false),
    (ServerFault::Endless, true),
    (ServerFault::EndlessNothing, false),
    (ServerFault::EndsEarly, false),
    (ServerFault::EndsEarly, true),
    (ServerFault::BreaksAlways, false),
    (ServerFault::Hangs, false),
    (ServerFault::HangsLater, false),
    (ServerFault::HangsMidway, false),
    (ServerFault::HangsMidway, true),
    (ServerFault::Drips, false),
    (ServerFault::HugeMessage, false),
    (ServerFault::ZstdNoise, true),
    (ServerFault::ZstdBomb, true),
    (ServerFault::ZstdNothing, true),
    (ServerFault::HalfEmpty, false),
    (ServerFault::ClaimsAll, false),
    (ServerFault::ChangedResult, false),
    (ServerFault::StrippedResult, false),
    (ServerFault::HugeResult, false),
    (ServerFault::Unavailable, false),
    (ServerFault::ControlCharacters, false),
    (ServerFault::OtherDigests, false),
];

#[test]
fn every_fault_is_a_miss_with_one_warning_and_ends() {
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    let before = peak_memory();
    for (fault, zstd) in READING {
        let server = faulty(fault, zstd, &team, &built);
        let (cache, warnings) = team.cache(&server.location(), impatient());
        let begun = Instant::now();
        for _ in 0..4 {
            assert_eq!(built.package_from(&cache), None, "{fault:?}");
        }
        let warnings = warnings.all();
        assert!(warnings.len() <= 1, "{fault:?}: {warnings:?}");
        assert!(!warnings.concat().contains(['\x1b', '\n']), "{fault:?}: {warnings:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{fault:?} took {:?}",
            begun.elapsed()
        );
    }
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 1 << 30, "{grown} bytes more, where servers sent 8 GiB and more");
}

#[test]
fn what_fails_as_a_whole_is_switched_off_and_costs_nothing_any_more() {
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    for fault in [
        ServerFault::Hangs,
        ServerFault::HangsLater,
        ServerFault::HangsMidway,
        ServerFault::Unavailable,
        ServerFault::FlippedBit,
        ServerFault::OtherDigests,
    ] {
        let server = faulty(fault, false, &team, &built);
        let (cache, warnings) = team.cache(&server.location(), impatient());
        for _ in 0..4 {
            built.package_from(&cache);
        }
        assert!(!cache.reads(), "{fault:?} is switched off");
        assert_eq!(warnings.all().len(), 1, "{fault:?}: {:?}", warnings.all());
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(built.package_from(&cache), None);
        }
        assert!(begun.elapsed() < Duration::from_millis(500), "{fault:?}");
    }
}

#[test]
fn a_result_of_another_action_is_none() {
    let team = Team::new();
    let (zlib, attr) = (UploadFixture::new("zlib"), UploadFixture::new("attr"));
    let server = faulty(ServerFault::AnothersResult, false, &team, &zlib);
    let (cache, warnings) = team.cache(&server.location(), patient());
    assert!(cache.action_result(&attr.upload.action).is_none());
    assert_eq!(cache.statistics()[0].1.forged, 1);
    assert!(warnings.all()[0].contains("wrong signature"), "{:?}", warnings.all());
}

#[test]
fn a_half_full_cache_is_told_before_or_while_it_is_read() {
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    let server = faulty(ServerFault::None, false, &team, &built);
    crate::server::lock(&server.state.blobs).remove(&built.package);
    let (cache, warnings) = team.cache(&server.location(), patient());
    assert!(cache.action_result(&built.upload.action).is_some());
    assert!(cache.complete_result(&built.upload.action).is_none());
    assert_eq!(built.package_from(&cache), None);
    assert!(warnings.all().is_empty(), "a cache that collects is no reason to warn");
    assert!(cache.reads(), "nor to switch it off");
}

#[test]
fn claimed_completeness_is_verified() {
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    for fault in [ServerFault::ClaimsAll, ServerFault::MissesUnasked] {
        let server = faulty(fault, false, &team, &built);
        let (cache, _) = team.cache(&server.location(), patient());
        assert_eq!(built.all_from(&cache), None, "{fault:?}");
    }
}

#[test]
fn batches_are_verified_blob_by_blob() {
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    let small: Vec<_> = built.blobs.keys().copied().filter(|blob| blob.size < 1000).collect();
    for fault in [
        ServerFault::FlippedBit,
        ServerFault::TooLong,
        ServerFault::EndsEarly,
        ServerFault::HugeMessage,
        ServerFault::MissesUnasked,
    ] {
        let server = faulty(fault, false, &team, &built);
        let (cache, _) = team.cache(&server.location(), patient());
        assert!(small.len() > 100);
        assert!(cache.many_bytes(&small).is_empty(), "{fault:?}");
    }
}

#[test]
fn an_honest_cache_behind_a_lying_one_is_used() {
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    let conforming = faulty(ServerFault::None, true, &team, &built);
    for fault in [
        ServerFault::FlippedBit,
        ServerFault::EndsEarly,
        ServerFault::HalfEmpty,
        ServerFault::ChangedResult,
        ServerFault::Unavailable,
        ServerFault::Hangs,
    ] {
        let faulty_server = faulty(fault, false, &team, &built);
        let both = format!("{} {}", faulty_server.location(), conforming.location());
        let (cache, _) = team.cache(&both, impatient());
        let package = built.package_from(&cache);
        assert_eq!(package.as_ref(), built.blobs.get(&built.package), "{fault:?}");
    }
}

#[test]
fn a_server_that_does_not_take_what_it_is_given_costs_a_warning() {
    let team = Team::new();
    let built = UploadFixture::new("zlib");
    for fault in [
        ServerFault::ReadOnly,
        ServerFault::TakesHalf,
        ServerFault::UploadHangs,
        ServerFault::Unavailable,
        ServerFault::Hangs,
        ServerFault::ControlCharacters,
    ] {
        let server = TestServer::start(fault);
        let (cache, warnings) = team.cache(&server.location(), impatient());
        for _ in 0..3 {
            let pushed = built.push(&cache).expect("no error of ours");
            assert_eq!(pushed.locations, 0, "{fault:?}");
        }
        // The result that is not written, and the cache that is left alone from then on.
        let told = warnings.all();
        assert!((1..=2).contains(&told.len()), "{fault:?}: {told:?}");
        let left_alone = told.iter().filter(|warning| warning.contains("in this")).count();
        assert_eq!(left_alone, 1, "{fault:?}: {told:?}");
    }
}

#[test]
fn a_store_that_is_damaged_is_an_error_and_nothing_is_signed() {
    let team = Team::new();
    let mut built = UploadFixture::new("zlib");
    let server = TestServer::start(ServerFault::None);
    let (cache, _) = team.cache(&server.location(), patient());
    built.blobs.insert(built.package, b"something else".to_vec());
    let error = built.push(&cache).expect_err("changed");
    assert!(matches!(error, CacheError::SourceChanged { .. }), "{error:?}");
    built.blobs.remove(&built.package);
    let error = built.push(&cache).expect_err("lost");
    assert!(matches!(error, CacheError::Local { .. }), "{error:?}");
    assert!(crate::server::lock(&server.state.results).is_empty());
    assert!(cache.writes(), "the server is not to blame");
}
