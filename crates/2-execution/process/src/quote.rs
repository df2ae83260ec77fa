//! Quoting for a POSIX shell, so that what is shown can be pasted.

use std::ffi::OsStr;

/// The word as a POSIX shell reads it back: unchanged where it is plain, in single quotes otherwise.
pub fn quote(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%^".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn only_what_needs_it_is_quoted() {
        for (word, quoted) in [
            ("--root=/a/b", "--root=/a/b"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$HOME;", "'$HOME;'"),
        ] {
            assert_eq!(quote(word), quoted);
        }
    }
}
