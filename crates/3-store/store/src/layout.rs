//! Layout of the store's folder: its entries, the marker, and the folders that are refused.
//!
//! A store is a folder with the file `basalt-store`, whose first line is `format <n>`. It comes into being only in a folder
//! that is empty or did not exist; from then on the store touches nothing but names that it can have made itself.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Access, AtFlags, CWD};

use crate::{StoreError, write};

/// Name of the file that marks a folder as a store.
pub(crate) const MARKER: &str = "basalt-store";

/// Newest format of the layout that this version can work with, and the one it makes.
pub(crate) const FORMAT: u32 = 1;

/// Folders of a store.
pub(crate) const FOLDERS: [&str; 8] = [
    "objects", "trees", "actions", "results", DAMAGED, "tmp", "locks", "logs",
];

/// Folder of objects that verification found to be damaged.
pub(crate) const DAMAGED: &str = "damaged";

/// Tag file by which backup programs skip a cache folder (bford.info/cachedir).
const CACHE_TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n\
     # This folder is the store of basalt: all of it can be fetched or built again.\n",
);

/// Folder whose entries are kept until collection, each of them one file or one folder.
#[derive(Debug)]
pub(crate) struct EntryFolder {
    /// Name of the folder.
    pub name: &'static str,
    /// Returns `true` for names that the store can have given to an entry.
    pub is_entry: fn(&str) -> bool,
}

/// All folders whose entries are collected. Files in them under other names are not the store's.
pub(crate) const ENTRY_FOLDERS: [EntryFolder; 6] = [
    EntryFolder {
        name: "objects",
        is_entry: |name| is_hex(name, 64),
    },
    EntryFolder {
        name: "trees",
        // Earlier versions gave names of 16 digits to some folders.
        is_entry: |name| is_hex(name, 64) || is_hex(name, 16),
    },
    EntryFolder {
        name: "actions",
        is_entry: |name| is_hex(name, 64),
    },
    EntryFolder {
        name: "results",
        is_entry: |name| name.strip_suffix(".json").is_some_and(|stem| is_hex(stem, 64)),
    },
    EntryFolder {
        name: DAMAGED,
        is_entry: |name| is_hex(name, 64),
    },
    EntryFolder {
        name: "logs",
        is_entry: |name| {
            let is_log = name.strip_suffix(".log").is_some_and(|stem| !stem.is_empty());
            is_log || ["build-timings.html", "build-timings.json"].contains(&name)
        },
    },
];

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// State of a folder that is to be used as a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Folder that is empty or does not exist: a store may be made here.
    Vacant,
    /// Store of a version that wrote no marker.
    Unmarked,
    /// Store with a marker of this format.
    Marked(u32),
    /// Store whose marker this version does not understand.
    Unknown(String),
    /// Folder that is not empty and no store, with the name of an entry that shows it.
    Foreign(Utf8PathBuf),
}

/// Determines the state of a folder without changing anything.
pub(crate) fn inspect(root: &Utf8Path) -> Result<State, StoreError> {
    if let Some(state) = marker(root)? {
        return Ok(state);
    }
    let names = match list(root) {
        Ok(names) => names,
        Err(error) if error.io_kind() == Some(io::ErrorKind::NotFound) => return Ok(State::Vacant),
        Err(error) => return Err(error),
    };
    let Some(name) = names.iter().find(|name| !may_be_in_vacant(name)) else {
        return Ok(State::Vacant);
    };
    let foreign = match foreign_to_unmarked(root, &names)? {
        None => return Ok(State::Unmarked),
        Some(Some(foreign)) => foreign,
        Some(None) => Utf8PathBuf::from(name),
    };
    // Another process may have made a store here since the marker was looked for.
    Ok(marker(root)?.unwrap_or(State::Foreign(foreign)))
}

/// Returns the state that the marker describes; none when there is no marker.
fn marker(root: &Utf8Path) -> Result<Option<State>, StoreError> {
    let path = root.join(MARKER);
    match std::fs::read(&path) {
        Ok(text) => Ok(Some(parse_marker(&String::from_utf8_lossy(&text)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("cannot read", &path)(error)),
    }
}

fn parse_marker(text: &str) -> State {
    let line = text.lines().next().unwrap_or_default();
    match line.strip_prefix("format ").map(|number| (number, number.parse())) {
        Some((_, Ok(format))) if format <= FORMAT => State::Marked(format),
        Some((number, _)) => State::Unknown(number.to_owned()),
        None => State::Unknown("?".to_owned()),
    }
}

/// Returns `true` for names that may be in a vacant folder: `lost+found`, and the incomplete marker of a killed writer.
fn may_be_in_vacant(name: &str) -> bool {
    name == "lost+found" || write::is_partial(name, MARKER)
}

/// Classifies a folder without a marker: `None` when it is a store of an earlier version with nothing foreign in it;
/// the foreign entry when it is such a store but for that; `Some(None)` when it is no store at all.
fn foreign_to_unmarked(root: &Utf8Path, names: &[String]) -> Result<Option<Option<Utf8PathBuf>>, StoreError> {
    let is_store = ["objects", "trees", "results"]
        .iter()
        .all(|name| root.join(name).is_dir())
        && root.join("locks/lease").is_file();
    if !is_store {
        return Ok(Some(None));
    }
    let known = |name: &str| {
        FOLDERS.contains(&name)
            || ["cluster", "bench"].contains(&name)
            || (name.starts_with("kvm-") && (name.ends_with(".json") || name.ends_with(".bin")))
            || may_be_in_vacant(name)
    };
    if let Some(name) = names.iter().find(|name| !known(name)) {
        return Ok(Some(Some(Utf8PathBuf::from(name))));
    }
    for folder in FOLDERS {
        let path = root.join(folder);
        let names = if path.is_dir() { list(&path)? } else { Vec::new() };
        if let Some(name) = names.iter().find(|name| !known_to_unmarked(folder, name)) {
            return Ok(Some(Some(Utf8Path::new(folder).join(name))));
        }
    }
    Ok(None)
}

/// Returns `true` for names that versions without a marker made in one of their folders.
fn known_to_unmarked(folder: &str, name: &str) -> bool {
    let entries = ENTRY_FOLDERS.iter().find(|entries| entries.name == folder);
    match folder {
        "tmp" => is_unmarked_work(name),
        "locks" => ["lease", "build", "sdk"].contains(&name),
        // A killed writer of a result left a dot and six letters.
        "results" if name.starts_with('.') && name.len() == 7 => true,
        _ => entries.is_some_and(|entries| (entries.is_entry)(name)),
    }
}

/// Returns `true` for `<process id>-<number or six letters>`, with `.lock` for the file that its owner held.
pub(crate) fn is_unmarked_work(name: &str) -> bool {
    let name = name.strip_suffix(".lock").unwrap_or(name);
    name.split_once('-').is_some_and(|(process, rest)| {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits(process) && !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// Lists the names in a folder, sorted. Bytes that are not UTF-8 are replaced: such names are never the store's.
fn list(folder: &Utf8Path) -> Result<Vec<String>, StoreError> {
    let failed = || StoreError::io("cannot list", folder);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Rights of this process to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Read and write access.
    ReadWrite,
    /// Lookups only; nothing can be added.
    ReadOnly,
}

/// Folder that was prepared as a store.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub rights: Rights,
    /// `true` if the store had no marker until now, so that it may hold temporary files of versions that wrote none.
    pub adopted: bool,
}

/// Makes a store of the folder, with all subfolders that it needs.
///
/// # Errors
/// When the folder is not empty and no store, or has an unknown format: nothing is changed then.
pub(crate) fn prepare(root: &Utf8Path) -> Result<Prepared, StoreError> {
    let state = inspect(root)?;
    match &state {
        State::Foreign(name) => {
            return Err(StoreError::Foreign {
                root: root.to_owned(),
                name: name.clone(),
            });
        }
        State::Unknown(found) => {
            return Err(StoreError::Format {
                root: root.to_owned(),
                found: found.clone(),
                known: FORMAT,
            });
        }
        State::Vacant | State::Unmarked | State::Marked(_) => {}
    }
    crate::owner::check_sudo(root)?;
    let adopted = state == State::Unmarked;
    if state != State::Vacant && !is_writable(root) {
        return Ok(Prepared {
            rights: Rights::ReadOnly,
            adopted,
        });
    }
    if matches!(state, State::Vacant | State::Unmarked) {
        fs_err::create_dir_all(root).map_err(StoreError::io("cannot create", root))?;
        // The marker comes first, so that a process killed from here on leaves a store and no folder of unknown
        // purpose.
        write::durably(&root.join(MARKER), marker_text())?;
    }
    for folder in FOLDERS {
        let folder = root.join(folder);
        fs_err::create_dir_all(&folder).map_err(StoreError::io("cannot create", &folder))?;
        if !is_writable(&folder) {
            return Err(crate::owner::error(&folder, root));
        }
    }
    // Lock files are made here, for processes that may not make them.
    for lock in ["locks/lease", crate::usage::GATE] {
        let lock = root.join(lock);
        let made = std::fs::OpenOptions::new().append(true).create(true).open(&lock);
        made.map_err(StoreError::io("cannot create", &lock))?;
    }
    let (tag, text) = CACHE_TAG;
    if !root.join(tag).exists() {
        write::atomically(&root.join(tag), text)?;
    }
    Ok(Prepared {
        rights: Rights::ReadWrite,
        adopted,
    })
}

fn marker_text() -> String {
    format!(
        "format {FORMAT}\n\
         # This file marks the folder as the store of basalt: what is fetched and built. `basalt clean --all` empties it.\n"
    )
}

/// Returns `true` if files can be made in a folder: by its permissions, and because its file system is not mounted
/// read-only.
fn is_writable(folder: &Utf8Path) -> bool {
    let access = Access::WRITE_OK | Access::EXEC_OK;
    rustix::fs::accessat(CWD, folder.as_std_path(), access, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_names_its_format() {
        assert_eq!(parse_marker(&marker_text()), State::Marked(FORMAT));
        assert_eq!(parse_marker("format 0\n"), State::Marked(0));
        assert_eq!(parse_marker("format 2\nmore"), State::Unknown("2".to_owned()));
        assert_eq!(parse_marker("format many"), State::Unknown("many".to_owned()));
        for text in ["", "thesis", "\u{fffd}"] {
            assert_eq!(parse_marker(text), State::Unknown("?".to_owned()));
        }
    }

    #[test]
    fn entries_are_known_by_their_names() {
        let digest = "a1".repeat(32);
        let cases = [
            ("objects", digest.clone(), true),
            ("objects", digest.to_uppercase(), false),
            ("objects", "README".to_owned(), false),
            ("trees", "0123456789abcdef".to_owned(), true),
            ("trees", digest.clone(), true),
            ("trees", "0123".to_owned(), false),
            ("actions", digest.clone(), true),
            ("results", format!("{digest}.json"), true),
            ("results", digest, false),
            ("logs", "zlib.log".to_owned(), true),
            ("logs", "zlib.txt".to_owned(), false),
            ("logs", ".log".to_owned(), false),
        ];
        for (folder, name, expected) in cases {
            let entries = ENTRY_FOLDERS.iter().find(|entries| entries.name == folder);
            assert_eq!(
                entries.map(|entries| (entries.is_entry)(&name)),
                Some(expected),
                "{folder}/{name}"
            );
        }
    }

    #[test]
    fn work_of_versions_without_a_marker_is_known() {
        for name in ["7251-6", "7251-6.lock", "12-aB3xYz"] {
            assert!(is_unmarked_work(name), "{name}");
        }
        for name in [
            "thesis",
            "7251",
            "7251-",
            "-6",
            "a-6",
            "12-a b",
            "work-1.lock",
            "1-2.txt",
        ] {
            assert!(!is_unmarked_work(name), "{name}");
        }
    }
}
