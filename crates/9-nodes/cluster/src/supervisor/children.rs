//! Processes of the control plane: started in their order, watched, restarted.

use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crate::ClusterError;
use crate::api::Api;
use crate::component::{self, ControlPlaneComponent, Probe};
use crate::control::{ComponentReport, ComponentState};
use crate::layout::Layout;
use crate::pki::{self, Pki};
use crate::plan::ClusterPlan;
use crate::restart::{History, RestartDecision};

/// Interval of readiness probes.
const ASK: Duration = Duration::from_millis(50);

/// Processes of all components.
pub(super) struct Children<'a> {
    layout: &'a Layout,
    plan: &'a ClusterPlan,
    slots: Vec<Slot>,
    began: Instant,
}

struct Slot {
    component: ControlPlaneComponent,
    child: Option<Child>,
    state: ComponentState,
    /// Readiness, set by the probing thread; each start has a flag of its own.
    ready: Arc<AtomicBool>,
    restart_at: Option<Instant>,
    history: History,
    restarts: u32,
    ready_after: Option<Duration>,
}

impl<'a> Children<'a> {
    pub(super) fn new(layout: &'a Layout, plan: &'a ClusterPlan, began: Instant) -> Self {
        let slots = component::all(layout).into_iter().map(Slot::new).collect();
        Self {
            layout,
            plan,
            slots,
            began,
        }
    }

    /// Starts components that are due, and records those that ended or became ready.
    ///
    /// The kernel ends a sandbox when the thread that started it ends: this is to be called by the main thread only.
    pub(super) fn tick(&mut self) -> Result<(), ClusterError> {
        let now = Instant::now();
        for slot in &mut self.slots {
            slot.look(now, self.began)?;
        }
        let due: Vec<bool> = self.slots.iter().map(|slot| self.is_due(slot, now)).collect();
        for (slot, due) in self.slots.iter_mut().zip(due) {
            if due {
                slot.start(self.layout, self.plan)?;
            }
        }
        Ok(())
    }

    fn is_due(&self, slot: &Slot, now: Instant) -> bool {
        match slot.state {
            ComponentState::Waiting => slot.component.after.is_none_or(|name| self.is_ready(name)),
            ComponentState::Ended { .. } => slot.restart_at.is_some_and(|at| at <= now),
            _ => false,
        }
    }

    fn is_ready(&self, name: &str) -> bool {
        self.slots
            .iter()
            .any(|slot| slot.component.name == name && slot.state == ComponentState::Ready)
    }

    pub(super) fn reports(&self) -> Vec<ComponentReport> {
        self.slots.iter().map(Slot::report).collect()
    }

    /// Kills all components. Their data ends with them, so that no orderly shutdown is needed.
    pub(super) fn stop(&mut self) {
        for slot in self.slots.iter_mut().rev() {
            slot.kill();
        }
    }
}

impl Slot {
    fn new(component: ControlPlaneComponent) -> Self {
        Self {
            component,
            child: None,
            state: ComponentState::Waiting,
            ready: Arc::default(),
            restart_at: None,
            history: History::default(),
            restarts: 0,
            ready_after: None,
        }
    }

    fn start(&mut self, layout: &Layout, plan: &ClusterPlan) -> Result<(), ClusterError> {
        if self.restart_at.take().is_some() {
            self.restarts += 1;
        }
        let name = self.component.name;
        let command = self.component.command(plan);
        tracing::info!(component = name, command = %command.pasteable(), "starting");
        let log = super::log_file(layout, name)?;
        let log_too = log.try_clone().map_err(ClusterError::file("open a log"))?;
        let child = command
            .to_std()
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(ClusterError::file(format!("start {name}")))?;
        self.child = Some(child);
        self.state = ComponentState::Starting;
        self.ready = Arc::default();
        watch(self.component.probe, layout, Arc::downgrade(&self.ready))
    }

    fn look(&mut self, now: Instant, began: Instant) -> Result<(), ClusterError> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        let name = self.component.name;
        if let Some(status) = child.try_wait().map_err(ClusterError::file(format!("watch {name}")))? {
            self.child = None;
            let status = status.to_string();
            self.state = match self.history.ended(now) {
                RestartDecision::RestartAt(at) => {
                    tracing::warn!(component = name, %status, "ended, will be started again");
                    self.restart_at = Some(at);
                    ComponentState::Ended { status }
                }
                RestartDecision::GiveUp => {
                    tracing::error!(component = name, %status, "ended too often");
                    ComponentState::Failed { status }
                }
            };
        } else if self.state == ComponentState::Starting && self.ready.load(Ordering::Relaxed) {
            self.state = ComponentState::Ready;
            self.ready_after.get_or_insert_with(|| now.duration_since(began));
            tracing::info!(component = name, "ready");
        }
        Ok(())
    }

    fn report(&self) -> ComponentReport {
        ComponentReport {
            name: self.component.name.to_owned(),
            state: self.state.clone(),
            restarts: self.restarts,
            ready_after: self.ready_after.map(super::milliseconds),
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A process that has ended already needs no signal.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// Probes a component in a thread of its own until it is ready, or its flag is dropped.
fn watch(probe: Probe, layout: &Layout, ready: Weak<AtomicBool>) -> Result<(), ClusterError> {
    let api = match probe {
        Probe::ApiServer => Some(Api::new(
            &Pki::new(layout.pki()),
            pki::ADMIN,
            ClusterPlan::local_endpoint(),
        )?),
        Probe::Connect(_) => None,
    };
    std::thread::spawn(move || {
        while let Some(ready) = ready.upgrade() {
            let answers = match (&api, probe) {
                (Some(api), _) => api.is_ready(),
                (None, Probe::Connect(address)) => TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok(),
                (None, Probe::ApiServer) => false,
            };
            if answers {
                ready.store(true, Ordering::Relaxed);
                return;
            }
            drop(ready);
            std::thread::sleep(ASK);
        }
    });
    Ok(())
}
