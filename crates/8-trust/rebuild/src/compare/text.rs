//! Text: by line.

use super::Findings;

/// Bytes at the start of a file that decide whether it is text.
const LOOKED_AT: usize = 8 * 1024;
/// Bytes of a line that are shown.
const WIDTH: usize = 100;
/// Bytes of readable text that are shown before and after a difference in binary data.
const AROUND: usize = 40;
/// Minimum length of readable text in binary data, in bytes.
const WORD: usize = 4;

/// Returns `true` unless the bytes are empty or begin with binary data: control characters other than tab, newline,
/// carriage return, form feed and escape.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let part = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let odd = |byte: &u8| *byte < b' ' && !b"\n\r\t\x0c\x1b".contains(byte) || *byte == 0x7f;
    !part.is_empty() && !part.iter().any(odd)
}

/// Adds the first line that differs.
pub(crate) fn compare(findings: &mut Findings, first: &[u8], second: &[u8]) {
    let (mut one, mut other) = (first.split(is_newline), second.split(is_newline));
    let mut number = 1;
    loop {
        match (one.next(), other.next()) {
            (Some(one), Some(other)) if one == other => number += 1,
            (Some(one), Some(other)) if one.is_empty() || other.is_empty() => {
                let (which, line) = if one.is_empty() {
                    ("second", other)
                } else {
                    ("first", one)
                };
                return findings.add_in(
                    format!("line {number}"),
                    format!("is only in the {which}: `{}`", shown(line)),
                );
            }
            (Some(one), Some(other)) => {
                let (one, other) = parting(one, other);
                return findings.add_in(format!("line {number}"), format!("is `{one}`, then `{other}`"));
            }
            // All lines of one are in the other, or only a line break is too much.
            _ => return,
        }
    }
}

fn is_newline(byte: &u8) -> bool {
    *byte == b'\n'
}

/// Two lines; of long ones, what is around the place where they part.
fn parting(one: &[u8], other: &[u8]) -> (String, String) {
    if one.len().max(other.len()) <= WIDTH {
        return (shown(one), shown(other));
    }
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let from = same.saturating_sub(AROUND);
    let cut = |line: &[u8]| {
        let before = if from > 0 { "..." } else { "" };
        format!("{before}{}", shown(line.get(from..).unwrap_or_default()))
    };
    (cut(one), cut(other))
}

fn shown(line: &[u8]) -> String {
    let part = line.get(..WIDTH).unwrap_or(line);
    let more = if part.len() < line.len() { "..." } else { "" };
    format!("{}{more}", String::from_utf8_lossy(part).trim_end())
}

/// The words around a place in the midst of other bytes, if there are some.
pub(crate) fn around(bytes: &[u8], at: usize) -> Option<String> {
    let printable = |byte: &u8| (b' '..=b'~').contains(byte);
    let (before, after) = bytes.split_at_checked(at)?;
    let before = before.iter().rev().take(AROUND);
    let before = before.take_while(|byte| printable(byte)).count();
    let after = after.iter().take(AROUND);
    let after = after.take_while(|byte| printable(byte)).count();
    let words = bytes.get(at - before..at + after)?;
    (before + after >= WORD && after > 0).then(|| String::from_utf8_lossy(words).into_owned())
}
