//! Preflight of workloads: which of them will not run on a Basalt node, or run otherwise than on the nodes of another
//! distribution, object by object, with the mend.
//!
//! ```text
//! folders, files, stdin --(source::files)----> ManifestObject  only kinds that are read; others are counted
//! API server -----------(source::cluster)----> the same, read-only, page by page
//!                        ManifestObject --(pod, volume, script)--> typed fields, each with its place
//! packages of an image --(facts)-------------> NodeFacts: tree, mounts, kernel, sysctls, AppArmor, kubelet, containerd
//! typed fields + NodeFacts --(rules)---------> PreflightFinding: place, sentence, help
//! HostInventory + NodeFacts --(host)----------> HostFinding: file, sentence, help, lines of a NodeConfig
//! findings --(report)------------------------> text, JSON (schemas/preflight.json), SARIF 2.1.0
//! ```
//!
//! A rule compares with what the image has: its files, the configuration of its kernel, the configuration that its agent
//! writes for the kubelet and containerd. Where a node can do what a workload asks for, there is no finding. Each rule is one
//! file in `rules/`, with its source, with examples that it reports and counter-examples that it does not; the tests run all
//! of them.

mod error;
mod examine;
mod facts;
mod field;
mod host;
mod kustomization;
mod object;
mod place;
mod pod;
mod rbac;
mod report;
mod rule;
mod rules;
mod script;
mod source;
mod volume;

pub use error::PreflightError;
pub use examine::{PreflightFinding, PreflightResult, examine};
pub use facts::{
    ContainerdFacts, Existence, FileTree, KernelFacts, KubeletFacts, Located, MountPoint, NodeFacts, Storage, TreeEntry,
};
pub use host::{EXAMPLE_TOKEN, HostExamination, HostFinding, HostNodeConfig, HostRule, LeftOutSetting, host_rules};
pub use object::{ManifestObject, ObjectId};
pub use place::{Place, Placed};
pub use rbac::{CLUSTER_ROLE, cluster_role_json};
pub use report::{ExaminedHost, PreflightDocument, json_schema, sarif, text};
pub use rule::{FactChange, PreflightRule, RuleExample, RuleTopic, WorkloadVerdict};
pub use rules::all as rules;
pub use source::{ApiConnection, ClusterSource, FileSource, ObjectSource, UnreadSource};
