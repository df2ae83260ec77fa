//! Serial console of a machine on the user's terminal.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use basalt_process::interrupt;
use camino::Utf8Path;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};

use crate::MachineError;

/// Key that leaves the console: Ctrl-].
pub const ESCAPE: u8 = 0x1d;

/// Reason for which the terminal was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetachReason {
    /// The user pressed the escape key, or a signal interrupted; the machine runs on.
    ByKey,
    /// The machine closed its console, because it ended.
    MachineEnded,
}

/// Connects standard input and output with the console at `socket` until the machine ends or the user presses Ctrl-].
/// All other keys, Ctrl-C among them, go to the machine. When standard input ends, as a script's does, the machine's
/// output is shown all the same.
///
/// # Errors
/// When the console cannot be connected to, or the terminal not be used.
pub fn attach(socket: &Utf8Path) -> Result<DetachReason, MachineError> {
    let mut console = UnixStream::connect(socket).map_err(|source| MachineError::Control {
        doing: "connecting to its console".to_owned(),
        socket: socket.to_owned(),
        source,
    })?;
    let stdin = std::io::stdin();
    let raw = RawMode::enter(stdin.as_fd()).map_err(terminal)?;
    let left = relay(stdin.as_fd(), &mut std::io::stdout().lock(), &mut console).map_err(terminal);
    drop(raw);
    left
}

fn terminal(source: std::io::Error) -> MachineError {
    MachineError::Terminal { source }
}

/// Relays bytes in both directions until the machine closes the console or the user leaves it.
fn relay(input: BorrowedFd<'_>, output: &mut impl Write, console: &mut UnixStream) -> std::io::Result<DetachReason> {
    let mut buffer = [0_u8; 4096];
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: 200_000_000,
    };
    let mut listening = true;
    loop {
        let (typed, written) = {
            let console = PollFd::new(console, PollFlags::IN);
            let mut ends = vec![console];
            ends.extend(listening.then(|| PollFd::from_borrowed_fd(input, PollFlags::IN)));
            match poll(&mut ends, Some(&tick)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let speaks = |end: Option<&PollFd<'_>>| end.is_some_and(|end| !end.revents().is_empty());
            (speaks(ends.get(1)), speaks(ends.first()))
        };
        if interrupt::requested() {
            return Ok(DetachReason::ByKey);
        }
        if written {
            let length = match console.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                length => length?,
            };
            if length == 0 {
                return Ok(DetachReason::MachineEnded);
            }
            output.write_all(buffer.get(..length).unwrap_or_default())?;
            output.flush()?;
        }
        if typed {
            let length = rustix::io::read(input, &mut buffer)?;
            let keys = buffer.get(..length).unwrap_or_default();
            listening = length > 0;
            let mut parts = keys.splitn(2, |key| *key == ESCAPE);
            console.write_all(parts.next().unwrap_or_default())?;
            if parts.next().is_some() {
                return Ok(DetachReason::ByKey);
            }
        }
    }
}

/// Terminal in raw mode, which passes every key on as it is; restored when dropped.
struct RawMode<'a> {
    terminal: Option<(BorrowedFd<'a>, Termios)>,
}

impl<'a> RawMode<'a> {
    fn enter(terminal: BorrowedFd<'a>) -> std::io::Result<Self> {
        // A pipe has no modes: scripts can talk to a console too.
        if !isatty(terminal) {
            return Ok(Self { terminal: None });
        }
        let before = tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(terminal, OptionalActions::Now, &raw)?;
        Ok(Self {
            terminal: Some((terminal, before)),
        })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        if let Some((terminal, before)) = &self.terminal {
            // If the terminal is gone, there is no mode to restore.
            let _ = tcsetattr(terminal, OptionalActions::Now, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk(typed: &[u8]) -> (DetachReason, Vec<u8>, Vec<u8>) {
        let (mut person, input) = UnixStream::pair().expect("a pair");
        let (mut console, mut machine) = UnixStream::pair().expect("a pair");
        machine.write_all(b"login: ").expect("writable");
        person.write_all(typed).expect("writable");
        let mut screen = Vec::new();
        let left = relay(input.as_fd(), &mut screen, &mut console).expect("works");
        drop(console);
        let mut received = Vec::new();
        machine.read_to_end(&mut received).expect("readable");
        (left, screen, received)
    }

    #[test]
    fn the_escape_key_leaves_and_is_not_passed_on() {
        let (left, screen, received) = talk(b"root\x03\n\x1dmore");
        assert_eq!(left, DetachReason::ByKey);
        assert_eq!(screen, b"login: ");
        assert_eq!(received, b"root\x03\n");
    }

    #[test]
    fn what_comes_after_the_end_of_input_is_shown() {
        let (_, input) = UnixStream::pair().expect("a pair");
        let (mut console, mut machine) = UnixStream::pair().expect("a pair");
        let writer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            machine.write_all(b"late").expect("writable");
        });
        let mut screen = Vec::new();
        let left = relay(input.as_fd(), &mut screen, &mut console).expect("works");
        writer.join().expect("ends");
        assert_eq!((left, screen.as_slice()), (DetachReason::MachineEnded, &b"late"[..]));
    }

    #[test]
    fn the_end_of_the_machine_is_noticed() {
        let (_person, input) = UnixStream::pair().expect("a pair");
        let (mut console, machine) = UnixStream::pair().expect("a pair");
        drop(machine);
        let left = relay(input.as_fd(), &mut Vec::new(), &mut console).expect("works");
        assert_eq!(left, DetachReason::MachineEnded);
    }
}
