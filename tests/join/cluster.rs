//! The cluster that kubeadm made, as its clients see it.

use std::time::Duration;

use basalt_process::Command;
use basalt_test_environment::{Failed, shown, until_every};
use camino::Utf8PathBuf;
use serde_json::Value;

/// Interval of looks at the cluster.
pub const TICK: Duration = Duration::from_secs(3);
/// Time-out of pods whose images are pulled by an emulated machine.
pub const PULLED: Duration = Duration::from_secs(600);

/// Time-out of a boot, a join and the pod network, on a busy machine without KVM.
const JOINED: Duration = Duration::from_secs(1800);

/// A cluster that kubeadm made.
#[derive(Clone)]
pub struct KubeadmCluster {
    /// Version of kubeadm and of the control plane: `v1.37.2`.
    pub version: String,
    /// Name of its first node, a Debian worker.
    pub node: String,
    /// Host and port of its API server on the network of the machines.
    pub endpoint: String,
    /// Administrator's kubeconfig, with the address of a port of this host that leads to it.
    pub kubeconfig: Utf8PathBuf,
    /// Output of `kubeadm token create --print-join-command`.
    pub join_command: String,
    /// Path of kubectl.
    pub kubectl: Utf8PathBuf,
}

impl KubeadmCluster {
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

    /// Answer of the API server to a request for a path, as JSON.
    pub fn raw(&self, path: &str) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.kubectl(&["get", "--raw", path])?)?)
    }

    /// Applies objects.
    pub fn apply(&self, objects: &str) -> Result<(), Failed> {
        let apply = self.command(&["apply", "--filename", "-"]).input(objects);
        apply.output().map(drop).map_err(shown)
    }

    /// Waits until a node is Ready.
    pub fn node_ready(&self, name: &str) -> Result<(), Failed> {
        until_every(TICK, &format!("node {name} is Ready"), JOINED, || {
            self.get(&["node", name]).is_ok_and(|node| is_ready(&node))
        })
    }

    /// Waits for a number of Ready pods, all that a label selects.
    pub fn pods_ready(&self, label: &str, count: usize) -> Result<Vec<Value>, Failed> {
        let pods = || self.get(&["pods", "--selector", label]).unwrap_or_default();
        until_every(TICK, &format!("{count} pods of {label} are Ready"), PULLED, || {
            let list = pods();
            items(&list).len() == count && items(&list).iter().all(is_ready)
        })?;
        Ok(items(&pods()).to_vec())
    }

    /// Argument of the join command that follows a word of it.
    pub fn join_argument(&self, word: &str) -> Result<&str, Failed> {
        join_argument(&self.join_command, word)
    }

    /// Token of the join command: its identifier, which may be shown, and its secret.
    pub fn token(&self) -> Result<(&str, &str), Failed> {
        let token = self.join_argument("--token")?.split_once('.');
        token.ok_or_else(|| "the token of the join command has no `.`".into())
    }
}

/// Argument of a join command that follows a word of it.
pub fn join_argument<'c>(command: &'c str, word: &str) -> Result<&'c str, Failed> {
    let mut words = command.split_whitespace().skip_while(|other| *other != word);
    let argument = words.nth(1);
    argument.ok_or_else(|| format!("no {word} in the join command").into())
}

/// The items of a list.
pub fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Checks an object's condition Ready.
pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .filter(|condition| condition["type"] == "Ready")
        .any(|condition| condition["status"] == "True")
}
