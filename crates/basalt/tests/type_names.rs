//! Check of the rule that the name of a public type means one thing in the workspace.
//!
//! The sources are read as text: a public type is declared by a line that begins with `pub struct`, `pub enum`, `pub
//! trait` or `pub type`. Modules `raw` are left out: their types mirror a format, and have the names that it has.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use walkdir::WalkDir;

/// Name of the public type that a line declares.
fn public_type(line: &str) -> Option<&str> {
    let declaration = line.strip_prefix("pub ")?;
    let keywords = ["struct ", "enum ", "trait ", "type "];
    let name = keywords
        .into_iter()
        .find_map(|keyword| declaration.strip_prefix(keyword))?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    name.get(..end.unwrap_or(name.len()))
}

/// Crates that declare a public type, by its name.
fn crates_by_type() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in WalkDir::new(&root).sort_by_file_name() {
        let path = entry.expect("a readable folder").into_path();
        let below = path.strip_prefix(&root).expect("a path below the root");
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let Some(source_folder) = parts.iter().position(|part| part == "src") else {
            continue;
        };
        let (Some(krate), Some(file)) = (parts[..source_folder].last(), parts.last()) else {
            continue;
        };
        let is_raw = parts.iter().any(|part| part == "raw" || part == "raw.rs");
        if !file.ends_with(".rs") || is_raw {
            continue;
        }
        let source = fs_err::read_to_string(&path).expect("a source text");
        for name in source.lines().filter_map(public_type) {
            found.entry(name.to_owned()).or_default().insert(krate.to_string());
        }
    }
    found
}

#[test]
fn names_of_public_types_mean_one_thing() {
    let found = crates_by_type();
    assert!(found.len() > 100, "only {} public types were found", found.len());
    let faults: Vec<_> = found
        .iter()
        .filter(|(_, crates)| crates.len() > 1)
        .map(|(name, crates)| format!("{name} is a public type of {crates:?}: give each its own name"))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn declarations_are_found() {
    for (line, name) in [
        ("pub struct Blob {", Some("Blob")),
        ("pub enum Kind<'a> {", Some("Kind")),
        ("pub type Times = [f64; 5];", Some("Times")),
        ("pub struct Digest([u8; 32]);", Some("Digest")),
        ("pub(crate) struct Inner;", None),
        ("    pub struct Indented;", None),
        ("pub fn structure() {", None),
        ("/// pub struct Comment", None),
    ] {
        assert_eq!(public_type(line), name, "{line}");
    }
}
