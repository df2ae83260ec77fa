//! Facts about a finished image: `image.json` in its folder.

use crate::definition::raw::Kind;
use basalt_action::{Action, Blob, OutputDirectory};
use basalt_bom::Inventory;
use basalt_digest::Digest;
use basalt_release::Arch;
use basalt_store::{Store, write};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::ImageError;

/// Name of the file with the facts.
const FILE: &str = "image.json";
/// Name of the file with the inventory.
const INVENTORY: &str = "inventory.json";
/// Name of the file with the disk.
pub(crate) const DISK: &str = "disk.raw";
/// Name of the file with the unified kernel image, as in the EFI system partition.
pub(crate) const UKI: &str = "kernel.efi";
/// Name of the folder with the files of a tree.
pub(crate) const TREE: &str = "root";

/// Finished image in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Name of the image.
    pub name: String,
    /// Kind of the image.
    pub kind: Kind,
    /// Key: digest of the action that composed the image.
    pub key: Digest,
    /// Digest of the folder's content.
    pub root: Blob,
    /// Folder in the store.
    pub folder: Utf8PathBuf,
    /// Facts from `image.json`.
    pub facts: Facts,
}

/// Facts about an image: packages, sizes, digests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Name of the image.
    pub name: String,
    /// Kind of the image.
    pub kind: Kind,
    /// Architecture of the image.
    pub arch: Arch,
    /// Version of the image: that of the first package in its definition.
    pub version: String,
    /// Packages, sorted by name.
    pub packages: Vec<InstalledPackage>,
    /// Total size of the files in bytes.
    pub content_bytes: u64,
    /// Facts about the disk; only for images of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskFacts>,
    /// Facts about the container image; only for images of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerFacts>,
}

/// Package in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledPackage {
    /// Name, version, release and architecture: `zlib-1.3.1-1.bs1.x86_64`.
    pub nevra: String,
    /// File name of the source package.
    pub source: String,
    /// Licence, an SPDX expression.
    pub license: String,
    /// Digest of the RPM.
    pub digest: Digest,
}

/// Facts about a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiskFacts {
    /// `IMAGE_VERSION` of os-release, from the digest of the image's inputs.
    pub image_version: String,
    /// Size of the disk in bytes; the file is sparse.
    pub size_bytes: u64,
    /// Release of the kernel, as printed by `uname -r`.
    pub kernel: String,
    /// Kernel command line.
    pub command_line: String,
    /// Root hash of the hash tree (dm-verity), in hexadecimal digits.
    pub root_hash: String,
    /// Size of the compressed root file system in bytes.
    pub root_bytes: u64,
    /// Size of the unified kernel image in bytes.
    pub kernel_bytes: u64,
    /// Partitions, in the order of the partition table.
    pub partitions: Vec<PartitionFacts>,
}

/// Partition of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionFacts {
    /// Label (partition name): `root-a`.
    pub label: String,
    /// Type GUID, from the Discoverable Partitions Specification.
    pub type_guid: String,
    /// GUID of the partition (PARTUUID).
    pub guid: String,
    /// Offset on the disk in bytes.
    pub offset_bytes: u64,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// Facts about a container image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerFacts {
    /// Digest of the manifest.
    pub manifest: Digest,
    /// Digest of the configuration.
    pub config: Digest,
    /// Digest of the only layer, compressed.
    pub layer: Digest,
    /// Size of the download of a node in bytes: manifest, configuration and layer.
    pub download_bytes: u64,
}

impl Image {
    /// Returns the image that an action composed, with the facts from its folder.
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

    /// Returns the path of the raw disk, a sparse file; `None` if the image is no disk.
    pub fn disk(&self) -> Option<Utf8PathBuf> {
        (self.kind == Kind::Disk).then(|| self.folder.join(DISK))
    }

    /// Returns the path of the unified kernel image, as in the EFI system partition; `None` if the image is no disk.
    pub fn uki(&self) -> Option<Utf8PathBuf> {
        (self.kind == Kind::Disk).then(|| self.folder.join(UKI))
    }

    /// Returns the folder with the files; `None` if the image is no tree.
    pub fn tree(&self) -> Option<Utf8PathBuf> {
        (self.kind == Kind::Tree).then(|| self.folder.join(TREE))
    }

    /// Returns the folder with the OCI image layout; `None` if the image is no container image.
    pub fn oci_layout(&self) -> Option<&Utf8Path> {
        (self.kind == Kind::Container).then_some(&*self.folder)
    }

    /// Reads the inventory: packages, modules, crates.
    ///
    /// # Errors
    /// When its file cannot be read or decoded.
    pub fn inventory(&self) -> Result<Inventory, ImageError> {
        let path = self.folder.join(INVENTORY);
        let text = fs_err::read(&path).map_err(ImageError::io("cannot read", &path))?;
        serde_json::from_slice(&text).map_err(|error| ImageError::io("cannot understand", &path)(error.into()))
    }

    /// Returns the name of the container image with its tag, without a registry: `coredns:1.15.0`.
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
