//! Container images: one layer, a configuration and a manifest in an OCI image layout.

use std::io::{self, BufWriter, Write};
use std::str::FromStr as _;

use crate::definition::ContainerSettings;
use basalt_digest::{Digest, Hasher};
use basalt_release::Arch;
use basalt_store::write;
use camino::Utf8Path;
use fs_err::File;
use oci_spec::image::{
    ConfigBuilder, Descriptor, ImageConfiguration, ImageConfigurationBuilder, ImageIndex, ImageIndexBuilder,
    ImageManifest, ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use serde::Serialize;

use crate::facts::ContainerFacts;
use crate::root::Root;
use crate::{ImageError, ImagePackage, archive};

/// [`crate::BUILD_TIME`] in the format of RFC 3339.
const CREATED: &str = "2025-10-09T08:53:20Z";
/// zstd level of layers. The speed of decompression does not depend on it.
const LEVEL: i32 = 9;

/// Returns the path of a blob in an OCI image layout.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{digest}")
}

/// Writes the image into an empty folder, as an OCI image layout.
pub(crate) fn write(
    folder: &Utf8Path,
    arch: Arch,
    settings: &ContainerSettings,
    root: &Root,
    payloads: &[ImagePackage<'_>],
) -> Result<ContainerFacts, ImageError> {
    let blobs = folder.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).map_err(ImageError::io("cannot create", &blobs))?;
    let layer = write_layer(folder, root, payloads)?;
    let config = write_blob(folder, &configuration(arch, settings, &layer)?)?;
    let manifest = write_blob(folder, &manifest(&config, &layer)?)?;
    write::atomically(&folder.join("index.json"), json(&index(&manifest)?)?)?;
    let layout = OciLayoutBuilder::default()
        .image_layout_version("1.0.0")
        .build()
        .map_err(ImageError::document("the layout of the container image"))?;
    write::atomically(&folder.join("oci-layout"), json(&layout)?)?;
    Ok(ContainerFacts {
        manifest: manifest.0,
        config: config.0,
        layer: layer.packed,
        download_bytes: manifest.1 + config.1 + layer.size,
    })
}

/// Returns the configuration of the image, with the digest of its layer.
fn configuration(arch: Arch, settings: &ContainerSettings, layer: &Layer) -> Result<ImageConfiguration, ImageError> {
    let mut environment = vec!["PATH=/usr/bin".to_owned()];
    environment.retain(|_| !settings.environment.contains_key("PATH"));
    let variables = settings.environment.iter();
    environment.extend(variables.map(|(name, value)| format!("{name}={value}")));
    let mut config = ConfigBuilder::default().env(environment);
    if let Some(entrypoint) = &settings.entrypoint {
        config = config.entrypoint(entrypoint.clone());
    }
    if let Some(command) = &settings.command {
        config = config.cmd(command.clone());
    }
    if let Some(user) = &settings.user {
        config = config.user(user.clone());
    }
    let rootfs = RootFsBuilder::default()
        .diff_ids(vec![format!("sha256:{}", layer.plain)])
        .build();
    let image = rootfs.and_then(|rootfs| {
        ImageConfigurationBuilder::default()
            .created(CREATED)
            .architecture(arch.goarch())
            .os(Os::Linux)
            .config(config.build()?)
            .rootfs(rootfs)
            .build()
    });
    image.map_err(ImageError::document("the configuration of the container image"))
}

/// Returns the manifest of a configuration and a layer.
fn manifest(config: &(Digest, u64), layer: &Layer) -> Result<ImageManifest, ImageError> {
    let packed = (layer.packed, layer.size);
    ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, config)?)
        .layers(vec![descriptor(MediaType::ImageLayerZstd, &packed)?])
        .build()
        .map_err(ImageError::document("the manifest of the container image"))
}

/// Returns the index of one manifest.
fn index(manifest: &(Digest, u64)) -> Result<ImageIndex, ImageError> {
    ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(vec![descriptor(MediaType::ImageManifest, manifest)?])
        .build()
        .map_err(ImageError::document("the index of the container image"))
}

struct Layer {
    /// Digest of the uncompressed archive (`diff_id`).
    plain: Digest,
    /// Digest of the compressed archive.
    packed: Digest,
    /// Size of the compressed archive in bytes.
    size: u64,
}

fn write_layer(folder: &Utf8Path, root: &Root, payloads: &[ImagePackage<'_>]) -> Result<Layer, ImageError> {
    let path = folder.join("layer");
    let failed = || ImageError::io("cannot write", &path);
    let file = BufWriter::with_capacity(1 << 20, File::create(&path).map_err(failed())?);
    let packed = zstd::Encoder::new(Hashing::new(file), LEVEL).map_err(failed())?;
    let mut plain = Hashing::new(packed);
    archive::write(root, payloads, &mut plain)?;
    let (plain_digest, packed, _) = plain.finish();
    let (digest, mut file, size) = packed.finish().map_err(failed())?.finish();
    file.flush().map_err(failed())?;
    fs_err::rename(&path, folder.join(blob_path(&digest))).map_err(failed())?;
    Ok(Layer {
        plain: plain_digest,
        packed: digest,
        size,
    })
}

/// Writer that hashes and counts the bytes that pass through it.
struct Hashing<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Hasher::new(),
            size: 0,
        }
    }

    fn finish(self) -> (Digest, W, u64) {
        (self.hasher.finish(), self.inner, self.size)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.write_all(buffer.get(..written).unwrap_or_default())?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn json(document: &impl Serialize) -> Result<Vec<u8>, ImageError> {
    // `Value` sorts keys, so that the same document always has the same bytes.
    serde_json::to_value(document)
        .and_then(|value| serde_json::to_vec(&value))
        .map_err(ImageError::document("the container image"))
}

fn write_blob(folder: &Utf8Path, document: &impl Serialize) -> Result<(Digest, u64), ImageError> {
    let bytes = json(document)?;
    let digest = Digest::of(&bytes);
    write::atomically(&folder.join(blob_path(&digest)), &bytes)?;
    Ok((digest, bytes.len() as u64))
}

fn descriptor(kind: MediaType, (digest, size): &(Digest, u64)) -> Result<Descriptor, ImageError> {
    let digest = Sha256Digest::from_str(&digest.to_hex()).map_err(ImageError::document("a descriptor"))?;
    Ok(Descriptor::new(kind, *size, digest))
}
