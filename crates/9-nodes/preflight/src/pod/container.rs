//! Containers of a pod, and the confinement of both.

use crate::field::Field;
use crate::place::{Place, Placed};

use super::commands;

/// Container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Container {
    pub(crate) image: Option<Placed<String>>,
    /// Commands: its own with the arguments, those of probes and hooks.
    pub(crate) commands: Vec<Vec<Placed<String>>>,
    /// Variables that have a value.
    pub(crate) environment: Vec<(String, Placed<String>)>,
    /// Ports on the node: `hostPort`, and `containerPort` for pods on the node's network.
    pub(crate) host_ports: Vec<(u16, Place)>,
    pub(crate) container_ports: Vec<(u16, Place)>,
    pub(crate) is_privileged: bool,
    /// Capabilities that are added.
    pub(crate) capabilities: Vec<String>,
    pub(crate) security: Security,
    pub(crate) mounts: Vec<Mount>,
    /// Names of requested or limited resources.
    pub(crate) resources: Vec<(String, Place)>,
}

/// Last parts of names that several images have: alone, they do not tell which one it is.
const COMMON_NAMES: [&str; 9] = [
    "aspnet",
    "csi-driver",
    "driver",
    "eol",
    "install-cni",
    "node",
    "runtime",
    "sdk",
    "stable",
];

/// Mount of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) volume: String,
    pub(crate) path: String,
    pub(crate) is_read_only: bool,
}

/// Confinement of a pod or of a container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Security {
    pub(crate) apparmor: Option<Profile>,
    pub(crate) seccomp: Option<Profile>,
    /// Place of `seLinuxOptions`.
    pub(crate) selinux: Option<Place>,
}

/// Profile of AppArmor or seccomp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// `Localhost`, `RuntimeDefault`, `Unconfined`.
    pub(crate) kind: String,
    /// Name or file of a profile of the node.
    pub(crate) name: String,
    pub(crate) place: Place,
}

impl Profile {
    /// Name of a profile that the node has to have.
    pub(crate) fn of_node(&self) -> Option<&str> {
        (self.kind == "Localhost").then_some(&self.name)
    }

    fn read(field: &Field<'_>) -> Self {
        let name = field.get("localhostProfile");
        Self {
            kind: field.text_of("type").unwrap_or_default().to_owned(),
            name: name
                .as_ref()
                .and_then(|name| name.text())
                .unwrap_or_default()
                .to_owned(),
            place: name.as_ref().unwrap_or(field).place(),
        }
    }
}

impl Security {
    pub(super) fn read(field: &Field<'_>) -> Self {
        Self {
            apparmor: field.get("appArmorProfile").as_ref().map(Profile::read),
            seccomp: field.get("seccompProfile").as_ref().map(Profile::read),
            selinux: field.get("seLinuxOptions").map(|options| options.place()),
        }
    }
}

impl Container {
    pub(super) fn read(field: &Field<'_>) -> Self {
        let security = field.get("securityContext");
        let capabilities = security.as_ref().and_then(|field| field.get("capabilities"));
        let capabilities = capabilities.map(|field| field.list("add")).unwrap_or_default();
        let mount = |field: Field<'_>| Mount {
            volume: field.text_of("name").unwrap_or_default().to_owned(),
            path: field.text_of("mountPath").unwrap_or_default().to_owned(),
            is_read_only: field.is_set("readOnly"),
        };
        let variable = |field: Field<'_>| Some((field.text_of("name")?.to_owned(), field.placed("value")?));
        let ports = |key: &str| {
            let ports = field.list("ports");
            let ports = ports.iter().filter_map(|port| port.placed(key));
            ports
                .filter_map(|port| Some((port.value.parse::<u16>().ok()?, port.place)))
                .collect()
        };
        let resources = ["limits", "requests"]
            .iter()
            .filter_map(|kind| field.at(&["resources", kind]));
        let resources = resources.flat_map(|kind| {
            let entries = kind.entries().into_iter();
            entries
                .map(|(name, value)| (name.to_owned(), value.place()))
                .collect::<Vec<_>>()
        });
        Self {
            image: field.placed("image"),
            commands: commands(field),
            environment: field.list("env").into_iter().filter_map(variable).collect(),
            host_ports: ports("hostPort"),
            container_ports: ports("containerPort"),
            is_privileged: security.as_ref().is_some_and(|field| field.is_set("privileged")),
            capabilities: capabilities
                .iter()
                .filter_map(|field| field.text().map(str::to_owned))
                .collect(),
            security: security.as_ref().map(Security::read).unwrap_or_default(),
            mounts: field.list("volumeMounts").into_iter().map(mount).collect(),
            resources: resources.collect(),
        }
    }

    /// Name of the image without its digest; empty if there is none.
    fn image_without_digest(&self) -> &str {
        let image = self.image.as_ref().map(|image| image.value.as_str());
        let image = image.unwrap_or_default();
        image.split_once('@').map_or(image, |(name, _)| name)
    }

    /// Name of the image without registry, tag and digest: `longhornio/longhorn-manager`.
    pub(crate) fn repository(&self) -> &str {
        let image = self.image_without_digest();
        let image = match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => image,
        };
        match image.split_once('/') {
            Some((registry, name)) if registry.contains(['.', ':']) || registry == "localhost" => name,
            _ => image,
        }
    }

    /// Tag of the image; empty if there is none.
    pub(crate) fn tag(&self) -> &str {
        let image = self.image_without_digest();
        let tag = image.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
        if tag.contains('/') { "" } else { tag }
    }

    /// Last part of the image's name: `longhorn-manager`.
    pub(crate) fn name(&self) -> &str {
        last_part(self.repository())
    }

    /// Returns `true` if the image has a name, or ends in it after a slash: mirrors add to the front. Many keep the last part
    /// only: it is enough where no other image is called so.
    pub(crate) fn is_of(&self, image: &str) -> bool {
        let repository = self.repository();
        let is_end = || repository.strip_suffix(image).is_some_and(|front| front.ends_with('/'));
        let name = last_part(image);
        repository == image || is_end() || self.name() == name && !COMMON_NAMES.contains(&name)
    }

    /// Returns `true` for containers that can do what root of the node can, if they see its files.
    pub(crate) fn is_powerful(&self) -> bool {
        self.is_privileged || self.capabilities.iter().any(|name| name.ends_with("SYS_ADMIN"))
    }
}

/// Part of the name of an image after its last slash.
fn last_part(image: &str) -> &str {
    image.rsplit_once('/').map_or(image, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(image: &str) -> Container {
        Container {
            image: Some(Placed {
                value: image.to_owned(),
                place: Place::default(),
            }),
            ..Container::default()
        }
    }

    #[test]
    fn names_of_images() {
        for (image, repository, tag) in [
            ("nginx", "nginx", ""),
            ("quay.io/cilium/cilium:v1.19.1@sha256:00", "cilium/cilium", "v1.19.1"),
            ("localhost:5000/a/b", "a/b", ""),
            ("registry:5000/b:1", "b", "1"),
            (
                "longhornio/longhorn-manager:v1.9",
                "longhornio/longhorn-manager",
                "v1.9",
            ),
        ] {
            assert_eq!((of(image).repository(), of(image).tag()), (repository, tag), "{image}");
        }
    }

    #[test]
    fn images_are_known_in_mirrors() {
        for (image, name) in [
            ("mirror.example/proxy/cilium/cilium:v1", "cilium/cilium"),
            ("registry.corp.example/mirror/kured:1.20.0", "kubereboot/kured"),
            (
                "registry.corp.example/longhorn-manager@sha256:00",
                "longhornio/longhorn-manager",
            ),
            ("mirror.example/hub/calico/node:v3", "calico/node"),
            ("mirror.example/centos:7", "centos"),
        ] {
            assert!(of(image).is_of(name), "{image}");
        }
        for (image, name) in [
            ("node:24", "calico/node"),
            ("mirror.example/driver:1", "nvidia/driver"),
            ("mcr.microsoft.com/dotnet/aspnet:9.0", "dotnet/core/aspnet"),
            ("cilium/not-cilium:v1", "cilium/cilium"),
            ("kured/controller:1", "kubereboot/kured"),
        ] {
            assert!(!of(image).is_of(name), "{image}");
        }
    }
}
