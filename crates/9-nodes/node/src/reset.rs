//! Request of a node's administrator to make it as new: the file system of the state partition is made anew at the next
//! boot, by [`crate::state`], before it is mounted.
//!
//! The mark is the file system's label. It is in the superblock, so that it is read without mounting anything and is gone
//! with the old file system; and tune2fs sets it while the file system is in use.

use std::process::{Command, ExitStatus};

use miette::Diagnostic;

use crate::state::{Condition, RESET_LABEL};

/// Failure to ask for a reset.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ResetError {
    /// The device cannot be read.
    #[error("cannot read {device}")]
    #[diagnostic(help("the state partition has to be on the disk of the root, under the label `state`"))]
    Device {
        /// Path of the device.
        device: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The program could not be started.
    #[error("cannot run tune2fs")]
    #[diagnostic(help("this is a mistake in the image, which has to have the package e2fsprogs: please report it"))]
    Run(#[source] std::io::Error),
    /// The program failed.
    #[error("tune2fs failed on {device}: {status}")]
    #[diagnostic(help("the disk does not take writes: replace it, or look at its cable or its volume"))]
    Failed {
        /// Path of the device.
        device: String,
        /// Status in which it ended.
        status: ExitStatus,
    },
    /// The label is not there after it was set.
    #[error("{device} does not have the label after it was set")]
    #[diagnostic(help(
        "the file system may be read-only after an error: restart the node, which checks and repairs it"
    ))]
    NotMarked {
        /// Path of the device.
        device: String,
    },
}

/// Marks the state partition, to be made anew at the next boot. The output of tune2fs is that of this program.
///
/// Not through `basalt-process`, which is made for programs that a person waits for: it would bring interrupts, terminals
/// and ten more crates into the image.
///
/// # Errors
/// When the partition is not there, or does not take the label.
#[expect(clippy::disallowed_methods, reason = "the agent does without basalt-process")]
pub fn request(device: &str) -> Result<(), ResetError> {
    let status = Command::new("/usr/bin/tune2fs")
        .args(["-L", RESET_LABEL])
        .arg(device)
        .status();
    let status = status.map_err(ResetError::Run)?;
    let device = device.to_owned();
    if !status.success() {
        return Err(ResetError::Failed { device, status });
    }
    match fs_err::File::open(&device) {
        Ok(file) if Condition::read(file.file()) == Condition::ResetRequested => Ok(()),
        Ok(_) => Err(ResetError::NotMarked { device }),
        Err(source) => Err(ResetError::Device { device, source }),
    }
}
