//! Stages of a cluster's start, derived from observations.
//!
//! The current stage is a pure function of the observations ([`Seen`]), so that every state of a cluster is a line in a
//! test.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

/// Stages of a cluster's start, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The API server is ready.
    ControlPlane,
    /// The initial objects are applied.
    Objects,
    /// All nodes are Ready.
    Nodes,
    /// The pod network, the service proxy and the name service run.
    Network,
    /// The web server's pods are ready.
    WebServer,
    /// The web server answers through its Service; with several nodes, from each of them.
    Answer,
}

impl Stage {
    /// All stages, in their order.
    pub const ALL: [Self; 6] = [
        Self::ControlPlane,
        Self::Objects,
        Self::Nodes,
        Self::Network,
        Self::WebServer,
        Self::Answer,
    ];

    /// Title of the stage on the terminal.
    pub fn title(self) -> &'static str {
        match self {
            Self::ControlPlane => "control plane",
            Self::Objects => "first objects",
            Self::Nodes => "nodes Ready",
            Self::Network => "network and name service",
            Self::WebServer => "web server's pod",
            Self::Answer => "answer through the Service",
        }
    }

    /// Time without progress after which the stage is given up. Without KVM and on busy processors everything takes many
    /// times longer than usual.
    pub fn timeout(self) -> Duration {
        Duration::from_secs(match self {
            Self::ControlPlane => 300,
            Self::Objects => 120,
            Self::Nodes => 400,
            Self::Network | Self::WebServer => 240,
            Self::Answer => 60,
        })
    }
}

/// Pods of a Deployment or DaemonSet: how many there should be, and how many are ready.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// Name of the Deployment or DaemonSet.
    pub name: String,
    /// Number of pods there should be; `None` while it is not known.
    pub wanted: Option<u64>,
    /// Number of ready pods.
    pub ready: u64,
}

impl Workload {
    /// Checks that all pods are ready.
    pub(crate) fn is_ready(&self) -> bool {
        self.wanted.is_some_and(|wanted| self.ready >= wanted)
    }
}

/// Observations of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Readiness of the API server.
    pub api_ready: bool,
    /// Number of the API server's readiness checks that passed when it was not ready yet.
    pub api_checks: usize,
    /// `true` once the initial objects were applied.
    pub applied: bool,
    /// Names of the registered nodes, each with its condition Ready.
    pub nodes: Vec<(String, bool)>,
    /// System workloads: flannel, kube-proxy, CoreDNS.
    pub system: Vec<Workload>,
    /// Deployment of the web server.
    pub web: Workload,
    /// Names of the nodes from which the web server answered.
    pub answered: BTreeSet<String>,
}

/// Number of system workloads: flannel, kube-proxy, CoreDNS.
pub const SYSTEM_WORKLOADS: usize = 3;

/// First unfinished stage of a cluster with so many nodes; `None` when all are done.
pub fn current(seen: &Seen, nodes: usize) -> Option<Stage> {
    Stage::ALL.into_iter().find(|stage| match stage {
        Stage::ControlPlane => !seen.api_ready,
        Stage::Objects => !seen.applied,
        Stage::Nodes => seen.nodes.iter().filter(|(_, ready)| *ready).count() < nodes,
        Stage::Network => seen.system.len() < SYSTEM_WORKLOADS || !seen.system.iter().all(Workload::is_ready),
        Stage::WebServer => !seen.web.is_ready() || seen.web.ready == 0,
        Stage::Answer => seen.answered.len() < nodes,
    })
}

/// Text about the unfinished part of a stage.
pub fn missing(seen: &Seen, stage: Stage, nodes: usize) -> String {
    let counted = |workload: &Workload| match workload.wanted {
        Some(wanted) => format!("{} {}/{wanted}", workload.name, workload.ready),
        None => format!("{} not begun", workload.name),
    };
    match stage {
        Stage::ControlPlane => "the API server is not ready".to_owned(),
        Stage::Objects => "the first objects are not there".to_owned(),
        Stage::Nodes => {
            let named: Vec<_> = seen
                .nodes
                .iter()
                .map(|(name, ready)| format!("{name} {}", if *ready { "Ready" } else { "not Ready" }))
                .collect();
            let joined = if named.is_empty() {
                "none has registered".to_owned()
            } else {
                named.join(", ")
            };
            format!(
                "{} of {nodes}: {joined}",
                seen.nodes.iter().filter(|(_, ready)| *ready).count()
            )
        }
        Stage::Network => {
            let open: Vec<_> = seen
                .system
                .iter()
                .filter(|workload| !workload.is_ready())
                .map(counted)
                .collect();
            if open.is_empty() {
                "not begun".to_owned()
            } else {
                open.join(", ")
            }
        }
        Stage::WebServer => counted(&seen.web),
        Stage::Answer => match seen.answered.len() {
            0 => "no answer yet".to_owned(),
            some => format!("answered from {some} of {nodes} nodes"),
        },
    }
}

/// Row of the table of times that `up` ends with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageTime {
    /// Title of the stage, or `NODE: power-on to Ready`.
    pub stage: String,
    /// Time at its end, in seconds after the start of `up`.
    pub at: f64,
    /// Duration in seconds: since the end of the stage before, or since power-on for a node.
    pub took: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(name: &str, wanted: u64, ready: u64) -> Workload {
        Workload {
            name: name.into(),
            wanted: Some(wanted),
            ready,
        }
    }

    /// Observations of a complete cluster of two nodes.
    fn complete() -> Seen {
        Seen {
            api_ready: true,
            api_checks: 0,
            applied: true,
            nodes: vec![("node-1".into(), true), ("node-2".into(), true)],
            system: vec![
                workload("flannel", 2, 2),
                workload("kube-proxy", 2, 2),
                workload("coredns", 1, 1),
            ],
            web: workload("web", 2, 2),
            answered: ["node-1".to_owned(), "node-2".to_owned()].into(),
        }
    }

    #[test]
    fn every_state_has_its_stage() {
        let without = |change: fn(&mut Seen)| {
            let mut seen = complete();
            change(&mut seen);
            current(&seen, 2)
        };
        type Line = (fn(&mut Seen), Option<Stage>);
        let table: [Line; 12] = [
            (|_| {}, None),
            (|seen| seen.api_ready = false, Some(Stage::ControlPlane)),
            (|seen| seen.applied = false, Some(Stage::Objects)),
            (|seen| seen.nodes.clear(), Some(Stage::Nodes)),
            (|seen| seen.nodes[1].1 = false, Some(Stage::Nodes)),
            (|seen| drop(seen.nodes.pop()), Some(Stage::Nodes)),
            (|seen| drop(seen.system.pop()), Some(Stage::Network)),
            (|seen| seen.system[0].ready = 1, Some(Stage::Network)),
            (|seen| seen.system[2].wanted = None, Some(Stage::Network)),
            (
                |seen| {
                    seen.web = Workload {
                        wanted: None,
                        ready: 0,
                        name: "web".into(),
                    }
                },
                Some(Stage::WebServer),
            ),
            (|seen| seen.web = workload("web", 0, 0), Some(Stage::WebServer)),
            (|seen| drop(seen.answered.pop_last()), Some(Stage::Answer)),
        ];
        for (place, (change, stage)) in table.into_iter().enumerate() {
            assert_eq!(without(change), stage, "line {place}");
        }
        assert_eq!(current(&Seen::default(), 1), Some(Stage::ControlPlane));
    }

    #[test]
    fn a_node_that_is_lost_later_takes_the_cluster_back() {
        let mut seen = complete();
        seen.nodes[0].1 = false;
        assert_eq!(current(&seen, 2), Some(Stage::Nodes));
        assert_eq!(
            missing(&seen, Stage::Nodes, 2),
            "1 of 2: node-1 not Ready, node-2 Ready"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut seen = Seen::default();
        assert_eq!(missing(&seen, Stage::Nodes, 1), "0 of 1: none has registered");
        seen.system = vec![
            workload("flannel", 1, 1),
            Workload {
                name: "coredns".into(),
                wanted: None,
                ready: 0,
            },
        ];
        assert_eq!(missing(&seen, Stage::Network, 1), "coredns not begun");
        assert_eq!(missing(&complete(), Stage::Answer, 3), "answered from 2 of 3 nodes");
    }
}
