//! Ways out by other processes, namespaces and capabilities.

use std::fs;
use std::io;

use basalt_sandbox::ConfinementLayer;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use crate::Attempt;
use crate::fixture::{done, nothing};

const FILTER: &[ConfinementLayer] = &[ConfinementLayer::SystemCalls];
/// The kernel itself refuses to change scheduling and priority of a process that has more capabilities, as process 1 has.
const SCHEDULING: &[ConfinementLayer] = &[ConfinementLayer::SystemCalls, ConfinementLayer::Capabilities];

pub fn attempts() -> Vec<Attempt> {
    vec![
        Attempt::new(
            "process_1_is_traced",
            &[
                ConfinementLayer::SystemCalls,
                ConfinementLayer::Landlock,
                ConfinementLayer::UserNamespace,
                ConfinementLayer::Undumpable,
                ConfinementLayer::Capabilities,
            ],
            |_| trace(1),
        ),
        Attempt::new("a_sibling_is_traced", FILTER, |_| trace(sibling()?)),
        Attempt::new("memory_of_a_sibling_is_read", FILTER, |_| read_memory(sibling()?)),
        Attempt::new("a_descriptor_of_a_sibling_is_taken", FILTER, |_| {
            let id = Pid::from_raw(sibling()?).ok_or_else(|| nothing("no process"))?;
            let process = rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty())?;
            rustix::process::pidfd_getfd(&process, 0, rustix::process::PidfdGetfdFlags::empty())?;
            Ok(())
        }),
        // What has no handler does not end process 1; that a signal may be sent is enough.
        Attempt::new("process_1_is_sent_a_signal", &[ConfinementLayer::Landlock], |_| {
            send_nothing(1)
        }),
        Attempt::new(
            "a_process_of_the_host_is_seen",
            &[ConfinementLayer::ProcessNamespace],
            |target| fs::metadata(format!("/proc/{}", target.process)).map(drop),
        ),
        Attempt::new(
            "a_process_of_the_host_is_sent_a_signal",
            &[ConfinementLayer::ProcessNamespace, ConfinementLayer::Landlock],
            |target| send_nothing(target.process),
        ),
        Attempt::new("a_user_namespace_is_entered", FILTER, |_| {
            unshare(UnshareFlags::NEWUSER)
        }),
        Attempt::new(
            "a_mount_namespace_is_entered",
            &[ConfinementLayer::SystemCalls, ConfinementLayer::Capabilities],
            |_| unshare(UnshareFlags::NEWNS),
        ),
        Attempt::new("clone_makes_a_namespace", FILTER, |_| clone_user_namespace()),
        Attempt::new("clone3_makes_a_namespace", FILTER, |_| clone3_user_namespace()),
        Attempt::new(
            "a_namespace_is_joined",
            &[
                ConfinementLayer::SystemCalls,
                ConfinementLayer::Capabilities,
                ConfinementLayer::UserNamespace,
            ],
            |_| {
                let space = fs::File::open("/proc/self/ns/uts")?;
                let kind = Some(rustix::thread::LinkNameSpaceType::HostNameAndNISDomainName);
                Ok(rustix::thread::move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&space),
                    kind,
                )?)
            },
        ),
        Attempt::new(
            "the_host_name_is_changed",
            &[
                ConfinementLayer::SystemCalls,
                ConfinementLayer::Capabilities,
                ConfinementLayer::UserNamespace,
            ],
            |_| Ok(rustix::system::sethostname(b"mine")?),
        ),
        Attempt::new("root_has_capabilities", &[ConfinementLayer::Capabilities], |_| {
            let status = fs::read_to_string("/proc/self/status")?;
            let sets = status.lines().filter(|line| line.starts_with("Cap"));
            let any = sets.into_iter().any(|line| !line.ends_with("0000000000000000"));
            any.then_some(()).ok_or_else(|| nothing("all sets are empty"))
        }),
        Attempt::new("the_callers_session_is_kept", &[ConfinementLayer::Session], |_| {
            // A leader outside of our PID namespace has the number 0.
            // SAFETY: it takes no pointer.
            match unsafe { libc::getsid(0) } {
                0 => Ok(()),
                id => Err(nothing(&format!("process {id} leads our session"))),
            }
        }),
        Attempt::new(
            "process_1_is_in_the_callers_session",
            &[ConfinementLayer::Session],
            |_| {
                // SAFETY: it takes no pointer.
                match unsafe { libc::getsid(1) } {
                    0 => Ok(()),
                    id => Err(nothing(&format!("process {id} leads its session"))),
                }
            },
        ),
        Attempt::new("limits_of_process_1_are_changed", FILTER, |_| {
            let files = rustix::process::Resource::Nofile;
            let own = rustix::process::getrlimit(files);
            rustix::process::prlimit(Pid::from_raw(1), files, own)?;
            Ok(())
        }),
        Attempt::new("another_scheduler_is_chosen_for_process_1", SCHEDULING, |_| {
            let parameters = libc::sched_param { sched_priority: 0 };
            // SAFETY: the pointer is to a structure of ours.
            done(unsafe { libc::sched_setscheduler(1, libc::SCHED_IDLE, &raw const parameters) })
        }),
        Attempt::new("process_1_is_moved_to_another_processor", SCHEDULING, |_| {
            let own = rustix::thread::sched_getaffinity(None)?;
            Ok(rustix::thread::sched_setaffinity(Pid::from_raw(1), &own)?)
        }),
        Attempt::new("the_priority_of_process_1_is_lowered", SCHEDULING, |_| {
            set_priority(libc::SYS_setpriority, [0, 1, 19])
        }),
        Attempt::new(
            "the_priority_of_all_processes_of_the_user_is_lowered",
            SCHEDULING,
            |_| set_priority(libc::SYS_setpriority, [2, 0, 19]),
        ),
        Attempt::new("the_disk_priority_of_process_1_is_lowered", SCHEDULING, |_| {
            // The lowest priority of the class "best effort".
            set_priority(libc::SYS_ioprio_set, [1, 1, (2 << 13) | 7])
        }),
        Attempt {
            prepare: |sandbox, _| {
                shared_memory(own_id(), libc::IPC_CREAT).expect("the host has shared memory");
                sandbox
            },
            ..Attempt::new(
                "shared_memory_of_the_host_is_found",
                &[ConfinementLayer::IpcNamespace],
                |target| shared_memory(target.process, 0).map(drop),
            )
        },
    ]
}

/// A child that waits until we end.
fn sibling() -> io::Result<i32> {
    // SAFETY: this process has one thread, and the child only waits.
    match unsafe { libc::fork() } {
        0 => loop {
            std::thread::sleep(std::time::Duration::from_secs(60));
        },
        id => done(id).map(|()| id),
    }
}

fn trace(id: i32) -> io::Result<()> {
    // SAFETY: it takes no pointer that is followed.
    done(unsafe { libc::ptrace(libc::PTRACE_SEIZE, id, 0, 0) })
}

fn read_memory(id: i32) -> io::Result<()> {
    let secret = *b"mine";
    let mut buffer = [0_u8; 4];
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: secret.as_ptr().cast_mut().cast(),
        iov_len: secret.len(),
    };
    // SAFETY: the local vector is a buffer of ours; the child has the same addresses.
    done(unsafe { libc::process_vm_readv(id, &raw const local, 1, &raw const remote, 1, 0) } as i64)
}

/// A call whose arguments are a kind of id, an id and a priority.
fn set_priority(call: libc::c_long, arguments: [i64; 3]) -> io::Result<()> {
    let [kind, id, priority] = arguments;
    // SAFETY: these calls take no pointers.
    done(unsafe { libc::syscall(call, kind, id, priority) })
}

fn send_nothing(id: i32) -> io::Result<()> {
    // SAFETY: signal 0 is not delivered.
    done(unsafe { libc::kill(id, 0) })
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: descriptors stay shared.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// As fork, with the flags that are given. The child ends at once.
fn clone_user_namespace() -> io::Result<()> {
    let flags = i64::from(libc::CLONE_NEWUSER | libc::SIGCHLD);
    // SAFETY: without a stack it works as fork, in a process of one thread.
    let id = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if id == 0 {
        // SAFETY: it does not return.
        unsafe { libc::_exit(0) }
    }
    done(id)
}

fn clone3_user_namespace() -> io::Result<()> {
    // struct clone_args, version 0: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls.
    let arguments: [u64; 8] = [
        u64::from(libc::CLONE_NEWUSER.unsigned_abs()),
        0,
        0,
        0,
        u64::from(libc::SIGCHLD.unsigned_abs()),
        0,
        0,
        0,
    ];
    // SAFETY: as above; the structure has the size that is passed.
    let id = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    if id == 0 {
        // SAFETY: it does not return.
        unsafe { libc::_exit(0) }
    }
    done(id)
}

fn own_id() -> i32 {
    i32::try_from(std::process::id()).unwrap_or_default()
}

/// A System V segment whose key both sides know.
fn shared_memory(process: i32, flags: i32) -> io::Result<i32> {
    // SAFETY: it takes no pointer.
    let id = unsafe { libc::shmget(0x6200_0000 + process, 4096, flags | 0o600) };
    done(id).map(|()| id)
}

/// Removes the shared memory segment, which would stay on the host.
pub fn remove_shared_memory() {
    if let Ok(id) = shared_memory(own_id(), 0) {
        // SAFETY: this command takes no pointer.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}
