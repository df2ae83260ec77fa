//! Texts of an inventory in sentences and in comments of a file.
//!
//! An inventory may come from a host that others write to. Its values must neither begin a line of a report or of a file, nor
//! reach a terminal as something else than text: `basalt_inventory` has made each a line of characters that can be shown.

use basalt_inventory::is_shown;

/// Sign in place of a character that is not shown. What has it is not written into a NodeConfig.
pub(super) const HIDDEN: char = char::REPLACEMENT_CHARACTER;

/// Length of a value in a sentence, in characters: in an inventory it is whole.
const LONGEST: usize = 300;

/// Text as one line of characters that can be shown.
pub(super) fn line(text: &str) -> String {
    let letters = text.chars().map(|letter| match letter {
        '\t' => ' ',
        _ if is_shown(letter) => letter,
        _ => HIDDEN,
    });
    letters.collect()
}

/// Value as a sentence has it: the beginning of a long one.
pub(super) fn shown(value: &str) -> String {
    shortened(value, LONGEST)
}

/// Beginning of a text that is longer than a number of characters; others are whole.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_lines() {
        assert_eq!(line("a\tb"), "a b");
        assert_eq!(
            line("a\nb: c\r\u{1b}[31m\u{7}\u{85}"),
            "a\u{fffd}b: c\u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}"
        );
        assert_eq!(line("a\u{2028}\u{202e}b\u{feff}"), "a\u{fffd}\u{fffd}b\u{fffd}");
        assert_eq!(line("größe: 1"), "größe: 1");
    }

    #[test]
    fn sentences_have_the_beginning_of_long_values() {
        let long = "ü".repeat(LONGEST + 1);
        assert_eq!(shown(&long).chars().count(), LONGEST + 1);
        assert!(shown(&long).ends_with("ü…"));
        let whole = "ü".repeat(LONGEST);
        assert_eq!(shown(&whole), whole);
    }
}
