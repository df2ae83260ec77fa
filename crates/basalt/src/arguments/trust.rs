//! Options of verbs that look into packages and images, or at workloads that are to run on them.

use camino::Utf8PathBuf;
use clap::{ArgGroup, Args, Subcommand};

/// Options of `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// Names of images and packages.
    #[arg(default_value = "node")]
    pub names: Vec<String>,
    /// A folder of OSV records, or a .zip, .tar, .tar.gz or .tar.zst of them. May be given more than once.
    #[arg(long, short, required = true, value_name = "PATH")]
    pub database: Vec<Utf8PathBuf>,
    /// Lowest level of a vulnerability that makes the command fail: low, medium, high or critical.
    #[arg(long, value_name = "LEVEL", default_value = "high")]
    pub fail_on: basalt_advisories::Level,
    /// Write our VEX statements as an OpenVEX document.
    #[arg(long, value_name = "FILE")]
    pub vex: Option<Utf8PathBuf>,
    /// Write the findings as SARIF 2.1.0.
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<Utf8PathBuf>,
}

/// Options of `harden`.
#[derive(Debug, Args)]
pub struct Harden {
    /// Names of the images.
    #[arg(default_value = "node")]
    pub images: Vec<String>,
    /// Show exceptions, too, with their reasons.
    #[arg(long, short)]
    pub all: bool,
}

/// Options of `addons`.
#[derive(Debug, Args)]
pub struct Addons {
    /// Names of add-ons, or parts of them, in any case; all of them in short if none is given.
    pub names: Vec<String>,
    /// Name of the image.
    #[arg(long, default_value = "node")]
    pub image: String,
    /// Read this kernel configuration (a `.config`) instead of an image's.
    #[arg(long, value_name = "FILE", conflicts_with = "image")]
    pub config: Option<Utf8PathBuf>,
}

/// Options of `bom`.
#[derive(Debug, Args)]
pub struct Bom {
    /// Name of an image or a package.
    #[arg(default_value = "node")]
    pub name: String,
    /// Format of the document.
    #[arg(long, value_enum, default_value_t = BomFormat::Spdx)]
    pub format: BomFormat,
}

/// Format of a bill of materials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum BomFormat {
    /// SPDX 2.3.
    Spdx,
    /// CycloneDX 1.5.
    Cyclonedx,
}

/// Options of `licenses`.
#[derive(Debug, Args)]
pub struct Licenses {
    /// Name of an image or a package.
    #[arg(default_value = "node")]
    pub name: String,
    /// Write all licence texts and notices that must accompany the image or package into this file.
    #[arg(long, value_name = "FILE")]
    pub texts: Option<Utf8PathBuf>,
    /// Detect the licences of all Go modules and crates that are linked into our programs, from their sources, and
    /// write distro/packages/licences.lock.
    #[arg(long, conflicts_with_all = ["texts", "name"])]
    pub lock: bool,
}

/// Options of `preflight`.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("objects").args(["paths", "kubeconfig", "rbac"])),
    group(ArgGroup::new("work").required(true).multiple(true).args(["paths", "kubeconfig", "rbac", "write_facts"])),
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Preflight {
    /// Host in place of objects.
    #[command(subcommand)]
    pub what: Option<PreflightVerb>,
    /// Files and folders with manifests; `-` is standard input.
    pub paths: Vec<Utf8PathBuf>,
    /// Read a cluster, by this kubeconfig.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<Utf8PathBuf>,
    /// Context of the kubeconfig; the current one unless given.
    // Not `requires = "kubeconfig"`: clap waives that where the group has another argument.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["paths", "rbac"])]
    pub context: Option<String>,
    /// Node that is compared with.
    #[command(flatten)]
    pub node: ComparedNode,
    /// Write the facts of the image, and of the NodeConfig of --config, to a file, for --facts. Needs no objects.
    #[arg(long, value_name = "FILE", conflicts_with = "rbac")]
    pub write_facts: Option<Utf8PathBuf>,
    /// Report that is asked for.
    #[command(flatten)]
    pub report: ReportOptions,
    /// Show the ClusterRole that reading a cluster needs, and do nothing else.
    #[arg(long)]
    pub rbac: bool,
}

/// Report of `preflight`.
#[derive(Debug, Args)]
pub struct ReportOptions {
    /// Format of the report; --json is `--format json`.
    #[arg(long, value_enum, default_value_t = PreflightFormat::Text)]
    pub format: PreflightFormat,
    /// Mildest verdict that makes the exit code 1: will-not-run, runs-otherwise, note.
    #[arg(long, value_name = "VERDICT", default_value = "runs-otherwise")]
    pub fail_on: basalt_preflight::WorkloadVerdict,
}

/// Node that `preflight` compares with.
#[derive(Debug, Args)]
pub struct ComparedNode {
    /// Image that the nodes boot. Its packages are built unless they are built already.
    #[arg(long, default_value = "node")]
    pub image: String,
    /// NodeConfig of the nodes: its sysctls, and settings of its kubelet, count. Also with --facts, if those were written
    /// without one.
    #[arg(long, value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// Read the facts of the image from a file, and build nothing. In place of --image.
    #[arg(long, value_name = "FILE", conflicts_with = "image")]
    pub facts: Option<Utf8PathBuf>,
}

/// Verbs of `preflight`.
#[derive(Debug, Subcommand)]
pub enum PreflightVerb {
    /// Find what a node of another distribution has that a Basalt node does not have, or has otherwise.
    ///
    /// Judges inventories that the static program `basalt-inventory` printed on nodes of Ubuntu or Debian: modules, kernel
    /// settings, mounts, network, proxies, registries, kubelet, static pods, certificates, cron, units, packages. Where a
    /// NodeConfig can do the same, its lines are shown. Without a file, this machine is read itself. Inventories have no
    /// passwords, keys or tokens.
    #[command(after_help = "\
Examples:
  basalt preflight node --write-program basalt-inventory        the program, for a node:
  ssh worker-1 sudo ./basalt-inventory > worker-1.json
  basalt preflight node worker-1.json worker-2.json
  basalt preflight node worker-1.json --write-config node.yaml  a NodeConfig with the same settings
Exit codes are those of `basalt preflight`; a path that only root may read is one that could not be looked at.
docs/preflight/node.md lists the rules.")]
    Node(HostPreflight),
}

/// Options of `preflight node`.
#[derive(Debug, Args)]
pub struct HostPreflight {
    /// Inventories of hosts; `-` is standard input. Without any, this machine is read.
    pub files: Vec<Utf8PathBuf>,
    /// Read this machine, which is the default without files.
    #[arg(long, conflicts_with = "files")]
    pub here: bool,
    /// Folder where the root of the host is mounted that is read in place of this machine.
    #[arg(long, value_name = "FOLDER", conflicts_with = "files", default_value = "/")]
    pub root: Utf8PathBuf,
    /// Node that is compared with.
    #[command(flatten)]
    pub node: ComparedNode,
    /// Report that is asked for.
    #[command(flatten)]
    pub report: ReportOptions,
    /// Write a NodeConfig that does what the settings of the host do; for one host. What it leaves out is in its comments, and a
    /// finding; given as --config, it silences what it does.
    #[arg(long, value_name = "FILE")]
    pub write_config: Option<Utf8PathBuf>,
    /// Write the static program that reads a host into a file, and do nothing else. It is built unless it is built already.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "here", "root", "write_config", "facts", "config"])]
    pub write_program: Option<Utf8PathBuf>,
}

/// Format of `preflight`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PreflightFormat {
    /// Objects with their findings, for people.
    Text,
    /// The schema is schemas/preflight.json.
    Json,
    /// SARIF 2.1.0, for code hosts.
    Sarif,
}

/// Options of `why`.
#[derive(Debug, Args)]
pub struct Why {
    /// Path of a file (`/usr/bin/containerd`), or name of a package, a Go module (`golang.org/x/net`) or a crate, with
    /// or without `@version`.
    pub what: String,
    /// Image in which it is looked up first.
    #[arg(long, default_value = "node")]
    pub image: String,
}
