//! Lines out of the pieces that a pipe gives.

use crate::plain_text;

/// Longest line, in bytes; longer ones are cut into several.
const LONGEST: usize = 1024 * 1024;

/// The line that has begun and not ended.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes a piece, and gives the lines that are whole with it to `line`: as plain text, without their ends.
    pub(crate) fn push(&mut self, piece: &[u8], line: &mut impl FnMut(&str)) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") || self.begun.len() >= LONGEST {
                self.finish(line);
            }
        }
    }

    /// Gives what has begun, if anything, as a line.
    pub(crate) fn finish(&mut self, line: &mut impl FnMut(&str)) {
        if !self.begun.is_empty() {
            line(&plain_text(&String::from_utf8_lossy(&self.begun)));
            self.begun.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut seen = Vec::new();
        let mut take = |line: &str| seen.push(line.to_owned());
        let mut lines = Lines::default();
        for piece in pieces {
            lines.push(piece, &mut take);
        }
        lines.finish(&mut take);
        seen
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        assert_eq!(lines(&[b"a\nb", b"c\r\n", b"\n", b"d"]), ["a", "bc", "", "d"]);
        assert_eq!(lines(&[b"\xff\n"]), ["\u{fffd}"]);
        assert_eq!(lines(&[b"\x1b]52;c;", b"eA==\x07a\tb\n"]), ["a\tb"]);
        assert!(lines(&[b"", b""]).is_empty());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let piece = vec![b'x'; 64 * 1024];
        let pieces = vec![piece.as_slice(); 40];
        let lengths: Vec<_> = lines(&pieces).iter().map(String::len).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 40 * piece.len() - 2 * LONGEST]);
    }
}
