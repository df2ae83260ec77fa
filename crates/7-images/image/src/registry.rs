//! Storage of a container registry, in the layout of the CNCF's `distribution`, which serves the images without a push.

use basalt_action::{Action, Directory, Node};
use basalt_digest::Digest;
use basalt_progress::Reporter;
use basalt_store::{Store, write};
use camino::{Utf8Path, Utf8PathBuf};

use crate::container::blob_path;
use crate::facts::ContainerFacts;
use crate::{Image, ImageError};

/// Returns a folder with container images as a registry's storage, each under its name and version, to be served
/// read-only.
///
/// # Errors
/// When an image is no container image, and when the store cannot be written.
pub fn registry(store: &Store, images: &[Image], reporter: &dyn Reporter) -> Result<Utf8PathBuf, ImageError> {
    let mut inputs = Directory::new();
    for image in images {
        let insert = inputs.insert(&image.reference(), Node::Tree(image.root));
        insert.map_err(|source| ImageError::Inputs {
            image: image.name.clone(),
            source,
        })?;
    }
    let action = Action::function("lay-out-registry", &[include_str!("registry.rs")], inputs);
    if let Some(known) = store.known_directory(&action.key())? {
        return Ok(store.directory_path(&known.root.digest));
    }
    let made = store.made_directory(&action, |folder| images.iter().try_for_each(|image| add(folder, image)))?;
    let path = store.directory_path(&made.root.digest);
    reporter.note(&format!("{} container images are ready to be served", images.len()));
    Ok(path)
}

fn add(folder: &Utf8Path, image: &Image) -> Result<(), ImageError> {
    let Some(facts) = &image.facts.container else {
        return Err(ImageError::NoContainer(image.name.clone()));
    };
    let ContainerFacts {
        manifest,
        config,
        layer,
        ..
    } = facts;
    let registry = folder.join("docker/registry/v2");
    for digest in [manifest, config, layer] {
        let blob = registry.join(format!("blobs/sha256/{:.2}/{digest}/data", digest.to_hex()));
        let parent = blob.parent().unwrap_or(&registry);
        fs_err::create_dir_all(parent).map_err(ImageError::io("cannot create", parent))?;
        if !blob.exists() {
            // Hard links save space: images and registry are in one store.
            let from = image.folder.join(blob_path(digest));
            fs_err::hard_link(&from, &blob)
                .or_else(|_| fs_err::copy(&from, &blob).map(drop))
                .map_err(ImageError::io("cannot link", &blob))?;
        }
    }
    let repository = registry.join("repositories").join(&image.name);
    let link = |path: String, digest: &Digest| write::atomically(&repository.join(path), format!("sha256:{digest}"));
    let tag = format!("_manifests/tags/{}", image.facts.version);
    link(format!("_manifests/revisions/sha256/{manifest}/link"), manifest)?;
    link(format!("{tag}/current/link"), manifest)?;
    link(format!("{tag}/index/sha256/{manifest}/link"), manifest)?;
    for digest in [config, layer] {
        link(format!("_layers/sha256/{digest}/link"), digest)?;
    }
    Ok(())
}
