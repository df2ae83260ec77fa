//! Rules: what they look for, why, and examples that are reported or not.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::examine::{Context, Found, Subject};
use crate::{NodeFacts, TreeEntry};

/// Rule of the preflight.
pub struct PreflightRule {
    /// Stable name: `docker-socket`.
    pub id: &'static str,
    /// Title: a short sentence without a full stop.
    pub title: &'static str,
    /// Consequence of what the rule finds.
    pub verdict: WorkloadVerdict,
    /// Chapter. Of several rules of [`RuleTopic::HostPaths`] that report a path, the one with the worst verdict counts.
    pub topic: RuleTopic,
    /// URL of a report or a document of what happens.
    pub source: &'static str,
    /// Explanation, in sentences.
    pub reason: &'static str,
    /// Objects that are reported.
    pub examples: &'static [RuleExample],
    /// Objects that are not.
    pub counter_examples: &'static [RuleExample],
    /// Look at an object.
    pub(crate) check: fn(&Subject<'_>, &Context<'_>, &mut Found<'_>),
}

impl fmt::Debug for PreflightRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreflightRule")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Consequence of a finding for a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadVerdict {
    /// Runs as before; worth knowing.
    Note,
    /// Starts, and does something else, or less, than on its node of before.
    RunsOtherwise,
    /// Does not start, or fails at what it is there for.
    WillNotRun,
}

impl WorkloadVerdict {
    /// All verdicts, from the mildest on.
    pub const ALL: [Self; 3] = [Self::Note, Self::RunsOtherwise, Self::WillNotRun];

    /// Name, as options and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::RunsOtherwise => "runs-otherwise",
            Self::WillNotRun => "will-not-run",
        }
    }
}

impl fmt::Display for WorkloadVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for WorkloadVerdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|verdict| verdict.name() == text);
        found.ok_or_else(|| "use will-not-run, runs-otherwise or note".to_owned())
    }
}

/// Chapter of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleTopic {
    /// Paths of the node in pods.
    HostPaths,
    /// Programs and services of the node that pods use.
    HostPrograms,
    /// AppArmor, seccomp, SELinux, sysctls, user namespaces.
    Confinement,
    /// Kernel: options, modules, control groups.
    Kernel,
    /// Volumes and their drivers.
    Volumes,
    /// Conditions on nodes, resources, ports.
    Scheduling,
    /// Container images.
    Images,
}

impl RuleTopic {
    /// All topics, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::HostPaths,
        Self::HostPrograms,
        Self::Confinement,
        Self::Kernel,
        Self::Volumes,
        Self::Scheduling,
        Self::Images,
    ];

    /// Title of the chapter.
    pub fn title(self) -> &'static str {
        match self {
            Self::HostPaths => "Host paths",
            Self::HostPrograms => "Programs and services of the node",
            Self::Confinement => "Confinement",
            Self::Kernel => "Kernel",
            Self::Volumes => "Volumes",
            Self::Scheduling => "Scheduling",
            Self::Images => "Container images",
        }
    }
}

/// Example of a rule: a manifest, and what is different about the node.
#[derive(Debug, Clone, Copy)]
pub struct RuleExample {
    form: Form,
    /// Differences from a node of the image; none as a rule.
    pub changes: &'static [FactChange],
}

#[derive(Debug, Clone, Copy)]
enum Form {
    HostPath {
        path: &'static str,
        kind: &'static str,
        is_read_only: bool,
    },
    Pod(&'static str),
    Objects(&'static str),
}

/// Difference between the node of an example and a node of the image.
#[derive(Debug, Clone, Copy)]
pub enum FactChange {
    /// Kernel option that is off.
    OptionOff(&'static str),
    /// Kernel option that is on.
    OptionOn(&'static str),
    /// Module that the image does not have.
    NoModule(&'static str),
    /// Module that the image has.
    Module(&'static str),
    /// File that the image does not have.
    NoPath(&'static str),
    /// File that the image has.
    File(&'static str),
    /// Value of a sysctl.
    Sysctl(&'static str, &'static str),
    /// Option of the file system that is mounted on a folder.
    MountOption(&'static str, &'static str),
    /// File system in memory on a folder.
    MemoryAt(&'static str),
    /// Unsafe sysctls that the kubelet allows.
    UnsafeSysctl(&'static str),
    /// Join that leaves nothing at the places of kubeadm: `kubeletConfig: fromNodeConfig`.
    NoKubeadmFiles,
}

impl FactChange {
    /// Changes facts.
    pub fn apply(self, facts: &mut NodeFacts) {
        match self {
            Self::OptionOff(option) => drop(facts.kernel.options.remove(option)),
            Self::OptionOn(option) => drop(facts.kernel.options.insert(option.to_owned(), "y".to_owned())),
            Self::NoModule(name) => drop(facts.kernel.modules.remove(name)),
            Self::Module(name) => drop(facts.kernel.modules.insert(name.to_owned())),
            Self::NoPath(path) => facts.tree.remove(path),
            Self::File(path) => facts.tree.add(path, TreeEntry::File),
            Self::Sysctl(key, value) => drop(facts.sysctls.insert(key.to_owned(), value.to_owned())),
            Self::MountOption(path, option) => {
                for mount in facts.mounts.iter_mut().filter(|mount| mount.path == path) {
                    mount.options.push(option.to_owned());
                }
            }
            Self::MemoryAt(path) => facts.mounts.push(crate::MountPoint {
                path: path.to_owned(),
                storage: crate::Storage::Memory,
                options: Vec::new(),
            }),
            Self::UnsafeSysctl(pattern) => facts.kubelet.allowed_unsafe_sysctls.push(pattern.to_owned()),
            Self::NoKubeadmFiles => facts.kubelet.kubeadm_files = false,
        }
    }
}

impl RuleExample {
    /// Pod that mounts a path of the node, which it may write to.
    pub(crate) const fn host_path(path: &'static str) -> Self {
        Self::new(Form::HostPath {
            path,
            kind: "",
            is_read_only: false,
        })
    }

    /// Pod that mounts a path of the node read-only.
    pub(crate) const fn read_path(path: &'static str) -> Self {
        Self::typed_path(path, "")
    }

    /// Pod that mounts a path of the node of a type, read-only.
    pub(crate) const fn typed_path(path: &'static str, kind: &'static str) -> Self {
        Self::new(Form::HostPath {
            path,
            kind,
            is_read_only: true,
        })
    }

    /// Pod, by the lines of its spec, which begin with two spaces.
    pub(crate) const fn pod(spec: &'static str) -> Self {
        Self::new(Form::Pod(spec))
    }

    /// Objects, as they are.
    pub(crate) const fn objects(text: &'static str) -> Self {
        Self::new(Form::Objects(text))
    }

    const fn new(form: Form) -> Self {
        Self { form, changes: &[] }
    }

    /// The same on a node that is different.
    pub(crate) const fn on(self, changes: &'static [FactChange]) -> Self {
        Self { changes, ..self }
    }

    /// Manifest.
    pub fn manifest(&self) -> String {
        const HEAD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: example\nspec:\n";
        match self.form {
            Form::Objects(text) => format!("{}\n", text.trim()),
            Form::Pod(spec) => format!("{HEAD}{}\n", spec.trim_matches('\n').trim_end()),
            Form::HostPath {
                path,
                kind,
                is_read_only,
            } => {
                let read_only = if is_read_only { ", readOnly: true" } else { "" };
                let kind = match kind {
                    "" => String::new(),
                    kind => format!(", type: {kind}"),
                };
                format!(
                    "{HEAD}  containers:\n    - name: main\n      image: example\n      volumeMounts:\n        - {{name: host, \
                     mountPath: /data{read_only}}}\n  volumes:\n    - name: host\n      hostPath: {{path: {path}{kind}}}\n"
                )
            }
        }
    }
}
