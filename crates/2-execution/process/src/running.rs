//! A program while it runs.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};

use crate::lines::Lines;
use crate::{ProcessError, cpu, interrupt, plain_text};

/// Interval at which an interruption is looked for.
const TICK: Duration = Duration::from_millis(100);
/// Time that a program may take to end by itself once asked (SIGTERM), unless its command says otherwise.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// Time to wait for a program that was killed; longer only when the kernel itself is stuck in a call of it.
const KILLED: Duration = Duration::from_millis(500);
/// Time after a program's end for which its outputs are read on, when a child that it left holds them open.
const DRAIN: Duration = Duration::from_millis(500);
/// Number of the last lines that an error shows.
const TAIL: usize = 20;

/// Either of a program's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Processes that a signal of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The process group that the program leads.
    Group,
    /// The program alone, which shares our group and terminal.
    Process,
}

/// A program that was started. Dropping it ends the program and all of its process group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Becomes readable when the program ends; kernels before 5.3 have none.
    pidfd: Option<OwnedFd>,
    reach: Reach,
    program: String,
    command: String,
    input: Vec<u8>,
    ended: Option<ExitStatus>,
    given_up: bool,
    cpu_time: Option<Duration>,
    started: Instant,
    time_limit: Option<Duration>,
    grace: Duration,
}

impl Running {
    pub(crate) fn new(child: Child, reach: Reach, program: String, command: String, input: Vec<u8>) -> Self {
        let pidfd = pid(&child).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Self {
            child,
            pidfd,
            reach,
            program,
            command,
            input,
            ended: None,
            given_up: false,
            cpu_time: None,
            started: Instant::now(),
            time_limit: None,
            grace: GRACE,
        }
    }

    /// Sets the time after which it is ended, and the one that it may then take to end by itself.
    pub(crate) fn with_times(mut self, limit: Option<Duration>, grace: Duration) -> Self {
        self.time_limit = limit;
        self.grace = grace;
        self
    }

    /// The command in a form for pasting.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time, user and system, of the ended program and of all descendants that were waited for. None while it runs,
    /// or where `/proc` has no figures.
    pub fn cpu_time(&self) -> Option<Duration> {
        self.cpu_time
    }

    /// Waits for the end, giving each line that is written, on either output, to `line`: as [`plain_text`], without its
    /// end, and cut where it is longer than 1 MiB.
    ///
    /// # Errors
    /// See [`ProcessError`]; an exit status other than 0 is one, with the last lines.
    pub fn lines(&mut self, mut line: impl FnMut(&str)) -> Result<(), ProcessError> {
        let mut tail = Vec::new();
        let mut take = |text: &str| {
            line(text);
            if tail.len() == 2 * TAIL {
                tail.drain(..TAIL);
            }
            tail.push(text.to_owned());
        };
        // A part for each output: what the one has begun is not ended by what the other writes.
        let (mut out, mut err) = (Lines::default(), Lines::default());
        let status = self.wait_with(|stream, bytes| {
            match stream {
                Stream::Out => out.push(bytes, &mut take),
                Stream::Err => err.push(bytes, &mut take),
            }
            Ok(())
        })?;
        out.finish(&mut take);
        err.finish(&mut take);
        self.check_status(status, &tail)
    }

    /// An error for an exit status other than 0.
    pub(crate) fn check_status(&self, status: ExitStatus, lines: &[String]) -> Result<(), ProcessError> {
        if status.success() {
            return Ok(());
        }
        let tail = lines.iter().skip(lines.len().saturating_sub(TAIL));
        Err(ProcessError::Failed {
            program: self.program.clone(),
            command: self.command.clone(),
            status,
            tail: tail.map(|line| plain_text(line).into_owned()).collect(),
        })
    }

    /// Waits for the end; what is written meanwhile goes to `take` in pieces, whose error ends the program. A program
    /// that closed its outputs is waited for; outputs that a child of an ended program holds are read no longer than
    /// [`DRAIN`].
    pub(crate) fn wait_with(
        &mut self,
        mut take: impl FnMut(Stream, &[u8]) -> Result<(), ProcessError>,
    ) -> Result<ExitStatus, ProcessError> {
        let pieces = self.read_outputs();
        self.write_input();
        let mut read_on_until: Option<Instant> = None;
        let mut looked = Instant::now();
        loop {
            let closed = match pieces.recv_timeout(TICK) {
                Ok((stream, bytes)) => {
                    take(stream, &bytes).inspect_err(|_| self.stop())?;
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            self.obey_limits()?;
            if closed {
                return self.wait();
            }
            // Not only in silence: what is left behind may write without end.
            if looked.elapsed() >= TICK && read_on_until.is_none() {
                looked = Instant::now();
                read_on_until = self.try_wait()?.map(|_| looked + DRAIN);
            }
            if read_on_until.is_some_and(|until| Instant::now() >= until) {
                return self.wait();
            }
        }
    }

    /// Waits for the end, whatever happens to the outputs.
    ///
    /// # Errors
    /// [`ProcessError::Interrupted`], after ending the program; or when the system refuses to wait.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, ProcessError> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            self.obey_limits()?;
            self.wait_at_most(TICK);
        }
    }

    /// Ends it when we were asked to stop, and when it has used up its time.
    fn obey_limits(&mut self) -> Result<(), ProcessError> {
        interrupt::check()
            .and_then(|()| self.check_time())
            .inspect_err(|_| self.stop())
    }

    fn check_time(&self) -> Result<(), ProcessError> {
        match self.time_limit {
            Some(limit) if self.started.elapsed() > limit => Err(ProcessError::TimedOut {
                program: self.program.clone(),
                command: self.command.clone(),
                limit,
            }),
            _ => Ok(()),
        }
    }

    /// Exit status, if it has ended.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        if self.ended.is_none() {
            if let Some(pid) = pid(&self.child) {
                if !cpu::has_ended(pid) {
                    return Ok(None);
                }
                // Before it is reaped, after which /proc knows nothing of it.
                self.cpu_time = cpu::time_of_ended(pid);
            }
            self.ended = self.child.try_wait().map_err(|source| self.lost(source))?;
        }
        Ok(self.ended)
    }

    /// Ends it and its process group: asked first (SIGTERM), killed a second later, or after the command's grace. Takes at
    /// most half a second longer.
    pub fn stop(&mut self) {
        if self.is_over() {
            return;
        }
        self.signal(Signal::TERM);
        if !self.ends_within(self.grace) {
            self.signal(Signal::KILL);
            if !self.ends_within(KILLED) {
                // Stuck in the kernel. It ends when the call that it is in returns.
                tracing::warn!(program = self.program, id = self.id(), "was killed and has not ended");
                self.given_up = true;
            }
        } else if self.reach == Reach::Group {
            // Processes of the group that ignored SIGTERM.
            self.signal(Signal::KILL);
        }
    }

    fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            // A program that cannot be waited for is not there.
            if !matches!(self.try_wait(), Ok(None)) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.wait_at_most(left);
        }
    }

    /// Waits until it ends, but not longer than this time.
    fn wait_at_most(&self, time: Duration) {
        let Some(pidfd) = &self.pidfd else {
            std::thread::sleep(time.min(TICK / 10));
            return;
        };
        let mut descriptors = [PollFd::new(pidfd, PollFlags::IN)];
        if let Err(error) = poll(&mut descriptors, Timespec::try_from(time).ok().as_ref()) {
            // The caller only looks sooner.
            tracing::debug!(%error, program = self.program, "poll");
        }
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = pid(&self.child) else {
            return;
        };
        let sent = match self.reach {
            Reach::Group => kill_process_group(pid, signal),
            Reach::Process => kill_process(pid, signal),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, program = self.program, "could not be signalled");
        }
    }

    fn is_over(&self) -> bool {
        self.ended.is_some() || self.given_up
    }

    fn read_outputs(&mut self) -> Receiver<(Stream, Vec<u8>)> {
        let (sender, pieces) = mpsc::sync_channel(64);
        if let Some(out) = self.child.stdout.take() {
            read(out, Stream::Out, sender.clone());
        }
        if let Some(err) = self.child.stderr.take() {
            read(err, Stream::Err, sender);
        }
        pieces
    }

    fn write_input(&mut self) {
        if let Some(mut stdin) = self.child.stdin.take() {
            let input = std::mem::take(&mut self.input);
            // A program that stops reading early closes the pipe; its exit status tells the rest. The thread ends with
            // the last process that has the pipe, and nobody waits for it.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
    }

    fn lost(&self, source: std::io::Error) -> ProcessError {
        ProcessError::Output {
            program: self.program.clone(),
            source,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Reads in a thread that ends with the pipe, or when the receiver is gone.
fn read(from: impl Read + Send + 'static, stream: Stream, to: mpsc::SyncSender<(Stream, Vec<u8>)>) {
    let mut from = BufReader::with_capacity(64 * 1024, from);
    std::thread::spawn(move || {
        while let Ok(bytes) = from.fill_buf().map(<[u8]>::to_vec) {
            from.consume(bytes.len());
            if bytes.is_empty() || to.send((stream, bytes)).is_err() {
                return;
            }
        }
    });
}
