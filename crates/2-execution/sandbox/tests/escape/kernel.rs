//! Ways out by the kernel's code that no build needs.

use std::io;

use basalt_sandbox::ConfinementLayer;

use crate::Attempt;
use crate::fixture::{done, reached};

const FILTER: &[ConfinementLayer] = &[ConfinementLayer::SystemCalls];

pub fn attempts() -> Vec<Attempt> {
    let mut attempts = vec![
        Attempt::new("a_key_is_added_to_the_users_keyring", FILTER, |_| {
            // SAFETY: the strings end with zero, and the payload has one byte.
            done(unsafe {
                libc::syscall(
                    libc::SYS_add_key,
                    c"user".as_ptr(),
                    c"basalt".as_ptr(),
                    c"x".as_ptr(),
                    1,
                    -2, // KEY_SPEC_PROCESS_KEYRING
                )
            })
        }),
        // Null pointers are an error of the code that was reached.
        Attempt::new("bpf_is_reached", FILTER, |_| null(libc::SYS_bpf, [7, 0, 0, 0, 0])),
        Attempt::new("perf_events_are_reached", FILTER, |_| {
            null(libc::SYS_perf_event_open, [0, 0, -1, -1, 0])
        }),
        Attempt::new("userfaultfd_is_reached", FILTER, |_| {
            null(libc::SYS_userfaultfd, [1, 0, 0, 0, 0])
        }),
        Attempt::new("io_uring_is_reached", FILTER, |_| {
            null(libc::SYS_io_uring_setup, [1, 0, 0, 0, 0])
        }),
        Attempt::new("another_layout_of_addresses_is_chosen", FILTER, |_| {
            null(libc::SYS_personality, [0x0020_0000, 0, 0, 0, 0])
        }),
        Attempt::new("the_clock_is_asked_for_as_its_owner", FILTER, |_| {
            null(libc::SYS_adjtimex, [0, 0, 0, 0, 0])
        }),
        Attempt::new("a_terminal_is_typed_into", FILTER, |_| type_into_terminal()),
    ];
    if cfg!(target_arch = "x86_64") {
        attempts.push(Attempt::new("a_32_bit_system_call_is_made", FILTER, |_| int80()));
        // A kernel without that ABI answers ENOSYS, which is an answer.
        attempts.push(Attempt::new("an_x32_system_call_is_made", FILTER, |_| {
            // SAFETY: getpid takes nothing.
            unsafe { libc::syscall(0x4000_0000 + 39) };
            Ok(())
        }));
    }
    attempts
}

fn null(call: libc::c_long, arguments: [i64; 5]) -> io::Result<()> {
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: all pointers among these arguments are null.
    reached(unsafe { libc::syscall(call, first, second, third, fourth, fifth) })
}

/// Makes a terminal the controlling one and puts a letter into its input, as if it had been typed.
fn type_into_terminal() -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let controller = std::fs::OpenOptions::new().read(true).write(true).open("/dev/ptmx")?;
    let unlocked = 0;
    let mut number = 0;
    // SAFETY: both requests take a pointer to an integer.
    unsafe {
        done(libc::ioctl(
            controller.as_raw_fd(),
            libc::TIOCSPTLCK,
            &raw const unlocked,
        ))?;
        done(libc::ioctl(controller.as_raw_fd(), libc::TIOCGPTN, &raw mut number))?;
    }
    // The first terminal that a session leader opens becomes its controlling terminal.
    let path = format!("/dev/pts/{number}");
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
    // With its controller closed, the terminal would hang up on us.
    std::mem::forget(controller);
    let letter = b'x';
    // SAFETY: it takes a pointer to a byte.
    reached(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const letter) })
}

#[cfg(target_arch = "x86_64")]
fn int80() -> io::Result<()> {
    let id: i32;
    // SAFETY: number 20 of the 32-bit table is getpid, which takes nothing and returns the id.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") 20 => id, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    done(id)
}

#[cfg(not(target_arch = "x86_64"))]
fn int80() -> io::Result<()> {
    Err(crate::fixture::unsupported("there is one ABI"))
}
