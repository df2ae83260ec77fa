//! Publishing: with a local key, with detached signatures, interrupted, tampered with, and served.

#![cfg(test)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use basalt_digest::Digest;
use basalt_progress::Silent;
use basalt_signing::{KeyError, SigningKey, Timestamp};
use basalt_snapshots::{
    ImportOutcome, PublishPlan, Published, Repository, RepositoryServer, ServedSnapshot, SigningRound, SnapshotError,
    UnsignedRpm,
};
use camino::{Utf8Path, Utf8PathBuf};
use rpm::{BuildConfig, FileOptions, PackageBuilder};

const NOW: Timestamp = Timestamp::from_secs(1_795_600_000);

struct Bench {
    _guard: tempfile::TempDir,
    folder: Utf8PathBuf,
    repository: Repository,
    key: SigningKey,
}

/// An RPM: path, file name, digest.
type Rpm = (Utf8PathBuf, String, Digest);

impl Bench {
    fn new() -> Self {
        let guard = tempfile::tempdir().expect("a folder");
        let folder = Utf8PathBuf::try_from(guard.path().to_owned()).expect("UTF-8");
        Self {
            repository: Repository::new(&folder.join("repositories"), "test").expect("a name"),
            key: SigningKey::generate("x", NOW, 730, None).expect("a key"),
            _guard: guard,
            folder,
        }
    }

    fn rpm(&self, name: &str, version: &str) -> Rpm {
        let config = BuildConfig::default().source_date(1_760_000_000_u32);
        let package = PackageBuilder::new(name, version, "MIT", "x86_64", "x")
            .using_config(config)
            .release("1.bs1")
            .with_file_contents(name, FileOptions::new(format!("/usr/bin/{name}")))
            .and_then(PackageBuilder::build)
            .expect("an RPM");
        let file = format!("{name}-{version}-1.bs1.x86_64.rpm");
        let path = self.folder.join(&file);
        package.write_file(&path).expect("written");
        let digest = Digest::of(fs_err::read(&path).expect("read"));
        (path, file, digest)
    }

    fn publish(&self, rpms: &[Rpm], name: Option<&str>, now: Timestamp) -> Result<Published, SnapshotError> {
        let built = built(rpms);
        self.repository.publish(&plan(&built, name), &self.key, now, &Silent)
    }

    fn check(&self) -> Vec<String> {
        let snapshot = self.repository.published().expect("published");
        let trusted = [self.key.certificate().clone()];
        let checked = snapshot.check(&trusted, NOW.plus_days(1), &Silent).expect("checked");
        checked
            .faults
            .into_iter()
            .map(|fault| format!("{}: {}", fault.file, fault.why))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        let snapshots = self.repository.snapshots().expect("read");
        snapshots.into_iter().map(|snapshot| snapshot.name).collect()
    }

    fn current(&self) -> String {
        self.repository.published().expect("published").name
    }
}

fn built(rpms: &[Rpm]) -> Vec<UnsignedRpm<'_>> {
    rpms.iter()
        .map(|(path, file, digest)| UnsignedRpm {
            path,
            file,
            digest: *digest,
        })
        .collect()
}

fn plan<'a>(rpms: &'a [UnsignedRpm<'a>], snapshot: Option<&'a str>) -> PublishPlan<'a> {
    PublishPlan {
        rpms,
        advisories: &[],
        trusted: &[],
        snapshot,
    }
}

#[test]
fn what_is_published_is_signed_and_whole() {
    let bench = Bench::new();
    let rpms = [bench.rpm("one", "1"), bench.rpm("two", "1")];
    let published = bench.publish(&rpms, None, NOW).expect("published");
    assert_eq!((published.signed, published.unchanged), (2, false));
    assert_eq!(published.snapshot.name, "20261125-094640");
    assert_eq!(bench.check(), Vec::<String>::new());
    // The built RPM is unchanged; the published one is another file.
    assert_eq!(Digest::of(fs_err::read(&rpms[0].0).expect("read")), rpms[0].2);
    assert_ne!(published.snapshot.packages[0].digest, rpms[0].2);
    assert!(published.snapshot.folder.join("packages/o").join(&rpms[0].1).is_file());
}

#[test]
fn the_same_again_does_nothing_and_more_signs_only_what_is_new() {
    let bench = Bench::new();
    let (one, two) = (bench.rpm("one", "1"), bench.rpm("two", "1"));
    bench.publish(std::slice::from_ref(&one), None, NOW).expect("published");
    let again = bench.publish(std::slice::from_ref(&one), None, NOW.plus_days(1));
    assert!(again.expect("published").unchanged);
    let more = bench.publish(&[one, two], None, NOW.plus_days(1)).expect("published");
    assert_eq!((more.signed, more.unchanged), (1, false));
    assert_eq!(bench.names().len(), 2);
    assert_eq!(bench.current(), more.snapshot.name);
}

#[test]
fn snapshots_never_change() {
    let bench = Bench::new();
    let (one, two) = (bench.rpm("one", "1"), bench.rpm("two", "1"));
    bench
        .publish(std::slice::from_ref(&one), Some("v1"), NOW)
        .expect("published");
    let error = bench.publish(&[two], Some("v1"), NOW).expect_err("it is there");
    assert!(matches!(error, SnapshotError::Exists { .. }), "{error}");
    let error = bench.publish(&[one], Some("../v1"), NOW).expect_err("a path");
    assert!(matches!(error, SnapshotError::Name { .. }), "{error}");
}

#[test]
fn current_goes_back_and_forth_and_old_ones_are_pruned() {
    let bench = Bench::new();
    for (number, name) in ["v1", "v2", "v3", "v4"].iter().enumerate() {
        let rpm = bench.rpm("one", &number.to_string());
        let now = NOW.plus_secs(u32::try_from(number).expect("small"));
        bench.publish(&[rpm], Some(name), now).expect("published");
    }
    bench.repository.promote("v1").expect("promoted");
    assert_eq!(bench.current(), "v1");
    assert!(matches!(
        bench.repository.promote("v9"),
        Err(SnapshotError::Unknown { .. })
    ));
    let (removed, bytes) = bench.repository.prune(1).expect("pruned");
    let removed: Vec<_> = removed.into_iter().map(|snapshot| snapshot.name).collect();
    assert_eq!(removed, ["v2", "v3"]);
    assert!(bytes > 0);
    assert_eq!(bench.names(), ["v1", "v4"]);
    assert_eq!(bench.check(), Vec::<String>::new());
    let pool = fs_err::read_dir(bench.repository.folder().join("pool")).expect("read");
    assert_eq!(pool.count(), 2);
}

#[test]
fn a_publishing_that_ends_halfway_is_invisible() {
    let bench = Bench::new();
    let one = bench.rpm("one", "1");
    bench
        .publish(std::slice::from_ref(&one), Some("v1"), NOW)
        .expect("published");
    // Publishing fails at a damaged RPM, after others were signed.
    let (two, three) = (bench.rpm("two", "1"), bench.rpm("three", "1"));
    let whole = fs_err::read(&three.0).expect("read");
    for damage in [
        whole[..whole.len() / 2].to_vec(),
        whole[..50].to_vec(),
        Vec::new(),
        b"no RPM".repeat(100),
        {
            let mut bytes = whole.clone();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            bytes
        },
    ] {
        fs_err::write(&three.0, damage).expect("written");
        let error = bench.publish(&[one.clone(), two.clone(), three.clone()], Some("v2"), NOW);
        let damaged = matches!(error, Err(SnapshotError::Rpm { .. } | SnapshotError::Package(_)));
        assert!(damaged, "{error:?}");
        assert_eq!(
            (bench.names(), bench.current()),
            (vec!["v1".to_owned()], "v1".to_owned())
        );
    }
    // Leftovers of a killed process: an incomplete folder, a link that was not moved.
    let work = bench.repository.folder().join("work");
    fs_err::create_dir_all(work.join("snapshot/repodata")).expect("made");
    fs_err::write(work.join("snapshot/repodata/repomd.xml"), "<repomd>").expect("written");
    fs_err::os::unix::fs::symlink("snapshots/v9", work.join("current")).expect("linked");
    fs_err::write(bench.repository.folder().join("pool/.tmpx"), "half").expect("written");
    assert_eq!(bench.names(), ["v1"]);
    fs_err::write(&three.0, whole).expect("written");
    bench.publish(&[one, two, three], Some("v2"), NOW).expect("published");
    assert_eq!((bench.current().as_str(), bench.check()), ("v2", Vec::new()));
    assert_eq!(fs_err::read_dir(work).expect("read").count(), 0);
    bench.repository.prune(9).expect("pruned");
    assert!(!bench.repository.folder().join("pool/.tmpx").exists());
}

#[test]
fn a_plug_that_was_pulled_at_the_last_step() {
    let bench = Bench::new();
    let (one, two) = (bench.rpm("one", "1"), bench.rpm("two", "1"));
    bench
        .publish(std::slice::from_ref(&one), Some("v1"), NOW)
        .expect("published");
    bench
        .publish(std::slice::from_ref(&two), Some("v2"), NOW)
        .expect("published");
    bench.repository.promote("v1").expect("promoted");
    // The snapshot exists, and `current` was not moved: the same command completes the publishing.
    let again = bench.publish(&[two], Some("v2"), NOW).expect("published");
    assert_eq!((again.signed, bench.current().as_str()), (0, "v2"));
}

#[test]
fn what_was_meddled_with_is_told() {
    let bench = Bench::new();
    let rpms = [bench.rpm("one", "1"), bench.rpm("two", "1")];
    let snapshot = bench.publish(&rpms, None, NOW).expect("published").snapshot;
    let files = [
        "packages/o/one-1-1.bs1.x86_64.rpm",
        "repodata/repomd.xml",
        "repodata/repomd.xml.asc",
    ];
    for file in files {
        let path = snapshot.folder.join(file);
        let whole = fs_err::read(&path).expect("read");
        let mut bytes = whole.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        replace(&path, &bytes);
        let faults = bench.check();
        assert!(!faults.is_empty(), "a change of {file} is not noticed");
        replace(&path, &whole);
    }
    assert_eq!(bench.check(), Vec::<String>::new());
    // An index that lists an RPM as it was built: valid but for the missing signature.
    let unknown_signer = SigningKey::generate("x", NOW, 730, None).expect("a key");
    let checked = snapshot.check(&[unknown_signer.certificate().clone()], NOW, &Silent);
    assert_eq!(checked.expect("checked").faults.len(), 3);
}

/// Replaces a file of a snapshot, whose permissions do not stop an attacker.
fn replace(path: &Utf8Path, bytes: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = path.parent().expect("a folder");
    fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("changed");
    fs_err::remove_file(path).expect("removed");
    fs_err::write(path, bytes).expect("written");
}

#[test]
fn an_expired_key_publishes_nothing() {
    let bench = Bench::new();
    let rpms = [bench.rpm("one", "1")];
    let error = bench.publish(&rpms, None, NOW.plus_days(800)).expect_err("expired");
    assert!(
        matches!(error, SnapshotError::Key(KeyError::Expired { .. })),
        "{error:?}"
    );
    assert!(bench.repository.current().expect("read").is_none());
}

#[test]
fn two_files_of_one_name() {
    let bench = Bench::new();
    let one = bench.rpm("one", "1");
    let other = (one.0.clone(), one.1.clone(), Digest::of("other"));
    let error = bench.publish(&[one, other], None, NOW).expect_err("twice");
    assert!(matches!(error, SnapshotError::Twice { .. }), "{error}");
}

#[test]
fn signatures_come_from_elsewhere() {
    let bench = Bench::new();
    let rpms = [bench.rpm("one", "1"), bench.rpm("two", "1")];
    let list = built(&rpms);
    let certificate = bench.key.certificate();
    let repository = &bench.repository;
    assert!(matches!(
        repository.export(&bench.folder.join("out")),
        Err(SnapshotError::NoDraft { .. })
    ));
    let draft = repository
        .prepare(&plan(&list, Some("v1")), certificate, NOW)
        .expect("prepared");
    assert_eq!((draft.stage, draft.missing), (SigningRound::Packages, 2));
    // The store may have been cleaned meanwhile.
    for rpm in &rpms {
        fs_err::remove_file(&rpm.0).expect("removed");
    }
    let out = bench.folder.join("out");
    repository.export(&out).expect("exported");
    let headers: Vec<_> = rpms.iter().map(|rpm| out.join(format!("{}.header", rpm.1))).collect();
    let sign = |path: &Utf8Path, key: &SigningKey, now| {
        let bytes = fs_err::read(path).expect("read");
        let signature = key.sign(&bytes, now).expect("signed");
        fs_err::write(format!("{path}.sig"), signature).expect("written");
    };
    sign(&headers[0], &bench.key, NOW);
    let error = repository.import(&out, NOW).expect_err("one is missing");
    assert!(matches!(&error, SnapshotError::Unsigned { missing, total: 2, .. } if missing.len() == 1));
    let unknown_signer = SigningKey::generate("x", NOW, 730, None).expect("a key");
    sign(&headers[1], &unknown_signer, NOW);
    let error = repository.import(&out, NOW).expect_err("signed by another key");
    assert!(matches!(error, SnapshotError::Signature { .. }), "{error}");
    fs_err::write(format!("{}.sig", headers[1]), "nonsense").expect("written");
    let error = repository.import(&out, NOW).expect_err("nonsense");
    assert!(matches!(error, SnapshotError::Signature { .. }), "{error}");
    // A file that was changed in transit, and signed in good faith.
    let whole = fs_err::read(&headers[1]).expect("read");
    fs_err::write(&headers[1], "something else").expect("written");
    sign(&headers[1], &bench.key, NOW);
    let error = repository.import(&out, NOW).expect_err("something else");
    assert!(matches!(error, SnapshotError::Signature { .. }), "{error}");
    assert_eq!(repository.draft().expect("read").expect("waits").missing, 2);
    fs_err::write(&headers[1], whole).expect("written");
    sign(&headers[1], &bench.key, NOW);
    let ImportOutcome::More(draft) = repository.import(&out, NOW).expect("taken") else {
        panic!("the index is still to be signed")
    };
    assert_eq!((draft.stage, draft.missing), (SigningRound::Index, 1));
    assert!(repository.current().expect("read").is_none(), "invisible until the end");
    let out = bench.folder.join("second");
    repository.export(&out).expect("exported");
    sign(&out.join("repomd.xml"), &bench.key, NOW);
    let ImportOutcome::Published(snapshot) = repository.import(&out, NOW).expect("taken") else {
        panic!("nothing more is to be signed")
    };
    assert_eq!((snapshot.name.as_str(), bench.check()), ("v1", Vec::new()));
    assert!(repository.draft().expect("read").is_none());
}

#[test]
fn files_are_served_whole_and_in_part() {
    let bench = Bench::new();
    let rpms = [bench.rpm("one", "1")];
    let snapshot = bench.publish(&rpms, None, NOW).expect("published").snapshot;
    let target = ServedSnapshot::Current(bench.repository.clone());
    let server = RepositoryServer::listen(([127, 0, 0, 1], 0).into(), target).expect("listens");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| server.run(&|| stop.load(Ordering::Relaxed), &|_| {}));
        let ask = |line: &str, more: &str| {
            let mut stream = TcpStream::connect(server.address()).expect("connects");
            write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n").expect("asked");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("answered");
            let end = answer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
                .expect("a head")
                + 4;
            let head = String::from_utf8(answer[..end].to_vec()).expect("text");
            (head, answer[end..].to_vec())
        };
        let index = fs_err::read(snapshot.folder.join("repodata/repomd.xml")).expect("read");
        let (head, body) = ask("GET /repodata/repomd.xml", "");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", index.len())), "{head}");
        assert_eq!(body, index);
        let (head, body) = ask("GET /repodata/repomd.xml", "Range: bytes=10-19\r\n");
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(
            head.contains(&format!("Content-Range: bytes 10-19/{}", index.len())),
            "{head}"
        );
        assert_eq!(body, &index[10..20]);
        let (head, _) = ask("GET /repodata/repomd.xml", "Range: bytes=999999-\r\n");
        assert!(head.starts_with("HTTP/1.1 416"), "{head}");
        let (head, body) = ask("HEAD /repodata/repomd.xml", "");
        assert!(head.starts_with("HTTP/1.1 200") && body.is_empty(), "{head}");
        let (head, body) = ask("GET /basalt.repo", "");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(String::from_utf8_lossy(&body).contains("repo_gpgcheck=1"));
        for outside in [
            "/../../lock",
            "/%2e%2e/%2e%2e/lock",
            "//etc/passwd",
            "/repodata",
            "/nothing",
            "/repodata/",
        ] {
            let (head, _) = ask(&format!("GET {outside}"), "");
            assert!(head.starts_with("HTTP/1.1 40"), "{outside}: {head}");
        }
        let (head, _) = ask("POST /repodata/repomd.xml", "Content-Length: 0\r\n");
        assert!(head.starts_with("HTTP/1.1 405"), "{head}");
        stop.store(true, Ordering::Relaxed);
    });
}
