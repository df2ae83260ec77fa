//! Entering namespaces, new ones and those of another process.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::process::{getegid, geteuid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::{SandboxError, syscalls};

/// Namespaces to enter besides the user and mount namespaces.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kinds {
    /// A network with nothing but loopback.
    pub network: bool,
    /// Process ids that begin at 1 with the next child.
    pub processes: bool,
    /// A host name of its own, and System V IPC.
    pub identity: bool,
}

/// Enters a new user namespace, in which the user is root, with a new mount namespace and the `kinds` asked for.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// When the kernel refuses.
pub fn enter_new(kinds: Kinds) -> Result<(), SandboxError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    let mut flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
    flags.set(UnshareFlags::NEWNET, kinds.network);
    flags.set(UnshareFlags::NEWPID, kinds.processes);
    flags.set(UnshareFlags::NEWUTS | UnshareFlags::NEWIPC, kinds.identity);
    unshare(flags)?;
    map(&usual_proc()?, (0, uid), (0, gid))
}

/// The first namespaces of a sandbox: those of `flags` and a user namespace in which the user is root. The mount namespace
/// stays that of the caller, so that paths of the host can still be reached from here.
///
/// Must be called while the process has one thread.
pub(crate) fn enter_first(flags: UnshareFlags) -> Result<(), SandboxError> {
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(flags | UnshareFlags::NEWUSER)?;
    map(&usual_proc()?, (0, uid), (0, gid))
}

/// In a sandbox, where we are root: enters a user namespace within, with that user and group id, and a mount namespace that
/// belongs to it. From there nothing of the sandbox may be changed: not its mounts, which are locked, nor its network,
/// host name and process 1, which belong to the first user namespace.
///
/// Must be called while the process has one thread. The `proc` is one that can be written to.
pub(crate) fn enter_within(proc: &OwnedFd, id: u32) -> Result<(), SandboxError> {
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    map(proc, (id, 0), (id, 0))
}

/// The `proc` of the mount namespace that we are in.
fn usual_proc() -> Result<OwnedFd, SandboxError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open("/proc", flags, Mode::empty()).map_err(|source| SandboxError::path("/proc")(source.into()))
}

/// Writes to a file of a `proc`, by its path there.
pub(crate) fn write_in(proc: &OwnedFd, path: &str, text: &str) -> io::Result<()> {
    let file = rustix::fs::openat(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}

fn unshare(flags: UnshareFlags) -> Result<(), SandboxError> {
    syscalls::unshare(flags).map_err(SandboxError::Namespaces)
}

/// Maps one user and one group: the id inside, and the id outside.
fn map(proc: &OwnedFd, (user, outer_user): (u32, u32), (group, outer_group): (u32, u32)) -> Result<(), SandboxError> {
    let write = |file: &'static str, text: &str| {
        write_in(proc, &format!("self/{file}"), text).map_err(|source| SandboxError::Ids { file, source })
    };
    // Without setgroups, an ordinary user may map the group.
    write("setgroups", "deny")?;
    write("uid_map", &format!("{user} {outer_user} 1"))?;
    write("gid_map", &format!("{group} {outer_group} 1"))
}

/// Enters the user, mount and network namespaces of the process `id`, which must be the same user's.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// When the process is gone or is not ours.
pub fn join(id: u32) -> Result<(), SandboxError> {
    let open = |kind: &str| {
        let path = format!("/proc/{id}/ns/{kind}");
        fs::File::open(&path).map_err(SandboxError::path(path))
    };
    let (user, network, mount) = (open("user")?, open("net")?, open("mnt")?);
    let mut spaces = vec![(network, LinkNameSpaceType::Network), (mount, LinkNameSpaceType::Mount)];
    // A process cannot enter the user namespace that it is in already.
    let ours = fs::read_link("/proc/self/ns/user").map_err(SandboxError::path("/proc/self/ns/user"))?;
    let theirs = format!("/proc/{id}/ns/user");
    if fs::read_link(&theirs).map_err(SandboxError::path(theirs))? != ours {
        spaces.insert(0, (user, LinkNameSpaceType::User));
    }
    for (file, kind) in spaces {
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(kind))
            .map_err(SandboxError::call("setns"))?;
    }
    Ok(())
}
