//! A result with its blobs, and a cache that is used as the engine uses it.

use std::collections::HashMap;
use std::io::{self, Cursor, Read as _, Seek as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use basalt_cache::{
    Blob, BlobSource, Cache, CacheError, CallLimits, Location, Pushed, SecretKey, Settings, TrustedKeys, Upload,
};
use basalt_progress::{Reporter, Silent, Task, Unit};
use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message as _;

use crate::server::lock;

/// Reporter that keeps the warnings.
#[derive(Default)]
pub struct Warnings(Mutex<Vec<String>>);

impl Reporter for Warnings {
    fn task(&self, _: &str, _: Unit, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Silent)
    }
    fn note(&self, _: &str) {}
    fn warn(&self, text: &str) {
        lock(&self.0).push(text.to_owned());
    }
}

impl Warnings {
    pub fn all(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

/// Time limits for servers that answer; the machine may be busy.
pub fn patient() -> CallLimits {
    CallLimits {
        connect: Duration::from_secs(30),
        call: Duration::from_secs(60),
        ..CallLimits::default()
    }
}

/// Time limits for servers that do not.
pub fn impatient() -> CallLimits {
    CallLimits {
        connect: Duration::from_secs(5),
        call: Duration::from_secs(2),
        bytes_per_second: 1 << 20,
        attempts: 3,
    }
}

/// A key, as the one who fills the cache and those who read from it have it.
pub struct Team(String);

impl Team {
    pub fn new() -> Self {
        let key = SecretKey::generate("team").expect("a name");
        let folder = tempfile::tempdir().expect("a folder");
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().join("key")).expect("UTF-8");
        key.save(&path).expect("writes");
        Self(fs_err::read_to_string(path).expect("reads"))
    }

    fn key(&self) -> SecretKey {
        self.0.parse().expect("a key")
    }

    pub fn cache(&self, locations: &str, limits: CallLimits) -> (Cache, Arc<Warnings>) {
        let warnings = Arc::new(Warnings::default());
        let settings = Settings {
            locations: Location::parse_list(locations).expect("locations"),
            trusted: TrustedKeys::new([self.key().public()]).expect("one key"),
            signer: Some(self.key()),
            limits,
        };
        (Cache::new(settings, warnings.clone()), warnings)
    }
}

/// An action with its outputs: a large file, and a folder with many small ones.
pub struct UploadFixture {
    pub upload: Upload,
    pub blobs: HashMap<Blob, Vec<u8>>,
    pub package: Blob,
}

impl UploadFixture {
    pub fn new(name: &str) -> Self {
        let mut blobs = HashMap::new();
        let mut add = |content: Vec<u8>| {
            let blob = Blob::of(&content);
            blobs.insert(blob, content);
            blob
        };
        let digests = (0..20_000u32).map(|index| Blob::of(format!("{name} {index}")).digest.to_hex());
        let package = add(digests.collect::<String>().into_bytes());
        let node = |index: u32, blob: Blob| reapi::FileNode {
            name: format!("file-{index:03}"),
            digest: Some(blob.to_proto()),
            ..Default::default()
        };
        let files = (0..150).map(|index| node(index, add(format!("{name} file {index}").into_bytes())));
        let root = reapi::Directory {
            files: files.collect(),
            ..Default::default()
        };
        let root_blob = add(root.encode_to_vec());
        let tree = reapi::Tree {
            root: Some(root),
            children: Vec::new(),
        };
        let tree = add(tree.encode_to_vec());
        let command = add(format!("command of {name}").into_bytes());
        let result = reapi::ActionResult {
            output_files: vec![reapi::OutputFile {
                path: "package.rpm".to_owned(),
                digest: Some(package.to_proto()),
                ..Default::default()
            }],
            output_directories: vec![reapi::OutputDirectory {
                path: "root".to_owned(),
                tree_digest: Some(tree.to_proto()),
                root_directory_digest: Some(root_blob.to_proto()),
                ..Default::default()
            }],
            ..Default::default()
        };
        let upload = Upload {
            action: Blob::of(format!("action {name}")),
            named: result.clone(),
            result,
            also: vec![command],
        };
        Self { upload, blobs, package }
    }

    pub fn push(&self, cache: &Cache) -> Result<Pushed, CacheError> {
        cache.push(&self.upload, &|blob| self.open(blob))
    }

    fn open(&self, blob: &Blob) -> io::Result<Box<dyn BlobSource>> {
        let content = self.blobs.get(blob).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(content.clone())))
    }

    /// The package, as the engine takes it from the cache: the result first, then its blob. `None` is a miss.
    pub fn package_from(&self, cache: &Cache) -> Option<Vec<u8>> {
        let hit = cache.action_result(&self.upload.action)?;
        assert_eq!(
            hit.result, self.upload.result,
            "a result that is used is the one that was signed"
        );
        let mut file = tempfile::tempfile().expect("a file");
        let fetched = cache.fetch(&self.package, &mut file).expect("the file can be written");
        let mut content = Vec::new();
        file.rewind().expect("rewinds");
        file.read_to_end(&mut content).expect("reads");
        assert!(
            fetched || content.is_empty(),
            "what is not right is not left in the file"
        );
        fetched.then_some(content)
    }

    /// Returns the content of all blobs of the result, if the cache has every one of them.
    pub fn all_from(&self, cache: &Cache) -> Option<HashMap<Blob, Vec<u8>>> {
        let (_, blobs) = cache.complete_result(&self.upload.action)?;
        let wanted: Vec<Blob> = blobs.into_iter().collect();
        let found: HashMap<_, _> = cache.many_bytes(&wanted).into_iter().collect();
        (found.len() == wanted.len()).then_some(found)
    }

    /// The blobs of the result: all but the command.
    pub fn outputs(&self) -> HashMap<Blob, Vec<u8>> {
        let mut outputs = self.blobs.clone();
        self.upload.also.iter().for_each(|blob| drop(outputs.remove(blob)));
        outputs
    }
}
