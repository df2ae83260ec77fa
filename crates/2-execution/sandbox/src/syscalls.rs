//! System calls that neither the standard library nor rustix has in a safe form.
#![expect(unsafe_code, reason = "each call is wrapped here once, with why it is sound")]

use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Forks. `None` in the child.
///
/// Must be called while the process has one thread: the child then may do all that its parent may.
pub(crate) fn fork() -> rustix::io::Result<Option<Pid>> {
    // SAFETY: with one thread no lock can be held by another one, so that the child's memory is in a consistent state.
    match unsafe { libc::fork() } {
        -1 => Err(last_error()),
        0 => Ok(None),
        id => Ok(Pid::from_raw(id)),
    }
}

/// Leaves the namespaces that the flags name for new ones.
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: no caller names CLONE_FILES, so that the table of open files, which `OwnedFd` relies on, stays shared.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Marks all descriptors but 0, 1 and 2 to be closed by `execve`.
pub(crate) fn close_on_exec_from(first: u32) -> rustix::io::Result<()> {
    // SAFETY: nothing is closed before exec, which ends all Rust objects that own descriptors.
    let status = unsafe { libc::close_range(first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) };
    if status == 0 { Ok(()) } else { Err(last_error()) }
}

/// Makes standard input, output or error the same as a descriptor.
pub(crate) fn duplicate_to(descriptor: BorrowedFd<'_>, standard: RawFd) -> rustix::io::Result<()> {
    // SAFETY: no `OwnedFd` owns what is closed by it: the standard ones are borrowed everywhere.
    let number = unsafe { libc::dup2(descriptor.as_raw_fd(), standard) };
    if number < 0 { Err(last_error()) } else { Ok(()) }
}

/// Sets attributes (`MOUNT_ATTR_*`) of a mount, whose root is open, and of all mounts below it.
pub(crate) fn mount_set_attributes(mount: BorrowedFd<'_>, attributes: u64) -> rustix::io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is a C string, and the structure is valid for reads of the size that is passed with it.
    let status = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    if status == 0 { Ok(()) } else { Err(last_error()) }
}

/// Resources used by children that were waited for (`getrusage`, RUSAGE_CHILDREN).
pub(crate) struct Usage {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// The resident set of the largest of them, in bytes.
    pub(crate) largest: u64,
}

/// The resources used by children that were waited for, and by theirs.
pub(crate) fn usage_of_children() -> Usage {
    // SAFETY: the structure consists of integers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for a write of that structure. It cannot fail with these arguments.
    unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    let time = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
    };
    Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        largest: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
    }
}
