//! Check of the rule that doc comments name the thing: few first sentences may open with a question word or a pronoun.
//!
//! The sources are read as text. Each block of `///` or `//!` lines counts as one documented item, whose first line
//! decides.

#![cfg(test)]

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Words at the start of a sentence that do not name what is documented.
const WORDS: &[&str] = &[
    "He", "Her", "His", "How", "However", "It", "Its", "Our", "Ours", "She", "That", "Their", "Them", "These", "They",
    "This", "Those", "We", "What", "Whatever", "When", "Whenever", "Where", "Wherever", "Whether", "Which", "Who",
    "Whoever", "Whom", "Whose", "Why", "You", "Your",
];

/// Share of a crate's documented items that may open with one of the words, in per cent.
const PERMITTED: usize = 5;

/// Crates that exceed the share, with the number of items that they may have at most.
const EXCEPTIONS: &[(&str, usize)] = &[];

/// Doc comments of one crate.
#[derive(Debug, Default)]
struct Inspection {
    documented: usize,
    /// Place and first line of each item that opens with one of the words.
    findings: Vec<String>,
}

/// Marker and text of a line that is part of a doc comment.
fn doc_comment(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim_start();
    ["///", "//!"].into_iter().find_map(|marker| {
        let text = line.strip_prefix(marker)?;
        // Four slashes are an ordinary comment.
        Some((marker, text.trim())).filter(|_| !text.starts_with('/'))
    })
}

/// First lines of the doc comments in a source text, with their line numbers, from 1.
fn first_lines(source: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut before = None;
    for (index, line) in source.lines().enumerate() {
        let comment = doc_comment(line);
        if let Some((marker, text)) = comment
            && before != Some(marker)
        {
            found.push((index + 1, text));
        }
        before = comment.map(|(marker, _)| marker);
    }
    found
}

/// Returns `true` if a sentence opens with one of the words.
fn opens_with_pronoun(sentence: &str) -> bool {
    let word = sentence.split(|letter: char| !letter.is_alphabetic()).next();
    word.is_some_and(|word| WORDS.contains(&word))
}

/// Reads the Rust sources below a folder, but for build products.
fn inspect(folder: &Path) -> Inspection {
    let mut inspection = Inspection::default();
    let entries = WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "target");
    for entry in entries {
        let path = entry.expect("a readable folder").into_path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs_err::read_to_string(&path).expect("a source file");
        let shown = path.strip_prefix(folder).unwrap_or(&path).display();
        for (line, text) in first_lines(&source) {
            inspection.documented += 1;
            if opens_with_pronoun(text) {
                inspection.findings.push(format!("{shown}:{line}: {text}"));
            }
        }
    }
    inspection
}

/// Message for a crate that breaks the rule. `exception` is its number in [`EXCEPTIONS`].
fn violation(name: &str, exception: Option<usize>, inspection: &Inspection) -> Option<String> {
    let Inspection { documented, findings } = inspection;
    let permitted = documented * PERMITTED / 100;
    if exception.is_some() && findings.len() <= permitted {
        return Some(format!("{name}: in line with the rule; remove it from EXCEPTIONS"));
    }
    let most = exception.unwrap_or(permitted);
    (findings.len() > most).then(|| {
        format!(
            "{name}: {} of {documented} doc comments open with a question word or a pronoun, at most {most} may:\n  {}",
            findings.len(),
            findings.join("\n  ")
        )
    })
}

/// Folders of the workspace's crates: those below `crates` that have a Cargo.toml, `fuzz` and `tests`.
fn crate_folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifests = WalkDir::new(root.join("crates"))
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("a readable folder").into_path())
        .filter(|path| path.file_name().is_some_and(|name| name == "Cargo.toml"));
    let mut folders: Vec<PathBuf> = manifests.filter_map(|path| Some(path.parent()?.to_owned())).collect();
    folders.extend([root.join("fuzz"), root.join("tests")]);
    folders
}

#[test]
fn doc_comments_name_the_thing() {
    let mut left: Vec<_> = EXCEPTIONS.to_vec();
    let mut faults = Vec::new();
    for folder in crate_folders() {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let exception = left.iter().position(|(excepted, _)| *excepted == name);
        let exception = exception.map(|position| left.swap_remove(position).1);
        let inspection = inspect(&folder);
        assert!(inspection.documented > 0, "{name} has no doc comments");
        faults.extend(violation(&name, exception, &inspection));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(left.is_empty(), "no such crates: {left:?}");
}

#[test]
fn first_lines_of_blocks_are_found() {
    let source = "//! The crate.\n//!\n//! What it does.\n\n/// A type.\n/// Its second line.\nstruct A {\n    /// Its name.\n    \
                  a: u8, // Whether\n}\n//// Who\n/// Whether it is.\n";
    let expected = [
        (1, "The crate."),
        (5, "A type."),
        (8, "Its name."),
        (12, "Whether it is."),
    ];
    assert_eq!(first_lines(source), expected);
}

#[test]
fn pronouns_are_told_from_names() {
    for sentence in ["What it runs on.", "Whether so", "Which.", "It's", "Those: all", "How"] {
        assert!(opens_with_pronoun(sentence), "{sentence}");
    }
    for sentence in [
        "",
        "Platform.",
        "`It` is a type.",
        "Item",
        "Whole text",
        "Howitzer",
        "Digest of what it is",
    ] {
        assert!(!opens_with_pronoun(sentence), "{sentence}");
    }
}

#[test]
fn more_than_the_share_is_refused() {
    let with = |findings: usize| Inspection {
        documented: 100,
        findings: vec!["src/lib.rs:1: What it is.".to_owned(); findings],
    };
    assert_eq!(violation("a", None, &with(5)), None);
    let text = violation("a", None, &with(6)).expect("more than 5 %");
    assert!(
        text.contains("a: 6 of 100") && text.contains("src/lib.rs:1: What it is."),
        "{text}"
    );
    assert_eq!(violation("a", Some(7), &with(7)), None);
    assert!(violation("a", Some(7), &with(8)).is_some());
    assert!(
        violation("a", Some(7), &with(5))
            .expect("not needed")
            .contains("EXCEPTIONS")
    );
}
