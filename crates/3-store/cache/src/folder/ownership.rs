//! Recognition of folders that are caches. Others are refused before anything in them is written or removed.
//!
//! A cache has the file `CACHEDIR.TAG` with a line of ours, which the first write puts there. A folder without one may
//! become a cache when it is empty, or holds nothing but what earlier versions made in a folder of an administrator,
//! without a tag.

use std::io::{self, Read as _};

use camino::Utf8Path;

use super::{TEMPORARY, file};
use crate::error::CacheError;

/// Name and content of the file that marks a cache, and by which backups leave it out (bford.info/cachedir).
pub(super) const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# A build cache of Basalt Linux.\n",
);

/// Returns `true` if a folder is marked as a cache, and `false` if it may become one.
///
/// # Errors
/// [`CacheError::Foreign`] when it is neither, and when it cannot be read.
pub(super) fn is_marked(folder: &Utf8Path) -> Result<bool, CacheError> {
    if has_tag(folder)? {
        return Ok(true);
    }
    let Some(name) = foreign(folder)? else {
        return Ok(false);
    };
    // Another process may have made a cache here since the tag was looked for.
    if has_tag(folder)? {
        return Ok(true);
    }
    Err(CacheError::Foreign {
        folder: folder.to_owned(),
        name,
    })
}

fn has_tag(folder: &Utf8Path) -> Result<bool, CacheError> {
    let (name, text) = TAG;
    let path = folder.join(name);
    let read = || -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        let opened = file::open(&path)?;
        opened.take(text.len() as u64).read_to_end(&mut content)?;
        Ok(content)
    };
    match read() {
        Ok(content) => Ok(content == text.as_bytes()),
        Err(error) if file::is_absent(&error) => Ok(false),
        Err(error) => Err(CacheError::io("cannot read", &path)(error)),
    }
}

/// Returns the name of an entry that a cache without a tag does not have; none if there is no such entry.
fn foreign(folder: &Utf8Path) -> Result<Option<String>, CacheError> {
    for name in names(folder)? {
        let is_known: fn(&str) -> bool = match name.as_str() {
            "lost+found" => continue,
            "cas" | "ac" => is_shard,
            TEMPORARY => |name| file::is_temporary(name) || file::is_earlier_temporary(name),
            _ => return Ok(Some(name)),
        };
        let path = folder.join(&name);
        if !path.is_dir() {
            return Ok(Some(name));
        }
        let below = names(&path)?;
        if let Some(other) = below.into_iter().find(|name| !is_known(name)) {
            return Ok(Some(format!("{name}/{other}")));
        }
    }
    Ok(None)
}

/// Returns `true` for the name of a folder that holds the files whose digests begin with these two digits.
pub(super) fn is_shard(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Lists the names in a folder; none where there is no folder. Bytes that are not UTF-8 are replaced: such names are
/// never the cache's.
fn names(folder: &Utf8Path) -> Result<Vec<String>, CacheError> {
    let list = || -> io::Result<Vec<String>> {
        let entries = fs_err::read_dir(folder)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    };
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(CacheError::io("cannot list", folder)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Result of opening a folder with these files; names that end with a slash are folders.
    fn opened(names: &[&str]) -> Result<bool, String> {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(temporary.path()).expect("UTF-8");
        for name in names {
            let path = folder.join(name);
            let parent = if name.ends_with('/') {
                Some(&*path)
            } else {
                path.parent()
            };
            fs_err::create_dir_all(parent.expect("a parent")).expect("made");
            if !name.ends_with('/') {
                fs_err::write(&path, "thesis").expect("written");
            }
        }
        is_marked(folder).map_err(|error| match error {
            CacheError::Foreign { name, .. } => name,
            error => panic!("{error:?}"),
        })
    }

    #[test]
    fn a_folder_of_another_purpose_is_refused_with_what_shows_it() {
        for name in [
            "thesis.odt",
            "tmp/thesis.odt",
            "cas/thesis.odt",
            "ac/ABC/x",
            ".git/x",
            TAG.0,
            "tmp",
        ] {
            let shown = opened(&[name]).expect_err(name);
            assert!(name.starts_with(&shown), "{name}: {shown}");
        }
        assert_eq!(opened(&["cas/ab/x", "ac/cd/x", "home/"]), Err("home".to_owned()));
    }

    #[test]
    fn an_empty_folder_and_one_without_a_tag_may_become_a_cache() {
        let temporary = "tmp/aB3aB3aB3aB3aB3aB3aB3aB3";
        for names in [
            &[][..],
            &["lost+found/x"],
            &["tmp/"],
            &["cas/ab/x", "ac/0f/y", temporary, "tmp/write-aB3aB3aB3aB3aB3aB3aB3aB3"],
        ] {
            assert_eq!(opened(names), Ok(false), "{names:?}");
        }
    }

    #[test]
    fn the_tag_of_another_program_is_none() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(temporary.path()).expect("UTF-8");
        let (name, text) = TAG;
        fs_err::write(folder.join("thesis.odt"), "").expect("written");
        let (signature, _) = text.split_once('\n').expect("two lines");
        fs_err::write(folder.join(name), format!("{signature}\n# Another cache.\n")).expect("written");
        assert!(is_marked(folder).is_err());
        fs_err::write(folder.join(name), text).expect("written");
        assert!(is_marked(folder).expect("a cache"));
    }
}
