//! Fixture of all tests: the image, its parts as files, and the one cluster.

use std::io::{Seek as _, SeekFrom};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use basalt_image::{DiskFacts, Facts, PartitionFacts};
use basalt_test_environment::{Cli, Failed, Ran, TestDirectory, shown};
use camino::{Utf8Path, Utf8PathBuf};
use fs_err::File;

/// Time-out of composing an image from packages that are built.
const COMPOSING: Duration = Duration::from_secs(300);
/// Time-out of starting or ending a cluster on a busy machine without KVM.
const TIMEOUT: Duration = Duration::from_secs(900);

/// The image of a node, a store to use it in, and a cluster of it.
pub struct Fixture {
    /// Folder, store and SDK of the tests.
    pub directory: TestDirectory,
    /// The disk of the node.
    pub disk: Utf8PathBuf,
    /// Facts about the image.
    pub facts: Facts,
    /// The command, on a store that shares what is built with the user's, and whose cluster is another one.
    pub cli: Cli,
    store: Utf8PathBuf,
    folder: Utf8PathBuf,
    files: OnceLock<Result<Utf8PathBuf, String>>,
    /// Number of nodes that are up.
    nodes: Mutex<u8>,
}

impl Fixture {
    /// Composes the image unless the store has it.
    pub fn prepare(directory: TestDirectory) -> Result<Self, Failed> {
        let store = directory.shared_store("s")?;
        let cli = directory.environment.cli().env("BASALT_STORE", &store);
        let ran = cli.run(&["--json", "build", "node"], COMPOSING)?.ended_with(0)?;
        let built: serde_json::Value = serde_json::from_str(&ran.stdout)?;
        let image = &built["images"][0];
        let disk = image["disk"]
            .as_str()
            .ok_or_else(|| format!("no disk was built: {built:#}"))?;
        Ok(Self {
            disk: disk.into(),
            facts: serde_json::from_value(image["facts"].clone())?,
            cli,
            store,
            folder: directory.folder("node")?,
            files: OnceLock::new(),
            nodes: Mutex::new(0),
            directory,
        })
    }

    /// A folder for what tests make.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// The store that the cluster is in.
    pub fn store(&self) -> &Utf8Path {
        &self.store
    }

    /// Facts about the disk; an error if the image is none.
    pub fn disk_facts(&self) -> Result<&DiskFacts, Failed> {
        self.facts.disk.as_ref().ok_or_else(|| "the image is no disk".into())
    }

    /// Facts about the partition with that label.
    pub fn partition(&self, label: &str) -> Result<&PartitionFacts, Failed> {
        let mut partitions = self.disk_facts()?.partitions.iter();
        let found = partitions.find(|partition| partition.label == label);
        found.ok_or_else(|| format!("the disk has no partition `{label}`").into())
    }

    /// Some bytes of the disk as a file of its own.
    pub fn part(&self, name: &str, offset: u64, length: u64) -> Result<Utf8PathBuf, Failed> {
        use std::io::Read as _;
        let path = self.folder.join(name);
        if !path.exists() {
            let mut disk = File::open(&self.disk)?;
            disk.seek(SeekFrom::Start(offset))?;
            std::io::copy(&mut disk.take(length), &mut File::create(&path)?)?;
        }
        Ok(path)
    }

    /// The root file system as a file.
    pub fn root(&self) -> Result<Utf8PathBuf, Failed> {
        let offset = self.partition("root-a")?.offset_bytes;
        self.part("root.erofs", offset, self.disk_facts()?.root_bytes)
    }

    /// Runs a tool of the SDK, which sees the folder.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Result<String, Failed> {
        let sandbox = self
            .directory
            .sdk
            .sandbox()
            .show(&self.disk)
            .show_writable(&self.folder);
        let output = sandbox.command(program, arguments).output().map_err(shown)?;
        Ok(output.text())
    }

    /// The files of the root, unpacked once, which checks all of them on the way.
    pub fn files(&self) -> Result<&Utf8Path, Failed> {
        let unpack = || {
            let (root, files) = (self.root()?, self.folder.join("files"));
            let extract = format!("--extract={files}");
            self.tool("fsck.erofs", &[&extract, "--no-preserve-owner", root.as_str()])?;
            Ok::<_, Failed>(files)
        };
        let unpacked = self
            .files
            .get_or_init(|| unpack().map_err(|error| error.message().unwrap_or("cannot be unpacked").to_owned()));
        Ok(unpacked.as_deref().map_err(Clone::clone)?)
    }

    /// A cluster with so many nodes; one of another size is ended first. The report is there when it was started now.
    pub fn up(&self, nodes: u8) -> Result<Option<serde_json::Value>, Failed> {
        if self.count() == nodes {
            return Ok(None);
        }
        self.up_with(nodes, &[]).map(Some)
    }

    /// Starts a cluster with so many nodes and more options, and returns its report; one that is there is ended first.
    pub fn up_with(&self, nodes: u8, options: &[&str]) -> Result<serde_json::Value, Failed> {
        let mut up = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if *up != 0 {
            *up = 0;
            self.cli.run(&["down"], TIMEOUT)?.ended_with(0)?;
        }
        let count = nodes.to_string();
        let words = [&["--json", "up", "--nodes", &count], options].concat();
        let ran = self.cli.run(&words, TIMEOUT)?.ended_with(0)?;
        *up = nodes;
        Ok(serde_json::from_str(&ran.stdout)?)
    }

    /// A cluster with a second node that was added to it, and a pod of `web` on each.
    pub fn two_nodes(&self) -> Result<(), Failed> {
        if self.count() != 2 {
            self.up(1)?;
            self.add_node()?;
        }
        // `up` makes as many as it starts nodes.
        self.kubectl(&["scale", "deployment/web", "--replicas=2"])?;
        let words = ["kubectl", "rollout", "status", "deployment/web", "--timeout=10m"];
        self.cli.run(&words, TIMEOUT)?.ended_with(0).map(drop)
    }

    /// Pods of `web` that run. Those that a node ended when it shut down stay as objects.
    pub fn web_pods(&self) -> Result<Vec<serde_json::Value>, Failed> {
        let words = [
            "get",
            "pods",
            "-l=app=web",
            "--field-selector=status.phase=Running",
            "-o=json",
        ];
        let mut pods: serde_json::Value = serde_json::from_str(&self.kubectl(&words)?)?;
        let pods = pods["items"].as_array_mut().ok_or("no list of pods")?;
        Ok(std::mem::take(pods))
    }

    /// Adds node-2 to a cluster with one node.
    pub fn add_node(&self) -> Result<Ran, Failed> {
        let ran = self.cli.run(&["node", "add"], TIMEOUT)?.ended_with(0)?;
        self.counted(2);
        Ok(ran)
    }

    /// Removes node-2.
    pub fn remove_node(&self) -> Result<(), Failed> {
        self.cli.run(&["node", "remove", "node-2"], TIMEOUT)?.ended_with(0)?;
        self.counted(1);
        Ok(())
    }

    fn count(&self) -> u8 {
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self, nodes: u8) {
        *self.nodes.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }

    /// Ends the cluster.
    pub fn down(&self) -> Result<Ran, Failed> {
        self.counted(0);
        self.cli.run(&["down"], TIMEOUT)?.ended_with(0)
    }

    /// Standard output of kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Failed> {
        let mut words = vec!["kubectl"];
        words.extend(arguments);
        let ran = self.cli.run(&words, Duration::from_secs(120))?.ended_with(0)?;
        Ok(ran.stdout)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Whatever the tests came to, no cluster outlives them, and this does not ask whether they were interrupted.
        drop(self.cli.command(&["--quiet", "down"]).to_std().status());
    }
}
