//! Sources of container images: a `hosts.toml` for each registry, with the certificates that it names.

use std::fmt::Write as _;

use basalt_node_config::{Access, NodeConfig, Registry, RegistryHost};

use super::PlannedFile;
use crate::paths;

pub(super) fn files(config: &NodeConfig) -> Vec<PlannedFile> {
    let registries = config.registries.iter().flat_map(of_registry);
    std::iter::once(baked_images()).chain(registries).collect()
}

/// The node's own registry of baked images; see [`crate::images`].
fn baked_images() -> PlannedFile {
    let text = format!(
        "server = \"http://{}\"\ncapabilities = [\"pull\", \"resolve\"]\n",
        paths::IMAGES_ADDRESS
    );
    PlannedFile::public(format!("{}/{}/hosts.toml", paths::REGISTRIES, paths::IMAGES_HOST), text)
}

fn of_registry(registry: &Registry) -> Vec<PlannedFile> {
    let name = match &registry.host {
        RegistryHost::Others => "_default",
        RegistryHost::Named(name) => name.as_str(),
    };
    let folder = format!("{}/{name}", paths::REGISTRIES);
    let mut files = Vec::new();

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
            text.push_str(&access(&mut files, &folder, "server", &mirror.access, ""));
        }
        (RegistryHost::Named(name), None) => {
            let scheme = if registry.plain_http { "http" } else { "https" };
            let _ = writeln!(
                text,
                "server = \"{scheme}://{}\"\ncapabilities = [\"pull\", \"resolve\"]",
                name.server()
            );
            text.push_str(&access(&mut files, &folder, "server", &registry.access, ""));
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
        let name = format!("mirror-{index}");
        text.push_str(&access(&mut files, &folder, &name, &mirror.access, "  "));
    }
    files.push(PlannedFile::public(format!("{folder}/hosts.toml"), text));
    files
}

/// Lines on how a host is spoken to; the certificates that they name become files.
fn access(files: &mut Vec<PlannedFile>, folder: &str, name: &str, access: &Access, indent: &str) -> String {
    let mut text = String::new();
    if let Some(ca) = &access.ca {
        let path = format!("{folder}/{name}.pem");
        let _ = writeln!(text, "{indent}ca = \"{path}\"");
        files.push(PlannedFile::public(path, ca.pem()));
    }
    if access.skip_verify {
        let _ = writeln!(text, "{indent}skip_verify = true");
    }
    if let Some(pair) = &access.client_certificate {
        let (certificate, key) = (
            format!("{folder}/{name}-client.crt"),
            format!("{folder}/{name}-client.key"),
        );
        let _ = writeln!(text, "{indent}client = [[\"{certificate}\", \"{key}\"]]");
        files.push(PlannedFile::public(certificate, pair.certificate.as_str()));
        files.push(PlannedFile::secret(key, pair.reveal_key()));
    }
    text
}
