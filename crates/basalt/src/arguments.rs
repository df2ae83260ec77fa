//! What can be asked for on the command line.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

/// Builds, ships and runs Basalt Linux.
///
/// `basalt up` goes the whole way: from upstream source to a Kubernetes cluster of virtual machines on this computer,
/// without root, and shows a pod answering. Everything that it makes is kept in ~/.cache/basalt (or $BASALT_STORE) under
/// the digest of what it was made from, so doing it twice costs nothing.
#[derive(Debug, Parser)]
#[command(name = "basalt", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    /// Answer in JSON on standard output, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Show only warnings and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 it worked; 1 it did not, and the error says why; 2 the arguments are wrong; \
3 this machine lacks something; 130 interrupted. `kubectl` and `shell` pass on the code of what they run.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build what is not built yet, start a cluster, and show a pod answering.
    Up(Up),
    /// Stop the cluster; leaves nothing behind.
    Down,
    /// Show what is running.
    Status,
    /// Run kubectl against the cluster.
    #[command(disable_help_flag = true)]
    Kubectl {
        /// Passed on as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build packages and images, by name.
    Build(Build),
    /// Boot an image in one virtual machine, with its console on this terminal (leave with Ctrl-]).
    Run(Run),
    /// Show the log of a package's build, of a part of the control plane, or of a node's console.
    Logs {
        /// A package, a component (etcd, kube-apiserver, ...) or a node.
        name: String,
        /// Go on showing what is added.
        #[arg(long, short)]
        follow: bool,
    },
    /// Step into the sandbox in which a package is built.
    Shell {
        /// The package.
        package: String,
    },
    /// Fetch, lock and check upstream sources.
    #[command(subcommand)]
    Sources(Sources),
    /// The tree of build tools.
    #[command(subcommand)]
    Sdk(Sdk),
    /// Build packages and images again, elsewhere, and see whether every bit comes out the same.
    ///
    /// A package is built in another folder, at another time, on another host, by another user with another umask and
    /// another number of processors, and its RPMs are compared with those that are there. Of an image, first every package
    /// that it installs is built again, then the image is composed again. What differs is shown down to the file and the
    /// section. Verdicts are remembered: a run that was interrupted goes on.
    #[command(after_help = VERIFY_CODES)]
    Verify(Verify),
    /// Show what a package, an image, or an RPM file was made from: an in-toto statement with SLSA provenance, as JSON.
    Provenance {
        /// A package, an image, or the path of an RPM.
        what: String,
    },
    /// Test everything: the code, the engine, and the real thing, built, booted and broken.
    Test {
        /// Only what needs nothing built: format, lints, tests of the crates.
        #[arg(long)]
        quick: bool,
    },
    /// Measure Basalt beside others.
    #[command(subcommand)]
    Bench(Bench),
    /// Check files that describe things: a NodeConfig, an image definition.
    Check {
        /// The files.
        #[arg(required = true)]
        files: Vec<Utf8PathBuf>,
    },
    /// Remove from the store what was not used for some time.
    Clean {
        /// Days without use after which a thing is removed.
        #[arg(long, default_value_t = 14)]
        days: u64,
        /// Remove everything.
        #[arg(long, conflicts_with = "days")]
        all: bool,
    },
    /// Write a completion script for a shell to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// What `up` starts in the background.
    #[command(name = "__cluster-supervisor", hide = true)]
    Supervisor {
        /// The cluster's folder.
        state: Utf8PathBuf,
    },
}

/// Options of `up`.
#[derive(Debug, Args)]
pub struct Up {
    /// How many nodes.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub nodes: u32,
    /// Memory of each node, in MiB.
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1024..))]
    pub memory: u64,
    /// Virtual processors of each node.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub cpus: u32,
}

/// Options of `build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Packages and images; everything if none is named.
    pub names: Vec<String>,
    /// After a failure, go on with what does not depend on it.
    #[arg(long, short)]
    pub keep_going: bool,
}

const VERIFY_CODES: &str =
    "Exit codes: 0 everything came out the same; 1 something did not, or could not be built again.";

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Packages and images; everything if none is named.
    pub names: Vec<String>,
    /// Build again also what is known already.
    #[arg(long)]
    pub again: bool,
    /// Leave out packages, whose verdict is wanted another time.
    #[arg(long, value_name = "PACKAGE")]
    pub without: Vec<String>,
}

/// Options of `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The image.
    #[arg(default_value = "node")]
    pub image: String,
    /// A NodeConfig to give to the machine.
    #[arg(long)]
    pub config: Option<Utf8PathBuf>,
    /// Memory in MiB.
    #[arg(long, default_value_t = 2048)]
    pub memory: u64,
    /// Virtual processors.
    #[arg(long, default_value_t = 2)]
    pub cpus: u32,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// From power-on to the first pod: a Basalt node and a Debian 13 node, by turns. Writes bench/boot.*.
    Boot(BenchBoot),
}

/// Options of `bench boot`.
#[derive(Debug, Args)]
pub struct BenchBoot {
    /// How often each of them is booted.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
}

/// What to do about sources.
#[derive(Debug, Subcommand)]
pub enum Sources {
    /// Fetch the sources of packages, of all if none is named, and verify them.
    Fetch {
        /// The packages.
        packages: Vec<String>,
    },
    /// Fetch what a package's sources.toml names, and write digests and sizes into it.
    Lock {
        /// The package.
        package: String,
    },
    /// See whether locks are complete, what is in the store is whole, and newer releases are out.
    Check {
        /// The packages.
        packages: Vec<String>,
    },
}

/// What to do about the SDK.
#[derive(Debug, Subcommand)]
pub enum Sdk {
    /// Make the tree from its lock, unless it is there, and show where it is.
    Build,
    /// Resolve the packages of the SDK anew and write distro/sdk/sdk.lock.
    Lock,
    /// Open a shell in the tree.
    Shell,
}
