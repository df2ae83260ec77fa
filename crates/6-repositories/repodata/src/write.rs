//! Writer of a repository's metadata.

use std::io::Write as _;

use basalt_digest::Digest;
use serde::Serialize;

use super::describe::{PackageEntries, SHA256, clean};
use super::raw::{
    COMMON, Checksum, Collection, Data, Date, FILELISTS, Filelists, FixedPackage, Location, OTHER, Other, PackageLists,
    Primary, REPO, RPM, Reference, References, Repomd, Update, Updateinfo, Version,
};
use super::{FOLDER, MetadataError};
use basalt_updateinfo::Advisory;

/// Compression level of zstd. dnf decompresses all levels at the same speed.
const LEVEL: i32 = 19;

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

/// Writes the metadata of packages, sorted by name, architecture and version. `time`, in seconds since 1970, becomes
/// the revision, which must grow with every change.
///
/// # Errors
/// When a value cannot be written as XML.
pub fn write(packages: &[PackageEntries], advisories: &[Advisory], time: u64) -> Result<Metadata, MetadataError> {
    let mut packages: Vec<&PackageEntries> = packages.iter().collect();
    packages.sort_by(|one, other| order(one).cmp(&order(other)));
    let count = packages.len();
    let primary = Primary {
        namespace: COMMON.to_owned(),
        rpm_namespace: RPM.to_owned(),
        count,
        packages: packages.iter().map(|package| package.primary.clone()).collect(),
    };
    let filelists = Filelists {
        namespace: FILELISTS.to_owned(),
        count,
        packages: packages.iter().map(|package| package.filelists.clone()).collect(),
    };
    let other = Other {
        namespace: OTHER.to_owned(),
        count,
        packages: packages.iter().map(|package| package.other.clone()).collect(),
    };
    let mut files = Vec::new();
    let mut data = Vec::new();
    let mut add = |(entry, file)| {
        data.push(entry);
        files.push(file);
    };
    add(compressed("primary", &primary, time)?);
    add(compressed("filelists", &filelists, time)?);
    add(compressed("other", &other, time)?);
    let updates = updateinfo(advisories, &packages);
    if !updates.updates.is_empty() {
        add(compressed("updateinfo", &updates, time)?);
    }
    let repomd = Repomd {
        namespace: REPO.to_owned(),
        rpm_namespace: RPM.to_owned(),
        revision: time.to_string(),
        data,
    };
    Ok(Metadata {
        repomd: xml("repomd.xml", &repomd)?,
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

fn xml(name: &str, value: &impl Serialize) -> Result<Vec<u8>, MetadataError> {
    let unwritable = |why: String| MetadataError::Unwritable {
        file: name.to_owned(),
        why,
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut serializer = quick_xml::se::Serializer::new(&mut text);
    serializer.indent(' ', 2);
    value
        .serialize(serializer)
        .map_err(|error| unwritable(error.to_string()))?;
    text.push('\n');
    Ok(text.into_bytes())
}

/// Writes and compresses a file of the metadata, and makes its entry in `repomd.xml`.
fn compressed(kind: &str, value: &impl Serialize, time: u64) -> Result<(Data, MetadataFile), MetadataError> {
    let name = format!("{kind}.xml.zst");
    let text = xml(&name, value)?;
    let compress = || -> std::io::Result<Vec<u8>> {
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        encoder.set_pledged_src_size(Some(text.len() as u64))?;
        encoder.include_checksum(true)?;
        encoder.write_all(&text)?;
        encoder.finish()
    };
    let bytes = compress().map_err(|error| MetadataError::Unwritable {
        file: name.clone(),
        why: error.to_string(),
    })?;
    let checksum = |bytes: &[u8]| Checksum {
        kind: SHA256.to_owned(),
        package_id: None,
        value: Digest::of(bytes).to_hex(),
    };
    let closed = checksum(&bytes);
    let name = format!("{}-{name}", closed.value);
    let data = Data {
        kind: kind.to_owned(),
        location: Location {
            base: None,
            href: format!("{FOLDER}/{name}"),
        },
        checksum: closed,
        open_checksum: Some(checksum(&text)),
        timestamp: time,
        size: bytes.len() as u64,
        open_size: Some(text.len() as u64),
    };
    Ok((data, MetadataFile { name, bytes }))
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
