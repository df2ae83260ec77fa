//! Folders: by file.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use basalt_store::{FileError, StoreError, digest_of};
use camino::{Utf8Path, Utf8PathBuf};

use super::{Findings, bytes};

/// Larger files are compared by digest alone.
const LARGEST: u64 = 512 << 20;

/// Adds what differs between two folders: paths, modes, where links lead, contents. Paths that `skip` knows are compared
/// elsewhere.
///
/// # Errors
/// When something cannot be read.
pub fn compare(
    findings: &mut Findings,
    first: &Utf8Path,
    second: &Utf8Path,
    skip: &dyn Fn(&Utf8Path) -> bool,
) -> Result<(), StoreError> {
    let (one, other) = (list(first)?, list(second)?);
    for path in one.union(&other).filter(|path| !skip(path)) {
        basalt_process::interrupt::check()?;
        findings.within(format!("/{path}"), |findings| {
            match (one.contains(path), other.contains(path)) {
                (true, false) => findings.add("is only in the first"),
                (false, true) => findings.add("is only in the second"),
                _ => return files(findings, &first.join(path), &second.join(path)),
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn files(findings: &mut Findings, first: &Utf8Path, second: &Utf8Path) -> Result<(), StoreError> {
    let facts = |path: &Utf8Path| path.symlink_metadata().map_err(FileError::new("cannot look at", path));
    let (one, other) = (facts(first)?, facts(second)?);
    let kind = |metadata: &std::fs::Metadata| match metadata.file_type() {
        kind if kind.is_dir() => "folder",
        kind if kind.is_symlink() => "link",
        kind if kind.is_file() => "file",
        _ => "device",
    };
    if kind(&one) != kind(&other) {
        findings.add(format!("is a {}, then a {}", kind(&one), kind(&other)));
        return Ok(());
    }
    let mode = |metadata: &std::fs::Metadata| metadata.permissions().mode() & 0o7777;
    if !one.is_symlink() && mode(&one) != mode(&other) {
        findings.add(format!("has mode {:04o}, then {:04o}", mode(&one), mode(&other)));
    }
    if one.is_symlink() {
        let target = |path: &Utf8Path| path.read_link_utf8().map_err(FileError::new("cannot read", path));
        let (one, other) = (target(first)?, target(second)?);
        if one != other {
            findings.add(format!("leads to {one}, then to {other}"));
        }
    } else if one.is_file() {
        contents(findings, first, second)?;
    }
    Ok(())
}

/// Adds what differs between the contents of two files.
///
/// # Errors
/// When one of them cannot be read.
pub fn contents(findings: &mut Findings, first: &Utf8Path, second: &Utf8Path) -> Result<(), StoreError> {
    let (one, other) = (digest_of(first)?, digest_of(second)?);
    if one == other {
        return Ok(());
    }
    if one.1.max(other.1) > LARGEST {
        findings.add(format!("has the digest {}, then {}", one.0.short(), other.0.short()));
        return Ok(());
    }
    let read = |path: &Utf8Path| fs_err::read(path).map_err(FileError::new("cannot read", path));
    bytes::compare(findings, &read(first)?, &read(second)?);
    Ok(())
}

/// All paths below a folder, relative to it.
fn list(folder: &Utf8Path) -> Result<BTreeSet<Utf8PathBuf>, FileError> {
    let mut found = BTreeSet::new();
    let mut rest = vec![folder.to_owned()];
    while let Some(path) = rest.pop() {
        for entry in path.read_dir_utf8().map_err(FileError::new("cannot list", &path))? {
            let entry = entry.map_err(FileError::new("cannot list", &path))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                rest.push(entry.path().to_owned());
            }
            if let Ok(name) = entry.path().strip_prefix(folder) {
                found.insert(name.to_owned());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::Difference;
    use super::*;

    #[test]
    fn folders_are_told_by_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let (first, second) = (root.join("first"), root.join("second"));
        for (tree, name, words) in [
            (&first, "a", "same"),
            (&first, "b", "one"),
            (&second, "a", "same"),
            (&second, "b", "two"),
        ] {
            fs_err::create_dir_all(tree.join("etc")).expect("made");
            fs_err::write(tree.join("etc").join(name), words).expect("written");
        }
        fs_err::os::unix::fs::symlink("a", first.join("link")).expect("linked");
        fs_err::set_permissions(second.join("etc/a"), std::fs::Permissions::from_mode(0o600)).expect("changed");
        let mut findings = Findings::default();
        compare(&mut findings, &first, &second, &|_| false).expect("compared");
        let differences: Vec<_> = findings.finish().0.iter().map(Difference::to_string).collect();
        assert_eq!(
            differences,
            [
                "/etc/a has mode 0644, then 0600",
                "/etc/b: line 1 is `one`, then `two`",
                "/link is only in the first"
            ]
        );
    }
}
