//! Archives of `docker save` before version 25, of `podman save` and of `crane pull`: `manifest.json`, configurations, and
//! layers as tar archives.
//!
//! They have no manifest as registries know it: one of OCI's is made, which names the files as they are.

use std::collections::BTreeMap;
use std::fmt::Display;
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
    let mut reader = ArchiveReader {
        folder,
        wanted: wanted(arch),
        layers: BTreeMap::new(),
    };
    let entries: Vec<Entry> = folder.parse(MANIFEST, &folder.document(MANIFEST)?)?;
    let mut images = Vec::new();
    let mut others = Vec::new();
    for entry in &entries {
        match reader.image(entry)? {
            Ok(image) => images.push(image),
            Err(platform) => others.push(platform),
        }
    }
    if images.is_empty() {
        return Err(OciError::Platform {
            place: folder.place().to_owned(),
            wanted: reader.wanted,
            there: others,
        });
    }
    Ok(images)
}

/// Layer that was read.
#[derive(Debug, Clone)]
struct Layer {
    kind: MediaType,
    /// Digest of the uncompressed archive.
    plain: Digest,
    blob: ImageBlob,
}

struct ArchiveReader<'a> {
    folder: &'a ImageFolder,
    wanted: Platform,
    /// Layers that were read, by name: images of one archive share some.
    layers: BTreeMap<String, Layer>,
}

impl ArchiveReader<'_> {
    /// Reads one image; its platform where that is another one.
    fn image(&mut self, entry: &Entry) -> Result<Result<ContainerImage, Platform>, OciError> {
        let folder = self.folder;
        let config = folder.document(&entry.config)?;
        let digest = Digest::of(&config);
        if let Some(named) = named_digest(&entry.config)
            && named != digest
        {
            return Err(folder.content(&entry.config, format!("has the digest sha256:{digest}")));
        }
        let configuration: Configuration = folder.parse(&entry.config, &config)?;
        if configuration.platform() != self.wanted {
            return Ok(Err(configuration.platform()));
        }
        let config = ImageBlob {
            digest,
            size: config.len() as u64,
            path: folder.file(&entry.config)?,
        };
        let layers = self.layers(entry, &configuration.rootfs.diff_ids)?;
        let manifest = manifest(folder, &config, &layers)?;
        let blobs = layers.into_iter().map(|layer| layer.blob).chain([config]);
        let blobs: BTreeMap<_, _> = blobs.map(|blob| (blob.digest, blob)).collect();
        let tags = entry.repo_tags.as_deref().unwrap_or_default();
        Ok(Ok(ContainerImage {
            names: tags.iter().filter_map(|tag| tag.parse().ok()).collect(),
            manifest,
            blobs: blobs.into_values().collect(),
        }))
    }

    /// Reads the layers of an image, whose uncompressed archives have to have the digests `identities`.
    fn layers(&mut self, entry: &Entry, identities: &[Digest]) -> Result<Vec<Layer>, OciError> {
        let names = entry.layers.as_deref().unwrap_or_default();
        if names.len() != identities.len() {
            let (listed, known) = (names.len(), identities.len());
            let problem = format!("lists {listed} layers, but `{}` {known}", entry.config);
            return Err(self.folder.invalid(MANIFEST, problem));
        }
        let mut layers = Vec::new();
        for (name, identity) in names.iter().zip(identities) {
            let layer = self.layer(name)?;
            if layer.plain != *identity {
                let plain = layer.plain;
                let problem = format!(
                    "is a layer with the digest sha256:{plain}, but the image's configuration has sha256:{identity}"
                );
                return Err(self.folder.content(name, problem));
            }
            layers.push(layer);
        }
        Ok(layers)
    }

    /// Reads a layer, unless it was read before.
    fn layer(&mut self, name: &str) -> Result<Layer, OciError> {
        if let Some(known) = self.layers.get(name) {
            return Ok(known.clone());
        }
        let (digest, size) = self.folder.digest(name)?;
        let path = self.folder.file(name)?;
        let (compression, reader) = compression::open(&path)?;
        let kind = match compression {
            Compression::Gzip => MediaType::ImageLayerGzip,
            Compression::Zstd => MediaType::ImageLayerZstd,
            Compression::None | Compression::Unread(_) => MediaType::ImageLayer,
        };
        let plain = if compression == Compression::None {
            digest
        } else {
            let left = LARGEST_LAYER;
            let limited = Limited { reader, left };
            let read = Digest::of_reader(limited).map_err(OciError::file("uncompress", &path))?;
            read.0
        };
        let blob = ImageBlob { digest, size, path };
        let layer = Layer { kind, plain, blob };
        self.layers.insert(name.to_owned(), layer.clone());
        Ok(layer)
    }
}

/// Makes the manifest that the archive lacks.
fn manifest(folder: &ImageFolder, config: &ImageBlob, layers: &[Layer]) -> Result<Manifest, OciError> {
    let described: Result<Vec<_>, _> = layers
        .iter()
        .map(|layer| descriptor(folder, layer.kind.clone(), &layer.blob))
        .collect();
    let impossible = |error: &dyn Display| folder.invalid(MANIFEST, format!("makes no manifest: {error}"));
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(folder, MediaType::ImageConfig, config)?)
        .layers(described?)
        .build()
        .map_err(|error| impossible(&error))?;
    let bytes = serde_json::to_vec(&manifest).map_err(|error| impossible(&error))?;
    Ok(Manifest {
        digest: Digest::of(&bytes),
        media_type: MediaType::ImageManifest.to_string(),
        bytes,
    })
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

    fn zstd(content: &[u8]) -> Vec<u8> {
        zstd::encode_all(content, 1).expect("packed")
    }

    /// Layers of the image, by name.
    const LAYERS: [&str; 3] = ["one/layer.tar", "two.tar.gz", "three.tar"];

    struct Fixture {
        folder: tempfile::TempDir,
    }

    impl Fixture {
        /// Writes an image with a plain layer, one by gzip and one by zstd.
        fn new() -> Self {
            let fixture = Self {
                folder: tempfile::tempdir().expect("a folder"),
            };
            fs_err::create_dir(fixture.path().join("one")).expect("made");
            fs_err::write(fixture.path().join("one/layer.tar"), "one").expect("written");
            fs_err::write(fixture.path().join("two.tar.gz"), gzip(b"two")).expect("written");
            fs_err::write(fixture.path().join("three.tar"), zstd(b"three")).expect("written");
            let config = json!({
                "os": "linux", "architecture": "amd64",
                "rootfs": { "diff_ids": [Digest::of("one"), Digest::of("two"), Digest::of("three")] },
            });
            let config = config.to_string();
            let name = format!("{}.json", Digest::of(&config));
            fs_err::write(fixture.path().join(&name), config).expect("written");
            fixture.list(&name, &LAYERS);
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
        let expected = [
            MediaType::ImageLayer,
            MediaType::ImageLayerGzip,
            MediaType::ImageLayerZstd,
        ];
        assert_eq!(kinds, expected.iter().collect::<Vec<_>>());
        assert_eq!(manifest.layers()[0].digest().digest(), Digest::of("one").to_hex());
        assert_eq!(image.manifest.digest, Digest::of(&image.manifest.bytes));
        assert_eq!(image.blobs.len(), 4);
    }

    #[test]
    fn archives_of_crane_are_read() {
        let fixture = Fixture::new();
        let config = fixture.config();
        let named = format!("sha256:{}", config.trim_end_matches(".json"));
        fs_err::rename(fixture.path().join(config), fixture.path().join(&named)).expect("renamed");
        fixture.list(&named, &LAYERS);
        assert_eq!(fixture.read().expect("read").len(), 1);
    }

    #[test]
    fn layers_that_images_share_are_compared_with_each_configuration() {
        let fixture = Fixture::new();
        let configs = ["one", "0ne"].map(|first| {
            let config = json!({
                "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": [Digest::of(first)] },
            });
            let name = format!("{first}.json");
            fs_err::write(fixture.path().join(&name), config.to_string()).expect("written");
            name
        });
        let list = |configs: &[&String]| {
            let entries = configs
                .iter()
                .map(|config| json!({ "Config": config, "Layers": ["one/layer.tar"] }));
            let list: serde_json::Value = entries.collect();
            fs_err::write(fixture.path().join(MANIFEST), list.to_string()).expect("written");
        };
        list(&[&configs[0], &configs[0]]);
        assert_eq!(fixture.read().expect("read").len(), 2);
        list(&[&configs[0], &configs[1]]);
        assert!(
            fixture.fails().contains("is a layer with the digest"),
            "{}",
            fixture.fails()
        );
    }

    #[test]
    fn layers_are_compared_with_the_configuration() {
        let fixture = Fixture::new();
        for (file, content) in [
            ("one/layer.tar", b"0ne".to_vec()),
            ("two.tar.gz", gzip(b"too")),
            ("three.tar", zstd(b"tree")),
        ] {
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
            (vec!["../../etc/passwd", "", ""], "is not a path in the image"),
            (vec!["/etc/passwd", "", ""], "is not a path in the image"),
            (vec!["one/layer.tar", "four.tar", ""], "is not there"),
            (vec!["one/layer.tar", "", ""], "is not a path in the image"),
            (vec!["one/layer.tar", "one", ""], "is not there"),
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
        fixture.list(&other, &LAYERS);
        assert!(
            fixture.fails().contains("has the digest sha256:"),
            "{}",
            fixture.fails()
        );
    }
}
