//! Programs that try to outlive their sandbox.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use basalt_sandbox::{ConfinementLayer, Sandbox};
use libtest_mimic::{Failed, Trial};

use crate::AttemptTarget;
use crate::fixture::Fixture;

/// After what time they write that they live.
const LATE: Duration = Duration::from_millis(1500);

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a_daemon_does_not_outlive_the_program", || {
            assert!(!daemon_lives(&[])?);
            assert!(daemon_lives(&[ConfinementLayer::ProcessNamespace])?);
            Ok(())
        }),
        Trial::test("nothing_outlives_the_caller", || {
            assert!(!orphan_lives(false)?);
            assert!(orphan_lives(true)?);
            Ok(())
        }),
    ]
}

pub fn inside(name: &str) -> fn(&AttemptTarget) -> io::Result<()> {
    match name {
        "lifetime/daemon" => |_| {
            // SAFETY: this process has one thread, and the child goes on alone.
            if unsafe { libc::fork() } == 0 {
                // SAFETY: they take no pointers.
                let second = unsafe {
                    libc::setsid();
                    libc::fork()
                };
                if second == 0 {
                    close_outputs();
                    late()?;
                }
            }
            Ok(())
        },
        _ => |_| {
            std::fs::write("/work/started", "")?;
            late()
        },
    }
}

/// The caller waits for the end of what is written.
fn close_outputs() {
    for number in 0..3 {
        // SAFETY: nothing is written from here on.
        unsafe { libc::close(number) };
    }
}

fn late() -> io::Result<()> {
    std::thread::sleep(LATE);
    std::fs::write("/work/late", "")
}

fn daemon_lives(without: &[ConfinementLayer]) -> Result<bool, Failed> {
    let fixture = Fixture::new()?;
    let sandbox = without
        .iter()
        .fold(fixture.sandbox(), |sandbox, layer| sandbox.without(*layer));
    sandbox
        .command("/attempt", fixture.arguments("lifetime/daemon"))
        .output()?;
    std::thread::sleep(LATE + Duration::from_millis(700));
    Ok(fixture.path().join("work/late").exists())
}

fn orphan_lives(without: bool) -> Result<bool, Failed> {
    let fixture = Fixture::new()?;
    let mut owner = Command::new("/proc/self/exe")
        .args([
            "__owner",
            fixture.path().as_str(),
            if without { "without" } else { "with" },
        ])
        .spawn()?;
    let began = Instant::now();
    while !fixture.path().join("work/started").exists() {
        if began.elapsed() > Duration::from_secs(60) {
            return Err("it does not start".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    owner.kill()?;
    owner.wait()?;
    std::thread::sleep(LATE + Duration::from_millis(700));
    Ok(fixture.path().join("work/late").exists())
}

/// A caller that is killed while its sandbox runs.
pub fn own(arguments: &[String]) {
    let folder = camino::Utf8Path::new(&arguments[0]);
    let mut sandbox: Sandbox = crate::fixture::sandbox_of(folder, None);
    if arguments[1] == "without" {
        sandbox = sandbox.without(ConfinementLayer::ParentDeath);
    }
    let attempt = ["__attempt", "lifetime/orphan", arguments[0].as_str(), "1", "1", "1"];
    let ended = sandbox.command("/attempt", attempt).output();
    std::process::exit(i32::from(ended.is_err()));
}
