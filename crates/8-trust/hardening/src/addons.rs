//! Kernel options that add-ons of Kubernetes document, compared with the configuration of a kernel.
//!
//! ```text
//! distro/kernel-requirements.toml --(table)--> AddOnTable: options of each add-on; those that are refused, with reasons
//!          the kernel's RPM, or .config -----> Kconfig
//!                       both --(comparison)--> AddOnReport for each add-on
//! ```

mod comparison;
mod table;

pub use comparison::{AddOnReport, AddOnStatus, DeclinedReport, OptionReport, compare_addons};
pub use table::{AddOn, AddOnTable, DeclineKind, DeclinedOption, Need, RequestedOption};
