//! Judgement of a host's inventory: what of a node of another distribution a Basalt node does not have, or does otherwise.
//!
//! ```text
//! HostInventory (basalt_inventory) + NodeFacts --(rules)--> HostFinding: file, sentence, help, lines of a NodeConfig
//!                                   HostInventory --(parts)--> sections of a NodeConfig
//!                                        sections --(draft)--> what of them `basalt check` accepts, and what is left out
//!                                       sections --(config)--> a NodeConfig
//! ```

use basalt_inventory::HostInventory;
use serde_json::Value;

use crate::{NodeFacts, PreflightError, WorkloadVerdict};

mod boundary;
mod config;
mod draft;
mod given;
mod parts;
mod rules;
mod yaml;

pub use config::{EXAMPLE_TOKEN, HostNodeConfig};
pub use draft::LeftOutSetting;
pub use rules::all as host_rules;

/// Rule about hosts.
#[derive(Debug)]
pub struct HostRule {
    /// Stable name: `host-cron`.
    pub id: &'static str,
    /// Title: a short sentence without a full stop.
    pub title: &'static str,
    /// Consequence of what the rule finds.
    pub verdict: WorkloadVerdict,
    /// Explanation, in sentences.
    pub reason: &'static str,
    /// Look at a host.
    pub(crate) check: fn(&HostSubject<'_>, &mut HostFound<'_>),
}

impl HostRule {
    /// URL of the page that explains the rule.
    pub fn source(&self) -> String {
        format!(
            "https://github.com/basalt-linux/basalt/blob/main/docs/preflight/node.md#{}",
            self.id
        )
    }
}

/// Length of a finding's sentence, in characters.
const LONGEST_MESSAGE: usize = 1500;

/// Finding about a host.
#[derive(Debug, Clone)]
pub struct HostFinding {
    /// Rule.
    pub rule: &'static HostRule,
    /// File on the host, or part of the inventory.
    pub place: String,
    /// Fault, in one sentence without a full stop.
    pub message: String,
    /// Mend.
    pub help: String,
    /// Lines of a NodeConfig that do the same, where there are some.
    pub lines: Option<String>,
}

/// Host that rules look at, and the node that is to take its place.
pub(crate) struct HostSubject<'h> {
    pub(crate) host: &'h HostInventory,
    pub(crate) node: &'h NodeFacts,
    /// Settings of the host's kubelet.
    kubelet: &'h parts::HostKubeletSettings,
    /// Settings that a NodeConfig made from the host would not have.
    pub(crate) left_out: &'h [LeftOutSetting],
    /// NodeConfig that the nodes have.
    pub(crate) given: &'h given::GivenConfig,
}

/// Findings of one rule about one host.
pub(crate) struct HostFound<'f> {
    rule: &'static HostRule,
    given: &'f given::GivenConfig,
    findings: &'f mut Vec<HostFinding>,
}

impl HostFound<'_> {
    /// Reports a place.
    pub(crate) fn add(&mut self, place: &str, message: impl Into<String>, help: impl Into<String>) {
        let message: String = message.into();
        self.findings.push(HostFinding {
            rule: self.rule,
            place: place.to_owned(),
            message: boundary::shortened(&message, LONGEST_MESSAGE),
            help: help.into(),
            lines: None,
        });
    }

    /// Reports a place, with the section of a NodeConfig that does the same, as far as `basalt check` accepts it; nothing if the
    /// NodeConfig of the nodes says all of it.
    pub(crate) fn add_lines(
        &mut self,
        place: &str,
        message: impl Into<String>,
        help: impl Into<String>,
        section: (&str, Value),
    ) {
        self.add_lines_unless(true, place, (message.into(), help.into()), section);
    }

    /// Reports a place as [`Self::add_lines`] does, whatever the NodeConfig of the nodes says if that is not enough; `words` are
    /// message and help.
    pub(crate) fn add_lines_unless(
        &mut self,
        is_enough: bool,
        place: &str,
        words: (String, String),
        section: (&str, Value),
    ) {
        let (name, value) = section;
        let (message, help) = words;
        let sections = [(name.to_owned(), value)].into_iter().collect();
        let accepted = draft::accepted(&config::common_fields(), sections);
        let is_said = accepted
            .sections
            .iter()
            .all(|(name, value)| self.given.says(name, value));
        if is_enough && self.given.is_there() && is_said {
            return;
        }
        if accepted.sections.is_empty() {
            let reasons = accepted.left_out.iter().map(|entry| entry.reason.as_str());
            let reasons = listed(reasons, 2);
            self.add(
                place,
                message,
                format!("leave it out; in a NodeConfig it is refused: {reasons}"),
            );
            return;
        }
        self.add(place, message, help);
        let lines = yaml::yaml(&Value::Object(accepted.sections));
        if let Some(finding) = self.findings.last_mut() {
            finding.lines = lines.ok();
        }
    }
}

/// Host that is looked at, and the node that is to take its place.
#[derive(Debug)]
pub struct HostExamination<'h> {
    host: &'h HostInventory,
    node: &'h NodeFacts,
    kubelet: parts::HostKubeletSettings,
    draft: config::HostDraft,
}

impl<'h> HostExamination<'h> {
    /// Examination of a host by its inventory, as `basalt_inventory` has read it.
    pub fn new(host: &'h HostInventory, node: &'h NodeFacts) -> Self {
        let kubelet = parts::HostKubeletSettings::of(host);
        let draft = config::draft_of(host, node, &kubelet);
        Self {
            host,
            node,
            kubelet,
            draft,
        }
    }

    /// Findings of all rules; the worst ones come first. What the NodeConfig of the nodes, given by its text, does already is no
    /// finding.
    pub fn findings(&self, config: Option<&str>) -> Vec<HostFinding> {
        let given = &given::GivenConfig::of(config);
        let subject = HostSubject {
            host: self.host,
            node: self.node,
            kubelet: &self.kubelet,
            left_out: &self.draft.left_out,
            given,
        };
        let mut findings = Vec::new();
        for rule in rules::all() {
            let mut found = HostFound {
                rule,
                given,
                findings: &mut findings,
            };
            (rule.check)(&subject, &mut found);
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.rule.verdict));
        findings
    }

    /// NodeConfig that does what the settings of the host do.
    ///
    /// # Errors
    /// When YAML cannot be written, which would be a defect.
    pub fn node_config(&self) -> Result<HostNodeConfig, PreflightError> {
        config::node_config_of(self.host, self.node, &self.kubelet, &self.draft)
    }
}

/// Texts as a list in a sentence: at most `most` of them, of long ones the beginning, then the number of others.
pub(crate) fn listed<'t>(texts: impl IntoIterator<Item = &'t str>, most: usize) -> String {
    let texts: Vec<&str> = texts.into_iter().collect();
    let shown: Vec<String> = texts.iter().take(most).map(|text| boundary::shown(text)).collect();
    match texts.len().saturating_sub(most) {
        0 => shown.join(", "),
        others => format!("{} and {others} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(listed(["a", "b"], 2), "a, b");
        assert_eq!(listed(["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert!(listed([&*"x".repeat(1000), "b"], 2).ends_with("x…, b"));
    }
}
