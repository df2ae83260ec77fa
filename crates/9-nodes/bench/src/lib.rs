//! Measurements: a Basalt node beside a Debian 13 node in one run, and the planning of a large distribution.
//!
//! ```text
//! distro/debian + the container stack's RPMs --(basalt-debian)--> a disk, in the store
//! both disks --(boot: a fresh control plane, one machine, alternating)--> Times of every run
//! Times --(report: medians; table, JSON, Markdown)--> bench/boot.*     --(plot)--> bench/boot.svg
//!
//! a seed --(synthetic)--> texts of specs, locks and results --(plan: what the engine does before the first build)--> PlanReport
//! ```
//!
//! Both nodes run the same containerd, runc, kubelet and node agent, from Basalt's packages, in machines of the same
//! shape, and join the same kind of cluster. What differs is the system around them: firmware to kubelet.

mod boot;
mod error;
mod plan;
mod plot;
mod report;
mod summary;
mod synthetic;

pub use boot::{BootBenchmark, ComparedSystem, MILESTONES, Times, WATCHED};
pub use error::BenchError;
pub use plan::{PlanReport, SyntheticPlan};
pub use plot::svg;
pub use report::{BenchmarkReport, Measured, today};
pub use summary::{Summary, summarize};
pub use synthetic::{SyntheticDistribution, SyntheticPackage};
