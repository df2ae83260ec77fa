//! Output of programs as plain text, for terminals and logs.

use std::borrow::Cow;

/// Text without escape sequences and control characters, of which only tabs stay. A program's output is not the
/// program's terminal: by an escape sequence it could set the clipboard or the title of ours, have it type an answer,
/// or hide lines. An escape sequence that does not end hides the rest of its own text.
pub fn plain_text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => skip_escape(&mut letters),
            letter if is_unwanted(letter) => {}
            letter => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}

fn is_unwanted(letter: char) -> bool {
    letter.is_control() && letter != '\t'
}

/// Skips what follows the escape character (ECMA-48).
fn skip_escape(letters: &mut std::str::Chars<'_>) {
    match letters.next() {
        // CSI: parameters, then one letter.
        Some('[') => while letters.next().is_some_and(|letter| !('@'..='~').contains(&letter)) {},
        // OSC (a title, the clipboard, a mark of systemd's): up to BEL or ESC \.
        Some(']') => {
            while letters
                .next()
                .is_some_and(|letter| !matches!(letter, '\u{7}' | '\\' | '\u{9c}'))
            {}
        }
        // A character set: one more letter.
        Some('(' | ')') => drop(letters.next()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_control_characters_stays() {
        for text in ["", "a line", "cc\t-c ä.c → ä.o"] {
            assert!(matches!(plain_text(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn escape_sequences_are_left_out() {
        for (raw, plain) in [
            ("\u{1b}[01;31merror:\u{1b}[0m x", "error: x"),
            ("\u{1b}]52;c;cm0gLXJmIC8=\u{7}a", "a"),
            ("\u{1b}]0;title\u{1b}\\a", "a"),
            ("\u{1b}(Ba", "a"),
            ("a\u{5}b\u{0}c\u{9b}31m\rd\n", "abc31md"),
            ("a\u{1b}[", "a"),
            ("a\u{1b}", "a"),
        ] {
            assert_eq!(plain_text(raw), plain, "{raw:?}");
        }
    }
}
