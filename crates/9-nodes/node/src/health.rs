//! How the node is doing, seen from the node itself.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::apply::{Applied, below, read_applied};
use crate::paths;

/// Where the kubelet says how it is doing.
const KUBELET: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10248);

/// What can be seen.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// What was applied, if anything was.
    pub applied: Option<Applied>,
    /// containerd takes connections.
    pub containerd: bool,
    /// The kubelet says that it is well, or what it says instead.
    pub kubelet: Result<(), String>,
    /// The kubelet has a certificate of its own from the cluster.
    pub joined: bool,
    /// A network add-on has left its configuration.
    pub pod_network: bool,
}

impl Health {
    /// Looks around.
    pub fn look() -> Self {
        let root = Path::new("/");
        Self {
            applied: read_applied(root),
            containerd: UnixStream::connect(paths::CONTAINERD_SOCKET).is_ok(),
            kubelet: ask_kubelet(),
            joined: certificate_is_there(),
            pod_network: has_pod_network(Path::new(paths::CNI_CONFIG)),
        }
    }

    /// Whether a closer look is worth its while: the last things that a node waits for are files. A machine that is
    /// just starting has better things to do than to answer the questions of [`Health::look`].
    pub fn is_near() -> bool {
        certificate_is_there() && has_pod_network(Path::new(paths::CNI_CONFIG))
    }

    /// Whether everything is there that a Ready node needs.
    ///
    /// The kubelet reports its node Ready when it and its runtime are well and the runtime has a pod network; that it
    /// could say so to the cluster is what its certificate shows.
    pub fn is_ready(&self) -> bool {
        self.applied.is_some() && self.containerd && self.kubelet.is_ok() && self.joined && self.pod_network
    }
}

/// For people.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |good: bool, bad: &'static str| if good { "yes" } else { bad };
        match &self.applied {
            Some(applied) => {
                writeln!(f, "node         {}", applied.hostname)?;
                writeln!(f, "cluster      {}", applied.endpoint)?;
                writeln!(
                    f,
                    "config       {}, {} files written",
                    applied.origin,
                    applied.files.len()
                )?;
                for warning in &applied.warnings {
                    writeln!(f, "             warning: {warning}")?;
                }
            }
            None => writeln!(f, "config       none applied: see `journalctl -u basalt-node`")?,
        }
        writeln!(
            f,
            "containerd   {}",
            yes(self.containerd, "no: see `journalctl -u containerd`")
        )?;
        match &self.kubelet {
            Ok(()) => writeln!(f, "kubelet      ok")?,
            Err(why) => writeln!(f, "kubelet      {why}: see `journalctl -u kubelet`")?,
        }
        let why = "no: the cluster gave no certificate yet; is the token known there, and is the time right?";
        writeln!(f, "joined       {}", yes(self.joined, why))?;
        writeln!(
            f,
            "pod network  {}",
            yes(self.pod_network, "no: no network add-on has configured this node yet")
        )?;
        writeln!(f, "ready        {}", yes(self.is_ready(), "no"))
    }
}

/// Whether the cluster has given the kubelet a certificate of its own.
fn certificate_is_there() -> bool {
    below(Path::new("/"), paths::KUBELET_PKI)
        .join("kubelet-client-current.pem")
        .exists()
}

fn has_pod_network(folder: &Path) -> bool {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let kinds = ["conf", "conflist", "json"];
    entries.into_iter().any(|entry| {
        entry
            .path()
            .extension()
            .is_some_and(|kind| kinds.iter().any(|known| kind == *known))
    })
}

/// The kubelet's own word, `GET /healthz`.
fn ask_kubelet() -> Result<(), String> {
    let patience = Duration::from_secs(2);
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&KUBELET, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(64 << 10).read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|error| format!("no answer ({error})"))?;
    let status = answer.split_whitespace().nth(1).unwrap_or_default();
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.trim())
        .unwrap_or_default();
    if status == "200" {
        Ok(())
    } else {
        Err(format!("not well, {status}: {body}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_network_is_a_configuration_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_pod_network(Path::new("/nowhere")));
        fs_err::write(folder.path().join(".10-flannel.conflist.tmp"), "").unwrap();
        assert!(!has_pod_network(folder.path()));
        fs_err::write(folder.path().join("10-flannel.conflist"), "").unwrap();
        assert!(has_pod_network(folder.path()));
    }

    #[test]
    fn each_line_says_what_to_do() {
        let health = Health {
            applied: None,
            containerd: false,
            kubelet: Err("no answer (Connection refused)".to_owned()),
            joined: false,
            pod_network: false,
        };
        insta::assert_snapshot!(health.to_string());
    }
}
