//! The package of this program has a lock of its own (`distro/packages/basalt-node/Cargo.lock`), so that it is not built
//! again for every change of an unrelated crate. It has to be a part of the workspace's lock.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const REMEDY: &str = "make it anew: cp Cargo.lock distro/packages/basalt-node/ && cargo tree --manifest-path \
                      distro/packages/basalt-node/Cargo.toml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Name, version and digest of each crate of a lock, as its lines say them.
fn crates(lock: &Path) -> BTreeSet<String> {
    let text = fs_err::read_to_string(lock).unwrap();
    let entries = text.split("[[package]]\n").skip(1);
    let facts = entries.map(|entry| {
        let lines = entry
            .lines()
            .filter(|line| ["name", "version", "checksum"].iter().any(|key| line.starts_with(key)));
        lines.collect::<Vec<_>>().join(" ")
    });
    facts
        .filter(|facts| !facts.contains("\"basalt-node-package\""))
        .collect()
}

#[test]
fn its_lock_is_part_of_the_workspaces() {
    let own = crates(&root().join("distro/packages/basalt-node/Cargo.lock"));
    let all = crates(&root().join("Cargo.lock"));
    assert!(own.len() > 10, "no crates were found in the lock");
    let strange: Vec<_> = own.difference(&all).collect();
    assert!(
        strange.is_empty(),
        "the lock of the package names other crates than the workspace: {strange:#?}\n{REMEDY}"
    );
}

#[test]
fn kernel_settings_of_the_image_are_sources_of_the_agent() {
    let text = |path: &str| fs_err::read_to_string(root().join(path)).unwrap();
    let check = text("crates/9-nodes/node-config/src/rules/image_sysctls.rs");
    let sources = text("distro/packages/basalt-node/sources.toml");
    let mut count = 0;
    for entry in fs_err::read_dir(root().join("distro/packages/basalt-defaults")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("sysctl-") {
            let path = format!("distro/packages/basalt-defaults/{name}\"");
            assert!(check.contains(&path), "the check does not read {path}");
            assert!(sources.contains(&path), "sources.toml does not name {path}");
            count += 1;
        }
    }
    assert!(count > 1, "only {count} files were found");
}

#[test]
fn its_lock_is_complete() {
    let manifest = root().join("distro/packages/basalt-node/Cargo.toml");
    #[expect(
        clippy::disallowed_methods,
        reason = "the agent's crate stands apart from the toolkit's"
    )]
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version=1",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ]);
    let output = cargo.arg("--manifest-path").arg(manifest).output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{REMEDY}",
        String::from_utf8_lossy(&output.stderr)
    );
}
