//! What is known about a finished image: `image.json` in its folder.

use crate::definition::raw::Kind;
use basalt_action::{Action, Blob, OutputDirectory};
use basalt_bom::Inventory;
use basalt_digest::Digest;
use basalt_release::Arch;
use basalt_store::{Store, write};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::ImageError;

/// The file with the facts.
const FILE: &str = "image.json";
/// The file with what is inside.
const INVENTORY: &str = "inventory.json";
/// The disk in the folder of an image.
pub(crate) const DISK: &str = "disk.raw";
/// The kernel of a disk, as it lies in its EFI system partition.
pub(crate) const UKI: &str = "kernel.efi";
/// The files of a tree.
pub(crate) const TREE: &str = "root";

/// A finished image in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The key: the digest of the action that composed it.
    pub key: Digest,
    /// The digest of its folder's content.
    pub root: Blob,
    /// Its folder.
    pub folder: Utf8PathBuf,
    /// What is known about it.
    pub facts: Facts,
}

/// What is known about an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The architecture that it is for.
    pub arch: Arch,
    /// The version of its first package.
    pub version: String,
    /// The packages in it, by name.
    pub packages: Vec<InstalledPackage>,
    /// How many bytes the files in it have.
    pub content_bytes: u64,
    /// Of a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskFacts>,
    /// Of a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerFacts>,
}

/// A package in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledPackage {
    /// Name, version, release, architecture.
    pub nevra: String,
    /// The source package.
    pub source: String,
    /// The licence.
    pub license: String,
    /// The digest of the RPM.
    pub digest: Digest,
}

/// What is known about a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskFacts {
    /// How many bytes the disk has; most of them are holes.
    pub size_bytes: u64,
    /// The release of the kernel, as `uname -r` says it.
    pub kernel: String,
    /// What the kernel is told.
    pub command_line: String,
    /// The root of the hash tree, in hexadecimal digits.
    pub root_hash: String,
    /// The bytes of the compressed root file system.
    pub root_bytes: u64,
    /// The bytes of the kernel with its stub.
    pub kernel_bytes: u64,
    /// The partitions, in their order.
    pub partitions: Vec<PartitionFacts>,
}

/// A partition of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionFacts {
    /// Its label.
    pub label: String,
    /// Its type: a GUID of the Discoverable Partitions Specification.
    pub type_guid: String,
    /// Its own GUID.
    pub guid: String,
    /// Where it begins, in bytes.
    pub offset_bytes: u64,
    /// How many bytes it has.
    pub size_bytes: u64,
}

/// What is known about a container image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerFacts {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its configuration.
    pub config: Digest,
    /// The digest of its one layer.
    pub layer: Digest,
    /// How many bytes a node fetches.
    pub download_bytes: u64,
}

impl Image {
    /// The image in a folder of the store.
    pub(crate) fn open(action: &Action, made: &OutputDirectory, store: &Store) -> Result<Self, ImageError> {
        let folder = store.directory_path(&made.root.digest);
        let path = folder.join(FILE);
        let text = fs_err::read(&path).map_err(ImageError::io("cannot read", &path))?;
        let facts: Facts =
            serde_json::from_slice(&text).map_err(|error| ImageError::io("cannot understand", &path)(error.into()))?;
        Ok(Self {
            name: facts.name.clone(),
            kind: facts.kind,
            key: action.key().digest,
            root: made.root,
            folder,
            facts,
        })
    }

    /// The raw disk, of an image that is one. It is sparse.
    pub fn disk(&self) -> Option<Utf8PathBuf> {
        (self.kind == Kind::Disk).then(|| self.folder.join(DISK))
    }

    /// The kernel as it lies in the EFI system partition, of an image that is a disk.
    pub fn uki(&self) -> Option<Utf8PathBuf> {
        (self.kind == Kind::Disk).then(|| self.folder.join(UKI))
    }

    /// The folder with the files, of an image that is a tree.
    pub fn tree(&self) -> Option<Utf8PathBuf> {
        (self.kind == Kind::Tree).then(|| self.folder.join(TREE))
    }

    /// The OCI layout, of an image that is a container.
    pub fn oci_layout(&self) -> Option<&Utf8Path> {
        (self.kind == Kind::Container).then_some(&*self.folder)
    }

    /// What is inside it: packages, modules, crates.
    ///
    /// # Errors
    /// When the file that says it cannot be read.
    pub fn inventory(&self) -> Result<Inventory, ImageError> {
        let path = self.folder.join(INVENTORY);
        let text = fs_err::read(&path).map_err(ImageError::io("cannot read", &path))?;
        serde_json::from_slice(&text).map_err(|error| ImageError::io("cannot understand", &path)(error.into()))
    }

    /// What containers call it, without a registry: `coredns:1.15.0`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, self.facts.version)
    }
}

impl Facts {
    pub(crate) fn write(&self, folder: &Utf8Path) -> Result<(), ImageError> {
        let mut text = serde_json::to_vec_pretty(self).map_err(ImageError::document("image.json"))?;
        text.push(b'\n');
        Ok(write::atomically(&folder.join(FILE), text)?)
    }
}

pub(crate) fn write_inventory(inventory: &Inventory, folder: &Utf8Path) -> Result<(), ImageError> {
    let mut text = serde_json::to_vec_pretty(inventory).map_err(ImageError::document(INVENTORY))?;
    text.push(b'\n');
    Ok(write::atomically(&folder.join(INVENTORY), text)?)
}
