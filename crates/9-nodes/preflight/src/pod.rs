//! Pods, and the templates of pods in other objects.

use crate::field::Field;
use crate::place::{Place, Placed};
use crate::volume::{Volume, VolumeSource, texts};

mod container;
mod scheduling;

pub(crate) use container::{Container, Security};
pub(crate) use scheduling::LabelRequest;

/// Pod, or the template of pods.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pod {
    pub(crate) annotations: Vec<(String, Placed<String>)>,
    pub(crate) host_network: bool,
    pub(crate) host_pid: bool,
    pub(crate) host_users: Option<bool>,
    pub(crate) is_windows: bool,
    pub(crate) node_name: Option<Placed<String>>,
    pub(crate) runtime_class: Option<Placed<String>>,
    /// Labels that a node has to have.
    pub(crate) labels: Vec<LabelRequest>,
    /// Toleration of all taints.
    pub(crate) tolerates_all: Option<Place>,
    pub(crate) security: Security,
    /// Sysctls of the pod's namespaces.
    pub(crate) sysctls: Vec<(Placed<String>, String)>,
    pub(crate) volumes: Vec<Volume>,
    /// Containers of all kinds.
    pub(crate) containers: Vec<Container>,
}

/// Path of the node in a pod.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostPath<'p> {
    /// Path, as it is written, without a slash at the end.
    pub(crate) path: &'p str,
    /// Type; empty if nothing is checked.
    pub(crate) kind: &'p str,
    pub(crate) place: &'p Place,
    /// `true` if a container mounts it, and not read-only.
    pub(crate) is_written: bool,
}

impl HostPath<'_> {
    /// Returns `true` if the path may be missing, and is made.
    pub(crate) fn is_made(&self) -> bool {
        matches!(self.kind, "" | "DirectoryOrCreate" | "FileOrCreate")
    }
}

/// Fields of objects that lead to the template of pods; the pod itself has none.
const TEMPLATES: [&[&str]; 4] = [
    &["spec", "jobTemplate", "spec", "template"],
    &["spec", "template"],
    &["template"],
    &[],
];

/// Lists of containers of a pod.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

impl Pod {
    /// Reads the pod or the template in an object; `None` if there are no containers. Kinds need not be known: templates
    /// are found in custom resources of the same form, too.
    pub(crate) fn find(root: &Field<'_>) -> Option<Self> {
        let mut templates = TEMPLATES.iter().filter_map(|keys| root.at(keys));
        templates.find_map(|template| {
            let spec = template.get("spec")?;
            let is_pod = !spec.list("containers").is_empty();
            is_pod.then(|| Self::read(&template, &spec))
        })
    }

    /// Place of containers of the pod or the template in an object that are no list.
    pub(crate) fn without_list(root: &Field<'_>) -> Option<Place> {
        let templates = TEMPLATES.iter().filter_map(|keys| root.at(keys));
        let specs = templates.filter_map(|template| template.get("spec"));
        let lists = specs.flat_map(|spec| CONTAINERS.map(|kind| spec.get(kind)));
        let mut others = lists.flatten().filter(|list| !list.is_list());
        others.next().map(|list| list.place())
    }

    fn read(template: &Field<'_>, spec: &Field<'_>) -> Self {
        let annotations = template.at(&["metadata", "annotations"]);
        let annotations = annotations.map(|field| field.entries()).unwrap_or_default();
        let annotations = annotations.into_iter();
        let security = spec.get("securityContext");
        let sysctls = security.iter().flat_map(|field| field.list("sysctls"));
        let sysctl = |field: Field<'_>| {
            let value = field.text_of("value").unwrap_or_default().to_owned();
            Some((field.placed("name")?, value))
        };
        let containers = CONTAINERS.iter().flat_map(|kind| spec.list(kind));
        Self {
            annotations: annotations
                .filter_map(|(key, value)| Some((key.to_owned(), value.as_placed()?)))
                .collect(),
            host_network: spec.is_set("hostNetwork"),
            host_pid: spec.is_set("hostPID"),
            host_users: spec.flag("hostUsers"),
            is_windows: is_windows(spec),
            node_name: spec.placed("nodeName"),
            runtime_class: spec.placed("runtimeClassName"),
            labels: scheduling::labels(spec),
            tolerates_all: scheduling::tolerates_all(spec),
            security: security.as_ref().map(Security::read).unwrap_or_default(),
            sysctls: sysctls.filter_map(sysctl).collect(),
            volumes: spec.list("volumes").iter().filter_map(Volume::read).collect(),
            containers: containers.map(|field| Container::read(&field)).collect(),
        }
    }

    /// Paths of the node that volumes are of.
    pub(crate) fn host_paths(&self) -> impl Iterator<Item = HostPath<'_>> {
        self.volumes.iter().filter_map(|volume| match &volume.source {
            VolumeSource::HostPath { path, kind } => Some(HostPath {
                path: match path.value.trim_end_matches('/') {
                    "" => "/",
                    path => path,
                },
                kind,
                place: &path.place,
                is_written: self.is_written(&volume.name),
            }),
            _ => None,
        })
    }

    /// Returns `true` if a container mounts a volume, and not read-only.
    fn is_written(&self, volume: &str) -> bool {
        let mounts = self.containers.iter().flat_map(|container| &container.mounts);
        mounts
            .filter(|mount| mount.volume == volume)
            .any(|mount| !mount.is_read_only)
    }

    /// Folders of a container that have the root of the node.
    pub(crate) fn roots_of_node(&self) -> Vec<&str> {
        let mounts = self.containers.iter().flat_map(|container| &container.mounts);
        let is_root = |name: &str| {
            let volumes = self.volumes.iter().filter(|volume| volume.name == name);
            volumes.into_iter().any(|volume| {
                matches!(&volume.source, VolumeSource::HostPath { path, .. } if path.value.trim_end_matches('/').is_empty())
            })
        };
        let mounts = mounts.filter(|mount| is_root(&mount.volume));
        mounts.map(|mount| mount.path.trim_end_matches('/')).collect()
    }

    /// Texts of commands, arguments and values of the environment.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Placed<String>> {
        self.containers.iter().flat_map(|container| {
            let environment = container.environment.iter().map(|(_, value)| value);
            container.commands.iter().flatten().chain(environment)
        })
    }

    /// Containers whose image has a name: `longhornio/longhorn-manager` or the end of it.
    pub(crate) fn containers_of<'p>(&'p self, images: &'p [&str]) -> impl Iterator<Item = &'p Container> {
        self.containers
            .iter()
            .filter(move |container| images.iter().any(|image| container.is_of(image)))
    }
}

fn is_windows(spec: &Field<'_>) -> bool {
    let named = spec.at(&["os", "name"]).and_then(|field| field.text());
    let selected = spec
        .at(&["nodeSelector", "kubernetes.io/os"])
        .and_then(|field| field.text());
    [named, selected].contains(&Some("windows"))
}

/// Commands of a container: its own, those of its probes and of its hooks.
fn commands(field: &Field<'_>) -> Vec<Vec<Placed<String>>> {
    let mut own = texts(field, "command");
    own.extend(texts(field, "args"));
    let hooks: [&[&str]; 5] = [
        &["lifecycle", "postStart", "exec"],
        &["lifecycle", "preStop", "exec"],
        &["livenessProbe", "exec"],
        &["readinessProbe", "exec"],
        &["startupProbe", "exec"],
    ];
    let hooks = hooks.iter().filter_map(|keys| field.at(keys));
    let hooks = hooks.map(|hook| texts(&hook, "command"));
    std::iter::once(own)
        .chain(hooks)
        .filter(|command| !command.is_empty())
        .collect()
}
