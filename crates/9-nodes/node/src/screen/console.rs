//! Writing of the status screen to consoles.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{ScreenFacts, errors, render};
use fs_err::OpenOptions;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use crate::apply::below;
use crate::health::Health;

/// Credential with the names of the terminals to write to, separated by spaces: `tty1 ttyS0`; `none` for no screen at all.
const CREDENTIAL: &str = "/run/credentials/@system/basalt.screen";
/// Terminal unless the credential says another: the first virtual one. A serial line carries the messages of the boot, which
/// a screen that is drawn again and again would tear apart.
const DEFAULT: &str = "tty1";
/// Pause between looks at a node that is not ready, and at one that is.
const LOOK: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];
/// Time after which the screen is drawn although nothing has changed: the kernel writes over it.
const REDRAW: Duration = Duration::from_secs(120);

/// Draws the screen whenever it changes, without end; returns at once where there is no terminal to draw on.
///
/// # Errors
/// When none of the terminals can be written to.
pub fn run(root: &Path) -> io::Result<()> {
    let devices = devices(fs_err::read_to_string(below(root, CREDENTIAL)).ok().as_deref());
    let mut drawn: Option<(String, Instant)> = None;
    while !devices.is_empty() {
        let (text, is_ready) = look(root);
        let is_fresh = drawn
            .as_ref()
            .is_some_and(|(last, at)| same(last, &text) && at.elapsed() < REDRAW);
        if !is_fresh {
            draw(&devices, &text)?;
            drawn = Some((text, Instant::now()));
        }
        let [soon, later] = LOOK;
        std::thread::sleep(if is_ready { later } else { soon });
    }
    Ok(())
}

/// Text of the screen as it is now, and whether the node is ready.
pub fn look(root: &Path) -> (String, bool) {
    let health = Health::look_everywhere();
    let is_ready = health.is_ready();
    // A node that is ready has the errors of its start behind it.
    let errors = if is_ready { Vec::new() } else { errors::last() };
    let facts = ScreenFacts::read(root, SystemTime::now());
    (render(&health, &facts, &errors), is_ready)
}

/// Compares all but the last line, which has the time.
fn same(one: &str, other: &str) -> bool {
    let body = |text: &'_ str| text.trim_end().rsplit_once('\n').map(|(body, _)| body.to_owned());
    body(one) == body(other)
}

/// Devices of a credential's text. Names that are no terminals are left out.
fn devices(names: Option<&str>) -> Vec<PathBuf> {
    let is_terminal = |name: &&str| {
        let rest = name.strip_prefix("tty");
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|letter| letter.is_ascii_alphanumeric()))
    };
    let names = names.unwrap_or(DEFAULT).split_whitespace().filter(is_terminal);
    names.map(|name| Path::new("/dev").join(name)).collect()
}

/// Clears the terminals and writes the text. A terminal that does not take it is passed over, unless none does.
fn draw(devices: &[PathBuf], text: &str) -> io::Result<()> {
    // Clear, home, no cursor; terminals of serial lines need the carriage returns.
    let bytes = format!("\x1b[2J\x1b[H\x1b[?25l{}", text.replace('\n', "\r\n"));
    let mut failure = None;
    let mut written = false;
    for device in devices {
        match write(device, bytes.as_bytes()) {
            Ok(()) => written = true,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if !written => Err(error),
        _ => Ok(()),
    }
}

fn write(device: &Path, bytes: &[u8]) -> io::Result<()> {
    // Not the controlling terminal, and no wait for a serial line without a carrier.
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new()
        .write(true)
        .custom_flags(flags)
        .open(device)?
        .write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_those_of_the_credential() {
        let shown = |names| {
            let devices: Vec<_> = devices(names).iter().map(|path| path.display().to_string()).collect();
            devices.join(" ")
        };
        assert_eq!(shown(None), "/dev/tty1");
        assert_eq!(shown(Some("tty1 ttyS0\n")), "/dev/tty1 /dev/ttyS0");
        assert_eq!(shown(Some("none")), "");
        assert_eq!(shown(Some("../sda tty /dev/sda tty/../sda ttyAMA0")), "/dev/ttyAMA0");
    }

    #[test]
    fn the_time_alone_is_no_change() {
        assert!(same("a\nb\n12:00\n", "a\nb\n12:01\n"));
        assert!(!same("a\nb\n12:00\n", "a\nc\n12:00\n"));
    }

    #[test]
    fn one_terminal_is_enough() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let devices = [PathBuf::from("/nowhere/tty1"), file.path().to_owned()];
        draw(&devices, "a\nb\n").unwrap();
        let text = fs_err::read_to_string(file.path()).unwrap();
        assert!(text.starts_with("\x1b[2J") && text.ends_with("a\r\nb\r\n"), "{text:?}");
        assert!(draw(&devices[..1], "a").is_err());
    }
}
