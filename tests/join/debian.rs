//! Debian machines, which set themselves up by a script at their first boot: workers.

use basalt_cluster::Variant;
use basalt_cluster::topology::{CONTROL_PLANE, NodeNumber};
use basalt_debian::{DebianDisk, DebianSystem, NO_TIMER_CHECK, StackPackage};
use basalt_progress::Silent;
use basalt_test_environment::{Failed, TestDirectory, shown};
use camino::{Utf8Path, Utf8PathBuf};

use crate::cluster::join_argument;

/// Words of the Debian kernel's command line: few lines of its own on the console, where the set-up tells why it fails.
const KERNEL_ARGUMENTS: &[&str] = &["loglevel=3", NO_TIMER_CHECK];
/// Script that gives a machine its name and address, after the lines that set its variables.
const NETWORK: &str = include_str!("scripts/network.sh");
/// Script of a worker, after the one above.
const JOIN: &str = include_str!("scripts/join.sh");
/// Time-outs of kubeadm's own waits, on a busy machine without KVM: the field `timeouts` of its configurations.
const KUBEADM_TIMEOUTS: &str = "{controlPlaneComponentHealthCheck: 20m, kubeletHealthCheck: 20m, \
    kubernetesAPICall: 20m, etcdAPICall: 20m, tlsBootstrap: 20m, discovery: 20m, upgradeManifests: 20m}";

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

/// The machine of a worker. The first answers DHCP, too, for machines that get no address from anybody else.
pub fn worker(disk: &Utf8Path, number: NodeNumber, endpoint: &str, join_command: &str) -> Result<Variant, Failed> {
    let dhcp_server = if NodeNumber::first(1).any(|first| first == number) {
        "yes"
    } else {
        ""
    };
    let variables = [
        ("ENDPOINT", endpoint),
        ("TOKEN", join_argument(join_command, "--token")?),
        ("PIN", join_argument(join_command, "--discovery-token-ca-cert-hash")?),
        ("DHCP_SERVER", dhcp_server),
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
