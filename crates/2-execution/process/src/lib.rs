//! Child processes: every external program is started here.
//!
//! A [`Command`] is put together from a program and its arguments, and run to its end. While it runs, its output goes
//! line by line to the caller; when it fails, the error shows the command in a form that can be pasted into a shell
//! and run again, with the last lines that it wrote. Lines are given and shown as [`plain_text`], since a program may
//! write escape sequences. [`tool`] is the table of every program of the host that Basalt calls, and how to come by
//! it. [`interrupt`] turns Ctrl-C into an orderly end: whatever is running is stopped, and the call returns
//! [`ProcessError::Interrupted`]; a [`Cancellation`] does the same for the work of some threads. [`wait`] is for what
//! has to be polled. [`without_path`] keeps errors about files from naming one path twice.

mod cancellation;
mod command;
mod cpu;
mod error;
pub mod interrupt;
mod io_error;
mod lines;
mod plain;
mod quote;
mod running;
pub mod tool;
pub mod wait;

pub use cancellation::Cancellation;
pub use command::{Command, Output};
pub use error::{ProcessError, chain, rerun_help};
pub use io_error::without_path;
pub use plain::plain_text;
pub use quote::quote;
pub use running::Running;
