//! Definitions of images as they are written, unchecked.
//!
//! The published JSON schema is generated from these types: their doc comments document the format.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Definition of an image: its packages and settings.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ImageDefinition {
    /// Name of the image: that of the file, without `.yaml`.
    pub name: String,
    /// Kind of the image.
    pub kind: Kind,
    /// Name of an image of the same kind to extend: packages, exclusions, kernel arguments and environment variables
    /// are added to those of that image, other keys replace its keys.
    pub extends: Option<String>,
    /// Names of the packages to install; the packages that they require are installed as well. A container image has
    /// the version of the first one.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Variants of the image, each with the packages that it has in addition. `kubelet-1.36: [kubelet1.36]` in the
    /// definition of `node` is the image `node-kubelet-1.36`. An image that extends this one has the same variants.
    #[serde(default)]
    pub variants: BTreeMap<String, Vec<String>>,
    /// Paths of packages to leave out, with everything below them: `/usr/include`. `*` stands for a part of a name,
    /// `**` for any number of folders.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// For disks: arguments to append to the kernel command line, which already has those that locate the root.
    #[serde(default)]
    pub kernel_arguments: Vec<String>,
    /// For disks: sizes of the partitions.
    pub partitions: Option<Partitions>,
    /// For containers: program to run, with its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// For containers: default arguments, replaced by those given at run time.
    pub command: Option<Vec<String>>,
    /// For containers: numeric user and group to run as: `65532:65532`.
    pub user: Option<String>,
    /// For containers: environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Kind of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Disk that a machine boots from.
    Disk,
    /// Container image.
    Container,
    /// Folder with the files of the packages, for programs that run without an image.
    Tree,
}

/// Sizes of a disk's partitions. The state partition, which is created at first boot, takes the rest of the disk.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Partitions {
    /// Size of the EFI system partition in MiB. It holds three kernels during an update.
    #[schemars(range(min = 260, max = 4096))]
    pub esp_mib: Option<u32>,
    /// Size of each of the two root partitions in MiB, with a reserve for later versions.
    #[schemars(range(min = 16, max = 16384))]
    pub root_mib: Option<u32>,
}
