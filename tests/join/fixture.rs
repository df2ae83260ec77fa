//! Fixture of all tests: a local cluster without nodes, for its network and its registry, and the kubeadm cluster in it.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use basalt_action::Blob;
use basalt_cluster::topology::{MOST_NODES, NodeNumber, POD_NETWORK, REGISTRY};
use basalt_cluster::{ClusterPlan, LocalCluster, Variant, manifest};
use basalt_debian::StackPackage;
use basalt_machine::Files;
use basalt_process::Command;
use basalt_tests::{Cli, Failed, Ran, Started, TestDirectory, shown};
use camino::{Utf8Path, Utf8PathBuf};

use crate::certificates::Approver;
use crate::cluster::KubeadmCluster;
use crate::{basalt, debian, pool};

/// Packages of Basalt in the Debian machines: what upstream's packages would bring there.
const STACK: &[&str] = &["cni-plugins", "containerd", "kubeadm", "kubectl", "kubelet", "runc"];
/// Port of the kubeadm cluster's API server.
const API_PORT: u16 = 6443;
/// Time-out of builds: what the distribution's tests have not built yet is kubeadm.
const BUILDING: Duration = Duration::from_secs(1800);
/// Time-out of operations that need no boot.
const SOON: Duration = Duration::from_secs(180);

/// The command on a store of its own, and the kubeadm cluster.
pub struct Fixture {
    /// The command, on a store that shares what is built with the user's, and whose cluster is another one.
    pub cli: Cli,
    /// Cluster that kubeadm made.
    pub kubeadm: KubeadmCluster,
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
        let folder = directory.folder("join")?;
        let rpms = built_rpms(&cli)?;
        let tools = folder.join("tools");
        for name in ["kubeadm", "kubectl"] {
            let package = rpms.iter().find(|(known, _)| known == name);
            let (_, rpm) = package.ok_or_else(|| format!("{name} was not built"))?;
            basalt_rpm::unpack(&rpm.path, &tools).map_err(shown)?;
        }
        let tools = tools.join("usr/bin");
        let stack: Vec<_> = rpms.into_iter().map(|(_, package)| package).collect();
        let debian = debian::disk(&directory, &stack)?;
        cli.run(&["up", "--nodes", "0"], BUILDING)?.ended_with(0)?;
        load_images(&cli, &tools)?;
        let machines = Machines {
            local: LocalCluster::open(store.join("cluster")).map_err(shown)?,
            debian,
            count: Mutex::new(0),
        };
        let kubeadm = make_cluster(&machines, &tools, &folder)?;
        add_pod_network(&kubeadm, &machines, &directory.environment.checkout)?;
        Ok(Self {
            cli,
            approver: Approver::start(kubeadm.clone()),
            kubeadm,
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

    /// Names of two Debian workers, which kubeadm joined.
    pub fn workers(&self) -> Result<&[String], Failed> {
        let make = || {
            let add = |_| {
                let disk = &self.machines.debian;
                let number = self.machines.add(|number| debian::worker(disk, number, &self.kubeadm));
                number.map(|number| (number, debian::name(number)))
            };
            let workers: Vec<_> = (0..2).map(add).collect::<Result<_, _>>()?;
            for (number, name) in &workers {
                self.wait_for_node(name, *number)?;
            }
            Ok(workers.into_iter().map(|(_, name)| name).collect())
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
            let end = basalt_tests::console_end(&self.machines.console(number));
            format!("{failed:?}; the end of its console:\n{end}").into()
        })
    }

    /// Runs the command in the network of the machines, where it reaches API servers by their own addresses.
    pub fn run_inside(&self, arguments: &[&str], timeout: Duration) -> Result<Ran, Failed> {
        let status = self.cli.json(&["status"], SOON, 0)?;
        let supervisor = status["supervisor"].as_str().ok_or("no supervisor")?;
        let user = |process: &str| fs_err::read_link(format!("/proc/{process}/ns/user"));
        let mut enter = Command::new("nsenter").args(["--target", supervisor, "--net"]);
        // For root, the cluster's network may be one of the same user namespace, which nobody can enter again.
        if user(supervisor)? != user("self")? {
            enter = enter.args(["--user", "--preserve-credentials"]);
        }
        let command = enter.args([&[self.cli.program().as_str()], arguments].concat());
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
fn built_rpms(cli: &Cli) -> Result<Vec<(String, StackPackage)>, Failed> {
    let built = cli.json(&[&["build"], STACK].concat(), BUILDING, 0)?;
    let packages = built["packages"].as_array().into_iter().flatten();
    let rpms = packages.flat_map(|package| package["rpms"].as_array().into_iter().flatten());
    let mut found = Vec::new();
    for path in rpms.filter_map(|rpm| rpm["path"].as_str()) {
        let package = basalt_rpm::read_package(Utf8Path::new(path)).map_err(shown)?;
        if STACK.contains(&package.name.as_str()) {
            let blob = Blob::of(fs_err::read(path)?);
            let path = path.into();
            found.push((package.name, StackPackage { path, blob }));
        }
    }
    Ok(found)
}

/// Loads our images under the names that kubeadm asks for.
fn load_images(cli: &Cli, tools: &Utf8Path) -> Result<(), Failed> {
    let list = Command::new(tools.join("kubeadm")).args([
        "config",
        "images",
        "list",
        "--kubernetes-version",
        &version(tools)?,
    ]);
    let list = list.output().map_err(shown)?.text();
    let names: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let own = names
        .iter()
        .map(|name| own_image(name))
        .collect::<Result<Vec<_>, _>>()?;
    let built = cli.json(&[&["build"], &own[..]].concat(), BUILDING, 0)?;
    for (name, own) in names.iter().zip(own) {
        let mut images = built["images"].as_array().into_iter().flatten();
        let image = images.find(|image| image["name"] == own);
        let folder = image.and_then(|image| image["folder"].as_str());
        let folder = folder.ok_or_else(|| format!("{own} was not built: {built:#}"))?;
        cli.run(&["load", folder, "--name", name], SOON)?.ended_with(0)?;
    }
    Ok(())
}

/// Name of our image for one of upstream's: `etcd` for `registry.k8s.io/etcd:3.7.0-0`.
fn own_image(name: &str) -> Result<&str, Failed> {
    let path = name.rsplit_once(':').map(|(path, _)| path);
    let last = path.and_then(|path| path.rsplit('/').next());
    last.ok_or_else(|| format!("kubeadm names no image: {name}").into())
}

/// Version of kubeadm, as it says itself.
fn version(tools: &Utf8Path) -> Result<String, Failed> {
    let version = Command::new(tools.join("kubeadm")).args(["version", "--output", "short"]);
    Ok(version.output().map_err(shown)?.text().trim().to_owned())
}

/// Starts the machine of the control plane, and waits for its cluster.
fn make_cluster(machines: &Machines, tools: &Utf8Path, folder: &Utf8Path) -> Result<KubeadmCluster, Failed> {
    let version = version(tools)?;
    let number = machines.add(|number| Ok(debian::control_plane(&machines.debian, number, &version)))?;
    let names = ["kubeconfig", "join-command"];
    let [kubeconfig, join_command] = debian::told_values(&machines.console(number), names)?;
    let port = machines.forward(number, API_PORT)?;
    let endpoint = format!("{}:{API_PORT}", number.address());
    let path = folder.join("admin.conf");
    fs_err::write(&path, kubeconfig.replace(&endpoint, &format!("127.0.0.1:{port}")))?;
    Ok(KubeadmCluster {
        version,
        node: debian::name(number),
        endpoint,
        kubeconfig: path,
        join_command: join_command.trim().to_owned(),
        kubectl: tools.join("kubectl"),
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
