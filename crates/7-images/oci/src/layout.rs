//! OCI image layouts: `index.json` and blobs by digest.
//!
//! Format: <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>. Archives of docker (since 25), of
//! podman (`oci-archive`) and of containerd are layouts, too.

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
    };
    let index: ImageIndex = folder.parse(INDEX, &folder.document(INDEX)?)?;
    let mut images: Vec<ContainerImage> = Vec::new();
    let mut others = Vec::new();
    for descriptor in index.manifests() {
        match reader.resolve(descriptor, 0)? {
            Ok((manifest, document)) => {
                let names = names(descriptor);
                // One manifest under several names is one image.
                if let Some(known) = images.iter_mut().find(|known| known.manifest.digest == manifest.digest) {
                    known.names.extend(names);
                    continue;
                }
                let blobs = reader.blobs(&document)?;
                images.push(ContainerImage { names, manifest, blobs });
            }
            Err(platforms) => others.extend(platforms),
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
        match descriptor.media_type().as_ref() {
            OCI_INDEX | DOCKER_INDEX => {
                let index: ImageIndex = self.folder.parse(&name, &self.verified(&name, descriptor)?)?;
                let mut others = Vec::new();
                for child in index.manifests() {
                    match self.resolve(child, depth + 1)? {
                        Ok(found) => return Ok(Ok(found)),
                        Err(platforms) => others.extend(platforms),
                    }
                }
                Ok(Err(others))
            }
            OCI_MANIFEST | DOCKER_MANIFEST => self.manifest(&name, descriptor),
            other => Err(self.folder.unsupported(
                &name,
                format!("has the media type `{other}`, which is neither an image's manifest nor an index"),
            )),
        }
    }

    fn manifest(&self, name: &str, descriptor: &Descriptor) -> Result<Resolved, OciError> {
        let bytes = self.verified(name, descriptor)?;
        let document: ImageManifest = self.folder.parse(name, &bytes)?;
        let config = document.config();
        if !matches!(config.media_type().as_ref(), OCI_CONFIG | DOCKER_CONFIG) {
            let kind = config.media_type();
            let problem = format!("is the manifest of something else than an image: its configuration is `{kind}`");
            return Err(self.folder.unsupported(name, problem));
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
            let (actual, size) = self.folder.digest(&name)?;
            self.compare(&name, descriptor, actual, size)?;
            let path = self.folder.file(&name)?;
            blobs.insert(digest, ImageBlob { digest, size, path });
        }
        Ok(blobs.into_values().collect())
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

/// A platform for an error; none for attestations, which docker files under `unknown/unknown`.
fn known(platform: Platform) -> Vec<Platform> {
    Some(platform)
        .filter(|platform| platform.os != "unknown")
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;
    use serde_json::{Value, json};

    use super::*;

    /// Layout under construction.
    struct Fixture {
        folder: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            fs_err::create_dir_all(folder.path().join("blobs/sha256")).expect("made");
            Self { folder }
        }

        fn path(&self) -> &Utf8Path {
            Utf8Path::from_path(self.folder.path()).expect("UTF-8")
        }

        /// Writes a blob; returns its descriptor.
        fn blob(&self, kind: &str, content: impl AsRef<[u8]>) -> Value {
            let digest = Digest::of(content.as_ref());
            let path = self.path().join(format!("blobs/sha256/{digest}"));
            fs_err::write(path, content.as_ref()).expect("written");
            json!({ "mediaType": kind, "digest": format!("sha256:{digest}"), "size": content.as_ref().len() })
        }

        fn image(&self, architecture: &str) -> Value {
            let layer = self.blob("application/vnd.oci.image.layer.v1.tar", "a layer");
            let config = json!({
                "os": "linux", "architecture": architecture,
                "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
            });
            let config = self.blob(OCI_CONFIG, config.to_string());
            let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
            self.blob(OCI_MANIFEST, manifest.to_string())
        }

        fn index(&self, manifests: &[Value]) {
            let index = json!({ "schemaVersion": 2, "manifests": manifests });
            fs_err::write(self.path().join(INDEX), index.to_string()).expect("written");
        }

        fn read(&self) -> Result<Vec<ContainerImage>, OciError> {
            read(&ImageFolder::new(self.path(), "app.tar"), Arch::X86_64)
        }

        fn fails(&self) -> String {
            self.read().expect_err("refused").to_string()
        }

        fn change(&self, descriptor: &Value, content: &str) {
            let digest = descriptor["digest"].as_str().expect("a digest").replace(':', "/");
            fs_err::write(self.path().join("blobs").join(digest), content).expect("written");
        }
    }

    fn named(mut descriptor: Value, key: &str, name: &str) -> Value {
        descriptor["annotations"] = json!({ key: name });
        descriptor
    }

    #[test]
    fn an_image_is_read_with_its_names() {
        let fixture = Fixture::new();
        let manifest = fixture.image("amd64");
        fixture.index(&[
            named(manifest.clone(), FULL_NAME, "docker.io/library/app:1"),
            named(manifest.clone(), REF_NAME, "localhost/app:2"),
            named(manifest, REF_NAME, "3"),
        ]);
        let images = fixture.read().expect("read");
        assert_eq!(images.len(), 1);
        let names: Vec<_> = images[0].names.iter().map(ImageReference::to_string).collect();
        assert_eq!(names, ["docker.io/library/app:1", "localhost/app:2"]);
        assert_eq!(images[0].blobs.len(), 2);
        assert_eq!(images[0].manifest.media_type, OCI_MANIFEST);
    }

    #[test]
    fn the_platform_of_the_nodes_is_chosen() {
        let fixture = Fixture::new();
        let entry = |architecture: &str, os: &str| {
            let mut entry = fixture.image(architecture);
            entry["platform"] = json!({ "os": os, "architecture": architecture });
            entry
        };
        let attestation = entry("unknown", "unknown");
        let index = |children: Vec<Value>| {
            let index = json!({ "schemaVersion": 2, "manifests": children });
            fixture.index(&[fixture.blob(OCI_INDEX, index.to_string())]);
        };
        index(vec![
            attestation.clone(),
            entry("arm64", "linux"),
            entry("amd64", "linux"),
        ]);
        assert_eq!(fixture.read().expect("read").len(), 1);
        index(vec![attestation, entry("arm64", "linux")]);
        assert_eq!(
            fixture.fails(),
            "app.tar has no image for linux/amd64, but for linux/arm64"
        );
        // An entry without a platform: the configuration has it.
        fixture.index(&[fixture.image("s390x")]);
        assert_eq!(
            fixture.fails(),
            "app.tar has no image for linux/amd64, but for linux/s390x"
        );
        fixture.index(&[]);
        assert_eq!(fixture.fails(), "app.tar has no image for linux/amd64, but for none");
    }

    #[test]
    fn content_that_is_not_what_it_says_is_refused() {
        let fixture = Fixture::new();
        let manifest = fixture.image("amd64");
        fixture.index(std::slice::from_ref(&manifest));
        let layer = fixture.blob("", "a layer");
        fixture.change(&layer, "b layer");
        assert!(
            fixture.fails().contains("has the digest sha256:"),
            "{}",
            fixture.fails()
        );
        fixture.change(&layer, "a layer, longer");
        assert!(fixture.fails().contains("has 15 bytes, not 7"), "{}", fixture.fails());
        fixture.change(&layer, "a layer");
        fixture.read().expect("whole again");
        fixture.change(&manifest, "{}");
        assert!(fixture.fails().contains("has 2 bytes, not"), "{}", fixture.fails());
    }

    #[test]
    fn files_that_are_missing_or_elsewhere_are_named() {
        let fixture = Fixture::new();
        fixture.index(&[fixture.image("amd64")]);
        let layer = Digest::of("a layer");
        let path = fixture.path().join(format!("blobs/sha256/{layer}"));
        fs_err::remove_file(&path).expect("removed");
        assert_eq!(
            fixture.fails(),
            format!("app.tar: `blobs/sha256/{layer}` is named, but is not there")
        );
        let outside = tempfile::NamedTempFile::new().expect("a file");
        fs_err::write(outside.path(), "a layer").expect("written");
        fs_err::os::unix::fs::symlink(outside.path(), &path).expect("linked");
        assert!(
            fixture.fails().contains("leads out of the image"),
            "{}",
            fixture.fails()
        );
    }

    #[test]
    fn hostile_documents_are_refused() {
        let fixture = Fixture::new();
        for (index, expected) in [
            ("[", "cannot be understood"),
            ("{}", "cannot be understood"),
            (
                r#"{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:../../x","size":1}]}"#,
                "cannot be understood",
            ),
            (
                r#"{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"md5:abc","size":1}]}"#,
                "another kind than SHA-256",
            ),
        ] {
            fs_err::write(fixture.path().join(INDEX), index).expect("written");
            assert!(fixture.fails().contains(expected), "{index}: {}", fixture.fails());
        }
        fixture.index(&[fixture.blob("text/plain", "x")]);
        assert!(
            fixture.fails().contains("media type `text/plain`"),
            "{}",
            fixture.fails()
        );
        // An index that holds itself cannot be made; a deep one can.
        let mut entry = fixture.image("amd64");
        for _ in 0..6 {
            let index = json!({ "schemaVersion": 2, "manifests": [entry] });
            entry = fixture.blob(OCI_INDEX, index.to_string());
        }
        fixture.index(&[entry]);
        assert!(fixture.fails().contains("too deep"), "{}", fixture.fails());
        let large = " ".repeat(5 << 20);
        fs_err::write(fixture.path().join(INDEX), large).expect("written");
        assert!(fixture.fails().contains("larger than 4 MiB"), "{}", fixture.fails());
    }

    #[test]
    fn layers_from_elsewhere_and_artifacts_are_unsupported() {
        let fixture = Fixture::new();
        let config =
            json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": [Digest::of("a layer")] } });
        let config = fixture.blob(DOCKER_CONFIG, config.to_string());
        let layer = fixture.blob("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "a layer");
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
        fixture.index(&[fixture.blob(DOCKER_MANIFEST, manifest.to_string())]);
        assert!(
            fixture.fails().contains("fetched from elsewhere"),
            "{}",
            fixture.fails()
        );
        let config = fixture.blob("application/vnd.cncf.helm.config.v1+json", "{}");
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
        fixture.index(&[fixture.blob(OCI_MANIFEST, manifest.to_string())]);
        assert!(
            fixture.fails().contains("something else than an image"),
            "{}",
            fixture.fails()
        );
    }
}
