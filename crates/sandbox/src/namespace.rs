//! Entering namespaces, new ones and those of another process.

use std::fs;

use rustix::process::{getegid, geteuid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::SandboxError;

/// Which namespaces to enter besides the user's.
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
    map((0, uid), (0, gid))
}

/// In a sandbox, where we are root: becomes an ordinary user with that user and group id, in a user namespace within.
///
/// Must be called while the process has one thread, after the last mount: there is no power over the sandbox from there.
///
/// # Errors
/// When the kernel refuses.
pub(crate) fn become_user(id: u32) -> Result<(), SandboxError> {
    unshare(UnshareFlags::NEWUSER)?;
    map((id, 0), (id, 0))
}

fn unshare(flags: UnshareFlags) -> Result<(), SandboxError> {
    // SAFETY: the flags leave the table of open files shared, which is what makes unshare unsafe.
    #[expect(unsafe_code, reason = "unshare(2) has no safe form")]
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(SandboxError::Namespaces)
}

/// Maps one user and one group: the id inside, and the id outside.
fn map((user, outer_user): (u32, u32), (group, outer_group): (u32, u32)) -> Result<(), SandboxError> {
    let write =
        |file: &'static str, text: String| fs::write(file, text).map_err(|source| SandboxError::Ids { file, source });
    // Without setgroups, an ordinary user may map the group.
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{user} {outer_user} 1"))?;
    write("/proc/self/gid_map", format!("{group} {outer_group} 1"))
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
