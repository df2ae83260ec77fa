//! Archives that were made to do harm.

#![cfg(test)]

use std::io::Write as _;

use basalt_archive::{
    ArchiveEntry, ArchiveError, ArchiveLimits, Checker, EntryKind, ExtractionStep, ExtractionSummary, Policy,
    Violation, extract,
};
use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use tar::EntryType;

/// An entry of an archive that is made here: kind, name, target or content.
type Made<'m> = (EntryType, &'m str, &'m str);

const FILE: EntryType = EntryType::Regular;
const FOLDER: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;

/// An archive of entries with any names: the tar crate's own builder refuses most of these.
fn archive(entries: &[Made<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, name, text) in entries {
        let linked = matches!(*kind, EntryType::Symlink | EntryType::Link);
        let content = if linked || *kind != FILE { "" } else { text };
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        header.set_size(content.len() as u64);
        header.set_mtime(1_000_000_000);
        if linked {
            header.as_mut_bytes()[157..157 + text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

struct Extracted {
    result: Result<ExtractionSummary, ArchiveError>,
    into: Utf8PathBuf,
    folder: tempfile::TempDir,
}

fn run(entries: &[Made<'_>], policy: Policy<'_>) -> Extracted {
    let folder = tempfile::tempdir().expect("a folder");
    let into = Utf8PathBuf::from_path_buf(folder.path().join("into")).expect("UTF-8");
    fs_err::create_dir(&into).expect("made");
    let result = extract(archive(entries).as_slice(), "x.tar", &into, policy);
    Extracted { result, into, folder }
}

fn violation(entries: &[Made<'_>], policy: Policy<'_>) -> Violation {
    let extracted = run(entries, policy);
    let left: Vec<_> = fs_err::read_dir(extracted.folder.path()).expect("listed").collect();
    assert_eq!(left.len(), 1, "something is outside of the folder: {left:?}");
    match extracted.result {
        Err(ArchiveError::Violation {
            archive,
            entry,
            violation,
        }) => {
            assert_eq!(archive, "x.tar");
            assert_eq!(entry, entries.last().expect("one").1);
            violation
        }
        other => panic!("{entries:?}: {other:?}"),
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let deep = "d/".repeat(130) + "x";
    for (name, expected) in [
        ("../x", Violation::Upwards),
        ("a/../../x", Violation::Upwards),
        ("/etc/passwd", Violation::Absolute),
        ("a\nb", Violation::Control),
        ("a\u{1b}[2J", Violation::Control),
        (deep.split_at(99).0, Violation::Empty),
    ] {
        if expected == Violation::Empty {
            continue;
        }
        for kind in [FILE, FOLDER, LINK, HARD] {
            assert_eq!(violation(&[(kind, name, "y")], Policy::source()), expected, "{name:?}");
        }
    }
    let limits = ArchiveLimits {
        depth: 4,
        name: 20,
        ..ArchiveLimits::SMALL
    };
    let policy = Policy {
        limits,
        ..Policy::source()
    };
    for name in ["a/b/c/d/e", "aaaaaaaaaaaaaaaaaaaaaaaaa"] {
        assert_eq!(violation(&[(FILE, name, "")], policy), Violation::TooLong(20, 4));
    }
}

#[test]
fn links_do_not_lead_out() {
    let outside = |to: &str| Violation::LinkOutside(to.to_owned());
    for to in ["/etc", "..", "../..", "a/../../..", "../a", "a/../b"] {
        assert_eq!(violation(&[(LINK, "l", to)], Policy::source()), outside(to));
    }
    assert_eq!(
        violation(
            &[(LINK, "top/d/l", "../../x")],
            Policy {
                top: Some("top"),
                ..Policy::source()
            }
        ),
        outside("../../x")
    );
    // What goes through a link is not written, whatever it leads to.
    let through = |name: &str| Violation::Through(name.to_owned());
    for policy in [Policy::source(), Policy::file_system()] {
        assert_eq!(
            violation(&[(FOLDER, "d", ""), (LINK, "l", "d"), (FILE, "l/x", "y")], policy),
            through("l")
        );
        assert_eq!(violation(&[(FILE, "f", ""), (FILE, "f/x", "y")], policy), through("f"));
    }
    assert_eq!(
        violation(&[(LINK, "l", "/etc"), (FILE, "l/x", "y")], Policy::file_system()),
        through("l")
    );
    assert_eq!(
        violation(&[(LINK, "l", "f"), (FILE, "l", "y")], Policy::source()),
        Violation::Twice
    );
    assert_eq!(
        violation(&[(LINK, "top/l", "f")], Policy::library("top")),
        Violation::Link("symbolic")
    );
}

#[test]
fn hard_links_are_between_files_of_the_archive() {
    for (entries, to) in [
        (vec![(HARD, "l", "etc/passwd")], "etc/passwd"),
        (vec![(FOLDER, "d", ""), (HARD, "l", "d")], "d"),
        (vec![(LINK, "s", "x"), (HARD, "l", "s")], "s"),
    ] {
        assert_eq!(
            violation(&entries, Policy::source()),
            Violation::HardLink(to.to_owned())
        );
    }
    assert_eq!(violation(&[(HARD, "l", "../x")], Policy::source()), Violation::Upwards);
    assert_eq!(
        violation(&[(HARD, "l", "/etc/passwd")], Policy::source()),
        Violation::Absolute
    );
    assert_eq!(
        violation(&[(FILE, "top/f", ""), (HARD, "top/l", "top/f")], Policy::library("top")),
        Violation::Link("hard")
    );
}

#[test]
fn devices_and_the_unknown_are_refused() {
    for (kind, what) in [
        (EntryType::Char, "character device"),
        (EntryType::Block, "block device"),
        (EntryType::Fifo, "pipe"),
    ] {
        assert_eq!(
            violation(&[(kind, "dev/x", "")], Policy::source()),
            Violation::Special(what)
        );
        let skipped = run(&[(kind, "dev/x", ""), (FILE, "f", "y")], Policy::file_system());
        assert_eq!(skipped.result.expect("skipped").entries, 1);
        assert!(!skipped.into.join("dev/x").exists());
    }
    let unknown = EntryType::new(b'Z');
    assert_eq!(
        violation(&[(unknown, "x", "")], Policy::source()),
        Violation::UnknownKind(b'Z')
    );
}

#[test]
fn names_that_differ_by_case_are_refused_with_both() {
    let pair = |name: &str| Violation::CasePair(name.to_owned());
    for (entries, other) in [
        (vec![(FILE, "README", ""), (FILE, "readme", "")], "README"),
        (vec![(FILE, "src/a", ""), (FILE, "SRC/b", "")], "src"),
        (vec![(FOLDER, "Ä", ""), (FOLDER, "ä", "")], "Ä"),
    ] {
        assert_eq!(violation(&entries, Policy::source()), pair(other));
        let kept = run(&entries, Policy::file_system());
        assert!(kept.result.is_ok());
    }
    assert_eq!(
        violation(&[(FILE, "f", ""), (FILE, "./f", "")], Policy::source()),
        Violation::Twice
    );
}

#[test]
fn amounts_are_bounded() {
    let policy = Policy {
        limits: ArchiveLimits {
            entries: 3,
            total: 10,
            ..ArchiveLimits::SMALL
        },
        ..Policy::source()
    };
    let four = [(FILE, "a", ""), (FILE, "b", ""), (FILE, "c", ""), (FILE, "d", "")];
    assert_eq!(violation(&four, policy), Violation::TooMany(3));
    assert_eq!(
        violation(&[(FILE, "a", "12345"), (FILE, "b", "123456")], policy),
        Violation::TooLarge(10)
    );
}

#[test]
fn all_is_below_one_folder() {
    for name in ["other/f", "x-1.0.1/f", "f"] {
        let expected = Violation::OutsideTop("x-1.0".to_owned());
        assert_eq!(violation(&[(FILE, name, "")], Policy::library("x-1.0")), expected);
    }
}

#[test]
fn an_honest_archive_comes_out_whole() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let entries = [
        (FOLDER, "./", ""),
        (FOLDER, "./x", ""),
        (FILE, "./x/run", "hello"),
        (LINK, "./x/link", "run"),
        (LINK, "./x/d/up", "../run"),
        (HARD, "./x/second", "x/run"),
    ];
    let extracted = run(&entries, Policy::source());
    let summary = extracted.result.expect("extracted");
    assert_eq!((summary.entries, summary.bytes), (5, 5));
    let of = |name: &str| fs_err::symlink_metadata(extracted.into.join(name)).expect("there");
    assert_eq!(fs_err::read(extracted.into.join("x/d/up")).expect("read"), b"hello");
    assert_eq!(of("x/run").ino(), of("x/second").ino());
    assert_eq!(of("x/run").permissions().mode() & 0o7777, 0o755, "no set-user-ID");
    assert_eq!(of("x/run").mtime(), 1_000_000_000);
    let library = run(&[(FILE, "x/run", "hello")], Policy::library("x"));
    assert_eq!(library.result.expect("extracted").bytes, 5);
    let now = fs_err::symlink_metadata(library.into.join("x/run")).expect("there");
    assert_ne!(now.mtime(), 1_000_000_000);
}

#[test]
fn ten_thousand_files_in_one_folder() {
    let names: Vec<_> = (0..10_000).map(|number| format!("x/{number}")).collect();
    let entries: Vec<_> = names.iter().map(|name| (FILE, name.as_str(), "y")).collect();
    let extracted = run(&entries, Policy::library("x"));
    assert_eq!(extracted.result.expect("extracted").entries, 10_000);
    assert_eq!(
        fs_err::read_dir(extracted.into.join("x")).expect("listed").count(),
        10_000
    );
}

#[test]
fn damage_is_told_from_hostility() {
    let whole = archive(&[(FILE, "a", &"x".repeat(2000))]);
    let folder = tempfile::tempdir().expect("a folder");
    for (number, bytes) in [&whole[..700], &b"no archive at all, but long enough".repeat(40)]
        .into_iter()
        .enumerate()
    {
        let into = Utf8PathBuf::from_path_buf(folder.path().join(number.to_string())).expect("UTF-8");
        let result = extract(bytes, "x.tar", &into, Policy::source());
        assert!(matches!(result, Err(ArchiveError::Damaged { .. })), "{result:?}");
    }
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&whole).expect("written");
    let into = Utf8Path::new("/proc/nowhere");
    let result = extract(whole.as_slice(), "x.tar", into, Policy::source());
    assert!(matches!(result, Err(ArchiveError::Write { .. })), "{result:?}");
}

proptest! {
    /// Property: for any entries, every step's path is relative, below the folder, and never through anything but
    /// folders.
    #[test]
    fn no_step_leads_out(entries in prop::collection::vec(
        ("[a-cA-C./]{0,8}", 0_u8..5, "[a-c./]{0,6}"), 0..12
    )) {
        let mut checker = Checker::new(Policy::source());
        let mut others = std::collections::BTreeSet::new();
        for (name, kind, target) in &entries {
            let kind = match kind {
                0 => EntryKind::File,
                1 => EntryKind::Folder,
                2 => EntryKind::Symlink,
                3 => EntryKind::HardLink,
                _ => EntryKind::Special("pipe"),
            };
            let entry = ArchiveEntry { name: name.as_bytes(), kind, size: 1, target: target.as_bytes() };
            let Ok(step) = checker.check(&entry) else { break };
            let (path, folder) = match step {
                ExtractionStep::Skip => continue,
                ExtractionStep::Folder(path) => (path, true),
                ExtractionStep::File(path) | ExtractionStep::HardLink(path, _) => (path, false),
                ExtractionStep::Symlink(path, to) => {
                    let mut depth = i64::try_from(path.components().count()).expect("few") - 1;
                    for part in to.split('/').filter(|part| !part.is_empty() && *part != ".") {
                        depth += if part == ".." { -1 } else { 1 };
                        prop_assert!(depth >= 0, "{} -> {}", path, to);
                    }
                    (path, false)
                }
            };
            prop_assert!(!path.as_str().is_empty() && path.is_relative());
            prop_assert!(path.components().all(|part| part.as_str() != ".." && part.as_str() != "."));
            for parent in path.ancestors().skip(1) {
                prop_assert!(!others.contains(parent.as_str()), "{} goes through {}", path, parent);
            }
            if !folder {
                prop_assert!(others.insert(path.into_string()));
            }
        }
    }
}
