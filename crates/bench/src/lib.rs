//! Comparisons: a Basalt node beside a Debian 13 node, measured in one run.
//!
//! ```text
//! bench/debian + the container stack's RPMs --(debian: packages of today, mmdebstrap)--> a disk, in the store
//! both disks --(boot: a fresh control plane, one machine, alternating)--> Times of every run
//! Times --(report: medians; table, JSON, Markdown)--> bench/boot.*     --(plot)--> bench/boot.svg
//! ```
//!
//! Both nodes run the same containerd, runc, kubelet and node agent, from Basalt's packages, in machines of the same
//! shape, and join the same kind of cluster. What differs is the system around them: firmware to kubelet.

mod boot;
mod debian;
mod error;
mod plot;
mod report;
mod summary;

pub use boot::{Bench, Contestant, MILESTONES, Times, WATCHED};
pub use debian::{Debian, Description, STACK, StackPackage};
pub use error::BenchError;
pub use plot::svg;
pub use report::{Measured, Report, today};
pub use summary::{Summary, summarize};
