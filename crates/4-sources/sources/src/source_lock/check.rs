//! Rules for the names, paths and URLs of a lock.
//!
//! They become names of files, and arguments of programs: none may lead somewhere else, or be taken for an option.

use std::collections::BTreeSet;
use std::ops::Range;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};
use toml::Spanned;

use super::{Crates, GoModules, LockedFile, RepositoryFiles, SourceLock, raw};

/// Longest name of a file in bytes (`NAME_MAX`).
const LONGEST_NAME: usize = 255;
/// Longest path in bytes: what is left of `PATH_MAX` for the folder that it is below is a quarter.
const LONGEST_PATH: usize = 3072;
const LONGEST_URL: usize = 2048;

/// A rule that is broken, and where.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) message: String,
    pub(super) place: Range<usize>,
}

/// Checks everything that was read.
pub(super) fn lock(raw: raw::SourceLock) -> Result<SourceLock, Problem> {
    let mut names = Names::default();
    let mut lock = SourceLock::default();
    for file in raw.file {
        lock.files.push(LockedFile {
            file: names.add(checked(file.file, file_name)?)?,
            sha256: file.sha256,
            size: file.size,
            url: checked(file.url, url)?.into_inner(),
            repack: file.repack,
            alternatives: file.alternatives,
        });
    }
    for modules in raw.go {
        let dir = checked(modules.dir, |path| inside(path, "the package's folder"))?;
        lock.go.push(GoModules {
            dir: dir.into_inner().into(),
        });
    }
    for crates in raw.cargo {
        let package = crates.package.map(|package| checked(package, file_name)).transpose()?;
        lock.cargo.push(Crates {
            lock: checked(crates.lock, relative)?.into_inner().into(),
            package: package.map(Spanned::into_inner),
        });
    }
    for tree in raw.tree {
        let name = names.add(checked(tree.name, file_name)?)?;
        let paths = tree.paths.into_iter().map(|path| {
            let path = checked(path, |path| inside(path, "the repository"))?;
            Ok(Utf8PathBuf::from(path.into_inner()))
        });
        lock.trees.push(RepositoryFiles {
            name,
            paths: paths.collect::<Result<_, Problem>>()?,
        });
    }
    Ok(lock)
}

fn checked(text: Spanned<String>, rule: impl FnOnce(&str) -> Result<(), String>) -> Result<Spanned<String>, Problem> {
    match rule(text.get_ref()) {
        Ok(()) => Ok(text),
        Err(message) => Err(Problem {
            message,
            place: text.span(),
        }),
    }
}

/// Names that are taken, in lower case: sources lie in one folder, and not every file system tells `A` from `a`.
#[derive(Debug, Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn add(&mut self, name: Spanned<String>) -> Result<String, Problem> {
        if self.0.insert(name.get_ref().to_lowercase()) {
            return Ok(name.into_inner());
        }
        Err(Problem {
            message: format!(
                "`{}` is the name of two sources (case does not tell them apart)",
                name.get_ref()
            ),
            place: name.span(),
        })
    }
}

/// Rule for names of single files and folders, packages among them: no path, no hidden file, nothing that a program takes
/// for an option, nothing that a terminal does not show, at most 255 bytes.
///
/// # Errors
/// With the rule that is broken.
pub fn file_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(format!("`{}` must be a plain file name", name.escape_debug()));
    }
    word(name, LONGEST_NAME)
}

fn word(text: &str, longest: usize) -> Result<(), String> {
    let shown = text.escape_debug();
    if text.starts_with('-') {
        Err(format!(
            "`{shown}` begins with `-`: programs would take it for an option"
        ))
    } else if text.chars().any(char::is_control) {
        Err(format!("`{shown}` has a control character in it"))
    } else if text.len() > longest {
        Err(format!("it is {} bytes long, {longest} are the most", text.len()))
    } else {
        Ok(())
    }
}

fn relative(path: &str) -> Result<(), String> {
    if path.is_empty() || path.starts_with('/') {
        return Err(format!(
            "`{}` is empty or absolute; a relative path is expected",
            path.escape_debug()
        ));
    }
    word(path, LONGEST_PATH)?;
    let mut parts = Utf8Path::new(path).components();
    match parts.find(|part| part.as_str().starts_with('-')) {
        Some(part) => word(part.as_str(), LONGEST_NAME),
        None => Ok(()),
    }
}

fn inside(path: &str, folder: &str) -> Result<(), String> {
    relative(path)?;
    if Utf8Path::new(path)
        .components()
        .any(|part| part == Utf8Component::ParentDir)
    {
        return Err(format!("`{path}` leads out of {folder}"));
    }
    Ok(())
}

fn url(url: &str) -> Result<(), String> {
    let shown = url.escape_debug();
    word(url, LONGEST_URL)?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let rest = rest.ok_or_else(|| format!("`{shown}` is a URL of neither http nor https"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() || host.starts_with(['-', ':']) || host.contains('@') {
        return Err(format!("`{shown}` has no host, or one that is not plain"));
    }
    if url.contains(' ') {
        return Err(format!("`{shown}` has a space in it; a URL has `%20` instead"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in ["zlib-1.3.1.tar.gz", "libstdc++", "a b", "ä", &"x".repeat(255)] {
            assert_eq!(file_name(name), Ok(()), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".hidden",
            "a/b",
            "-rf",
            "--help",
            "a\nb",
            "a\u{7f}",
            "a\0",
            &"x".repeat(256),
        ] {
            assert!(file_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        for path in [".", "a/b", "a-b/c"] {
            assert_eq!(inside(path, "x"), Ok(()), "{path}");
        }
        for path in ["", "/", "/etc", "..", "a/../b", "-x", "a/-x", "a\nb"] {
            assert!(inside(path, "x").is_err(), "{path}");
        }
        assert_eq!(relative("../../Cargo.lock"), Ok(()));
    }

    #[test]
    fn one_name_is_for_one_source() {
        let text = "[[tree]]\nname = \"Repository\"\npaths = []\n[[tree]]\nname = \"repository\"\npaths = []\n";
        let error = SourceLock::parse(text, "sources.toml".into()).expect_err("twice");
        assert!(error.message.contains("two sources"), "{}", error.message);
    }
}
