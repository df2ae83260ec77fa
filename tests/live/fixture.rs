//! Fixture of all tests: the images, and a cluster without nodes, which machines join over networks of the tests.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use basalt_cluster::pki::{CertificateAuthority, Pki};
use basalt_cluster::topology::{CONTROL_PLANE, DNS_SERVICE, REGISTRY_PORT};
use basalt_cluster::{ClusterPlan, LocalCluster, node_config};
use basalt_machine::{Accelerator, Machine, RunningMachine, SdkTools};
use basalt_node_config::defaults::API_PORT;
use basalt_process::Command;
use basalt_release::Arch;
use basalt_test_environment::lan::Upstream;
use basalt_test_environment::{Cli, Failed, TestDirectory, shown};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

/// Time-out of composing images from packages that are built, and of starting a cluster.
const MAKING: Duration = Duration::from_secs(900);
/// Address of the first node; a node has two, with a distance of 100 between them.
const FIRST: u8 = 40;

/// Images, and the cluster.
pub struct Fixture {
    /// Disk of a node.
    pub node: Utf8PathBuf,
    /// Disk of a node with a shell on its console.
    pub debug: Utf8PathBuf,
    /// Root hash of the node's image.
    pub root_hash: String,
    /// The command, on a store that shares what is built with the user's, and whose cluster is another one.
    pub cli: Cli,
    /// Folder, store and SDK of the tests.
    pub directory: TestDirectory,
    folder: Utf8PathBuf,
    store: Utf8PathBuf,
    cluster: OnceLock<Result<Cluster, String>>,
    addresses: AtomicU8,
}

/// Cluster without nodes of its own.
pub struct Cluster {
    /// The cluster as its users see it.
    pub local: LocalCluster,
    /// Ports of this machine that lead to its API server and to its registry.
    pub upstreams: [Upstream; 2],
    authority: String,
    token: String,
}

impl Fixture {
    /// Composes the images unless the store has them.
    pub fn prepare(directory: TestDirectory) -> Result<Self, Failed> {
        let store = directory.shared_store("s")?;
        let cli = directory.environment.cli().env("BASALT_STORE", &store);
        let built = cli.json(&["build", "node", "node-debug"], MAKING, 0)?;
        let image = |name: &str| {
            let mut images = built["images"].as_array().into_iter().flatten();
            images.find(|image| image["name"] == name)
        };
        let disk = |name: &str| image(name)?["disk"].as_str().map(Utf8PathBuf::from);
        let no_disk = || format!("no disk was built: {built:#}");
        let root_hash = image("node").and_then(|image| image["facts"]["disk"]["rootHash"].as_str());
        Ok(Self {
            node: disk("node").ok_or_else(no_disk)?,
            debug: disk("node-debug").ok_or_else(no_disk)?,
            root_hash: root_hash.ok_or_else(no_disk)?.to_owned(),
            cli,
            folder: directory.folder("live")?,
            directory,
            store,
            cluster: OnceLock::new(),
            addresses: AtomicU8::new(FIRST),
        })
    }

    /// A folder for what tests make.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// Last number of the address of one more node.
    pub fn address(&self) -> u8 {
        self.addresses.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts a machine. It ends with this thread.
    pub fn start(&self, machine: &Machine) -> Result<RunningMachine, Failed> {
        let tools = SdkTools::new(&self.directory.sdk.path);
        let verdict = Accelerator::choose(&tools, Arch::X86_64, self.directory.store.root()).map_err(shown)?;
        machine.start(&tools, verdict.accelerator).map_err(shown)
    }

    /// Runs a tool of the SDK, which sees the folder.
    pub fn tool(&self, program: &str, arguments: &[&str]) -> Result<String, Failed> {
        let sandbox = self.directory.sdk.sandbox().show_writable(&self.folder);
        let output = sandbox.command(program, arguments).output().map_err(shown)?;
        Ok(output.text())
    }

    /// The cluster, which the first that asks for it starts.
    pub fn cluster(&self) -> Result<&Cluster, Failed> {
        let start = || Cluster::start(&self.cli, &self.store);
        let message = |failed: Failed| failed.message().unwrap_or("no message").to_owned();
        let result = self.cluster.get_or_init(|| start().map_err(message));
        result.as_ref().map_err(|message| message.into())
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Whatever the tests came to, no cluster outlives them, and this does not ask whether they were interrupted.
        drop(self.cli.command(&["--quiet", "down"]).to_std().status());
    }
}

impl Cluster {
    fn start(cli: &Cli, store: &Utf8Path) -> Result<Self, Failed> {
        cli.run(&["up", "--nodes", "0"], MAKING)?.ended_with(0)?;
        let local = LocalCluster::open(store.join("cluster")).map_err(shown)?;
        let plan = ClusterPlan::read(local.layout()).map_err(shown)?.ok_or("no cluster")?;
        let registry = local.forward(CONTROL_PLANE, REGISTRY_PORT).map_err(shown)?;
        let pki = Pki::new(local.layout().pki());
        let port = |port, local| Upstream { port, local };
        let cluster = Self {
            upstreams: [port(API_PORT, plan.port), port(REGISTRY_PORT, registry)],
            authority: fs_err::read_to_string(pki.certificate(CertificateAuthority::Cluster.name()))?,
            token: format!("{}.{}", plan.token_id, plan.token_secret),
            local,
        };
        // Nodes come and go: what would follow them around only takes their time.
        let words = [
            "--namespace=kube-system",
            "scale",
            "deployment",
            "coredns",
            "--replicas=0",
        ];
        cluster.kubectl(&words)?;
        Ok(cluster)
    }

    /// NodeConfig of a node of this cluster that has its address by DHCP.
    pub fn config(&self, name: &str) -> Value {
        json!({
            "apiVersion": "basalt.dev/v1",
            "kind": "NodeConfig",
            "hostname": name,
            "cluster": {
                "endpoint": format!("https://{CONTROL_PLANE}:{API_PORT}"),
                "ca": self.authority,
                "bootstrapToken": self.token,
                "dns": { "addresses": [DNS_SERVICE] },
            },
            "registries": node_config::registries(),
        })
    }

    /// kubectl on this cluster.
    pub fn command(&self, arguments: &[&str]) -> Result<Command, Failed> {
        self.local.kubectl(arguments).map_err(shown)
    }

    /// Standard output of kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Failed> {
        Ok(self.command(arguments)?.output().map_err(shown)?.text())
    }

    /// An object or a list of them.
    pub fn get(&self, arguments: &[&str]) -> Result<Value, Failed> {
        let text = self.kubectl(&[&["get", "--output=json"], arguments].concat())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Applies an object.
    pub fn apply(&self, object: &Value) -> Result<(), Failed> {
        let apply = self.command(&["apply", "--filename=-"])?.input(object.to_string());
        apply.output().map(drop).map_err(shown)
    }

    /// Name by which nodes pull one of the images of the cluster's objects.
    pub fn image(&self, name: &str) -> Result<String, Failed> {
        let image = self.local.image(name).map_err(shown)?;
        image.ok_or_else(|| format!("no image of {name}").into())
    }
}

/// The items of a list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Checks an object's condition.
pub fn has_condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .filter(|condition| condition["type"] == kind)
        .any(|condition| condition["status"] == "True")
}
