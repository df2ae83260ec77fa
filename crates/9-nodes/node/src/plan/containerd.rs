//! containerd's configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use basalt_node_config::{NodeConfig, Registry};

use super::PlannedFile;
use crate::paths;

// The plugins that are off belong to snapshotters that nobody chooses here, or write to /opt.
//
// `imports` is what containerd does anyway; written down because GPU operators count on it: a file that a pod leaves in
// that folder adds to this configuration at the next restart of containerd, until the machine's next boot.
const CONFIG: &str = "\
# Written by basalt-node at every start.
version = 4
root = '/var/lib/containerd'
state = '/run/containerd'
imports = ['/etc/containerd/conf.d/*.toml']
disabled_plugins = [
  'io.containerd.internal.v1.opt',
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.snapshotter.v1.erofs',
  'io.containerd.differ.v1.erofs',
  'io.containerd.snapshotter.v1.native',
]
# Without it, on a damaged database for example, containerd would run and be of no use to the kubelet.
required_plugins = ['io.containerd.grpc.v1.cri']

[plugins.'io.containerd.server.v1.grpc']
  address = '{socket}'

[plugins.'io.containerd.server.v1.ttrpc']
  address = '{socket}.ttrpc'

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'
  # Files of an image are on the disk before its record is: else a power cut leaves an image that containerd believes to
  # be whole and whose files are empty, and the kubelet never pulls it again.
  image_pull_with_sync_fs = true

  # Part of the root file system, and served on loopback when it is asked for; the kubelet never removes it.
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = '{images}/pause:1'

  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = '{registries}'

# As often as the kubelet's own collector. containerd's default is each second, in which every shim is asked for its figures.
[plugins.'io.containerd.cri.v1.runtime']
  stats_collect_period = '10s'

# Plugins that a network add-on installs come before the image's own.
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{add_ons}', '{plugins}']
  conf_dir = '{cni}'

[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = 'runc'

  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    sandboxer = 'podsandbox'

    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = true

[plugins.'io.containerd.nri.v1.nri']
  socket_path = '/run/nri/nri.sock'
";

pub(super) fn files(config: &NodeConfig) -> Vec<PlannedFile> {
    let mut text = CONFIG
        .replace("{socket}", paths::CONTAINERD_SOCKET)
        .replace("{images}", paths::IMAGES_HOST)
        .replace("{registries}", paths::REGISTRIES)
        .replace("{add_ons}", paths::CNI_ADD_ONS)
        .replace("{plugins}", paths::CNI_PLUGINS)
        .replace("{cni}", paths::CNI_CONFIG);
    let credentials = credentials(&config.registries);
    text.push_str(&credentials);
    let file = if credentials.is_empty() {
        PlannedFile::public(paths::CONTAINERD_CONFIG, text)
    } else {
        PlannedFile::secret(paths::CONTAINERD_CONFIG, text)
    };
    [Some(file), environment(config)].into_iter().flatten().collect()
}

/// Credentials by host. containerd uses them for a registry that asks for a name and a password, and for the token
/// server of one that asks for a token; pods with pull secrets of their own come first. The table is called deprecated
/// in favour of those pull secrets; `hosts.toml` has no place for credentials that a token server would see.
fn credentials(registries: &[Registry]) -> String {
    let by_host: BTreeMap<_, _> = registries.iter().flat_map(Registry::credentials).collect();
    let mut text = String::new();
    for (host, auth) in by_host {
        let _ = write!(
            text,
            "\n[plugins.'io.containerd.cri.v1.images'.registry.configs.'{host}'.auth]\n"
        );
        let values = [
            ("username", &auth.username),
            ("password", &auth.password),
            ("identitytoken", &auth.identity_token),
        ];
        for (key, value) in values {
            // A JSON string without control characters is a basic string of TOML.
            let value = value.as_ref().map(|value| serde_json::Value::from(value.as_str()));
            text.extend(value.map(|value| format!("  {key} = {value}\n")));
        }
    }
    text
}

/// The proxy, for containerd's unit.
fn environment(config: &NodeConfig) -> Option<PlannedFile> {
    let text = super::proxy::environment(config)?;
    Some(PlannedFile::secret(paths::CONTAINERD_ENVIRONMENT, text))
}
