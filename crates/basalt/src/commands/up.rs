//! `basalt up`: from upstream source to a running cluster with a pod that answers.

use std::process::ExitCode;
use std::time::Instant;

use basalt_cluster::{ClusterError, ClusterInputs, ClusterSize, LocalCluster, StageTime, UpReport};
use basalt_content::ContentFolder;
use basalt_release::Arch;
use miette::{Result, miette};
use serde::Serialize;

use super::{answer, answer_json, images, status};
use crate::arguments::Up;
use crate::checkout::Checkout;
use crate::table::Table;

/// Name of the image of the nodes.
const NODE: &str = "node";
/// Name of the image with the programs of the control plane.
const CONTROL_PLANE: &str = "control-plane";

/// Names of the container images that the objects of the local cluster use.
const CONTAINERS: &[&str] = &["basalt-web", "coredns", "flannel", "kube-proxy"];

/// Report for scripts.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Durations of the build's stages, in seconds.
    build: &'a [StageTime],
    #[serde(flatten)]
    cluster: &'a UpReport,
}

/// Builds missing images, starts the cluster, and shows its web server's answer.
pub fn run(checkout: &Checkout, options: &Up, json: bool) -> Result<ExitCode> {
    let cluster = LocalCluster::open(checkout.cluster_state())?;
    let mut clock = Clock::start();
    let inputs = inputs(checkout, &mut clock)?;
    let size = ClusterSize {
        nodes: options.nodes,
        vcpus: options.cpus,
        memory_mib: options.memory,
        ..ClusterSize::default()
    };
    match cluster.up(inputs, size, Arch::X86_64, checkout.reporter()) {
        Ok(report) if json => answer_json(&Report {
            build: &clock.stages,
            cluster: &report,
        }),
        Ok(report) => show(&clock, &report),
        // The requested cluster is running already.
        Err(ClusterError::Running { differences, .. }) if differences.is_empty() => {
            let status = cluster.status()?;
            if json {
                answer_json(&status);
            } else {
                answer("this cluster is running already, made from the same packages and images\n");
                status.as_ref().map(status::show).unwrap_or_default();
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the names of all images of a cluster.
pub(super) fn image_names() -> Vec<&'static str> {
    let containers = CONTAINERS.iter().copied();
    [NODE, CONTROL_PLANE].into_iter().chain(containers).collect()
}

/// Builds all images of a cluster.
pub(super) fn inputs(checkout: &Checkout, clock: &mut Clock) -> Result<ClusterInputs> {
    let sdk = checkout.sdk()?;
    clock.passed("build tools");
    let mut made = images::make(checkout, &image_names())?;
    let wrong = |name: &str, kind: &str| miette!("the image `{name}` is not a {kind}, which it has to be");
    let mut take = |name: &str| made.remove(name);
    let node_image = take(NODE)
        .and_then(|image| image.disk())
        .ok_or_else(|| wrong(NODE, "disk"))?;
    let control_plane = take(CONTROL_PLANE)
        .and_then(|image| image.tree())
        .ok_or_else(|| wrong(CONTROL_PLANE, "tree"))?;
    let containers: Vec<_> = made.into_values().collect();
    let registry = basalt_image::registry(&checkout.store, &containers, checkout.reporter())?;
    clock.passed("packages and images");
    Ok(ClusterInputs {
        sdk: sdk.path,
        node_image,
        node_image_qcow2: false,
        control_plane,
        registry,
        images: containers
            .iter()
            .map(|image| (image.name.clone(), image.reference()))
            .collect(),
        manifests: checkout.content().own_folder(ContentFolder::Cluster).path,
        cache: checkout.store.root().to_owned(),
    })
}

/// Clock of the stages before the cluster starts.
pub(super) struct Clock {
    began: Instant,
    stages: Vec<StageTime>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            began: Instant::now(),
            stages: Vec::new(),
        }
    }

    fn passed(&mut self, stage: &str) {
        let at = self.began.elapsed().as_secs_f64();
        let took = at - self.stages.last().map_or(0.0, |last| last.at);
        self.stages.push(StageTime {
            stage: stage.to_owned(),
            at,
            took,
        });
    }
}

fn show(clock: &Clock, report: &UpReport) {
    answer(format!("\n{}", report.answer));
    let seconds = |seconds: f64| format!("{seconds:>7.1} s");
    let mut table = Table::new(["stage", "took"]);
    for stage in clock.stages.iter().chain(&report.stages) {
        table.row([stage.stage.clone(), seconds(stage.took)]);
    }
    table.row(["in all".to_owned(), seconds(clock.began.elapsed().as_secs_f64())]);
    answer(table);
    if let Some(verdict) = &report.accelerator {
        answer(format!(
            "the machines run on {}: {}",
            verdict.accelerator, verdict.reason
        ));
    }
    answer("./basalt kubectl get pods -A   talks to the cluster\n./basalt down                  ends it");
}
