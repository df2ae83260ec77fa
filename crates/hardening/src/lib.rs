//! How well defended an image is, and what it lacks.
//!
//! ```text
//! definition + RPMs --(contents: image room)--> files: modes, owners
//!                                               Elf: what a program was compiled and linked with
//!                                               Kconfig, sysctl.d: what the kernel was built with and is told
//! distro/makers.toml ----(makers)-------------> whose compilers may have made it
//! distro/kspp.toml ------(rules)--------------> what the Kernel Self-Protection Project asks for
//! distro/hardening.toml -(exceptions)---------> what may be otherwise, and why
//!                  all of it --(report)-------> per check: how many are fine, excepted, wrong
//! ```
//!
//! Nothing is run and nothing is unpacked: payloads are read as streams. An exception that excepts nothing is itself
//! wrong, so that the list of them stays as short as it can be.

mod check;
mod contents;
mod elf;
mod error;
mod exceptions;
mod fortify;
mod kconfig;
mod linkage;
mod makers;
mod programs;
mod report;
mod rules;
mod settings;

pub use check::{Check, Finding, Language};
pub use contents::Contents;
pub use elf::{Elf, ElfKind, Relro, StackMark, read_elf};
pub use error::HardeningError;
pub use exceptions::Exceptions;
pub use kconfig::Kconfig;
pub use linkage::unresolved;
pub use makers::Makers;
pub use programs::judge;
pub use report::{Excepted, Group, Report, Standard, inspect};
pub use rules::Rules;
