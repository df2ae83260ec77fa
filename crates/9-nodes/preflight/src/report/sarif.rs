//! Report as SARIF 2.1.0 (OASIS), which code hosts show beside manifests.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{PreflightDocument, ReportedFinding, UNRENDERED, counted};
use crate::HostRule;
use crate::rule::{PreflightRule, WorkloadVerdict};

/// SARIF log of a report: the rules that found something, and a result for each finding.
pub fn sarif(report: &PreflightDocument) -> Value {
    let used: BTreeSet<&str> = report.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let of_hosts = crate::host_rules().map(DescribedRule::of_hosts);
    let rules = crate::rules().iter().map(DescribedRule::of_objects).chain(of_hosts);
    let rules: Vec<DescribedRule> = rules.filter(|rule| used.contains(rule.id)).collect();
    let results: Vec<Value> = report.findings.iter().map(|finding| result(finding, &rules)).collect();
    let unread = report.unread.iter();
    let unread = unread.map(|unread| format!("{}: {}", unread.source, unread.reason));
    let unrendered = (!report.unrendered.is_empty()).then(|| format!("{}: {UNRENDERED}", counted(&report.unrendered)));
    let gaps = unread.chain(unrendered);
    let gaps = gaps.map(|text| json!({ "level": "error", "message": { "text": text } }));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "basalt preflight",
                "informationUri": "https://github.com/basalt-linux/basalt",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(described).collect::<Vec<_>>(),
            } },
            "invocations": [{
                "executionSuccessful": report.is_complete(),
                "toolExecutionNotifications": gaps.collect::<Vec<_>>(),
            }],
            "results": results,
        }],
    })
}

/// Parts of a rule that a log has, of rules about objects and about hosts.
struct DescribedRule {
    id: &'static str,
    title: &'static str,
    reason: &'static str,
    source: String,
    verdict: WorkloadVerdict,
}

impl DescribedRule {
    fn of_objects(rule: &'static PreflightRule) -> Self {
        Self {
            id: rule.id,
            title: rule.title,
            reason: rule.reason,
            source: rule.source.to_owned(),
            verdict: rule.verdict,
        }
    }

    fn of_hosts(rule: &'static HostRule) -> Self {
        Self {
            id: rule.id,
            title: rule.title,
            reason: rule.reason,
            source: rule.source(),
            verdict: rule.verdict,
        }
    }
}

fn described(rule: &DescribedRule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.reason },
        "helpUri": rule.source,
        "defaultConfiguration": { "level": level(rule.verdict) },
    })
}

/// Level of a verdict.
fn level(verdict: WorkloadVerdict) -> &'static str {
    match verdict {
        WorkloadVerdict::WillNotRun => "error",
        WorkloadVerdict::RunsOtherwise => "warning",
        WorkloadVerdict::Note => "note",
    }
}

fn result(finding: &ReportedFinding, rules: &[DescribedRule]) -> Value {
    let lines = finding
        .lines
        .as_ref()
        .map(|lines| format!(" In the NodeConfig:\n{lines}"));
    let logical = json!([{ "fullyQualifiedName": format!("{}: {}", finding.object, finding.path), "kind": "object" }]);
    let location = match &finding.position {
        None => json!({ "logicalLocations": logical }),
        Some(position) => json!({
            "logicalLocations": logical,
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&position.file) },
                "region": { "startLine": position.line, "startColumn": position.column },
            },
        }),
    };
    json!({
        "ruleId": finding.rule,
        "ruleIndex": rules.iter().position(|rule| rule.id == finding.rule),
        "level": level(finding.verdict),
        "message": { "text": format!(
            "{}: {}. {}.{}",
            finding.object,
            finding.message,
            capitalized(&finding.help),
            lines.unwrap_or_default()
        ) },
        "locations": [location],
        "partialFingerprints": { "object/v1": format!("{}:{}:{}", finding.rule, finding.object, finding.path) },
    })
}

/// Path of a file as a relative URI reference (RFC 3986): bytes that may not stand in one are escaped.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' | b'+' | b'@' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// Text with a capital letter at its beginning.
fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("./a b/ü.yaml"), "a%20b/%C3%BC.yaml");
        assert_eq!(capitalized("über"), "Über");
    }
}
