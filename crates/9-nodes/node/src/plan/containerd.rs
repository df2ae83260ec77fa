//! containerd's configuration, and where it fetches images from.

use std::fmt::Write as _;

use basalt_node_config::certificate::Authorities;
use basalt_node_config::{NodeConfig, Registry, RegistryHost};

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
    let text = CONFIG
        .replace("{socket}", paths::CONTAINERD_SOCKET)
        .replace("{images}", paths::IMAGES_HOST)
        .replace("{registries}", paths::REGISTRIES)
        .replace("{add_ons}", paths::CNI_ADD_ONS)
        .replace("{plugins}", paths::CNI_PLUGINS)
        .replace("{cni}", paths::CNI_CONFIG);
    let mut files = vec![PlannedFile::public(paths::CONTAINERD_CONFIG, text), baked_images()];
    for registry in &config.registries {
        files.extend(registry_files(registry));
    }
    files
}

/// The node's own registry of baked images; see [`crate::images`].
fn baked_images() -> PlannedFile {
    let text = format!(
        "server = \"http://{}\"\ncapabilities = [\"pull\", \"resolve\"]\n",
        paths::IMAGES_ADDRESS
    );
    PlannedFile::public(format!("{}/{}/hosts.toml", paths::REGISTRIES, paths::IMAGES_HOST), text)
}

fn registry_files(registry: &Registry) -> Vec<PlannedFile> {
    let name = match &registry.host {
        RegistryHost::Others => "_default",
        RegistryHost::Named(name) => name.as_str(),
    };
    let folder = format!("{}/{name}", paths::REGISTRIES);
    let mut files = Vec::new();
    let mut authority = |name: String, authorities: &Authorities| {
        files.push(PlannedFile::public(format!("{folder}/{name}"), authorities.pem()));
        format!("ca = \"{folder}/{name}\"\n")
    };

    // containerd asks the hosts in their order and then the server, which it takes from the image's name unless it is
    // given. Where only mirrors may be asked, the last one stands in the server's place.
    let (hosts, last) = match registry.mirrors.split_last() {
        Some((last, others)) if registry.mirrors_only => (others, Some(last)),
        _ => (&registry.mirrors[..], None),
    };
    let mut text = String::new();
    match (&registry.host, last) {
        (_, Some(mirror)) => {
            let _ = writeln!(
                text,
                "server = \"{}\"\ncapabilities = [\"pull\", \"resolve\"]",
                mirror.url
            );
            if mirror.override_path {
                text.push_str("override_path = true\n");
            }
            text.extend(mirror.ca.iter().map(|ca| authority("server.pem".to_owned(), ca)));
        }
        (RegistryHost::Named(name), None) => {
            let scheme = if registry.plain_http { "http" } else { "https" };
            let server = if name.as_str() == "docker.io" {
                "registry-1.docker.io"
            } else {
                name.as_str()
            };
            let _ = writeln!(
                text,
                "server = \"{scheme}://{server}\"\ncapabilities = [\"pull\", \"resolve\"]"
            );
            text.extend(registry.ca.iter().map(|ca| authority("server.pem".to_owned(), ca)));
            if let Some(auth) = &registry.auth {
                let basic = base64(format!("{}:{}", auth.username, auth.password).as_bytes());
                let _ = write!(text, "\n[header]\n  authorization = \"Basic {basic}\"\n");
            }
        }
        (RegistryHost::Others, None) => {}
    }
    for (index, mirror) in hosts.iter().enumerate() {
        let _ = write!(
            text,
            "\n[host.\"{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n",
            mirror.url
        );
        if mirror.override_path {
            text.push_str("  override_path = true\n");
        }
        text.extend(
            mirror
                .ca
                .iter()
                .map(|ca| format!("  {}", authority(format!("mirror-{index}.pem"), ca))),
        );
    }
    let path = format!("{folder}/hosts.toml");
    let secret = registry.auth.is_some();
    files.push(if secret {
        PlannedFile::secret(path, text)
    } else {
        PlannedFile::public(path, text)
    });
    files
}

/// Base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(super::base64(bytes.as_bytes()), text);
        }
        assert_eq!(super::base64(&[0xff, 0xef, 0xfe]), "/+/+");
    }
}
