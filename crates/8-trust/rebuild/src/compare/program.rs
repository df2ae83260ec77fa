//! Programs, libraries and object files, ELF and PE: by section.

use std::collections::BTreeMap;

use object::read::{File, Object as _, ObjectSection as _};

use super::{Findings, position};

/// Maximum number of sections that are reported. Where code moves, everything after it differs as well.
const MOST: usize = 12;
/// Sections whose content is a digest of the others, so that their difference follows from another one.
const DERIVED: &[&str] = &[".note.gnu.build-id", ".gnu_debuglink", ".note.go.buildid"];

struct Section<'a> {
    address: u64,
    content: &'a [u8],
}

/// Adds the sections that differ. Nothing is added when it is only what lies around them that differs.
pub(crate) fn compare(findings: &mut Findings, first: &[u8], second: &[u8]) {
    let (Some(one), Some(other)) = (sections(first), sections(second)) else {
        return;
    };
    let mut differences = 0;
    let mut tell = |findings: &mut Findings, name: &str, section: &Section<'_>| {
        let twin = other.iter().find(|(known, _)| known == name).map(|(_, twin)| twin);
        let differs = twin.is_none_or(|twin| section.content != twin.content || section.address != twin.address);
        if !differs {
            return;
        }
        differences += 1;
        if differences > MOST {
            return;
        }
        findings.within(format!("section {name}"), |findings| match twin {
            None => findings.add("is only in the first"),
            Some(twin) if section.content == twin.content => {
                findings.add(format!(
                    "is at address {:#x}, then {:#x}",
                    section.address, twin.address
                ));
            }
            Some(twin) => position::compare(findings, section.content, twin.content),
        });
    };
    let derived = |name: &str| DERIVED.contains(&name);
    for (name, section) in one.iter().filter(|(name, _)| !derived(name)) {
        tell(findings, name, section);
    }
    for (name, section) in one.iter().filter(|(name, _)| derived(name)) {
        tell(findings, name, section);
    }
    for (name, _) in other
        .iter()
        .filter(|(name, _)| !one.iter().any(|(known, _)| known == name))
    {
        findings.add_in(format!("section {name}"), "is only in the second");
    }
    if differences > MOST {
        findings.add(format!("has {} more sections that differ", differences - MOST));
    }
}

/// The sections in their order; of several with one name, each by its number.
fn sections(program: &[u8]) -> Option<Vec<(String, Section<'_>)>> {
    let file = File::parse(program).ok()?;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut sections = Vec::new();
    for section in file.sections() {
        let name = String::from_utf8_lossy(section.name_bytes().ok()?).into_owned();
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        let name = if *count == 1 {
            name
        } else {
            format!("{name} (number {count})")
        };
        sections.push((
            name,
            Section {
                address: section.address(),
                content: section.data().ok()?,
            },
        ));
    }
    Some(sections)
}

#[cfg(test)]
mod tests {
    use object::write::{Object, StandardSection};
    use object::{Architecture, BinaryFormat, Endianness};

    use super::super::Difference;
    use super::*;

    fn object_file(words: &[u8], section: StandardSection) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let id = object.section_id(section);
        object.append_section_data(id, words, 1);
        object.write().expect("written")
    }

    #[test]
    fn programs_are_told_by_section() {
        let differences = |first: &[u8], second: &[u8]| {
            let mut findings = Findings::default();
            findings.within("x.o", |findings| super::super::compare_bytes(findings, first, second));
            findings
                .finish()
                .0
                .iter()
                .map(Difference::to_string)
                .collect::<Vec<_>>()
        };
        let rodata = |words: &[u8]| object_file(words, StandardSection::ReadOnlyData);
        assert_eq!(
            differences(&rodata(b"\0Nov 25 2026\0"), &rodata(b"\0Dec 30 2027\0")),
            ["x.o: section .rodata differs at byte 1: `Nov 25 2026`, then `Dec 30 2027`"]
        );
        let data = object_file(b"1", StandardSection::Data);
        let differences = differences(&rodata(b"1"), &data);
        assert!(
            differences.contains(&"x.o: section .rodata is only in the first".to_owned()),
            "{differences:?}"
        );
        assert!(
            differences.contains(&"x.o: section .data is only in the second".to_owned()),
            "{differences:?}"
        );
    }
}
