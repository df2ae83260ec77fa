//! Folders of the user, as environment variables name them.
//!
//! By hand, and not by etcetera: a variable of our own goes first, a home that no variable names is none, and an error names the
//! variable; what would be left for the crate is three look-ups.

use std::ffi::OsString;

use camino::{Utf8Path, Utf8PathBuf};

use crate::StoreError;

/// Returns a folder of the user: the value of `variable`; or `name` in a base directory of the XDG Base Directory
/// Specification, given as its variable and its default below the home folder. `None` when the environment names none.
///
/// A relative path in `variable` is relative to the current folder. A relative path in an XDG variable is ignored, as
/// the specification demands.
///
/// # Errors
/// [`StoreError::Variable`] for a path that is not UTF-8, or begins with `~`, which only shells expand.
pub fn place(
    variable: &'static str,
    (xdg, in_home): (&'static str, &str),
    name: &str,
) -> Result<Option<Utf8PathBuf>, StoreError> {
    let current = std::env::current_dir()
        .ok()
        .and_then(|path| Utf8PathBuf::try_from(path).ok());
    choose(
        &|name| std::env::var_os(name),
        current.as_deref(),
        variable,
        (xdg, in_home),
        name,
    )
}

/// Implements [`place`] as a function of the environment.
fn choose(
    environment: &dyn Fn(&'static str) -> Option<OsString>,
    current: Option<&Utf8Path>,
    variable: &'static str,
    (xdg, in_home): (&'static str, &str),
    name: &str,
) -> Result<Option<Utf8PathBuf>, StoreError> {
    let read = |variable| match environment(variable).filter(|value| !value.is_empty()) {
        Some(value) => checked(variable, value).map(Some),
        None => Ok(None),
    };
    if let Some(path) = read(variable)? {
        return absolute(variable, path, current).map(Some);
    }
    if let Some(folder) = read(xdg)?.filter(|folder| folder.is_absolute()) {
        return Ok(Some(folder.join(name)));
    }
    let home = read("HOME")?.filter(|home| home.is_absolute());
    Ok(home.map(|home| home.join(in_home).join(name)))
}

/// Checks the value of a variable, and returns it as a path.
fn checked(variable: &'static str, value: OsString) -> Result<Utf8PathBuf, StoreError> {
    let wrong = |value: String, why, help: String| StoreError::Variable {
        variable,
        value,
        why,
        help,
    };
    let text = value.into_string().map_err(|value| {
        let help = format!("name a folder in UTF-8 as {variable}; a link to this one will do");
        wrong(value.to_string_lossy().into_owned(), "which is not UTF-8", help)
    })?;
    if let Some(rest) = text.strip_prefix('~') {
        let help = format!(
            "only a shell replaces `~`, and not within quotes: {variable}=\"$HOME{}\"",
            rest.split_once('/')
                .map(|(_, rest)| format!("/{rest}"))
                .unwrap_or_default()
        );
        return Err(wrong(
            text,
            "which begins with a `~` that the shell did not replace",
            help,
        ));
    }
    Ok(Utf8PathBuf::from(text))
}

fn absolute(variable: &'static str, path: Utf8PathBuf, current: Option<&Utf8Path>) -> Result<Utf8PathBuf, StoreError> {
    if path.is_absolute() {
        return Ok(path);
    }
    match current {
        Some(current) => Ok(current.join(path)),
        None => Err(StoreError::Variable {
            variable,
            value: path.into_string(),
            why: "a relative path, and the current folder has none in UTF-8",
            help: format!("name an absolute path as {variable}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    /// Names and values of environment variables.
    type Variables = [(&'static str, &'static [u8])];

    fn chosen(variables: &Variables) -> Result<Option<Utf8PathBuf>, StoreError> {
        let environment = |name: &'static str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from_vec(value.to_vec()))
        };
        let xdg = ("XDG_CACHE_HOME", ".cache");
        choose(
            &environment,
            Some(Utf8Path::new("/here")),
            "BASALT_STORE",
            xdg,
            "basalt",
        )
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let cases: [(&Variables, _); 9] = [
            (&[], None),
            (&[("HOME", b"/h")], Some("/h/.cache/basalt")),
            (&[("HOME", b"")], None),
            (&[("HOME", b"/h"), ("XDG_CACHE_HOME", b"/x")], Some("/x/basalt")),
            (&[("HOME", b"/h"), ("XDG_CACHE_HOME", b"x")], Some("/h/.cache/basalt")),
            (&[("HOME", b"/h"), ("BASALT_STORE", b"/s")], Some("/s")),
            (&[("HOME", b"/h"), ("BASALT_STORE", b"")], Some("/h/.cache/basalt")),
            (&[("BASALT_STORE", b"a/b")], Some("/here/a/b")),
            (&[("BASALT_STORE", b"/a b,c~d")], Some("/a b,c~d")),
        ];
        for (variables, expected) in cases {
            let found = chosen(variables).expect("a place");
            assert_eq!(found, expected.map(Utf8PathBuf::from), "{variables:?}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_meant_is_refused() {
        for value in [&b"~/store"[..], b"~", b"~user/store", b"/a/\xff"] {
            let error = chosen(&[("BASALT_STORE", value), ("HOME", b"/h")]).expect_err("refused");
            assert!(matches!(error, StoreError::Variable { .. }), "{error:?}");
        }
        let error = chosen(&[("BASALT_STORE", b"~/my store")]).expect_err("refused");
        let StoreError::Variable { help, .. } = error else {
            panic!("{error:?}")
        };
        assert!(help.ends_with("BASALT_STORE=\"$HOME/my store\""), "{help}");
    }
}
