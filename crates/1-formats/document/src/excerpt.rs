//! Lines of a text for reports: excerpts are found without reading all of it, and are short where its lines are long.

use std::ops::Range;
use std::sync::Arc;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// Bytes between two places of which the number of characters before is known.
const STEP: usize = 1024;
/// Most bytes of an excerpt that has whole lines.
const MOST: usize = 4096;
/// Most bytes of a line that is shown whole: some four lines of a terminal.
const LONGEST: usize = 400;
/// Bytes before and after a place in an excerpt of a longer line.
const AROUND: usize = 60;

/// Starts of the lines of a text, and numbers of characters before some of its bytes.
#[derive(Debug, Clone)]
pub(crate) struct LineIndex {
    starts: Vec<usize>,
    characters: Vec<usize>,
}

impl LineIndex {
    pub(crate) fn new(text: &str) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        let mut characters = vec![0];
        let mut sum = 0;
        for part in text.as_bytes().chunks(STEP) {
            sum += count(part);
            characters.push(sum);
        }
        Self {
            starts: std::iter::once(0).chain(ends).collect(),
            characters,
        }
    }

    /// Line of a byte, from 0.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// Line and column of a byte of the indexed text, from 1. Columns are characters.
    pub(crate) fn line_and_column(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.start(line, text);
        let column = self.characters_before(text, offset) - self.characters_before(text, start);
        (line + 1, column + 1)
    }

    /// Start of a line; the end of the text, where there is no such line.
    fn start(&self, line: usize, text: &str) -> usize {
        self.starts.get(line).copied().unwrap_or(text.len())
    }

    fn characters_before(&self, text: &str, offset: usize) -> usize {
        let known = offset / STEP;
        let rest = text.as_bytes().get(known * STEP..offset).unwrap_or_default();
        self.characters.get(known).copied().unwrap_or_default() + count(rest)
    }
}

/// Number of characters that begin in these bytes.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// Name and text of a file as reports show it.
#[derive(Debug, Clone)]
pub struct DocumentText {
    name: String,
    text: Arc<str>,
    lines: Arc<LineIndex>,
}

impl DocumentText {
    pub(crate) fn new(name: &str, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self {
            name: name.to_owned(),
            lines: Arc::new(LineIndex::new(&text)),
            text,
        }
    }

    /// Returns the name of the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the text as it is shown: what is secret is masked.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl SourceCode for DocumentText {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text: &'a str = &self.text;
        let (first, end) = (span.offset(), span.offset() + span.len());
        if end > text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let line = self.lines.line(first);
        let last = self.lines.line(end.saturating_sub(1).max(first));
        let above = line.saturating_sub(lines_before);
        let mut range = self.lines.start(above, text)..self.lines.start(last + lines_after + 1, text);
        let mut start = (above, 0);
        let is_long = |range: &Range<usize>| {
            let lines = text.get(range.clone()).unwrap_or_default().lines();
            range.len() > MOST || lines.map(str::len).any(|length| length > LONGEST)
        };
        if lines_before == 0 || is_long(&range) {
            let (own, next) = (self.lines.start(line, text), self.lines.start(line + 1, text));
            let is_whole = lines_before > 0 && !is_long(&(own..next));
            let from = match is_whole {
                true => own,
                false if lines_before == 0 => first,
                false => text.floor_char_boundary(first.saturating_sub(AROUND)).max(own),
            };
            let to = match is_whole {
                true => next,
                false => text.ceil_char_boundary(end + AROUND).min(next),
            };
            start = (line, self.lines.line_and_column(text, from).1 - 1);
            range = from..to.max(end);
        }
        let data = text.get(range.clone()).ok_or(MietteError::OutOfBounds)?;
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            data.as_bytes(),
            (range.start, range.len()).into(),
            start.0,
            start.1,
            last + 1,
        );
        Ok(Box::new(contents))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn excerpt(text: &str, offset: usize, length: usize) -> (String, usize, usize) {
        let text = DocumentText::new("a.yaml", text);
        let contents = text.read_span(&(offset, length).into(), 1, 1).expect("in the text");
        let data = String::from_utf8(contents.data().to_vec()).expect("whole characters");
        (data, contents.line(), contents.column())
    }

    #[test]
    fn excerpts_have_the_lines_around() {
        let text = "one\ntwo\nthree\nfour\n";
        assert_eq!(excerpt(text, 4, 3), ("one\ntwo\nthree\n".to_owned(), 0, 0));
        assert_eq!(excerpt(text, 15, 1), ("three\nfour\n".to_owned(), 2, 0));
        assert_eq!(excerpt(text, 0, 0), ("one\ntwo\n".to_owned(), 0, 0));
        assert_eq!(excerpt(text, 19, 0), ("four\n".to_owned(), 3, 0));
        assert_eq!(excerpt("", 0, 0), (String::new(), 0, 0));
    }

    #[test]
    fn a_long_line_beside_the_place_is_left_out() {
        let text = format!("one\n{}\nthree\n", "x".repeat(LONGEST + 1));
        assert_eq!(excerpt(&text, 1, 2), ("one\n".to_owned(), 0, 0));
        let short = format!("one\n{}\nthree\n", "x".repeat(LONGEST));
        assert_eq!(excerpt(&short, 0, 3).0.lines().count(), 2);
    }

    #[test]
    fn excerpts_of_long_lines_are_short() {
        let text = format!("a\n{}wrong{}\nb\n", "é".repeat(5000), "x".repeat(5000));
        let at = text.find("wrong").expect("there");
        let (data, line, column) = excerpt(&text, at, 5);
        assert_eq!((line, column), (1, 5000 - AROUND / 2));
        assert!(
            data.len() < 200 && data.contains("éwrongx") && !data.contains('\n'),
            "{data}"
        );
    }

    proptest! {
        #[test]
        fn lines_and_columns(text in "[aé\n]{0,60}", repeated in 0usize..60, at in 0usize..60) {
            let text = format!("{}{text}", "éa\n".repeat(repeated * repeated));
            let at = text.floor_char_boundary(text.len().saturating_sub(at));
            let (before, _) = text.split_at(at);
            let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
            let expected = (before.matches('\n').count() + 1, column);
            prop_assert_eq!(LineIndex::new(&text).line_and_column(&text, at), expected);
        }

        #[test]
        fn any_place_has_an_excerpt(text in any::<String>(), offset in 0usize..40, length in 0usize..40) {
            let shown = DocumentText::new("a", text.as_str());
            let read = shown.read_span(&(offset, length).into(), 1, 1);
            let fits = text.is_char_boundary(offset) && text.is_char_boundary(offset + length);
            prop_assert!(read.is_ok() || !fits);
        }
    }
}
