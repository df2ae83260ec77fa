//! Descriptors that a stage of the sandbox inherits; their numbers are its arguments.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::FdFlags;

use crate::{Sandbox, SandboxError, syscalls};

/// Takes over the descriptor whose number is the argument, and marks it to be closed by `execve`.
pub(crate) fn descriptor(argument: Option<&OsString>) -> Result<OwnedFd, SandboxError> {
    let number = number(argument)?;
    let copy = || {
        #[expect(
            unsafe_code,
            reason = "the number of an inherited descriptor cannot be turned into one otherwise"
        )]
        // SAFETY: it is only borrowed for these calls, which fail where it is not open.
        let inherited = unsafe { BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_setfd(inherited, FdFlags::CLOEXEC)?;
        rustix::io::fcntl_dupfd_cloexec(inherited, 3)
    };
    let copy = copy().map_err(|error| SandboxError::Description(error.to_string()))?;
    // SAFETY: nothing else in this process, which has just begun, owns the inherited number.
    #[expect(unsafe_code, reason = "as above")]
    unsafe {
        rustix::io::close(number);
    }
    Ok(copy)
}

/// Reads the description of the sandbox from the sealed file whose descriptor is the argument.
pub(crate) fn description(argument: Option<&OsString>) -> Result<Sandbox, SandboxError> {
    let file = descriptor(argument)?;
    read(&file)
}

/// Reads the description from its file.
pub(crate) fn read(file: &OwnedFd) -> Result<Sandbox, SandboxError> {
    let unreadable = |error: String| SandboxError::Description(error);
    let size = rustix::fs::fstat(file)
        .map_err(|error| unreadable(error.to_string()))?
        .st_size;
    let mut text = vec![0; usize::try_from(size).unwrap_or_default()];
    let mut rest = text.as_mut_slice();
    let mut offset = 0;
    while !rest.is_empty() {
        let length = rustix::io::pread(file, &mut *rest, offset).map_err(|error| unreadable(error.to_string()))?;
        if length == 0 {
            break;
        }
        rest = rest.get_mut(length..).unwrap_or_default();
        offset += u64::try_from(length).unwrap_or_default();
    }
    serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
}

/// Opens the sandbox's own `/dev/null`, which is mounted read-only, in place of the host's where that is standard input,
/// output or error: root may change the mode of what it has open.
pub(crate) fn replace_null() -> rustix::io::Result<()> {
    let null = rustix::fs::stat("/dev/null")?.st_rdev;
    for standard in [
        std::io::stdin().as_fd(),
        std::io::stdout().as_fd(),
        std::io::stderr().as_fd(),
    ] {
        let is_null = rustix::fs::fstat(standard).is_ok_and(|status| {
            FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice && status.st_rdev == null
        });
        if is_null {
            let access = rustix::fs::fcntl_getfl(standard)? & OFlags::RWMODE;
            let own = rustix::fs::open("/dev/null", access | OFlags::CLOEXEC, Mode::empty())?;
            syscalls::duplicate_to(own.as_fd(), standard.as_raw_fd())?;
        }
    }
    Ok(())
}

fn number(argument: Option<&OsString>) -> Result<RawFd, SandboxError> {
    argument
        .and_then(|argument| argument.to_str()?.parse().ok())
        .filter(|number| *number > 2)
        .ok_or_else(|| SandboxError::Description("it was not inherited".to_owned()))
}
