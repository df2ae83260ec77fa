//! Container images of others: OCI layouts and archives of docker and podman, read, checked, and pushed to a registry.
//!
//! ```text
//! word of the user --(find)--> folder | archive | name in the local docker, podman or containerd
//! name --(export, by the engine's own client)--> archive --(unpack: basalt-archive's checks)--> folder
//! folder --(layout: index.json | docker: manifest.json)--> ContainerImage: names, manifest, blobs that are what they say
//! ContainerImage --(push: OCI distribution API)--> registry
//! ```
//!
//! Nothing is believed: every blob is hashed before it is pushed, and an error names the archive and the file in it.

mod compression;
mod docker;
mod engine;
mod error;
mod find;
mod folder;
mod image;
mod layout;
mod push;
mod reference;
mod unpack;

pub use engine::ContainerEngine;
pub use error::{OciError, Platform};
pub use find::find;
pub use image::{ContainerImage, ImageBlob, Manifest};
pub use push::RegistryClient;
pub use reference::{ImageReference, is_host};
