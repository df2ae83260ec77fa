//! Kubelet, container runtime and network plug-ins of a host.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Container runtime of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostRuntime {
    /// Runtimes whose sockets or configuration are there: `containerd`, `cri-o`, `docker`, `cri-dockerd`.
    pub found: Vec<String>,
    /// Files of configuration.
    pub files: Vec<String>,
    /// Storage driver: `overlayfs`, `zfs`, `stargz`.
    pub snapshotter: Option<String>,
    /// Control groups are systemd's; `None` where no file says it.
    pub systemd_cgroup: Option<bool>,
    /// Name of the runtime that containers have unless they ask for another.
    pub default_handler: Option<String>,
    /// Runtimes that RuntimeClasses name.
    pub handlers: Vec<HostRuntimeHandler>,
    /// Image of the pause container.
    pub sandbox_image: Option<String>,
    /// Folders of CDI specifications, if they are set.
    pub cdi_folders: Vec<String>,
    /// Names of plug-ins that are switched off.
    pub disabled_plugins: Vec<String>,
    /// Folder of images and containers, where it is another than the default one.
    pub data_folder: Option<String>,
    /// Names of other settings of Docker's daemon.json.
    pub docker_settings: Vec<String>,
}

/// Runtime that a RuntimeClass names.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostRuntimeHandler {
    /// Name.
    pub name: String,
    /// Type: `io.containerd.kata.v2`.
    pub kind: Option<String>,
    /// Program.
    pub program: Option<String>,
}

/// Registry with settings of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostRegistry {
    /// File.
    pub file: String,
    /// Registry, as image names write it; `*` for all others.
    pub host: String,
    /// Address that stands for the registry itself.
    pub server: Option<String>,
    /// Mirrors, in their order.
    pub mirrors: Vec<HostMirror>,
    /// There are a name and a password or a token for it, which are left out here.
    pub has_credentials: bool,
    /// Its certificate is not verified, or it is spoken to without TLS.
    pub is_insecure: bool,
}

/// Mirror of a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostMirror {
    /// Address, without name and password.
    pub url: String,
    /// Capabilities: `pull`, `resolve`, `push`; empty for all.
    pub capabilities: Vec<String>,
    /// Its certificate is not verified.
    pub skip_verify: bool,
    /// Files of authorities.
    pub ca: Vec<String>,
    /// There is a client certificate.
    pub has_client_certificate: bool,
    /// The address has the path of the API already.
    pub override_path: bool,
    /// There are headers or credentials for it, which are left out here.
    pub has_credentials: bool,
}

/// Kubelet of a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostKubelet {
    /// Version of its package.
    pub version: Option<String>,
    /// Address of the API server.
    pub server: Option<String>,
    /// Flags in files, in their order.
    pub flags: Vec<HostFlag>,
    /// File of its configuration.
    pub config_file: Option<String>,
    /// KubeletConfiguration; `*` in place of values of fields that it does not have, and of secrets.
    pub config: Option<Value>,
    /// Further files that change it, with the names of their fields.
    pub config_parts: BTreeMap<String, Vec<String>>,
    /// Programs that know credentials of registries.
    pub credential_providers: Vec<HostCredentialProvider>,
    /// Static pods.
    pub static_pods: Vec<HostStaticPod>,
    /// Names of CSI drivers and other plug-ins in its folder.
    pub plugins: Vec<String>,
    /// Sockets of device plug-ins.
    pub device_plugins: Vec<String>,
    /// Drivers of FlexVolume.
    pub flex_volumes: Vec<String>,
    /// There is a file with credentials of registries, `/var/lib/kubelet/config.json`, which is not read.
    pub has_registry_credentials: bool,
}

impl HostKubelet {
    /// Value of a flag: the last one counts.
    pub fn flag(&self, name: &str) -> Option<&HostFlag> {
        self.flags.iter().rev().find(|flag| flag.name == name)
    }

    /// Field of its configuration.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.config.as_ref()?.get(name)
    }

    /// Socket of the container runtime: by the flag, else by the configuration.
    pub fn runtime_endpoint(&self) -> Option<&str> {
        let flag = self.flag("container-runtime-endpoint").map(|flag| flag.value.as_str());
        flag.or_else(|| self.field("containerRuntimeEndpoint")?.as_str())
    }
}

/// Flag of the kubelet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostFlag {
    /// Name, without dashes.
    pub name: String,
    /// Value; `*` in place of one that is not known to be public.
    pub value: String,
    /// File.
    pub file: String,
}

/// Program that knows credentials of registries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostCredentialProvider {
    /// Name.
    pub name: String,
    /// Images that it is asked for.
    pub match_images: Vec<String>,
    /// Time for which answers are kept.
    pub default_cache_duration: Option<String>,
}

/// Static pod of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostStaticPod {
    /// File.
    pub file: String,
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: Option<String>,
    /// Images of its containers.
    pub images: Vec<String>,
}

/// Network plug-ins of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostCni {
    /// Programs in /opt/cni/bin.
    pub programs: Vec<String>,
    /// Networks in /etc/cni/net.d.
    pub networks: Vec<HostCniNetwork>,
}

/// Network of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HostCniNetwork {
    /// File.
    pub file: String,
    /// Name.
    pub name: Option<String>,
    /// Plug-ins.
    pub plugins: Vec<String>,
}
