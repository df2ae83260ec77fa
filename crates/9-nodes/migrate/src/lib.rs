//! Migration of a cluster's workloads from its nodes to replacements, node by node.
//!
//! ```text
//!   API server ──(api)──▶ objects ──(observe)──▶ ObservedCluster ──(plan)──▶ MigrationPlan, for people
//!        ▲                    │
//!        │                    └──(inspect)──▶ MigrationFacts ──(transition)──▶ MigrationStep ─┐
//!        └──────────────────────────────(executor)◀───────────────────────────────────────┘
//! ```
//!
//! [`plan_migration`] reads the cluster, asks the API server by dry-run evictions which pods may go, checks the room for
//! them, and changes nothing. [`run_migration`] takes one node after the other (or N at a time) through the [`transition`]s:
//! cordon, wait for the replacement, probe it, evict, wait for the moved workloads, soak, and have the old machine ended
//! if the user says so. What it has done stands in
//! annotations of the nodes ([`record`]) and nowhere else, so that a run which was killed goes on where it was, from any
//! machine. A Lease, which is renewed beside the work and asked before each write, keeps two runs apart; a ConfigMap and Events
//! are the journal. [`undo_migration`] takes back what is
//! there to be taken back: cordons of its own, probe pods, annotations.
//!
//! kube-rs is asynchronous; the runtime lives in here, and the functions above block. State machine, plan and the reading of
//! objects are pure. The executor polls instead of watching: it is level-triggered, asks for few objects (the nodes, and the
//! pods of the nodes that are being drained), and has no cache that could be old.

pub mod api;
pub mod clock;
mod cluster_api;
pub mod drain;
pub mod error;
pub mod eviction;
pub mod executor;
pub mod facts;
mod failure;
pub mod fit;
mod inspect;
mod journal;
mod lease;
pub mod model;
pub mod observe;
pub mod options;
mod outage;
pub mod pending;
pub mod plan;
mod probe;
pub mod quantity;
pub mod record;
mod replacement;
mod run;
pub mod selector;
pub mod transition;
mod undo;

pub use error::MigrateError;
pub use executor::{MigrationReport, NodeReport};
pub use failure::RequestFailure;
pub use options::{ClusterConnection, MachineRetirement, MigrationOptions, NodeSelection, ReplacementSource};
pub use plan::MigrationPlan;
pub use run::{Migrator, plan_migration, run_migration, undo_migration};
