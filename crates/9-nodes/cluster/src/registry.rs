//! The cluster's registry: its names of images, its configuration, its storage.
//!
//! ```text
//! host's loopback, registry_port --(push)--> registry, in the namespace, 127.0.0.1:5000   pushes and pulls
//! nodes, http://10.87.0.1:5000 --(mirror)--> registry                                     pulls under every image name
//! ```

use camino::Utf8Path;

use crate::ClusterError;
use crate::layout::Layout;
use crate::topology::{REGISTRY, REGISTRY_LISTEN};

/// Name of an image's repository in the cluster's registry, from the host and the path of the image's name.
///
/// Images under the name of this registry itself (`registry.basalt.local:5000/app`, `localhost:15000/app`) are at their
/// path, `app`. All others are at host and path, `docker.io/library/nginx`. A port is separated by an underscore, which
/// no host has and a repository may have: `quay.example_5000/app`.
pub fn repository(host: &str, path: &str) -> String {
    if is_own(host) {
        return path.to_owned();
    }
    format!("{}/{path}", host.to_ascii_lowercase().replace(':', "_"))
}

/// Hosts that mean this registry: its name in the cluster, and the host's loopback device, where images are pushed to.
/// `ko`, `skaffold` and podman put such names into manifests.
fn is_own(host: &str) -> bool {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    host == REGISTRY || matches!(name, "localhost" | "127.0.0.1")
}

/// Renders the registry's configuration.
pub(crate) fn config(layout: &Layout) -> String {
    let config = serde_json::json!({
        "version": 0.1,
        "log": { "level": "warn", "accesslog": { "disabled": true } },
        "storage": {
            "filesystem": { "rootdirectory": layout.registry() },
            // A push that was cut off leaves its part.
            "maintenance": {
                "uploadpurging": { "enabled": true, "age": "1h", "interval": "10m", "dryrun": false },
            },
            "delete": { "enabled": true },
            "cache": { "blobdescriptor": "inmemory" },
        },
        "http": { "addr": REGISTRY_LISTEN.to_string() },
    });
    format!("{config:#}\n")
}

/// Copies the images that a cluster begins with into the registry's storage. A copy, and no links: the registry writes to
/// the files of tags, and the originals are in the store.
pub(crate) fn seed(from: &Utf8Path, to: &Utf8Path) -> Result<(), ClusterError> {
    copy_folder(from, to).map_err(ClusterError::file(format!("copy the images of {from}")))
}

fn copy_folder(from: &Utf8Path, to: &Utf8Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::create_dir_all(to)?;
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(entry.path(), &target)?;
        } else {
            fs_err::copy(entry.path(), &target)?;
            // Files of the store are read-only.
            fs_err::set_permissions(&target, std::fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_registries_are_kept_apart() {
        for (host, path, expected) in [
            ("docker.io", "library/nginx", "docker.io/library/nginx"),
            ("quay.io", "library/nginx", "quay.io/library/nginx"),
            ("Quay.example:5000", "a", "quay.example_5000/a"),
            ("registry.basalt.local:5000", "coredns", "coredns"),
            ("localhost:15000", "app", "app"),
            ("localhost", "app", "app"),
            ("127.0.0.1:15000", "app", "app"),
            ("localhost.example", "app", "localhost.example/app"),
        ] {
            assert_eq!(repository(host, path), expected);
        }
    }

    #[test]
    fn hosts_are_told_from_other_text() {
        for host in ["docker.io", "localhost", "127.0.0.1:5000", "A-b.example:65535"] {
            assert!(basalt_oci::is_host(host), "{host}");
        }
        for text in [
            "",
            ".",
            "a..b",
            "-a",
            "a:",
            "a:65536",
            "a/b",
            "a_b",
            "[::1]:5000",
            "a b",
            "ä",
        ] {
            assert!(!basalt_oci::is_host(text), "{text}");
        }
    }

    #[test]
    fn it_listens_and_writes_inside_of_the_cluster_only() {
        let layout = Layout::new("/state");
        let config: serde_json::Value = serde_json::from_str(&config(&layout)).expect("JSON");
        assert_eq!(config["http"]["addr"], "127.0.0.1:5000");
        let storage = config["storage"]["filesystem"]["rootdirectory"].as_str();
        assert!(storage.is_some_and(|path| path.starts_with("/state/")), "{storage:?}");
    }

    #[test]
    fn the_originals_are_not_written_to() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let link = folder.join("store/docker/tags/link");
        fs_err::create_dir_all(link.parent().expect("a folder")).expect("made");
        fs_err::write(&link, "old").expect("written");
        fs_err::set_permissions(&link, std::fs::Permissions::from_mode(0o444)).expect("set");
        seed(&folder.join("store"), &folder.join("registry")).expect("copied");
        fs_err::write(folder.join("registry/docker/tags/link"), "new").expect("writable");
        assert_eq!(fs_err::read_to_string(&link).expect("read"), "old");
    }
}
