//! Quantities whose growth shows that a cluster's start goes on, stage by stage.

use std::os::unix::fs::MetadataExt as _;

use basalt_machine::Files;

use crate::control::{ComponentState, SupervisorReport};
use crate::stage::{Seen, Stage, Workload};
use crate::stall::Measure;

/// Smallest growth of a machine's disk that counts, in bytes: more than the log of a service that fails again and again,
/// less than a container image.
const DISK_STEP: u64 = 4 << 20;

/// Traces that a node's machine leaves on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traces {
    /// Name of the node.
    pub name: String,
    /// Size of the console's log, in bytes.
    pub console: u64,
    /// Space that the machine's copy-on-write disk takes on the host, in bytes. It grows while the machine boots and
    /// while it pulls images.
    pub disk: u64,
}

impl Traces {
    /// Reads the traces of a machine; those that do not exist yet are zero.
    pub fn read(name: String, files: &Files) -> Self {
        Self {
            name,
            console: fs_err::metadata(files.console_log()).map_or(0, |file| file.len()),
            // `st_blocks` counts units of 512 bytes (stat(3type)).
            disk: fs_err::metadata(files.overlay(0)).map_or(0, |file| file.blocks() * 512),
        }
    }
}

/// Lists the quantities that belong to a stage.
pub(crate) fn measures(stage: Stage, seen: &Seen, report: &SupervisorReport, traces: &[Traces]) -> Vec<Measure> {
    match stage {
        Stage::ControlPlane => {
            let is_ready = |state: &ComponentState| *state == ComponentState::Ready;
            let ready = report.components.iter().filter(|component| is_ready(&component.state));
            vec![
                number("components of the control plane", ready.count()),
                number("checks of the API server that pass", seen.api_checks),
            ]
        }
        // Applied in one action.
        Stage::Objects => Vec::new(),
        Stage::Nodes => {
            let is_ready = |name: &str| seen.nodes.iter().any(|(known, ready)| *ready && known == name);
            let ready = seen.nodes.iter().filter(|(_, ready)| *ready);
            let mut measures = vec![
                number("registered nodes", seen.nodes.len()),
                number("Ready nodes", ready.count()),
            ];
            for node in traces.iter().filter(|node| !is_ready(&node.name)) {
                measures.extend([console(node), disk(node)]);
            }
            measures
        }
        Stage::Network => pods(&seen.system).chain(traces.iter().map(disk)).collect(),
        Stage::WebServer => pods([&seen.web]).chain(traces.iter().map(disk)).collect(),
        Stage::Answer => vec![number("nodes that answered", seen.answered.len())],
    }
}

/// Quantity that the stage waits for as long as it lasts.
fn open_measure(name: String, value: u64, step: u64) -> Measure {
    Measure {
        name,
        value,
        step,
        is_open: true,
    }
}

fn number(name: &str, value: usize) -> Measure {
    open_measure(name.to_owned(), u64::try_from(value).unwrap_or(u64::MAX), 1)
}

fn console(node: &Traces) -> Measure {
    open_measure(format!("console of {}", node.name), node.console, 1)
}

fn disk(node: &Traces) -> Measure {
    open_measure(format!("disk of {}", node.name), node.disk, DISK_STEP)
}

/// Ready pods of each workload; one more when the number of its pods is known.
fn pods<'a>(workloads: impl IntoIterator<Item = &'a Workload>) -> impl Iterator<Item = Measure> {
    workloads.into_iter().map(|workload| Measure {
        name: format!("pods of {}", workload.name),
        value: workload.ready + u64::from(workload.wanted.is_some()),
        step: 1,
        is_open: !workload.is_ready(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ComponentReport;

    fn traces(number: u64) -> Traces {
        Traces {
            name: format!("node-{number}"),
            console: number * 100,
            disk: number << 20,
        }
    }

    fn seen() -> Seen {
        Seen {
            api_checks: 7,
            nodes: vec![("node-1".into(), true), ("node-2".into(), false)],
            system: vec![
                Workload {
                    name: "flannel".into(),
                    wanted: Some(2),
                    ready: 2,
                },
                Workload {
                    name: "coredns".into(),
                    wanted: None,
                    ready: 0,
                },
            ],
            answered: ["node-1".to_owned()].into(),
            ..Seen::default()
        }
    }

    fn report() -> SupervisorReport {
        let component = |name: &str, state| ComponentReport {
            name: name.to_owned(),
            state,
            restarts: 0,
            ready_after: None,
        };
        SupervisorReport {
            components: vec![
                component("etcd", ComponentState::Ready),
                component("kube-apiserver", ComponentState::Starting),
            ],
            ..SupervisorReport::default()
        }
    }

    /// Text of a stage's quantities; those that the stage does not wait for are in brackets.
    fn listed(stage: Stage) -> String {
        let measures = measures(stage, &seen(), &report(), &[traces(1), traces(2)]);
        let text = |measure: &Measure| match measure.is_open {
            true => format!("{} {}", measure.name, measure.value),
            false => format!("({} {})", measure.name, measure.value),
        };
        measures.iter().map(text).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn every_stage_has_its_quantities() {
        for (stage, expected) in [
            (
                Stage::ControlPlane,
                "components of the control plane 1, checks of the API server that pass 7",
            ),
            (Stage::Objects, ""),
            (
                Stage::Nodes,
                "registered nodes 2, Ready nodes 1, console of node-2 200, disk of node-2 2097152",
            ),
            (
                Stage::Network,
                "(pods of flannel 3), pods of coredns 0, disk of node-1 1048576, disk of node-2 2097152",
            ),
            (
                Stage::WebServer,
                "pods of  0, disk of node-1 1048576, disk of node-2 2097152",
            ),
            (Stage::Answer, "nodes that answered 1"),
        ] {
            assert_eq!(listed(stage), expected, "{stage:?}");
        }
    }
}
