//! RPMs: by header tag, and by file.

use std::collections::BTreeMap;
use std::io::Read as _;

use basalt_rpm::{Payload, RpmError, read_header};
use camino::Utf8Path;
use num_traits::FromPrimitive as _;
use rpm::{IndexData, IndexTag, PackageMetadata};

use super::archive::facts;
use super::{Findings, bytes, position};

/// Larger files are compared by digest alone.
const LARGEST: u64 = 512 << 20;
/// Bytes of a tag's value that are shown.
const WIDTH: usize = 80;

/// Tags that say something about each file, which is told by file, and those that follow from all the rest.
const BY_FILE: &[IndexTag] = &[
    IndexTag::RPMTAG_FILESIZES,
    IndexTag::RPMTAG_LONGFILESIZES,
    IndexTag::RPMTAG_FILEMODES,
    IndexTag::RPMTAG_FILERDEVS,
    IndexTag::RPMTAG_FILEMTIMES,
    IndexTag::RPMTAG_FILEDIGESTS,
    IndexTag::RPMTAG_FILELINKTOS,
    IndexTag::RPMTAG_FILEFLAGS,
    IndexTag::RPMTAG_FILEUSERNAME,
    IndexTag::RPMTAG_FILEGROUPNAME,
    IndexTag::RPMTAG_FILECAPS,
    IndexTag::RPMTAG_BASENAMES,
    IndexTag::RPMTAG_DIRNAMES,
    IndexTag::RPMTAG_DIRINDEXES,
];
const DERIVED: &[IndexTag] = &[
    IndexTag::RPMTAG_SIZE,
    IndexTag::RPMTAG_LONGSIZE,
    IndexTag::RPMTAG_ARCHIVESIZE,
    IndexTag::RPMTAG_FILECLASS,
    IndexTag::RPMTAG_CLASSDICT,
    IndexTag::RPMTAG_FILECOLORS,
    IndexTag::RPMTAG_FILEINODES,
    IndexTag::RPMTAG_FILEDEVICES,
    IndexTag::RPMTAG_PAYLOADSHA256,
    IndexTag::RPMTAG_PAYLOADSHA256ALT,
];

/// Adds what differs between two RPMs. Nothing is added when they are the same to the byte.
///
/// # Errors
/// When one of them cannot be read as an RPM.
pub fn compare(findings: &mut Findings, first: &Utf8Path, second: &Utf8Path) -> Result<(), RpmError> {
    let before = findings.count();
    let (one, other) = (read_header(first)?, read_header(second)?);
    let wrong = |source| RpmError::Header {
        path: first.to_owned(),
        source: Box::new(source),
    };
    let tags = |header: &PackageMetadata| -> Result<BTreeMap<u32, IndexData>, RpmError> {
        Ok(header.header.get_all_entries().map_err(&wrong)?.into_iter().collect())
    };
    let (tags, other_tags) = (tags(&one)?, tags(&other)?);
    let apart = |skip: &dyn Fn(IndexTag) -> bool| -> Vec<u32> {
        let known = |tag: &u32| IndexTag::from_u32(*tag).is_some_and(skip);
        let mut apart: Vec<_> = tags.keys().chain(other_tags.keys()).copied().collect();
        apart.sort_unstable();
        apart.dedup();
        apart.retain(|tag| !known(tag) && tags.get(tag) != other_tags.get(tag));
        apart
    };
    for tag in apart(&|tag| BY_FILE.contains(&tag) || DERIVED.contains(&tag) || is_region(tag)) {
        tell_tag(findings, tag, tags.get(&tag), other_tags.get(&tag));
    }
    files(findings, (&one, first), (&other, second))?;
    if findings.count() == before {
        // Nothing by itself; whatever there is in the header is better than to say nothing.
        for tag in apart(&is_region) {
            tell_tag(findings, tag, tags.get(&tag), other_tags.get(&tag));
        }
    }
    if findings.count() == before {
        around(findings, first, second, &one)?;
    }
    Ok(())
}

/// Returns `true` for tags that only mark the signed region of a header.
fn is_region(tag: IndexTag) -> bool {
    matches!(
        tag,
        IndexTag::RPMTAG_HEADERIMAGE | IndexTag::RPMTAG_HEADERSIGNATURES | IndexTag::RPMTAG_HEADERIMMUTABLE
    )
}

fn tell_tag(findings: &mut Findings, tag: u32, one: Option<&IndexData>, other: Option<&IndexData>) {
    let name = match IndexTag::from_u32(tag) {
        Some(tag) => format!("{tag:?}").trim_start_matches("RPMTAG_").to_owned(),
        None => tag.to_string(),
    };
    findings.within(format!("header {name}"), |findings| match (one, other) {
        (Some(one), Some(other)) => {
            let (one, other) = parted(one, other);
            findings.add(format!("is {one}, then {other}"));
        }
        (Some(_), None) => findings.add("is only in the first"),
        (None, _) => findings.add("is only in the second"),
    });
}

/// The values of a tag; of lists, the first items that differ.
fn parted(one: &IndexData, other: &IndexData) -> (String, String) {
    let (one, other) = (items(one), items(other));
    let at = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let shown = |items: &[String]| match items.get(at) {
        None => "shorter".to_owned(),
        Some(item) => {
            let short: String = item.chars().take(WIDTH).collect();
            let more = if short.len() < item.len() { "..." } else { "" };
            format!("`{short}{more}`")
        }
    };
    (shown(&one), shown(&other))
}

fn items(data: &IndexData) -> Vec<String> {
    fn texts<T: ToString>(items: &[T]) -> Vec<String> {
        items.iter().map(ToString::to_string).collect()
    }
    match data {
        IndexData::Null => Vec::new(),
        IndexData::Char(items) | IndexData::Int8(items) | IndexData::Bin(items) => texts(items),
        IndexData::Int16(items) => texts(items),
        IndexData::Int32(items) => texts(items),
        IndexData::Int64(items) => texts(items),
        IndexData::StringTag(text) => vec![text.clone()],
        IndexData::StringArray(items) | IndexData::I18NString(items) => items.clone(),
    }
}

/// A file as an RPM header lists it.
struct Listed {
    facts: Vec<(&'static str, String)>,
    digest: String,
    size: u64,
}

fn listed(header: &PackageMetadata, path: &Utf8Path) -> Result<BTreeMap<String, Listed>, RpmError> {
    let entries = match header.get_file_entries() {
        Err(rpm::Error::TagNotFound(_)) => return Ok(BTreeMap::new()),
        other => other.map_err(|source| RpmError::Header {
            path: path.to_owned(),
            source: Box::new(source),
        })?,
    };
    let listed = entries.iter().map(|entry| {
        let listed = Listed {
            facts: vec![
                ("kind", format!("{:?}", entry.file_type())),
                ("mode", format!("{:04o}", entry.permissions())),
                ("user", entry.user().to_owned()),
                ("group", entry.group().to_owned()),
                ("capabilities", entry.caps().unwrap_or("none").to_owned()),
                ("time", format!("{:?}", entry.modified_at())),
                ("flags", format!("{:?}", entry.flags())),
                ("target", entry.linkto().unwrap_or("none").to_owned()),
            ],
            digest: entry
                .digest()
                .map(|digest| digest.as_hex().to_owned())
                .unwrap_or_default(),
            size: entry.size() as u64,
        };
        (entry.path().to_string_lossy().into_owned(), listed)
    });
    Ok(listed.collect())
}

fn files(
    findings: &mut Findings,
    (one, first): (&PackageMetadata, &Utf8Path),
    (other, second): (&PackageMetadata, &Utf8Path),
) -> Result<(), RpmError> {
    let (one, other) = (listed(one, first)?, listed(other, second)?);
    let apart = |path: &String| match (one.get(path), other.get(path)) {
        (Some(one), Some(other)) => one.digest != other.digest && one.size.max(other.size) <= LARGEST,
        _ => false,
    };
    let wanted: Vec<_> = one.keys().filter(|path| apart(path)).cloned().collect();
    let (contents, other_contents) = (extract(first, &wanted)?, extract(second, &wanted)?);
    for (path, file) in &one {
        let Some(twin) = other.get(path) else {
            findings.add_in(path, "is only in the first");
            continue;
        };
        findings.within(path, |findings| {
            facts(findings, &file.facts, &twin.facts);
            match (contents.get(path), other_contents.get(path)) {
                (Some(one), Some(other)) => bytes::compare(findings, one, other),
                _ if file.digest != twin.digest => {
                    findings.add(format!(
                        "has {} bytes of another content, then {}",
                        file.size, twin.size
                    ));
                }
                _ => {}
            }
        });
    }
    for path in other.keys().filter(|path| !one.contains_key(*path)) {
        findings.add_in(path, "is only in the second");
    }
    Ok(())
}

/// The contents of some files, by path.
fn extract(rpm: &Utf8Path, wanted: &[String]) -> Result<BTreeMap<String, Vec<u8>>, RpmError> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut payload = Payload::open(rpm)?;
    while let Some(file) = payload.next()? {
        let names: Vec<_> = file.paths.iter().filter(|path| wanted.contains(path)).collect();
        let Some((last, names)) = names.split_last() else {
            continue;
        };
        let mut content = Vec::new();
        payload.read_to_end(&mut content).map_err(|source| RpmError::Payload {
            path: rpm.to_owned(),
            what: source.to_string(),
        })?;
        for name in names {
            found.insert((*name).clone(), content.clone());
        }
        found.insert((*last).clone(), content);
    }
    Ok(found)
}

/// Adds the first difference between two RPMs with the same header and files: in the lead, the signature header, or the
/// packed payload.
fn around(
    findings: &mut Findings,
    first: &Utf8Path,
    second: &Utf8Path,
    header: &PackageMetadata,
) -> Result<(), RpmError> {
    let read = |path: &Utf8Path| {
        fs_err::read(path).map_err(|source| RpmError::Io {
            action: "cannot read",
            path: path.to_owned(),
            source,
        })
    };
    let (one, other) = (read(first)?, read(second)?);
    if one == other {
        return Ok(());
    }
    let offsets = header.get_package_segment_offsets();
    let apart = one.iter().zip(&other).take_while(|(one, other)| one == other).count() as u64;
    let part = if apart < offsets.signature_header {
        "lead"
    } else if apart < offsets.header {
        "signature header"
    } else if apart < offsets.payload {
        "header"
    } else {
        "payload, as it is packed,"
    };
    findings.within(part, |findings| position::compare(findings, &one, &other));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
    use super::*;

    fn package(folder: &Utf8Path, name: &str, summary: &str, mode: u16, content: &[u8]) -> camino::Utf8PathBuf {
        let options = rpm::FileOptions::new("/etc/name").permissions(mode);
        let package = rpm::PackageBuilder::new("name", "1", "MIT", "noarch", summary)
            .description("It has a name.")
            .using_config(rpm::BuildConfig::default().source_date(1_760_000_000))
            .with_file_contents(content, options)
            .expect("added")
            .build()
            .expect("built");
        let path = folder.join(name);
        package.write_file(&path).expect("written");
        path
    }

    fn differences(first: &Utf8Path, second: &Utf8Path) -> Vec<String> {
        let mut findings = Findings::default();
        compare(&mut findings, first, second).expect("compared");
        findings.finish().0.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn packages_are_told_by_tag_and_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let first = package(root, "1", "a name", 0o644, b"one\n");
        assert!(differences(&first, &package(root, "2", "a name", 0o644, b"one\n")).is_empty());
        assert_eq!(
            differences(&first, &package(root, "3", "another name", 0o600, b"two\n")),
            [
                "header SUMMARY is `a name`, then `another name`",
                "/etc/name has mode 0644, then 0600",
                "/etc/name: line 1 is `one`, then `two`"
            ]
        );
        // Damage behind the header, too, is told.
        let mut bytes = fs_err::read(&first).expect("read");
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let damaged = root.join("4");
        fs_err::write(&damaged, &bytes).expect("written");
        let damage = differences(&first, &damaged);
        assert!(
            damage[0].starts_with("payload, as it is packed, differs at byte"),
            "{damage:?}"
        );
        fs_err::write(&damaged, &bytes[..200]).expect("written");
        assert!(compare(&mut Findings::default(), &first, &damaged).is_err());
    }
}
