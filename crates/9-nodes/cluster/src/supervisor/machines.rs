//! Machines of the nodes: started, shut down, started again, removed.

use std::time::{Duration, Instant};

use basalt_machine::{
    Accelerator, AcceleratorChoice, Bus, Disk, DiskFormat, DiskSource, Machine, NetworkDevice, QemuTools,
    RunningMachine, Stopped, SystemdCredential,
};

use basalt_node_config::defaults::CREDENTIAL;

use crate::control::{MachineReport, MachineState, Variant};
use crate::layout::Layout;
use crate::network::Wire;
use crate::pki::{CertificateAuthority, Pki};
use crate::plan::ClusterPlan;
use crate::secret::make_private_folder;
use crate::topology::{MOST_NODES, NodeNumber};
use crate::{ClusterError, cable, network, node_config};
use basalt_process::chain;

/// Machines of all nodes.
pub(super) struct Machines<'a> {
    layout: &'a Layout,
    plan: &'a ClusterPlan,
    tools: &'a dyn QemuTools,
    pub(super) verdict: AcceleratorChoice,
    authority: String,
    began: Instant,
    slots: Vec<Slot>,
}

struct Slot {
    node: NodeNumber,
    variant: Variant,
    running: Option<RunningMachine>,
    state: MachineState,
    power_on: Option<Duration>,
    shutdown: Option<Shutdown>,
}

/// Shutdown under way.
#[derive(Debug, Clone, Copy)]
struct Shutdown {
    then: AfterShutdown,
    /// Time at which the machine is switched off if it still runs.
    deadline: Instant,
}

/// Fate of a machine after its shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterShutdown {
    /// A start from the same disk.
    Start,
    /// None: it stays off, with its disk.
    StayOff,
    /// Removal, with its disk.
    Remove,
}

/// Time for an ordered shutdown, which the kubelet delays until its pods have ended.
const GRACE: Duration = Duration::from_secs(120);

impl Slot {
    /// Records the end of the machine; returns what comes next when that was its shutdown.
    fn look(&mut self) -> Result<Option<AfterShutdown>, ClusterError> {
        let Some(running) = &mut self.running else {
            return Ok(None);
        };
        let has_ended = running.ended()?.is_some();
        match self.shutdown {
            Some(Shutdown { then, deadline }) if has_ended || Instant::now() >= deadline => {
                if !has_ended {
                    tracing::warn!(
                        node = self.node.name(),
                        "did not shut down in time, and is switched off"
                    );
                    running.kill();
                }
                self.running = None;
                self.shutdown = None;
                self.state = MachineState::Off;
                return Ok(Some(then));
            }
            None if has_ended => {
                let reason = match running.check("running it") {
                    Err(error) => chain(&error),
                    Ok(()) => "it ended".to_owned(),
                };
                tracing::warn!(node = self.node.name(), reason, "a machine ended");
                self.state = MachineState::Ended { reason };
                self.running = None;
            }
            _ => {}
        }
        Ok(None)
    }
}

impl<'a> Machines<'a> {
    pub(super) fn new(
        layout: &'a Layout,
        plan: &'a ClusterPlan,
        tools: &'a dyn QemuTools,
        began: Instant,
    ) -> Result<Self, ClusterError> {
        let pki = Pki::new(layout.pki());
        let verdict = Accelerator::choose(tools, plan.arch, &plan.inputs.cache)?;
        tracing::info!(accelerator = ?verdict.accelerator, reason = verdict.reason, "running machines");
        let authority = pki.read(&pki.certificate(CertificateAuthority::Cluster.name()))?;
        Ok(Self {
            layout,
            plan,
            tools,
            verdict,
            authority,
            began,
            slots: Vec::new(),
        })
    }

    /// Switches a new node's machine on. Its port on the bridge must exist. A machine that does not start is reported as
    /// ended.
    pub(super) fn start(&mut self, node: NodeNumber, variant: Variant) -> Result<(), ClusterError> {
        if self.plan.wire == Wire::Cable {
            make_private_folder(&self.layout.node(&node.name()))?;
            cable::carry(&node.card(), &self.layout.cable(&node.name()))?;
        }
        self.slots.push(Slot {
            node,
            variant,
            running: None,
            state: MachineState::Off,
            power_on: None,
            shutdown: None,
        });
        self.power_on(self.slots.len() - 1);
        Ok(())
    }

    /// Switches the machine of a slot on.
    fn power_on(&mut self, index: usize) {
        let power_on = self.began.elapsed();
        let Some(Slot { node, variant, .. }) = self.slots.get(index) else {
            return;
        };
        let started = self.machine(*node, variant).start(self.tools, self.verdict.accelerator);
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.power_on = Some(power_on);
        match started {
            Ok(running) => {
                slot.state = MachineState::Running;
                slot.running = Some(running);
            }
            Err(error) => {
                let reason = chain(&error);
                tracing::error!(reason, node = slot.node.name(), "could not be started");
                slot.state = MachineState::Ended { reason };
            }
        }
    }

    /// Connects one more node to the bridge and switches it on. It gets the lowest number that is free; nothing of it is
    /// left when its machine does not start.
    pub(super) fn add(&mut self, variant: Variant) -> Result<NodeNumber, ClusterError> {
        let is_free = |node: &NodeNumber| !self.slots.iter().any(|slot| slot.node == *node);
        let node = NodeNumber::first(MOST_NODES).find(is_free).ok_or(ClusterError::Nodes {
            asked: MOST_NODES + 1,
            most: MOST_NODES,
        })?;
        network::ip(&self.plan.inputs.sdk, &network::node_commands(node, self.plan.wire))?;
        let outcome = self.start(node, variant).and_then(|()| self.started(node));
        if outcome.is_err() {
            self.remove(node);
        }
        outcome.map(|()| node)
    }

    fn started(&self, node: NodeNumber) -> Result<(), ClusterError> {
        match self.slots.iter().find(|slot| slot.node == node).map(|slot| &slot.state) {
            Some(MachineState::Ended { reason }) => Err(ClusterError::Start {
                node: node.name(),
                reason: reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Removes a node whose machine does not run: its slot, its files, its port. What is not there is left out.
    fn remove(&mut self, node: NodeNumber) {
        self.slots.retain(|slot| slot.node != node);
        let folder = self.layout.node(&node.name());
        match fs_err::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a machine's files stay");
            }
            _ => {}
        }
        if let Err(error) = network::ip(&self.plan.inputs.sdk, &[network::disconnect_command(node)]) {
            tracing::warn!(error = chain(&error), "a port stays on the bridge");
        }
    }

    /// Presses the power button of a machine; [`Self::tick`] goes on when it has shut down. A machine that does not run is
    /// started, left alone or removed at once.
    pub(super) fn shut_down(&mut self, node: NodeNumber, then: AfterShutdown) -> Result<(), ClusterError> {
        let slot = self.slot(node)?;
        let Some(running) = &mut slot.running else {
            slot.shutdown = None;
            self.finish(node, then);
            return self.started(node);
        };
        let pressed = running.control().and_then(|mut control| control.power_down());
        let grace = match pressed {
            Ok(()) => GRACE,
            // It does not answer: all that is left is to switch it off.
            Err(error) => {
                tracing::warn!(
                    error = chain(&error),
                    node = node.name(),
                    "the power button does not work"
                );
                Duration::ZERO
            }
        };
        slot.state = MachineState::ShuttingDown;
        slot.shutdown = Some(Shutdown {
            then,
            deadline: Instant::now() + grace,
        });
        Ok(())
    }

    /// Switches a machine off at once.
    pub(super) fn cut_power(&mut self, node: NodeNumber) -> Result<(), ClusterError> {
        let slot = self.slot(node)?;
        if let Some(mut running) = slot.running.take() {
            running.kill();
        }
        slot.shutdown = None;
        slot.state = MachineState::Off;
        Ok(())
    }

    fn index(&self, node: NodeNumber) -> Result<usize, ClusterError> {
        let found = self.slots.iter().position(|slot| slot.node == node);
        found.ok_or_else(|| {
            let known: Vec<_> = self.slots.iter().map(|slot| slot.node.name()).collect();
            ClusterError::NoNode {
                name: node.name(),
                known: known.join(", "),
            }
        })
    }

    #[expect(clippy::indexing_slicing, reason = "the index was just found")]
    fn slot(&mut self, node: NodeNumber) -> Result<&mut Slot, ClusterError> {
        let index = self.index(node)?;
        Ok(&mut self.slots[index])
    }

    /// Does what was to come after a shutdown.
    fn finish(&mut self, node: NodeNumber, then: AfterShutdown) {
        match then {
            AfterShutdown::Remove => self.remove(node),
            AfterShutdown::StayOff => {}
            AfterShutdown::Start => {
                if let Ok(index) = self.index(node) {
                    self.power_on(index);
                }
            }
        }
    }

    fn machine(&self, node: NodeNumber, variant: &Variant) -> Machine {
        let ClusterPlan { inputs, size, arch, .. } = self.plan;
        let mut machine = Machine::new(node.name(), self.layout.node(&node.name()), *arch);
        machine.vcpus = size.vcpus;
        machine.memory_mib = size.memory_mib;
        let (image, format) = match &variant.disk {
            Some(disk) => (disk.clone(), DiskFormat::Raw),
            None => (inputs.node_image.clone(), self.plan.image_format()),
        };
        machine.disks.push(Disk {
            source: DiskSource::Overlay {
                image,
                format,
                size_mib: Some(size.disk_mib),
            },
            bus: Bus::Virtio,
            serial: None,
        });
        machine.networks.push(match self.plan.wire {
            Wire::Tap => NetworkDevice::Tap {
                device: node.port(),
                mac: node.mac(),
            },
            Wire::Cable => NetworkDevice::Stream {
                socket: self.layout.cable(&node.name()),
                listens: false,
                mac: node.mac(),
            },
        });
        let config = node_config::render(self.plan, &self.authority, node);
        let own = SystemdCredential::new(CREDENTIAL, config);
        let more = variant.credentials.iter();
        machine.credentials = more
            .map(|(name, text)| SystemdCredential::new(name, text.as_str()))
            .collect();
        if machine.credentials.iter().all(|credential| credential.name != own.name) {
            machine.credentials.push(own);
        }
        machine.kernel_arguments.clone_from(&variant.kernel_arguments);
        machine
    }

    /// Records machines that ended, and goes on where one was to be shut down.
    pub(super) fn tick(&mut self) -> Result<(), ClusterError> {
        let mut shut_down = Vec::new();
        for slot in &mut self.slots {
            shut_down.extend(slot.look()?.map(|then| (slot.node, then)));
        }
        for (node, then) in shut_down {
            self.finish(node, then);
        }
        Ok(())
    }

    pub(super) fn reports(&self) -> Vec<MachineReport> {
        self.slots
            .iter()
            .map(|slot| MachineReport {
                node: slot.node,
                name: slot.node.name(),
                address: slot.node.address(),
                state: slot.state.clone(),
                power_on: slot.power_on.map(super::milliseconds),
            })
            .collect()
    }

    /// Switches all machines off at the same time, each with `grace` to shut down.
    pub(super) fn stop(&mut self, grace: Duration) {
        let running: Vec<_> = self.slots.iter_mut().filter_map(|slot| slot.running.take()).collect();
        if grace.is_zero() {
            // Dropping a machine kills QEMU.
            return;
        }
        std::thread::scope(|scope| {
            for machine in running {
                scope.spawn(move || {
                    let name = machine.name().to_owned();
                    match machine.stop(grace) {
                        Ok(Stopped::Orderly | Stopped::Already) => tracing::info!(node = name, "shut down"),
                        Ok(how) => tracing::warn!(node = name, ?how, "did not shut down in time"),
                        Err(error) => tracing::warn!(node = name, %error, "could not be shut down"),
                    }
                });
            }
        });
    }
}
