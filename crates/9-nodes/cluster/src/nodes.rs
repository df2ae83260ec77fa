//! Nodes of a running cluster, one by one: added, rebooted, cut off, removed.

use std::time::{Duration, Instant};

use basalt_machine::Files;
use basalt_process::{interrupt, wait};
use basalt_progress::{Outcome, Reporter, Unit};
use serde_json::Value;

use crate::api::Api;
use crate::cluster::LocalCluster;
use crate::control::{Control, MachineReport, MachineState, Order, OrderResponse, SupervisorReport, Variant};
use crate::progress::{self, Traces};
use crate::stage::{Seen, Stage};
use crate::stall::StallDetector;
use crate::topology::NodeNumber;
use crate::{ClusterError, observe, up};

/// Interval of observations.
const TICK: Duration = Duration::from_millis(250);
/// Time-out of a shutdown: longer than the supervisor's, which switches the machine off then.
const SHUTDOWN: Duration = Duration::from_secs(150);
/// Title of the wait for a node, in errors.
const TITLE: &str = "node Ready";

impl LocalCluster {
    /// Starts one more node and returns its name.
    ///
    /// # Errors
    /// When no cluster is running, or the machine cannot be started.
    pub fn add_node(&self, variant: Variant) -> Result<String, ClusterError> {
        match self.control()?.order(&Order::AddNode { variant })? {
            OrderResponse::Node { number } => Ok(number.name()),
            other => Err(ClusterError::Refused {
                answer: format!("{other:?}"),
            }),
        }
    }

    /// Shuts a node's machine down and starts it again, or starts one that is off; returns when the node is Ready after its
    /// boot.
    ///
    /// # Errors
    /// When there is no such node, its machine cannot be started, or its boot makes no progress.
    pub fn reboot_node(&self, name: &str, reporter: &dyn Reporter) -> Result<(), ClusterError> {
        let node = self.node(name)?;
        let before = find_node(&self.api()?, name)?.and_then(|node| boot_id(&node));
        self.control()?.order(&Order::Reboot { node })?;
        self.await_node(name, before.as_deref(), reporter)
    }

    /// Switches a node's machine off at once, as a power cut does. [`LocalCluster::reboot_node`] starts it again, with the
    /// same disk.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn cut_power(&self, name: &str) -> Result<(), ClusterError> {
        let node = self.node(name)?;
        self.control()?.order(&Order::CutPower { node }).map(drop)
    }

    /// Shuts a node's machine down, and removes it with its disk and its Node object. Pods are not moved before.
    ///
    /// # Errors
    /// When there is no such node, it does not shut down, or kubectl fails.
    pub fn remove_node(&self, name: &str, reporter: &dyn Reporter) -> Result<(), ClusterError> {
        let node = self.node(name)?;
        let mut control = self.control()?;
        control.order(&Order::RemoveNode { node })?;
        let task = reporter.task(&format!("{name}: shutting down"), Unit::Items, None);
        let gone = wait::until(Some(Instant::now() + SHUTDOWN), TICK, || {
            let report = control.report()?;
            Ok::<_, ClusterError>(machine(&report, name).is_none().then_some(()))
        })?;
        if gone.is_none() {
            return Err(ClusterError::Start {
                node: name.to_owned(),
                reason: format!("it did not shut down within {} s", SHUTDOWN.as_secs()),
            });
        }
        task.finish(Outcome::Done);
        let delete = self.kubectl(["delete", "node", name, "--ignore-not-found", "--wait=false"])?;
        delete.output()?;
        Ok(())
    }

    /// Waits until a node is Ready; with the id of an earlier boot, after another one.
    ///
    /// # Errors
    /// When its machine ends or is off, a component of the control plane has failed, or nothing about the node moves for too
    /// long.
    pub fn await_node(&self, name: &str, earlier: Option<&str>, reporter: &dyn Reporter) -> Result<(), ClusterError> {
        let api = self.api()?;
        let mut control = self.control()?;
        let files = Files::new(self.layout().node(name));
        let task = reporter.task(&format!("{name}: Ready"), Unit::Items, None);
        let mut wait = Wait::new(None);
        loop {
            interrupt::check()?;
            let report = control.report()?;
            let machine = machine(&report, name).ok_or(ClusterError::Stopped)?;
            up::check_components(self.layout(), &report)?;
            check_machine(machine)?;
            // Each boot has its own time: its console begins anew.
            if machine.power_on != wait.power_on {
                wait = Wait::new(machine.power_on);
            }
            // An API server that is busy is asked again.
            let node = find_node(&api, name).ok().flatten();
            if node.as_ref().is_some_and(|node| is_ready_after(node, earlier)) {
                task.finish(Outcome::Done);
                return Ok(());
            }
            let state = if node.is_some() { "registered" } else { "not registered" };
            task.detail(&format!("machine {}, {state}", machine.state));
            wait.check(self, name, &files, &report, state)?;
            std::thread::sleep(TICK);
        }
    }

    /// Number of a node of the running cluster.
    fn node(&self, name: &str) -> Result<NodeNumber, ClusterError> {
        let machines = self.control()?.report()?.machines;
        let found = NodeNumber::of_name(name).filter(|node| machines.iter().any(|machine| machine.node == *node));
        found.ok_or_else(|| {
            let known: Vec<_> = machines.into_iter().map(|machine| machine.name).collect();
            ClusterError::NoNode {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }

    fn control(&self) -> Result<Control, ClusterError> {
        Control::connect(self.layout())
    }
}

/// Checks that the machine of a node that is to become Ready can get there: that it runs, or will run again.
fn check_machine(machine: &MachineReport) -> Result<(), ClusterError> {
    let reason = match &machine.state {
        MachineState::Running | MachineState::ShuttingDown => return Ok(()),
        MachineState::Off => "it is switched off".to_owned(),
        MachineState::Ended { reason } => reason.clone(),
    };
    Err(ClusterError::Start {
        node: machine.name.clone(),
        reason,
    })
}

/// Wait for one boot of a node.
struct Wait {
    power_on: Option<u64>,
    began: Instant,
    detector: StallDetector,
}

impl Wait {
    fn new(power_on: Option<u64>) -> Self {
        Self {
            power_on,
            began: Instant::now(),
            detector: StallDetector::new(Stage::Nodes.timeout()),
        }
    }

    /// Gives up when nothing about the node has moved for too long.
    fn check(
        &mut self,
        cluster: &LocalCluster,
        name: &str,
        files: &Files,
        report: &SupervisorReport,
        state: &str,
    ) -> Result<(), ClusterError> {
        let traces = Traces::read(name.to_owned(), files);
        let measures = progress::measures(Stage::Nodes, &Seen::default(), report, &[traces]);
        let waited = self.began.elapsed();
        match self.detector.observe(waited, &measures) {
            None => Ok(()),
            Some(stall) => Err(ClusterError::Slow {
                stage: TITLE,
                idle: stall.idle,
                waited,
                seen: format!("{name} is {state}"),
                unchanged: stall.unchanged,
                last: up::console_lines(name, &files.console_log()),
                logs: cluster.layout().logs(),
            }),
        }
    }
}

fn machine<'r>(report: &'r SupervisorReport, name: &str) -> Option<&'r MachineReport> {
    report.machines.iter().find(|machine| machine.name == name)
}

fn find_node(api: &Api, name: &str) -> Result<Option<Value>, ClusterError> {
    api.find(&format!("/api/v1/nodes/{name}"))
}

/// Id of the boot that the node registered last.
fn boot_id(node: &Value) -> Option<String> {
    node.pointer("/status/nodeInfo/bootID")?.as_str().map(str::to_owned)
}

/// Checks that a node is Ready, in another boot than an earlier one: the condition of that one stays for a while.
fn is_ready_after(node: &Value, earlier: Option<&str>) -> bool {
    let is_other = earlier.is_none_or(|earlier| boot_id(node).is_some_and(|boot| boot != earlier));
    is_other && observe::is_ready(node)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ready_of_an_earlier_boot_does_not_count() {
        let node = |boot: &str, status: &str| {
            json!({ "status": {
                "nodeInfo": { "bootID": boot },
                "conditions": [{ "type": "Ready", "status": status }],
            }})
        };
        for (node, earlier, expected) in [
            (node("a", "True"), None, true),
            (node("a", "Unknown"), None, false),
            (node("a", "True"), Some("a"), false),
            (node("b", "True"), Some("a"), true),
            (node("b", "False"), Some("a"), false),
            (json!({}), Some("a"), false),
        ] {
            assert_eq!(is_ready_after(&node, earlier), expected, "{node} {earlier:?}");
        }
    }
}
