//! Archives: by member.

use std::collections::BTreeMap;
use std::io::Read as _;

use object::read::archive::ArchiveFile;

use super::{Comparison, Findings};

/// Metadata of an archive's member, as far as it can differ, and its content.
struct Member<'a> {
    facts: Vec<(&'static str, String)>,
    content: std::borrow::Cow<'a, [u8]>,
}

/// Members by name; of several with one name, each by its number.
type Members<'a> = Vec<(String, Member<'a>)>;

/// Adds what differs between two archives of `ar`: static libraries. `members` compares the content of members.
pub(crate) fn compare_ar(findings: &mut Findings, first: &[u8], second: &[u8], members: Comparison) {
    if let (Some(one), Some(other)) = (ar(first), ar(second)) {
        compare_members(findings, one, other, members);
    }
}

/// Adds what differs between two archives of `tar`: layers of container images. `members` compares the content of
/// members.
pub(crate) fn compare_tar(findings: &mut Findings, first: &[u8], second: &[u8], members: Comparison) {
    if let (Some(one), Some(other)) = (tarball(first), tarball(second)) {
        compare_members(findings, one, other, members);
    }
}

fn ar(archive: &[u8]) -> Option<Members<'_>> {
    let parsed = ArchiveFile::parse(archive).ok()?;
    let mut members = Vec::new();
    for member in parsed.members() {
        let member = member.ok()?;
        let octal = |mode: Option<u64>| mode.map_or_else(|| "none".to_owned(), |mode| format!("{mode:o}"));
        let number = |value: Option<u64>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        members.push((
            String::from_utf8_lossy(member.name()).into_owned(),
            Member {
                facts: vec![
                    ("time", number(member.date())),
                    ("user", number(member.uid())),
                    ("group", number(member.gid())),
                    ("mode", octal(member.mode())),
                ],
                content: member.data(archive).ok()?.into(),
            },
        ));
    }
    Some(members)
}

fn tarball(archive: &[u8]) -> Option<Members<'_>> {
    let mut members = Vec::new();
    for entry in tar::Archive::new(archive).entries().ok()? {
        let mut entry = entry.ok()?;
        let header = entry.header();
        let number = |value: std::io::Result<u64>| value.map_or_else(|_| "none".to_owned(), |value| value.to_string());
        let mode = header
            .mode()
            .map_or_else(|_| "none".to_owned(), |mode| format!("{mode:04o}"));
        let facts = vec![
            ("kind", format!("{:?}", header.entry_type())),
            ("mode", mode),
            ("user", number(header.uid())),
            ("group", number(header.gid())),
            ("time", number(header.mtime())),
            (
                "target",
                String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned(),
            ),
        ];
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        members.push((
            name,
            Member {
                facts,
                content: content.into(),
            },
        ));
    }
    Some(members)
}

fn compare_members(findings: &mut Findings, one: Members<'_>, other: Members<'_>, compare: Comparison) {
    let names = |members: &Members<'_>| members.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (order, other_order) = (names(&one), names(&other));
    let (one, other) = (numbered(one), numbered(other));
    let before = findings.count();
    for (name, member) in &one {
        let place = format!("member {name}");
        match other.get(name) {
            None => findings.add_in(place, "is only in the first"),
            Some(twin) => findings.within(place, |findings| {
                facts(findings, &member.facts, &twin.facts);
                compare(findings, &member.content, &twin.content);
            }),
        }
    }
    for name in other.keys().filter(|name| !one.contains_key(*name)) {
        findings.add_in(format!("member {name}"), "is only in the second");
    }
    if findings.count() == before && order != other_order {
        let apart = order.iter().zip(&other_order).find(|(one, other)| one != other);
        if let Some((one, other)) = apart.or_else(|| order.first().zip(other_order.first())) {
            findings.add(format!("has its members in another order: `{one}`, then `{other}`"));
        }
    }
}

/// Adds facts with another value.
pub(crate) fn facts(findings: &mut Findings, one: &[(&'static str, String)], other: &[(&'static str, String)]) {
    for ((name, first), (_, second)) in one.iter().zip(other) {
        if first != second {
            findings.add(format!("has {name} {first}, then {second}"));
        }
    }
}

fn numbered(members: Members<'_>) -> BTreeMap<String, Member<'_>> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut numbered = BTreeMap::new();
    for (name, member) in members {
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        let name = if *count == 1 {
            name
        } else {
            format!("{name} (number {count})")
        };
        numbered.insert(name, member);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
    use super::*;

    fn archive(members: &[(&str, u64, &str)]) -> Vec<u8> {
        let mut bytes = b"!<arch>\n".to_vec();
        for (name, time, content) in members {
            bytes.extend(
                format!(
                    "{:<16}{time:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                    format!("{name}/"),
                    0,
                    0,
                    644,
                    content.len()
                )
                .bytes(),
            );
            bytes.extend(content.bytes());
            if content.len() % 2 == 1 {
                bytes.push(b'\n');
            }
        }
        bytes
    }

    fn differences(first: &[u8], second: &[u8]) -> Vec<String> {
        let mut findings = Findings::default();
        findings.within("libx.a", |findings| {
            super::super::compare_bytes(findings, first, second)
        });
        findings.finish().0.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn static_libraries_are_told_by_member() {
        let first = archive(&[("a.o", 0, "one"), ("b.o", 0, "two")]);
        assert_eq!(
            differences(&first, &archive(&[("a.o", 7, "one"), ("b.o", 0, "six")])),
            [
                "libx.a: member a.o has time 0, then 7",
                "libx.a: member b.o: line 1 is `two`, then `six`"
            ]
        );
        assert_eq!(
            differences(&first, &archive(&[("b.o", 0, "two"), ("a.o", 0, "one")])),
            ["libx.a has its members in another order: `a.o`, then `b.o`"]
        );
        assert_eq!(
            differences(&first, &archive(&[("a.o", 0, "one")])),
            ["libx.a: member b.o is only in the first"]
        );
    }

    #[test]
    fn layers_are_told_by_member() {
        let tar = |time| {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_ustar();
            header.set_mtime(time);
            header.set_size(3);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, "etc/name", &b"one"[..])
                .expect("added");
            builder.into_inner().expect("finished")
        };
        assert_eq!(
            differences(&tar(1), &tar(2)),
            ["libx.a: member etc/name has time 1, then 2"]
        );
    }
}
