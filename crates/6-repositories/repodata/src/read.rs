//! Reader of a repository's metadata, which may come from an untrusted server.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use basalt_digest::Digest;
use camino::Utf8Path;
use serde::de::DeserializeOwned;

use super::raw::{Checksum, Data, Filelists, Location, Other, Primary, PrimaryPackage, Repomd, Update, Updateinfo};
use super::{FOLDER, MetadataError, REPOMD};

/// Limit of a metadata file's decompressed size, in bytes: several times what the largest distributions have.
const MOST: u64 = 2 << 30;
/// Limit of the size of `repomd.xml`, in bytes.
const MOST_INDEX: u64 = 4 << 20;

/// Content of a repository, verified by the digests in its `repomd.xml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Revision from `repomd.xml`.
    pub revision: String,
    /// The packages.
    pub packages: Vec<IndexedPackage>,
    /// The advisories.
    pub advisories: Vec<Update>,
}

/// A package of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedPackage {
    /// Name of the binary package.
    pub name: String,
    /// Version: epoch (unless it is 0), version and release.
    pub evr: String,
    /// Architecture, or `noarch`, or `src`.
    pub arch: String,
    /// Path of the RPM, relative to the repository's folder.
    pub href: String,
    /// SHA-256 digest of the RPM.
    pub digest: Digest,
    /// Size of the RPM in bytes.
    pub size: u64,
}

/// Parses `repomd.xml`.
///
/// # Errors
/// When it is not XML of that form.
pub fn parse_repomd(bytes: &[u8]) -> Result<Repomd, MetadataError> {
    parse(bytes, REPOMD)
}

/// Parses `primary.xml`, decompressed.
///
/// # Errors
/// When it is not XML of that form.
pub fn parse_primary(bytes: &[u8]) -> Result<Primary, MetadataError> {
    parse(bytes, "primary.xml")
}

/// Parses `filelists.xml`, decompressed.
///
/// # Errors
/// When it is not XML of that form.
pub fn parse_filelists(bytes: &[u8]) -> Result<Filelists, MetadataError> {
    parse(bytes, "filelists.xml")
}

/// Parses `other.xml`, decompressed.
///
/// # Errors
/// When it is not XML of that form.
pub fn parse_other(bytes: &[u8]) -> Result<Other, MetadataError> {
    parse(bytes, "other.xml")
}

/// Parses `updateinfo.xml`, decompressed.
///
/// # Errors
/// When it is not XML of that form.
pub fn parse_updateinfo(bytes: &[u8]) -> Result<Updateinfo, MetadataError> {
    parse(bytes, "updateinfo.xml")
}

fn parse<T: DeserializeOwned>(bytes: &[u8], file: &str) -> Result<T, MetadataError> {
    let text = std::str::from_utf8(bytes).map_err(|error| MetadataError::malformed(file, error.to_string()))?;
    quick_xml::de::from_str(text).map_err(|error| MetadataError::malformed(file, error.to_string()))
}

/// Reads the metadata of the repository in a folder. The signature of `repomd.xml` is for the caller to verify first.
///
/// # Errors
/// When a file is missing or malformed, differs from what `repomd.xml` says, or contradicts another.
pub fn read(folder: &Utf8Path) -> Result<Index, MetadataError> {
    let index = folder.join(FOLDER).join(REPOMD);
    let repomd = parse_repomd(&read_file(&index, MOST_INDEX, REPOMD)?)?;
    let mut files = BTreeMap::new();
    for data in &repomd.data {
        if files.insert(data.kind.as_str(), data).is_some() {
            return Err(MetadataError::malformed(
                REPOMD,
                format!("it names `{}` more than once", data.kind),
            ));
        }
    }
    let fetch = |kind: &str| files.get(kind).map(|data| fetch(folder, data)).transpose();
    let missing = |kind: &str| MetadataError::malformed(REPOMD, format!("it does not name `{kind}`"));
    let primary = parse_primary(&fetch("primary")?.ok_or_else(|| missing("primary"))?)?;
    let packages = check_primary(&primary)?;
    let known: BTreeSet<String> = packages.iter().map(|package| package.digest.to_hex()).collect();
    let same = |file: &str, count: usize, ids: Vec<&str>| {
        // A package that is listed under two places may have one entry here, or two.
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        if count == ids.len() && distinct.len() == known.len() && distinct.iter().all(|id| known.contains(*id)) {
            return Ok(());
        }
        Err(MetadataError::malformed(
            file,
            "it is about other packages than primary.xml".to_owned(),
        ))
    };
    if let Some(bytes) = fetch("filelists")? {
        let lists = parse_filelists(&bytes)?;
        let ids = lists.packages.iter().map(|package| package.package_id.as_str());
        same("filelists.xml", lists.count, ids.collect())?;
    }
    if let Some(bytes) = fetch("other")? {
        let other = parse_other(&bytes)?;
        let ids = other.packages.iter().map(|package| package.package_id.as_str());
        same("other.xml", other.count, ids.collect())?;
    }
    let advisories = match fetch("updateinfo")? {
        Some(bytes) => parse_updateinfo(&bytes)?.updates,
        None => Vec::new(),
    };
    Ok(Index {
        revision: repomd.revision,
        packages,
        advisories,
    })
}

/// Reads and decompresses a file that `repomd.xml` names; an error when its size or digest differs.
fn fetch(folder: &Utf8Path, data: &Data) -> Result<Vec<u8>, MetadataError> {
    let href = place(&data.location, REPOMD)?;
    let href = href.as_str();
    let bytes = read_file(&folder.join(href), data.size.map_or(MOST, |size| size.min(MOST)), href)?;
    if let Some(size) = data.size.filter(|size| bytes.len() as u64 != *size) {
        return Err(MetadataError::changed(
            href,
            format!("it has {} bytes, {size} are expected", bytes.len()),
        ));
    }
    compare(&bytes, &data.checksum, href)?;
    let limit = data.open_size.unwrap_or(MOST);
    if limit > MOST {
        return Err(MetadataError::malformed(
            href,
            format!("it claims to hold {limit} bytes"),
        ));
    }
    let open = decompress(&bytes, limit, href)?;
    if data.open_size.is_some_and(|size| size != open.len() as u64) {
        return Err(MetadataError::changed(href, "it does not hold what it claims to"));
    }
    if let Some(checksum) = &data.open_checksum {
        compare(&open, checksum, href)?;
    }
    Ok(open)
}

/// Decompresses by the extension of the name (`zst`, `gz`, `xml`), up to a limit in bytes: a few bytes may expand to
/// terabytes.
fn decompress(bytes: &[u8], limit: u64, name: &str) -> Result<Vec<u8>, MetadataError> {
    let wrong = |error: std::io::Error| MetadataError::malformed(name, error.to_string());
    let extension = Utf8Path::new(name).extension().unwrap_or_default();
    let mut open: Box<dyn std::io::Read + '_> = match extension {
        "zst" => Box::new(zstd::Decoder::new(bytes).map_err(wrong)?),
        "gz" => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        "xml" => Box::new(bytes),
        other => {
            return Err(MetadataError::malformed(
                name,
                format!("`{other}` is not read here; zst, gz or nothing are"),
            ));
        }
    };
    let mut content = Vec::new();
    open.by_ref().take(limit + 1).read_to_end(&mut content).map_err(wrong)?;
    if content.len() as u64 > limit {
        return Err(MetadataError::malformed(
            name,
            format!("it holds more than {limit} bytes"),
        ));
    }
    Ok(content)
}

fn compare(bytes: &[u8], checksum: &Checksum, name: &str) -> Result<(), MetadataError> {
    let expected = digest(checksum, name)?;
    let actual = Digest::of(bytes);
    if actual == expected {
        return Ok(());
    }
    Err(MetadataError::changed(
        name,
        format!("its digest is {actual}, {expected} is expected"),
    ))
}

fn digest(checksum: &Checksum, name: &str) -> Result<Digest, MetadataError> {
    if checksum.kind != "sha256" {
        return Err(MetadataError::malformed(
            name,
            format!(
                "its digest is of the kind `{}`, and sha256 is the only one by which files and packages are identified here",
                checksum.kind
            ),
        ));
    }
    checksum
        .value
        .parse()
        .map_err(|_| MetadataError::malformed(name, format!("`{}` is not a digest", checksum.value)))
}

/// Checks that a location is a path inside of the repository's folder, and returns it in normal form: without the `.` and
/// the empty components that some writers put in.
fn place(location: &Location, file: &str) -> Result<String, MetadataError> {
    let href = location.href.as_str();
    // A colon is part of file names with an epoch; with two slashes it makes an address of another place.
    let plain = !href.starts_with('/') && !href.contains(['\\', '\0']) && !href.contains("://");
    let parts: Vec<&str> = href
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if plain && location.base.is_none() && !parts.is_empty() && !parts.contains(&"..") && !href.ends_with('/') {
        return Ok(parts.join("/"));
    }
    Err(MetadataError::malformed(
        file,
        format!("`{href}` is not a place in the repository"),
    ))
}

fn read_file(path: &Utf8Path, limit: u64, name: &str) -> Result<Vec<u8>, MetadataError> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs_err::File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(MetadataError::io(path))?;
    if bytes.len() as u64 > limit {
        return Err(MetadataError::changed(name, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

fn check_primary(primary: &Primary) -> Result<Vec<IndexedPackage>, MetadataError> {
    const FILE: &str = "primary.xml";
    if primary.count != primary.packages.len() {
        let (said, are) = (primary.count, primary.packages.len());
        return Err(MetadataError::malformed(
            FILE,
            format!("it announces {said} packages and has {are}"),
        ));
    }
    let mut places: BTreeMap<String, Digest> = BTreeMap::new();
    let mut packages = Vec::new();
    for package in &primary.packages {
        let indexed = check_package(package, FILE)?;
        match places.insert(indexed.href.clone(), indexed.digest) {
            None => packages.push(indexed),
            // The same file, listed twice.
            Some(known) if known == indexed.digest => {}
            Some(_) => {
                return Err(MetadataError::malformed(
                    FILE,
                    format!("`{}` is there more than once, with different digests", indexed.href),
                ));
            }
        }
    }
    Ok(packages)
}

fn check_package(package: &PrimaryPackage, file: &str) -> Result<IndexedPackage, MetadataError> {
    let bare =
        |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
    let version = &package.version;
    if ![&package.name, &package.arch, &version.version, &version.release]
        .iter()
        .all(|text| bare(text))
    {
        return Err(MetadataError::malformed(
            file,
            format!("`{}` has no proper name, version or architecture", package.name),
        ));
    }
    let href = place(&package.location, file)?;
    let (ver, rel) = (&version.version, &version.release);
    Ok(IndexedPackage {
        name: package.name.clone(),
        evr: match version.epoch.as_str() {
            "" | "0" => format!("{ver}-{rel}"),
            epoch => format!("{epoch}:{ver}-{rel}"),
        },
        arch: package.arch.clone(),
        href,
        digest: digest(&package.checksum, file)?,
        size: package.size.package,
    })
}
