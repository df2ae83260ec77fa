//! An image with a large file whose digest is known.

use basalt_digest::Digest;
use basalt_test_environment::Failed;
use camino::Utf8Path;
use rand::{RngCore as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::fixture::Fixture;

/// Path of the file.
pub const FILE: &str = "/large.bin";

/// Image in the cluster's registry.
pub struct LargeImage {
    /// Name of the image.
    pub name: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

/// Makes the image from that of the tools, which have a shell, and loads it. Another seed makes another file.
pub fn load(fixture: &Fixture, name: &str, size: usize, seed: u64) -> Result<LargeImage, Failed> {
    let built = fixture
        .cli
        .json(&["build", "debug"], std::time::Duration::from_secs(600), 0)?;
    let base = Utf8Path::new(built["images"][0]["folder"].as_str().ok_or("no folder")?);
    // Folders of machines have the names of their nodes, one of which is `large`.
    let layout = fixture.folder().join("large-image");
    let blobs = layout.join("blobs/sha256");
    fs_err::create_dir_all(&blobs)?;
    for entry in base.join("blobs/sha256").read_dir_utf8()? {
        let entry = entry?;
        fs_err::copy(entry.path(), blobs.join(entry.file_name()))?;
    }
    fs_err::copy(base.join("oci-layout"), layout.join("oci-layout"))?;
    let write = |content: &[u8]| -> Result<String, Failed> {
        let digest = Digest::of(content).to_hex();
        fs_err::write(blobs.join(&digest), content)?;
        Ok(format!("sha256:{digest}"))
    };
    let read = |digest: &Value| -> Result<Value, Failed> {
        let digest = digest.as_str().and_then(|text| text.strip_prefix("sha256:"));
        Ok(serde_json::from_slice(&fs_err::read(
            blobs.join(digest.ok_or("no digest")?),
        )?)?)
    };

    let mut content = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut content);
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(size)?);
    header.set_mode(0o644);
    tar.append_data(&mut header, FILE.trim_start_matches('/'), &content[..])?;
    let layer = tar.into_inner()?;
    let layer_digest = write(&layer)?;

    let mut index: Value = serde_json::from_slice(&fs_err::read(base.join("index.json"))?)?;
    let mut manifest = read(&index["manifests"][0]["digest"])?;
    let mut config = read(&manifest["config"]["digest"])?;
    let push = |list: &mut Value, item: Value| -> Result<(), Failed> {
        list.as_array_mut().ok_or("no list")?.push(item);
        Ok(())
    };
    push(&mut config["rootfs"]["diff_ids"], json!(layer_digest))?;
    // Each layer has an entry in the history, where there is one.
    if config["history"].is_array() {
        push(&mut config["history"], json!({ "created_by": "tests" }))?;
    }
    let config = serde_json::to_vec(&config)?;
    manifest["config"]["digest"] = json!(write(&config)?);
    manifest["config"]["size"] = json!(config.len());
    push(
        &mut manifest["layers"],
        json!({
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer_digest,
            "size": layer.len(),
        }),
    )?;
    let manifest = serde_json::to_vec(&manifest)?;
    index["manifests"][0]["digest"] = json!(write(&manifest)?);
    index["manifests"][0]["size"] = json!(manifest.len());
    fs_err::write(layout.join("index.json"), index.to_string())?;

    let words = ["load", layout.as_str(), "--name", name];
    fixture
        .cli
        .run(&words, std::time::Duration::from_secs(300))?
        .ended_with(0)?;
    fs_err::remove_dir_all(&layout)?;
    Ok(LargeImage {
        name: name.to_owned(),
        sha256: Digest::of(&content[..]).to_hex(),
    })
}
