//! Debian machine that is a node by the same agent, container runtime and kubelet as Basalt's nodes.

use basalt_content::ContentFolder;
use basalt_debian::{DebianDisk, DebianSystem, NODE_STACK, StackPackage};
use miette::Result;

use crate::checkout::{BuildContext, Checkout};

/// Makes the machine's disk, unless the store has it, from the packages of today.
pub(super) fn disk(checkout: &Checkout, context: &BuildContext, kernel_arguments: &[&str]) -> Result<DebianDisk> {
    let stack = stack(checkout, context)?;
    let folder = checkout.content().own_folder(ContentFolder::Debian);
    let packages = checkout.content().own_folder(ContentFolder::Packages);
    let system = DebianSystem {
        packages: &folder.join("packages.toml").path,
        files: &[folder.join("root").path],
        sysctl: &packages.join("basalt-defaults").join("sysctl-kubernetes.conf").path,
        stack: &stack,
        kernel_arguments,
    };
    let disk = DebianDisk::make(system, &checkout.store, &context.sdk, checkout.reporter())?;
    Ok(disk)
}

/// Returns Basalt's packages that the Debian node has, too.
fn stack(checkout: &Checkout, context: &BuildContext) -> Result<Vec<StackPackage>> {
    let names: Vec<String> = NODE_STACK.iter().map(|&name| name.to_owned()).collect();
    let targets = context
        .distribution
        .graph
        .makers_of(&names, "the Debian node")
        .map_err(basalt_build::BuildError::from)?;
    let built = context.engine(checkout).build(targets)?;
    let rpms = built.values().flat_map(|built| &built.rpms);
    let wanted = rpms.filter(|rpm| names.contains(&rpm.package.name));
    Ok(wanted
        .map(|rpm| StackPackage {
            path: rpm.path(&checkout.store),
            blob: rpm.blob(),
        })
        .collect())
}
