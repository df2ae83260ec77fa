//! The network inside the namespace: a bridge, and a tap device on it for each node.

use basalt_process::{Command, ProcessError};
use camino::Utf8Path;

use crate::ClusterError;
use crate::topology::{BRIDGE, CONTROL_PLANE, NodeNumber, SERVICE_NETWORK};

/// The device through which tap devices are made.
pub(crate) const TUN: &str = "/dev/net/tun";

/// Whether tap devices can be made at all. Better asked before anything is started.
pub(crate) fn check_tun() -> Result<(), ClusterError> {
    fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .open(TUN)
        .map(drop)
        .map_err(|source| ClusterError::Tap {
            device: TUN.into(),
            source,
        })
}

/// What `ip` has to do when the cluster begins.
pub(crate) fn bridge_commands() -> Vec<String> {
    vec![
        "link set lo up".into(),
        // Without a forwarding delay the bridge carries frames at once, not after fifteen seconds of listening.
        format!("link add {BRIDGE} type bridge stp_state 0 forward_delay 0"),
        format!("address add {CONTROL_PLANE}/24 dev {BRIDGE}"),
        format!("link set {BRIDGE} up"),
    ]
}

/// What `ip` has to do for one more node. The device belongs to the user, so that QEMU may open it from the namespace
/// of its sandbox.
pub(crate) fn node_commands(node: NodeNumber) -> Vec<String> {
    let tap = node.tap();
    vec![
        format!("tuntap add dev {tap} mode tap user 0"),
        format!("link set {tap} master {BRIDGE}"),
        format!("link set {tap} up"),
    ]
}

/// What `ip` has to do so that Services can be reached from where the control plane runs: the node's kube-proxy finds
/// the pods behind them.
pub(crate) fn service_route(by: NodeNumber) -> Vec<String> {
    vec![format!("route add {SERVICE_NETWORK} via {}", by.address())]
}

/// Runs the SDK's `ip` on a list of commands, in the network namespace of this process.
///
/// It cannot run in a sandbox as other tools do: a sandbox is a user namespace of its own, which has no power over
/// our network. So it is started through the SDK's own dynamic linker, which finds the SDK's libraries and no others.
pub(crate) fn ip(sdk: &Utf8Path, commands: &[String]) -> Result<(), ClusterError> {
    let network = |source: ProcessError| ClusterError::Network {
        source: Box::new(source),
    };
    let (loader, libraries) = match std::env::consts::ARCH {
        "aarch64" => ("lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
        _ => ("lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    };
    Command::new(sdk.join(loader))
        .arg("--library-path")
        .arg(sdk.join(libraries))
        .arg(sdk.join("usr/sbin/ip"))
        .args(["-batch", "-"])
        .input(commands.join("\n") + "\n")
        .shown_as(format!("ip -batch - <<< '{}'", commands.join("\n")))
        .output()
        .map(drop)
        .map_err(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_gets_a_device_on_the_bridge() {
        let node = NodeNumber::first(1).next().expect("one");
        assert_eq!(
            node_commands(node),
            [
                "tuntap add dev tap1 mode tap user 0",
                "link set tap1 master br0",
                "link set tap1 up"
            ]
        );
        assert_eq!(service_route(node), ["route add 10.96.0.0/16 via 10.87.0.11"]);
    }
}
