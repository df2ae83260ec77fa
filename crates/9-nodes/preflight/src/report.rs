//! Reports of findings: text for people, JSON for scripts, SARIF for code hosts.

use std::collections::BTreeMap;

use basalt_inventory::HostInventory;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::object::FilePosition;
use crate::rule::WorkloadVerdict;
use crate::{HostFinding, ManifestObject, NodeFacts, ObjectId, PreflightFinding, PreflightResult, UnreadSource};

mod sarif;
mod text;

pub use sarif::sarif;
pub use text::text;

/// Report as JSON. Fields are only added within a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Report of basalt preflight")]
pub struct PreflightDocument {
    /// Version of the format: 1.
    pub version: u32,
    /// Node that objects were compared with.
    node: ReportedNode,
    /// Number of objects that rules looked at.
    objects: usize,
    /// Number of findings by verdict; verdicts without findings are left out.
    counts: BTreeMap<WorkloadVerdict, usize>,
    /// Findings, in the order of the objects.
    findings: Vec<ReportedFinding>,
    /// Number of objects of kinds that no rule reads, by kind.
    skipped: BTreeMap<String, usize>,
    /// Number of objects from which a controller makes others, by kind: the report is incomplete if there are any.
    unrendered: BTreeMap<String, usize>,
    /// Workloads of other operating systems, which were left out.
    foreign: Vec<ObjectId>,
    /// Files and kinds that could not be read: the report is incomplete if there are any.
    unread: Vec<UnreadSource>,
}

/// Node of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReportedNode {
    /// Name of the image.
    image: String,
    /// Release of the kernel.
    kernel: String,
}

/// Finding of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ReportedFinding {
    /// Rule: `docker-socket`.
    rule: String,
    /// Consequence.
    verdict: WorkloadVerdict,
    /// Object.
    object: ObjectId,
    /// Path in the object: `spec.template.spec.volumes[0].hostPath.path`.
    path: String,
    /// Position in a file; left out for objects of a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<FilePosition>,
    /// What is the matter.
    message: String,
    /// What to do about it.
    help: String,
    /// URL of a report or a document of what happens.
    source: String,
    /// Lines of a NodeConfig that do the same, for findings about a host that have some.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<String>,
}

/// Host with its findings.
#[derive(Debug)]
pub struct ExaminedHost<'h> {
    /// Inventory.
    pub inventory: &'h HostInventory,
    /// Findings.
    pub findings: &'h [HostFinding],
}

impl PreflightDocument {
    /// Makes the report of a result.
    pub fn new(
        result: &PreflightResult,
        objects: &[ManifestObject],
        unread: &[UnreadSource],
        node: &NodeFacts,
    ) -> Self {
        let mut counts = BTreeMap::new();
        for finding in &result.findings {
            *counts.entry(finding.rule.verdict).or_default() += 1;
        }
        Self {
            version: 1,
            node: ReportedNode {
                image: node.image.clone(),
                kernel: node.kernel.release.clone(),
            },
            objects: result.examined,
            counts,
            findings: result
                .findings
                .iter()
                .filter_map(|finding| reported(finding, objects))
                .collect(),
            skipped: result.skipped.clone(),
            unrendered: result.unrendered.clone(),
            foreign: result.foreign.clone(),
            unread: unread.to_vec(),
        }
    }

    /// Makes the report about hosts. Paths that an inventory could not look at are unread sources.
    pub fn of_hosts(hosts: &[ExaminedHost<'_>], node: &NodeFacts) -> Self {
        let mut counts = BTreeMap::new();
        let findings = hosts.iter().flat_map(|host| host.findings);
        findings.for_each(|finding| *counts.entry(finding.rule.verdict).or_default() += 1);
        Self {
            version: 1,
            node: ReportedNode {
                image: node.image.clone(),
                kernel: node.kernel.release.clone(),
            },
            objects: hosts.len(),
            counts,
            findings: hosts.iter().flat_map(reported_of_host).collect(),
            skipped: BTreeMap::new(),
            foreign: Vec::new(),
            unread: hosts.iter().flat_map(unread_of_host).collect(),
            unrendered: BTreeMap::new(),
        }
    }

    /// Returns `true` if all that was named was looked at.
    pub fn is_complete(&self) -> bool {
        self.unread.is_empty() && self.unrendered.is_empty()
    }

    /// Worst verdict; `None` if nothing was found.
    pub fn worst(&self) -> Option<WorkloadVerdict> {
        self.counts.keys().next_back().copied()
    }
}

/// Numbers by kind, in words: `HelmRelease (3), Kustomization (1)`.
fn counted(kinds: &BTreeMap<String, usize>) -> String {
    let kinds = kinds.iter().map(|(kind, number)| format!("{kind} ({number})"));
    kinds.collect::<Vec<_>>().join(", ")
}

/// Help for objects from which others are made.
const UNRENDERED: &str = "others are made of them; render them (`helm template`, `kubectl kustomize`), or read the cluster with --kubeconfig";

fn reported(finding: &PreflightFinding, objects: &[ManifestObject]) -> Option<ReportedFinding> {
    let object = objects.get(finding.object)?;
    let rule = finding.rule;
    Some(ReportedFinding {
        rule: rule.id.to_owned(),
        verdict: rule.verdict,
        object: object.id.clone(),
        path: finding.place.path.clone(),
        position: object.position(finding.place.offset),
        message: finding.message.clone(),
        help: finding.help.clone(),
        source: rule.source.to_owned(),
        lines: None,
    })
}

/// Identity of a host: a Node, by the name that the host has.
fn id_of_host(host: &ExaminedHost<'_>) -> ObjectId {
    let name = &host.inventory.system.hostname;
    ObjectId {
        kind: "Node".to_owned(),
        namespace: None,
        name: if name.is_empty() {
            "(without a name)".to_owned()
        } else {
            name.clone()
        },
    }
}

fn reported_of_host(host: &ExaminedHost<'_>) -> Vec<ReportedFinding> {
    let object = id_of_host(host);
    let findings = host.findings.iter();
    findings
        .map(|finding| ReportedFinding {
            rule: finding.rule.id.to_owned(),
            verdict: finding.rule.verdict,
            object: object.clone(),
            path: finding.place.clone(),
            position: None,
            message: finding.message.clone(),
            help: finding.help.clone(),
            source: finding.rule.source(),
            lines: finding.lines.clone(),
        })
        .collect()
}

fn unread_of_host(host: &ExaminedHost<'_>) -> Vec<UnreadSource> {
    let name = id_of_host(host).name;
    let unobserved = host.inventory.unobserved.iter();
    unobserved
        .map(|missed| UnreadSource {
            source: format!("{name}: {}", missed.path),
            reason: missed.reason.sentence().to_owned(),
        })
        .collect()
}

/// The JSON schema of [`PreflightDocument`].
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(PreflightDocument);
    serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
}
