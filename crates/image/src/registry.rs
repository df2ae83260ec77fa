//! The storage of a registry: the layout of the CNCF's `distribution`, which then serves the images without a push.

use basalt_model::digest::{Digest, Hasher};
use basalt_progress::Reporter;
use basalt_store::{Store, write};
use camino::{Utf8Path, Utf8PathBuf};

use crate::container::blob_path;
use crate::facts::ContainerFacts;
use crate::{Image, ImageError};

/// Changes when storage is laid out differently for the same images.
const RECIPE: &str = "1";

/// A folder with container images, each under its name and version, for the registry to serve read-only.
///
/// # Errors
/// When an image is not a container, and when the store cannot be written.
pub fn registry(store: &Store, images: &[Image], reporter: &dyn Reporter) -> Result<Utf8PathBuf, ImageError> {
    let mut hasher = Hasher::new();
    hasher.fact("registry recipe", RECIPE);
    for image in images {
        hasher
            .fact("image", image.reference())
            .fact("key", image.key.as_bytes());
    }
    let key = hasher.finish();
    if let Some(path) = store.tree(&key) {
        return Ok(path);
    }
    let path = store.tree_or_make(&key, |folder| images.iter().try_for_each(|image| add(folder, image)))?;
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
        let blob = registry.join(format!("blobs/sha256/{}/{digest}/data", &digest.to_hex()[..2]));
        let parent = blob.parent().unwrap_or(&registry);
        fs_err::create_dir_all(parent).map_err(ImageError::io("cannot create", parent))?;
        if !blob.exists() {
            // The same file under a second name: images and registry are in one store.
            let from = image.folder.join(blob_path(digest));
            std::fs::hard_link(&from, &blob)
                .or_else(|_| std::fs::copy(&from, &blob).map(drop))
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
