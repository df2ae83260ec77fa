//! Names of repositories and snapshots, which become names of folders and parts of URLs.

use crate::SnapshotError;

/// Limit of a name's length, in bytes.
const LONGEST: usize = 64;

/// Checks that a name can be the name of a folder and a part of a URL; an error otherwise.
pub(crate) fn check(name: &str, what: &'static str) -> Result<(), SnapshotError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let right = name.len() <= LONGEST
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte));
    if right {
        return Ok(());
    }
    Err(SnapshotError::Name {
        name: name.to_owned(),
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        for right in ["basalt", "20261125-101203", "v1.2_rc-1"] {
            assert!(check(right, "snapshot").is_ok(), "{right}");
        }
        for wrong in ["", ".", "..", ".x", "a/b", "A", "a b", "a%2f", &"x".repeat(65)] {
            assert!(check(wrong, "snapshot").is_err(), "{wrong}");
        }
    }
}
