//! Measurements: a Basalt node beside a Debian 13 node in one run; the planning of a large distribution; metadata of
//! repositories beside createrepo_c, and solving beside libsolv.
//!
//! ```text
//! distro/debian + the container stack's RPMs --(basalt-debian)--> a disk, in the store
//! both disks --(boot: a fresh control plane, one machine, alternating)--> MachineRun: two boots of it, memory at rest
//! console, API server, journal of the node --(watch, observed, node_log)--> Times of one boot
//! MachineRuns --(report: medians, ratios; table, JSON, Markdown)--> bench/boot.*     --(plot)--> bench/boot.svg
//!
//! a seed --(synthetic)--> texts of specs, locks and results --(plan: what the engine does before the first build)--> PlanReport
//! a seed --(synthetic_rpms)--> RPMs --(metadata: our code, createrepo_c, alternating)--> MetadataReport
//! a seed --(synthetic_repository)--> packages --(solving: our solver, libsolv)--> SolvingReport
//! ```
//!
//! Both nodes run the same containerd, runc, kubelet and node agent, from Basalt's packages, in machines of the same
//! shape, and join the same kind of cluster. What differs is the system around them: firmware to kubelet.

mod boot;
mod error;
mod libsolv;
mod metadata;
mod node_log;
mod observed;
mod plan;
mod plot;
mod report;
mod shape;
mod solving;
mod summary;
mod synthetic;
mod synthetic_repository;
mod synthetic_rpms;
mod watch;

pub use boot::{BootBenchmark, ComparedSystem, MachineRun, WATCHED};
pub use error::BenchError;
pub use libsolv::{LibsolvAnswer, LibsolvSolution, ask_libsolv};
pub use metadata::{MetadataBenchmark, MetadataReport, RunTime};
pub use observed::IdleMemory;
pub use plan::{PlanReport, SyntheticPlan};
pub use plot::svg;
pub use report::{BenchmarkReport, Measured, ReportRow, today};
pub use solving::{SolvedRequest, SolvingReport};
pub use summary::{Summary, summarize};
pub use synthetic::{SyntheticDistribution, SyntheticPackage};
pub use synthetic_repository::SyntheticRepository;
pub use synthetic_rpms::write_rpms;
pub use watch::{MILESTONES, Times};
