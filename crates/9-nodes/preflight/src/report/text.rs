//! Report for people: objects with their findings, and a summary.

use std::fmt::Write as _;

use super::{PreflightDocument, ReportedFinding, UNRENDERED, counted};
use crate::rule::WorkloadVerdict;

/// Text of a report: per object, each finding in two lines, then what was looked at.
pub fn text(report: &PreflightDocument) -> String {
    let mut text = String::new();
    let mut before = None;
    for finding in &report.findings {
        let of_object = (
            &finding.object,
            finding
                .position
                .as_ref()
                .map(|position| (&position.file, position.document)),
        );
        if before.as_ref() != Some(&of_object) {
            let gap = if before.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{gap}{}", finding.object);
        }
        before = Some(of_object);
        let _ = writeln!(
            text,
            "  {:<14}  {} ({})",
            finding.verdict, finding.message, finding.rule
        );
        let colon = if finding.lines.is_some() { ":" } else { "" };
        let _ = writeln!(text, "  {:<14}  {}: {}{colon}", "", place(finding), finding.help);
        for line in finding.lines.iter().flat_map(|lines| lines.lines()) {
            let _ = writeln!(text, "  {:<14}    {line}", "");
        }
    }
    if before.is_some() {
        text.push('\n');
    }
    text + &summary(report)
}

/// Place of a finding: `file:line:column` where there is a file, the path in the object otherwise.
fn place(finding: &ReportedFinding) -> String {
    match &finding.position {
        Some(position) => format!("{}:{}:{}", position.file, position.line, position.column),
        None => finding.path.clone(),
    }
}

/// Lines about what was looked at.
fn summary(report: &PreflightDocument) -> String {
    let mut text = String::new();
    for unread in &report.unread {
        let _ = writeln!(text, "not read        {}: {}", unread.source, unread.reason);
    }
    if !report.unrendered.is_empty() {
        let _ = writeln!(text, "not rendered    {}: {UNRENDERED}", counted(&report.unrendered));
    }
    for foreign in &report.foreign {
        let _ = writeln!(text, "left out        {foreign}: it is for Windows");
    }
    if !report.skipped.is_empty() {
        let _ = writeln!(text, "other kinds     {}", counted(&report.skipped));
    }
    let node = &report.node;
    let _ = write!(
        text,
        "{} on {} (kernel {}): ",
        objects(report.objects),
        node.image,
        node.kernel
    );
    let counts = WorkloadVerdict::ALL
        .iter()
        .rev()
        .filter_map(|verdict| Some((verdict, report.counts.get(verdict)?)));
    let counts: Vec<String> = counts.map(|(verdict, number)| format!("{number} {verdict}")).collect();
    if counts.is_empty() {
        text + "nothing found\n"
    } else {
        text + &counts.join(", ") + "\n"
    }
}

fn objects(number: usize) -> String {
    match number {
        1 => "1 object".to_owned(),
        _ => format!("{number} objects"),
    }
}
