//! Publishing of built RPMs as the current snapshot.

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use basalt_digest::{Digest, Hasher};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_repodata::{FOLDER, REPOMD, RpmLocation, describe};
use basalt_signing::{Certificate, SigningKey, Timestamp};
use basalt_store::{FileError, write};
use basalt_updateinfo::Advisory;
use camino::Utf8Path;

use crate::parallel::each;
use crate::pool::{list, protect};
use crate::snapshot::{FILE, KEYS, PACKAGES, SIGNATURE, href};
use crate::{Repository, Snapshot, SnapshotError, SnapshotPackage, names};

/// Version of the recipe for snapshots: raised when the same inputs make another snapshot.
const RECIPE: &str = "2";

/// A built RPM, not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnsignedRpm<'a> {
    /// Path of the file.
    pub path: &'a Utf8Path,
    /// File name in the repository: `<name>-<version>-<release>.<arch>.rpm`.
    pub file: &'a str,
    /// SHA-256 digest of the file.
    pub digest: Digest,
}

/// Content of a snapshot that is to be published.
#[derive(Debug, Clone, Copy)]
pub struct PublishPlan<'a> {
    /// RPMs of the snapshot.
    pub rpms: &'a [UnsignedRpm<'a>],
    /// Advisories; those about packages that are not in the snapshot are left out.
    pub advisories: &'a [Advisory],
    /// Public keys that clients are to trust, besides the one that signs.
    pub trusted: &'a [Certificate],
    /// Name of the snapshot; the time of publishing when none is given.
    pub snapshot: Option<&'a str>,
}

/// Result of publishing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The current snapshot.
    pub snapshot: Snapshot,
    /// Number of RPMs that had to be signed.
    pub signed: usize,
    /// `true` if the snapshot was current before, with the same content.
    pub unchanged: bool,
}

/// Name and content of a snapshot that is to be assembled; its RPMs are in the pool.
pub(crate) struct Assembly<'a> {
    pub(crate) name: &'a str,
    pub(crate) made: Timestamp,
    pub(crate) key: &'a Certificate,
    pub(crate) trusted: &'a [Certificate],
    pub(crate) advisories: &'a [Advisory],
    pub(crate) content: Digest,
    pub(crate) packages: Vec<SnapshotPackage>,
}

impl Repository {
    /// Signs RPMs that are not signed yet, assembles a snapshot of them, and makes it current. Nothing is done when the
    /// current snapshot has the same content already. Clients see nothing of a snapshot whose publishing was
    /// interrupted or killed.
    ///
    /// # Errors
    /// When the key is not valid at `now`, when the plan is not valid, or when an RPM or a file cannot be read or
    /// written.
    pub fn publish(
        &self,
        plan: &PublishPlan<'_>,
        key: &SigningKey,
        now: Timestamp,
        reporter: &dyn Reporter,
    ) -> Result<Published, SnapshotError> {
        let certificate = key.certificate();
        certificate.ensure_valid(now)?;
        plan.check()?;
        let _lock = self.lock(|_| reporter.note("waiting for another basalt that works on this repository"))?;
        self.sweep_work()?;
        let trusted = plan.trusted_with(certificate);
        let content = plan.content(certificate, &trusted)?;
        if let Some(published) = self.known(plan, &content)? {
            return Ok(published);
        }
        let name = self.fresh_name(plan.snapshot, now);
        let task = reporter.task("signing packages", Unit::Items, Some(plan.rpms.len() as u64));
        let signed = AtomicUsize::new(0);
        let packages = each(plan.rpms, |rpm| {
            task.detail(rpm.file);
            let digest = match self.signed(&rpm.digest, certificate.fingerprint()) {
                Some(digest) => digest,
                None => {
                    signed.fetch_add(1, Ordering::Relaxed);
                    self.sign_into_pool(rpm.path, &rpm.digest, certificate.fingerprint(), |header| {
                        Ok(key.sign(header, now)?)
                    })?
                }
            };
            task.advance(1);
            self.pooled(rpm.file, digest, rpm.digest)
        })?;
        task.finish(Outcome::Done);
        let work = self.work("snapshot")?;
        let task = reporter.task("publishing", Unit::Items, Some(packages.len() as u64));
        let assembly = Assembly {
            name: &name,
            made: now,
            key: certificate,
            trusted: &trusted,
            advisories: plan.advisories,
            content,
            packages,
        };
        let index = self.assemble(&work, assembly, &|| task.advance(1))?;
        let snapshot = self.finish(&work, &name, &key.sign_armored(&index, now)?)?;
        task.finish(Outcome::Done);
        Ok(Published {
            snapshot,
            signed: signed.into_inner(),
            unchanged: false,
        })
    }

    /// Returns a published snapshot of the same content: the current one; or the one of the plan's name, which becomes
    /// current.
    pub(crate) fn known(&self, plan: &PublishPlan<'_>, content: &Digest) -> Result<Option<Published>, SnapshotError> {
        let known = |snapshot, unchanged| Published {
            snapshot,
            signed: 0,
            unchanged,
        };
        let current = self.current()?.filter(|current| current.content == *content);
        if let Some(current) = current
            && plan.snapshot.is_none_or(|name| name == current.name)
        {
            return Ok(Some(known(current, true)));
        }
        let Some(name) = plan.snapshot.filter(|name| self.snapshot_path(name).is_dir()) else {
            return Ok(None);
        };
        // A process may have been killed between the last two steps of publishing.
        let snapshot = self.snapshot(name)?;
        if snapshot.content != *content {
            return Err(SnapshotError::Exists {
                repository: self.name().to_owned(),
                name: name.to_owned(),
            });
        }
        self.point_to(name)?;
        Ok(Some(known(snapshot, false)))
    }

    /// Returns the name that was asked for, or the time; with a number appended if that name is taken.
    pub(crate) fn fresh_name(&self, wanted: Option<&str>, now: Timestamp) -> String {
        let base = wanted.map_or_else(|| now.compact(), str::to_owned);
        let mut name = base.clone();
        let mut number = 2;
        while self.snapshot_path(&name).exists() {
            name = format!("{base}-{number}");
            number += 1;
        }
        name
    }

    /// Describes an RPM of the pool for `snapshot.json`.
    pub(crate) fn pooled(&self, file: &str, digest: Digest, built: Digest) -> Result<SnapshotPackage, SnapshotError> {
        let path = self.pool_path(&digest);
        let metadata = fs_err::metadata(&path).map_err(FileError::new("cannot read", &path))?;
        Ok(SnapshotPackage {
            file: file.to_owned(),
            digest,
            built,
            size: metadata.len(),
        })
    }

    /// Assembles the folder of a snapshot, all but the signature of its index, and returns the index for signing.
    pub(crate) fn assemble(
        &self,
        folder: &Utf8Path,
        assembly: Assembly<'_>,
        step: &(dyn Fn() + Sync),
    ) -> Result<Vec<u8>, SnapshotError> {
        let described = each(&assembly.packages, |package| {
            let (pooled, href) = (self.pool_path(&package.digest), href(&package.file));
            let place = folder.join(&href);
            if let Some(parent) = place.parent() {
                fs_err::create_dir_all(parent).map_err(FileError::new("cannot create", parent))?;
            }
            fs_err::hard_link(&pooled, &place).map_err(FileError::new("cannot link", &place))?;
            let placed = RpmLocation {
                href: &href,
                digest: package.digest,
                size: package.size,
                time: 0,
            };
            let mut about = describe(&pooled, placed)?;
            // The time at which a file was added says nothing about it; the build time does, and is reproducible.
            about.primary.time.file = about.primary.time.build;
            step();
            Ok(about)
        })?;
        let last = self.snapshots()?.last().map(|snapshot| snapshot.revision);
        let revision = u64::from(assembly.made.as_secs()).max(last.map_or(0, |last| last + 1));
        let metadata = basalt_repodata::write(&described, assembly.advisories, revision)?;
        let repodata = folder.join(FOLDER);
        for file in &metadata.files {
            write::with_mode(&repodata.join(&file.name), &file.bytes, 0o444)?;
        }
        write::with_mode(&repodata.join(REPOMD), &metadata.repomd, 0o444)?;
        write::with_mode(&folder.join(KEYS), keys_file(assembly.trusted)?, 0o444)?;
        let snapshot = Snapshot {
            name: assembly.name.to_owned(),
            made: assembly.made,
            revision,
            key: assembly.key.fingerprint().to_owned(),
            content: assembly.content,
            advisories: assembly.advisories.len(),
            packages: assembly.packages,
            folder: folder.to_owned(),
        };
        let facts = serde_json::to_vec_pretty(&snapshot).map_err(|error| SnapshotError::Damaged {
            path: folder.join(FILE),
            why: error.to_string(),
            help: "this is a bug in basalt",
        })?;
        write::with_mode(&folder.join(FILE), facts, 0o444)?;
        Ok(metadata.repomd)
    }

    /// Adds the signature of the index, moves the snapshot to its final path, and makes it current.
    pub(crate) fn finish(&self, work: &Utf8Path, name: &str, signature: &str) -> Result<Snapshot, SnapshotError> {
        let repodata = work.join(FOLDER);
        // A killed import may have protected the folder already.
        protect(&repodata, 0o755)?;
        write::with_mode(&repodata.join(SIGNATURE), signature, 0o444)?;
        for folder in list(&work.join(PACKAGES))? {
            protect(&folder, 0o555)?;
        }
        for folder in [work.join(PACKAGES), repodata] {
            if folder.is_dir() {
                protect(&folder, 0o555)?;
            }
        }
        sync(work)?;
        let place = self.snapshot_path(name);
        fs_err::rename(work, &place).map_err(FileError::new("cannot move a finished snapshot to", &place))?;
        protect(&place, 0o555)?;
        self.point_to(name)?;
        Snapshot::open(&place)
    }
}

/// Writes a file system to the disk. Files have to be there before their folder gets its final name: else a power
/// failure leaves empty files.
fn sync(folder: &Utf8Path) -> Result<(), FileError> {
    let file = fs_err::File::open(folder).map_err(FileError::new("cannot open", folder))?;
    rustix::fs::syncfs(file.as_fd()).map_err(|error| FileError::new("cannot write out", folder)(error.into()))
}

/// Returns all public keys in one armored file, as rpm and dnf read it.
fn keys_file(trusted: &[Certificate]) -> Result<String, SnapshotError> {
    let mut text = String::new();
    for certificate in trusted {
        text.push_str(certificate.armored()?.trim_end());
        text.push('\n');
    }
    Ok(text)
}

impl PublishPlan<'_> {
    /// Checks the snapshot's name, and that no two different files have the same name.
    pub(crate) fn check(&self) -> Result<(), SnapshotError> {
        if let Some(name) = self.snapshot {
            names::check(name, "snapshot")?;
        }
        let mut files = BTreeSet::new();
        match self.rpms.iter().find(|rpm| !files.insert(rpm.file)) {
            None => Ok(()),
            Some(rpm) => Err(SnapshotError::Twice {
                file: rpm.file.to_owned(),
            }),
        }
    }

    /// Returns the keys that clients are to trust, with the one that signs, sorted by fingerprint.
    pub(crate) fn trusted_with(&self, key: &Certificate) -> Vec<Certificate> {
        let mut trusted: Vec<Certificate> = self.trusted.to_vec();
        trusted.retain(|other| other.fingerprint() != key.fingerprint());
        trusted.push(key.clone());
        trusted.sort_by(|one, other| one.fingerprint().cmp(other.fingerprint()));
        trusted
    }

    /// Returns the digest of everything that is published, and of the keys.
    pub(crate) fn content(&self, key: &Certificate, trusted: &[Certificate]) -> Result<Digest, SnapshotError> {
        let mut hasher = Hasher::new();
        hasher.fact("snapshot recipe", RECIPE).fact("key", key.fingerprint());
        for certificate in trusted {
            hasher.fact("trusted", certificate.armored()?);
        }
        let mut rpms: Vec<_> = self.rpms.iter().map(|rpm| (rpm.file, rpm.digest)).collect();
        rpms.sort_unstable();
        for (file, digest) in rpms {
            hasher.fact("rpm", file).fact("built", digest.as_bytes());
        }
        for advisory in self.advisories {
            hasher.fact("advisory", serde_json::to_vec(advisory).unwrap_or_default());
        }
        Ok(hasher.finish())
    }
}
