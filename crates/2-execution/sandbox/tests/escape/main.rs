//! Attempts to get out of a sandbox, by a program that is as hostile as we could think of.
//!
//! The test binary is mounted into its own sandboxes and run there with the name of an attempt. Each attempt is run with
//! all layers, where it has to fail, and with the layers that stop it left out, where it has to succeed: so that it
//! would be noticed if it tried nothing. Where several layers stop the same thing, all of them are left out for the
//! second run.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "std::fs: tests look at the number of an error")]
#![expect(unsafe_code, reason = "attempts make system calls that no library wraps")]

mod files;
mod fixture;
mod hogs;
mod kernel;
mod lifetime;
mod limits;
mod network;
mod outputs;
mod processes;

use basalt_sandbox::{ConfinementLayer, Sandbox};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::fixture::{AttemptOutcome, Fixture};

/// One way out.
pub struct Attempt {
    /// Name of the attempt.
    pub name: &'static str,
    /// The layers that stop it.
    pub layers: &'static [ConfinementLayer],
    /// Changes of the usual sandbox for both runs.
    pub prepare: fn(Sandbox, &Fixture) -> Sandbox,
    /// Further changes for the second run, besides the layers that are left out.
    pub loosen: fn(Sandbox, &Fixture) -> Sandbox,
    /// The attempt itself, which runs inside and returns without an error if it got out.
    pub run: fn(&AttemptTarget) -> std::io::Result<()>,
    /// Look at the host afterwards, where only it tells: `true` if the attempt changed something there.
    pub is_seen: Option<fn(&Fixture) -> bool>,
}

impl Attempt {
    /// An attempt in the usual sandbox.
    pub const fn new(
        name: &'static str,
        layers: &'static [ConfinementLayer],
        run: fn(&AttemptTarget) -> std::io::Result<()>,
    ) -> Self {
        Self {
            name,
            layers,
            prepare: |sandbox, _| sandbox,
            loosen: |sandbox, _| sandbox,
            run,
            is_seen: None,
        }
    }

    /// Makes the attempt in a sandbox.
    fn make(&self, fixture: &Fixture, sandbox: &Sandbox) -> Result<AttemptOutcome, Failed> {
        match (fixture.attempt(sandbox, self.name)?, self.is_seen) {
            (AttemptOutcome::GotOut, Some(is_seen)) if !is_seen(fixture) => {
                Ok(AttemptOutcome::Refused("the host is as it was".to_owned()))
            }
            (outcome, _) => Ok(outcome),
        }
    }
}

/// Facts about the host that an attempt may use.
pub struct AttemptTarget {
    /// A folder of the host that no sandbox shows, with a file `secret`.
    pub folder: String,
    /// The test's process id on the host.
    pub process: i32,
    /// The user's id on the host.
    pub user: u32,
    /// A port of the host's loopback on which the test listens.
    pub port: u16,
}

fn attempts() -> Vec<Attempt> {
    let mut attempts = files::attempts();
    attempts.extend(processes::attempts());
    attempts.extend(kernel::attempts());
    attempts.extend(network::attempts());
    attempts
}

fn main() {
    basalt_sandbox::enter_if_asked();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("__attempt") => fixture::run_inside(&arguments[1..]),
        Some("__owner") => lifetime::own(&arguments[1..]),
        _ => {}
    }
    let mut trials: Vec<_> = attempts()
        .into_iter()
        .map(|attempt| Trial::test(attempt.name, move || both_ways(&attempt)))
        .collect();
    assert!(trials.len() >= 30, "at least thirty attempts");
    trials.extend(lifetime::trials());
    trials.extend(limits::trials());
    trials.extend(outputs::trials());
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    processes::remove_shared_memory();
    conclusion.exit();
}

fn both_ways(attempt: &Attempt) -> Result<(), Failed> {
    let fixture = Fixture::new()?;
    let sandbox = (attempt.prepare)(fixture.sandbox(), &fixture);
    match attempt.make(&fixture, &sandbox)? {
        AttemptOutcome::Refused(_) => {}
        AttemptOutcome::Skipped(why) => {
            basalt_test_output::skip(attempt.name, why);
            return Ok(());
        }
        AttemptOutcome::GotOut => return Err(format!("`{}` got out", attempt.name).into()),
    }
    let fixture = Fixture::new()?;
    let mut sandbox = (attempt.loosen)((attempt.prepare)(fixture.sandbox(), &fixture), &fixture);
    for layer in attempt.layers {
        sandbox = sandbox.without(*layer);
    }
    match attempt.make(&fixture, &sandbox)? {
        AttemptOutcome::GotOut => Ok(()),
        AttemptOutcome::Skipped(why) => {
            basalt_test_output::skip(attempt.name, why);
            Ok(())
        }
        AttemptOutcome::Refused(why) => Err(format!("`{}` fails without the layers, too: {why}", attempt.name).into()),
    }
}
