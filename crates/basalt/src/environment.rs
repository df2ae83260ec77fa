//! Environment variables of the user, as text.

use std::ffi::OsString;

use miette::{Result, miette};

/// Returns the value of a variable; `None` when it is not set.
///
/// # Errors
/// When the value is not UTF-8: another value than the user's must not take its place.
pub fn variable(name: &str) -> Result<Option<String>> {
    std::env::var_os(name).map(|value| text(name, value)).transpose()
}

fn text(name: &str, value: OsString) -> Result<String> {
    value.into_string().map_err(|value| {
        miette!(
            code = "environment::variable",
            help = "paths and values of variables have to be UTF-8: rename the folder, or reach it through a link \
                    whose name is",
            "{name} is `{}`, which is not UTF-8",
            value.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn a_value_that_is_not_utf_8_is_an_error() {
        let text = |value: &[u8]| text("BASALT_ROOT", OsString::from_vec(value.to_vec()));
        assert_eq!(text(b"/a b").expect("UTF-8"), "/a b");
        let error = text(b"/a/\xff").expect_err("not UTF-8");
        assert_eq!(error.to_string(), "BASALT_ROOT is `/a/\u{fffd}`, which is not UTF-8");
    }
}
