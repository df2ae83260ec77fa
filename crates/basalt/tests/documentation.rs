//! Check of what the documentation refers to: relative links, paths of the checkout in code spans, and crates in commands
//! of cargo exist.
//!
//! Pages are read as text, without a parser of Markdown: what a page of ours contains is simple enough, and blocks of code,
//! where it would be wrong, are left out.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Folders at the top of the checkout whose paths are recognized in code spans.
const FOLDERS: &[&str] = &["bench", "crates", "distro", "docs", "fuzz", "schemas", "tests"];

/// Paths that pages name and that do not exist: examples, and places for what is not written yet.
const ABSENT: &[&str] = &[
    "crates/9-nodes/operator",
    "crates/9-nodes/updater",
    "distro/packages/jq/jq.spec",
    "distro/packages/jq/sources.toml",
    "distro/vex",
];

/// Something that a page refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reference {
    /// Target of a link, relative to the page.
    Link(String),
    /// Path in a code span, relative to the root of the checkout.
    Path(String),
    /// Name of a crate after `-p`.
    Crate(String),
}

/// Returns the root of the checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the references of a page, each with its line, from 1.
fn references(page: &str) -> Vec<(usize, Reference)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (index, line) in page.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let of_line = spans(line).chain(links(line));
            found.extend(of_line.map(|reference| (index + 1, reference)));
        }
    }
    found
}

/// Returns what code spans of a line refer to.
fn spans(line: &str) -> impl Iterator<Item = Reference> {
    line.split('`').skip(1).step_by(2).filter_map(|span| {
        if let Some((_, name)) = span.split_once("-p basalt-") {
            let name = name.split(' ').next().unwrap_or_default();
            return Some(Reference::Crate(format!("basalt-{name}")));
        }
        let is_path = |text: &str| {
            text.chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "/._-".contains(letter))
        };
        let folder = span.split('/').next().unwrap_or_default();
        let path = span.trim_end_matches('/');
        (path.contains('/') && FOLDERS.contains(&folder) && is_path(path)).then(|| Reference::Path(path.to_owned()))
    })
}

/// Returns the links of a line that lead to files.
fn links(line: &str) -> impl Iterator<Item = Reference> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?;
        let file = target.split('#').next()?;
        (!file.is_empty() && !file.contains("://")).then(|| Reference::Link(file.to_owned()))
    })
}

/// Returns the names of the workspace's crates.
fn crates(root: &Path) -> BTreeSet<String> {
    let manifests = WalkDir::new(root.join("crates")).max_depth(3);
    let manifests = manifests
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name() == "Cargo.toml");
    manifests
        .filter_map(|entry| {
            let text = fs_err::read_to_string(entry.path()).ok()?;
            let name = text.lines().find_map(|line| line.strip_prefix("name = \""))?;
            Some(name.trim_end_matches('"').to_owned())
        })
        .collect()
}

/// Returns the pages of the checkout: Markdown files outside of folders that are made.
fn pages(root: &Path) -> Vec<PathBuf> {
    let is_made = |name: &str| name == "target" || name.starts_with('.');
    WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_made(&entry.file_name().to_string_lossy()))
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn what_pages_refer_to_exists() {
    let root = root();
    let (pages, crates) = (pages(&root), crates(&root));
    assert!(
        pages.len() > 40 && crates.len() > 30,
        "{} pages, {} crates",
        pages.len(),
        crates.len()
    );
    let (mut broken, mut absent) = (Vec::new(), BTreeSet::new());
    for page in &pages {
        let folder = page.parent().expect("a folder");
        for (line, reference) in references(&fs_err::read_to_string(page).expect("a page")) {
            let exists = match &reference {
                Reference::Link(target) => folder.join(target).exists(),
                Reference::Path(path) if root.join(path).exists() => true,
                Reference::Path(path) => {
                    absent.insert(path.clone());
                    ABSENT.contains(&path.as_str())
                }
                Reference::Crate(name) => crates.contains(name),
            };
            if !exists {
                broken.push(format!("{}:{line}: {reference:?}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let unused = ABSENT.iter().find(|path| !absent.contains(**path));
    assert_eq!(unused, None, "no page names it, or it exists: remove it from ABSENT");
}

#[test]
fn references_are_found() {
    let page = "See [a](b.md#c), [d](#e), [f](https://g) and `tests/no/such.rs`.\n```\n[x](y) `tests/z`\n```\n\
        `cargo test -p basalt-x --lib`, `tests`, `distro/images/*.yaml`, `docs/join/`\n";
    assert_eq!(
        references(page),
        [
            (1, Reference::Path("tests/no/such.rs".to_owned())),
            (1, Reference::Link("b.md".to_owned())),
            (5, Reference::Crate("basalt-x".to_owned())),
            (5, Reference::Path("docs/join".to_owned())),
        ]
    );
}
