//! What has to happen right before the kubelet starts, when `/var` is there and the network comes up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::apply::{self, Applied, ApplyError, below};
use crate::paths;
use crate::plan::PlannedFile;

/// Whose certificates the kubelet keeps on the state partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Joined {
    authority: String,
    hostname: String,
    endpoint: String,
}

/// Takes away what the kubelet must not use any more.
///
/// The kubelet goes on with a client certificate as long as it has not expired. If the machine was given to another
/// cluster or another name, it would knock with the old one for ever and never use its token.
pub fn forget_other_clusters(root: &Path, applied: &Applied) -> Result<bool, ApplyError> {
    let now = Joined {
        authority: applied.authority.clone(),
        hostname: applied.hostname.clone(),
        endpoint: applied.endpoint.clone(),
    };
    let recorded = fs_err::read(below(root, paths::JOINED)).ok();
    let recorded = recorded.and_then(|bytes| serde_json::from_slice::<Joined>(&bytes).ok());
    if recorded.as_ref() == Some(&now) {
        return Ok(false);
    }
    let remove = |path: std::path::PathBuf| match fs_err::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ApplyError::Write { path, source: error }),
        _ => Ok(()),
    };
    // The kubelet makes its kubeconfig anew from the one for the first contact.
    remove(below(root, paths::KUBECONFIG))?;
    let moved = recorded
        .as_ref()
        .is_some_and(|joined| (&joined.authority, &joined.hostname) == (&now.authority, &now.hostname));
    if !moved {
        let entries = fs_err::read_dir(below(root, paths::KUBELET_PKI))
            .into_iter()
            .flatten()
            .flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("kubelet-")) {
            remove(entry.path())?;
        }
    }
    let content = serde_json::to_string_pretty(&now).unwrap_or_default() + "\n";
    apply::write(
        root,
        &PlannedFile {
            path: paths::JOINED.to_owned(),
            mode: 0o600,
            content,
        },
    )?;
    Ok(recorded.is_some())
}

/// Waits until the node has the address that it shall register with, and returns it.
///
/// A kubelet that is not told an address looks its own name up, first of all at name servers that may be silent for
/// seconds. One that is told an address too early registers a node without any, and corrects that much later.
pub fn wait_for_address(wanted: Option<IpAddr>, patience: Duration) -> Option<IpAddr> {
    let start = Instant::now();
    loop {
        let address = match wanted {
            Some(address) => is_own(address).then_some(address),
            None => outgoing(),
        };
        if address.is_some() || start.elapsed() >= patience {
            return address;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether an interface has this address by now.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// The address that packets to far away would have. Connecting a UDP socket asks the routes; it sends nothing.
fn outgoing() -> Option<IpAddr> {
    // Addresses for documentation: nothing but the default route leads there.
    let (near, far) = (
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    );
    let (near6, far6) = ("::".parse().ok()?, "2001:db8::1".parse().ok()?);
    [(near, far), (near6, far6)]
        .into_iter()
        .find_map(|(near, far): (IpAddr, IpAddr)| {
            let socket = UdpSocket::bind(SocketAddr::new(near, 0)).ok()?;
            socket.connect(SocketAddr::new(far, 9)).ok()?;
            let address = socket.local_addr().ok()?.ip();
            (!address.is_unspecified() && !address.is_loopback()).then_some(address)
        })
}

/// Writes the address down for the kubelet's unit.
pub fn write_address(root: &Path, address: Option<IpAddr>) -> Result<(), ApplyError> {
    let content = address
        .map(|address| format!("KUBELET_ADDRESS=--node-ip={address}\n"))
        .unwrap_or_default();
    apply::write(
        root,
        &PlannedFile {
            path: paths::KUBELET_ADDRESS.to_owned(),
            mode: 0o644,
            content,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(authority: &str, hostname: &str, endpoint: &str) -> Applied {
        Applied {
            origin: "test".to_owned(),
            hostname: hostname.to_owned(),
            endpoint: endpoint.to_owned(),
            address: None,
            authority: authority.to_owned(),
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn certificates_of_another_cluster_go() {
        let root = tempfile::tempdir().unwrap();
        let certificate = below(root.path(), paths::KUBELET_PKI).join("kubelet-client-current.pem");
        let kubeconfig = below(root.path(), paths::KUBECONFIG);
        let there = || {
            fs_err::create_dir_all(certificate.parent().unwrap()).unwrap();
            fs_err::write(&certificate, "").unwrap();
            fs_err::write(&kubeconfig, "").unwrap();
        };
        let left = |applied: &Applied| {
            there();
            forget_other_clusters(root.path(), applied).unwrap();
            (certificate.exists(), kubeconfig.exists())
        };
        // Of the first contact nothing is known: what is there is of no use.
        assert_eq!(left(&applied("a", "n", "e")), (false, false));
        assert_eq!(left(&applied("a", "n", "e")), (true, true));
        // The same cluster under another address: the certificate is still good.
        assert_eq!(left(&applied("a", "n", "other")), (true, false));
        assert_eq!(left(&applied("a", "other", "other")), (false, false));
        assert_eq!(left(&applied("b", "other", "other")), (false, false));
        assert_eq!(left(&applied("b", "other", "other")), (true, true));
    }

    #[test]
    fn addresses_are_waited_for() {
        let loopback = "127.0.0.1".parse().unwrap();
        assert_eq!(wait_for_address(Some(loopback), Duration::ZERO), Some(loopback));
        let foreign = "192.0.2.77".parse().unwrap();
        assert_eq!(wait_for_address(Some(foreign), Duration::from_millis(30)), None);
    }
}
