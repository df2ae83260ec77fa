//! Writer of a repository's metadata.

use std::io::Write as _;

use basalt_digest::{Digest, Hasher};

use super::describe::{PackageEntries, SHA256, clean};
use super::largest_first::largest_first;
use super::lists::{ListTexts, joined, xml};
use super::raw::{
    Checksum, Collection, Data, Date, FixedPackage, Location, PackageLists, REPO, RPM, Reference, References, Repomd,
    Update, Updateinfo, Version,
};
use super::{FOLDER, MetadataError};
use basalt_updateinfo::Advisory;

/// Compression level of zstd, the same as createrepo_c's.
const LEVEL: i32 = 9;

/// Metadata of a repository, ready to be put into its folder `repodata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Content of `repomd.xml`, which is signed.
    pub repomd: Vec<u8>,
    /// Files that `repomd.xml` names.
    pub files: Vec<MetadataFile>,
}

/// A file of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFile {
    /// Name, which begins with the digest of the content: `<sha256>-primary.xml.zst`.
    pub name: String,
    /// Content, compressed.
    pub bytes: Vec<u8>,
}

/// Writes the metadata of packages, sorted by name, architecture and version, on all cores. `time`, in seconds since 1970,
/// becomes the revision, which must grow with every change.
///
/// # Errors
/// When a value cannot be written as XML.
pub fn write(packages: &[PackageEntries], advisories: &[Advisory], time: u64) -> Result<Metadata, MetadataError> {
    write_on(basalt_schedule::cores(), packages, advisories, time)
}

/// Like [`write()`], with so many worker threads. Their number makes no difference to the bytes.
///
/// # Errors
/// When a value cannot be written as XML.
pub fn write_on(
    workers: usize,
    packages: &[PackageEntries],
    advisories: &[Advisory],
    time: u64,
) -> Result<Metadata, MetadataError> {
    let mut packages: Vec<&PackageEntries> = packages.iter().collect();
    packages.sort_by(|one, other| order(one).cmp(&order(other)));
    let files = |package: &&PackageEntries| package.filelists.files.len();
    let mut texts = largest_first(workers, &packages, files, |package| {
        ListTexts::of(Some(package), packages.len())
    })?;
    if texts.is_empty() {
        texts.push(ListTexts::of(None, 0)?);
    }
    let mut documents = vec![
        Document::list("primary", texts.iter().map(|texts| texts.primary.as_str())),
        Document::list("filelists", texts.iter().map(|texts| texts.filelists.as_str())),
        Document::list("other", texts.iter().map(|texts| texts.other.as_str())),
    ];
    let updates = updateinfo(advisories, &packages);
    let text = xml(None, &updates)?;
    if !updates.updates.is_empty() {
        documents.push(Document {
            kind: "updateinfo",
            pieces: vec![&text],
        });
    }
    let compressed = largest_first(workers, &documents, Document::len, |document| document.compressed(time))?;
    let (data, files) = compressed.into_iter().unzip();
    let repomd = Repomd {
        namespace: REPO.to_owned(),
        rpm_namespace: RPM.to_owned(),
        revision: time.to_string(),
        data,
    };
    Ok(Metadata {
        repomd: xml(None, &repomd)?.into_bytes(),
        files,
    })
}

fn order(package: &PackageEntries) -> [&str; 6] {
    let primary = &package.primary;
    let Version {
        epoch,
        version,
        release,
    } = &primary.version;
    [
        &primary.name,
        &primary.arch,
        epoch,
        version,
        release,
        &primary.checksum.value,
    ]
}

/// A file of the metadata before its compression.
struct Document<'t> {
    /// Type in `repomd.xml`.
    kind: &'static str,
    /// Text, in pieces.
    pieces: Vec<&'t str>,
}

impl<'t> Document<'t> {
    fn list(kind: &'static str, texts: impl Iterator<Item = &'t str>) -> Self {
        Self {
            kind,
            pieces: joined(texts),
        }
    }

    /// Length in bytes.
    fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    /// Compresses the text, and makes its entry in `repomd.xml`.
    fn compressed(&self, time: u64) -> Result<(Data, MetadataFile), MetadataError> {
        let name = format!("{}.xml.zst", self.kind);
        let open_size = self.len() as u64;
        let mut open = Hasher::new();
        let mut compress = || -> std::io::Result<Vec<u8>> {
            let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
            encoder.set_pledged_src_size(Some(open_size))?;
            encoder.include_checksum(true)?;
            for piece in &self.pieces {
                open.write_all(piece.as_bytes())?;
                encoder.write_all(piece.as_bytes())?;
            }
            encoder.finish()
        };
        let bytes = compress().map_err(|error| MetadataError::Unwritable {
            file: name.clone(),
            why: error.to_string(),
        })?;
        let closed = checksum(Digest::of(&bytes));
        let name = format!("{}-{name}", closed.value);
        let data = Data {
            kind: self.kind.to_owned(),
            location: Location {
                base: None,
                href: format!("{FOLDER}/{name}"),
            },
            checksum: closed,
            open_checksum: Some(checksum(open.finish())),
            timestamp: time,
            size: Some(bytes.len() as u64),
            open_size: Some(open_size),
        };
        Ok((data, MetadataFile { name, bytes }))
    }
}

fn checksum(digest: Digest) -> Checksum {
    Checksum {
        kind: SHA256.to_owned(),
        package_id: None,
        value: digest.to_hex(),
    }
}

/// Selects the advisories about packages of the repository.
fn updateinfo(advisories: &[Advisory], packages: &[&PackageEntries]) -> Updateinfo {
    let arch = |name: &str| {
        let package = packages.iter().find(|package| package.primary.name == name)?;
        Some(package.primary.arch.clone())
    };
    let updates = advisories.iter().filter_map(|advisory| {
        let fixed: Vec<_> = advisory
            .packages
            .iter()
            .filter_map(|package| {
                let arch = arch(&package.name)?;
                let evr = rpm_version::Evr::parse(&package.fixed);
                let (name, version, release) = (&package.name, evr.version(), evr.release());
                Some(FixedPackage {
                    name: clean(name),
                    version: clean(version),
                    release: clean(release),
                    epoch: if evr.epoch().is_empty() { "0" } else { evr.epoch() }.to_owned(),
                    filename: format!("{name}-{version}-{release}.{arch}.rpm"),
                    arch,
                })
            })
            .collect();
        (!fixed.is_empty()).then(|| update(advisory, fixed))
    });
    let mut updates: Vec<_> = updates.collect();
    updates.sort_by(|one, other| one.id.cmp(&other.id));
    Updateinfo { updates }
}

fn update(advisory: &Advisory, packages: Vec<FixedPackage>) -> Update {
    let references = advisory.references.iter().map(|reference| Reference {
        href: clean(&reference.url),
        id: clean(&reference.id),
        title: clean(reference.title.as_deref().unwrap_or(&reference.id)),
        kind: reference.kind().to_owned(),
    });
    Update {
        from: "Basalt Linux".to_owned(),
        status: "final".to_owned(),
        kind: advisory.kind.word().to_owned(),
        version: "1".to_owned(),
        id: clean(&advisory.id),
        title: clean(&advisory.title),
        severity: advisory.severity.word().to_owned(),
        issued: Date {
            date: clean(&advisory.issued),
        },
        description: clean(&advisory.description),
        references: References {
            references: references.collect(),
        },
        pkglist: PackageLists {
            collections: vec![Collection {
                short: "basalt".to_owned(),
                name: "Basalt Linux".to_owned(),
                packages,
            }],
        },
    }
}
