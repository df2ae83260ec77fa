//! Network of the local cluster, in which the machines and the control plane are: a namespace of the supervisor's.

use basalt_cluster::{ip_program, topology};
use basalt_process::Command;
use basalt_test_environment::{Cli, Failed, shown};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use crate::cluster::items;
use crate::fixture::SOON;

/// The namespace.
#[derive(Debug, Clone)]
pub struct ClusterNetwork {
    /// Process that is in it.
    supervisor: String,
    /// `true` if it belongs to a user namespace of its own.
    has_users: bool,
    sdk: Utf8PathBuf,
}

impl ClusterNetwork {
    /// Network of the cluster of this command.
    pub fn of(cli: &Cli, sdk: &Utf8Path) -> Result<Self, Failed> {
        let status = cli.json(&["status"], SOON, 0)?;
        let supervisor = status["supervisor"].as_str().ok_or("no supervisor")?.to_owned();
        let user = |process: &str| fs_err::read_link(format!("/proc/{process}/ns/user"));
        // For root, the cluster's network may be one of the same user namespace, which nobody can enter again.
        let has_users = user(&supervisor)? != user("self")?;
        Ok(Self {
            supervisor,
            has_users,
            sdk: sdk.to_owned(),
        })
    }

    /// Command that runs in this network.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut enter = Command::new("nsenter").args(["--target", &self.supervisor, "--net"]);
        if self.has_users {
            enter = enter.args(["--user", "--preserve-credentials"]);
        }
        enter.arg("--").args(words)
    }

    /// Leads the control plane to the pods of nodes, as a network plug-in does on a machine that has one.
    pub fn add_routes(&self, nodes: &Value) -> Result<(), Failed> {
        let route = |node: &Value| {
            let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
            let address = addresses
                .filter(|address| address["type"] == "InternalIP")
                .find_map(|address| address["address"].as_str())?;
            let network = node["spec"]["podCIDR"].as_str()?;
            Some(format!(
                "route replace {network} via {address} dev {}\n",
                topology::BRIDGE
            ))
        };
        let routes: String = items(nodes).iter().filter_map(route).collect();
        let program = ip_program(&self.sdk);
        let words = program.iter().map(String::as_str).chain(["-batch", "-"]);
        let command = self.command(&words.collect::<Vec<_>>()).input(routes);
        command.output().map(drop).map_err(shown)
    }
}
