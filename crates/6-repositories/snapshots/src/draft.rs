//! Detached signing: files to be signed are exported, signatures are imported, and only those that verify are accepted.
//!
//! There are two rounds, because the index of a repository holds the digests of signed RPMs: first the headers of all
//! RPMs, then the index. Headers that were signed before are not exported again. Between the rounds the draft is kept
//! in the repository's folder, invisible to clients.

use basalt_digest::Digest;
use basalt_process::interrupt;
use basalt_repodata::{FOLDER, REPOMD};
use basalt_signing::{Certificate, Timestamp, armored, binary, verify};
use basalt_store::{FileError, remove_tree, write};
use basalt_updateinfo::Advisory;
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::publish::Assembly;
use crate::{PublishPlan, Repository, Snapshot, SnapshotError, UnsignedRpm};

const DRAFT: &str = "draft";
const PLAN: &str = "plan.json";
const ASSEMBLED: &str = "snapshot";
/// Extensions of a signature's file, beside the file that it signs.
const ENDINGS: [&str; 3] = ["sig", "asc", "gpg"];

/// The round of signatures that a draft needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SigningRound {
    /// The headers of RPMs.
    Packages,
    /// The index of the repository.
    Index,
}

/// A snapshot that is not published yet, because signatures are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// The round of signatures that is next.
    pub stage: SigningRound,
    /// Fingerprint of the key that signs.
    pub key: String,
    /// Number of signatures that are missing in this round.
    pub missing: usize,
    /// Number of RPMs in the snapshot.
    pub packages: usize,
}

/// Result of an import of signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// All signatures were accepted; the next round is due.
    More(Draft),
    /// All signatures were accepted, and the snapshot is published.
    Published(Snapshot),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    snapshot: Option<String>,
    key: String,
    trusted: Vec<String>,
    rpms: Vec<StoredRpm>,
    advisories: Vec<Advisory>,
    content: Digest,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRpm {
    file: String,
    built: Digest,
}

/// A file that has to be signed: name, content, and the RPM that its header is from.
struct Item<'s> {
    name: String,
    bytes: Vec<u8>,
    rpm: Option<&'s StoredRpm>,
}

impl Repository {
    /// Prepares a snapshot that is signed elsewhere by `key`. An earlier draft is discarded.
    ///
    /// # Errors
    /// When the key is not valid at `now`, when the plan is not valid, or when an RPM or a file cannot be read or
    /// written.
    pub fn prepare(&self, plan: &PublishPlan<'_>, key: &Certificate, now: Timestamp) -> Result<Draft, SnapshotError> {
        key.ensure_valid(now)?;
        plan.check()?;
        let lock = self.lock(|_| {})?;
        self.sweep_work()?;
        let trusted = plan.trusted_with(key);
        let stored = Stored {
            snapshot: plan.snapshot.map(str::to_owned),
            key: key.armored()?,
            trusted: trusted.iter().map(Certificate::armored).collect::<Result<_, _>>()?,
            content: plan.content(key, &trusted)?,
            advisories: plan.advisories.to_vec(),
            rpms: plan
                .rpms
                .iter()
                .map(|rpm| StoredRpm {
                    file: rpm.file.to_owned(),
                    built: rpm.digest,
                })
                .collect(),
        };
        let work = self.work("draft")?;
        fs_err::create_dir_all(&work).map_err(FileError::new("cannot create", &work))?;
        for UnsignedRpm { path, digest, .. } in plan.rpms {
            interrupt::check()?;
            // The store may be cleaned before the signatures are imported.
            let copy = work.join(format!("{digest}.rpm"));
            if fs_err::hard_link(path, &copy).is_err() {
                fs_err::copy(path, &copy).map_err(FileError::new("cannot copy to", &copy))?;
            }
        }
        let text = serde_json::to_vec_pretty(&stored).map_err(|error| self.damaged(&error.to_string()))?;
        write::atomically(&work.join(PLAN), text)?;
        remove_tree(&self.draft_folder())?;
        let folder = self.draft_folder();
        fs_err::rename(&work, &folder).map_err(FileError::new("cannot move a draft to", &folder))?;
        if self.items(&stored, key)?.is_empty() {
            self.assemble_draft(&stored, now)?;
        }
        drop(lock);
        self.draft()?.ok_or_else(|| self.no_draft())
    }

    /// Returns the draft that needs signatures, if there is one.
    ///
    /// # Errors
    /// When the draft cannot be read.
    pub fn draft(&self) -> Result<Option<Draft>, SnapshotError> {
        let Some(stored) = self.stored()? else { return Ok(None) };
        let key = self.key_of(&stored)?;
        let items = self.items(&stored, &key)?;
        let stage = match items.first() {
            Some(Item { rpm: Some(_), .. }) => SigningRound::Packages,
            _ => SigningRound::Index,
        };
        Ok(Some(Draft {
            stage,
            key: key.fingerprint().to_owned(),
            missing: items.len(),
            packages: stored.rpms.len(),
        }))
    }

    /// Writes the files that have to be signed into a folder, with their digests.
    ///
    /// # Errors
    /// When there is no draft, or when the folder cannot be written to.
    pub fn export(&self, folder: &Utf8Path) -> Result<Draft, SnapshotError> {
        let _lock = self.lock(|_| {})?;
        let stored = self.stored()?.ok_or_else(|| self.no_draft())?;
        let key = self.key_of(&stored)?;
        let mut sums = String::new();
        for item in self.items(&stored, &key)? {
            sums += &format!("{}  {}\n", Digest::of(&item.bytes), item.name);
            write::atomically(&folder.join(&item.name), &item.bytes)?;
        }
        write::atomically(&folder.join("SHA256SUMS"), sums)?;
        let fingerprint = key.fingerprint();
        let readme = format!(
            "To be signed with the key {fingerprint} ({user}), where its secret half is:\n\n  sha256sum --check SHA256SUMS\n  \
             for file in *.header repomd.xml; do\n    [ -e \"$file\" ] && gpg --local-user {fingerprint} --detach-sign \
             \"$file\"\n  done\n\nBring the *.sig files back into this folder; then:\n\n  ./basalt repo sign import \
             --name {name} <this folder>\n",
            user = key.user(),
            name = self.name(),
        );
        write::atomically(&folder.join("README.txt"), readme)?;
        self.draft()?.ok_or_else(|| self.no_draft())
    }

    /// Imports signatures from a folder. All of them are verified, over the repository's own files, before any of them
    /// is used.
    ///
    /// # Errors
    /// When one is missing, or was not made by the key over exactly what was exported; nothing is changed then.
    pub fn import(&self, folder: &Utf8Path, now: Timestamp) -> Result<ImportOutcome, SnapshotError> {
        let _lock = self.lock(|_| {})?;
        self.sweep_work()?;
        let stored = self.stored()?.ok_or_else(|| self.no_draft())?;
        let key = self.key_of(&stored)?;
        let items = self.items(&stored, &key)?;
        let mut signatures = Vec::new();
        let mut missing = Vec::new();
        for item in &items {
            let signature = |source| SnapshotError::Signature {
                what: item.name.clone(),
                source,
            };
            let Some(bytes) = find(folder, &item.name)? else {
                missing.push(item.name.clone());
                continue;
            };
            verify(&item.bytes, &bytes, std::slice::from_ref(&key), now).map_err(signature)?;
            signatures.push(bytes);
        }
        if !missing.is_empty() {
            return Err(SnapshotError::Unsigned {
                folder: folder.to_owned(),
                missing,
                total: items.len(),
            });
        }
        for (item, bytes) in items.iter().zip(&signatures) {
            interrupt::check()?;
            let signature = |source| SnapshotError::Signature {
                what: item.name.clone(),
                source,
            };
            let Some(rpm) = item.rpm else {
                let text = armored(bytes).map_err(signature)?;
                return self.publish_draft(&text).map(ImportOutcome::Published);
            };
            let packet = binary(bytes).map_err(signature)?;
            let path = self.draft_folder().join(format!("{}.rpm", rpm.built));
            self.sign_into_pool(&path, &rpm.built, key.fingerprint(), |_| Ok(packet))?;
        }
        self.assemble_draft(&stored, now)?;
        self.draft()?.map(ImportOutcome::More).ok_or_else(|| self.no_draft())
    }

    fn publish_draft(&self, signature: &str) -> Result<Snapshot, SnapshotError> {
        let assembled = self.draft_folder().join(ASSEMBLED);
        let name = Snapshot::open(&assembled)?.name;
        if self.snapshot_path(&name).exists() {
            return Err(SnapshotError::Exists {
                repository: self.name().to_owned(),
                name,
            });
        }
        let snapshot = self.finish(&assembled, &name, signature)?;
        remove_tree(&self.draft_folder())?;
        Ok(snapshot)
    }

    /// Assembles the snapshot, all but the signature of its index, once all RPMs are signed.
    fn assemble_draft(&self, stored: &Stored, now: Timestamp) -> Result<(), SnapshotError> {
        let key = self.key_of(stored)?;
        let mut packages = Vec::new();
        for rpm in &stored.rpms {
            let digest = self
                .signed(&rpm.built, key.fingerprint())
                .ok_or_else(|| self.damaged(&format!("{} is not signed", rpm.file)))?;
            packages.push(self.pooled(&rpm.file, digest, rpm.built)?);
        }
        let mut trusted = Vec::new();
        for text in &stored.trusted {
            trusted.extend(Certificate::parse(text.as_bytes(), PLAN)?);
        }
        let work = self.work(ASSEMBLED)?;
        let assembly = Assembly {
            name: &self.fresh_name(stored.snapshot.as_deref(), now),
            made: now,
            key: &key,
            trusted: &trusted,
            advisories: &stored.advisories,
            content: stored.content,
            packages,
        };
        self.assemble(&work, assembly, &|| {})?;
        let place = self.draft_folder().join(ASSEMBLED);
        remove_tree(&place)?;
        fs_err::rename(&work, &place).map_err(FileError::new("cannot move to", &place))?;
        Ok(())
    }

    /// Returns the files that have to be signed in this round: headers of RPMs that are not signed; or the index, when
    /// all are.
    fn items<'s>(&self, stored: &'s Stored, key: &Certificate) -> Result<Vec<Item<'s>>, SnapshotError> {
        let mut items = Vec::new();
        for rpm in &stored.rpms {
            if self.signed(&rpm.built, key.fingerprint()).is_none() {
                let path = self.draft_folder().join(format!("{}.rpm", rpm.built));
                let header = basalt_rpm::read_header(&path)?.header_bytes();
                items.push(Item {
                    name: format!("{}.header", rpm.file),
                    bytes: header.map_err(SnapshotError::rpm(&path))?,
                    rpm: Some(rpm),
                });
            }
        }
        let index = self.draft_folder().join(ASSEMBLED).join(FOLDER).join(REPOMD);
        if items.is_empty() && index.is_file() {
            items.push(Item {
                name: REPOMD.to_owned(),
                bytes: fs_err::read(&index).map_err(FileError::new("cannot read", &index))?,
                rpm: None,
            });
        }
        Ok(items)
    }

    fn draft_folder(&self) -> Utf8PathBuf {
        self.folder().join(DRAFT)
    }

    fn stored(&self) -> Result<Option<Stored>, SnapshotError> {
        let path = self.draft_folder().join(PLAN);
        match fs_err::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new("cannot read", &path)(error).into()),
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| self.damaged(&error.to_string())),
        }
    }

    fn key_of(&self, stored: &Stored) -> Result<Certificate, SnapshotError> {
        let mut keys = Certificate::parse(stored.key.as_bytes(), PLAN)?;
        keys.pop().ok_or_else(|| self.damaged("it names no key"))
    }

    fn damaged(&self, why: &str) -> SnapshotError {
        SnapshotError::Damaged {
            path: self.draft_folder().join(PLAN),
            why: why.to_owned(),
            help: "publish again: that prepares another draft",
        }
    }

    fn no_draft(&self) -> SnapshotError {
        SnapshotError::NoDraft {
            repository: self.name().to_owned(),
        }
    }
}

/// Reads the signature of a file from a file beside it; none when there is no such file.
fn find(folder: &Utf8Path, name: &str) -> Result<Option<Vec<u8>>, SnapshotError> {
    for ending in ENDINGS {
        let path = folder.join(format!("{name}.{ending}"));
        if path.is_file() {
            return Ok(Some(fs_err::read(&path).map_err(FileError::new("cannot read", &path))?));
        }
    }
    Ok(None)
}
