//! A definition as it is written: the shape of the file, without judgement.
//!
//! The published JSON schema is made from these types, so their comments are documentation for whoever writes one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an image is made of.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ImageDefinition {
    /// The image's name: that of the file, without `.yaml`.
    pub name: String,
    /// What kind of image it is.
    pub kind: Kind,
    /// An image of the same kind that this one begins with: lists are added to its lists, other keys replace its keys.
    pub extends: Option<String>,
    /// The packages to install; what they require comes with them. The version of a container image is that of the
    /// first one.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Paths of packages that the image goes without, with all below them: `/usr/include`. `*` stands for a part of a
    /// name, `**` for any number of folders.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Of a disk: what the kernel is told besides where its root is.
    #[serde(default)]
    pub kernel_arguments: Vec<String>,
    /// Of a disk: how large its partitions are.
    pub partitions: Option<Partitions>,
    /// Of a container: the program that it runs, with its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// Of a container: more arguments, which whoever runs it may replace.
    pub command: Option<Vec<String>>,
    /// Of a container: the user and group that it runs as, in numbers: `65532:65532`.
    pub user: Option<String>,
    /// Of a container: environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// The kind of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A disk that a machine boots from.
    Disk,
    /// A container image.
    Container,
    /// A folder with the files of the packages, for programs that run without an image.
    Tree,
}

/// How large the partitions of a disk are. What the disk has beyond them becomes the state partition, at first boot.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Partitions {
    /// The EFI system partition, in MiB. It holds three kernels during an update.
    #[schemars(range(min = 260, max = 4096))]
    pub esp_mib: Option<u32>,
    /// Each of the two root partitions, in MiB, with room for the versions to come.
    #[schemars(range(min = 16, max = 16384))]
    pub root_mib: Option<u32>,
}
