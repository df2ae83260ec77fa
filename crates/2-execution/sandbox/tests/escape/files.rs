//! Ways out by files: descriptors, `/proc`, mounts, roots, device nodes.

use std::ffi::CString;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use basalt_sandbox::{ConfinementLayer, Mount};
use rustix::mount::{MountFlags, UnmountFlags};

use crate::fixture::{VARIABLE, done, nothing, unsupported};
use crate::{Attempt, AttemptTarget};

/// Layers that keep a program from the memory, descriptors and environment of process 1.
const PROCESS_1: &[ConfinementLayer] = &[
    ConfinementLayer::Descriptors,
    ConfinementLayer::Undumpable,
    ConfinementLayer::UserNamespace,
    ConfinementLayer::Capabilities,
    ConfinementLayer::Landlock,
    ConfinementLayer::Environment,
];
/// Layers that keep a program from changing mounts.
const MOUNTS: &[ConfinementLayer] = &[
    ConfinementLayer::SystemCalls,
    ConfinementLayer::Landlock,
    ConfinementLayer::Capabilities,
    ConfinementLayer::UserNamespace,
];

pub fn attempts() -> Vec<Attempt> {
    vec![
        Attempt::new(
            "descriptors_of_process_1_lead_to_the_host",
            PROCESS_1,
            descriptors_of_process_1,
        ),
        Attempt::new(
            "an_inherited_descriptor_leads_to_the_host",
            &[ConfinementLayer::Descriptors, ConfinementLayer::Landlock],
            inherited_descriptor,
        ),
        Attempt::new("environment_of_process_1_is_read", PROCESS_1, |_| {
            let text = fs::read("/proc/1/environ")?;
            let found = text.windows(VARIABLE.len()).any(|part| part == VARIABLE.as_bytes());
            found.then_some(()).ok_or_else(|| nothing("it has no such variable"))
        }),
        Attempt::new("memory_of_process_1_is_opened", PROCESS_1, |_| {
            fs::File::open("/proc/1/mem").map(drop)
        }),
        Attempt::new("executable_of_process_1_is_read", PROCESS_1, |_| {
            fs::File::open("/proc/1/exe").map(drop)
        }),
        Attempt::new("root_of_process_1_is_entered", PROCESS_1, |_| {
            fs::read_dir("/proc/1/root/").map(drop)
        }),
        Attempt::new("folder_of_process_1_is_entered", PROCESS_1, |_| {
            fs::read_dir("/proc/1/cwd/").map(drop)
        }),
        Attempt::new(
            "chroot_is_left_by_a_second_one",
            &[
                ConfinementLayer::PivotRoot,
                ConfinementLayer::SystemCalls,
                ConfinementLayer::Capabilities,
                ConfinementLayer::Landlock,
                ConfinementLayer::UserNamespace,
            ],
            leave_chroot,
        ),
        Attempt::new(
            "a_read_only_folder_is_written_to",
            &[ConfinementLayer::ReadOnly],
            |_| fs::write("/shown/file", "changed"),
        ),
        Attempt::new("a_read_only_folder_is_remounted", MOUNTS, |_| {
            rustix::mount::mount_remount("/shown", MountFlags::BIND, c"")?;
            fs::write("/shown/file", "changed")
        }),
        Attempt::new("something_is_bound_over_the_tools", MOUNTS, |_| {
            Ok(rustix::mount::mount_bind("/work", "/usr")?)
        }),
        Attempt::new("a_mask_over_proc_is_unmounted", MOUNTS, |_| {
            Ok(rustix::mount::unmount("/proc/kallsyms", UnmountFlags::DETACH)?)
        }),
        Attempt::new("a_filesystem_is_mounted", MOUNTS, |_| {
            let flags = MountFlags::empty();
            Ok(rustix::mount::mount("tmpfs", "/work", "tmpfs", flags, c"")?)
        }),
        Attempt::new("a_tree_is_cloned_by_the_new_mount_api", MOUNTS, |_| {
            let flags = rustix::mount::OpenTreeFlags::OPEN_TREE_CLONE | rustix::mount::OpenTreeFlags::AT_RECURSIVE;
            rustix::mount::open_tree(rustix::fs::CWD, "/", flags)?;
            Ok(())
        }),
        Attempt::new("the_root_is_pivoted", MOUNTS, |_| {
            rustix::mount::mount_bind("/work", "/work")?;
            rustix::process::chdir("/work")?;
            Ok(rustix::process::pivot_root(".", ".")?)
        }),
        Attempt::new(
            "a_device_node_is_made",
            &[ConfinementLayer::SystemCalls, ConfinementLayer::Landlock],
            |_| {
                // The kernel lets anybody make a node of the device 0:0 only.
                let kind = rustix::fs::FileType::CharacterDevice;
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                Ok(rustix::fs::mknodat(rustix::fs::CWD, "/work/node", kind, mode, 0)?)
            },
        ),
        Attempt {
            loosen: |sandbox, _| sandbox.device("/dev/kmsg"),
            ..Attempt::new("a_device_of_the_host_is_there", &[], |_| {
                fs::metadata("/dev/kmsg").map(drop)
            })
        },
        Attempt::new(
            "a_file_is_named_by_a_handle",
            &[ConfinementLayer::SystemCalls],
            file_handle,
        ),
        Attempt {
            loosen: |sandbox, fixture| {
                sandbox.mount(Mount::Bind {
                    from: fixture.path().join("base/lower"),
                    to: "/lower".into(),
                    writable: true,
                })
            },
            is_seen: Some(|fixture| {
                let lower = fs::read_to_string(fixture.path().join("base/lower")).expect("the layer");
                lower != "as it was"
            }),
            // It may write there; the layer has to stay as it was.
            ..Attempt::new("a_lower_layer_is_written_to", &[], |_| fs::write("/lower", "changed"))
        },
        Attempt {
            loosen: |sandbox, fixture| sandbox.show(fixture.path()),
            ..Attempt::new("a_path_of_the_host_is_read", &[], |target| {
                fs::read(Path::new(&target.folder).join("secret")).map(drop)
            })
        },
        Attempt::new(
            "a_setting_of_the_network_is_changed",
            &[ConfinementLayer::ProcMasks],
            |target| open_as_root("/proc/sys/net/ipv4/ip_default_ttl", target).map(drop),
        ),
        Attempt::new(
            "the_handler_of_core_files_is_opened",
            &[ConfinementLayer::ProcMasks],
            |target| open_as_root("/proc/sys/kernel/core_pattern", target).map(drop),
        ),
        Attempt::new("sysrq_is_opened", &[ConfinementLayer::ProcMasks], |target| {
            open_as_root("/proc/sysrq-trigger", target).map(drop)
        }),
        Attempt::new("the_mode_of_a_device_is_changed", &[ConfinementLayer::ReadOnly], |_| {
            same_mode(&fs::File::open("/dev/full")?)
        }),
        Attempt::new(
            "the_times_of_a_device_are_changed",
            &[ConfinementLayer::ReadOnly],
            |_| same_times(&fs::File::open("/dev/full")?),
        ),
        Attempt::new(
            "the_mode_of_standard_input_is_changed",
            &[ConfinementLayer::Descriptors],
            |_| same_mode(&fs::File::from(io::stdin().as_fd().try_clone_to_owned()?)),
        ),
        // The kernel keeps it for all mounts of proc.
        Attempt::new(
            "the_mode_of_a_file_in_proc_is_changed",
            &[ConfinementLayer::ProcMasks],
            |_| same_mode(&fs::File::open("/proc/filesystems")?),
        ),
        Attempt::new(
            "the_session_of_process_1_is_slowed",
            &[ConfinementLayer::ProcMasks],
            |target| match open_as_root("/proc/1/autogroup", target)?.write_all(b"19") {
                // It takes one change of a user in a tenth of a second.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                result => result,
            },
        ),
        Attempt::new(
            "process_1_is_made_the_first_that_the_kernel_kills",
            &[ConfinementLayer::ProcMasks],
            |target| open_as_root("/proc/1/oom_score_adj", target)?.write_all(b"1000"),
        ),
        Attempt::new("symbols_of_the_kernel_are_read", &[ConfinementLayer::ProcMasks], |_| {
            let text = fs::read("/proc/kallsyms")?;
            (!text.is_empty()).then_some(()).ok_or_else(|| nothing("it is empty"))
        }),
    ]
}

/// Opens what only the host's root may write to; other users cannot show what the mask prevents.
fn open_as_root(path: &str, target: &AttemptTarget) -> io::Result<fs::File> {
    match fs::OpenOptions::new().write(true).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) && target.user != 0 => {
            Err(unsupported(&format!("{path} is open to the host's root only")))
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Err(unsupported(&format!("there is no {path}"))),
        result => result,
    }
}

/// Sets the mode that a file has. Where it is not ours, a refusal shows nothing.
fn same_mode(file: &fs::File) -> io::Result<()> {
    if_ours(file, file.set_permissions(file.metadata()?.permissions()))
}

/// Sets the times that a file has, as only its owner may.
fn same_times(file: &fs::File) -> io::Result<()> {
    let status = file.metadata()?;
    let times = fs::FileTimes::new()
        .set_accessed(status.accessed()?)
        .set_modified(status.modified()?);
    if_ours(file, file.set_times(times))
}

fn if_ours(file: &fs::File, result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) && file.metadata()?.uid() != 0 => {
            Err(unsupported("it belongs to the host's root, who alone could change it"))
        }
        result => result,
    }
}

fn descriptors_of_process_1(_: &AttemptTarget) -> io::Result<()> {
    for number in 3..64 {
        if fs::read(format!("/proc/1/fd/{number}/../secret")).is_ok() {
            return Ok(());
        }
    }
    Err(nothing("none leads there"))
}

fn inherited_descriptor(_: &AttemptTarget) -> io::Result<()> {
    for number in 3..64 as RawFd {
        // SAFETY: opening a file relative to a descriptor that may not be open is an error at worst.
        if unsafe { libc::openat(number, c"secret".as_ptr(), libc::O_RDONLY) } >= 0 {
            return Ok(());
        }
    }
    Err(nothing("none leads there"))
}

/// Opens the root, moves the root below itself, and walks up from the open one.
fn leave_chroot(_: &AttemptTarget) -> io::Result<()> {
    let root = fs::File::open("/")?;
    fs::create_dir_all("/work/jail")?;
    rustix::process::chroot("/work/jail")?;
    rustix::process::fchdir(&root)?;
    for _ in 0..32 {
        rustix::process::chdir("..")?;
    }
    rustix::process::chroot(".")?;
    // No sandbox of ours has users.
    fs::read("/etc/passwd").map(drop)
}

fn file_handle(_: &AttemptTarget) -> io::Result<()> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        data: [u8; 128],
    }
    let mut handle = Handle {
        bytes: 128,
        kind: 0,
        data: [0; 128],
    };
    let path = CString::new("/work")?;
    let mut mount = 0;
    // SAFETY: the handle has room for as many bytes as it says.
    done(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw mut handle,
            &raw mut mount,
            0,
        )
    })
}
