//! Synthetic RPMs and repositories: the same for a seed, and of the shape that they are to have.

#![cfg(test)]

use std::collections::BTreeMap;

use basalt_bench::{SyntheticRepository, write_rpms};
use basalt_digest::Digest;
use basalt_repodata::{list_rpms, scan};
use basalt_rpm::Package;
use basalt_solver::PackageIndex;
use camino::Utf8PathBuf;

/// Digests of RPMs by path, and their number of files.
fn rpms(count: usize, seed: u64) -> BTreeMap<String, (String, usize)> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::try_from(folder.path().to_owned()).expect("UTF-8");
    let size = write_rpms(&path, count, seed).unwrap_or_else(|error| panic!("{error}"));
    let files = list_rpms(&path).expect("listed");
    assert_eq!(files.iter().map(|file| file.size).sum::<u64>(), size);
    let packages = scan(&path, &files, 2).expect("RPMs");
    let digests = packages.into_iter().map(|package| {
        let digest = package.primary.checksum.value;
        (package.primary.location.href, (digest, package.filelists.files.len()))
    });
    digests.collect()
}

#[test]
fn a_seed_gives_the_same_rpms() {
    let first = rpms(12, 7);
    assert_eq!(first.len(), 12);
    assert_eq!(first, rpms(12, 7));
    assert_ne!(first, rpms(12, 8));
    let mut counts: Vec<usize> = first.values().map(|(_, files)| *files).collect();
    counts.sort_unstable();
    assert!(counts[6] < 60 && counts[11] > 2 * counts[6], "{counts:?}");
}

#[test]
fn a_seed_gives_the_same_repository() {
    let digest = |seed| {
        let repository = SyntheticRepository::new(600, seed);
        let text = serde_json::to_vec(&(&repository.packages, &repository.requests));
        Digest::of(text.expect("JSON"))
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

/// Nearly all packages of a distribution can be installed, some of them with dozens of others.
#[test]
fn requests_have_solutions() {
    let repository = SyntheticRepository::new(1500, 1);
    assert_eq!(repository.packages.len(), 1500);
    let index: PackageIndex<&Package> = repository.packages.iter().collect();
    let solved = repository
        .requests
        .iter()
        .map(|name| index.install(std::slice::from_ref(name), |_| true));
    let sizes: Vec<usize> = solved.filter_map(Result::ok).map(|packages| packages.len()).collect();
    assert!(sizes.len() * 10 >= repository.requests.len() * 9, "{sizes:?}");
    assert!(sizes.iter().any(|size| *size > 20), "{sizes:?}");
}
