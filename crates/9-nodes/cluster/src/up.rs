//! Start of a cluster, from nothing to a response of its web server.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use basalt_machine::{AcceleratorChoice, Console, Files};
use basalt_process::{Command, interrupt, plain_text, wait};
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_release::Arch;
use camino::Utf8PathBuf;
use serde::Serialize;

use crate::api::Api;
use crate::control::{ComponentState, Control, MachineState, Order, OrderResponse, SupervisorReport};
use crate::pki::{self, CertificateAuthority};
use crate::plan::{ClusterInputs, ClusterPlan, ClusterSize};
use crate::progress::{self, Traces};
use crate::secret::{make_private_folder, write_private};
use crate::stage::{self, Seen, Stage, StageTime};
use crate::stall::{Stall, StallDetector};
use crate::{ClusterError, Layout, component, forward, kubeconfig, manifest, observe, registry, supervisor};

/// Ports of the host that lead to the API server and to the registry, if they are free.
const USUAL_PORTS: [u16; 2] = [16443, 15000];
/// Interval of observations.
const TICK: Duration = Duration::from_millis(150);
/// Least time and least number of tries of applying the initial objects. What is wrong with a manifest stays wrong, and is
/// shown then.
const APPLYING: (Duration, u32) = (Duration::from_secs(20), 5);
/// Greatest number of log lines in an error.
const SHOWN: usize = 12;

/// Result of `up`.
#[derive(Debug, Clone, Serialize)]
pub struct UpReport {
    /// Last response of the web server.
    pub answer: String,
    /// Names of the nodes from which the web server answered.
    pub answered: BTreeSet<String>,
    /// URL of the API server on the host.
    pub endpoint: String,
    /// Host and port of the registry on the host.
    pub registry: String,
    /// Path of the administrator's kubeconfig.
    pub kubeconfig: Utf8PathBuf,
    /// Accelerator of the machines, with the reason for its choice.
    pub accelerator: Option<AcceleratorChoice>,
    /// Times of all stages.
    pub stages: Vec<StageTime>,
    /// Total duration, in seconds.
    pub seconds: f64,
}

pub(crate) fn run(
    layout: &Layout,
    inputs: ClusterInputs,
    size: ClusterSize,
    arch: Arch,
    reporter: &dyn Reporter,
    began: Instant,
) -> Result<UpReport, ClusterError> {
    let mut clock = StageClock::new(began);
    let ports = forward::free_ports(USUAL_PORTS).map_err(ClusterError::file("find free ports"))?;
    let plan = ClusterPlan::new(inputs, size, arch, ports)?;
    let api = prepare(layout, &plan)?;
    clock.passed("keys and plan");
    interrupt::check()?;

    let mut child = start_supervisor(layout)?;
    let mut control = connect(layout, &mut child)?;
    control.order(&Order::Hold)?;
    let mut bring_up = ClusterBringUp {
        layout,
        plan: &plan,
        api,
        control,
        seen: Seen::default(),
        answer: String::new(),
        clock,
        supervisor_began: began.elapsed(),
    };
    let report = bring_up.run(reporter)?;
    bring_up.control.order(&Order::Release)?;
    Ok(UpReport {
        answer: bring_up.answer,
        answered: bring_up.seen.answered,
        endpoint: plan.host_endpoint(),
        registry: plan.host_registry(),
        kubeconfig: layout.kubeconfig(pki::ADMIN),
        accelerator: report.accelerator,
        stages: bring_up.clock.stages,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Writes all files that the supervisor and its children read; returns a client of the API server.
fn prepare(layout: &Layout, plan: &ClusterPlan) -> Result<Api, ClusterError> {
    let now = SystemTime::now();
    for folder in [layout.logs(), layout.etcd(), layout.root().join("kubeconfig")] {
        make_private_folder(&folder)?;
    }
    let pki = pki::make(&layout.pki(), now)?;
    for (user, server) in [
        (pki::ADMIN, plan.host_endpoint()),
        (pki::CONTROLLER_MANAGER, ClusterPlan::local_endpoint()),
        (pki::SCHEDULER, ClusterPlan::local_endpoint()),
    ] {
        write_private(&layout.kubeconfig(user), kubeconfig::render(&pki, user, &server)?)?;
    }
    registry::seed(&plan.inputs.registry, &layout.registry())?;
    write_private(&layout.registry_config(), registry::config(layout))?;
    let authority = pki.read(&pki.certificate(CertificateAuthority::Cluster.name()))?;
    let variables = manifest::variables(plan, &authority, now);
    manifest::render_folder(&plan.inputs.manifests, &layout.manifests(), &variables)?;
    plan.write(layout)?;
    Api::new(&pki, pki::ADMIN, plan.host_endpoint())
}

fn start_supervisor(layout: &Layout) -> Result<Child, ClusterError> {
    let failed = || ClusterError::file("start the cluster's supervisor");
    let log = fs_err::File::create(layout.log("supervisor"))
        .map_err(failed())?
        .into_file();
    let log_too = log.try_clone().map_err(failed())?;
    Command::new("/proc/self/exe")
        .args([supervisor::OUTER, layout.root().as_str()])
        .to_std()
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .spawn()
        .map_err(failed())
}

fn connect(layout: &Layout, child: &mut Child) -> Result<Control, ClusterError> {
    loop {
        match Control::connect(layout) {
            Err(ClusterError::Stopped) => {}
            control => return control,
        }
        if child
            .try_wait()
            .map_err(ClusterError::file("watch the supervisor"))?
            .is_some()
        {
            return Err(supervisor_ended(layout));
        }
        interrupt::check()?;
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn supervisor_ended(layout: &Layout) -> ClusterError {
    let log = layout.log("supervisor");
    ClusterError::Supervisor {
        last: last_lines(&log),
        log,
    }
}

/// Sends an HTTP request to a web server inside the cluster, through the supervisor.
pub(crate) fn ask(
    control: &mut Control,
    address: Ipv4Addr,
    port: u16,
    path: &str,
) -> Result<(u16, String), ClusterError> {
    match control.order(&Order::Ask {
        address,
        port,
        path: path.to_owned(),
    })? {
        OrderResponse::Page { status, body } => Ok((status, body)),
        other => Err(ClusterError::Refused {
            answer: format!("{other:?}"),
        }),
    }
}

/// Clock of the stages.
struct StageClock {
    began: Instant,
    last: Duration,
    stages: Vec<StageTime>,
}

impl StageClock {
    fn new(began: Instant) -> Self {
        Self {
            began,
            last: Duration::ZERO,
            stages: Vec::new(),
        }
    }

    fn passed(&mut self, stage: &str) {
        let last = self.last;
        self.passed_since(stage, last);
        self.last = self.began.elapsed();
    }

    fn passed_since(&mut self, stage: &str, since: Duration) {
        let at = self.began.elapsed();
        let took = at.saturating_sub(since);
        self.stages.push(StageTime {
            stage: stage.to_owned(),
            at: at.as_secs_f64(),
            took: took.as_secs_f64(),
        });
    }
}

/// Start of a cluster, stage by stage.
struct ClusterBringUp<'a> {
    layout: &'a Layout,
    plan: &'a ClusterPlan,
    api: Api,
    control: Control,
    seen: Seen,
    answer: String,
    clock: StageClock,
    /// Time from the start of `up` to that of the supervisor.
    supervisor_began: Duration,
}

impl ClusterBringUp<'_> {
    fn run(&mut self, reporter: &dyn Reporter) -> Result<SupervisorReport, ClusterError> {
        let nodes = usize::from(self.plan.size.nodes);
        let mut timed = BTreeSet::new();
        while let Some(stage) = stage::current(&self.seen, nodes).filter(|stage| nodes > 0 || *stage <= Stage::Objects)
        {
            let task = reporter.task(stage.title(), Unit::Items, None);
            let began = Instant::now();
            let mut detector = StallDetector::new(stage.timeout());
            while stage::current(&self.seen, nodes) == Some(stage) {
                interrupt::check()?;
                let report = self.report()?;
                self.check(&report)?;
                let measures = progress::measures(stage, &self.seen, &report, &self.traces());
                if let Some(stall) = detector.observe(began.elapsed(), &measures) {
                    return Err(self.slow(stage, nodes, &stall, began.elapsed()));
                }
                let moved = self.act(stage)?;
                self.time_nodes(&report, &mut timed);
                task.detail(&stage::missing(&self.seen, stage, nodes));
                if !moved {
                    std::thread::sleep(TICK);
                }
            }
            task.finish(Outcome::Done);
            self.clock.passed(stage.title());
        }
        self.report()
    }

    /// Carries out the stage's action, or observes its progress; `true` to continue without a pause.
    fn act(&mut self, stage: Stage) -> Result<bool, ClusterError> {
        match stage {
            Stage::Objects => {
                self.apply()?;
                self.seen.applied = true;
                Ok(true)
            }
            Stage::Answer => self.ask_web(),
            _ => {
                // An API server that is busy starting does not answer everything at once.
                if let Err(error) = observe::look(&self.api, stage, &mut self.seen) {
                    tracing::debug!(%error, "could not look");
                }
                Ok(false)
            }
        }
    }

    /// Applies the initial objects; an error as soon as what they are applied to has ended.
    fn apply(&mut self) -> Result<(), ClusterError> {
        let apply = apply_command(self.layout, self.plan);
        let (began, (time, tries)) = (Instant::now(), APPLYING);
        // The namespaces that the objects lie in appear a moment after the API server is ready, later on a loaded machine,
        // where kubectl alone may take longer than the time.
        for tried in 1.. {
            match apply.output() {
                Ok(_) => break,
                Err(error) if error.is_interrupt() || (tried >= tries && began.elapsed() >= time) => {
                    return Err(error.into());
                }
                Err(_) => {
                    let report = self.report()?;
                    self.check(&report)?;
                    wait::sleep(TICK)?;
                }
            }
        }
        Ok(())
    }

    fn ask_web(&mut self) -> Result<bool, ClusterError> {
        let Ok(Some(address)) = observe::service_address(&self.api, observe::WEB) else {
            return Ok(false);
        };
        match ask(&mut self.control, address, 80, "/") {
            Ok((200, body)) => {
                if let Some(node) = observe::answering_node(&body) {
                    self.seen.answered.insert(node.to_owned());
                }
                self.answer = body;
                Ok(true)
            }
            // The rules of the Service reach the node a moment after the pod is ready.
            Ok(_) | Err(ClusterError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Records the time from power-on to Ready for each node that became Ready.
    fn time_nodes(&mut self, report: &SupervisorReport, timed: &mut BTreeSet<String>) {
        for machine in &report.machines {
            let ready = self
                .seen
                .nodes
                .iter()
                .any(|(name, ready)| *ready && *name == machine.name);
            if ready && timed.insert(machine.name.clone()) {
                let power_on = self.supervisor_began + Duration::from_millis(machine.power_on.unwrap_or_default());
                self.clock
                    .passed_since(&format!("{}: power-on to Ready", machine.name), power_on);
            }
        }
    }

    fn report(&mut self) -> Result<SupervisorReport, ClusterError> {
        let layout = self.layout;
        self.control.report().map_err(|_| supervisor_ended(layout))
    }

    /// Checks for a component or a machine that has failed for good; an error with its last output.
    fn check(&self, report: &SupervisorReport) -> Result<(), ClusterError> {
        check_components(self.layout, report)?;
        for machine in &report.machines {
            if let MachineState::Ended { reason } = &machine.state {
                let console = Files::new(self.layout.node(&machine.name)).console_log();
                let last = console_lines(&machine.name, &console);
                // The machine's files are removed; the console's log is kept.
                let kept = self.layout.log(&machine.name);
                let console = if fs_err::copy(&console, &kept).is_ok() {
                    kept
                } else {
                    console
                };
                let (node, reason) = (machine.name.clone(), reason.clone());
                return Err(ClusterError::Node {
                    node,
                    reason,
                    last,
                    console,
                });
            }
        }
        Ok(())
    }

    /// Reads the traces of all machines.
    fn traces(&self) -> Vec<Traces> {
        let names = self.plan.nodes().into_iter().map(|node| node.name());
        names
            .map(|name| {
                let files = Files::new(self.layout.node(&name));
                Traces::read(name, &files)
            })
            .collect()
    }

    fn slow(&self, stage: Stage, nodes: usize, stall: &Stall, waited: Duration) -> ClusterError {
        for node in self.plan.nodes() {
            let console = Files::new(self.layout.node(&node.name())).console_log();
            // A node without a console has no log to keep.
            drop(fs_err::copy(&console, self.layout.log(&node.name())));
        }
        let mut seen = stage::missing(&self.seen, stage, nodes);
        let last = match stage {
            Stage::ControlPlane | Stage::Objects => last_lines(&self.layout.log(component::API_SERVER)),
            Stage::Nodes => {
                let silent = self
                    .plan
                    .nodes()
                    .into_iter()
                    .map(|node| node.name())
                    .find(|name| !self.seen.nodes.iter().any(|(known, ready)| *ready && known == name));
                let name = silent.unwrap_or_default();
                console_lines(&name, &self.layout.log(&name))
            }
            Stage::Network | Stage::WebServer | Stage::Answer => {
                let pods = self
                    .api
                    .get("/api/v1/pods")
                    .map(|list| observe::pods(&list))
                    .unwrap_or_default();
                seen += "; pods that are not ready:";
                pods.iter()
                    .filter(|pod| !pod.ready)
                    .map(|pod| format!("{} on {}: {}", pod.name, pod.node, pod.state))
                    .collect()
            }
        };
        ClusterError::Slow {
            stage: stage.title(),
            idle: stall.idle,
            waited,
            seen,
            unchanged: stall.unchanged.clone(),
            last,
            logs: self.layout.logs(),
        }
    }
}

/// Command that applies the initial objects. It runs in the cluster's folder and names the manifests from there, because
/// kubectl splits the value of `-f` at commas, which the folder's path may contain.
fn apply_command(layout: &Layout, plan: &ClusterPlan) -> Command {
    plan.kubectl(layout)
        .env("KUBECONFIG", layout.kubeconfig(pki::ADMIN))
        .current_dir(layout.root())
        .args(["apply", "--server-side", "--force-conflicts", "--validate=false", "-f"])
        .arg(layout.manifests().file_name().unwrap_or_default())
}

/// Checks for a component of the control plane that has failed for good; an error with its last output.
pub(crate) fn check_components(layout: &Layout, report: &SupervisorReport) -> Result<(), ClusterError> {
    for component in &report.components {
        if let ComponentState::Failed { status } = &component.state {
            let log = layout.log(&component.name);
            return Err(ClusterError::Component {
                component: component.name.clone(),
                status: status.clone(),
                last: last_lines(&log),
                log,
            });
        }
    }
    Ok(())
}

fn last_lines(path: &Utf8PathBuf) -> Vec<String> {
    let text = fs_err::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().count().saturating_sub(SHOWN);
    let last = text.lines().skip(first);
    last.map(|line| plain_text(line).into_owned()).collect()
}

/// Last lines of a node's console.
pub(crate) fn console_lines(name: &str, path: &Utf8PathBuf) -> Vec<String> {
    let mut lines = Console::new(name, path.clone()).lines().unwrap_or_default();
    lines.split_off(lines.len().saturating_sub(SHOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_the_path_does_not_reach_kubectl() {
        let command = apply_command(&Layout::new("/a,b"), &crate::plan::example()).pasteable();
        assert!(command.starts_with("cd /a,b && "), "{command}");
        assert!(command.ends_with(" -f manifests"), "{command}");
    }
}
