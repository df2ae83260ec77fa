//! Fixture of all tests: a local cluster without nodes, for its network and its registry, and the kubeadm cluster in it.

use std::time::{Duration, Instant};

use basalt_action::Blob;
use basalt_cluster::topology::{CONTROL_PLANE, NodeNumber, POD_NETWORK, REGISTRY};
use basalt_cluster::{ClusterPlan, LocalCluster, Variant, manifest};
use basalt_debian::{DebianDisk, DebianSystem, NO_TIMER_CHECK, StackPackage};
use basalt_machine::{Files, plain_text};
use basalt_process::{Command, interrupt};
use basalt_progress::Silent;
use basalt_tests::{Cli, Failed, Ran, Started, TestDirectory, shown, told_value};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

/// Packages of Basalt in the Debian machine: what upstream's packages would bring there.
const STACK: &[&str] = &["cni-plugins", "containerd", "kubeadm", "kubectl", "kubelet", "runc"];
/// Words of the Debian kernel's command line: few lines of its own on the console, where the set-up tells its results.
const KERNEL_ARGUMENTS: &[&str] = &["loglevel=3", NO_TIMER_CHECK];
/// Script that the machine runs at its first boot, after the lines that set its variables.
const INIT: &str = include_str!("init.sh");
/// Port of the kubeadm cluster's API server.
const API_PORT: u16 = 6443;
/// Time-out of builds: what the distribution's tests have not built yet is kubeadm.
const BUILDING: Duration = Duration::from_secs(1800);
/// Time-out of `kubeadm init`, from power-on, on a busy machine without KVM.
const INIT_TIME: Duration = Duration::from_secs(1500);
/// Time-out of operations that need no boot.
const SOON: Duration = Duration::from_secs(180);
/// Interval of looks at the console.
const TICK: Duration = Duration::from_secs(1);

/// The command on a store of its own, and the kubeadm cluster.
pub struct Fixture {
    /// The command, on a store that shares what is built with the user's, and whose cluster is another one.
    pub cli: Cli,
    /// Local cluster without nodes, whose network and registry the machines have.
    pub local: LocalCluster,
    /// Cluster that kubeadm made.
    pub kubeadm: KubeadmCluster,
    /// Ends the cluster, also when the fixture is made only in part.
    _end: EndOfCluster,
    /// Folder, store and SDK of the tests.
    directory: TestDirectory,
}

/// A cluster that kubeadm made, on one machine.
pub struct KubeadmCluster {
    /// Version of kubeadm and of the control plane: `v1.37.2`.
    pub version: String,
    /// Name of its node.
    pub node: String,
    /// Host and port of its API server on the network of the machines.
    pub endpoint: String,
    /// Administrator's kubeconfig, with the address of a port of this host that leads to it.
    pub kubeconfig: Utf8PathBuf,
    /// Output of `kubeadm token create --print-join-command`.
    pub join_command: String,
    kubectl: Utf8PathBuf,
}

/// Ends a cluster when it is dropped.
struct EndOfCluster(Cli);

impl Drop for EndOfCluster {
    fn drop(&mut self) {
        // Whatever the tests came to, no cluster outlives them, and this does not ask whether they were interrupted.
        drop(self.0.command(&["--quiet", "down"]).to_std().status());
    }
}

impl Fixture {
    /// Root of the checkout.
    pub fn checkout(&self) -> &Utf8Path {
        &self.directory.environment.checkout
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
        let disk = debian_disk(&directory, rpms.into_iter().map(|(_, package)| package).collect())?;
        cli.run(&["up", "--nodes", "0"], BUILDING)?.ended_with(0)?;
        load_images(&cli, &tools)?;
        let local = LocalCluster::open(store.join("cluster")).map_err(shown)?;
        let kubeadm = KubeadmCluster::make(&local, &disk, &tools, &folder)?;
        kubeadm.add_pod_network(&local, &directory.environment.checkout)?;
        Ok(Self {
            cli,
            local,
            kubeadm,
            _end: end,
            directory,
        })
    }
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

fn debian_disk(directory: &TestDirectory, stack: Vec<StackPackage>) -> Result<Utf8PathBuf, Failed> {
    let checkout = &directory.environment.checkout;
    let system = DebianSystem {
        packages: &checkout.join("distro/debian/packages.toml"),
        files: &[checkout.join("distro/debian/root"), checkout.join("tests/join/machine")],
        sysctl: &checkout.join("distro/packages/basalt-defaults/sysctl-kubernetes.conf"),
        stack: &stack,
        kernel_arguments: KERNEL_ARGUMENTS,
    };
    let debian = DebianDisk::make(system, &directory.store, &directory.sdk, &Silent).map_err(shown)?;
    Ok(debian.disk)
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

/// Name by which machines on a local cluster's network pull one of the images of its objects.
pub fn own_name(cluster: &LocalCluster, name: &str) -> Result<String, Failed> {
    let plan = ClusterPlan::read(cluster.layout()).map_err(shown)?;
    let plan = plan.ok_or("no cluster")?;
    let image = plan
        .inputs
        .images
        .get(name)
        .ok_or_else(|| format!("no image of {name}"))?;
    Ok(format!("{REGISTRY}/{image}"))
}

/// Version of kubeadm, as it says itself.
fn version(tools: &Utf8Path) -> Result<String, Failed> {
    let version = Command::new(tools.join("kubeadm")).args(["version", "--output", "short"]);
    Ok(version.output().map_err(shown)?.text().trim().to_owned())
}

impl KubeadmCluster {
    fn make(cluster: &LocalCluster, disk: &Utf8Path, tools: &Utf8Path, folder: &Utf8Path) -> Result<Self, Failed> {
        let version = version(tools)?;
        // The first machine on the network gets the first number.
        let number = NodeNumber::first(1).next().ok_or("no number")?;
        let (node, address) = ("debian-1", number.address());
        let variables = [
            ("NAME", node.to_owned()),
            ("ADDRESS", address.to_string()),
            ("GATEWAY", CONTROL_PLANE.to_string()),
            ("MAC", number.mac()),
            ("VERSION", version.clone()),
        ];
        let variables: String = variables
            .iter()
            .map(|(name, value)| format!("{name}='{value}'\n"))
            .collect();
        let machine = cluster.add_node(Variant {
            disk: Some(disk.to_owned()),
            credentials: [("first-boot".to_owned(), variables + INIT)].into(),
            ..Variant::default()
        });
        let machine = machine.map_err(shown)?;
        if machine != number.name() {
            return Err(format!("the machine is {machine}, and its set-up is that of {}", number.name()).into());
        }
        let console = Files::new(cluster.layout().node(&machine)).console_log();
        let [kubeconfig, join_command] = told_values(&console, ["kubeconfig", "join-command"])?;
        let port = cluster.forward(address, API_PORT).map_err(shown)?;
        let endpoint = format!("{address}:{API_PORT}");
        let path = folder.join("admin.conf");
        fs_err::write(&path, kubeconfig.replace(&endpoint, &format!("127.0.0.1:{port}")))?;
        Ok(Self {
            version,
            node: node.to_owned(),
            endpoint,
            kubeconfig: path,
            join_command: join_command.trim().to_owned(),
            kubectl: tools.join("kubectl"),
        })
    }

    /// Applies the manifest of the pod network, with the kubeadm cluster's own API server in it.
    fn add_pod_network(&self, cluster: &LocalCluster, checkout: &Utf8Path) -> Result<(), Failed> {
        let image = own_name(cluster, "flannel")?;
        let (host, port) = self.endpoint.split_once(':').ok_or("no endpoint")?;
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
        let apply = self.command(&["apply", "--filename", "-"]).input(text);
        apply.output().map(drop).map_err(shown)
    }

    /// kubectl on this cluster.
    pub fn command(&self, arguments: &[&str]) -> Command {
        Command::new(&self.kubectl)
            .env("KUBECONFIG", &self.kubeconfig)
            .args(arguments)
    }

    /// Standard output of kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Failed> {
        Ok(self.command(arguments).output().map_err(shown)?.text())
    }

    /// An object or a list of them, as JSON.
    pub fn get(&self, arguments: &[&str]) -> Result<Value, Failed> {
        let text = self.kubectl(&[&["get", "--output", "json"], arguments].concat())?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Waits for values that a machine tells on its console.
fn told_values<const N: usize>(console: &Utf8Path, names: [&str; N]) -> Result<[String; N], Failed> {
    let began = Instant::now();
    loop {
        interrupt::check().map_err(shown)?;
        let text = plain_text(&fs_err::read(console).unwrap_or_default());
        let values: Vec<String> = names.iter().filter_map(|name| told_value(&text, name)).collect();
        if let Ok(values) = values.try_into() {
            return Ok(values);
        }
        let failed = text.contains("Failed to start first-boot") || began.elapsed() > INIT_TIME;
        if failed {
            let lines: Vec<_> = text.lines().collect();
            let last = lines
                .iter()
                .rev()
                .take(60)
                .rev()
                .copied()
                .collect::<Vec<_>>()
                .join("\n");
            return Err(format!("the machine does not tell {names:?}; the end of its console:\n{last}").into());
        }
        std::thread::sleep(TICK);
    }
}
