//! Records of kernels that died: taken out of the firmware's memory (pstore) and kept on the state partition.
//!
//! The kernel writes its last messages through whatever backend there is (EFI variables, ACPI's ERST, memory that
//! outlives a reset), cut into parts of a kilobyte or so. At the next boot they are files in `/sys/fs/pstore`. The
//! memory is small: a record that stays there keeps the next one out, and EFI variables that fill it keep some machines
//! from starting. So a record is removed as soon as it is safe on the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::apply::{self, ApplyError, below};
use crate::paths;
use crate::plan::PlannedFile;

/// The most records that are kept; the oldest goes first.
const KEPT: usize = 8;

/// The most of one record that is kept, in bytes: its end.
const LARGEST: usize = 256 << 10;

/// A file of pstore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Name: kind of record, backend, number.
    pub name: String,
    /// Content, already decompressed by the kernel.
    pub text: String,
}

/// The messages of a kernel that died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Reason as the kernel has it: `Panic#1`, `Oops#1`; or the kind of file.
    pub reason: String,
    /// The messages, the last one at the end.
    pub text: String,
}

impl Record {
    /// The line that says what happened.
    pub fn summary(&self) -> &str {
        summary(&self.text)
    }
}

/// The line of kernel messages that says what happened.
fn summary(text: &str) -> &str {
    let marks = ["Kernel panic", "BUG:", "Oops:", "watchdog:", "general protection"];
    let said = marks
        .iter()
        .find_map(|mark| text.lines().find(|line| line.contains(mark)));
    said.or_else(|| text.lines().next_back()).unwrap_or_default().trim()
}

/// Puts records together from their parts.
///
/// Each part of a dump begins with a line such as `Panic#1 Part3`; part 1 has the last messages. A number that comes
/// again belongs to another dump. Other files, such as the console of ramoops, are records by themselves.
pub fn assemble(mut parts: Vec<Part>) -> Vec<Record> {
    // Numbers grow with time; they are of different lengths.
    parts.sort_by(|one, other| (one.name.len(), &one.name).cmp(&(other.name.len(), &other.name)));
    let mut dumps: Vec<(String, BTreeMap<u32, String>)> = Vec::new();
    let mut others = Vec::new();
    for part in parts {
        let Some((reason, number, text)) = header(&part.text) else {
            let reason = part.name.split('-').next().unwrap_or_default().to_owned();
            others.push(Record {
                reason,
                text: part.text,
            });
            continue;
        };
        let fits = |(known, numbers): &&mut (String, BTreeMap<u32, String>)| {
            *known == reason && !numbers.contains_key(&number)
        };
        match dumps.iter_mut().find(fits) {
            Some((_, numbers)) => drop(numbers.insert(number, text.to_owned())),
            None => dumps.push((reason.to_owned(), BTreeMap::from([(number, text.to_owned())]))),
        }
    }
    let whole = dumps.into_iter().map(|(reason, numbers)| Record {
        reason,
        text: numbers.into_values().rev().collect(),
    });
    whole.chain(others).collect()
}

/// Reason, number of the part, and text of a part of a dump.
fn header(text: &str) -> Option<(&str, u32, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let (reason, number) = first.split_once(" Part")?;
    let is_reason = reason.split_once('#').is_some_and(|(kind, count)| {
        !kind.is_empty() && kind.bytes().all(|c| c.is_ascii_alphabetic()) && count.parse::<u32>().is_ok()
    });
    is_reason.then_some(())?;
    Some((reason, number.trim().parse().ok()?, rest))
}

/// Moves all records of pstore to the state partition, and returns them.
pub fn collect(root: &Path) -> Result<Vec<Record>, ApplyError> {
    let folder = below(root, paths::PSTORE);
    let mut files: Vec<PathBuf> = folder_files(&folder);
    files.sort();
    let mut parts = Vec::new();
    let mut newest = SystemTime::UNIX_EPOCH;
    for path in &files {
        // One that cannot be read is left: nobody else would ever see it.
        let Ok(bytes) = fs_err::read(path) else { continue };
        let changed = fs_err::metadata(path).and_then(|metadata| metadata.modified());
        newest = newest.max(changed.unwrap_or(SystemTime::UNIX_EPOCH));
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        parts.push(Part { name, text });
    }
    let read: Vec<String> = parts.iter().map(|part| part.name.clone()).collect();
    let records = assemble(parts);
    let seconds = newest
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    for (index, record) in records.iter().enumerate() {
        let reason: String = record.reason.chars().filter(char::is_ascii_alphanumeric).collect();
        apply::write(
            root,
            &PlannedFile {
                path: format!("{}/{seconds:012}-{index:03}-{reason}.txt", paths::PANICS),
                mode: 0o600,
                content: end(&record.text, LARGEST).to_owned(),
            },
        )?;
    }
    for name in read {
        let path = folder.join(name);
        apply::remove(path)?;
    }
    let mut kept = stored(root);
    kept.truncate(kept.len().saturating_sub(KEPT));
    for path in kept {
        apply::remove(path)?;
    }
    Ok(records)
}

/// Paths of the records that are kept, the oldest first.
pub fn stored(root: &Path) -> Vec<PathBuf> {
    let mut files = folder_files(&below(root, paths::PANICS));
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

/// The number of records that are kept, and what happened the last time; none when there are none.
pub fn last(root: &Path) -> Option<(usize, String)> {
    let stored = stored(root);
    let text = fs_err::read_to_string(stored.last()?).ok()?;
    Some((stored.len(), summary(&text).to_owned()))
}

fn folder_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect()
}

/// The last so many bytes of a text, from a whole character on.
fn end(text: &str, most: usize) -> &str {
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(name: &str, text: &str) -> Part {
        Part {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn parts_are_put_together_backwards() {
        let records = assemble(vec![
            part(
                "dmesg-efi_pstore-173287000001001",
                "Panic#1 Part1\n<0>[ 9.1] Kernel panic - not syncing: test\n",
            ),
            part("dmesg-efi_pstore-173287000002001", "Panic#1 Part2\n<6>[ 9.0] before\n"),
            part("dmesg-efi_pstore-173287000010001", "Panic#1 Part10\n<6>[ 1.0] first\n"),
            part("console-ramoops-0", "all of it\n"),
            // Another death, which left the same numbers.
            part(
                "dmesg-efi_pstore-173287999901001",
                "Panic#1 Part1\n<0>[ 3.0] BUG: again\n",
            ),
        ]);
        let [one, other, console] = &records[..] else {
            panic!("{records:?}")
        };
        assert_eq!(
            one.text,
            "<6>[ 1.0] first\n<6>[ 9.0] before\n<0>[ 9.1] Kernel panic - not syncing: test\n"
        );
        assert_eq!(one.summary(), "<0>[ 9.1] Kernel panic - not syncing: test");
        assert_eq!(
            (other.reason.as_str(), other.summary()),
            ("Panic#1", "<0>[ 3.0] BUG: again")
        );
        assert_eq!((console.reason.as_str(), console.summary()), ("console", "all of it"));
    }

    #[test]
    fn records_move_to_the_disk_and_stay_few() {
        let root = tempfile::tempdir().unwrap();
        let pstore = below(root.path(), paths::PSTORE);
        fs_err::create_dir_all(&pstore).unwrap();
        assert!(collect(root.path()).unwrap().is_empty());
        for death in 0..KEPT + 3 {
            let file = pstore.join(format!("dmesg-efi-{death}"));
            fs_err::write(&file, format!("Panic#1 Part1\nKernel panic {death}\n")).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + death as u64);
            fs_err::OpenOptions::new()
                .append(true)
                .open(&file)
                .unwrap()
                .set_modified(time)
                .unwrap();
            assert_eq!(collect(root.path()).unwrap().len(), 1);
            assert!(!file.exists());
        }
        let (count, summary) = last(root.path()).unwrap();
        assert_eq!((count, summary), (KEPT, format!("Kernel panic {}", KEPT + 2)));
    }

    #[test]
    fn nothing_is_lost_that_cannot_be_stored() {
        let root = tempfile::tempdir().unwrap();
        let file = below(root.path(), paths::PSTORE).join("dmesg-efi-1");
        fs_err::create_dir_all(file.parent().unwrap()).unwrap();
        fs_err::write(&file, "Oops#1 Part1\nOops: 1\n").unwrap();
        fs_err::write(root.path().join("var"), "not a folder").unwrap();
        assert!(collect(root.path()).is_err());
        assert!(file.exists());
    }

    proptest! {
        #[test]
        fn every_part_is_in_one_record(
            texts in proptest::collection::vec("(Panic#[12] Part[1-9]\n)?[a-z]{1,9}\n", 0..20),
        ) {
            let parts = texts.iter().enumerate().map(|(index, text)| part(&format!("dmesg-x-{index:03}"), text));
            let records = assemble(parts.collect());
            let length = |text: &str| header(text).map_or(text.len(), |(_, _, rest)| rest.len());
            let all: usize = texts.iter().map(|text| length(text)).sum();
            prop_assert_eq!(records.iter().map(|record| record.text.len()).sum::<usize>(), all);
        }

        #[test]
        fn an_end_is_short_and_whole(text in ".*", most in 0usize..40) {
            let end = end(&text, most);
            prop_assert!(end.len() <= most && text.ends_with(end));
        }
    }
}
