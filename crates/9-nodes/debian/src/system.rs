//! Description of a Debian system: its packages and files, and the action that makes its disk.

use basalt_action::{Action, Blob, Directory, Node};
use basalt_sdk::SdkTree;
use camino::{Utf8Path, Utf8PathBuf};

use crate::DebianError;

/// Version of the recipe, to be raised when the disk is made differently from the same inputs.
const RECIPE: &str = "3";
/// Packages of Basalt that a Debian node has which is set up by a NodeConfig: node agent, container runtime and kubelet with
/// their files.
pub const NODE_STACK: &[&str] = &[
    "basalt-node",
    "cni-plugins",
    "containerd",
    "kubelet",
    "kubernetes-node",
    "pause-image",
    "runc",
];

/// Word of the kernel's command line that leaves out a check of the timer, in which the kernel panics ("IO-APIC + timer
/// doesn't work") where a busy machine without KVM gives an interrupt too late.
pub const NO_TIMER_CHECK: &str = "no_timer_check";

/// A package of Basalt that goes into the Debian system.
#[derive(Debug, Clone)]
pub struct StackPackage {
    /// Path of the RPM.
    pub path: Utf8PathBuf,
    /// Digest and size of the RPM.
    pub blob: Blob,
}

/// Inputs of a Debian system's disk.
#[derive(Debug, Clone, Copy)]
pub struct DebianSystem<'a> {
    /// File that lists Debian's packages, in the format of distro/sdk/sdk.toml.
    pub packages: &'a Utf8Path,
    /// Folders with files to add, by their paths in the system. A file of a later folder takes the place of an earlier one's.
    pub files: &'a [Utf8PathBuf],
    /// File of the kernel settings (sysctl) that a kubelet needs.
    pub sysctl: &'a Utf8Path,
    /// Packages of Basalt.
    pub stack: &'a [StackPackage],
    /// Words of the kernel's command line, besides those that locate the root and the consoles.
    pub kernel_arguments: &'a [&'a str],
}

impl DebianSystem<'_> {
    /// Returns the action that makes the disk. Debian's own packages are no inputs; their versions are those of the day
    /// on which the disk is made.
    pub(crate) fn action(&self, sdk: &SdkTree) -> Result<Action, DebianError> {
        let mut inputs = Directory::new();
        let mut add = |path: &str, node: Node| {
            let added = inputs.insert(path, node);
            added.map_err(|source| DebianError::Inputs { source })
        };
        add("sdk", Node::Tree(sdk.root))?;
        for (name, path) in [("packages.toml", self.packages), ("kubernetes.conf", self.sysctl)] {
            let content = fs_err::read(path).map_err(DebianError::io("cannot read", path))?;
            let blob = Blob::of(content);
            add(name, Node::File { blob, mode: 0o644 })?;
        }
        for (number, folder) in self.files.iter().enumerate() {
            let files = basalt_store::read_directory(folder)?;
            add(&format!("files-{number}"), Node::Directory(files))?;
        }
        for package in self.stack {
            let node = Node::File {
                blob: package.blob,
                mode: 0o644,
            };
            add(&format!("stack/{}.rpm", package.blob.digest), node)?;
        }
        let mut action = Action::function("install-debian-node", &[RECIPE], inputs);
        let arguments = self.kernel_arguments.iter().map(|&argument| argument.to_owned());
        action.arguments.extend(arguments);
        Ok(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key of the disk that is made from a list of packages, a file and a kernel argument.
    fn key(packages: &str, file: &str, argument: &str) -> Blob {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let list = folder.join("packages.toml");
        let sysctl = folder.join("sysctl.conf");
        let files = folder.join("files");
        for (path, text) in [
            (&list, packages),
            (&sysctl, "a = 1\n"),
            (&files.join("etc/fstab"), file),
        ] {
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs_err::write(path, text).expect("written");
        }
        let sdk = SdkTree {
            path: "/sdk".into(),
            root: Blob::of("tree"),
            key: Blob::of("action"),
        };
        let system = DebianSystem {
            packages: &list,
            files: &[files],
            sysctl: &sysctl,
            stack: &[],
            kernel_arguments: &[argument],
        };
        system.action(&sdk).expect("an action").key()
    }

    #[test]
    fn a_disk_is_kept_under_all_of_its_inputs() {
        let plain = key("a", "b", "quiet");
        assert_eq!(plain, key("a", "b", "quiet"));
        for other in [key("c", "b", "quiet"), key("a", "c", "quiet"), key("a", "b", "debug")] {
            assert_ne!(plain, other);
        }
    }
}
