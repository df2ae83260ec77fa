//! Debian machines, which set themselves up by a script at their first boot: the control plane, and workers.

use std::time::{Duration, Instant};

use basalt_cluster::Variant;
use basalt_cluster::topology::{CONTROL_PLANE, NodeNumber};
use basalt_debian::{DebianDisk, DebianSystem, NO_TIMER_CHECK, StackPackage};
use basalt_process::interrupt;
use basalt_progress::Silent;
use basalt_tests::{Failed, TestDirectory, console_end, console_text, shown, told_value};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cluster::KubeadmCluster;

/// Words of the Debian kernel's command line: few lines of its own on the console, where the set-up tells its results.
const KERNEL_ARGUMENTS: &[&str] = &["loglevel=3", NO_TIMER_CHECK];
/// Script that gives a machine its name and address, after the lines that set its variables.
const NETWORK: &str = include_str!("scripts/network.sh");
/// Script of the control plane, after the one above.
const INIT: &str = include_str!("scripts/init.sh");
/// Script of a worker, after the one above.
const JOIN: &str = include_str!("scripts/join.sh");
/// Time-out of kubeadm on the machine of the control plane, power-on included, on a busy machine without KVM.
pub const KUBEADM: Duration = Duration::from_secs(2400);
/// Time-outs of kubeadm's own waits, of all its commands: the field `timeouts` of its configurations.
pub const KUBEADM_TIMEOUTS: &str = "{controlPlaneComponentHealthCheck: 20m, kubeletHealthCheck: 20m, \
    kubernetesAPICall: 20m, etcdAPICall: 20m, tlsBootstrap: 20m, discovery: 20m, upgradeManifests: 20m}";
/// Interval of looks at the console.
const TICK: Duration = Duration::from_secs(1);

/// Makes the disk of all Debian machines, which takes a package's place in it from Basalt's packages.
pub fn disk(directory: &TestDirectory, stack: &[StackPackage]) -> Result<Utf8PathBuf, Failed> {
    let checkout = &directory.environment.checkout;
    let system = DebianSystem {
        packages: &checkout.join("distro/debian/packages.toml"),
        files: &[checkout.join("distro/debian/root"), checkout.join("tests/join/machine")],
        sysctl: &checkout.join("distro/packages/basalt-defaults/sysctl-kubernetes.conf"),
        stack,
        kernel_arguments: KERNEL_ARGUMENTS,
    };
    let debian = DebianDisk::make(system, &directory.store, &directory.sdk, &Silent).map_err(shown)?;
    Ok(debian.disk)
}

/// Name of a Debian machine in the cluster.
pub fn name(number: NodeNumber) -> String {
    number.name().replace("node", "debian")
}

/// The machine of the control plane. It answers DHCP, too, for machines that get no address from anybody else.
pub fn control_plane(disk: &Utf8Path, number: NodeNumber, version: &str) -> Variant {
    machine(disk, number, &[("VERSION", version), ("DHCP_SERVER", "yes")], INIT)
}

/// The machine of a worker.
pub fn worker(disk: &Utf8Path, number: NodeNumber, cluster: &KubeadmCluster) -> Result<Variant, Failed> {
    let variables = [
        ("ENDPOINT", cluster.endpoint.as_str()),
        ("TOKEN", cluster.join_argument("--token")?),
        ("PIN", cluster.join_argument("--discovery-token-ca-cert-hash")?),
    ];
    Ok(machine(disk, number, &variables, JOIN))
}

fn machine(disk: &Utf8Path, number: NodeNumber, variables: &[(&str, &str)], script: &str) -> Variant {
    let (name, address, gateway) = (name(number), number.address().to_string(), CONTROL_PLANE.to_string());
    let mac = number.mac();
    let own = [
        ("NAME", name.as_str()),
        ("ADDRESS", address.as_str()),
        ("GATEWAY", gateway.as_str()),
        ("MAC", mac.as_str()),
        ("TIMEOUTS", KUBEADM_TIMEOUTS),
    ];
    let lines = own
        .iter()
        .chain(variables)
        .map(|(name, value)| format!("{name}='{value}'\n"));
    let script = lines.chain([NETWORK.to_owned(), script.to_owned()]).collect::<String>();
    Variant {
        disk: Some(disk.to_owned()),
        credentials: [("first-boot".to_owned(), script)].into(),
        ..Variant::default()
    }
}

/// Waits for values that a machine tells on its console.
pub fn told_values<const N: usize>(console: &Utf8Path, names: [&str; N]) -> Result<[String; N], Failed> {
    let began = Instant::now();
    loop {
        interrupt::check().map_err(shown)?;
        let text = console_text(console);
        let values: Vec<String> = names.iter().filter_map(|name| told_value(&text, name)).collect();
        if let Ok(values) = values.try_into() {
            return Ok(values);
        }
        if text.contains("Failed to start first-boot") || began.elapsed() > KUBEADM {
            let end = console_end(console);
            return Err(format!("the machine does not tell {names:?}; the end of its console:\n{end}").into());
        }
        std::thread::sleep(TICK);
    }
}
