//! Faulty servers (lying, hanging, failing): each costs time and a warning, never a wrong result.

use std::time::{Duration, Instant};

use basalt_cache::CacheError;

use crate::fixture::{Built, Team, impatient, patient};
use crate::server::{Lie, Setup, TestServer};

/// A server that was filled honestly, and lies from then on.
fn turned(lie: Lie, zstd: bool, team: &Team, built: &Built) -> TestServer {
    let setup = Setup {
        lie: Lie::None,
        zstd,
        token: None,
    };
    let server = TestServer::with(setup, None);
    let (writer, _) = team.cache(&server.location(), patient());
    assert_eq!(built.push(&writer).expect("pushes").locations, 1);
    server.set(lie);
    server
}

/// The most memory that this process ever had, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("is there");
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

const READING: [(Lie, bool); 26] = [
    (Lie::FlippedBit, false),
    (Lie::FlippedBit, true),
    (Lie::TooLong, false),
    (Lie::Endless, false),
    (Lie::Endless, true),
    (Lie::EndlessNothing, false),
    (Lie::EndsEarly, false),
    (Lie::EndsEarly, true),
    (Lie::BreaksAlways, false),
    (Lie::Hangs, false),
    (Lie::HangsLater, false),
    (Lie::HangsMidway, false),
    (Lie::HangsMidway, true),
    (Lie::Drips, false),
    (Lie::HugeMessage, false),
    (Lie::ZstdNoise, true),
    (Lie::ZstdBomb, true),
    (Lie::ZstdNothing, true),
    (Lie::HalfEmpty, false),
    (Lie::ClaimsAll, false),
    (Lie::ChangedResult, false),
    (Lie::StrippedResult, false),
    (Lie::HugeResult, false),
    (Lie::Unavailable, false),
    (Lie::Shouts, false),
    (Lie::OtherDigests, false),
];

#[test]
fn every_lie_is_a_miss_with_one_warning_and_ends() {
    let team = Team::new();
    let built = Built::new("zlib");
    let before = peak_memory();
    for (lie, zstd) in READING {
        let server = turned(lie, zstd, &team, &built);
        let (cache, warnings) = team.cache(&server.location(), impatient());
        let begun = Instant::now();
        for _ in 0..4 {
            assert_eq!(built.package_from(&cache), None, "{lie:?}");
        }
        let warnings = warnings.all();
        assert!(warnings.len() <= 1, "{lie:?}: {warnings:?}");
        assert!(!warnings.concat().contains(['\x1b', '\n']), "{lie:?}: {warnings:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{lie:?} took {:?}",
            begun.elapsed()
        );
    }
    let grown = peak_memory().saturating_sub(before);
    assert!(
        grown < 1 << 30,
        "{grown} bytes more, where lies of 8 GiB and more were told"
    );
}

#[test]
fn what_fails_as_a_whole_is_switched_off_and_costs_nothing_any_more() {
    let team = Team::new();
    let built = Built::new("zlib");
    for lie in [
        Lie::Hangs,
        Lie::HangsLater,
        Lie::HangsMidway,
        Lie::Unavailable,
        Lie::FlippedBit,
        Lie::OtherDigests,
    ] {
        let server = turned(lie, false, &team, &built);
        let (cache, warnings) = team.cache(&server.location(), impatient());
        for _ in 0..4 {
            built.package_from(&cache);
        }
        assert!(!cache.reads(), "{lie:?} is switched off");
        assert_eq!(warnings.all().len(), 1, "{lie:?}: {:?}", warnings.all());
        let begun = Instant::now();
        for _ in 0..100 {
            assert_eq!(built.package_from(&cache), None);
        }
        assert!(begun.elapsed() < Duration::from_millis(500), "{lie:?}");
    }
}

#[test]
fn a_result_of_another_action_is_none() {
    let team = Team::new();
    let (zlib, attr) = (Built::new("zlib"), Built::new("attr"));
    let server = turned(Lie::AnothersResult, false, &team, &zlib);
    let (cache, warnings) = team.cache(&server.location(), patient());
    assert!(cache.action_result(&attr.upload.action).is_none());
    assert_eq!(cache.statistics()[0].1.forged, 1);
    assert!(warnings.all()[0].contains("wrong signature"), "{:?}", warnings.all());
}

#[test]
fn a_half_full_cache_is_told_before_or_while_it_is_read() {
    let team = Team::new();
    let built = Built::new("zlib");
    let server = turned(Lie::None, false, &team, &built);
    crate::server::lock(&server.state.blobs).remove(&built.package);
    let (cache, warnings) = team.cache(&server.location(), patient());
    assert!(cache.action_result(&built.upload.action).is_some());
    assert!(cache.complete_result(&built.upload.action).is_none());
    assert_eq!(built.package_from(&cache), None);
    assert!(warnings.all().is_empty(), "a cache that collects is no reason to warn");
    assert!(cache.reads(), "nor to switch it off");
}

#[test]
fn completeness_is_not_believed_either() {
    let team = Team::new();
    let built = Built::new("zlib");
    for lie in [Lie::ClaimsAll, Lie::MissesUnasked] {
        let server = turned(lie, false, &team, &built);
        let (cache, _) = team.cache(&server.location(), patient());
        assert_eq!(built.all_from(&cache), None, "{lie:?}");
    }
}

#[test]
fn batches_are_verified_blob_by_blob() {
    let team = Team::new();
    let built = Built::new("zlib");
    let small: Vec<_> = built.blobs.keys().copied().filter(|blob| blob.size < 1000).collect();
    for lie in [
        Lie::FlippedBit,
        Lie::TooLong,
        Lie::EndsEarly,
        Lie::HugeMessage,
        Lie::MissesUnasked,
    ] {
        let server = turned(lie, false, &team, &built);
        let (cache, _) = team.cache(&server.location(), patient());
        assert!(small.len() > 100);
        assert!(cache.many_bytes(&small).is_empty(), "{lie:?}");
    }
}

#[test]
fn an_honest_cache_behind_a_lying_one_is_used() {
    let team = Team::new();
    let built = Built::new("zlib");
    let honest = turned(Lie::None, true, &team, &built);
    for lie in [
        Lie::FlippedBit,
        Lie::EndsEarly,
        Lie::HalfEmpty,
        Lie::ChangedResult,
        Lie::Unavailable,
        Lie::Hangs,
    ] {
        let lying = turned(lie, false, &team, &built);
        let both = format!("{} {}", lying.location(), honest.location());
        let (cache, _) = team.cache(&both, impatient());
        let package = built.package_from(&cache);
        assert_eq!(package.as_ref(), built.blobs.get(&built.package), "{lie:?}");
    }
}

#[test]
fn a_server_that_does_not_take_what_it_is_given_costs_a_warning() {
    let team = Team::new();
    let built = Built::new("zlib");
    for lie in [
        Lie::ReadOnly,
        Lie::TakesHalf,
        Lie::UploadHangs,
        Lie::Unavailable,
        Lie::Hangs,
        Lie::Shouts,
    ] {
        let server = TestServer::start(lie);
        let (cache, warnings) = team.cache(&server.location(), impatient());
        for _ in 0..3 {
            let pushed = built.push(&cache).expect("no error of ours");
            assert_eq!(pushed.locations, 0, "{lie:?}");
        }
        assert_eq!(warnings.all().len(), 1, "{lie:?}: {:?}", warnings.all());
    }
}

#[test]
fn a_store_that_is_damaged_is_an_error_and_nothing_is_signed() {
    let team = Team::new();
    let mut built = Built::new("zlib");
    let server = TestServer::start(Lie::None);
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
