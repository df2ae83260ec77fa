//! The file system of the state partition, before it is mounted: checked, repaired, and made anew when nothing of it
//! can be saved.
//!
//! Nobody can log in to a node to repair its `/var`, so each way this can go has an end that was decided beforehand. A
//! file system that was unmounted in order is not looked at any further. Else `fsck.ext4` replays the journal and
//! corrects what is safe to correct, then what is not; and where no superblock is left, the file system is made anew:
//! the node then joins as one that was never there. That is done only to a disk that can be read, since one whose cable
//! is loose has lost nothing. What was done goes to the console and into [`paths::STATE_REPORT`].
//!
//! A file system that is made anew has the label [`MAKING_LABEL`] until it is wholly on the disk, and the backup superblocks of the
//! one before are erased first: whenever power fails meanwhile, the next boot makes it anew, and repairs nothing of the old one.
//! Every other label is that of a file system to keep.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use miette::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::apply::{self, ApplyError};
use crate::paths;
use crate::plan::PlannedFile;

mod backups;

/// Label of a file system that its administrator wants made anew (`basalt-node request-reset`). Labels of ext4 have at
/// most 16 bytes.
pub const RESET_LABEL: &str = "basalt-reset";

/// Label of a file system that is being made.
pub const MAKING_LABEL: &str = "basalt-making";

/// Label of one that was made wholly, as systemd-repart gives it.
const LABEL: &str = "state";

/// Condition of the file system, as its first superblock has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Unmounted in order, and without a known error.
    Clean,
    /// With a journal to be replayed, or with an error that the kernel has noted.
    Unclean,
    /// There is no superblock of ext4.
    Unrecognized,
    /// The disk does not give its first blocks.
    Unreadable,
    /// With the label that asks for a reset.
    ResetRequested,
    /// With the label of one that is being made: power failed meanwhile.
    Unfinished,
}

impl Condition {
    /// Reads the superblock of ext4 (Documentation/filesystems/ext4/super.rst), 1024 bytes into the device.
    pub fn read(device: &File) -> Self {
        const STATE_CLEAN: u16 = 1;
        const STATE_ERRORS: u16 = 2;
        const INCOMPAT_RECOVER: u32 = 4;
        let mut block = [0; 1024];
        if device.read_exact_at(&mut block, 1024).is_err() {
            return Self::Unreadable;
        }
        let half = |at: usize| block.get(at..)?.first_chunk().copied().map(u16::from_le_bytes);
        let word = |at: usize| block.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
        let (Some(state), Some(incompatible)) = (half(0x3a), word(0x60)) else {
            return Self::Unreadable;
        };
        let label = block
            .get(0x78..0x88)
            .and_then(|label| label.split(|byte| *byte == 0).next());
        if !has_magic(&block) {
            Self::Unrecognized
        } else if label == Some(RESET_LABEL.as_bytes()) {
            Self::ResetRequested
        } else if label == Some(MAKING_LABEL.as_bytes()) {
            Self::Unfinished
        } else if state & (STATE_CLEAN | STATE_ERRORS) == STATE_CLEAN && incompatible & INCOMPAT_RECOVER == 0 {
            Self::Clean
        } else {
            Self::Unclean
        }
    }
}

/// Returns `true` for a superblock of ext4, by its magic number.
fn has_magic(superblock: &[u8]) -> bool {
    superblock
        .get(0x38..0x3a)
        .is_some_and(|magic| magic == [0x53_u8, 0xef].as_slice())
}

/// Step of the treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStep {
    /// Mount it.
    Mount,
    /// `fsck.ext4 -p`: replay the journal, correct what loses nothing.
    Preen,
    /// `fsck.ext4 -f -y`: look at everything, correct everything, with a backup superblock if need be.
    Repair,
    /// `mkfs.ext4`: make it anew, with the label of one that is being made.
    Reset,
    /// `tune2fs -L`: give it the label of one that was made wholly.
    Finish,
    /// Leave the disk as it is; the machine starts again.
    GiveUp,
}

impl CheckStep {
    /// First step for a file system.
    pub fn first(condition: Condition) -> Self {
        match condition {
            Condition::Clean => Self::Mount,
            Condition::Unclean => Self::Preen,
            Condition::Unrecognized => Self::Repair,
            Condition::Unreadable => Self::GiveUp,
            Condition::ResetRequested | Condition::Unfinished => Self::Reset,
        }
    }

    /// Step after a program of this one ended with an exit code; none when a signal ended it. `condition` is what it left, and
    /// `readable` tells whether the disk gives its blocks.
    ///
    /// Exit codes of e2fsck(8) are bits: 1 and 2 errors corrected, 4 errors left, 8 it could not work, from 16 on it
    /// was called wrongly or interrupted.
    pub fn next(self, code: Option<i32>, condition: Condition, readable: bool) -> Self {
        // A backup superblock may have the label that the first one had.
        let is_to_be_made = matches!(condition, Condition::Unfinished | Condition::ResetRequested);
        match (self, code) {
            (Self::Preen | Self::Repair, Some(0..=3)) if !is_to_be_made => Self::Mount,
            (Self::Preen | Self::Repair, Some(0..=3)) if readable => Self::Reset,
            (Self::Preen, Some(4..=15)) => Self::Repair,
            (Self::Repair, Some(4..=15)) if readable => Self::Reset,
            (Self::Reset, Some(0)) => Self::Finish,
            (Self::Finish, Some(0)) => Self::Mount,
            _ => Self::GiveUp,
        }
    }
}

/// Treatment of the state partition at this boot, when it was more than to mount it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Treatment {
    /// The journal was replayed or small errors were corrected: a power cut does that.
    Preened,
    /// Errors were corrected at the cost of files.
    Repaired,
    /// Made anew: what the node had is gone.
    Reset,
    /// Made anew because the administrator asked for it.
    ResetOnRequest,
    /// Made anew because it was not made wholly before.
    ResetAgain,
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preened => "the file system of /var was checked after it was not unmounted in order",
            Self::Repaired => "the file system of /var was damaged and is repaired: files on it may be lost",
            Self::Reset => "the file system of /var was damaged beyond repair and is made anew: what was on it is lost",
            Self::ResetOnRequest => {
                "the file system of /var is made anew, as it was asked for: this machine joins as a new node"
            }
            Self::ResetAgain => {
                "the file system of /var is made anew, since power failed when it was made: this machine joins as a new node"
            }
        })
    }
}

/// The state partition cannot be used.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum StateError {
    /// The device cannot be opened.
    #[error("cannot open the device of /var")]
    #[diagnostic(help("the disk does not answer: look at its cable or its volume; the machine starts again"))]
    Open {
        /// Error of the operating system, which names the device.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    #[diagnostic(help("this is a mistake in the image, which has to have the package e2fsprogs: please report it"))]
    Run {
        /// The program.
        program: &'static str,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Nothing more can be done.
    #[error("the file system on {device} cannot be used, and the disk cannot be read or written")]
    #[diagnostic(help(
        "nothing was erased. Replace the disk, or look at its cable or its volume; the machine starts again"
    ))]
    Disk {
        /// Path of the device.
        device: String,
    },
    /// The report could not be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] ApplyError),
}

/// Makes the file system on a device fit to be mounted.
pub fn prepare(root: &Path, device: &str) -> Result<Option<Treatment>, StateError> {
    let opened = fs_err::File::open(device)
        .map(fs_err::File::into_file)
        .map_err(|source| StateError::Open { source })?;
    let condition = Condition::read(&opened);
    let treatment = follow(CheckStep::first(condition), |step| -> Result<_, StateError> {
        let code = match step {
            CheckStep::Reset if erase_backups(device).is_err() => None,
            _ => run(step, device)?.code(),
        };
        // The label tells that all else is on the disk.
        let is_making = matches!(step, CheckStep::Reset | CheckStep::Finish);
        let code = code.filter(|_| !is_making || opened.sync_all().is_ok());
        Ok((code, Condition::read(&opened), is_readable(&opened)))
    })?;
    let treatment = treatment.ok_or_else(|| StateError::Disk {
        device: device.to_owned(),
    })?;
    let treatment = treatment.map(|treatment| match (condition, treatment) {
        (Condition::ResetRequested, Treatment::Reset) => Treatment::ResetOnRequest,
        (Condition::Unfinished, Treatment::Reset) => Treatment::ResetAgain,
        (_, treatment) => treatment,
    });
    if let Some(treatment) = treatment {
        let content = serde_json::to_string(&treatment).unwrap_or_default() + "\n";
        let path = paths::STATE_REPORT.to_owned();
        apply::write(
            root,
            &PlannedFile {
                path,
                mode: 0o644,
                content,
            },
        )?;
    }
    Ok(treatment)
}

/// Treatment by [`prepare`] at this boot.
pub fn report(root: &Path) -> Option<Treatment> {
    serde_json::from_slice(&fs_err::read(apply::below(root, paths::STATE_REPORT)).ok()?).ok()
}

/// Carries out steps until the file system can be mounted; none when it cannot.
fn follow<E>(
    first: CheckStep,
    mut run: impl FnMut(CheckStep) -> Result<(Option<i32>, Condition, bool), E>,
) -> Result<Option<Option<Treatment>>, E> {
    let (mut step, mut done) = (first, None);
    loop {
        done = match step {
            CheckStep::Mount => return Ok(Some(done)),
            CheckStep::GiveUp => return Ok(None),
            CheckStep::Preen => Some(Treatment::Preened),
            CheckStep::Repair => Some(Treatment::Repaired),
            CheckStep::Reset => Some(Treatment::Reset),
            CheckStep::Finish => done,
        };
        let (code, condition, readable) = run(step)?;
        step = step.next(code, condition, readable);
    }
}

/// Erases the backup superblocks of the file system on a device.
fn erase_backups(device: &str) -> io::Result<()> {
    let opened = fs_err::OpenOptions::new().read(true).write(true).open(device)?;
    backups::erase(opened.file())
}

/// Runs the program of a step. Its output goes to the console; the unit of this command has its time limit.
///
/// Not through `basalt-process`, which is made for programs that a person waits for: it would bring interrupts,
/// terminals and ten more crates into the image.
#[expect(
    clippy::disallowed_methods,
    reason = "a status other than 0 is an answer of fsck, not a failure"
)]
fn run(step: CheckStep, device: &str) -> Result<ExitStatus, StateError> {
    let (program, arguments): (&'static str, &[&str]) = match step {
        CheckStep::Preen => ("/usr/bin/fsck.ext4", &["-p"]),
        CheckStep::Repair => ("/usr/bin/fsck.ext4", &["-f", "-y"]),
        CheckStep::Finish => ("/usr/bin/tune2fs", &["-L", LABEL]),
        // As systemd-repart does it at the first boot (its 50-basalt.conf), but for the label.
        _ => (
            "/usr/bin/mkfs.ext4",
            &[
                "-q",
                "-F",
                "-L",
                MAKING_LABEL,
                "-E",
                "nodiscard,lazy_itable_init=1",
                "-J",
                "size=128",
            ],
        ),
    };
    let status = Command::new(program).args(arguments).arg(device).status();
    status.map_err(|source| StateError::Run { program, source })
}

/// Returns `true` if a device gives its blocks, by a sample of them.
fn is_readable(device: &File) -> bool {
    const SAMPLES: u64 = 64;
    let size = rustix::fs::seek(device, rustix::fs::SeekFrom::End(0)).unwrap_or_default();
    let mut block = [0; 4096];
    let mut places = (0..SAMPLES).map(|sample| size / SAMPLES * sample);
    size > 0 && places.all(|place| device.read_at(&mut block, place).is_ok_and(|read| read > 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition(parts: &[(usize, &[u8])]) -> Condition {
        let mut bytes = vec![0; 4096];
        for (at, part) in parts {
            bytes[1024 + at..1024 + at + part.len()].copy_from_slice(part);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), bytes).unwrap();
        Condition::read(file.as_file())
    }

    #[test]
    fn superblocks() {
        let magic: (usize, &[u8]) = (0x38, &[0x53, 0xef]);
        assert_eq!(condition(&[magic, (0x3a, &[1, 0])]), Condition::Clean);
        assert_eq!(
            condition(&[magic, (0x3a, &[1, 0]), (0x60, &[0xc6, 2])]),
            Condition::Unclean
        );
        assert_eq!(
            condition(&[magic, (0x3a, &[1, 0]), (0x60, &[0xc2, 2])]),
            Condition::Clean
        );
        assert_eq!(condition(&[magic, (0x3a, &[3, 0])]), Condition::Unclean);
        assert_eq!(condition(&[magic]), Condition::Unclean);
        assert_eq!(condition(&[]), Condition::Unrecognized);
        let label = |text: &'static str| (0x78, text.as_bytes());
        let partition = include_str!("../../../../distro/packages/basalt-defaults/state.repart.conf");
        let given = partition.lines().find_map(|line| line.strip_prefix("Label="));
        assert_eq!(given, Some(LABEL), "label of systemd-repart");
        assert!(RESET_LABEL.len() <= 16 && MAKING_LABEL.len() <= 16 && LABEL.len() <= 16);
        let clean: (usize, &[u8]) = (0x3a, &[1, 0]);
        for (text, expected) in [
            (RESET_LABEL, Condition::ResetRequested),
            (MAKING_LABEL, Condition::Unfinished),
            // Of nodes that are there: that of systemd-repart, none, and whatever else.
            (LABEL, Condition::Clean),
            ("", Condition::Clean),
            ("basalt-making2", Condition::Clean),
            ("basalt-reset2", Condition::Clean),
            ("0123456789abcdef", Condition::Clean),
        ] {
            assert_eq!(condition(&[magic, clean, label(text)]), expected, "{text}");
        }
        assert_eq!(condition(&[clean, label(RESET_LABEL)]), Condition::Unrecognized);
        let short = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(Condition::read(short.as_file()), Condition::Unreadable);
    }

    #[test]
    fn table() {
        use CheckStep::{Finish, GiveUp, Mount, Preen, Repair, Reset};
        use Condition::{Clean, ResetRequested, Unclean, Unfinished, Unrecognized};
        let cases = [
            (Preen, Some(0), Clean, true, Mount),
            (Preen, Some(1), Clean, true, Mount),
            (Preen, Some(4), Unclean, true, Repair),
            (Preen, Some(8), Unclean, false, Repair),
            (Preen, Some(12), Unclean, true, Repair),
            (Preen, Some(32), Unclean, true, GiveUp),
            (Preen, None, Unclean, true, GiveUp),
            (Repair, Some(1), Clean, true, Mount),
            (Repair, Some(1), Clean, false, Mount),
            (Repair, Some(8), Unrecognized, true, Reset),
            (Repair, Some(8), Unrecognized, false, GiveUp),
            (Repair, Some(16), Unrecognized, true, GiveUp),
            // The backup superblock was that of one to be made anew.
            (Repair, Some(1), Unfinished, true, Reset),
            (Repair, Some(1), ResetRequested, true, Reset),
            (Repair, Some(1), Unfinished, false, GiveUp),
            (Reset, Some(0), Unfinished, true, Finish),
            (Reset, Some(1), Unrecognized, true, GiveUp),
            (Reset, None, Unrecognized, true, GiveUp),
            (Finish, Some(0), Clean, true, Mount),
            (Finish, Some(1), Unfinished, true, GiveUp),
        ];
        for (step, code, condition, readable, expected) in cases {
            assert_eq!(
                step.next(code, condition, readable),
                expected,
                "{step:?} {code:?} {condition:?} {readable}"
            );
        }
    }

    fn outcome(first: CheckStep, codes: &[i32], readable: bool) -> Option<Option<Treatment>> {
        let mut codes = codes.iter();
        let run = |_| Ok::<_, std::convert::Infallible>((codes.next().copied(), Condition::Clean, readable));
        match follow(first, run) {
            Ok(outcome) => outcome,
            Err(never) => match never {},
        }
    }

    /// The first step of the boot after a power cut in each part of the making.
    #[test]
    fn power_may_fail_while_it_is_made() {
        use Condition::{Clean, ResetRequested, Unfinished, Unrecognized};
        for (part, condition, first) in [
            ("the backups are erased", ResetRequested, CheckStep::Reset),
            // Of which fsck makes nothing without a backup.
            ("mkfs has erased the first superblock", Unrecognized, CheckStep::Repair),
            ("mkfs has ended", Unfinished, CheckStep::Reset),
            ("the label is set", Clean, CheckStep::Mount),
        ] {
            assert_eq!(CheckStep::first(condition), first, "{part}");
        }
        assert_eq!(
            outcome(CheckStep::Repair, &[8, 0, 0], true),
            Some(Some(Treatment::Reset))
        );
    }

    #[test]
    fn what_is_told_is_the_last_thing_done() {
        assert_eq!(outcome(CheckStep::Mount, &[], true), Some(None));
        assert_eq!(outcome(CheckStep::Preen, &[0], true), Some(Some(Treatment::Preened)));
        assert_eq!(
            outcome(CheckStep::Preen, &[4, 1], true),
            Some(Some(Treatment::Repaired))
        );
        assert_eq!(
            outcome(CheckStep::Repair, &[8, 0, 0], true),
            Some(Some(Treatment::Reset))
        );
        assert_eq!(outcome(CheckStep::Repair, &[8, 0, 1], true), None);
        assert_eq!(outcome(CheckStep::Repair, &[8, 0, 0], false), None);
    }

    proptest! {
        /// Whatever the programs say and leave, it ends after four of them, and a disk that cannot be read is never formatted.
        #[test]
        fn it_ends(
            first in 0usize..4,
            codes in proptest::collection::vec(0i32..64, 4),
            left in proptest::collection::vec(0usize..3, 4),
            readable: bool,
        ) {
            let first = [CheckStep::Mount, CheckStep::Preen, CheckStep::Repair, CheckStep::GiveUp][first];
            let (mut ran, mut formatted) = (0, false);
            let _ = follow(first, |step| {
                formatted |= step == CheckStep::Reset;
                let code = codes.get(ran).copied();
                let condition = left.get(ran).map_or(Condition::Clean, |left| {
                    [Condition::Clean, Condition::Unfinished, Condition::Unrecognized][*left]
                });
                ran += 1;
                Ok::<_, std::convert::Infallible>((code, condition, readable))
            });
            prop_assert!(ran <= 4);
            prop_assert!(readable || !formatted);
        }
    }

    #[test]
    fn a_device_is_sampled() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(!is_readable(file.as_file()));
        file.as_file().set_len(1 << 20).unwrap();
        assert!(is_readable(file.as_file()));
    }
}
