//! OCI image layouts: `index.json` and blobs by digest.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>. Archives of docker (since 25), of
//! podman (`oci-archive`) and of containerd are layouts, too.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use basalt_digest::Digest;
use basalt_release::Arch;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::Deserialize;

use crate::folder::ImageFolder;
use crate::image::{ContainerImage, ImageBlob, Manifest};
use crate::{ImageReference, OciError, Platform};

/// File that makes a folder a layout.
pub(crate) const INDEX: &str = "index.json";
/// Greatest number of indexes inside each other.
const DEEPEST: usize = 4;
/// Greatest number of indexes and manifests that are followed, each as often as an index names it.
const MOST_DOCUMENTS: usize = 1000;

const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Annotation with the whole name, by containerd and docker.
const FULL_NAME: &str = "io.containerd.image.name";
/// Annotation with the name or the tag only.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Configuration of an image, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Configuration {
    pub os: String,
    pub architecture: String,
    pub rootfs: RootFs,
}

/// Layers of an image by the digests of their uncompressed archives.
#[derive(Debug, Deserialize)]
pub(crate) struct RootFs {
    #[serde(default)]
    pub diff_ids: Vec<Digest>,
}

impl Configuration {
    pub fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
        }
    }
}

/// Platform of the cluster's nodes.
pub(crate) fn wanted(arch: Arch) -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: arch.goarch().to_owned(),
    }
}

/// Reads all images of a layout that are for an architecture.
///
/// # Errors
/// When there is none, and when a file is not what the documents say.
pub(crate) fn read(folder: &ImageFolder, arch: Arch) -> Result<Vec<ContainerImage>, OciError> {
    let reader = LayoutReader {
        folder,
        wanted: wanted(arch),
        left: Cell::new(MOST_DOCUMENTS),
        checked: RefCell::default(),
    };
    let index: ImageIndex = folder.parse(INDEX, &folder.document(INDEX)?)?;
    let mut images: Vec<ContainerImage> = Vec::new();
    let mut others = Vec::new();
    let mut no_image = None;
    for descriptor in index.manifests() {
        match reader.resolve(descriptor, 0) {
            Ok(Ok((manifest, document))) => {
                let names = names(descriptor);
                // One manifest under several names is one image.
                if let Some(known) = images.iter_mut().find(|known| known.manifest.digest == manifest.digest) {
                    known.names.extend(names);
                    continue;
                }
                let blobs = reader.blobs(&document)?;
                images.push(ContainerImage { names, manifest, blobs });
            }
            Ok(Err(platforms)) => others.extend(platforms),
            // Tools put signatures and the like beside images.
            Err(error @ OciError::NoImage { .. }) => no_image = Some(error),
            Err(error) => return Err(error),
        }
    }
    match no_image {
        _ if !images.is_empty() => Ok(images),
        Some(error) if others.is_empty() => Err(error),
        _ => Err(OciError::Platform {
            place: folder.place().to_owned(),
            wanted: reader.wanted,
            there: others,
        }),
    }
}

/// Name in the annotations of an index's entry; none where only a tag is written.
fn names(descriptor: &Descriptor) -> Vec<ImageReference> {
    let annotations = descriptor.annotations().as_ref();
    let annotation = |key: &str| annotations.and_then(|annotations| annotations.get(key));
    let full = annotation(FULL_NAME);
    let partial = annotation(REF_NAME).filter(|text| text.contains(['/', ':']));
    full.or(partial)
        .and_then(|text| text.parse().ok())
        .into_iter()
        .collect()
}

/// Manifest with its content, or the platforms that there are instead.
type Resolved = Result<(Manifest, ImageManifest), Vec<Platform>>;

struct LayoutReader<'a> {
    folder: &'a ImageFolder,
    wanted: Platform,
    /// Number of documents that may still be followed.
    left: Cell<usize>,
    /// Blobs that were read, by the digest of their content: images of one layout share layers.
    checked: RefCell<BTreeMap<Digest, ImageBlob>>,
}

impl LayoutReader<'_> {
    /// Follows a descriptor to the manifest for the wanted platform.
    fn resolve(&self, descriptor: &Descriptor, depth: usize) -> Result<Resolved, OciError> {
        if let Some(platform) = platform(descriptor)
            && platform != self.wanted
        {
            return Ok(Err(known(platform)));
        }
        let name = self.blob_name(descriptor)?;
        if depth > DEEPEST {
            return Err(self.folder.unsupported(&name, "is an index too deep inside of others"));
        }
        let Some(left) = self.left.get().checked_sub(1) else {
            let problem = format!("comes after {MOST_DOCUMENTS} other indexes and manifests, which are too many");
            return Err(self.folder.unsupported(&name, problem));
        };
        self.left.set(left);
        match descriptor.media_type().as_ref() {
            OCI_INDEX | DOCKER_INDEX => {
                let index: ImageIndex = self.folder.parse(&name, &self.verified(&name, descriptor)?)?;
                self.choose(index.manifests(), depth + 1)
            }
            OCI_MANIFEST | DOCKER_MANIFEST => self.manifest(&name, descriptor),
            other => Err(self.folder.no_image(
                &name,
                format!("has the media type `{other}`, which is neither an image's manifest nor an index"),
            )),
        }
    }

    /// Follows the entries of an index to the first manifest for the wanted platform. Entries for all processors of the
    /// architecture come before those for newer ones only.
    fn choose(&self, entries: &[Descriptor], depth: usize) -> Result<Resolved, OciError> {
        let (baseline, newer): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| is_baseline(entry));
        let mut others = Vec::new();
        let mut no_image = None;
        for entry in baseline.into_iter().chain(newer) {
            match self.resolve(entry, depth) {
                Ok(Ok(found)) => return Ok(Ok(found)),
                Ok(Err(platforms)) => others.extend(platforms),
                Err(error @ OciError::NoImage { .. }) => no_image = Some(error),
                Err(error) => return Err(error),
            }
        }
        match no_image {
            Some(error) if others.is_empty() => Err(error),
            _ => Ok(Err(others)),
        }
    }

    fn manifest(&self, name: &str, descriptor: &Descriptor) -> Result<Resolved, OciError> {
        let bytes = self.verified(name, descriptor)?;
        let document: ImageManifest = self.folder.parse(name, &bytes)?;
        let config = document.config();
        if !matches!(config.media_type().as_ref(), OCI_CONFIG | DOCKER_CONFIG) {
            let kind = config.media_type();
            let problem = format!("is the manifest of something else than an image: its configuration is `{kind}`");
            return Err(self.folder.no_image(name, problem));
        }
        let config_name = self.blob_name(config)?;
        let configuration: Configuration = self.folder.parse(&config_name, &self.verified(&config_name, config)?)?;
        if configuration.platform() != self.wanted {
            return Ok(Err(known(configuration.platform())));
        }
        if configuration.rootfs.diff_ids.len() != document.layers().len() {
            let (layers, listed) = (document.layers().len(), configuration.rootfs.diff_ids.len());
            let problem = format!("lists {layers} layers, but the image's configuration {listed}");
            return Err(self.folder.invalid(name, problem));
        }
        let manifest = Manifest {
            digest: Digest::of(&bytes),
            media_type: descriptor.media_type().to_string(),
            bytes,
        };
        Ok(Ok((manifest, document)))
    }

    /// Reads a document, and compares it with its descriptor.
    fn verified(&self, name: &str, descriptor: &Descriptor) -> Result<Vec<u8>, OciError> {
        let bytes = self.folder.document(name)?;
        self.compare(name, descriptor, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    fn compare(&self, name: &str, descriptor: &Descriptor, digest: Digest, size: u64) -> Result<(), OciError> {
        if size != descriptor.size() {
            let problem = format!("has {size} bytes, not {}", descriptor.size());
            return Err(self.folder.content(name, problem));
        }
        if digest != self.digest(descriptor)? {
            let problem = format!("has the digest sha256:{digest}, not {}", descriptor.digest());
            return Err(self.folder.content(name, problem));
        }
        Ok(())
    }

    /// Configuration and layers of a manifest, each compared with its descriptor.
    fn blobs(&self, document: &ImageManifest) -> Result<Vec<ImageBlob>, OciError> {
        let mut blobs = BTreeMap::new();
        for descriptor in std::iter::once(document.config()).chain(document.layers()) {
            let digest = self.digest(descriptor)?;
            if blobs.contains_key(&digest) {
                continue;
            }
            let name = self.blob_name(descriptor)?;
            let kind: &str = descriptor.media_type().as_ref();
            if kind.contains("nondistributable") || kind.contains(".foreign.") {
                let problem = "is a layer that is not passed on with the image, but fetched from elsewhere";
                return Err(self.folder.unsupported(&name, problem));
            }
            blobs.insert(digest, self.blob(&name, digest, descriptor)?);
        }
        Ok(blobs.into_values().collect())
    }

    /// Reads a blob, unless it was read before, and compares it with its descriptor.
    fn blob(&self, name: &str, digest: Digest, descriptor: &Descriptor) -> Result<ImageBlob, OciError> {
        if let Some(known) = self.checked.borrow().get(&digest) {
            self.compare(name, descriptor, known.digest, known.size)?;
            return Ok(known.clone());
        }
        let (actual, size) = self.folder.digest(name)?;
        self.compare(name, descriptor, actual, size)?;
        let path = self.folder.file(name)?;
        let blob = ImageBlob { digest, size, path };
        self.checked.borrow_mut().insert(digest, blob.clone());
        Ok(blob)
    }

    fn digest(&self, descriptor: &Descriptor) -> Result<Digest, OciError> {
        let digits = descriptor.as_digest_sha256().and_then(|digits| digits.parse().ok());
        digits.ok_or_else(|| {
            let problem = "is a digest of another kind than SHA-256";
            self.folder.unsupported(descriptor.digest().as_ref(), problem)
        })
    }

    fn blob_name(&self, descriptor: &Descriptor) -> Result<String, OciError> {
        Ok(format!("blobs/sha256/{}", self.digest(descriptor)?))
    }
}

fn platform(descriptor: &Descriptor) -> Option<Platform> {
    let platform = descriptor.platform().as_ref()?;
    Some(Platform {
        os: platform.os().to_string(),
        architecture: platform.architecture().to_string(),
    })
}

/// Checks for an entry that runs on every processor of its architecture, by the variants that Go and the OCI's
/// specification of indexes define: `linux/amd64/v3` does not.
fn is_baseline(descriptor: &Descriptor) -> bool {
    let variant = descriptor
        .platform()
        .as_ref()
        .and_then(|platform| platform.variant().as_deref());
    matches!(variant, None | Some("" | "v1" | "v8"))
}

/// A platform for an error; none for attestations, which docker files under `unknown/unknown`.
fn known(platform: Platform) -> Vec<Platform> {
    Some(platform)
        .filter(|platform| platform.os != "unknown")
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests;
