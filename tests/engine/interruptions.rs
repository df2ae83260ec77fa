//! Builds that end before their time, and builds at the same time.

use std::time::Duration;

use basalt_test_environment::{Failed, ensure, has_all, marked_processes, until};
use rustix::process::Signal;

use crate::distro::{Distro, Fixture};
use crate::failures::TIMEOUT;

/// Time-out for the end of the processes that a killed command leaves.
const SOON: Duration = Duration::from_secs(5);

/// Makes testlib take its time. The number of seconds marks its processes.
fn delay_testlib(distro: &Distro, seconds: &str) -> Result<(), Failed> {
    distro.edit("testlib", "%build\n", &format!("%build\nsleep {seconds}\n"))
}

fn is_building(seconds: &str) -> bool {
    !marked_processes(&format!("sleep {seconds}")).is_empty()
}

/// Starts a build of testapp, and waits until it is in the midst of testlib.
fn start(distro: &Distro, seconds: &str) -> Result<basalt_test_environment::Started, Failed> {
    delay_testlib(distro, seconds)?;
    let started = distro.cli().start(&["build", "testapp"])?;
    until("testlib is being built", TIMEOUT, || is_building(seconds))?;
    Ok(started)
}

pub fn kill_and_build_again(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let seconds = "611.25";
    let started = start(&distro, seconds)?;
    started.signal(Signal::KILL)?;
    started.wait(SOON)?.ended_with(137)?;
    until("the build has ended with its killed master", SOON, || {
        !is_building(seconds)
    })?;
    distro.edit("testlib", &format!("sleep {seconds}\n"), "")?;
    let ran = distro
        .cli()
        .run(&["--json", "build", "testapp"], TIMEOUT)?
        .ended_with(0)?;
    has_all(&ran.stdout, &["testapp-1-1.bs1.noarch.rpm"])?;
    distro.nothing_is_left()?;
    // What was finished before the kill was kept.
    ensure(!ran.stderr.contains("testdata"), || ran.stderr.clone())
}

pub fn an_interrupt_leaves_nothing(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let seconds = "612.25";
    let started = start(&distro, seconds)?;
    started.signal(Signal::INT)?;
    let ran = started.wait(SOON)?.ended_with(130)?;
    has_all(&ran.stderr, &["interrupted"])?;
    let left = marked_processes(&format!("sleep {seconds}"));
    ensure(left.is_empty(), || format!("still there: {left:?}"))?;
    let left = marked_processes(distro.store.root().as_str());
    ensure(left.is_empty(), || format!("still there: {left:?}"))?;
    distro.nothing_is_left()
}

pub fn two_at_the_same_time(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    // Each build of testlib leaves a mark in its log, of which there is one per package: the second would write it
    // anew.
    let first = start(&distro, "4.125")?;
    let second = distro.cli().start(&["build", "testapp", "testdocs"])?;
    until("the second one waits", TIMEOUT, || {
        second.stderr_so_far().contains("waiting for another basalt")
    })?;
    ensure(is_building("4.125"), || {
        "the second one did not wait for the first".to_owned()
    })?;
    let first = first.wait(TIMEOUT)?.ended_with(0)?;
    let second = second.wait(TIMEOUT)?.ended_with(0)?;
    has_all(&first.stderr, &["testlib"])?;
    let again = second
        .stderr
        .lines()
        .any(|line| line.contains("testlib") || line.contains("testapp"));
    ensure(!again, || format!("it was built twice:\n{}", second.stderr))?;
    has_all(
        &second.stdout,
        &["testapp-1-1.bs1.noarch.rpm", "testdocs-1-1.bs1.noarch.rpm"],
    )?;
    distro.nothing_is_left()
}
