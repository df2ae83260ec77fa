//! Reader of a machine's serial console.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::{Duration, Instant};

use basalt_process::interrupt;
use camino::{Utf8Path, Utf8PathBuf};

use crate::MachineError;

/// Interval between two reads of the log.
const TICK: Duration = Duration::from_millis(50);
/// Greatest number of lines in an error.
const SHOWN: usize = 25;

/// Console of a machine, read from its log while it grows.
#[derive(Debug)]
pub struct Console {
    machine: String,
    log: Utf8PathBuf,
    /// Read position in the log, in bytes.
    position: u64,
    /// Bytes that were read and not yet returned: those after the last pattern that was found.
    pending: Vec<u8>,
    /// Last lines that were searched, for errors.
    last: Vec<String>,
}

impl Console {
    /// Makes a reader of the log at `log`, from its beginning on. The log need not exist yet.
    pub fn new(machine: impl Into<String>, log: impl Into<Utf8PathBuf>) -> Self {
        Self {
            machine: machine.into(),
            log: log.into(),
            position: 0,
            pending: Vec::new(),
            last: Vec::new(),
        }
    }

    /// Path of the log.
    pub fn log(&self) -> &Utf8Path {
        &self.log
    }

    /// Takes the complete lines that were written since the last call, as plain text.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn lines(&mut self) -> Result<Vec<String>, MachineError> {
        self.read()?;
        let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let rest = self.pending.split_off(end + 1);
        let whole = std::mem::replace(&mut self.pending, rest);
        Ok(plain_lines(&whole))
    }

    /// Waits until a piece of text appears, and gives the line that it appeared in, as far as it was written. What came
    /// before it is gone for the next call, so that milestones can be waited for in their order.
    ///
    /// Text is compared without colours and other escape sequences, and need not end a line: prompts are found too.
    /// `alive` is asked all the while; when it fails, so does this.
    ///
    /// # Errors
    /// [`MachineError::Silent`] when the text does not appear in time, whatever `alive` returns, and an interruption.
    pub fn wait_for(
        &mut self,
        pattern: &str,
        timeout: Duration,
        mut alive: impl FnMut() -> Result<(), MachineError>,
    ) -> Result<String, MachineError> {
        let began = Instant::now();
        loop {
            // Asked before reading: what a machine wrote just before it ended counts.
            let state = alive();
            self.read()?;
            if let Some(line) = self.find(pattern) {
                return Ok(line);
            }
            state?;
            interrupt::check()?;
            if began.elapsed() >= timeout {
                return Err(MachineError::Silent {
                    machine: self.machine.clone(),
                    pattern: pattern.to_owned(),
                    waited: timeout,
                    last: self.last_lines(),
                    console: self.log.clone(),
                });
            }
            std::thread::sleep(TICK);
        }
    }

    /// Last lines that were read, as plain text.
    pub fn last_lines(&self) -> Vec<String> {
        let mut lines = self.last.clone();
        lines.extend(plain_lines(&self.pending));
        lines.split_off(lines.len().saturating_sub(SHOWN))
    }

    /// Removes a line with the pattern, and all before it, from the pending bytes.
    fn find(&mut self, pattern: &str) -> Option<String> {
        let mut start = 0;
        let next = |pending: &[u8], start: usize| -> Option<(usize, bool, String)> {
            let line = pending.get(start..)?.split_inclusive(|byte| *byte == b'\n').next()?;
            Some((line.len(), line.ends_with(b"\n"), plain_text(line)))
        };
        while let Some((length, whole, line)) = next(&self.pending, start) {
            let found = line.contains(pattern);
            if whole && !line.is_empty() {
                self.remember(line.clone());
            } else if !whole && !found {
                break;
            }
            start += length;
            if found {
                self.pending.drain(..start);
                return Some(line);
            }
        }
        self.pending.drain(..start);
        None
    }

    fn remember(&mut self, line: String) {
        self.last.push(line);
        if self.last.len() > 4 * SHOWN {
            self.last.drain(..2 * SHOWN);
        }
    }

    fn read(&mut self) -> Result<(), MachineError> {
        let mut file = match fs_err::File::open(&self.log) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(MachineError::file("read the console's log"))?,
        };
        let seen = file
            .seek(SeekFrom::Start(self.position))
            .and_then(|_| file.read_to_end(&mut self.pending))
            .map_err(MachineError::file("read the console's log"))?;
        self.position += seen as u64;
        Ok(())
    }
}

/// Converts terminal output to plain text: its lines without escape sequences, carriage returns and other control
/// characters. Empty lines are left out.
pub fn plain_lines(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.split(|byte| *byte == b'\n').map(plain_text);
    lines.filter(|line| !line.is_empty()).collect()
}

/// Converts one line of terminal output.
fn plain_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    basalt_process::plain_text(&text)
        .replace('\t', " ")
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn console(text: &str) -> (tempfile::TempDir, Console) {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Utf8PathBuf::from_path_buf(folder.path().join("console.log")).expect("UTF-8");
        fs_err::write(&log, text).expect("writable");
        (folder, Console::new("node-1", log))
    }

    const SOON: Duration = Duration::from_millis(120);

    #[test]
    fn colours_and_titles_are_not_text() {
        let raw = b"\x1b]3008;start=1\x1b\\[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39mkubelet\x1b[0m.\r\n";
        assert_eq!(plain_text(raw), "[  OK  ] Started kubelet.");
    }

    #[test]
    fn milestones_come_in_order() {
        let (_folder, mut console) = console("one\r\ntwo \x1b[1mthree\x1b[0m\nfour\nlogin: ");
        assert_eq!(
            console.wait_for("two three", SOON, || Ok(())).expect("there"),
            "two three"
        );
        assert_eq!(console.wait_for("login:", SOON, || Ok(())).expect("there"), "login:");
        let error = console.wait_for("one", SOON, || Ok(())).expect_err("is past");
        let MachineError::Silent { last, pattern, .. } = &error else {
            panic!("{error:?}")
        };
        assert_eq!(pattern, "one");
        assert_eq!(last, &["one", "two three", "four"]);
    }

    #[test]
    fn text_that_comes_later_is_found() {
        let (_folder, mut console) = console("start\n");
        let log = console.log().to_owned();
        let writer = std::thread::spawn(move || {
            for piece in ["Re", "ady", "\n"] {
                std::thread::sleep(Duration::from_millis(60));
                let mut log = fs_err::OpenOptions::new().append(true).open(&log).expect("there");
                log.write_all(piece.as_bytes()).expect("writable");
            }
        });
        assert_eq!(
            console
                .wait_for("Ready", Duration::from_secs(5), || Ok(()))
                .expect("comes"),
            "Ready"
        );
        writer.join().expect("ends");
    }

    #[test]
    fn output_before_the_end_of_a_process_is_read() {
        let dead = || Err(MachineError::file("live")(std::io::ErrorKind::Other.into()));
        let (_folder, mut console) = console("Power down\n");
        assert!(console.wait_for("Power down", SOON, dead).is_ok());
        assert!(matches!(
            console.wait_for("more", SOON, dead),
            Err(MachineError::File { .. })
        ));
    }

    #[test]
    fn lines_are_given_once_and_whole() {
        let (_folder, mut console) = console("a\r\n\nb\npart");
        assert_eq!(console.lines().expect("readable"), ["a", "b"]);
        assert!(console.lines().expect("readable").is_empty());
        assert_eq!(console.last_lines(), ["part"]);
    }
}
