//! Words of a command line, as a POSIX shell splits it.
//!
//! By hand: errors point into the command line, and the crates that split words do not tell where a word stood.

use std::ops::Range;

use super::CommandLineProblem;

/// A word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The word without its quotes.
    pub text: String,
    /// Bytes of the word in the command line, quotes included.
    pub span: Range<usize>,
}

impl Word {
    /// Bytes of the word from some byte of its text on. Of a word with quotes in it, the whole.
    pub(super) fn from(&self, offset: usize) -> Range<usize> {
        if self.span.len() == self.text.len() {
            self.span.start + offset..self.span.end
        } else {
            self.span.clone()
        }
    }
}

/// Splits a command line into words. Line breaks after a backslash join lines, as in what kubeadm prints; others end the
/// command.
///
/// # Errors
/// At what a shell would not take as text: variables, commands in commands, operators, a second command, open quotes.
pub(super) fn split(text: &str) -> Result<Vec<Word>, CommandLineProblem> {
    Splitter {
        text,
        rest: text.char_indices().peekable(),
        words: Vec::new(),
        open: None,
    }
    .run()
}

struct Splitter<'t> {
    text: &'t str,
    rest: std::iter::Peekable<std::str::CharIndices<'t>>,
    words: Vec<Word>,
    /// Word that is not complete, and where it begins.
    open: Option<(usize, String)>,
}

impl Splitter<'_> {
    fn run(mut self) -> Result<Vec<Word>, CommandLineProblem> {
        while let Some((at, letter)) = self.rest.next() {
            match letter {
                '\'' => self.single_quoted(at)?,
                '"' => self.double_quoted(at)?,
                '\\' => {
                    self.refuse_blanks(at)?;
                    self.escaped(at);
                }
                '\n' => {
                    self.close(at);
                    self.refuse_second_command()?;
                }
                '#' if self.open.is_none() => self.skip_comment(),
                _ if letter.is_whitespace() => self.close(at),
                '$' | '`' => return Err(expansion(at)),
                ';' | '&' | '|' | '<' | '>' | '(' | ')' => {
                    return Err(CommandLineProblem::Operator {
                        operator: letter,
                        at: (at, letter.len_utf8()).into(),
                    });
                }
                _ => self.push(at, letter),
            }
        }
        self.close(self.text.len());
        Ok(self.words)
    }

    fn push(&mut self, at: usize, letter: char) {
        self.open.get_or_insert_with(|| (at, String::new())).1.push(letter);
    }

    fn close(&mut self, end: usize) {
        if let Some((start, text)) = self.open.take() {
            self.words.push(Word { text, span: start..end });
        }
    }

    fn single_quoted(&mut self, start: usize) -> Result<(), CommandLineProblem> {
        self.open.get_or_insert_with(|| (start, String::new()));
        loop {
            match self.rest.next() {
                Some((_, '\'')) => return Ok(()),
                Some((at, letter)) => self.push(at, letter),
                None => return Err(self.unclosed(start)),
            }
        }
    }

    fn double_quoted(&mut self, start: usize) -> Result<(), CommandLineProblem> {
        self.open.get_or_insert_with(|| (start, String::new()));
        loop {
            match self.rest.next() {
                Some((_, '"')) => return Ok(()),
                Some((at, '$' | '`')) => return Err(expansion(at)),
                Some((at, '\\')) => match self.rest.peek() {
                    Some((_, '"' | '\\' | '$' | '`' | '\n')) => self.escaped(at),
                    _ => self.push(at, '\\'),
                },
                Some((at, letter)) => self.push(at, letter),
                None => return Err(self.unclosed(start)),
            }
        }
    }

    /// Takes what follows a backslash: a letter as it is, or a line break that does not count.
    fn escaped(&mut self, at: usize) {
        // A line break of Windows, as a mail program leaves it.
        if let Some((_, '\r')) = self.rest.peek() {
            self.rest.next();
        }
        match self.rest.next() {
            Some((_, '\n')) => {}
            Some((_, letter)) => self.push(at, letter),
            None => self.push(at, '\\'),
        }
    }

    /// Refuses blanks between a backslash and the end of its line: a shell takes the first of them for a word, and the line
    /// break for the end of the command.
    fn refuse_blanks(&self, at: usize) -> Result<(), CommandLineProblem> {
        let rest = self.text.get(at + 1..).unwrap_or_default();
        // No further than the blanks: the line may be long, and have many backslashes.
        let after = rest.trim_start_matches(is_blank);
        let blanks = rest.get(..rest.len() - after.len()).unwrap_or_default();
        // The carriage return of a line break of Windows is none of them.
        let blanks = match after.starts_with('\n') {
            true => blanks.strip_suffix('\r').unwrap_or(blanks),
            false => blanks,
        };
        match blanks.is_empty() || !(after.is_empty() || after.starts_with('\n')) {
            true => Ok(()),
            false => Err(CommandLineProblem::BlankAfterBackslash {
                at: (at + 1, blanks.len()).into(),
            }),
        }
    }

    fn skip_comment(&mut self) {
        while self.rest.next_if(|(_, letter)| *letter != '\n').is_some() {}
    }

    /// After the end of a line: nothing but blank lines and comments may follow, once there is a command.
    fn refuse_second_command(&mut self) -> Result<(), CommandLineProblem> {
        if self.words.is_empty() {
            return Ok(());
        }
        while let Some((at, letter)) = self.rest.next() {
            match letter {
                '#' => self.skip_comment(),
                _ if letter.is_whitespace() => {}
                _ => {
                    return Err(CommandLineProblem::SecondCommand {
                        at: (at, letter.len_utf8()).into(),
                    });
                }
            }
        }
        Ok(())
    }

    fn unclosed(&self, start: usize) -> CommandLineProblem {
        CommandLineProblem::OpenQuote { at: (start, 1).into() }
    }
}

/// Returns `true` for white space within a line.
fn is_blank(letter: char) -> bool {
    letter.is_whitespace() && letter != '\n'
}

fn expansion(at: usize) -> CommandLineProblem {
    CommandLineProblem::Expansion { at: (at, 1).into() }
}

/// Text with spaces in place of the quotes around the whole command; `None` if there are none. Places stay what they are.
pub(super) fn unquoted(text: &str) -> Option<String> {
    let command = text.trim();
    let quote = command.chars().next().filter(|sign| matches!(sign, '\'' | '"'))?;
    let inner = command.strip_prefix(quote)?.strip_suffix(quote)?;
    let is_whole = inner.contains(char::is_whitespace) && !inner.contains(quote);
    is_whole.then(|| text.replace(quote, " "))
}

/// A word as a shell takes it back: with single quotes where something in it would count otherwise.
pub(super) fn quote(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=./:,@%+[]".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        split(text).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_are_those_of_a_shell() {
        for (text, expected) in [
            ("", vec![]),
            ("  a \t b ", vec!["a", "b"]),
            ("a 'b c' \"d e\" f\\ g", vec!["a", "b c", "d e", "f g"]),
            ("a''b \"\"", vec!["ab", ""]),
            ("a \\\n\t--b c \\\r\n d", vec!["a", "--b", "c", "d"]),
            ("a # comment", vec!["a"]),
            ("a#b", vec!["a#b"]),
            ("\n\n# first\na b\n\n# last\n", vec!["a", "b"]),
            ("\"a\\\"b\\c\"", vec!["a\"b\\c"]),
            ("[fd00::1]:6443", vec!["[fd00::1]:6443"]),
            ("a\\", vec!["a\\"]),
        ] {
            assert_eq!(texts(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_shell_would_run_is_refused_at_its_place() {
        for (text, at) in [
            ("a $TOKEN", 2),
            ("a \"$TOKEN\"", 3),
            ("a `id`", 2),
            ("a; b", 1),
            ("a && b", 2),
            ("a > b", 2),
            ("a 'b", 2),
            ("a \"b", 2),
            ("a\nb", 2),
            ("a \\ \n b", 3),
            ("a \\\t \r\n b", 3),
            ("a \\ ", 3),
            ("a \\\r", 3),
        ] {
            let problem = split(text).unwrap_err();
            assert_eq!(problem.at().unwrap().offset(), at, "{text:?}: {problem:?}");
        }
        // The blanks alone, without the line break.
        let problem = split("a \\ \t\r\n b").unwrap_err();
        assert_eq!(problem.at().unwrap().len(), 2, "{problem:?}");
    }

    #[test]
    fn a_long_line_of_backslashes_takes_no_long_time() {
        let begin = std::time::Instant::now();
        assert_eq!(texts(&"\\a".repeat(1 << 20)), ["a".repeat(1 << 20)]);
        assert!(
            begin.elapsed() < std::time::Duration::from_secs(20),
            "{:?}",
            begin.elapsed()
        );
    }

    #[test]
    fn quotes_around_a_whole_command_are_blanked() {
        for (text, expected) in [
            ("'a b'", Some(" a b ")),
            (" \"a b\"\n", Some("  a b \n")),
            ("'a'", None),
            ("'a b' 'c d'", None),
            ("'a b", None),
            ("a b", None),
            ("'", None),
            ("", None),
        ] {
            assert_eq!(unquoted(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn words_come_back_whole(words in proptest::collection::vec("[ -~é\n]{0,12}", 0..6)) {
            let line: Vec<_> = words.iter().map(|word| quote(word)).collect();
            prop_assert_eq!(texts(&line.join(" ")), words);
        }

        #[test]
        fn spans_are_within_the_text(text in any::<String>()) {
            if let Ok(words) = split(&text) {
                for word in words {
                    prop_assert!(text.get(word.span).is_some());
                }
            }
        }

        #[test]
        fn nothing_panics(text in "[a '\"\\\\\n\r#$&é]{0,20}") {
            let _ = split(&text);
            let _ = unquoted(&text);
        }
    }
}
