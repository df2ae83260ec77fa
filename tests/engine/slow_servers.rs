//! Sources that come late, or hardly: neither the processors nor the report of a failure wait for them.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use basalt_process::Command;
use basalt_test_environment::{Failed, Started, ensure, has_all, until};

use crate::distro::{Distro, Fixture};
use crate::failures::{TIMEOUT, lock_manual};
use crate::sharing::was_built;

/// Header of the answer to a request for the manual of testdocs.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";

/// Has testdocs take its manual from a server that answers only once `release` is set.
fn answer_late(distro: &Distro, release: &Arc<AtomicBool>) -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    lock_manual(distro, &format!("http://{}/manual", listener.local_addr()?), "")?;
    let release = Arc::clone(release);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let release = Arc::clone(&release);
            std::thread::spawn(move || answer(stream, &release));
        }
    });
    Ok(())
}

/// Answers a request; the test judges by what the client makes of it.
fn answer(mut stream: TcpStream, release: &AtomicBool) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(HEAD.as_bytes());
    let began = Instant::now();
    while !release.load(Ordering::Relaxed) && began.elapsed() < 2 * TIMEOUT {
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = stream.write_all(b"text\n");
}

/// Number of a processor that this process may use.
fn first_processor() -> Result<String, Failed> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = list.and_then(|list| list.trim().split([',', '-']).next());
    Ok(first.ok_or("no list of processors")?.to_owned())
}

/// One processor, and so one token: it is used while testdocs waits for its source.
pub fn a_late_source_keeps_no_processor_idle(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let release = Arc::new(AtomicBool::new(false));
    answer_late(&distro, &release)?;
    let cli = distro.cli();
    let command = Command::new("taskset")
        .args(["--cpu-list", &first_processor()?, cli.program().as_str()])
        .args(["build", "testdocs", "testapp"]);
    let started = Started::new(&cli.within(command))?;
    let built = until("testapp is built while testdocs waits for its source", TIMEOUT, || {
        was_built(&distro, "testapp")
    });
    release.store(true, Ordering::Relaxed);
    let ran = started.wait(TIMEOUT)?;
    built?;
    has_all(&ran.ended_with(0)?.stdout, &["testdocs-1-1.bs1.noarch.rpm"])
}

/// The failure of one package is told although the source of another one is on its way.
pub fn a_failure_waits_for_no_source(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    answer_late(&distro, &Arc::new(AtomicBool::new(false)))?;
    distro.edit("testdata", "%install", "%build\nexit 1\n\n%install")?;
    let began = Instant::now();
    let ran = distro
        .cli()
        .run(&["build", "testdocs", "testapp"], TIMEOUT)?
        .ended_with(1)?;
    has_all(&ran.stderr, &["testdata failed in %build"])?;
    // The server would have held its answer for longer than its client waits for a byte: 30 s, four times.
    ensure(began.elapsed() < Duration::from_secs(25), || {
        format!("the failure was told after {:?}", began.elapsed())
    })?;
    distro.nothing_is_left()
}
