//! The seccomp filter: system calls that a program in a sandbox is refused.
//!
//! The list names what is refused, not what is allowed: builds run compilers, interpreters and test suites of hundreds
//! of upstreams, and a new system call of the C library must not break them. The namespaces and the dropped
//! capabilities refuse most of this already; the filter takes the kernel's code behind it out of reach.
//! Calls of another ABI (32-bit, x32) would pass by the numbers below: they end the process with SIGSYS.

use std::collections::BTreeMap;

use rustix::io::Errno;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::policy::Policy;
use crate::{Relaxation, SandboxError};

/// Refused with EPERM, whatever the arguments.
const REFUSED: &[libc::c_long] = &[
    // Mounts and roots.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    OPEN_TREE_ATTR,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Namespaces of others.
    libc::SYS_setns,
    // Files without a path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Keys of the user, which no namespace divides.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The kernel itself, and the machine.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];
/// Refused with ENOSYS: programs then take another way.
const MISSING: &[libc::c_long] = &[
    // Its flags are in memory, which a filter cannot read; the C library then takes clone(2).
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];
/// `open_tree_attr(2)` of Linux 6.15, which the libc crate does not have yet; the number is the same everywhere.
const OPEN_TREE_ATTR: libc::c_long = 467;
/// The flags of clone(2) and unshare(2) that make namespaces.
const NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// The flag for a time namespace, which is one of unshare(2) only.
const CLONE_NEWTIME: u64 = 0x80;
/// Requests of ioctl(2) that type into a terminal or change who interprets what it says.
const TERMINAL_REQUESTS: &[u64] = &[libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];
/// The families of sockets that there are.
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
/// First argument of setpriority(2) for one process.
const PRIO_PROCESS: u64 = 0;
/// First argument of ioprio_set(2) for one process.
const IOPRIO_WHO_PROCESS: u64 = 1;
/// The arguments of personality(2) that are taken: to ask, Linux, Linux without randomized addresses.
const PERSONALITIES: &[u64] = &[0xffff_ffff, 0, 0x0004_0000];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Refuses these system calls to this process and all that it starts. `no_new_privs` has to be set.
pub(crate) fn apply(policy: &Policy) -> Result<(), SandboxError> {
    let failed = |error: seccompiler::Error| SandboxError::Confine {
        layer: "the seccomp filter",
        source: std::io::Error::other(error),
    };
    for program in programs(policy).map_err(|error| failed(error.into()))? {
        seccompiler::apply_filter(&program).map_err(failed)?;
    }
    Ok(())
}

/// One program for each error that is answered, and one against the x32 ABI.
fn programs(policy: &Policy) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let mut programs = vec![];
    if cfg!(target_arch = "x86_64") {
        programs.push(x32());
    }
    let arch = if cfg!(target_arch = "x86_64") {
        TargetArch::x86_64
    } else {
        TargetArch::aarch64
    };
    let families = Rules::from([
        (libc::SYS_socket, other_families()?),
        (libc::SYS_socketpair, other_families()?),
    ]);
    for (error, rules) in [
        (Errno::NOSYS, unconditional(MISSING)),
        (Errno::AFNOSUPPORT, families),
        (Errno::PERM, refused(policy)?),
    ] {
        let action = SeccompAction::Errno(error.raw_os_error().unsigned_abs());
        programs.push(SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?.try_into()?);
    }
    Ok(programs)
}

fn unconditional(calls: &[libc::c_long]) -> Rules {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// Rules for calls that are refused with EPERM.
fn refused(policy: &Policy) -> Result<Rules, seccompiler::BackendError> {
    let mut rules = unconditional(REFUSED);
    if !policy.is_relaxed(Relaxation::PackageManager) {
        rules.insert(libc::SYS_chroot, Vec::new());
    }
    let flags = || NAMESPACES.iter().map(|flag| u64::from(flag.unsigned_abs()));
    rules.insert(libc::SYS_clone, any_bits(0, flags())?);
    rules.insert(libc::SYS_unshare, any_bits(0, flags().chain([CLONE_NEWTIME]))?);
    let requests = TERMINAL_REQUESTS.iter().map(|request| equal(1, *request));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    let none_of = PERSONALITIES.iter().map(|value| condition(0, SeccompCmpOp::Ne, *value));
    let personality = SeccompRule::new(none_of.collect::<Result<_, _>>()?)?;
    rules.insert(libc::SYS_personality, vec![personality]);
    rules.insert(libc::SYS_socket, raw_sockets()?);
    rules.extend(other_processes()?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_mknod, devices(1)?);
    rules.insert(libc::SYS_mknodat, devices(2)?);
    Ok(rules)
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn equal(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![condition(argument, SeccompCmpOp::Eq, value)?])
}

/// A rule for each bit: together they match where any is set.
fn any_bits(argument: u8, bits: impl Iterator<Item = u64>) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    bits.map(|bit| SeccompRule::new(vec![condition(argument, SeccompCmpOp::MaskedEq(bit), bit)?]))
        .collect()
}

/// Calls that change limits, scheduling or priority of a process other than the caller. The kernel allows limits to be
/// changed between processes of one user, of which process 1 is one, and the others as well where the caller has no fewer
/// capabilities: process 1 would be kept from measuring, and the limits of the sandbox would not hold. A thread that names itself by its id (`pthread_setaffinity_np`) is refused as well: a filter cannot
/// tell it apart.
fn other_processes() -> Result<Rules, seccompiler::BackendError> {
    // In all of them, 0 is the caller.
    let another = |argument| condition(argument, SeccompCmpOp::Ne, 0);
    let new_limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    let mut rules = Rules::from([(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![another(0)?, new_limit])?],
    )]);
    for call in [
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setaffinity,
    ] {
        rules.insert(call, vec![SeccompRule::new(vec![another(0)?])?]);
    }
    // They also take the id of a process group or of a user, with 0 for those of the caller.
    for (call, process) in [
        (libc::SYS_setpriority, PRIO_PROCESS),
        (libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS),
    ] {
        let group_or_user = condition(0, SeccompCmpOp::Ne, process)?;
        let refused = [group_or_user, another(1)?].map(|condition| SeccompRule::new(vec![condition]));
        rules.insert(call, refused.into_iter().collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

/// Nodes of character and block devices.
fn devices(argument: u8) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let mask = SeccompCmpOp::MaskedEq(libc::S_IFMT.into());
    [libc::S_IFCHR, libc::S_IFBLK]
        .into_iter()
        .map(|kind| SeccompRule::new(vec![condition(argument, mask.clone(), kind.into())?]))
        .collect()
}

/// Sockets of any family that is not one of ours.
fn other_families() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let conditions = FAMILIES
        .iter()
        .map(|family| condition(0, SeccompCmpOp::Ne, u64::from(family.unsigned_abs())));
    let mut rules = vec![SeccompRule::new(conditions.collect::<Result<_, _>>()?)?];
    // Of netlink, only routes: the C library and Go list addresses with it.
    rules.push(SeccompRule::new(vec![
        condition(0, SeccompCmpOp::Eq, u64::from(libc::AF_NETLINK.unsigned_abs()))?,
        condition(2, SeccompCmpOp::Ne, u64::from(libc::NETLINK_ROUTE.unsigned_abs()))?,
    ])?);
    Ok(rules)
}

/// IP sockets that are raw. The type shares its argument with flags.
fn raw_sockets() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    [libc::AF_INET, libc::AF_INET6]
        .into_iter()
        .map(|family| {
            SeccompRule::new(vec![
                condition(0, SeccompCmpOp::Eq, u64::from(family.unsigned_abs()))?,
                condition(1, SeccompCmpOp::MaskedEq(0xf), u64::from(libc::SOCK_RAW.unsigned_abs()))?,
            ])
        })
        .collect()
}

/// Ends a process that calls by the x32 ABI, whose numbers have bit 30 set and whose architecture is the same.
/// By hand: seccompiler compares numbers for equality only.
fn x32() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    let step = |code: u32, jt, jf, k| sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    vec![
        // The number of the call is the first field of `seccomp_data`.
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32_BIT),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_compiles_to_programs_that_the_kernel_takes() {
        let mut relaxed = Policy::default();
        relaxed.relax(Relaxation::PackageManager);
        relaxed.relax(Relaxation::Terminal);
        for policy in [Policy::default(), relaxed] {
            for program in programs(&policy).expect("compiles") {
                assert!((4..4096).contains(&program.len()));
            }
        }
    }

    #[test]
    fn chroot_is_refused_to_all_but_package_managers() {
        let mut relaxed = Policy::default();
        assert!(refused(&relaxed).expect("rules").contains_key(&libc::SYS_chroot));
        relaxed.relax(Relaxation::PackageManager);
        assert!(!refused(&relaxed).expect("rules").contains_key(&libc::SYS_chroot));
    }
}
