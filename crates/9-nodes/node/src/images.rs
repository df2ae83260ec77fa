//! A registry for the container images that are part of the root file system.
//!
//! containerd needs the pause image before the first pod runs, and a node must start without any registry. There is no
//! way to put an image into containerd's store when an image is composed (the store is on the state partition, which
//! the first boot makes), and the programs that import one (`ctr`, `crictl` with its server) weigh 20 MB and more. But
//! containerd can pull, so the node serves the archives itself: `basalt-images.socket` listens on loopback, systemd
//! starts `basalt-node serve-image` for a connection, and nothing runs before containerd asks or after it was
//! answered. It costs no memory, no second at boot, and every other image that is baked in works the same way.
//!
//! Only what a pull needs is spoken: `GET` and `HEAD` of manifests and blobs.

use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use basalt_digest::Digest;
use serde::Deserialize;

mod archive;
mod request;

use archive::Archive;
use request::{Answer, Request};

/// The archives of a folder.
#[derive(Debug)]
pub struct Images {
    archives: Vec<Archive>,
    /// The name of this registry in image names.
    host: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// A blob: where its bytes are and what they are.
struct Blob<'a> {
    archive: &'a Archive,
    digest: Digest,
    offset: u64,
    size: u64,
    media_type: String,
}

impl Images {
    /// Opens every archive of a folder. One that cannot be read is left out: the others may be what is asked for.
    pub fn open(folder: &Path, host: &str) -> Self {
        let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "tar"));
        paths.sort();
        Self {
            archives: paths.iter().filter_map(|path| Archive::open(path).ok()).collect(),
            host: host.to_owned(),
        }
    }

    /// Answers the requests of one connection until the other side has no more.
    pub fn serve(&self, input: impl Read, mut output: impl Write) -> io::Result<()> {
        let mut input = io::BufReader::new(input);
        while let Some(request) = request::read(&mut input)? {
            match &request {
                Ok(request) => self.answer(request, &mut output)?,
                Err(answer) => answer.write(&mut output)?,
            }
            output.flush()?;
            if request.map_or(true, |request| request.last) {
                break;
            }
            if input.fill_buf()?.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, request: &Request, output: &mut impl Write) -> io::Result<()> {
        let path = request.path.strip_prefix("/v2/").unwrap_or_default();
        let found = match path.rsplit_once("/manifests/").or_else(|| path.rsplit_once("/blobs/")) {
            None if request.path.trim_end_matches('/') == "/v2" => return Answer::ok().write(output),
            None => None,
            Some((name, reference)) => self.find(name, reference, path.contains("/manifests/")),
        };
        let Some(blob) = found else {
            return Answer::not_found().write(output);
        };
        Answer::ok()
            .with("Content-Type", &blob.media_type)
            .with("Docker-Content-Digest", &format!("sha256:{}", blob.digest))
            .with_length(blob.size)
            .write(output)?;
        if request.with_body {
            let mut file = blob.archive.file();
            file.seek(SeekFrom::Start(blob.offset))?;
            io::copy(&mut file.take(blob.size), output)?;
        }
        Ok(())
    }

    /// The blob that a reference, a tag or digest, means.
    fn find(&self, name: &str, reference: &str, manifest: bool) -> Option<Blob<'_>> {
        let (digest, media_type) = match reference.parse::<Digest>() {
            Ok(digest) => (digest, None),
            Err(_) if manifest => self.tagged(&format!("{}/{name}:{reference}", self.host))?,
            Err(_) => return None,
        };
        let path = format!("blobs/sha256/{digest}");
        let (archive, (offset, size)) = self
            .archives
            .iter()
            .find_map(|archive| Some((archive, archive.find(&path)?)))?;
        let mut blob = Blob {
            archive,
            digest,
            offset,
            size,
            media_type: "application/octet-stream".to_owned(),
        };
        if manifest {
            blob.media_type = media_type.or_else(|| blob.own_media_type())?;
        }
        Some(blob)
    }

    fn tagged(&self, image: &str) -> Option<(Digest, Option<String>)> {
        self.archives.iter().find_map(|archive| {
            let index: Index = serde_json::from_slice(&archive.read("index.json")?).ok()?;
            let named = |descriptor: &Descriptor| {
                descriptor
                    .annotations
                    .get("io.containerd.image.name")
                    .is_some_and(|name| name == image)
            };
            let descriptor = index.manifests.into_iter().find(named)?;
            Some((descriptor.digest.parse().ok()?, descriptor.media_type))
        })
    }
}

impl Blob<'_> {
    /// Media type that a manifest names for itself.
    fn own_media_type(&self) -> Option<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Manifest {
            media_type: String,
        }
        let bytes = self.archive.read(&format!("blobs/sha256/{}", self.digest))?;
        serde_json::from_slice::<Manifest>(&bytes)
            .ok()
            .map(|manifest| manifest.media_type)
    }
}

#[cfg(test)]
mod tests;
