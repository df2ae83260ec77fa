//! Options of `basalt test`.

use std::num::{NonZeroU16, NonZeroU32};

use camino::Utf8PathBuf;
use clap::{ArgGroup, Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// Options of `basalt test`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("named").args(["repeat", "conformance"]))]
pub struct Test {
    /// Run only tests that need no build: format, lints, tests of the crates.
    #[arg(long, conflicts_with_all = ["long", "repeat", "conformance"])]
    pub quick: bool,
    /// Run also what takes more than 45 minutes, or only the named steps with all that they have.
    ///
    /// The results are kept in docs/long-tests.json, step by step, and docs/long-tests.md is made of them.
    #[arg(long, value_name = "STEP,...", num_args = 0.., require_equals = true, value_delimiter = ',', conflicts_with_all = ["repeat", "conformance"])]
    pub long: Option<Vec<TestStep>>,
    /// Run tests of the crates N times, all rounds whatever fails, and show how often each one failed.
    ///
    /// Without FILTER, all tests of the crates that wait for processes, files, servers or the clock; the result is kept as that
    /// of --long.
    #[arg(long, value_name = "N")]
    pub repeat: Option<NonZeroU32>,
    /// Repeat beside so many busy loops.
    #[arg(long, value_name = "LOOPS", num_args = 0..=1, default_missing_value = "4", require_equals = true, requires = "repeat")]
    pub load: Option<u16>,
    /// Run the set [Conformance] of Kubernetes' end-to-end tests on the running cluster, or a part of it.
    ///
    /// By default it goes on where the last run ended: with the tests that have no result for this version of Kubernetes. The
    /// results are kept in docs/conformance.json, and docs/conformance.md is made of them. docs/cluster/conformance.md says more.
    #[arg(long, value_name = "PART", num_args = 0..=1, default_missing_value = "next", require_equals = true)]
    pub conformance: Option<ConformancePart>,
    #[command(flatten)]
    pub conformance_options: Conformance,
    /// Parts of the names of the tests to be repeated, or to be run with --conformance.
    #[arg(value_name = "FILTER", requires = "named")]
    pub filters: Vec<String>,
}

/// Step of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestStep {
    /// Format of the code.
    Format,
    /// Lints of the code.
    Lints,
    /// The SDK's tree is made.
    BuildTools,
    /// Tests of all crates but the agent's.
    Crates,
    /// Tests of the agent of nodes.
    Node,
    /// The launcher, with programs in the place of those that it calls.
    Launcher,
    /// Builds of small packages.
    Engine,
    /// All packages and images are built.
    Packages,
    /// NodeConfigs and joins, given to the kubelet and kubeadm of each minor, and to containerd.
    Kubernetes,
    /// The tree of tools that results are compared with is made.
    ReferenceTools,
    /// Signatures, origins, repositories and rebuilds.
    Trust,
    /// Nodes and clusters in virtual machines.
    Boots,
    /// Nodes through faults, power cuts and outages.
    Live,
    /// A cluster made by kubeadm.
    Joins,
}

/// Options of `basalt test --conformance`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Conformance")]
pub struct Conformance {
    /// Test the cluster of this kubeconfig, not the local one.
    #[arg(long, value_name = "FILE", requires = "conformance", requires = "results")]
    pub kubeconfig: Option<Utf8PathBuf>,
    /// File of the results; the page is written beside it [default: docs/conformance.json].
    #[arg(long, value_name = "FILE", requires = "conformance")]
    pub results: Option<Utf8PathBuf>,
    /// Number of tests at a time, where the suite allows several.
    #[arg(long, value_name = "N", default_value = "2", requires = "conformance")]
    pub parallel: NonZeroU16,
    /// Minutes that a test may take.
    #[arg(long, value_name = "MINUTES", default_value = "20", requires = "conformance")]
    pub deadline: NonZeroU16,
    /// Minutes after which no further test begins.
    #[arg(long, value_name = "MINUTES", requires = "conformance")]
    pub minutes: Option<NonZeroU16>,
}

/// Part of the conformance tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConformancePart {
    /// Tests without a result for this version of Kubernetes.
    Next,
    /// Tests whose last result is a failure.
    Failed,
    /// All tests, also those that have a result.
    All,
    /// None: the page is made again of the results.
    Report,
}
