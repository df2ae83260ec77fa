//! Fixture of all tests: a local cluster without nodes, for its network and its registry, and the kubeadm cluster in it.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use basalt_action::Blob;
use basalt_cluster::topology::{CONTROL_PLANE, MOST_NODES, NodeNumber, POD_NETWORK, REGISTRY};
use basalt_cluster::{ClusterPlan, LocalCluster, Variant, manifest};
use basalt_debian::StackPackage;
use basalt_machine::Files;
use basalt_process::Command;
use basalt_test_environment::{Cli, Failed, Ran, Started, TestDirectory, shown};
use camino::{Utf8Path, Utf8PathBuf};

use crate::certificates::Approver;
use crate::cluster::KubeadmCluster;
use crate::cluster_network::ClusterNetwork;
use crate::control_plane::{API_PORT, COMPONENTS, ControlPlane};
use crate::{basalt, debian, pool};

/// Packages of Basalt in the Debian machines: what upstream's packages would bring there.
const STACK: &[&str] = &["cni-plugins", "containerd", "kubeadm", "kubectl", "kubelet", "runc"];
/// Programs of the stack that the control plane has, too.
const TOOLS: &[&str] = &["kubeadm", "kubectl"];
/// Images that pods of a cluster of kubeadm have; the others of its list are those of the control plane.
const IMAGES: &[&str] = &["coredns", "kube-proxy", "pause"];
/// Path of kubeadm in the control plane's root folder.
const KUBEADM: &str = "usr/bin/kubeadm";
/// Time-out of builds: what the distribution's tests have not built yet is kubeadm.
const BUILDING: Duration = Duration::from_secs(1800);
/// Time-out of operations that need no boot.
pub const SOON: Duration = Duration::from_secs(180);

/// The command on a store of its own, and the kubeadm cluster.
pub struct Fixture {
    /// The command, on a store that shares what is built with the user's, and whose cluster is another one.
    pub cli: Cli,
    /// Cluster that kubeadm made.
    pub kubeadm: KubeadmCluster,
    /// Its control plane.
    pub control_plane: ControlPlane,
    /// Network of the control plane and the machines.
    pub network: ClusterNetwork,
    machines: Machines,
    by_command: OnceLock<Result<String, String>>,
    by_bootstrap_data: OnceLock<Result<String, String>>,
    workers: OnceLock<Result<Vec<String>, String>>,
    tools: OnceLock<Result<String, String>>,
    approver: Approver,
    /// Ends the cluster, also when the fixture is made only in part.
    _end: EndOfCluster,
    /// Folder, store and SDK of the tests.
    directory: TestDirectory,
}

/// Machines on the network of the local cluster.
pub struct Machines {
    /// Local cluster without nodes, whose network and registry the machines have.
    local: LocalCluster,
    /// Disk of Debian machines.
    debian: Utf8PathBuf,
    /// Number of machines so far.
    count: Mutex<u8>,
}

/// Ends a cluster when it is dropped.
struct EndOfCluster(Cli);

impl Drop for EndOfCluster {
    fn drop(&mut self) {
        // Whatever the tests came to, no cluster outlives them, and this does not ask whether they were interrupted.
        drop(self.0.command(&["--quiet", "down"]).to_std().status());
    }
}

impl Machines {
    /// Starts a machine that is described for the number which it gets.
    pub fn add(&self, variant: impl FnOnce(NodeNumber) -> Result<Variant, Failed>) -> Result<NodeNumber, Failed> {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NodeNumber::first(MOST_NODES)
            .nth(usize::from(*count))
            .ok_or("too many machines")?;
        let name = self.local.add_node(variant(number)?).map_err(shown)?;
        if name != number.name() {
            return Err(format!("the machine is {name}, and its set-up is that of {}", number.name()).into());
        }
        *count += 1;
        Ok(number)
    }

    /// Log of a machine's console.
    pub fn console(&self, number: NodeNumber) -> Utf8PathBuf {
        Files::new(self.local.layout().node(&number.name())).console_log()
    }

    /// Name by which the machines pull one of the images of the local cluster's objects.
    pub fn image(&self, name: &str) -> Result<String, Failed> {
        let plan = ClusterPlan::read(self.local.layout()).map_err(shown)?;
        let plan = plan.ok_or("no cluster")?;
        let image = plan.inputs.images.get(name);
        let image = image.ok_or_else(|| format!("no image of {name}"))?;
        Ok(format!("{REGISTRY}/{image}"))
    }

    /// A port of this host that leads to a machine's.
    pub fn forward(&self, number: NodeNumber, port: u16) -> Result<u16, Failed> {
        self.local.forward(number.address(), port).map_err(shown)
    }
}

impl Fixture {
    /// Makes the cluster.
    pub fn prepare(directory: TestDirectory) -> Result<Self, Failed> {
        let store = directory.shared_store("s")?;
        let cli = directory.environment.cli().env("BASALT_STORE", &store);
        let end = EndOfCluster(cli.clone());
        let tools = directory.folder("join")?.join("tools");
        let rpms = built_rpms(&cli, &[STACK, &COMPONENTS].concat())?;
        for (name, package) in &rpms {
            if TOOLS.contains(&name.as_str()) || COMPONENTS.contains(&name.as_str()) {
                basalt_rpm::unpack(&package.path, &tools).map_err(shown)?;
            }
        }
        let version = version(&tools)?;
        let stack = rpms.into_iter().filter(|(name, _)| STACK.contains(&name.as_str()));
        let stack: Vec<_> = stack.map(|(_, package)| package).collect();
        let debian = debian::disk(&directory, &stack)?;
        cli.run(&["up", "--nodes", "0"], BUILDING)?.ended_with(0)?;
        load_images(&cli, &tools, &version)?;
        let machines = Machines {
            local: LocalCluster::open(store.join("cluster")).map_err(shown)?,
            debian,
            count: Mutex::new(0),
        };
        let network = ClusterNetwork::of(&cli, &directory.environment.sdk)?;
        let control_plane = ControlPlane::start(network.clone(), tools.clone(), &version)?;
        let kubeadm = make_cluster(&machines, &control_plane, &tools, version)?;
        add_pod_network(&kubeadm, &machines, &directory.environment.checkout)?;
        Ok(Self {
            cli,
            approver: Approver::start(kubeadm.clone()),
            kubeadm,
            control_plane,
            network,
            machines,
            by_command: OnceLock::new(),
            by_bootstrap_data: OnceLock::new(),
            workers: OnceLock::new(),
            tools: OnceLock::new(),
            _end: end,
            directory,
        })
    }

    /// Root of the checkout.
    pub fn checkout(&self) -> &Utf8Path {
        &self.directory.environment.checkout
    }

    /// Machines of the cluster.
    pub const fn machines(&self) -> &Machines {
        &self.machines
    }

    /// Approver of the kubelets' serving certificates.
    pub const fn approver(&self) -> &Approver {
        &self.approver
    }

    /// Name of the Basalt node that joined by the join command.
    pub fn by_command(&self) -> Result<&str, Failed> {
        made(&self.by_command, || basalt::join_by_command(self)).map(String::as_str)
    }

    /// Name of the Basalt node that joined by bootstrap data of Cluster API.
    pub fn by_bootstrap_data(&self) -> Result<&str, Failed> {
        made(&self.by_bootstrap_data, || basalt::join_by_bootstrap_data(self)).map(String::as_str)
    }

    /// Names of two Debian workers, which kubeadm joined: that of the cluster, and one more.
    pub fn workers(&self) -> Result<&[String], Failed> {
        let make = || {
            let disk = &self.machines.debian;
            let add = |number| debian::worker(disk, number, &self.kubeadm.endpoint, &self.kubeadm.join_command);
            let number = self.machines.add(add)?;
            let name = debian::name(number);
            self.wait_for_node(&name, number)?;
            Ok(vec![self.kubeadm.node.clone(), name])
        };
        made(&self.workers, make).map(Vec::as_slice)
    }

    /// Name of the image of tools, by which all machines pull it.
    pub fn tools(&self) -> Result<&str, Failed> {
        made(&self.tools, || pool::load_tools(self)).map(String::as_str)
    }

    /// Waits until a machine's node is Ready.
    pub fn wait_for_node(&self, name: &str, number: NodeNumber) -> Result<(), Failed> {
        let ready = self.kubeadm.node_ready(name);
        ready.map_err(|failed| {
            let end = basalt_test_environment::console_end(&self.machines.console(number));
            format!("{failed:?}; the end of its console:\n{end}").into()
        })
    }

    /// Runs the command in the network of the machines, where it reaches API servers by their own addresses.
    pub fn run_inside(&self, arguments: &[&str], timeout: Duration) -> Result<Ran, Failed> {
        let words = [&[self.cli.program().as_str()], arguments].concat();
        let command = self.network.command(&words);
        Started::new(&self.cli.within(command))?.wait(timeout)
    }
}

/// Content of a cell, which is made now unless it was before. A failure is kept, too: all that want it fail with it.
fn made<T>(cell: &OnceLock<Result<T, String>>, make: impl FnOnce() -> Result<T, Failed>) -> Result<&T, Failed> {
    let message = |failed: Failed| failed.message().unwrap_or("no message").to_owned();
    let result = cell.get_or_init(|| make().map_err(message));
    result.as_ref().map_err(|message| message.into())
}

/// Builds the packages, and returns them by their names.
fn built_rpms(cli: &Cli, names: &[&str]) -> Result<Vec<(String, StackPackage)>, Failed> {
    let built = cli.json(&[&["build"], names].concat(), BUILDING, 0)?;
    let packages = built["packages"].as_array().into_iter().flatten();
    let rpms = packages.flat_map(|package| package["rpms"].as_array().into_iter().flatten());
    let mut found = Vec::new();
    for path in rpms.filter_map(|rpm| rpm["path"].as_str()) {
        let package = basalt_rpm::read_package(Utf8Path::new(path)).map_err(shown)?;
        if names.contains(&package.name.as_str()) {
            let blob = Blob::of(fs_err::read(path)?);
            let path = path.into();
            found.push((package.name, StackPackage { path, blob }));
        }
    }
    Ok(found)
}

/// Loads our images under the names that kubeadm has for them.
fn load_images(cli: &Cli, root: &Utf8Path, version: &str) -> Result<(), Failed> {
    let list = ["config", "images", "list", "--kubernetes-version", version];
    let list = Command::new(root.join(KUBEADM))
        .args(list)
        .output()
        .map_err(shown)?
        .text();
    let own_image = |own: &&str| {
        let is_it = |name: &&str| name.contains(&format!("/{own}:"));
        list.lines().map(str::trim).find(is_it)
    };
    let names: Vec<&str> = IMAGES.iter().filter_map(own_image).collect();
    if names.len() != IMAGES.len() {
        return Err(format!("of {IMAGES:?}, kubeadm has only {names:?}").into());
    }
    let built = cli.json(&[&["build"], IMAGES].concat(), BUILDING, 0)?;
    for (name, own) in names.iter().zip(IMAGES) {
        let mut images = built["images"].as_array().into_iter().flatten();
        let image = images.find(|image| image["name"] == *own);
        let folder = image.and_then(|image| image["folder"].as_str());
        let folder = folder.ok_or_else(|| format!("{own} was not built: {built:#}"))?;
        cli.run(&["load", folder, "--name", name], SOON)?.ended_with(0)?;
    }
    Ok(())
}

/// Version of kubeadm, as it says itself.
fn version(root: &Utf8Path) -> Result<String, Failed> {
    let version = Command::new(root.join(KUBEADM)).args(["version", "--output", "short"]);
    Ok(version.output().map_err(shown)?.text().trim().to_owned())
}

/// Does what `kubeadm init` does once the API server is ready, and starts a Debian worker.
fn make_cluster(
    machines: &Machines,
    control_plane: &ControlPlane,
    root: &Utf8Path,
    version: String,
) -> Result<KubeadmCluster, Failed> {
    for phase in [&["upload-config", "all"][..], &["bootstrap-token"], &["addon", "all"]] {
        control_plane.init_phase(phase)?;
    }
    let join_command = control_plane.kubeadm(&["token", "create", "--print-join-command"])?;
    let join_command = join_command.trim().to_owned();
    let port = machines.local.forward(CONTROL_PLANE, API_PORT).map_err(shown)?;
    let endpoint = format!("{CONTROL_PLANE}:{API_PORT}");
    let kubeconfig = root.join("admin.conf");
    let admin = control_plane.file("admin.conf")?;
    fs_err::write(&kubeconfig, admin.replace(&endpoint, &format!("127.0.0.1:{port}")))?;
    let number = machines.add(|number| debian::worker(&machines.debian, number, &endpoint, &join_command))?;
    Ok(KubeadmCluster {
        version,
        node: debian::name(number),
        endpoint,
        kubeconfig,
        join_command,
        kubectl: root.join("usr/bin/kubectl"),
    })
}

/// Applies the manifest of the pod network, with the kubeadm cluster's own API server in it.
fn add_pod_network(cluster: &KubeadmCluster, machines: &Machines, checkout: &Utf8Path) -> Result<(), Failed> {
    let image = machines.image("flannel")?;
    let (host, port) = cluster.endpoint.split_once(':').ok_or("no endpoint")?;
    let variables = [
        ("api_host", host),
        ("api_port", port),
        ("image_flannel", &image),
        ("pod_network", POD_NETWORK),
    ];
    let variables = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let path = checkout.join("distro/cluster/flannel.yaml");
    let text = manifest::render(&path, &fs_err::read_to_string(&path)?, &variables).map_err(shown)?;
    cluster.apply(&text)
}
