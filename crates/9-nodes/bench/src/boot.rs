//! Measurement of one machine's boots: the first one of a fresh disk and the next one, each from power-on to a running pod.

use std::time::Duration;

use basalt_cluster::api::Api;
use basalt_cluster::control::{Control, Order};
use basalt_cluster::pki::{self, Pki};
use basalt_cluster::{ClusterError, ClusterInputs, ClusterPlan, ClusterSize, LocalCluster, Variant};
use basalt_machine::AcceleratorChoice;
use basalt_process::wait;
use basalt_progress::{Reporter, Silent};
use basalt_release::Arch;

use crate::observed::{BootTraces, IdleMemory};
use crate::watch::Watch;
use crate::{BenchError, Times};

/// Kernel arguments of both systems that make the milestones visible on the console: kernel notices (log level 6) and
/// systemd's status lines. Neither system prints them by default; printing costs both a little time.
pub const WATCHED: &[&str] = &["loglevel=6", "systemd.show_status=1"];

/// Pause between the control plane's readiness and the start of the machine, while the control plane is still busy. The same
/// between the end of a shutdown and the second start.
const SETTLING: Duration = Duration::from_secs(5);
/// Time from the first pod to the look at the memory. The kubelet's own looks are 15 s apart at most.
const REST: Duration = Duration::from_secs(20);

/// System under comparison.
#[derive(Debug, Clone)]
pub struct ComparedSystem {
    /// Name of the system in the report.
    pub name: String,
    /// Differences from the machines of the cluster's plan: disk image and kernel arguments.
    pub variant: Variant,
}

/// Measurements of one machine.
#[derive(Debug, Clone)]
pub struct MachineRun {
    /// Times of the first boot.
    pub first: Times,
    /// Times of the second boot, from the same disk, after a shutdown in order.
    pub second: Times,
    /// Memory in the first boot, when all pods ran.
    pub idle: IdleMemory,
    /// Accelerator of the machine.
    pub accelerator: Option<AcceleratorChoice>,
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
    /// Boots one machine twice in a cluster of its own, measures its milestones and stops the cluster.
    ///
    /// # Errors
    /// When the cluster does not start, or the machine does not get as far as its first pod, does not shut down, or does not
    /// tell what is asked of it.
    pub fn run(&self, system: &ComparedSystem) -> Result<MachineRun, BenchError> {
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

    fn measure(&self, system: &ComparedSystem) -> Result<MachineRun, BenchError> {
        let layout = self.cluster.layout();
        let mut control = Control::connect(layout)?;
        // The cluster ends with this process, also when it is killed.
        control.order(&Order::Hold)?;
        let plan = ClusterPlan::read(layout)?.ok_or(ClusterError::Stopped)?;
        let api = Api::new(&Pki::new(layout.pki()), pki::ADMIN, plan.host_endpoint())?;
        wait::sleep(SETTLING)?;
        let node = self.cluster.add_node(system.variant.clone())?;
        let mut watch = Watch::new(&system.name, &node, layout, control, api);
        let accelerator = watch.find_beginning()?;
        let none = BootTraces::default();
        let first = watch.times(&none)?;
        wait::sleep(REST)?;
        let idle = watch.idle_memory()?;
        let traces = watch.traces()?;
        watch.shut_down()?;
        wait::sleep(SETTLING)?;
        watch.switch_on()?;
        watch.find_beginning()?;
        let second = watch.times(&traces)?;
        Ok(MachineRun {
            first,
            second,
            idle,
            accelerator,
        })
    }
}
