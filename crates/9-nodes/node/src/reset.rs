//! Reset of a node to its first boot, when its administrator asks for it: the file system of the state partition is made
//! anew at the next boot, before it is mounted.
//!
//! The mark is the file system's label. It is in the superblock, so that it is read without mounting anything and is gone
//! with the old file system; and tune2fs sets it while the file system is in use. udev makes a link for a state partition
//! with that label (62-basalt-state-reset.rules), which is the condition of basalt-state-reset.service.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use miette::Diagnostic;

/// State partition; the link is made for the partition on the root's disk only.
pub const STATE_DEVICE: &str = "/dev/basalt/state";
/// Label that asks for a reset. Labels of ext4 have at most 16 bytes.
pub const MARK: &str = "basalt-reset";

/// Failure to ask for a reset, or to carry it out.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ResetError {
    /// The device cannot be read.
    #[error("cannot read {device}")]
    #[diagnostic(help("the state partition has to be on the disk of the root, under the label `state`"))]
    Device {
        /// Path of the device.
        device: String,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    #[diagnostic(help("this is a mistake in the image, which has to have the package e2fsprogs: please report it"))]
    Run {
        /// Program.
        program: &'static str,
        /// Error of the operating system.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed on {device}: {status}")]
    #[diagnostic(help("the disk does not take writes: replace it, or look at its cable or its volume"))]
    Failed {
        /// Program.
        program: &'static str,
        /// Path of the device.
        device: String,
        /// Status in which it ended.
        status: ExitStatus,
    },
    /// The mark is not there after it was set.
    #[error("{device} does not have the mark after it was set")]
    #[diagnostic(help(
        "the file system may be read-only after an error: restart the node, which checks and repairs it"
    ))]
    NotMarked {
        /// Path of the device.
        device: String,
    },
}

/// Marks the state partition, to be made anew at the next boot.
///
/// # Errors
/// When the partition is not there, or does not take the mark.
pub fn request(device: &str) -> Result<(), ResetError> {
    run("/usr/bin/tune2fs", &["-L", MARK], device)?;
    if is_marked(device)? {
        return Ok(());
    }
    Err(ResetError::NotMarked {
        device: device.to_owned(),
    })
}

/// Makes the file system of a marked state partition anew; returns `false` for one without the mark, which stays as it is.
///
/// # Errors
/// When the partition cannot be read or written.
pub fn perform(device: &str) -> Result<bool, ResetError> {
    if !is_marked(device)? {
        return Ok(false);
    }
    // As systemd-repart does it at the first boot (its 50-basalt.conf).
    let arguments = [
        "-q",
        "-F",
        "-L",
        "state",
        "-E",
        "nodiscard,lazy_itable_init=1",
        "-J",
        "size=128",
    ];
    run("/usr/bin/mkfs.ext4", &arguments, device)?;
    Ok(true)
}

fn is_marked(device: &str) -> Result<bool, ResetError> {
    let read = || label(&File::open(Path::new(device))?);
    let label = read().map_err(|source| ResetError::Device {
        device: device.to_owned(),
        source,
    })?;
    Ok(label.as_deref() == Some(MARK.as_bytes()))
}

/// Label in the superblock of ext4 (Documentation/filesystems/ext4/super.rst), 1024 bytes into the device; `None` for other
/// content.
fn label(device: &File) -> io::Result<Option<Vec<u8>>> {
    let (mut magic, mut name) = ([0; 2], [0; 16]);
    device.read_exact_at(&mut magic, 1024 + 0x38)?;
    device.read_exact_at(&mut name, 1024 + 0x78)?;
    let text = name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok((u16::from_le_bytes(magic) == 0xef53).then(|| text.to_vec()))
}

/// Runs a program on the device. Its output goes to the journal and the console.
///
/// Not through `basalt-process`, which is made for programs that a person waits for: it would bring interrupts, terminals
/// and ten more crates into the image.
fn run(program: &'static str, arguments: &[&str], device: &str) -> Result<(), ResetError> {
    let status = Command::new(program).args(arguments).arg(device).status();
    let status = status.map_err(|source| ResetError::Run { program, source })?;
    if status.success() {
        return Ok(());
    }
    Err(ResetError::Failed {
        program,
        device: device.to_owned(),
        status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(magic: [u8; 2], label: &[u8]) -> tempfile::NamedTempFile {
        let mut bytes = vec![0; 4096];
        bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&magic);
        bytes[1024 + 0x78..1024 + 0x78 + label.len()].copy_from_slice(label);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn only_the_whole_mark_counts() {
        let ext4 = [0x53, 0xef];
        for (magic, label, expected) in [
            (ext4, MARK.as_bytes(), true),
            (ext4, b"state".as_slice(), false),
            (ext4, b"", false),
            (ext4, b"basalt-reset2", false),
            (ext4, b"0123456789abcdef", false),
            ([0, 0], MARK.as_bytes(), false),
        ] {
            let file = device(magic, label);
            assert_eq!(is_marked(file.path().to_str().unwrap()).unwrap(), expected, "{label:?}");
        }
    }

    #[test]
    fn a_partition_without_the_mark_stays_as_it_is() {
        let file = device([0x53, 0xef], b"state");
        let before = fs_err::read(file.path()).unwrap();
        assert!(!perform(file.path().to_str().unwrap()).unwrap());
        assert_eq!(fs_err::read(file.path()).unwrap(), before);
        assert!(matches!(perform("/nowhere/state"), Err(ResetError::Device { .. })));
    }

    #[test]
    fn the_mark_is_a_label() {
        assert!(MARK.len() <= 16);
    }
}
