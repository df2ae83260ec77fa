//! Measurement of one machine's boot, from power-on to its first running pod.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use basalt_cluster::api::Api;
use basalt_cluster::control::{Control, MachineState, Order};
use basalt_cluster::pki::{self, Pki};
use basalt_cluster::{ClusterError, ClusterInputs, ClusterPlan, ClusterSize, LocalCluster, Variant};
use basalt_machine::{AcceleratorChoice, Console, Files};
use basalt_process::interrupt;
use basalt_progress::{Reporter, Silent};
use basalt_release::Arch;
use camino::Utf8PathBuf;
use serde_json::Value;

use crate::BenchError;

/// Kernel arguments of both systems that make the milestones visible on the console: kernel notices (log level 6) and
/// systemd's status lines. Neither system prints them by default; printing costs both a little time.
pub const WATCHED: &[&str] = &["loglevel=6", "systemd.show_status=1"];

/// Names of a boot's milestones, in order.
pub const MILESTONES: [&str; 5] = [
    "firmware is done",
    "kernel's first line",
    "systemd's first line",
    "node Ready",
    "first pod runs",
];
/// Console output that marks the first three milestones: OVMF's boot manager, the kernel's banner, systemd's greeting.
const LINES: [&str; 3] = ["BdsDxe: starting", "Linux version ", "Welcome to "];

/// Interval between two checks of the console and the API server.
const TICK: Duration = Duration::from_millis(50);
/// Time-out of each milestone, and of power-on.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Pause between the control plane's readiness and the start of the machine, while the control plane is still busy.
const SETTLING: Duration = Duration::from_secs(5);
/// Greatest number of console lines in an error.
const SHOWN: usize = 15;

/// Seconds from power-on to each of the [`MILESTONES`].
pub type Times = [f64; MILESTONES.len()];

/// System under comparison.
#[derive(Debug, Clone)]
pub struct ComparedSystem {
    /// Name of the system in the report.
    pub name: String,
    /// Differences from the machines of the cluster's plan: disk image and kernel arguments.
    pub variant: Variant,
}

/// Set-up of a measurement.
pub struct BootBenchmark<'a> {
    /// Cluster of the measurement, in a folder of its own.
    pub cluster: LocalCluster,
    /// Inputs of the cluster: packages, images and manifests.
    pub inputs: &'a ClusterInputs,
    /// Processors, memory and disk of the machine; `nodes` is ignored.
    pub size: ClusterSize,
    /// Receiver of progress reports.
    pub reporter: &'a dyn Reporter,
}

impl BootBenchmark<'_> {
    /// Boots one machine in a cluster of its own, measures its milestones and stops the cluster. Returns the times, and
    /// the accelerator of the machine.
    ///
    /// # Errors
    /// When the cluster does not start, or the machine does not get as far as its first pod.
    pub fn run(&self, system: &ComparedSystem) -> Result<(Times, Option<AcceleratorChoice>), BenchError> {
        let size = ClusterSize { nodes: 0, ..self.size };
        self.cluster.up(self.inputs.clone(), size, Arch::X86_64, &Silent)?;
        let measured = self.measure(system);
        // No grace for a shutdown, which would only take time. The result is ignored: `down` ends the cluster in any
        // case.
        let stop = Order::Stop { grace_seconds: 0 };
        drop(Control::connect(self.cluster.layout()).and_then(|mut control| control.order(&stop)));
        self.cluster.down(&Silent)?;
        measured
    }

    fn measure(&self, system: &ComparedSystem) -> Result<(Times, Option<AcceleratorChoice>), BenchError> {
        let layout = self.cluster.layout();
        let mut control = Control::connect(layout)?;
        // The cluster ends with this process, also when it is killed.
        control.order(&Order::Hold)?;
        let plan = ClusterPlan::read(layout)?.ok_or(ClusterError::Stopped)?;
        let api = Api::new(&Pki::new(layout.pki()), pki::ADMIN, plan.host_endpoint())?;
        settle()?;
        let node = self.cluster.add_node(system.variant.clone())?;
        let console_log = Files::new(layout.node(&node)).console_log();
        let mut watch = Watch {
            system: &system.name,
            control,
            api,
            console: Console::new(&node, console_log.clone()),
            log: console_log,
            last: Vec::new(),
            began: UNIX_EPOCH,
        };
        let verdict = watch.find_beginning(&node)?;
        Ok((watch.times()?, verdict))
    }
}

fn settle() -> Result<(), BenchError> {
    let began = Instant::now();
    while began.elapsed() < SETTLING {
        interrupt::check()?;
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// Observation of a booting machine through its console, the supervisor and the API server.
struct Watch<'a> {
    system: &'a str,
    control: Control,
    api: Api,
    console: Console,
    log: Utf8PathBuf,
    /// Last lines of the console, for errors.
    last: Vec<String>,
    /// Time of power-on.
    began: SystemTime,
}

impl Watch<'_> {
    /// Waits for the supervisor's report of power-on and records its time; returns the accelerator.
    fn find_beginning(&mut self, node: &str) -> Result<Option<AcceleratorChoice>, BenchError> {
        let waiting = Instant::now();
        loop {
            let report = self.control.report()?;
            let machine = report.machines.iter().find(|machine| machine.name == node);
            if let Some(power_on) = machine.and_then(|machine| machine.power_on) {
                self.began = UNIX_EPOCH + Duration::from_millis(report.began + power_on);
                return Ok(report.accelerator);
            }
            interrupt::check()?;
            self.alive()?;
            if waiting.elapsed() > TIMEOUT {
                return Err(self.slow("power-on"));
            }
            std::thread::sleep(TICK);
        }
    }

    fn times(&mut self) -> Result<Times, BenchError> {
        let mut times = [0.0; MILESTONES.len()];
        for (index, (time, milestone)) in times.iter_mut().zip(MILESTONES).enumerate() {
            let waiting = Instant::now();
            loop {
                let reached = match LINES.get(index) {
                    Some(pattern) => self.console_says(pattern)?,
                    None if index == 3 => self.api.get("/api/v1/nodes").is_ok_and(|list| any_ready(&list)),
                    None => self.api.get("/api/v1/pods").is_ok_and(|list| any_pod(&list)),
                };
                if reached {
                    break;
                }
                interrupt::check()?;
                self.alive()?;
                if waiting.elapsed() > TIMEOUT {
                    return Err(self.slow(milestone));
                }
                std::thread::sleep(TICK);
            }
            *time = self.began.elapsed().unwrap_or_default().as_secs_f64();
        }
        Ok(times)
    }

    /// Checks the console for a pattern. The lines after it stay for the next milestone.
    fn console_says(&mut self, pattern: &str) -> Result<bool, BenchError> {
        let found = self.console.wait_for(pattern, Duration::ZERO, || Ok(()));
        match found {
            Ok(_) => Ok(true),
            Err(basalt_machine::MachineError::Silent { last, .. }) => {
                self.last = last;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that no machine of the cluster has ended; an error with the console's last lines otherwise.
    fn alive(&mut self) -> Result<(), BenchError> {
        let report = self.control.report()?;
        for machine in report.machines {
            if let MachineState::Ended { reason } = machine.state {
                return Err(ClusterError::Node {
                    node: self.system.to_owned(),
                    reason,
                    last: self.last.clone(),
                    console: self.keep_log(),
                }
                .into());
            }
        }
        Ok(())
    }

    /// Copies the console's log to the folder for temporary files, where it outlives the cluster. Returns the path of
    /// the copy, or of the log itself when it cannot be copied.
    fn keep_log(&self) -> Utf8PathBuf {
        let kept = Utf8PathBuf::from_path_buf(std::env::temp_dir().join("basalt-bench-console.log"));
        match kept {
            Ok(kept) if fs_err::copy(&self.log, &kept).is_ok() => kept,
            _ => self.log.clone(),
        }
    }

    fn slow(&mut self, milestone: &'static str) -> BenchError {
        self.last.extend(self.console.lines().unwrap_or_default());
        let start = self.last.len().saturating_sub(SHOWN);
        BenchError::Slow {
            system: self.system.to_owned(),
            milestone,
            waited: TIMEOUT,
            last: self.last.split_off(start),
            console: self.keep_log(),
        }
    }
}

/// The array at a JSON pointer; empty where there is none.
fn array<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    let array = value.pointer(pointer).and_then(Value::as_array);
    array.map(Vec::as_slice).unwrap_or_default()
}

/// The text at a JSON pointer; empty where there is none.
fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn items(list: &Value) -> &[Value] {
    array(list, "/items")
}

fn any_ready(nodes: &Value) -> bool {
    items(nodes).iter().any(|node| {
        array(node, "/status/conditions")
            .iter()
            .any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True")
    })
}

/// Checks for a running pod of the pod network; pods with the node's own network run before the node is Ready.
fn any_pod(pods: &Value) -> bool {
    items(pods).iter().any(|pod| {
        text(pod, "/status/phase") == "Running" && pod.pointer("/spec/hostNetwork") != Some(&Value::Bool(true))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_with_the_network_of_their_node_do_not_count() {
        let pod = |host: bool, phase: &str| json!({"spec": {"hostNetwork": host}, "status": {"phase": phase}});
        assert!(!any_pod(
            &json!({"items": [pod(true, "Running"), pod(false, "Pending")]})
        ));
        assert!(any_pod(
            &json!({"items": [pod(true, "Running"), {"spec": {}, "status": {"phase": "Running"}}]})
        ));
        assert!(!any_pod(&json!({})));
    }

    #[test]
    fn a_node_is_ready_when_it_says_so() {
        let node = |status: &str| json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
        assert!(any_ready(&json!({"items": [node("False"), node("True")]})));
        assert!(!any_ready(&json!({"items": [node("Unknown"), {"status": {}}]})));
    }
}
