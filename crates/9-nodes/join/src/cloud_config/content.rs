//! Contents of files, at their places in the bootstrap data.

use std::ops::Range;

use basalt_document::problem::Problem;
use basalt_document::{Finding, Path};

use super::Reader;

/// Content of a file, whose lines are found in the data: that of a literal block (`|`) is there line by line, with an indentation.
/// Encoded content is not.
pub(super) struct PlacedContent<'c> {
    /// Path of the content.
    path: Path,
    own: Vec<&'c str>,
    /// Lines of the data after that of the key, as many as the content has.
    of_data: Vec<Range<usize>>,
}

impl Reader<'_> {
    /// Content of a file, with the lines of the data that it may be in.
    pub(super) fn placed_content<'c>(&self, path: Path, content: &'c str) -> PlacedContent<'c> {
        let key = self.findings.place(&path).line;
        let own: Vec<&str> = content.lines().collect();
        let mut start = 0;
        let lines = self.text.split_inclusive('\n').map(|line| {
            let place = start..start + line.len();
            start = place.end;
            place
        });
        let of_data = lines.skip(key).take(own.len()).collect();
        PlacedContent { path, own, of_data }
    }

    /// A problem of a file's content, at its place in the bootstrap data. Of encoded content, the key is marked.
    pub(super) fn relocated(&self, content: &PlacedContent<'_>, problem: &Problem) -> Problem {
        let finding = Finding {
            severity: problem.severity,
            message: problem.message.clone(),
            label: problem.label.clone(),
            help: problem.help.clone(),
        };
        self.at_line(content, (problem.line, problem.column), finding)
    }

    /// Places a finding at a line and column of a file's content, both counted from 1.
    pub(super) fn at_line(
        &self,
        content: &PlacedContent<'_>,
        (line, column): (usize, usize),
        finding: Finding,
    ) -> Problem {
        let index = line.saturating_sub(1);
        let own = content.own.get(index).copied().unwrap_or_default();
        if let Some(place) = content.of_data.get(index)
            && let Some(text) = self.text.get(place.clone()).map(str::trim_end)
            && !own.is_empty()
            && text.ends_with(own.trim_end())
        {
            let indentation = text.len() - own.trim_end().len();
            let before = own.char_indices().nth(column.saturating_sub(1));
            let start = place.start + indentation + before.map_or(0, |(before, _)| before);
            return self.with_its_words(self.document.at_span(start..start, finding));
        }
        let message = format!("{} (line {line} of the content)", finding.message);
        self.document.at(&content.path, Finding { message, ..finding })
    }
}
