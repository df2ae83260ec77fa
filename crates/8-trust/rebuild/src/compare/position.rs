//! Positions at which two files begin to differ.

use super::{Findings, text};

/// Adds where two pieces of memory begin to differ.
pub(crate) fn compare(findings: &mut Findings, first: &[u8], second: &[u8]) {
    let same = first.iter().zip(second).take_while(|(one, other)| one == other).count();
    if same == first.len().min(second.len()) {
        findings.add(format!("has {} bytes, then {}", first.len(), second.len()));
        return;
    }
    let sizes = if first.len() == second.len() {
        String::new()
    } else {
        format!(" ({} bytes, then {})", first.len(), second.len())
    };
    let words = match (text::around(first, same), text::around(second, same)) {
        (Some(one), Some(other)) if one != other => format!(": `{one}`, then `{other}`"),
        _ => format!(": {}, then {}", hex(first, same), hex(second, same)),
    };
    findings.add(format!("differs at byte {same}{sizes}{words}"));
}

/// Some bytes in hexadecimal digits.
fn hex(bytes: &[u8], at: usize) -> String {
    let part = bytes.iter().skip(at).take(8);
    part.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}
