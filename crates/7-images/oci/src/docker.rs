//! Archives of `docker save` before version 25, of `podman save` and of `crane pull`: `manifest.json`, configurations, and
//! layers as tar archives.
//!
//! They have no manifest as registries know it: one of OCI's is made, which names the files as they are.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use basalt_digest::Digest;
use basalt_release::Arch;
use oci_spec::image::{Descriptor, ImageManifestBuilder, MediaType, SCHEMA_VERSION, Sha256Digest};
use serde::Deserialize;

use crate::compression::{self, Compression, Limited};
use crate::folder::ImageFolder;
use crate::image::{ContainerImage, ImageBlob, Manifest};
use crate::layout::{Configuration, wanted};
use crate::{OciError, Platform};

/// File that makes a folder an archive of docker.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Greatest size of a layer, uncompressed, in bytes.
const LARGEST_LAYER: u64 = 64 << 30;

/// Entry of `manifest.json`: an image.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Reads all images of an archive that are for an architecture.
///
/// # Errors
/// When there is none, and when a file is not what the documents say.
pub(crate) fn read(folder: &ImageFolder, arch: Arch) -> Result<Vec<ContainerImage>, OciError> {
    let wanted = wanted(arch);
    let entries: Vec<Entry> = folder.parse(MANIFEST, &folder.document(MANIFEST)?)?;
    let mut images = Vec::new();
    let mut others = Vec::new();
    for entry in &entries {
        match image(folder, entry, &wanted)? {
            Ok(image) => images.push(image),
            Err(platform) => others.push(platform),
        }
    }
    if images.is_empty() {
        return Err(OciError::Platform {
            place: folder.place().to_owned(),
            wanted,
            there: others,
        });
    }
    Ok(images)
}

/// Reads one image; its platform where that is another one.
fn image(folder: &ImageFolder, entry: &Entry, wanted: &Platform) -> Result<Result<ContainerImage, Platform>, OciError> {
    let config = folder.document(&entry.config)?;
    let digest = Digest::of(&config);
    if let Some(named) = named_digest(&entry.config)
        && named != digest
    {
        return Err(folder.content(&entry.config, format!("has the digest sha256:{digest}")));
    }
    let configuration: Configuration = folder.parse(&entry.config, &config)?;
    if configuration.platform() != *wanted {
        return Ok(Err(configuration.platform()));
    }
    let layers = entry.layers.as_deref().unwrap_or_default();
    let identities = &configuration.rootfs.diff_ids;
    if layers.len() != identities.len() {
        let problem = format!(
            "lists {} layers, but `{}` {}",
            layers.len(),
            entry.config,
            identities.len()
        );
        return Err(folder.invalid(MANIFEST, problem));
    }
    let config = ImageBlob {
        digest,
        size: config.len() as u64,
        path: folder.file(&entry.config)?,
    };
    let mut described = Vec::new();
    let mut blobs = BTreeMap::from([(digest, config.clone())]);
    for (name, identity) in layers.iter().zip(identities) {
        let (kind, blob) = layer(folder, name, *identity)?;
        described.push(descriptor(folder, kind, &blob)?);
        blobs.insert(blob.digest, blob);
    }
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(folder, MediaType::ImageConfig, &config)?)
        .layers(described)
        .build()
        .map_err(|error| folder.invalid(MANIFEST, format!("makes no manifest: {error}")))?;
    let bytes = serde_json::to_vec(&manifest)
        .map_err(|error| folder.invalid(MANIFEST, format!("makes no manifest: {error}")))?;
    let tags = entry.repo_tags.as_deref().unwrap_or_default();
    Ok(Ok(ContainerImage {
        names: tags.iter().filter_map(|tag| tag.parse().ok()).collect(),
        manifest: Manifest {
            digest: Digest::of(&bytes),
            media_type: MediaType::ImageManifest.to_string(),
            bytes,
        },
        blobs: blobs.into_values().collect(),
    }))
}

/// Reads a layer, whose uncompressed archive has to have the digest `identity`.
fn layer(folder: &ImageFolder, name: &str, identity: Digest) -> Result<(MediaType, ImageBlob), OciError> {
    let (digest, size) = folder.digest(name)?;
    let path = folder.file(name)?;
    let (compression, reader) = compression::open(&path)?;
    let (kind, plain) = match compression {
        Compression::Gzip | Compression::Zstd => {
            let limited = Limited {
                reader,
                left: LARGEST_LAYER,
            };
            let (plain, _) = Digest::of_reader(limited).map_err(OciError::file("uncompress", &path))?;
            let kind = match compression {
                Compression::Zstd => MediaType::ImageLayerZstd,
                _ => MediaType::ImageLayerGzip,
            };
            (kind, plain)
        }
        Compression::None | Compression::Unread(_) => (MediaType::ImageLayer, digest),
    };
    if plain != identity {
        let problem =
            format!("is a layer with the digest sha256:{plain}, but the image's configuration has sha256:{identity}");
        return Err(folder.content(name, problem));
    }
    Ok((kind, ImageBlob { digest, size, path }))
}

fn descriptor(folder: &ImageFolder, kind: MediaType, blob: &ImageBlob) -> Result<Descriptor, OciError> {
    let digest = Sha256Digest::from_str(&blob.digest.to_hex())
        .map_err(|error| folder.invalid(MANIFEST, format!("makes no manifest: {error}")))?;
    Ok(Descriptor::new(kind, blob.size, digest))
}

/// Digest that a configuration's name consists of: `<digest>.json`, `sha256:<digest>`, `blobs/sha256/<digest>`.
fn named_digest(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.strip_suffix(".json").unwrap_or(last).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use camino::Utf8Path;
    use oci_spec::image::ImageManifest;
    use serde_json::json;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).expect("written");
        encoder.finish().expect("packed")
    }

    struct Fixture {
        folder: tempfile::TempDir,
    }

    impl Fixture {
        /// Writes an image with one plain layer and one that is compressed.
        fn new() -> Self {
            let fixture = Self {
                folder: tempfile::tempdir().expect("a folder"),
            };
            fs_err::create_dir(fixture.path().join("one")).expect("made");
            fs_err::write(fixture.path().join("one/layer.tar"), "one").expect("written");
            fs_err::write(fixture.path().join("two.tar.gz"), gzip(b"two")).expect("written");
            let config = json!({
                "os": "linux", "architecture": "amd64",
                "rootfs": { "diff_ids": [Digest::of("one"), Digest::of("two")] },
            });
            let config = config.to_string();
            let name = format!("{}.json", Digest::of(&config));
            fs_err::write(fixture.path().join(&name), config).expect("written");
            fixture.list(&name, &["one/layer.tar", "two.tar.gz"]);
            fixture
        }

        fn path(&self) -> &Utf8Path {
            Utf8Path::from_path(self.folder.path()).expect("UTF-8")
        }

        fn list(&self, config: &str, layers: &[&str]) {
            let list = json!([{ "Config": config, "RepoTags": ["app:1", "quay.io/me/app:2"], "Layers": layers }]);
            fs_err::write(self.path().join(MANIFEST), list.to_string()).expect("written");
        }

        fn config(&self) -> String {
            let entries = self.path().read_dir_utf8().expect("listed").flatten();
            let mut names = entries.map(|entry| entry.file_name().to_owned());
            names.find(|name| name.len() > 64).expect("there is one")
        }

        fn read(&self) -> Result<Vec<ContainerImage>, OciError> {
            read(&ImageFolder::new(self.path(), "app.tar"), Arch::X86_64)
        }

        fn fails(&self) -> String {
            self.read().expect_err("refused").to_string()
        }
    }

    #[test]
    fn a_manifest_is_made() {
        let fixture = Fixture::new();
        let images = fixture.read().expect("read");
        let [image] = &images[..] else {
            panic!("one image: {images:?}")
        };
        let names: Vec<_> = image.names.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["docker.io/library/app:1", "quay.io/me/app:2"]);
        let manifest: ImageManifest = serde_json::from_slice(&image.manifest.bytes).expect("a manifest");
        let kinds: Vec<_> = manifest.layers().iter().map(Descriptor::media_type).collect();
        assert_eq!(kinds, [&MediaType::ImageLayer, &MediaType::ImageLayerGzip]);
        assert_eq!(manifest.layers()[0].digest().digest(), Digest::of("one").to_hex());
        assert_eq!(image.manifest.digest, Digest::of(&image.manifest.bytes));
        assert_eq!(image.blobs.len(), 3);
    }

    #[test]
    fn layers_are_compared_with_the_configuration() {
        let fixture = Fixture::new();
        for (file, content) in [("one/layer.tar", b"0ne".to_vec()), ("two.tar.gz", gzip(b"too"))] {
            let path = fixture.path().join(file);
            let right = fs_err::read(&path).expect("read");
            fs_err::write(&path, content).expect("written");
            let error = fixture.fails();
            assert!(
                error.starts_with(&format!("app.tar: `{file}` is a layer with the digest")),
                "{error}"
            );
            fs_err::write(&path, right).expect("written");
        }
        fixture.read().expect("whole again");
    }

    #[test]
    fn hostile_lists_are_refused() {
        let fixture = Fixture::new();
        let config = fixture.config();
        for (layers, expected) in [
            (vec!["one/layer.tar"], "lists 1 layers"),
            (vec!["one/layer.tar", "../../etc/passwd"], "is not a path in the image"),
            (vec!["one/layer.tar", "/etc/passwd"], "is not a path in the image"),
            (vec!["one/layer.tar", "three.tar"], "is not there"),
            (vec!["one/layer.tar", ""], "is not a path in the image"),
            (vec!["one/layer.tar", "one"], "is not there"),
        ] {
            fixture.list(&config, &layers);
            assert!(fixture.fails().contains(expected), "{layers:?}: {}", fixture.fails());
        }
        fs_err::write(fixture.path().join(MANIFEST), "[]").expect("written");
        assert!(
            fixture.fails().contains("no image for linux/amd64"),
            "{}",
            fixture.fails()
        );
        fs_err::write(fixture.path().join(MANIFEST), "{}").expect("written");
        assert!(fixture.fails().contains("cannot be understood"), "{}", fixture.fails());
    }

    #[test]
    fn a_configuration_under_another_digest_is_refused() {
        let fixture = Fixture::new();
        let config = fixture.config();
        let other = format!("{}.json", Digest::of("other"));
        fs_err::rename(fixture.path().join(&config), fixture.path().join(&other)).expect("renamed");
        fixture.list(&other, &["one/layer.tar", "two.tar.gz"]);
        assert!(
            fixture.fails().contains("has the digest sha256:"),
            "{}",
            fixture.fails()
        );
    }
}
