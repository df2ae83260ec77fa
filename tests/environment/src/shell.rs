//! The root shell on the console of a machine with a debug image.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use basalt_machine::{Files, plain_lines};
use basalt_process::interrupt;

use crate::{Failed, console_end, shown};

/// Time-out of one read, after which interruptions are looked at.
const TICK: Duration = Duration::from_millis(200);
/// Longest command, in bytes: the shell's own editor takes no more.
const LONGEST: usize = 1000;

/// Connection to the console, whose machine has been told to show a shell there.
#[derive(Debug)]
pub struct Shell {
    console: UnixStream,
    files: Files,
    /// Number of commands so far.
    count: u32,
}

impl Shell {
    /// Connects, and waits until the shell answers.
    ///
    /// # Errors
    /// When the console cannot be connected to, or no shell answers in time.
    pub fn open(files: &Files, timeout: Duration) -> Result<Self, Failed> {
        let console = UnixStream::connect(files.console_socket())?;
        console.set_read_timeout(Some(TICK))?;
        let mut shell = Self {
            console,
            files: files.clone(),
            count: 0,
        };
        let began = Instant::now();
        // What is typed before the shell is there may be lost.
        while shell.attempt("true", TICK * 25)?.is_none() {
            if began.elapsed() > timeout {
                let end = console_end(&files.console_log());
                return Err(format!("no shell answers within {timeout:?}; the end of the console:\n{end}").into());
            }
        }
        Ok(shell)
    }

    /// Runs a command, and returns its exit code and what it wrote, with whatever else came to the console meanwhile.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn run(&mut self, command: &str, timeout: Duration) -> Result<(i32, String), Failed> {
        let result = self.attempt(command, timeout)?;
        result.ok_or_else(|| {
            let end = console_end(&self.files.console_log());
            format!("`{command}` did not end within {timeout:?}; the end of the console:\n{end}").into()
        })
    }

    /// What a command wrote that ended well.
    ///
    /// # Errors
    /// As of [`Self::run`], and when the command fails.
    pub fn output(&mut self, command: &str, timeout: Duration) -> Result<String, Failed> {
        match self.run(command, timeout)? {
            (0, text) => Ok(text),
            (code, text) => Err(format!("exit code {code} of `{command}`:\n{text}").into()),
        }
    }

    /// Runs a command; none when it does not end in time.
    fn attempt(&mut self, command: &str, timeout: Duration) -> Result<Option<(i32, String)>, Failed> {
        if command.len() > LONGEST || command.contains('\n') {
            return Err(format!("this is no command of one line: {command}").into());
        }
        self.count += 1;
        let (begin, end) = (format!("begin-{}@", self.count), format!("end-{}@", self.count));
        // The shell writes what is typed, too: there, the marks are not whole.
        let line = format!("printf '\\n@%s\\n' {begin}; ( {command} ) 2>&1; printf '\\n@%s%s@\\n' {end} $?\n");
        self.console.write_all(line.as_bytes())?;
        let (begin, end) = (format!("@{begin}"), format!("@{end}"));
        let (began, mut bytes, mut buffer) = (Instant::now(), Vec::new(), [0; 4096]);
        while began.elapsed() < timeout {
            interrupt::check().map_err(shown)?;
            match self.console.read(&mut buffer) {
                Ok(0) => return Err("the machine has ended".into()),
                Ok(length) => bytes.extend(buffer.iter().take(length)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(result) = found(&plain_lines(&bytes), &begin, &end) {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }
}

/// Exit code and output of a command in the lines of a console.
fn found(lines: &[String], begin: &str, end: &str) -> Option<(i32, String)> {
    let from = lines.iter().position(|line| line.contains(begin))?;
    let mut output = Vec::new();
    for line in lines.iter().skip(from + 1) {
        if let Some((before, rest)) = line.split_once(end) {
            output.extend((!before.is_empty()).then(|| before.to_owned()));
            let code = rest.split('@').next()?.parse().ok()?;
            return Some((code, output.join("\n")));
        }
        output.push(line.clone());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use camino::Utf8Path;

    use super::*;

    /// A console that shows what is typed, and answers the second command that it gets.
    fn console(folder: &Utf8Path, answer: &'static str) -> Files {
        let files = Files::new(folder);
        let listener = UnixListener::bind(files.console_socket()).expect("binds");
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            let mut buffer = [0; 4096];
            let mut count = 0;
            while let Ok(length @ 1..) = client.read(&mut buffer) {
                count += 1;
                client.write_all(&buffer[..length]).expect("writes");
                if count > 1 {
                    let text = format!("\r\n@begin-{count}@\r\n{answer}\r\n@end-{count}@3@\r\n# ");
                    client.write_all(text.as_bytes()).expect("writes");
                }
            }
        });
        files
    }

    #[test]
    fn a_command_is_run_once_the_shell_is_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let files = console(path, "one\r\n[  5.0] a message\r\ntwo");
        let mut shell = Shell::open(&files, Duration::from_secs(30)).expect("answers");
        let (code, text) = shell.run("cat file", Duration::from_secs(30)).expect("ends");
        assert_eq!((code, text.as_str()), (3, "one\n[  5.0] a message\ntwo"));
        assert!(shell.output("cat file", Duration::from_secs(30)).is_err());
        assert!(shell.run("a\nb", Duration::from_secs(30)).is_err());
    }

    #[test]
    fn what_is_typed_is_no_answer() {
        let typed = "# printf '\\n@%s\\n' begin-1@; ( true ) 2>&1; printf '\\n@%s%s@\\n' end-1@ $?".to_owned();
        let lines = |more: &[&str]| {
            [
                &[typed.clone()][..],
                &more.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(),
            ]
            .concat()
        };
        assert_eq!(found(&lines(&[]), "@begin-1@", "@end-1@"), None);
        assert_eq!(found(&lines(&["@begin-1@", "@end-1@"]), "@begin-1@", "@end-1@"), None);
        let whole = lines(&["@begin-1@", "a", "b@end-1@0@"]);
        assert_eq!(found(&whole, "@begin-1@", "@end-1@"), Some((0, "a\nb".to_owned())));
    }
}
