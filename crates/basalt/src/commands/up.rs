//! `basalt up`: from upstream source to a running cluster with a pod that answers.

use std::io::Read as _;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use basalt_cluster::{ClusterError, ClusterInputs, ClusterSize, LocalCluster, StageTime, UpReport, Variant};
use basalt_content::ContentFolder;
use basalt_debian::{DebianDisk, NO_TIMER_CHECK};
use basalt_node_config::KubeletMinor;
use basalt_process::without_path;
use basalt_release::Arch;
use camino::{Utf8Path, Utf8PathBuf};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};
use serde::Serialize;
use serde_json::Value;

use super::load::LoadedImage;
use super::{answer, answer_json, debian, images, load, names, status};
use crate::arguments::cluster::{Load, OtherDistribution, Up};
use crate::checkout::{Checkout, read_text};
use crate::table::Table;

/// Name of the image of the nodes.
const NODE: &str = "node";
/// Name of the image with the programs of the control plane.
const CONTROL_PLANE: &str = "control-plane";

/// Names of the container images that the objects of the local cluster use, and of the one of `basalt node`'s debug pods.
const CONTAINERS: &[&str] = &["basalt-web", "coredns", "debug", "flannel", "kube-proxy"];

/// Report for scripts.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Durations of the build's stages, in seconds.
    build: &'a [StageTime],
    #[serde(flatten)]
    cluster: &'a UpReport,
    /// Images that were loaded.
    loaded: &'a [LoadedImage],
    /// Node of another distribution.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<&'a OtherNode>,
}

/// Node of another distribution.
#[derive(Debug, Serialize)]
struct OtherNode {
    /// Name of the node.
    name: String,
    /// Name of the distribution.
    distribution: &'static str,
    /// Release of its kernel.
    kernel: String,
}

/// Image and settings of the nodes.
#[derive(Debug, Default)]
pub(super) struct NodeChoice {
    image: NodeImage,
    /// NodeConfig of all nodes, checked.
    config: Option<Value>,
}

/// Image of the nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NodeImage {
    /// Image of the distribution, by its name.
    Named(String),
    /// Disk image in a file.
    File { path: Utf8PathBuf, is_qcow2: bool },
}

impl Default for NodeImage {
    fn default() -> Self {
        Self::Named(NODE.to_owned())
    }
}

impl NodeImage {
    /// Finds the image of a word, which is a name or the path of a file.
    fn find(word: &str) -> Result<Self> {
        if !names::is_disk_file(word) {
            return Ok(Self::Named(word.to_owned()));
        }
        let path = Utf8Path::new(word);
        let failed = || format!("the image of the nodes, `{path}`, cannot be read");
        let path = path.canonicalize_utf8().into_diagnostic().wrap_err_with(failed)?;
        let mut magic = Vec::new();
        fs_err::File::open(&path)
            .and_then(|file| file.take(4).read_to_end(&mut magic))
            .map_err(|error| without_path(error, &path))
            .into_diagnostic()
            .wrap_err_with(failed)?;
        Ok(Self::File {
            path,
            is_qcow2: magic == b"QFI\xfb",
        })
    }
}

/// Builds missing images, starts the cluster, and shows its web server's answer.
pub fn run(checkout: &Checkout, options: &Up, json: bool) -> Result<ExitCode> {
    let cluster = LocalCluster::open(checkout.cluster_state())?;
    // Checked before anything is built: a mistake must not cost the wait for it.
    let image = NodeImage::find(&options.image)?;
    let kubelet = match &image {
        NodeImage::Named(name) => {
            let definitions = images::definitions(checkout)?;
            images::check_disk(&definitions, name)?;
            images::kubelet(&definitions, name)
        }
        // Its agent checks the NodeConfig for its own kubelet.
        NodeImage::File { .. } => KubeletMinor::NEWEST,
    };
    let config = match checked_config(options.config.as_deref(), kubelet)? {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let nodes = NodeChoice { image, config };
    let images = images_to_load(checkout, options)?;
    let other = match options.beside {
        Some(OtherDistribution::Debian) => Some(debian::disk(checkout, &checkout.build_context()?, &[NO_TIMER_CHECK])?),
        None => None,
    };
    let mut clock = Clock::start();
    let inputs = inputs(checkout, &mut clock, &nodes)?;
    let size = ClusterSize {
        nodes: options.nodes,
        vcpus: options.cpus,
        memory_mib: options.memory,
        disk_mib: options.disk,
    };
    let report = match cluster.up(inputs, size, Arch::X86_64, checkout.reporter()) {
        Ok(report) => Some(report),
        // The requested cluster is running already.
        Err(ClusterError::Running { differences, .. }) if differences.is_empty() => None,
        Err(error) => return Err(error.into()),
    };
    let loaded = match &images {
        Some(images) => load::push(checkout, &cluster, images)?,
        None => Vec::new(),
    };
    let beside = match other {
        Some(other) => add_debian(checkout, &cluster, other, report.is_some())?,
        None => None,
    };
    match report {
        Some(report) if json => answer_json(&Report {
            build: &clock.stages,
            cluster: &report,
            loaded: &loaded,
            beside: beside.as_ref(),
        }),
        Some(report) => show(&clock, &report, &loaded, beside.as_ref()),
        None => show_running(&cluster, &loaded, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the cluster that ran before, and the images that were loaded into it.
fn show_running(cluster: &LocalCluster, loaded: &[LoadedImage], json: bool) -> Result<()> {
    let running = cluster.status()?;
    if json {
        answer_json(&running);
        return Ok(());
    }
    answer("this cluster is running already, made from the same packages and images\n");
    running.as_ref().map(status::show).unwrap_or_default();
    if !loaded.is_empty() {
        load::show(loaded);
    }
    Ok(())
}

/// Adds a Debian machine to the cluster, if it was started now, and waits until it is a node that is Ready.
fn add_debian(
    checkout: &Checkout,
    cluster: &LocalCluster,
    debian: DebianDisk,
    is_new: bool,
) -> Result<Option<OtherNode>> {
    if !is_new {
        checkout
            .reporter()
            .warn("the cluster is running already and gets no node of Debian; end it first (./basalt down)");
        return Ok(None);
    }
    let name = cluster.add_node(Variant {
        disk: Some(debian.disk),
        ..Variant::default()
    })?;
    cluster.await_node(&name, None, checkout.reporter())?;
    Ok(Some(OtherNode {
        name,
        distribution: "Debian 13",
        kernel: debian.kernel,
    }))
}

/// Reads the images that are to be loaded, if any are.
fn images_to_load(checkout: &Checkout, options: &Up) -> Result<Option<load::Images>> {
    if options.load.is_empty() {
        return Ok(None);
    }
    let options = Load {
        images: options.load.clone(),
        from: None,
        name: None,
    };
    load::read(checkout, &options).map(Some)
}

/// Returns the NodeConfig of all nodes, if one was given; the exit code when it is not valid, after showing its problems.
fn checked_config(path: Option<&Utf8Path>, kubelet: KubeletMinor) -> Result<Result<Option<Value>, ExitCode>> {
    let Some(path) = path else {
        return Ok(Ok(None));
    };
    let text = read_text(path)?;
    match basalt_cluster::node_config::check(path.as_str(), &text, SystemTime::now(), kubelet)? {
        Ok((config, warnings)) => {
            if !warnings.is_empty() {
                crate::show_problems(&warnings);
            }
            Ok(Ok(Some(config)))
        }
        Err(problems) => {
            crate::show_problems(&problems);
            Ok(Err(ExitCode::FAILURE))
        }
    }
}

/// Returns the names of all images of a cluster.
pub(super) fn image_names() -> Vec<&'static str> {
    let containers = CONTAINERS.iter().copied();
    [NODE, CONTROL_PLANE].into_iter().chain(containers).collect()
}

/// Builds all images of a cluster.
pub(super) fn inputs(checkout: &Checkout, clock: &mut Clock, nodes: &NodeChoice) -> Result<ClusterInputs> {
    let sdk = checkout.sdk()?;
    clock.passed("build tools");
    let containers = CONTAINERS.iter().copied();
    let mut names: Vec<&str> = std::iter::once(CONTROL_PLANE).chain(containers).collect();
    if let NodeImage::Named(name) = &nodes.image {
        names.push(name);
    }
    let mut made = images::make(checkout, &names)?;
    let wrong = |name: &str, kind: &str| miette!("the image `{name}` is not a {kind}, which it has to be");
    let mut take = |name: &str| made.remove(name);
    let (node_image, node_image_qcow2) = match &nodes.image {
        NodeImage::Named(name) => {
            let disk = take(name).and_then(|image| image.disk());
            (disk.ok_or_else(|| wrong(name, "disk"))?, false)
        }
        NodeImage::File { path, is_qcow2 } => (path.clone(), *is_qcow2),
    };
    let control_plane = take(CONTROL_PLANE)
        .and_then(|image| image.tree())
        .ok_or_else(|| wrong(CONTROL_PLANE, "tree"))?;
    let containers: Vec<_> = made.into_values().collect();
    let registry = basalt_image::registry(&checkout.store, &containers, checkout.reporter())?;
    clock.passed("packages and images");
    Ok(ClusterInputs {
        sdk: sdk.path,
        node_image,
        node_image_qcow2,
        node_config: nodes.config.clone(),
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

fn show(clock: &Clock, report: &UpReport, loaded: &[LoadedImage], beside: Option<&OtherNode>) {
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
    if let Some(OtherNode {
        name,
        distribution,
        kernel,
    }) = beside
    {
        answer(format!("{name} is a node of {distribution}, kernel {kernel}"));
    }
    if !loaded.is_empty() {
        load::show(loaded);
    }
    answer(
        "./basalt kubectl get pods -A   talks to the cluster\n\
         ./basalt load IMAGE            brings an image of yours into it\n\
         ./basalt down                  ends it",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_nodes_are_names_or_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| Utf8PathBuf::try_from(folder.path().join(name)).expect("UTF-8");
        fs_err::write(path("a.raw"), "EFI PART").expect("written");
        fs_err::write(path("b"), b"QFI\xfb\0\0\0\x03").expect("written");
        fs_err::write(path("c.raw"), "").expect("written");
        let kind = |name: &str| match NodeImage::find(path(name).as_str()).expect("read") {
            NodeImage::File { is_qcow2, .. } => is_qcow2,
            NodeImage::Named(name) => panic!("a name: {name}"),
        };
        assert_eq!([kind("a.raw"), kind("b"), kind("c.raw")], [false, true, false]);
        for name in ["node-debug", "node-kubelet-1.36"] {
            assert_eq!(NodeImage::find(name).expect("a name"), NodeImage::Named(name.into()));
        }
        for missing in ["missing.qcow2", "./missing"] {
            let error = NodeImage::find(missing).expect_err("not there");
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
