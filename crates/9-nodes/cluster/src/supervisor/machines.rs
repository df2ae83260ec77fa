//! Machines of the nodes, while they run.

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
    running: Option<RunningMachine>,
    state: MachineState,
    power_on: Option<Duration>,
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

    /// Switches a node's machine on. Its port on the bridge must exist.
    pub(super) fn start(&mut self, node: NodeNumber, variant: &Variant) -> Result<(), ClusterError> {
        let machine = self.machine(node, variant);
        let power_on = self.began.elapsed();
        let mut slot = Slot {
            node,
            running: None,
            state: MachineState::Off,
            power_on: None,
        };
        if self.plan.wire == Wire::Cable {
            make_private_folder(&machine.folder)?;
            cable::carry(&node.card(), &self.layout.cable(&node.name()))?;
        }
        let started = machine.start(self.tools, self.verdict.accelerator);
        match started {
            Ok(running) => {
                slot.state = MachineState::Running;
                slot.running = Some(running);
            }
            Err(error) => {
                let reason = chain(&error);
                tracing::error!(reason, node = node.name(), "could not be started");
                slot.state = MachineState::Ended { reason };
            }
        }
        slot.power_on = Some(power_on);
        self.slots.push(slot);
        Ok(())
    }

    /// Connects one more node to the bridge and switches it on.
    pub(super) fn add(&mut self, variant: &Variant) -> Result<NodeNumber, ClusterError> {
        let count = u8::try_from(self.slots.len()).unwrap_or(u8::MAX);
        let node = NodeNumber::first(count.saturating_add(1))
            .last()
            .filter(|_| count < MOST_NODES);
        let Some(node) = node else {
            return Err(ClusterError::Nodes {
                asked: count.saturating_add(1),
                most: MOST_NODES,
            });
        };
        network::ip(&self.plan.inputs.sdk, &network::node_commands(node, self.plan.wire))?;
        self.start(node, variant)?;
        Ok(node)
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
        machine.credentials.push(SystemdCredential::new(CREDENTIAL, config));
        machine.kernel_arguments.clone_from(&variant.kernel_arguments);
        machine
    }

    /// Records machines that ended.
    pub(super) fn tick(&mut self) -> Result<(), ClusterError> {
        for slot in &mut self.slots {
            let Some(running) = &mut slot.running else {
                continue;
            };
            if running.ended()?.is_some() {
                let reason = match running.check("running it") {
                    Err(error) => chain(&error),
                    Ok(()) => "it ended".to_owned(),
                };
                tracing::warn!(node = slot.node.name(), reason, "a machine ended");
                slot.state = MachineState::Ended { reason };
                slot.running = None;
            }
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
