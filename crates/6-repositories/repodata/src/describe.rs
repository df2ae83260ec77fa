//! Description of an RPM in a repository's metadata, from its header.

use std::collections::HashSet;

use basalt_digest::Digest;
use camino::Utf8Path;
use rpm::{Dependency, DependencyFlags, FileFlags, FileMode, FileType, IndexSignatureTag, IndexTag, PackageMetadata};

use super::raw::{
    Changelog, Checksum, Entries, Entry, File, FilelistsPackage, Format, HeaderRange, Location, OtherPackage,
    PrimaryPackage, Size, Time, Version,
};
use basalt_rpm::RpmError;

/// Number of changelog entries per package, the same as createrepo_c's default.
const CHANGES: usize = 10;
/// Type of digests in the metadata.
pub(crate) const SHA256: &str = "sha256";

/// Location, digest and times of an RPM in a repository.
#[derive(Debug, Clone, Copy)]
pub struct RpmLocation<'a> {
    /// Path relative to the repository's folder.
    pub href: &'a str,
    /// SHA-256 digest of the file.
    pub digest: Digest,
    /// Size of the file in bytes.
    pub size: u64,
    /// Time at which the file was added, in seconds since 1970.
    pub time: u64,
}

/// Entries of an RPM in the three files of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageEntries {
    /// Entry in `primary.xml`.
    pub primary: PrimaryPackage,
    /// Entry in `filelists.xml`.
    pub filelists: FilelistsPackage,
    /// Entry in `other.xml`.
    pub other: OtherPackage,
}

/// Describes an RPM by its header. The payload is not read.
///
/// # Errors
/// When the file cannot be read or is not an RPM.
pub fn describe(path: &Utf8Path, placed: RpmLocation<'_>) -> Result<PackageEntries, RpmError> {
    describe_parsed(&basalt_rpm::read_header(path)?, path, placed)
}

/// Describes an RPM by its header, which was read from `path`.
pub(crate) fn describe_parsed(
    header: &PackageMetadata,
    path: &Utf8Path,
    placed: RpmLocation<'_>,
) -> Result<PackageEntries, RpmError> {
    let wrong = RpmError::header(path);
    let lists = Lists::of(header).map_err(&wrong)?;
    if let Some(name) = lists.names().find(|name| !fits_xml(name)) {
        let name = name.escape_debug();
        return Err(RpmError::malformed(
            path,
            format!("`{name}` has a character that repository metadata cannot hold"),
        ));
    }
    describe_header(header, lists, placed).map_err(wrong)
}

/// Lists of a header, each read once.
struct Lists {
    provides: Vec<Dependency>,
    requires: Vec<Dependency>,
    conflicts: Vec<Dependency>,
    obsoletes: Vec<Dependency>,
    recommends: Vec<Dependency>,
    suggests: Vec<Dependency>,
    supplements: Vec<Dependency>,
    enhances: Vec<Dependency>,
    files: Vec<File>,
}

impl Lists {
    fn of(header: &PackageMetadata) -> Result<Self, rpm::Error> {
        Ok(Self {
            provides: header.get_provides()?,
            requires: header.get_requires()?,
            conflicts: header.get_conflicts()?,
            obsoletes: header.get_obsoletes()?,
            recommends: header.get_recommends()?,
            suggests: header.get_suggests()?,
            supplements: header.get_supplements()?,
            enhances: header.get_enhances()?,
            files: files(header)?,
        })
    }

    /// Names and versions of capabilities, and paths of files: without a character, they would be others. Texts that people
    /// read lose the characters that XML cannot hold instead.
    fn names(&self) -> impl Iterator<Item = &str> {
        let lists = [
            &self.provides,
            &self.requires,
            &self.conflicts,
            &self.obsoletes,
            &self.recommends,
            &self.suggests,
            &self.supplements,
            &self.enhances,
        ];
        let dependencies = lists.into_iter().flatten();
        let names = dependencies.flat_map(|dependency| [dependency.name.as_str(), dependency.version.as_str()]);
        names.chain(self.files.iter().map(|file| file.path.as_str()))
    }
}

/// Checks that XML holds a name as it is. The header's strings are read with the replacement character in the place of bytes
/// that are not UTF-8.
fn fits_xml(name: &str) -> bool {
    is_clean(name) && !name.contains(char::REPLACEMENT_CHARACTER)
}

/// Identity of a package, the same in all three files of the metadata.
struct Identity {
    package_id: String,
    name: String,
    arch: String,
    version: Version,
}

impl Identity {
    fn of(header: &PackageMetadata, digest: Digest) -> Result<Self, rpm::Error> {
        Ok(Self {
            package_id: digest.to_hex(),
            name: clean(header.get_name()?),
            arch: if header.is_source_package() {
                "src".to_owned()
            } else {
                clean(header.get_arch()?)
            },
            version: Version {
                epoch: header.get_epoch().unwrap_or_default().to_string(),
                version: clean(header.get_version()?),
                release: clean(header.get_release()?),
            },
        })
    }
}

fn describe_header(
    header: &PackageMetadata,
    lists: Lists,
    placed: RpmLocation<'_>,
) -> Result<PackageEntries, rpm::Error> {
    let identity = Identity::of(header, placed.digest)?;
    let primary = primary(header, &identity, &lists, placed)?;
    let changes = changes(header)?;
    let Identity {
        package_id,
        name,
        arch,
        version,
    } = identity;
    Ok(PackageEntries {
        primary,
        filelists: FilelistsPackage {
            package_id: package_id.clone(),
            name: name.clone(),
            arch: arch.clone(),
            version: version.clone(),
            files: lists.files,
        },
        other: OtherPackage {
            package_id,
            name,
            arch,
            version,
            changes,
        },
    })
}

/// Returns the entry in `primary.xml`.
fn primary(
    header: &PackageMetadata,
    identity: &Identity,
    lists: &Lists,
    placed: RpmLocation<'_>,
) -> Result<PrimaryPackage, rpm::Error> {
    Ok(PrimaryPackage {
        kind: "rpm".to_owned(),
        name: identity.name.clone(),
        arch: identity.arch.clone(),
        version: identity.version.clone(),
        checksum: Checksum {
            kind: SHA256.to_owned(),
            package_id: Some("YES".to_owned()),
            value: identity.package_id.clone(),
        },
        summary: text(header.get_summary()),
        description: text(header.get_description()),
        packager: text(header.get_packager()),
        url: text(header.get_url()),
        time: Time {
            file: placed.time,
            build: header.get_build_time().unwrap_or_default(),
        },
        size: Size {
            package: placed.size,
            installed: header.get_installed_size()?,
            archive: archive_size(header),
        },
        location: Location {
            base: None,
            href: placed.href.to_owned(),
        },
        format: format(header, lists),
    })
}

/// Returns the part of the entry in `primary.xml` that is particular to RPMs.
fn format(header: &PackageMetadata, lists: &Lists) -> Format {
    let provides = entries(&lists.provides);
    let requires = requires(&lists.requires, &provides, &lists.files);
    let offsets = header.get_package_segment_offsets();
    let files = lists.files.iter().filter(|file| is_primary(&file.path));
    Format {
        license: text(header.get_license()),
        vendor: text(header.get_vendor()),
        group: text(header.get_group()),
        build_host: text(header.get_build_host()),
        source: text(header.get_source_rpm()),
        header_range: HeaderRange {
            start: offsets.header,
            end: offsets.payload,
        },
        provides,
        requires,
        conflicts: entries(&lists.conflicts),
        obsoletes: entries(&lists.obsoletes),
        suggests: entries(&lists.suggests),
        enhances: entries(&lists.enhances),
        recommends: entries(&lists.recommends),
        supplements: entries(&lists.supplements),
        files: files.cloned().collect(),
    }
}

/// Reads a text of the header. Absent tags become empty texts, as with createrepo_c.
fn text(value: Result<&str, rpm::Error>) -> String {
    clean(value.unwrap_or_default())
}

/// Returns the size of the uncompressed payload in bytes; 0 when the header does not tell it.
fn archive_size(header: &PackageMetadata) -> u64 {
    let signature = &header.signature;
    let long = signature.get_entry_data_as_u64(IndexSignatureTag::RPMSIGTAG_LONGARCHIVESIZE);
    let short = || signature.get_entry_data_as_u32(IndexSignatureTag::RPMSIGTAG_PAYLOADSIZE);
    long.or_else(|_| short().map(u64::from)).unwrap_or_default()
}

/// Returns the newest entries of the changelog, the oldest of them first.
fn changes(header: &PackageMetadata) -> Result<Vec<Changelog>, rpm::Error> {
    let newest = header.get_changelog_entries()?.into_iter().take(CHANGES);
    let mut changes: Vec<_> = newest
        .map(|entry| Changelog {
            author: clean(entry.name.trim()),
            date: entry.timestamp,
            text: clean(&entry.description),
        })
        .collect();
    changes.reverse();
    Ok(changes)
}

/// Reads paths and types of the files. The rpm crate's own list of them has owners, times and digests, too, which takes most
/// of the time for a header.
fn files(header: &PackageMetadata) -> Result<Vec<File>, rpm::Error> {
    let modes = match header.header.get_entry_data_as_u16_array(IndexTag::RPMTAG_FILEMODES) {
        Err(rpm::Error::TagNotFound(_)) => return Ok(Vec::new()),
        other => other?,
    };
    let paths = header.get_file_paths_split()?;
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let flags = match header.header.get_entry_data_as_u32_array(IndexTag::RPMTAG_FILEFLAGS) {
        Err(rpm::Error::TagNotFound(_)) => return Ok(Vec::new()),
        other => other?,
    };
    if modes.len() != paths.len() || flags.len() != paths.len() {
        return Err(rpm::Error::InconsistentTagArrayLengths);
    }
    let files = paths.into_iter().zip(modes).zip(flags);
    let files = files.map(|(((folder, name), mode), flags)| File {
        kind: match FileMode::from(mode).file_type() {
            FileType::Dir => Some("dir".to_owned()),
            _ if FileFlags::from_bits_retain(flags).contains(FileFlags::GHOST) => Some("ghost".to_owned()),
            _ => None,
        },
        path: Utf8Path::new(folder).join(name).into_string(),
    });
    Ok(files.collect())
}

/// Returns `true` if `primary.xml` lists a file: solvers look for requirements by path there first.
fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail"
}

/// Returns the requirements on other packages: without those on rpm itself and those that the package fulfils, and each
/// once.
fn requires(required: &[Dependency], provided: &Entries, files: &[File]) -> Entries {
    let provided: HashSet<&Entry> = provided.entries.iter().collect();
    let is_own_file = |name: &str| is_primary(name) && files.iter().any(|file| file.path == name);
    let mut seen = HashSet::new();
    let entries = required.iter().filter_map(|dependency| {
        let is_on_rpm = dependency.flags.contains(DependencyFlags::RPMLIB) || dependency.name.starts_with("rpmlib(");
        if is_on_rpm || is_own_file(&dependency.name) {
            return None;
        }
        let first = dependency.flags.intersects(
            DependencyFlags::PREREQ
                | DependencyFlags::SCRIPT_PRE
                | DependencyFlags::SCRIPT_POST
                | DependencyFlags::PRETRANS
                | DependencyFlags::POSTTRANS,
        );
        let entry = entry(dependency);
        let is_needed = !provided.contains(&entry);
        let entry = Entry {
            pre: first.then(|| "1".to_owned()),
            ..entry
        };
        (is_needed && seen.insert(entry.clone())).then_some(entry)
    });
    Entries {
        entries: entries.collect(),
    }
}

fn entries(dependencies: &[Dependency]) -> Entries {
    Entries {
        entries: dependencies.iter().map(entry).collect(),
    }
}

fn entry(dependency: &Dependency) -> Entry {
    let has = |flag| dependency.flags.contains(flag);
    let flags = match (
        has(DependencyFlags::LESS),
        has(DependencyFlags::EQUAL),
        has(DependencyFlags::GREATER),
    ) {
        (true, false, false) => Some("LT"),
        (true, true, false) => Some("LE"),
        (false, true, false) => Some("EQ"),
        (false, true, true) => Some("GE"),
        (false, false, true) => Some("GT"),
        _ => None,
    };
    let (epoch, version, release) = match dependency.version.as_str() {
        "" => (None, None, None),
        version => {
            let evr = rpm_version::Evr::parse(version);
            let some = |part: &str| (!part.is_empty()).then(|| clean(part));
            let epoch = some(evr.epoch()).unwrap_or_else(|| "0".to_owned());
            (Some(epoch), some(evr.version()), some(evr.release()))
        }
    };
    Entry {
        name: clean(&dependency.name),
        flags: flags.map(str::to_owned),
        epoch,
        version,
        release,
        pre: None,
    }
}

/// Removes the characters that XML cannot hold.
pub(crate) fn clean(text: &str) -> String {
    if is_clean(text) {
        return text.to_owned();
    }
    text.chars().filter(|character| fits(*character)).collect()
}

/// Checks for a text that XML can hold.
fn is_clean(text: &str) -> bool {
    // Nearly all texts are ASCII, and bytes are looked at faster than characters.
    let is_plain = |byte: u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'\x7f');
    text.bytes().all(is_plain) || text.chars().all(fits)
}

fn fits(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_left_out() {
        assert_eq!(clean("a\u{7}b\tc\nd\u{0}\u{ffff}\u{1f600}é"), "ab\tc\nd\u{1f600}é");
    }
}
