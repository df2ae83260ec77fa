//! State of the node, seen from the node itself.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use basalt_join::state::JoinState;
use serde::Serialize;

use crate::api::{self, ApiAnswer};
use crate::apply::{Applied, below, read_applied};
use crate::metadata::{self, UserDataReport, UserDataState};
use crate::readiness::Goodness;
use crate::state::{self, Treatment};
use crate::{address, joining, panics, paths};

/// Address at which the kubelet answers `/healthz`.
const KUBELET: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10248);

/// State of the node, part by part.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Record of the NodeConfig that was applied, if one was.
    pub applied: Option<Applied>,
    /// Question to the metadata service of a cloud for user data, if there is one in this boot.
    pub metadata: Option<UserDataReport>,
    /// Treatment of the file system of `/var` at this boot, if there was any.
    pub state: Option<Treatment>,
    /// The machine has an address that leads out.
    pub network: bool,
    /// containerd takes connections.
    pub containerd: bool,
    /// The kubelet says that it is well, or what it says instead.
    pub kubelet: Result<(), String>,
    /// The kubelet has a certificate of its own from the cluster.
    pub joined: bool,
    /// State of a join that asks the cluster for more than that; none when there is nothing to tell of.
    pub join: Option<JoinState>,
    /// A network add-on has left its configuration.
    pub pod_network: bool,
    /// Answer of the API server about the node, if it was asked.
    pub api: Option<ApiAnswer>,
    /// The way in which this boot was good, if it was.
    pub boot: Option<Goodness>,
    /// The number of records of dead kernels, and what happened the last time.
    pub panics: Option<(usize, String)>,
}

impl Health {
    /// Looks around on this machine, without asking the API server.
    pub fn look() -> Self {
        let root = Path::new("/");
        Self {
            applied: read_applied(root),
            metadata: metadata::read(root),
            state: state::report(root),
            network: address::leads_out(),
            containerd: UnixStream::connect(paths::CONTAINERD_SOCKET).is_ok(),
            kubelet: ask_kubelet(),
            joined: certificate_is_there(),
            join: joining::read_state(root),
            pod_network: has_pod_network(Path::new(paths::CNI_CONFIG)),
            api: None,
            boot: read_goodness(root),
            panics: None,
        }
    }

    /// Looks around, and asks the API server.
    pub fn look_everywhere() -> Self {
        let mut health = Self::look();
        health.panics = panics::last(Path::new("/"));
        health.api = health.applied.as_ref().map(|applied| api::ask(Path::new("/"), applied));
        health
    }

    /// Returns `true` if a closer look is worth its while: the last things that a node waits for are files. A machine
    /// that is just starting has better things to do than to answer the questions of [`Health::look`].
    pub fn is_near() -> bool {
        certificate_is_there() && has_pod_network(Path::new(paths::CNI_CONFIG))
    }

    /// Returns `true` if the node has joined as `kubeadm join` sees it: the kubelet has its certificate, and says that it is
    /// well.
    pub fn has_joined() -> bool {
        certificate_is_there() && ask_kubelet().is_ok()
    }

    /// The question for user data, while nothing has come of it.
    pub fn question(&self) -> Option<&UserDataReport> {
        let is_open = |report: &&UserDataReport| self.applied.is_none() && report.state != UserDataState::Found;
        self.metadata.as_ref().filter(is_open)
    }

    /// The first thing on this machine that a Ready node needs and that is not there, in words.
    pub fn missing(&self) -> Option<String> {
        let join = self.join.as_ref().map(|state| format!("it has not joined: {state}"));
        let question = self.question().map(|question| format!("no NodeConfig: {question}"));
        let parts: [(bool, &str); 5] = [
            (
                self.applied.is_some(),
                question.as_deref().unwrap_or("no NodeConfig was applied"),
            ),
            (self.network, "the machine has no address that leads out"),
            (self.containerd, "containerd does not answer"),
            (
                self.joined,
                join.as_deref().unwrap_or("the cluster gave no certificate yet"),
            ),
            (self.pod_network, "no network add-on has configured this node yet"),
        ];
        let missing = parts
            .iter()
            .find(|(there, _)| !there)
            .map(|(_, words)| (*words).to_owned());
        missing.or_else(|| self.kubelet.as_ref().err().map(|why| format!("the kubelet: {why}")))
    }

    /// Returns `true` if the API server holds the node Ready.
    pub fn is_ready(&self) -> bool {
        self.api == Some(ApiAnswer::Ready)
    }

    /// Writes the NodeConfig that was applied, or why there is none.
    fn write_config(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(applied) = &self.applied else {
            if let Some(question) = self.question() {
                return writeln!(f, "config       none: {question}");
            }
            let unit = if self.metadata.is_some() {
                "basalt-user-data"
            } else {
                "basalt-node"
            };
            return writeln!(f, "config       none applied: see `journalctl -u {unit}`");
        };
        writeln!(f, "node         {}", applied.hostname)?;
        writeln!(f, "cluster      {}", applied.endpoint)?;
        let (origin, number) = (&applied.origin, applied.files.len());
        writeln!(f, "config       {origin}, {number} files written")?;
        for warning in &applied.warnings {
            writeln!(f, "             warning: {warning}")?;
        }
        Ok(())
    }

    /// Writes the answer of the API server about the node.
    fn write_api_server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.api {
            None | Some(ApiAnswer::NoCertificate) => writeln!(f, "api server   not asked"),
            Some(ApiAnswer::Ready) => writeln!(f, "api server   holds this node Ready"),
            Some(ApiAnswer::NotReady(why)) => writeln!(f, "api server   does not hold this node Ready: {why}"),
            Some(ApiAnswer::Rejected) => writeln!(f, "api server   refuses this node's certificate"),
            Some(ApiAnswer::Unreachable(why)) => writeln!(f, "api server   cannot be reached: {why}"),
        }
    }
}

/// The way in which this boot was found good, if it was by now.
fn read_goodness(root: &Path) -> Option<Goodness> {
    serde_json::from_slice(&fs_err::read(below(root, paths::BOOT_GOOD)).ok()?).ok()
}

/// For people.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |good: bool, bad: &'static str| if good { "yes" } else { bad };
        self.write_config(f)?;
        if let Some(treatment) = self.state {
            writeln!(f, "state        {treatment}")?;
        }
        let why = "no: no interface has an address that leads out; see `networkctl`";
        writeln!(f, "network      {}", yes(self.network, why))?;
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
        match self.join.as_ref().filter(|_| !self.joined) {
            Some(state) => writeln!(f, "joined       no: {state}")?,
            None => writeln!(f, "joined       {}", yes(self.joined, why))?,
        }
        writeln!(
            f,
            "pod network  {}",
            yes(self.pod_network, "no: no network add-on has configured this node yet")
        )?;
        self.write_api_server(f)?;
        if let Some(goodness) = self.boot {
            writeln!(f, "boot         good: {goodness}")?;
        }
        if let Some((count, last)) = &self.panics {
            writeln!(f, "panics       {count}, the last: {last}; see `basalt-node panics`")?;
        }
        writeln!(f, "ready        {}", yes(self.is_ready(), "no"))
    }
}

/// Returns `true` if the cluster has given the kubelet a certificate of its own.
fn certificate_is_there() -> bool {
    Path::new(paths::CLIENT_CERTIFICATE).exists()
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
pub(crate) mod tests {
    use super::*;
    use crate::address::Wanted;
    use crate::cloud::Cloud;

    #[test]
    fn a_pod_network_is_a_configuration_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_pod_network(Path::new("/nowhere")));
        fs_err::write(folder.path().join(".10-flannel.conflist.tmp"), "").unwrap();
        assert!(!has_pod_network(folder.path()));
        fs_err::write(folder.path().join("10-flannel.conflist"), "").unwrap();
        assert!(has_pod_network(folder.path()));
    }

    /// Health of a machine on which nothing runs yet.
    pub(crate) fn nothing() -> Health {
        Health {
            applied: None,
            metadata: None,
            state: None,
            network: false,
            containerd: false,
            kubelet: Err("no answer (Connection refused)".to_owned()),
            joined: false,
            join: None,
            pod_network: false,
            api: None,
            boot: None,
            panics: None,
        }
    }

    #[test]
    fn each_line_says_what_to_do() {
        insta::assert_snapshot!(nothing().to_string());
    }

    /// The question of a machine in EC2, after an answer that was none.
    pub(crate) fn asking() -> UserDataReport {
        let state = UserDataState::Asking {
            failed: 3,
            last: Some("HTTP status 503".to_owned()),
        };
        let cloud = Cloud::Ec2;
        UserDataReport { cloud, state }
    }

    #[test]
    fn a_question_for_user_data_is_shown_while_it_is_open() {
        let mut health = nothing();
        let first = |health: &Health| health.to_string().lines().next().unwrap_or_default().to_owned();
        health.metadata = Some(asking());
        insta::assert_snapshot!(first(&health), @"config       none: asking the metadata service of EC2 for user data (tries without an answer: 3; the last: HTTP status 503)");
        assert!(
            health
                .missing()
                .unwrap()
                .starts_with("no NodeConfig: asking the metadata service of EC2")
        );
        // What was found and is not applied was refused, which the journal tells of.
        let cloud = Cloud::Ec2;
        let state = UserDataState::Found;
        health.metadata = Some(UserDataReport { cloud, state });
        assert_eq!(
            first(&health),
            "config       none applied: see `journalctl -u basalt-user-data`"
        );
    }

    #[test]
    fn the_first_thing_that_is_missing_is_named() {
        let mut health = nothing();
        let missing = |health: &Health| health.missing().unwrap_or_default();
        assert_eq!(missing(&health), "no NodeConfig was applied");
        health.applied = Some(Applied {
            origin: "test".to_owned(),
            hostname: "n".to_owned(),
            endpoint: "https://a:1".to_owned(),
            wanted: Wanted::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        });
        assert!(missing(&health).contains("address"));
        (health.network, health.containerd, health.joined) = (true, true, true);
        assert!(missing(&health).contains("network add-on"));
        health.pod_network = true;
        assert!(missing(&health).contains("Connection refused"));
        health.kubelet = Ok(());
        assert_eq!(health.missing(), None);
        // All of that is no proof that the cluster knows of it.
        assert!(!health.is_ready());
        health.api = Some(ApiAnswer::Ready);
        assert!(health.is_ready());
    }
}
