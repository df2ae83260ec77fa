//! The identity of the distribution stands in a spec and in rpm's macros, too, which cannot read Rust.

#![cfg(test)]

use std::path::Path;

use basalt_release::{HOME, ID, NAME, VERSION};

fn text(path: &str) -> String {
    fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").join(path)).expect("read")
}

/// Values of a line that begins with a key: `Version:        1`, `ID=basalt`.
fn value(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_else(|| panic!("no line begins with {key:?}"))
        .trim()
        .trim_matches('"')
        .to_owned()
}

#[test]
fn os_release_has_it() {
    let spec = text("distro/packages/basalt-release/basalt-release.spec");
    let facts = ["NAME=", "ID=", "Version:", "URL:"].map(|key| value(&spec, key));
    assert_eq!(facts, [NAME, ID, VERSION, HOME]);
}

#[test]
fn the_macros_of_packages_have_it() {
    let macros = text("distro/macros/macros.basalt");
    let facts = ["%vendor ", "%_vendor ", "%dist "].map(|key| value(&macros, key));
    assert_eq!(facts, [NAME.to_owned(), ID.to_owned(), format!(".bs{VERSION}")]);
}
