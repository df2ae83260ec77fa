//! Observation of a booting machine, from power-on to its first pod.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use basalt_cluster::api::Api;
use basalt_cluster::control::{Control, MachineReport, MachineState, Order};
use basalt_cluster::topology::NodeNumber;
use basalt_cluster::{ClusterError, Layout};
use basalt_machine::{AcceleratorChoice, Console, Files, MachineError};
use basalt_process::interrupt;
use camino::Utf8PathBuf;
use serde_json::Value;

use crate::BenchError;
use crate::node_log::{self, JOURNAL, SEEN_ON_BOTH};
use crate::observed::{BootTraces, IdleMemory};

/// Names of a boot's milestones, in order.
pub const MILESTONES: [&str; 9] = [
    "firmware is done",
    "kernel's first line",
    "systemd's first line",
    "containerd's first line",
    "containerd answers",
    "kubelet's first line",
    "node registered",
    "node Ready",
    "first pod runs",
];
/// Console output that marks the first three milestones: OVMF's boot manager, the kernel's banner, systemd's greeting.
const LINES: [&str; 3] = ["BdsDxe: starting", "Linux version ", "Welcome to "];
/// Words for the line on which the machine's clock is compared with the host's, in errors.
const START: &str = "line on the console that the kubelet has started";

/// Interval between two checks of the console and the API server.
const TICK: Duration = Duration::from_millis(50);
/// Time-out of each milestone, and of power-on.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Time-out of a shutdown: less than the 120 s after which the supervisor switches the machine off.
const SHUTDOWN: Duration = Duration::from_secs(110);
/// Time-out of one answer of the kubelet, which runs journalctl four times.
const ANSWER: Duration = Duration::from_secs(60);
/// Greatest difference between the order of milestones on two clocks: a line on the console is seen up to a tick late, and
/// journald receives one that a service wrote a moment after it.
const TOLERANCE: f64 = 0.5;
/// Greatest number of console lines in an error.
const SHOWN: usize = 15;

/// Seconds from power-on to each of the [`MILESTONES`].
pub type Times = [f64; MILESTONES.len()];

/// Observation of a machine through its console, the supervisor and the API server.
pub struct Watch<'a> {
    system: &'a str,
    node: &'a str,
    control: Control,
    api: Api,
    log: Utf8PathBuf,
    console: Console,
    /// Last lines of the console, for errors.
    last: Vec<String>,
    /// Time of power-on, in milliseconds after the start of the supervisor.
    power_on: Option<u64>,
    /// The same by the host's clock.
    began: SystemTime,
}

impl<'a> Watch<'a> {
    /// Makes the observation of a node's machine.
    pub fn new(system: &'a str, node: &'a str, layout: &Layout, control: Control, api: Api) -> Self {
        let log = Files::new(layout.node(node)).console_log();
        Self {
            system,
            node,
            control,
            api,
            console: Console::new(node, log.clone()),
            log,
            last: Vec::new(),
            power_on: None,
            began: UNIX_EPOCH,
        }
    }

    /// Waits for the supervisor's report of a power-on that was not seen yet, and records its time; returns the accelerator.
    pub fn find_beginning(&mut self) -> Result<Option<AcceleratorChoice>, BenchError> {
        let waiting = Instant::now();
        loop {
            let report = self.control.report()?;
            let power_on = self.machine(&report.machines).and_then(|machine| machine.power_on);
            if let Some(after) = power_on.filter(|after| self.power_on != Some(*after)) {
                self.power_on = power_on;
                self.began = UNIX_EPOCH + Duration::from_millis(report.began + after);
                // Each boot has a log of its own.
                self.console = Console::new(self.node, self.log.clone());
                self.last.clear();
                return Ok(report.accelerator);
            }
            self.wait(waiting, TIMEOUT, "power-on")?;
        }
    }

    /// Waits for all milestones of a boot that is later than another.
    pub fn times(&mut self, earlier: &BootTraces) -> Result<Times, BenchError> {
        let [mut firmware, mut kernel, mut systemd] = [0.0; 3];
        for (time, (line, milestone)) in [&mut firmware, &mut kernel, &mut systemd]
            .into_iter()
            .zip(LINES.iter().zip(MILESTONES))
        {
            *time = self.until(milestone, |watch| watch.console_says(line))?;
        }
        let mut seen = None;
        let ready = self.until("node Ready", |watch| {
            if seen.is_none() && watch.console_says(SEEN_ON_BOTH)? {
                seen = Some(watch.elapsed());
            }
            Ok(watch.node_object().is_ok_and(|node| earlier.is_ready_after(&node)))
        })?;
        let Some(seen) = seen else {
            return Err(self.slow(START, Duration::ZERO));
        };
        let pod = self.until("first pod runs", |watch| {
            Ok(watch
                .api
                .get("/api/v1/pods")
                .is_ok_and(|pods| earlier.runs_pod_after(&pods)))
        })?;
        let journal = self.journal()?;
        let told = node_log::times(&journal, seen).map_err(|line| BenchError::NoLine {
            system: self.system.to_owned(),
            line,
        })?;
        let [containerd, answers, kubelet, registered] = told;
        if told
            .iter()
            .any(|time| *time < systemd - TOLERANCE || *time > ready + TOLERANCE)
        {
            return Err(BenchError::Clocks {
                system: self.system.to_owned(),
                told: told.to_vec(),
                systemd,
                ready,
            });
        }
        Ok([
            firmware, kernel, systemd, containerd, answers, kubelet, registered, ready, pod,
        ])
    }

    /// Asks the kubelet for the memory of its node.
    pub fn idle_memory(&mut self) -> Result<IdleMemory, BenchError> {
        let summary = self.api.get(&self.path("proxy/stats/summary"))?;
        IdleMemory::of_summary(&summary).ok_or_else(|| BenchError::NoMemory {
            system: self.system.to_owned(),
        })
    }

    /// Reads what tells this boot from the next one.
    pub fn traces(&mut self) -> Result<BootTraces, BenchError> {
        Ok(BootTraces::of(&self.node_object()?, &self.api.get("/api/v1/pods")?))
    }

    /// Shuts the machine down in order, and waits until it is off.
    pub fn shut_down(&mut self) -> Result<(), BenchError> {
        let node = self.number()?;
        self.control.order(&Order::ShutDown { node })?;
        let waiting = Instant::now();
        loop {
            let report = self.control.report()?;
            let state = self.machine(&report.machines).map(|machine| &machine.state);
            if state == Some(&MachineState::Off) {
                return Ok(());
            }
            self.wait(waiting, SHUTDOWN, "shutdown in order")?;
        }
    }

    /// Switches a machine on that is off, with the disk that it has.
    pub fn switch_on(&mut self) -> Result<(), BenchError> {
        let node = self.number()?;
        self.control.order(&Order::Reboot { node })?;
        Ok(())
    }

    /// Number of the node in the cluster.
    fn number(&mut self) -> Result<NodeNumber, BenchError> {
        let report = self.control.report()?;
        let machine = self.machine(&report.machines).ok_or(ClusterError::Stopped)?;
        Ok(machine.node)
    }

    fn machine<'r>(&self, machines: &'r [MachineReport]) -> Option<&'r MachineReport> {
        machines.iter().find(|machine| machine.name == self.node)
    }

    /// Path in the API of something of the node.
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/nodes/{}/{rest}", self.node)
    }

    fn node_object(&self) -> Result<Value, ClusterError> {
        self.api.get(&format!("/api/v1/nodes/{}", self.node))
    }

    /// Reads the journal of containerd and the kubelet. A kubelet that is busy with its first pods is asked again.
    fn journal(&mut self) -> Result<String, BenchError> {
        let waiting = Instant::now();
        loop {
            match self.api.text(&self.path(JOURNAL), ANSWER) {
                Ok(journal) => return Ok(journal),
                Err(error) if waiting.elapsed() > ANSWER => return Err(error.into()),
                Err(_) => self.wait(waiting, TIMEOUT, "journal")?,
            }
        }
    }

    fn elapsed(&self) -> f64 {
        self.began.elapsed().unwrap_or_default().as_secs_f64()
    }

    /// Waits until something is reached; returns the seconds from power-on.
    fn until(
        &mut self,
        milestone: &'static str,
        mut is_reached: impl FnMut(&mut Self) -> Result<bool, BenchError>,
    ) -> Result<f64, BenchError> {
        let waiting = Instant::now();
        while !is_reached(self)? {
            self.wait(waiting, TIMEOUT, milestone)?;
        }
        Ok(self.elapsed())
    }

    /// Pauses for a tick, unless the machine has ended or the time is over.
    fn wait(&mut self, since: Instant, timeout: Duration, milestone: &'static str) -> Result<(), BenchError> {
        interrupt::check()?;
        self.check_alive()?;
        if since.elapsed() > timeout {
            return Err(self.slow(milestone, timeout));
        }
        std::thread::sleep(TICK);
        Ok(())
    }

    /// Checks the console for a pattern. The lines after it stay for the next milestone.
    fn console_says(&mut self, pattern: &str) -> Result<bool, BenchError> {
        match self.console.wait_for(pattern, Duration::ZERO, || Ok(())) {
            Ok(_) => Ok(true),
            Err(MachineError::Silent { last, .. }) => {
                self.last = last;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that no machine of the cluster has ended; an error with the console's last lines otherwise.
    fn check_alive(&mut self) -> Result<(), BenchError> {
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

    fn slow(&mut self, milestone: &'static str, waited: Duration) -> BenchError {
        self.last.extend(self.console.lines().unwrap_or_default());
        let start = self.last.len().saturating_sub(SHOWN);
        BenchError::Slow {
            system: self.system.to_owned(),
            milestone,
            waited,
            last: self.last.split_off(start),
            console: self.keep_log(),
        }
    }
}
