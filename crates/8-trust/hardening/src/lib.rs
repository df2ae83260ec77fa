//! Hardening checks of an image: mitigations of its programs, permissions of its files, settings of its kernel.
//!
//! ```text
//! definition + RPMs --(contents: basalt-image)-> files: modes, owners
//!                                               Elf: properties of compiler and linker
//!                                               Kconfig, sysctl.d: build options and parameters of the kernel
//! distro/makers.toml ----(makers)-------------> compilers that are allowed
//! distro/kspp.toml ------(rules)--------------> requirements of the Kernel Self-Protection Project
//! distro/hardening.toml -(exceptions)---------> exceptions, with reasons
//!                  all of it --(report)-------> per check: number of passes, exceptions, violations
//! ```
//!
//! Beside that, the kernel's configuration is compared with the options that add-ons of Kubernetes document:
//!
//! ```text
//! distro/kernel-requirements.toml -(addons::table)-----> AddOnTable
//! the kernel's RPM ----------------(kernel_package)----> Kconfig
//!                 both of them ----(addons::comparison)-> AddOnReport: per add-on, options that are on, missing, refused
//! ```
//!
//! Nothing is run and nothing is unpacked: payloads are read as streams. An exception that excepts nothing is itself
//! wrong, so that the list of them stays as short as it can be.

mod addons;
mod check;
mod contents;
mod elf;
mod error;
mod exceptions;
mod fortify;
mod kconfig;
mod kernel_package;
mod linkage;
mod makers;
mod programs;
mod report;
mod rules;
mod settings;

pub use addons::{
    AddOn, AddOnReport, AddOnStatus, AddOnTable, DeclineKind, DeclinedOption, DeclinedReport, Need, OptionReport,
    RequestedOption, compare_addons,
};
pub use check::{Check, HardeningFinding, Language};
pub use contents::ImageContents;
pub use elf::{Elf, ElfKind, Relro, StackMark, read_elf};
pub use error::HardeningError;
pub use exceptions::Exceptions;
pub use kconfig::{Kconfig, OptionState};
pub use kernel_package::{PackagedKernel, find_kernel};
pub use linkage::unresolved;
pub use makers::AllowedCompilers;
pub use programs::check_elf;
pub use report::{CheckResult, ExceptedFinding, HardeningReport, HardeningRequirements, inspect};
pub use rules::Rules;
