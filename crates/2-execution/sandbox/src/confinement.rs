//! Confinement of a program beyond its root and namespaces: a nested user namespace, no capabilities, a Landlock
//! domain, the seccomp filter, resource limits.
//!
//! [`confine`] runs in the process that becomes the program, as the last thing before `execve`. The order matters: each
//! step needs what a later one takes away.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope,
};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use crate::policy::Policy;
use crate::{
    ConfinementLayer, Relaxation, Sandbox, SandboxError, inherited, namespace, rlimits, syscalls, system_calls,
};

/// OOM score adjustment (`/proc/self/oom_score_adj`, -1000 to 1000) of the program: the kernel ends it before the rest
/// of the host.
const OOM_SCORE: &str = "500";

/// Confines this process for good. The `proc` is one that can still be written to.
pub(crate) fn confine(sandbox: &Sandbox, proc: &OwnedFd) -> Result<(), SandboxError> {
    let policy = &sandbox.policy;
    if has_own_session(policy) {
        rustix::process::setsid().map_err(SandboxError::confine("a session of its own"))?;
    }
    rlimits::apply(&sandbox.limits)?;
    // Where it is not to be had, the kernel chooses as it would otherwise.
    drop(namespace::write_in(proc, "self/oom_score_adj", OOM_SCORE));
    if policy.is_enforced(ConfinementLayer::Descriptors) {
        inherited::replace_null().map_err(SandboxError::confine("a null device of its own"))?;
    }
    if policy.is_enforced(ConfinementLayer::UserNamespace) {
        // Our parent is not dumpable, and nor are we by that: then /proc/self/uid_map is not ours. Nobody else runs here yet.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)
            .map_err(SandboxError::confine("a user namespace of its own"))?;
        namespace::enter_within(proc, sandbox.user)?;
    }
    if policy.is_enforced(ConfinementLayer::Capabilities) {
        drop_capabilities(policy.capabilities()).map_err(SandboxError::confine("no capabilities"))?;
    }
    rustix::thread::set_no_new_privs(true).map_err(SandboxError::confine("no_new_privs"))?;
    if policy.is_enforced(ConfinementLayer::Landlock) {
        restrict_paths()?;
    }
    if policy.is_enforced(ConfinementLayer::Descriptors) {
        syscalls::close_on_exec_from(3).map_err(SandboxError::confine("closed descriptors"))?;
    }
    if policy.is_enforced(ConfinementLayer::SystemCalls) {
        system_calls::apply(policy)?;
    }
    Ok(())
}

/// Returns `true` if process 1 and the program have sessions of their own: all but interactive programs.
pub(crate) fn has_own_session(policy: &Policy) -> bool {
    policy.is_enforced(ConfinementLayer::Session) && !policy.is_relaxed(Relaxation::Terminal)
}

/// Keeps `kept` of the capabilities, and lets none ever come back: not by being root, not by a file.
fn drop_capabilities(kept: CapabilitySet) -> Result<(), Errno> {
    rustix::thread::clear_ambient_capability_set()?;
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // The kernel knows no capability of this number.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    let locked = CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    let no_root = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    // Root gets what is in the bounding set at every execve, which is how a package manager's children have it.
    let bits = if kept.is_empty() { locked | no_root } else { locked };
    rustix::thread::set_capabilities_secure_bits(bits)?;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, sets)
}

/// Enters a Landlock domain: files below `/` only, no device nodes, no ioctl on devices but those of `/dev`; no signals and
/// no abstract sockets to processes outside. The kernel enforces as much of it as it knows, from none at all to ABI 6.
fn restrict_paths() -> Result<(), SandboxError> {
    let failed = |error: landlock::RulesetError| SandboxError::Confine {
        layer: "the Landlock domain",
        source: std::io::Error::other(error),
    };
    let path = |path| {
        PathFd::new(path).map_err(|error| SandboxError::Confine {
            layer: "the Landlock domain",
            source: std::io::Error::other(error),
        })
    };
    let all = AccessFs::from_all(ABI::V5);
    let below_root = all & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    // Without the right to rename between folders, which the first ABI always refuses, nothing can be built: there, what is
    // asked for in the second line makes the domain none at all.
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::SoftRequirement)
        .handle_access(AccessFs::Refer)
        .map_err(failed)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .map_err(failed)?
        .scope(BitFlags::<Scope>::all())
        .map_err(failed)?
        .create()
        .map_err(failed)?
        .add_rule(PathBeneath::new(path("/")?, below_root))
        .map_err(failed)?
        .add_rule(PathBeneath::new(path("/dev")?, AccessFs::IoctlDev))
        .map_err(failed)?;
    // What the caller gave as standard input and output may be opened again by its name: /dev/stderr.
    for standard in [
        std::io::stdin().as_fd(),
        std::io::stdout().as_fd(),
        std::io::stderr().as_fd(),
    ] {
        if is_file(standard) {
            let access = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
            rules = rules.add_rule(PathBeneath::new(standard, access)).map_err(failed)?;
        }
    }
    rules.restrict_self().map_err(failed)?;
    Ok(())
}

fn is_file(descriptor: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(descriptor).is_ok_and(|status| {
        matches!(
            FileType::from_raw_mode(status.st_mode),
            FileType::RegularFile | FileType::CharacterDevice
        )
    })
}
