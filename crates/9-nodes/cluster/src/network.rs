//! Network inside the namespace: a bridge with a port for each node.

use basalt_process::{Command, ProcessError};
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::ClusterError;
use crate::topology::{BRIDGE, CONTROL_PLANE, NodeNumber};

/// Device node that makes tap devices.
const TUN: &str = "/dev/net/tun";

/// Connection between the nodes' network cards and the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wire {
    /// Tap devices, which QEMU opens itself.
    Tap,
    /// veth pairs with frames relayed by the supervisor: slower, but possible without /dev/net/tun.
    Cable,
}

impl Wire {
    /// Chooses tap devices where /dev/net/tun can be opened, cables elsewhere and with `BASALT_WIRE=cable`, for tests.
    pub(crate) fn choose() -> Self {
        if std::env::var("BASALT_WIRE").is_ok_and(|wire| wire == "cable") {
            return Self::Cable;
        }
        match fs_err::OpenOptions::new().read(true).write(true).open(TUN) {
            Ok(_) => Self::Tap,
            Err(error) => {
                tracing::info!(%error, "no tap devices");
                Self::Cable
            }
        }
    }
}

/// Commands of `ip` that make the bridge.
pub(crate) fn bridge_commands() -> Vec<String> {
    vec![
        "link set lo up".into(),
        // Without a forwarding delay the bridge carries frames at once, not after fifteen seconds of listening.
        format!("link add {BRIDGE} type bridge stp_state 0 forward_delay 0"),
        format!("address add {CONTROL_PLANE}/24 dev {BRIDGE}"),
        format!("link set {BRIDGE} up"),
    ]
}

/// Commands of `ip` that connect one more node.
pub(crate) fn node_commands(node: NodeNumber, wire: Wire) -> Vec<String> {
    let port = node.port();
    let mut commands = match wire {
        // The device belongs to the user, so that QEMU may open it from the namespace of its sandbox.
        Wire::Tap => vec![format!("tuntap add dev {port} mode tap user 0")],
        Wire::Cable => {
            let card = node.card();
            vec![
                format!("link add {port} type veth peer name {card}"),
                // No address of its own: only the machine sends frames on this card.
                format!("link set {card} addrgenmode none"),
                format!("link set {card} up"),
                // No frames beyond the MTU (segmentation offloading) on a cable.
                format!("link set {BRIDGE} gso_max_segs 1"),
            ]
        }
    };
    commands.extend([
        format!("link set {port} master {BRIDGE}"),
        format!("link set {port} up"),
    ]);
    commands
}

/// Command of `ip` that disconnects a node, which must have no machine any more.
pub(crate) fn disconnect_command(node: NodeNumber) -> String {
    // The other end of a veth pair goes with it.
    format!("link delete {}", node.port())
}

/// Words of a command line that start the SDK's `ip`, whose path is that of its tree.
///
/// Unlike other tools, `ip` cannot run in a sandbox: a sandbox is a user namespace of its own, without privileges in
/// the network namespace. The SDK's own dynamic linker starts it, which finds the SDK's libraries and no others.
pub fn ip_program(sdk: &Utf8Path) -> [String; 4] {
    let (loader, libraries) = match std::env::consts::ARCH {
        "aarch64" => ("lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
        _ => ("lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
    };
    let path = |path: &str| sdk.join(path).into_string();
    [
        path(loader),
        "--library-path".into(),
        path(libraries),
        path("usr/sbin/ip"),
    ]
}

/// Runs the SDK's `ip` on a list of commands, in the network namespace of this process.
pub(crate) fn ip(sdk: &Utf8Path, commands: &[String]) -> Result<(), ClusterError> {
    let network = |source: ProcessError| ClusterError::Network {
        source: Box::new(source),
    };
    let [program, arguments @ ..] = ip_program(sdk);
    Command::new(program)
        .args(arguments)
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
            node_commands(node, Wire::Tap),
            [
                "tuntap add dev port1 mode tap user 0",
                "link set port1 master br0",
                "link set port1 up"
            ]
        );
        assert_eq!(
            node_commands(node, Wire::Cable)[0],
            "link add port1 type veth peer name card1"
        );
    }
}
