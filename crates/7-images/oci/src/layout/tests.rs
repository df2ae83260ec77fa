//! Tests of the reader of layouts.

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
        self.image_with(architecture, &[layer])
    }

    fn image_with(&self, architecture: &str, layers: &[Value]) -> Value {
        let identities: Vec<_> = layers.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "os": "linux", "architecture": architecture,
            "rootfs": { "type": "layers", "diff_ids": identities },
        });
        let config = self.blob(OCI_CONFIG, config.to_string());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
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
fn images_for_all_processors_come_first() {
    let fixture = Fixture::new();
    let entry = |text: &str, variant: Option<&str>| {
        let layer = fixture.blob("application/vnd.oci.image.layer.v1.tar+zstd", text);
        let mut entry = fixture.image_with("amd64", &[layer]);
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        if let Some(variant) = variant {
            entry["platform"]["variant"] = variant.into();
        }
        entry
    };
    let chosen = |entries: Vec<Value>| {
        let index = json!({ "schemaVersion": 2, "manifests": entries });
        fixture.index(&[fixture.blob(OCI_INDEX, index.to_string())]);
        format!("sha256:{}", fixture.read().expect("read")[0].manifest.digest)
    };
    let (newer, plain, first) = (entry("v3", Some("v3")), entry("all", None), entry("v1", Some("v1")));
    for (entries, expected) in [
        (vec![&newer, &plain], &plain),
        (vec![&newer, &first], &first),
        (vec![&newer], &newer),
    ] {
        assert_eq!(chosen(entries.into_iter().cloned().collect()), expected["digest"]);
    }
}

#[test]
fn signatures_beside_an_image_are_left_out() {
    let fixture = Fixture::new();
    let config = fixture.blob("application/vnd.dev.cosign.artifact.sig.v1+json", "{}");
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [] });
    let signature = fixture.blob(OCI_MANIFEST, manifest.to_string());
    let image = fixture.image("amd64");
    fixture.index(&[signature.clone(), image.clone()]);
    assert_eq!(fixture.read().expect("read").len(), 1);
    let index = json!({ "schemaVersion": 2, "manifests": [signature, image] });
    fixture.index(&[fixture.blob(OCI_INDEX, index.to_string())]);
    assert_eq!(fixture.read().expect("read").len(), 1);
    fixture.index(&[signature, fixture.image("arm64")]);
    assert_eq!(
        fixture.fails(),
        "app.tar has no image for linux/amd64, but for linux/arm64"
    );
}

#[test]
fn layers_that_images_share_are_compared_with_each_descriptor() {
    let fixture = Fixture::new();
    let layer = fixture.blob("application/vnd.oci.image.layer.v1.tar", "a layer");
    let mut longer = layer.clone();
    longer["size"] = 8.into();
    let other = fixture.blob("application/vnd.oci.image.layer.v1.tar", "another");
    let one = fixture.image_with("amd64", &[layer.clone()]);
    fixture.index(&[one.clone(), fixture.image_with("amd64", &[other.clone(), layer])]);
    assert_eq!(fixture.read().expect("read").len(), 2);
    fixture.index(&[one, fixture.image_with("amd64", &[other, longer])]);
    assert!(fixture.fails().contains("has 7 bytes, not 8"), "{}", fixture.fails());
}

#[test]
fn an_index_that_names_others_without_end_is_refused() {
    let fixture = Fixture::new();
    let mut entry = fixture.image("arm64");
    for _ in 0..3 {
        let entries = vec![entry; 20];
        entry = fixture.blob(
            OCI_INDEX,
            json!({ "schemaVersion": 2, "manifests": entries }).to_string(),
        );
    }
    fixture.index(&[entry]);
    assert!(fixture.fails().contains("which are too many"), "{}", fixture.fails());
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
    let config = json!({ "os": "linux", "architecture": "amd64", "rootfs": { "diff_ids": [Digest::of("a layer")] } });
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
