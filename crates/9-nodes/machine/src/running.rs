//! Machine while it runs.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use basalt_process::interrupt;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::machine::Files;
use crate::{
    Accelerator, Console, Machine, MachineError, QemuTools, Qmp, disk, plain_lines, qemu_call, smbios_strings,
};

/// Interval of checks for the end of QEMU.
const TICK: Duration = Duration::from_millis(20);
/// Time-out of QEMU's answers.
const ANSWER: Duration = Duration::from_secs(10);
/// Time-out of the first answer of a QEMU that runs. On a loaded machine its start takes many times longer than usual.
const STARTING: Duration = Duration::from_secs(120);
/// Operation of a start, in errors.
const START: &str = "starting";
/// Greatest number of lines of QEMU's log in an error.
const SHOWN: usize = 20;

/// Machine that was started. Dropping it kills QEMU.
#[derive(Debug)]
pub struct RunningMachine {
    name: String,
    files: Files,
    child: Child,
    command: String,
    ended: Option<ExitStatus>,
}

/// Manner in which a machine was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Ended before a request reached it.
    Already,
    /// Shut down after a press of its power button.
    Orderly,
    /// Switched off, because it did not shut down in time.
    Unplugged,
    /// Killed, because QEMU did not answer either.
    Killed,
}

impl Machine {
    /// Makes the machine's files in its folder and starts it. Returns once QEMU answers on its control socket; the
    /// guest's output is read from its [`Console`]. Call it from a thread that lives as long as the machine: the
    /// sandbox that QEMU runs in ends with the thread that started it.
    ///
    /// # Errors
    /// When the description is invalid, a file cannot be made, or QEMU ends or does not answer.
    pub fn start(&self, tools: &dyn QemuTools, accelerator: Accelerator) -> Result<RunningMachine, MachineError> {
        if let Some((reason, help)) = self.problem() {
            return Err(MachineError::Description {
                machine: self.name.clone(),
                reason,
                help,
            });
        }
        let firmware = tools.firmware(self.arch);
        let files = self.files();
        self.prepare(tools, &firmware)?;
        let command = tools.command(&qemu_call(self, &firmware, accelerator));
        let pasteable = command.pasteable();
        tracing::debug!(command = %pasteable, "starting a machine");
        let log = fs_err::File::create(files.qemu_log()).map_err(MachineError::file("make QEMU's log"))?;
        let log_too = log.try_clone().map_err(MachineError::file("make QEMU's log"))?;
        let child = command
            .to_std()
            .stdin(Stdio::null())
            .stdout(log.into_file())
            .stderr(log_too.into_file())
            .process_group(0)
            .spawn()
            .map_err(MachineError::file(format!("start QEMU with: {pasteable}")))?;
        let mut running = RunningMachine {
            name: self.name.clone(),
            files,
            child,
            command: pasteable,
            ended: None,
        };
        running.wait_until_it_answers()?;
        Ok(running)
    }

    fn prepare(&self, tools: &dyn QemuTools, firmware: &crate::Firmware) -> Result<(), MachineError> {
        let files = self.files();
        fs_err::create_dir_all(&self.folder).map_err(MachineError::file("make the machine's folder"))?;
        disk::make_overlays(self, tools)?;
        if !files.variables().exists() {
            let fresh = files.variables().with_extension("new");
            fs_err::copy(&firmware.variables, &fresh).map_err(MachineError::file("copy the firmware's variables"))?;
            fs_err::rename(&fresh, files.variables()).map_err(MachineError::file("copy the firmware's variables"))?;
        }
        if let Some(config) = &self.config_disk {
            config.write(&files.config_disk())?;
        }
        for (index, string) in smbios_strings(self).into_iter().enumerate() {
            fs_err::write(files.smbios(index), string).map_err(MachineError::file("write what the machine is told"))?;
        }
        // Left by an earlier run; a client that waits for the new ones must not find these.
        for stale in [files.console_log(), files.console_socket(), files.control_socket()] {
            match fs_err::remove_file(stale) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(MachineError::file("take away the files of an earlier run")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl RunningMachine {
    /// Name of the machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Paths of the machine's files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Process id of QEMU, or of the sandbox around it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Command line of QEMU, to be pasted into a shell.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Reader of the machine's console, from its beginning on.
    pub fn console(&self) -> Console {
        Console::new(&self.name, self.files.console_log())
    }

    /// Connects to QEMU's control socket. Drop the connection when done: only one can be open at a time.
    ///
    /// # Errors
    /// When QEMU does not answer; [`MachineError::Ended`] at once when it has ended.
    pub fn control(&mut self) -> Result<Qmp, MachineError> {
        let socket = self.files.control_socket();
        Qmp::connect(&socket, ANSWER, || self.check("connecting to its control socket"))
    }

    /// Exit status of QEMU; `None` while it runs.
    ///
    /// # Errors
    /// When the process cannot be queried.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, MachineError> {
        if self.ended.is_none() {
            self.ended = self
                .child
                .try_wait()
                .map_err(MachineError::file("see whether QEMU still runs"))?;
        }
        Ok(self.ended)
    }

    /// Waits for text on the console; an error when the machine ends first.
    ///
    /// # Errors
    /// As [`Console::wait_for`]; [`MachineError::Ended`].
    pub fn wait_for(
        &mut self,
        console: &mut Console,
        pattern: &str,
        timeout: Duration,
    ) -> Result<String, MachineError> {
        let doing = format!("waiting for `{pattern}` on the console of `{}`", self.name);
        console.wait_for(pattern, timeout, || self.check(&doing))
    }

    /// Checks that the machine has not ended.
    ///
    /// # Errors
    /// [`MachineError::Ended`], with the operation `doing`, when it has.
    pub fn check(&mut self, doing: &str) -> Result<(), MachineError> {
        let Some(status) = self.ended()? else {
            return Ok(());
        };
        let mut last = last_lines(&fs_err::read(self.files.qemu_log()).unwrap_or_default());
        if last.is_empty() {
            last = last_lines(&fs_err::read(self.files.console_log()).unwrap_or_default());
        }
        Err(MachineError::Ended {
            doing: doing.to_owned(),
            status: status.to_string(),
            last,
            folder: self.files.folder().to_owned(),
            command: self.command.clone(),
        })
    }

    /// Waits until the machine ends by itself; `None` when it still runs after `timeout`.
    ///
    /// # Errors
    /// When a signal interrupts the wait.
    pub fn wait(&mut self, timeout: Duration) -> Result<Option<ExitStatus>, MachineError> {
        let began = Instant::now();
        loop {
            let status = self.ended()?;
            if status.is_some() || began.elapsed() >= timeout {
                return Ok(status);
            }
            interrupt::check()?;
            std::thread::sleep(TICK);
        }
    }

    /// Stops the machine: presses its power button, waits up to `grace` for it to shut down, and ends QEMU if that was
    /// not enough. After an interruption there is no grace.
    ///
    /// # Errors
    /// When the process cannot be queried.
    pub fn stop(mut self, grace: Duration) -> Result<Stopped, MachineError> {
        if self.ended()?.is_some() {
            return Ok(Stopped::Already);
        }
        // Each step may fail because the machine is just ending; the next one decides.
        let asked = self
            .control()
            .and_then(|mut control| control.power_down().map(|()| control));
        if asked.is_ok() && self.gone_within(grace)? {
            return Ok(Stopped::Orderly);
        }
        drop(asked);
        let unplugged = self.control().and_then(|mut control| control.quit());
        if unplugged.is_ok() && self.gone_within(Duration::from_secs(3))? {
            return Ok(Stopped::Unplugged);
        }
        if self.ended()?.is_some() {
            return Ok(Stopped::Already);
        }
        self.kill();
        Ok(Stopped::Killed)
    }

    /// Kills QEMU, as a power cut would. Data that the machine did not flush are lost.
    pub fn kill(&mut self) {
        if matches!(self.ended(), Ok(Some(_))) {
            return;
        }
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // A process that has ended needs no signal.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        self.ended = self.child.wait().ok();
    }

    fn gone_within(&mut self, time: Duration) -> Result<bool, MachineError> {
        let began = Instant::now();
        while began.elapsed() < time && !interrupt::requested() {
            if self.ended()?.is_some() {
                return Ok(true);
            }
            std::thread::sleep(TICK);
        }
        Ok(self.ended()?.is_some())
    }

    fn wait_until_it_answers(&mut self) -> Result<(), MachineError> {
        let socket = self.files.control_socket();
        let answer = Qmp::connect(&socket, STARTING, || self.check(START)).and_then(|mut control| control.status());
        if matches!(answer, Err(MachineError::Control { .. })) {
            // If QEMU did not answer because it is ending, its end is the error to report.
            self.gone_within(Duration::from_secs(1))?;
            self.check(START)?;
        }
        answer.map(drop)
    }
}

impl Drop for RunningMachine {
    fn drop(&mut self) {
        self.kill();
    }
}

fn last_lines(text: &[u8]) -> Vec<String> {
    let mut lines = plain_lines(text);
    lines.split_off(lines.len().saturating_sub(SHOWN))
}
