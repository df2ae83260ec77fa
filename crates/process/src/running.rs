//! A program while it runs.

use std::io::{Read, Write};
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{ProcessError, interrupt};

/// How soon an interruption is noticed.
const TICK: Duration = Duration::from_millis(100);
/// How long a program may take to end by itself once asked.
const GRACE: Duration = Duration::from_secs(3);

/// Which of a program's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A program that was started. Dropping it ends the program and all of its process group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    program: String,
    command: String,
    input: Vec<u8>,
    ended: bool,
}

impl Running {
    pub(crate) fn new(child: Child, program: String, command: String, input: Vec<u8>) -> Self {
        Self {
            child,
            program,
            command,
            input,
            ended: false,
        }
    }

    /// The command in a form for pasting.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; what is written meanwhile goes to `take` in pieces.
    pub(crate) fn wait_with(&mut self, mut take: impl FnMut(Stream, &[u8])) -> Result<ExitStatus, ProcessError> {
        let (sender, pieces) = mpsc::sync_channel::<(Stream, Vec<u8>)>(64);
        let mut readers = Vec::new();
        if let Some(out) = self.child.stdout.take() {
            readers.push(read(out, Stream::Out, sender.clone()));
        }
        if let Some(err) = self.child.stderr.take() {
            readers.push(read(err, Stream::Err, sender.clone()));
        }
        drop(sender);
        if let Some(mut stdin) = self.child.stdin.take() {
            let input = std::mem::take(&mut self.input);
            // A program that stops reading early closes the pipe; its exit status tells the rest.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        // The outputs may outlive the program when it leaves a child behind that holds them, so its end counts too.
        let mut ended: Option<(ExitStatus, Instant)> = None;
        let status = loop {
            match pieces.recv_timeout(TICK) {
                Ok((stream, bytes)) => take(stream, &bytes),
                Err(RecvTimeoutError::Disconnected) => break self.child.wait().map_err(|source| self.lost(source))?,
                Err(RecvTimeoutError::Timeout) => {
                    if ended.is_none() {
                        let status = self.child.try_wait().map_err(|source| self.lost(source))?;
                        ended = status.map(|status| (status, Instant::now()));
                    }
                    if let Some((status, since)) = ended
                        && since.elapsed() > 5 * TICK
                    {
                        break status;
                    }
                }
            }
            if interrupt::requested() {
                self.stop();
                return Err(ProcessError::Interrupted);
            }
        };
        self.ended = true;
        Ok(status)
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        let status = self.child.try_wait().map_err(|source| self.lost(source))?;
        self.ended |= status.is_some();
        Ok(status)
    }

    /// Ends it and its process group: asked first, then without mercy.
    pub fn stop(&mut self) {
        if self.ended {
            return;
        }
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let signal = |signal| group.map(|group| kill_process_group(group, signal));
        signal(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(TICK / 5);
        }
        signal(Signal::KILL);
        // Nothing more can be done when a killed child cannot be waited for.
        drop(self.child.wait());
        self.ended = true;
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

fn read(
    mut from: impl Read + Send + 'static,
    stream: Stream,
    to: mpsc::SyncSender<(Stream, Vec<u8>)>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length) = from.read(&mut buffer) {
            if length == 0 || to.send((stream, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    })
}
