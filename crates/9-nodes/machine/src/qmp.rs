//! Client of the QEMU Machine Protocol (QMP): lines of JSON over a Unix socket.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use basalt_process::{interrupt, wait};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

use crate::MachineError;

/// Interval of attempts to connect.
const TICK: Duration = Duration::from_millis(10);
/// Interval of looks at the process while its greeting is awaited.
const GREETING_TICK: Duration = Duration::from_millis(100);

/// Connection to a running QEMU. Only one can be open at a time, so keep it for as long as it is used.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
    socket: Utf8PathBuf,
    timeout: Duration,
    events: VecDeque<QmpEvent>,
    /// Beginning of a line whose rest had not come when a read timed out.
    partial: Vec<u8>,
}

/// Event that QEMU reported.
#[derive(Debug, Clone, PartialEq)]
pub struct QmpEvent {
    /// Name of the event, as `SHUTDOWN`.
    pub name: String,
    /// Data of the event; null when it has none.
    pub data: Value,
}

/// Run state of the machine, from `query-status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// Running.
    Running,
    /// Paused, suspended or not started yet, and able to go on.
    Paused,
    /// Shut down, panicked, or stopped by an internal error.
    Ended,
    /// Any other state, by QEMU's name.
    Other(String),
}

impl Qmp {
    /// Connects and negotiates capabilities; waits for a socket that does not exist yet.
    ///
    /// `alive` is asked all the while; when it fails, so does this: a process that has ended never answers, even where it
    /// left its socket behind.
    ///
    /// # Errors
    /// When QEMU does not answer within `timeout`, which is the time-out of each command, too; whatever `alive` returns.
    pub fn connect(
        socket: &Utf8Path,
        timeout: Duration,
        mut alive: impl FnMut() -> Result<(), MachineError>,
    ) -> Result<Self, MachineError> {
        let deadline = Instant::now() + timeout;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                    alive()?;
                    if Instant::now() >= deadline {
                        return Err(failed("connecting", socket, error));
                    }
                    wait::sleep(TICK)?;
                }
                Err(error) => return Err(failed("connecting", socket, error)),
            }
        };
        stream
            .set_write_timeout(Some(timeout))
            .map_err(|error| failed("connecting", socket, error))?;
        let mut qmp = Self {
            reader: BufReader::new(stream),
            socket: socket.to_owned(),
            timeout,
            events: VecDeque::new(),
            partial: Vec::new(),
        };
        qmp.await_greeting(deadline, alive)?;
        qmp.execute("qmp_capabilities", Value::Null)?;
        Ok(qmp)
    }

    /// Reads QEMU's greeting. The kernel accepts connections before QEMU does, so that one to a process that is about to
    /// end may be open and silent.
    fn await_greeting(
        &mut self,
        deadline: Instant,
        mut alive: impl FnMut() -> Result<(), MachineError>,
    ) -> Result<(), MachineError> {
        loop {
            let look = deadline.min(Instant::now() + GREETING_TICK);
            match self.message(look)? {
                Some(greeting) if greeting.get("QMP").is_some() => return Ok(()),
                None if Instant::now() < deadline => {
                    alive()?;
                    interrupt::check()?;
                }
                _ => {
                    let late = ErrorKind::TimedOut.into();
                    return Err(failed("waiting for its greeting", &self.socket, late));
                }
            }
        }
    }

    /// Runs a command and returns its result. Events that come meanwhile are kept.
    ///
    /// # Errors
    /// When QEMU refuses, closes the connection, or does not answer in time.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, MachineError> {
        let request = match arguments {
            Value::Null => json!({ "execute": command }),
            arguments => json!({ "execute": command, "arguments": arguments }),
        };
        let line = format!("{request}\n");
        let error = |error| failed(&format!("sending `{command}`"), &self.socket, error);
        self.reader.get_mut().write_all(line.as_bytes()).map_err(error)?;
        let deadline = Instant::now() + self.timeout;
        while let Some(mut message) = self.message(deadline)? {
            if let Some(answer) = message.get_mut("return") {
                return Ok(answer.take());
            }
            if let Some(refusal) = message.get("error") {
                let text = refusal.get("desc").and_then(Value::as_str);
                return Err(MachineError::Refused {
                    command: command.to_owned(),
                    answer: text.map_or_else(|| refusal.to_string(), str::to_owned),
                });
            }
            self.keep_event(&mut message);
        }
        Err(failed(
            &format!("waiting for the answer to `{command}`"),
            &self.socket,
            ErrorKind::TimedOut.into(),
        ))
    }

    /// Queries the run state of the machine.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn status(&mut self) -> Result<RunState, MachineError> {
        let answer = self.execute("query-status", Value::Null)?;
        Ok(match answer.get("status").and_then(Value::as_str).unwrap_or_default() {
            "running" => RunState::Running,
            "paused" | "prelaunch" | "suspended" => RunState::Paused,
            "shutdown" | "guest-panicked" | "internal-error" => RunState::Ended,
            other => RunState::Other(other.to_owned()),
        })
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn power_down(&mut self) -> Result<(), MachineError> {
        self.execute("system_powerdown", Value::Null).map(drop)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// As [`Qmp::execute`].
    pub fn reset(&mut self) -> Result<(), MachineError> {
        self.execute("system_reset", Value::Null).map(drop)
    }

    /// Ends QEMU at once, without a shutdown of the guest.
    ///
    /// # Errors
    /// As [`Qmp::execute`]; a connection that QEMU closes before it answers is no error.
    pub fn quit(&mut self) -> Result<(), MachineError> {
        match self.execute("quit", Value::Null) {
            Err(MachineError::Control { source, .. })
                if matches!(
                    source.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
                ) =>
            {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    /// Returns the next event; `None` when none comes within `timeout`.
    ///
    /// # Errors
    /// When QEMU closes the connection.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<QmpEvent>, MachineError> {
        let deadline = Instant::now() + timeout;
        while self.events.is_empty() {
            match self.message(deadline)? {
                Some(mut message) => self.keep_event(&mut message),
                None => break,
            }
        }
        Ok(self.events.pop_front())
    }

    fn keep_event(&mut self, message: &mut Value) {
        if let Some(name) = message.get("event").and_then(Value::as_str).map(str::to_owned) {
            let data = message.get_mut("data").map(Value::take).unwrap_or_default();
            self.events.push_back(QmpEvent { name, data });
        }
    }

    /// Reads the next message; `None` when none comes before the deadline.
    fn message(&mut self, deadline: Instant) -> Result<Option<Value>, MachineError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let socket = &self.socket;
            let error = |error| failed("listening to it", socket, error);
            self.reader.get_ref().set_read_timeout(Some(left)).map_err(error)?;
            match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(_) if self.partial.ends_with(b"\n") => {
                    let line = std::mem::take(&mut self.partial);
                    return serde_json::from_slice(&line)
                        .map(Some)
                        .map_err(|problem| error(problem.into()));
                }
                Ok(_) => return Err(error(ErrorKind::UnexpectedEof.into())),
                Err(problem)
                    if matches!(
                        problem.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(problem) => return Err(error(problem)),
            }
        }
    }
}

fn failed(doing: &str, socket: &Utf8Path, source: std::io::Error) -> MachineError {
    MachineError::Control {
        doing: doing.to_owned(),
        socket: socket.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread::JoinHandle;

    use super::*;

    const SOON: Duration = Duration::from_millis(300);

    /// State of a process that runs.
    #[expect(clippy::unnecessary_wraps, reason = "the signature of a check")]
    fn lives() -> Result<(), MachineError> {
        Ok(())
    }

    /// Fake QEMU that sends `greeting`, and answers each line with the next of `answers`.
    fn fake(
        greeting: &'static str,
        answers: Vec<&'static str>,
    ) -> (tempfile::TempDir, Utf8PathBuf, JoinHandle<Vec<String>>) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = Utf8PathBuf::from_path_buf(folder.path().join("qmp.sock")).expect("UTF-8");
        let listener = UnixListener::bind(&socket).expect("listens");
        let server = std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("somebody connects");
            let mut reader = BufReader::new(stream);
            reader.get_mut().write_all(greeting.as_bytes()).expect("writable");
            let mut requests = Vec::new();
            for answer in answers {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    break;
                }
                requests.push(line.trim_end().to_owned());
                for piece in answer.split_inclusive('|') {
                    reader
                        .get_mut()
                        .write_all(piece.trim_end_matches('|').as_bytes())
                        .expect("writable");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            requests
        });
        (folder, socket, server)
    }

    const HELLO: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
    const DONE: &str = "{\"return\": {}}\r\n";

    #[test]
    fn a_conversation() {
        let status = "{\"event\": \"RESUME\", \"data\": {}}\r\n{\"return\": {\"sta|tus\": \"running\"}}\r\n";
        let power = "{\"return\": {}}\r\n{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\r\n";
        let (_folder, socket, server) = fake(HELLO, vec![DONE, status, power]);
        let mut qmp = Qmp::connect(&socket, SOON, lives).expect("connects");
        assert_eq!(qmp.status().expect("answers"), RunState::Running);
        qmp.power_down().expect("answers");
        assert_eq!(qmp.event(SOON).expect("works").expect("was kept").name, "RESUME");
        let shutdown = qmp.event(SOON).expect("works").expect("comes");
        assert_eq!(
            (shutdown.name.as_str(), &shutdown.data["guest"]),
            ("SHUTDOWN", &Value::Bool(true))
        );
        let requests = server.join().expect("ends");
        insta::assert_snapshot!(requests.join("\n"), @r#"
        {"execute":"qmp_capabilities"}
        {"execute":"query-status"}
        {"execute":"system_powerdown"}
        "#);
    }

    #[test]
    fn refusals_carry_the_words_of_qemu() {
        let refusal = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}}\r\n";
        let (_folder, socket, _server) = fake(HELLO, vec![DONE, refusal]);
        let error = Qmp::connect(&socket, SOON, lives)
            .expect("connects")
            .reset()
            .expect_err("is refused");
        assert!(matches!(error, MachineError::Refused { answer, .. } if answer == "not now"));
    }

    #[test]
    fn silence_and_hanging_up_are_errors() {
        let (_folder, socket, _server) = fake(HELLO, vec![DONE, ""]);
        let mut qmp = Qmp::connect(&socket, SOON, lives).expect("connects");
        assert!(matches!(qmp.status(), Err(MachineError::Control { .. })));
        let (_folder, socket, _server) = fake("", vec![]);
        assert!(matches!(
            Qmp::connect(&socket, SOON, lives),
            Err(MachineError::Control { .. })
        ));
        assert!(matches!(
            Qmp::connect("/nowhere/qmp.sock".into(), SOON, lives),
            Err(MachineError::Control { .. })
        ));
    }

    #[test]
    fn a_quit_without_an_answer_is_a_quit() {
        let (_folder, socket, _server) = fake(HELLO, vec![DONE]);
        Qmp::connect(&socket, SOON, lives)
            .expect("connects")
            .quit()
            .expect("went away");
    }

    #[test]
    fn waiting_for_events_ends() {
        let (_folder, socket, _server) = fake(HELLO, vec![DONE, "", ""]);
        let mut qmp = Qmp::connect(&socket, SOON, lives).expect("connects");
        assert_eq!(qmp.event(Duration::from_millis(50)).expect("works"), None);
    }

    #[test]
    fn the_end_of_the_process_ends_the_wait() {
        let ended = || Err(MachineError::file("live")(ErrorKind::Other.into()));
        let folder = tempfile::tempdir().expect("a folder");
        let socket = Utf8PathBuf::from_path_buf(folder.path().join("qmp.sock")).expect("UTF-8");
        let ends_at_once = || {
            let began = Instant::now();
            let error = Qmp::connect(&socket, Duration::from_secs(60), ended).expect_err("has ended");
            assert!(matches!(error, MachineError::File { .. }), "{error:?}");
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
        };
        ends_at_once();
        // A socket that is open and silent, and one that was left behind.
        let listener = UnixListener::bind(&socket).expect("listens");
        ends_at_once();
        drop(listener);
        ends_at_once();
    }
}
