//! Manifest of a bundle.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::parts::LEFT_OUT;
use super::redact::RedactionCounts;

/// Part of a bundle, as it was collected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Path in the archive.
    pub file: String,
    /// Content in a few words.
    pub what: String,
    /// Size, in bytes; `None` when it could not be collected.
    pub bytes: Option<usize>,
    /// Reason for which it is missing or not whole.
    pub problem: Option<String>,
    /// Numbers of secrets that were taken out, by kind.
    pub redacted: BTreeMap<&'static str, u64>,
}

/// Names of kinds in place of kinds.
pub fn named(counts: &RedactionCounts) -> BTreeMap<&'static str, u64> {
    counts.iter().map(|(kind, count)| (kind.name(), *count)).collect()
}

/// Facts of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleManifest {
    /// Name of the node.
    pub node: String,
    /// Time of collection, RFC 3339.
    pub collected: String,
    /// Image of the debug pod; `None` when there was none.
    pub image: Option<String>,
    /// Parts.
    pub parts: Vec<PartReport>,
    /// Content that is never collected, with the reason.
    pub left_out: BTreeMap<&'static str, &'static str>,
}

impl BundleManifest {
    /// Manifest of a bundle's parts.
    pub fn new(node: &str, collected: String, image: Option<String>, parts: Vec<PartReport>) -> Self {
        Self {
            node: node.to_owned(),
            collected,
            image,
            parts,
            left_out: LEFT_OUT.iter().copied().collect(),
        }
    }

    /// Text for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "Support bundle of the node {}, collected {}\n",
            self.node, self.collected
        );
        let image = self
            .image
            .as_deref()
            .unwrap_or("none: parts from the node itself are missing");
        // Writing to a string does not fail.
        let _ = writeln!(text, "Image of the debug pod: {image}\n\nIn this bundle:");
        for part in self.parts.iter().filter(|part| part.bytes.is_some()) {
            let _ = write!(
                text,
                "  {:<34} {}, {} bytes",
                part.file,
                part.what,
                part.bytes.unwrap_or_default()
            );
            for (kind, count) in &part.redacted {
                let _ = write!(text, "; {count} {kind} taken out");
            }
            if let Some(problem) = &part.problem {
                let _ = write!(text, "; not whole: {problem}");
            }
            text.push('\n');
        }
        let mut missing = self.parts.iter().filter(|part| part.bytes.is_none()).peekable();
        if missing.peek().is_some() {
            text += "\nCould not be collected:\n";
        }
        for part in missing {
            let _ = writeln!(
                text,
                "  {:<34} {}: {}",
                part.file,
                part.what,
                part.problem.as_deref().unwrap_or("no reason is known")
            );
        }
        text += "\nLeft out on purpose:\n";
        for (what, why) in &self.left_out {
            let _ = writeln!(text, "  {what}: {why}");
        }
        text += "\nSecrets are found by their shapes and names; look the files over before you pass them on.\n";
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_in_and_what_is_not() {
        let part = |file: &str, bytes, problem: Option<&str>| PartReport {
            file: file.to_owned(),
            what: "something".to_owned(),
            bytes,
            problem: problem.map(str::to_owned),
            redacted: BTreeMap::new(),
        };
        let mut whole = part("node/a.txt", Some(5), None);
        whole.redacted.insert("bootstrap tokens", 2);
        let parts = vec![
            whole,
            part("node/b.txt", Some(7), Some("exit status 1")),
            part("node/c.txt", None, Some("no image")),
        ];
        let manifest = BundleManifest::new("node-1", "2026-11-29T12:00:00Z".to_owned(), None, parts);
        insta::assert_snapshot!(manifest.text());
    }
}
