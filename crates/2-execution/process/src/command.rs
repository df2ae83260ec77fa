//! A program and its arguments, before it runs.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use camino::Utf8PathBuf;
use command_fds::CommandFdExt as _;
use rustix::fs::{MemfdFlags, SealFlags};

use crate::interrupt::SigintToChild;
use crate::running::{GRACE, Reach, Running, Stream};
use crate::tool::{self, Tool};
use crate::{ProcessError, quote};

/// Most bytes that [`Command::output`] keeps, of both outputs together. All outputs that are read whole are far
/// smaller; a program that writes without end would take all memory.
const MOST_OUTPUT: usize = 64 * 1024 * 1024;

/// Most bytes of standard error that [`Command::stream`] keeps: the last ones.
const MOST_ERRORS: usize = 64 * 1024;

/// A program with its arguments, environment and input.
#[derive(Debug, Clone)]
pub struct Command {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, Option<OsString>)>,
    clear_environment: bool,
    directory: Option<Utf8PathBuf>,
    input: Vec<u8>,
    sealed: Option<Vec<u8>>,
    shown: Option<String>,
    named: Option<String>,
    time_limit: Option<Duration>,
    grace: Duration,
}

/// Output of a program that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// Standard error, whole.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text, without white space at its end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

impl Command {
    /// A program by name or path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            clear_environment: false,
            directory: None,
            input: Vec::new(),
            sealed: None,
            shown: None,
            named: None,
            time_limit: None,
            grace: GRACE,
        }
    }

    /// A program of the host.
    pub fn tool(tool: Tool) -> Self {
        Self::new(tool.program)
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments
            .extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.as_ref().to_owned(), Some(value.as_ref().to_owned())));
        self
    }

    /// Takes a variable away.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), None));
        self
    }

    /// Starts from no variables at all.
    pub fn env_clear(mut self) -> Self {
        self.clear_environment = true;
        self
    }

    /// Runs it in a folder.
    pub fn current_dir(mut self, directory: impl Into<Utf8PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Sets the content of standard input; empty by default.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Hands `bytes` to the program outside of its arguments, its environment and its standard input: in a sealed file in
    /// memory (memfd) that it inherits. The number of the descriptor is its last argument.
    pub fn sealed_input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.sealed = Some(bytes.into());
        self
    }

    /// Sets the text that errors show for the command, where its arguments would not be informative.
    pub fn shown_as(mut self, text: impl Into<String>) -> Self {
        self.shown = Some(text.into());
        self
    }

    /// Sets the name that errors give to the program: for a program that starts another one, the other's.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.named = Some(name.into());
        self
    }

    /// Ends the program, with [`ProcessError::TimedOut`], when it has run for longer; by default it may run for ever. The
    /// callers of [`Self::to_std`] and [`Self::interactive`] keep the time themselves.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// Sets the time that the program may take to end by itself once asked (SIGTERM), before it is killed: a second by
    /// default. For programs that leave something behind elsewhere when they are killed.
    pub fn grace(mut self, time: Duration) -> Self {
        self.grace = time;
        self
    }

    /// The program's name, without its folder, or the one that was set.
    pub fn name(&self) -> String {
        if let Some(name) = &self.named {
            return name.clone();
        }
        let path = Path::new(&self.program);
        path.file_name().unwrap_or(&self.program).to_string_lossy().into_owned()
    }

    /// The whole command in a form that a shell reads back.
    pub fn pasteable(&self) -> String {
        if let Some(shown) = &self.shown {
            return shown.clone();
        }
        let mut words = Vec::new();
        if let Some(directory) = &self.directory {
            words.push(format!("cd {} &&", quote(directory.as_str())));
        }
        if self.clear_environment || !self.environment.is_empty() {
            words.push("env".to_owned());
        }
        if self.clear_environment {
            words.push("-i".to_owned());
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => words.push(format!("{}={}", name.to_string_lossy(), quote(value))),
                None => words.push(format!("-u {}", name.to_string_lossy())),
            }
        }
        words.push(quote(&self.program));
        words.extend(self.arguments.iter().map(quote));
        words.join(" ")
    }

    /// The same as the standard library's type, for callers that manage the process themselves.
    #[expect(clippy::disallowed_methods, reason = "all child processes are made here")]
    pub fn to_std(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments);
        if self.clear_environment {
            command.env_clear();
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        if let Some(bytes) = &self.sealed {
            // Without a descriptor (the limit of open files) the argument lacks, which is for the program to report.
            if let Ok(file) = sealed(bytes) {
                command.arg(file.as_raw_fd().to_string()).preserved_fds(vec![file]);
            }
        }
        command
    }

    /// Starts it with both outputs piped, in a process group of its own.
    ///
    /// # Errors
    /// When the program is missing or cannot be started.
    pub fn spawn(&self) -> Result<Running, ProcessError> {
        tracing::debug!(command = %self.pasteable(), "running");
        let mut command = self.to_std();
        command.stdin(if self.input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command.spawn().map_err(|source| self.start_error(source))?;
        let input = self.input.clone();
        let running = Running::new(child, Reach::Group, self.name(), self.pasteable(), input);
        Ok(running.with_times(self.time_limit, self.grace))
    }

    /// Runs an interactive program to its end on our terminal. Ctrl-C is for the program alone meanwhile;
    /// SIGTERM and SIGHUP to us end it.
    ///
    /// # Errors
    /// When the program is missing or cannot be started, and [`ProcessError::Interrupted`]. How it ended is in the status.
    pub fn interactive(&self) -> Result<std::process::ExitStatus, ProcessError> {
        let _left = SigintToChild::begin();
        let child = self.to_std().spawn().map_err(|source| self.start_error(source))?;
        Running::new(child, Reach::Process, self.name(), self.pasteable(), Vec::new()).wait()
    }

    /// Runs it to its end and keeps what it wrote. A program that writes more than 64 MiB is ended.
    ///
    /// # Errors
    /// See [`ProcessError`]; an exit status other than 0 is one.
    pub fn output(&self) -> Result<Output, ProcessError> {
        let mut output = Output::default();
        let mut running = self.spawn()?;
        let status = running.wait_with(|stream, bytes| {
            if output.stdout.len() + output.stderr.len() + bytes.len() > MOST_OUTPUT {
                return Err(self.output_too_long());
            }
            match stream {
                Stream::Out => output.stdout.extend_from_slice(bytes),
                Stream::Err => output.stderr.extend_from_slice(bytes),
            }
            Ok(())
        })?;
        if status.success() {
            return Ok(output);
        }
        let words = if output.stderr.trim_ascii().is_empty() {
            &output.stdout
        } else {
            &output.stderr
        };
        let lines: Vec<_> = String::from_utf8_lossy(words).lines().map(str::to_owned).collect();
        running.check_status(status, &lines)?;
        Ok(output)
    }

    /// Runs it to its end, giving what it writes to standard output to `take`, in pieces as they come, and keeping none of
    /// it. For outputs of any size, such as archives.
    ///
    /// # Errors
    /// See [`ProcessError`]; an exit status other than 0 is one, with the last lines of standard error. An error of `take`
    /// ends the program, and is the source of [`ProcessError::Output`].
    pub fn stream(&self, mut take: impl FnMut(&[u8]) -> std::io::Result<()>) -> Result<(), ProcessError> {
        let mut errors = Vec::new();
        let mut running = self.spawn()?;
        let status = running.wait_with(|stream, bytes| match stream {
            Stream::Out => take(bytes).map_err(|source| ProcessError::Output {
                program: self.name(),
                source,
            }),
            Stream::Err => {
                errors.extend_from_slice(bytes);
                let excess = errors.len().saturating_sub(MOST_ERRORS);
                errors.drain(..excess);
                Ok(())
            }
        })?;
        let lines: Vec<_> = String::from_utf8_lossy(&errors).lines().map(str::to_owned).collect();
        running.check_status(status, &lines)
    }

    /// Runs it to its end, giving each line that it writes, on either output, to `line`: see [`Running::lines`].
    ///
    /// # Errors
    /// See [`ProcessError`]; an exit status other than 0 is one.
    pub fn lines(&self, line: impl FnMut(&str)) -> Result<(), ProcessError> {
        self.spawn()?.lines(line)
    }

    fn output_too_long(&self) -> ProcessError {
        ProcessError::OutputTooLong {
            program: self.name(),
            command: self.pasteable(),
            most: MOST_OUTPUT,
        }
    }

    fn start_error(&self, source: std::io::Error) -> ProcessError {
        if source.kind() != std::io::ErrorKind::NotFound {
            return ProcessError::Start {
                program: self.name(),
                command: self.pasteable(),
                source,
            };
        }
        let program = self.program.to_string_lossy().into_owned();
        let tool = tool::find(&program);
        let package = tool.and_then(|tool| tool.package);
        ProcessError::Missing {
            program,
            purpose: tool.map(|tool| tool.purpose),
            help: package.map(|package| format!("on Debian or Ubuntu: apt-get install {package}")),
        }
    }
}

/// A sealed file in memory (memfd), positioned at its start. It is closed on exec unless preserved.
fn sealed(bytes: &[u8]) -> rustix::io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(c"sealed-input", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut rest = bytes;
    let mut offset = 0;
    while !rest.is_empty() {
        let written = rustix::io::pwrite(&file, rest, offset)?;
        rest = rest.get(written..).unwrap_or_default();
        offset += u64::try_from(written).unwrap_or_default();
    }
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_streamed() {
        let mut bytes = Vec::new();
        let command = Command::new("sh").args(["-c", "head -c 300000 /dev/zero; echo a note >&2"]);
        let streamed = command.stream(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        assert!(
            streamed.is_ok() && bytes.len() == 300_000,
            "{streamed:?} {}",
            bytes.len()
        );
        let failed = Command::new("sh").args(["-c", "echo a; echo b >&2; exit 4"]);
        let error = failed.stream(|_| Ok(())).expect_err("exit status 4");
        assert!(
            matches!(&error, ProcessError::Failed { tail, .. } if tail == &["b"]),
            "{error:?}"
        );
        let full = Command::new("yes").stream(|_| Err(std::io::ErrorKind::StorageFull.into()));
        assert!(matches!(full, Err(ProcessError::Output { .. })), "{full:?}");
    }

    #[test]
    fn a_failure_can_be_pasted_and_shows_the_last_words() {
        let command = Command::new("sh")
            .args(["-c", "echo first; echo it broke >&2; exit 3"])
            .env("A", "b c");
        let error = command.output().expect_err("exit status 3");
        let ProcessError::Failed {
            command, tail, status, ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(status.code(), Some(3));
        assert_eq!(tail, &["it broke"]);
        assert_eq!(command, "env A='b c' sh -c 'echo first; echo it broke >&2; exit 3'");
    }

    #[test]
    fn a_program_that_starts_another_one_can_have_its_name() {
        let error = Command::new("sh").args(["-c", "exit 3"]).named("rpmspec").output();
        let text = error.expect_err("exit status 3").to_string();
        assert!(text.starts_with("`rpmspec` failed (exit status 3)"), "{text}");
    }

    #[test]
    fn no_escape_sequence_of_a_program_is_shown() {
        let script = r"printf '\033]52;c;eA==\007it broke\n' >&2; exit 3";
        let command = Command::new("sh").args(["-c", script]);
        let mut seen = Vec::new();
        for error in [
            command.output().expect_err("exit status 3"),
            command
                .lines(|line| seen.push(line.to_owned()))
                .expect_err("exit status 3"),
        ] {
            let ProcessError::Failed { tail, .. } = &error else {
                panic!("{error:?}")
            };
            assert_eq!(tail, &["it broke"]);
        }
        assert_eq!(seen, ["it broke"]);
    }

    #[test]
    fn a_missing_tool_names_its_package() {
        let missing = Tool {
            program: "no-such-program-here",
            package: None,
            purpose: "is not there",
        };
        assert!(matches!(
            Command::tool(missing).output(),
            Err(ProcessError::Missing { .. })
        ));
    }

    #[test]
    fn lines_come_whole_and_in_order() {
        let mut seen = Vec::new();
        let command = Command::new("sh").args(["-c", "printf 'a\\nb'; sleep 0.05; printf 'c\\nd'"]);
        command.lines(|line| seen.push(line.to_owned())).expect("succeeds");
        assert_eq!(seen, ["a", "bc", "d"]);
    }

    #[test]
    fn what_one_output_has_begun_the_other_does_not_end() {
        let mut seen = Vec::new();
        let script = "printf 'test result: '; sleep 0.05; echo other >&2; sleep 0.05; echo ok";
        let command = Command::new("sh").args(["-c", script]);
        command.lines(|line| seen.push(line.to_owned())).expect("succeeds");
        assert_eq!(seen, ["other", "test result: ok"]);
    }

    #[test]
    fn input_arrives_and_output_is_whole() {
        let input = "x".repeat(300_000);
        let output = Command::new("cat")
            .input(input.as_bytes())
            .output()
            .expect("cat succeeds");
        assert_eq!(output.stdout.len(), input.len());
    }

    #[test]
    fn a_program_that_writes_without_end_is_ended() {
        let began = std::time::Instant::now();
        for script in ["yes", "yes >&2"] {
            let error = Command::new("sh").args(["-c", script]).output().expect_err("too much");
            assert!(matches!(error, ProcessError::OutputTooLong { .. }), "{error}");
        }
        assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
    }

    #[test]
    fn outputs_that_a_grandchild_holds_do_not_keep_us() {
        let began = std::time::Instant::now();
        // In silence, and without end.
        for left_behind in ["sleep 20", "while :; do echo word; sleep 0.01; done"] {
            let script = format!("setsid timeout 20 sh -c '{left_behind}' & echo mine");
            let output = Command::new("sh").args(["-c", &script]).output().expect("succeeds");
            assert!(output.text().starts_with("mine") || output.text().contains("\nmine"));
        }
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn input_that_is_not_read_does_not_keep_us() {
        let input = vec![b'x'; 1024 * 1024];
        let output = Command::new("true").input(input).output().expect("succeeds");
        assert_eq!(output, Output::default());
    }

    #[test]
    fn outputs_closed_early_do_not_hide_the_end() {
        let script = "exec >&- 2>&-; sleep 0.2; exit 4";
        let error = Command::new("sh")
            .args(["-c", script])
            .output()
            .expect_err("exit status 4");
        assert!(matches!(error, ProcessError::Failed { status, .. } if status.code() == Some(4)));
    }

    #[test]
    fn the_cpu_time_is_that_of_the_program_and_its_children() {
        let script = "sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done'; true";
        let mut busy = Command::new("sh").args(["-c", script]).spawn().expect("starts");
        busy.lines(|_| {}).expect("succeeds");
        let mut idle = Command::new("sleep").arg("0.3").spawn().expect("starts");
        assert_eq!(idle.cpu_time(), None);
        idle.lines(|_| {}).expect("succeeds");
        let (busy, idle) = (busy.cpu_time().expect("known"), idle.cpu_time().expect("known"));
        assert!(busy > idle && !busy.is_zero(), "{busy:?}, {idle:?}");
        assert!(idle < std::time::Duration::from_millis(200), "{idle:?}");
    }

    #[test]
    fn a_program_ends_at_its_time_limit() {
        let began = std::time::Instant::now();
        // In silence, with output without end, and without outputs.
        for script in [
            "sleep 60",
            "while :; do echo word; sleep 0.01; done",
            "exec >&- 2>&-; sleep 60",
        ] {
            let command = Command::new("sh")
                .args(["-c", script])
                .time_limit(Duration::from_millis(200));
            let error = command.output().expect_err("out of time");
            assert!(matches!(error, ProcessError::TimedOut { .. }), "{script}: {error:?}");
        }
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
        let quick = Command::new("echo").arg("here").time_limit(Duration::from_secs(60));
        assert_eq!(quick.output().expect("succeeds").text(), "here");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_after_its_grace() {
        let times = [(100, 0..1000), (1500, 1500..20_000)];
        for (grace, expected) in times {
            let command = Command::new("sh")
                .args(["-c", "trap '' TERM; while :; do sleep 0.05; done"])
                .time_limit(Duration::from_millis(200))
                .grace(Duration::from_millis(grace));
            let began = std::time::Instant::now();
            let error = command.output().expect_err("out of time");
            assert!(matches!(error, ProcessError::TimedOut { .. }), "{error:?}");
            let took = began.elapsed().as_millis().saturating_sub(200);
            assert!(expected.contains(&took), "{grace} ms: {took} ms");
        }
    }

    #[test]
    fn sealed_input_is_inherited_and_cannot_be_changed() {
        let script = r#"cat "/proc/self/fd/$0"; echo x 2>/dev/null >>"/proc/self/fd/$0" || echo ' sealed'"#;
        let command = Command::new("sh").args(["-c", script]).sealed_input("secret words");
        assert!(!command.pasteable().contains("secret"));
        for _ in 0..2 {
            let output = command.output().expect("succeeds");
            assert_eq!(output.text(), "secret words sealed");
        }
    }
}
