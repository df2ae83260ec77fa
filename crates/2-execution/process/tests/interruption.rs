//! Interruptions from outside: each case is a process of its own, which a signal of ours must end within two seconds.
//!
//! Called with `BASALT_CASE` set, this program is that process: it listens for signals, writes `ready`, runs the case, and
//! ends with 130 when it came back with [`ProcessError::Interrupted`].

#![cfg(test)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use basalt_process::{Command, ProcessError, interrupt, wait};
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::process::{Pid, Signal, kill_process};

/// Variable that names the case to be.
const CASE: &str = "BASALT_CASE";
/// Maximum time from a signal to the end of the program.
const PROMISE: Duration = Duration::from_secs(2);

type Outcome = Result<(), ProcessError>;

fn script(text: &str) -> Command {
    Command::new("sh").args(["-c", text])
}

fn ignores_term() -> Outcome {
    script("trap '' TERM INT HUP; while :; do sleep 1; done")
        .output()
        .map(drop)
}

fn group_ignores_term() -> Outcome {
    script("(trap '' TERM; while :; do sleep 1; done) & wait")
        .output()
        .map(drop)
}

fn closed_outputs() -> Outcome {
    script("exec >&- 2>&-; sleep 60").output().map(drop)
}

fn writes_without_end() -> Outcome {
    script("while :; do echo word; done").lines(|_| {})
}

fn one_line_without_end() -> Outcome {
    Command::new("cat").arg("/dev/zero").lines(|_| {})
}

fn never_reads_input() -> Outcome {
    let input = vec![b'x'; 8 * 1024 * 1024];
    script("sleep 60").input(input).output().map(drop)
}

/// A grandchild in a session of its own, out of reach of signals to the group, holds the outputs.
fn escaped_grandchild() -> Outcome {
    script("setsid sh -c 'trap \"\" TERM HUP; sleep 5' & exec sleep 60")
        .output()
        .map(drop)
}

fn interactive() -> Outcome {
    Command::new("sleep").arg("60").interactive().map(drop)
}

fn interactive_ignores_term() -> Outcome {
    script("trap '' TERM HUP; while :; do sleep 1; done")
        .interactive()
        .map(drop)
}

fn polling() -> Outcome {
    wait::until(None, Duration::from_secs(60), || Ok::<Option<()>, ProcessError>(None)).map(drop)
}

/// Name, signal that interrupts it, and the case.
type Case = (&'static str, Signal, fn() -> Outcome);

const CASES: [Case; 10] = [
    ("ignores_term", Signal::INT, ignores_term),
    ("group_ignores_term", Signal::INT, group_ignores_term),
    ("closed_outputs", Signal::HUP, closed_outputs),
    ("writes_without_end", Signal::TERM, writes_without_end),
    ("one_line_without_end", Signal::INT, one_line_without_end),
    ("never_reads_input", Signal::INT, never_reads_input),
    ("escaped_grandchild", Signal::INT, escaped_grandchild),
    ("interactive", Signal::TERM, interactive),
    ("interactive_ignores_term", Signal::HUP, interactive_ignores_term),
    ("polling", Signal::INT, polling),
];

fn is_case(name: &str) -> i32 {
    if let Err(error) = interrupt::install() {
        return says(&format!("cannot listen: {error}"), 3);
    }
    says("ready", 0);
    let outcome = if name == "until_signalled" {
        wait::sleep(Duration::from_secs(5))
    } else if name == "terminal" {
        script("sleep 1; exit 7").interactive().and_then(|status| {
            says(&format!("ended with {:?}", status.code()), 0);
            wait::sleep(Duration::from_secs(5))
        })
    } else {
        CASES
            .iter()
            .find(|case| case.0 == name)
            .map_or(Ok(()), |case| (case.2)())
    };
    match outcome {
        Err(ProcessError::Interrupted) => 130,
        Err(error) => says(&format!("failed: {error}"), 1),
        Ok(()) => says("came to its end", 0),
    }
}

fn says(text: &str, code: i32) -> i32 {
    let mut out = std::io::stdout();
    // The reader may be gone.
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
    code
}

/// Starts this program as a case, by a command line that ends with its path, and waits until it is ready.
fn start(mut command: std::process::Command, case: &str) -> Result<Child, Failed> {
    let mut child = command
        .env(CASE, case)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let out = child.stdout.as_mut().ok_or("no output")?;
    // Byte by byte, so that the rest stays in the pipe.
    let mut reader = BufReader::with_capacity(1, out);
    reader.read_line(&mut line)?;
    if line == "ready\n" {
        Ok(child)
    } else {
        Err(format!("it began with {line:?}").into())
    }
}

fn this_program() -> Result<std::process::Command, Failed> {
    Ok(Command::new(std::env::current_exe()?).to_std())
}

fn send(child: &Child, signal: Signal) -> Result<(), Failed> {
    let pid = Pid::from_raw(i32::try_from(child.id())?).ok_or("no process id")?;
    Ok(kill_process(pid, signal)?)
}

fn obeys(case: &str, signal: Signal) -> Result<(), Failed> {
    let mut child = start(this_program()?, case)?;
    // The program of the case must have got as far as to set its traps.
    std::thread::sleep(Duration::from_millis(400));
    let sent = Instant::now();
    send(&child, signal)?;
    let status = child.wait()?;
    let took = sent.elapsed();
    if status.code() != Some(130) {
        return Err(format!("it ended with {status}").into());
    }
    if took >= PROMISE {
        return Err(format!("it took {took:?}").into());
    }
    Ok(())
}

/// Checks that signals ignored at the start stay ignored, and that the others end the program.
fn ignored_stays_ignored() -> Result<(), Failed> {
    let command = script("trap '' HUP INT; exec \"$0\"").arg(std::env::current_exe()?);
    let mut child = start(command.to_std(), "until_signalled")?;
    send(&child, Signal::HUP)?;
    send(&child, Signal::INT)?;
    std::thread::sleep(Duration::from_millis(500));
    if let Some(status) = child.try_wait()? {
        return Err(format!("a signal that was ignored ended it: {status}").into());
    }
    send(&child, Signal::TERM)?;
    match child.wait()?.code() {
        Some(130) => Ok(()),
        other => Err(format!("it ended with {other:?}").into()),
    }
}

/// Ctrl-C while a program has the terminal is for that program; afterwards it is for us again.
fn terminal_keeps_ctrl_c() -> Result<(), Failed> {
    let mut child = start(this_program()?, "terminal")?;
    std::thread::sleep(Duration::from_millis(300));
    send(&child, Signal::INT)?;
    send(&child, Signal::INT)?;
    std::thread::sleep(Duration::from_millis(1200));
    send(&child, Signal::INT)?;
    let mut text = String::new();
    child.stdout.take().ok_or("no output")?.read_to_string(&mut text)?;
    let status = child.wait()?;
    if text == "ended with Some(7)\n" && status.code() == Some(130) {
        Ok(())
    } else {
        Err(format!("{status}, and wrote {text:?}").into())
    }
}

fn main() {
    if let Ok(case) = std::env::var(CASE) {
        std::process::exit(is_case(&case));
    }
    let mut trials: Vec<_> = CASES
        .iter()
        .map(|(name, signal, _)| Trial::test(*name, move || obeys(name, *signal)))
        .collect();
    trials.push(Trial::test("ignored_stays_ignored", ignored_stays_ignored));
    trials.push(Trial::test("terminal_keeps_ctrl_c", terminal_keeps_ctrl_c));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
