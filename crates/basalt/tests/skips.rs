//! Check that tests say by one crate, `basalt-test-output`, that they cannot run: what they print by hand may be captured by
//! the harness, or be none of the lines that `basalt test` counts.

#![cfg(test)]

use std::path::Path;

use walkdir::WalkDir;

/// Sources with the word of such a line: the crate that writes it, the modules that read it, this one.
const PERMITTED: &[&str] = &[
    "crates/basalt/src/commands/test.rs",
    "crates/basalt/src/commands/test/counts.rs",
    "crates/basalt/tests/skips.rs",
    "tests/output/src/lib.rs",
];

/// Sources in which a string begins with the word.
fn sources_with_the_word() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["crates", "tests"] {
        for entry in WalkDir::new(root.join(folder)).sort_by_file_name() {
            let path = entry.expect("a readable folder").into_path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = fs_err::read_to_string(&path).expect("a source text");
            if source.contains("\"SKIPPED") {
                let below = path.strip_prefix(&root).expect("below the root");
                found.push(below.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn tests_say_by_one_crate_that_they_cannot_run() {
    assert_eq!(sources_with_the_word(), PERMITTED);
}
