//! Security policy of a sandbox: layers of confinement, and the named exceptions from them.

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

/// An exception from the strict policy, named by the kind of program that needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relaxation {
    /// A package manager that installs into a root of its own (`dnf --installroot`): keeps the capabilities over files
    /// and `chroot(2)`, all of them bounded by the sandbox's user namespace, in which one user exists.
    PackageManager,
    /// An interactive program: it stays in the caller's session, so that job control and Ctrl-C work. What
    /// would type into that terminal (TIOCSTI, TIOCLINUX) is refused by the seccomp filter.
    Terminal,
}

/// A layer of protection between the program and the host. All are in force unless a test leaves one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfinementLayer {
    /// Descriptors of host folders are closed before the program runs, and all inherited ones but 0, 1 and 2, of which
    /// none is the host's null device.
    Descriptors,
    /// The host's root is unmounted (`pivot_root`), instead of only hidden (`chroot`).
    PivotRoot,
    /// A second user and mount namespace, from which the mounts of the first are locked.
    UserNamespace,
    /// Every capability is dropped from all sets, and cannot come back.
    Capabilities,
    /// The seccomp filter.
    SystemCalls,
    /// The Landlock domain.
    Landlock,
    /// A read-only `/proc`, with empty mounts over the parts that reach beyond the sandbox's processes.
    ProcMasks,
    /// Process 1 is not dumpable: its memory, descriptors and environment cannot be read.
    Undumpable,
    /// The program's session is its own: it has no controlling terminal.
    Session,
    /// Read-only binds are read-only, and so are the nodes of devices.
    ReadOnly,
    /// A PID namespace, and a `/proc` of it.
    ProcessNamespace,
    /// A namespace for System V IPC and POSIX message queues.
    IpcNamespace,
    /// Process 1 starts without the caller's environment.
    Environment,
    /// The sandbox ends with the process that started it.
    ParentDeath,
}

/// The checked policy of one sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    relaxations: Vec<Relaxation>,
    left_out: Vec<ConfinementLayer>,
}

impl Policy {
    pub(crate) fn relax(&mut self, relaxation: Relaxation) {
        self.relaxations.push(relaxation);
    }

    pub(crate) fn leave_out(&mut self, layer: ConfinementLayer) {
        self.left_out.push(layer);
    }

    /// Returns `true` if the layer is in force: no test leaves it out.
    pub(crate) fn is_enforced(&self, layer: ConfinementLayer) -> bool {
        !self.left_out.contains(&layer)
    }

    pub(crate) fn is_relaxed(&self, relaxation: Relaxation) -> bool {
        self.relaxations.contains(&relaxation)
    }

    /// The capabilities that the program keeps in the second user namespace.
    pub(crate) fn capabilities(&self) -> CapabilitySet {
        if self.is_relaxed(Relaxation::PackageManager) {
            CapabilitySet::CHOWN
                | CapabilitySet::DAC_OVERRIDE
                | CapabilitySet::DAC_READ_SEARCH
                | CapabilitySet::FOWNER
                | CapabilitySet::FSETID
                | CapabilitySet::SYS_CHROOT
        } else {
            CapabilitySet::empty()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_strict() {
        let policy = Policy::default();
        assert!(policy.is_enforced(ConfinementLayer::SystemCalls) && policy.is_enforced(ConfinementLayer::ParentDeath));
        assert!(!policy.is_relaxed(Relaxation::PackageManager) && !policy.is_relaxed(Relaxation::Terminal));
        assert_eq!(policy.capabilities(), CapabilitySet::empty());
    }

    #[test]
    fn a_package_manager_keeps_no_capability_over_the_system() {
        let mut policy = Policy::default();
        policy.relax(Relaxation::PackageManager);
        let kept = policy.capabilities();
        assert!(kept.contains(CapabilitySet::SYS_CHROOT));
        for refused in [
            CapabilitySet::SYS_ADMIN,
            CapabilitySet::SYS_PTRACE,
            CapabilitySet::MKNOD,
            CapabilitySet::NET_ADMIN,
            CapabilitySet::NET_RAW,
            CapabilitySet::SETUID,
        ] {
            assert!(!kept.intersects(refused));
        }
    }
}
