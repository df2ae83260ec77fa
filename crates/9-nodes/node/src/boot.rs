//! The wait for a good boot, and the deadline for it. The decisions are in [`crate::readiness`].

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::api;
use crate::apply::{self, ApplyError, below, read_applied};
use crate::health::Health;
use crate::plan::PlannedFile;
use crate::readiness::{BootVerdict, Goodness, Readiness, deadline};
use crate::{bootstrap_data, client_certificate, join, paths};

/// Pause between looks at this machine.
const LOOK: Duration = Duration::from_millis(250);

/// Pause between questions to the API server while all else works.
const ASK: Duration = Duration::from_secs(1);

/// Pause between questions to the API server while something else is missing.
const ASK_SELDOM: Duration = Duration::from_secs(10);

/// The least time between lines that tell what is missing.
const TELL: Duration = Duration::from_secs(30);

/// Waits until the boot is good, writes that down, and returns how. Without end: [`over`] has the deadline.
///
/// A certificate that the API server refuses is set aside meanwhile, and the kubelet started again to get another; or to use a
/// first one that was signed late.
pub fn wait_until_good(root: &Path, mut tell: impl FnMut(&str)) -> Result<Goodness, ApplyError> {
    let mut readiness = Readiness::default();
    let start = Instant::now();
    let (mut asked, mut told): (Option<Instant>, Option<(Instant, String)>) = (None, None);
    loop {
        bootstrap_data::report_success(root, Health::has_joined)?;
        let missing = match Health::is_near() {
            true => Health::look().missing(),
            false => Some("waiting for the cluster's certificate and for a pod network".to_owned()),
        };
        let pause = if missing.is_some() { ASK_SELDOM } else { ASK };
        if asked.is_some_and(|asked| asked.elapsed() < pause) {
            std::thread::sleep(LOOK);
            continue;
        }
        asked = Some(Instant::now());
        let answer = match read_applied(root) {
            Some(applied) => {
                // What speaks against it was told when the kubelet started.
                if client_certificate::take_late(root, &applied.hostname).unwrap_or(false) {
                    tell("the cluster has signed the node's first certificate: the kubelet starts again with it");
                    end_kubelet(root);
                }
                api::ask(root, &applied)
            }
            None => api::ApiAnswer::NoCertificate,
        };
        match readiness.observe(start.elapsed(), missing, &answer) {
            BootVerdict::Good(goodness) => {
                write_goodness(root, goodness)?;
                return Ok(goodness);
            }
            BootVerdict::SetCertificateAside => {
                tell("the API server refuses the node's certificate: it is set aside, and the node joins anew");
                join::set_aside(root)?;
                end_kubelet(root);
            }
            BootVerdict::NotYet(why) => {
                let is_news = told
                    .as_ref()
                    .is_none_or(|(at, last)| at.elapsed() >= TELL && *last != why);
                if is_news && start.elapsed() >= TELL {
                    tell(&format!("not ready yet: {why}"));
                    told = Some((Instant::now(), why));
                }
            }
        }
    }
}

fn write_goodness(root: &Path, goodness: Goodness) -> Result<(), ApplyError> {
    // The deadline of the next bad boot is the first one again. On a damaged /var this cannot be done, nor does it
    // matter.
    let _ = fs_err::remove_file(below(root, paths::MISSED_DEADLINES));
    apply::write(
        root,
        &PlannedFile {
            path: paths::BOOT_GOOD.to_owned(),
            mode: 0o644,
            content: serde_json::to_string(&goodness).unwrap_or_default() + "\n",
        },
    )
}

/// Ends the kubelet; its unit starts it again. Mount helpers in the same unit stay.
fn end_kubelet(root: &Path) {
    let processes = fs_err::read_to_string(below(root, paths::KUBELET_PROCESSES)).unwrap_or_default();
    for id in processes.lines() {
        let name = fs_err::read_to_string(below(root, "/proc").join(id).join("comm")).unwrap_or_default();
        let pid = id.parse().ok().and_then(Pid::from_raw);
        if let (Some(pid), "kubelet") = (pid, name.trim()) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

/// Counts the deadline of this boot as missed if it has passed, and returns the time since power-on then.
///
/// A container runtime that does not answer at the second deadline in a row is started from nothing at the next boot.
pub fn over(root: &Path, runtime_answers: impl FnOnce() -> bool) -> Option<Duration> {
    if below(root, paths::BOOT_GOOD).exists() {
        return None;
    }
    let uptime = fs_err::read_to_string(below(root, "/proc/uptime")).ok()?;
    let seconds = uptime.split('.').next()?.parse().ok()?;
    let uptime = Duration::from_secs(seconds);
    let missed = fs_err::read_to_string(below(root, paths::MISSED_DEADLINES)).unwrap_or_default();
    let missed: u32 = missed.trim().parse().unwrap_or_default();
    if uptime < deadline(below(root, paths::BOOT_ON_TRIAL).exists(), missed) {
        return None;
    }
    let count = PlannedFile {
        path: paths::MISSED_DEADLINES.to_owned(),
        mode: 0o644,
        content: format!("{}\n", missed.saturating_add(1)),
    };
    // When it cannot be counted, the next deadline is as long as this one.
    let _ = apply::write(root, &count);
    if missed > 0 && !runtime_answers() {
        let mark = PlannedFile {
            path: paths::RESET_RUNTIME.to_owned(),
            mode: 0o644,
            content: String::new(),
        };
        let _ = apply::write(root, &mark);
    }
    Some(uptime)
}

/// Moves what containerd keeps out of its way. What is in there can be had again: images are pulled, and no container
/// runs before containerd does. [`crate::housekeeping`] removes it.
#[expect(
    clippy::disallowed_methods,
    reason = "fs_err has no DirBuilder, and the error below names the path"
)]
pub fn reset_runtime(root: &Path) -> Result<(), ApplyError> {
    let state = below(root, paths::CONTAINERD_STATE);
    let discarded = below(root, paths::DISCARDED_RUNTIME);
    let reset = || -> io::Result<()> {
        if state.exists() {
            // One that an earlier boot has not removed yet.
            if_there(fs_err::remove_dir_all(&discarded))?;
            fs_err::rename(&state, &discarded)?;
        }
        // As tmpfiles.d and containerd itself make it.
        std::fs::DirBuilder::new().mode(0o700).create(&state)?;
        if_there(fs_err::remove_file(below(root, paths::RESET_RUNTIME)))
    };
    reset().map_err(|source| ApplyError::Write {
        path: state.clone(),
        source,
    })
}

/// A removal that is done when there was nothing.
fn if_there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs_err::create_dir_all(root.path().join("proc")).unwrap();
            Self(root)
        }

        fn over_after(&self, minutes: u64) -> bool {
            let uptime = format!("{}.17 4.00\n", minutes * 60);
            fs_err::write(self.0.path().join("proc/uptime"), uptime).unwrap();
            over(self.0.path(), || true).is_some()
        }
    }

    #[test]
    fn deadlines_that_are_missed_are_counted() {
        let machine = Machine::new();
        for (minutes, expected) in [
            (29, false),
            (30, true),
            (59, false),
            (60, true),
            (119, false),
            (120, true),
        ] {
            assert_eq!(machine.over_after(minutes), expected, "{minutes}");
        }
        write_goodness(machine.0.path(), Goodness::Ready).unwrap();
        assert!(!machine.over_after(10_000));
        // The next boot is bad again, and has its first deadline.
        fs_err::remove_file(below(machine.0.path(), paths::BOOT_GOOD)).unwrap();
        assert!(machine.over_after(30));
    }

    #[test]
    fn a_boot_on_trial_has_a_quarter_of_an_hour() {
        let machine = Machine::new();
        let variable = below(machine.0.path(), paths::BOOT_ON_TRIAL);
        fs_err::create_dir_all(variable.parent().unwrap()).unwrap();
        fs_err::write(variable, "").unwrap();
        assert!(!machine.over_after(14));
        assert!(machine.over_after(15));
        assert!(machine.over_after(15));
    }

    #[test]
    fn a_machine_without_a_clock_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(over(root.path(), || true), None);
    }

    #[test]
    fn a_runtime_that_does_not_answer_twice_is_reset() {
        let machine = Machine::new();
        let root = machine.0.path();
        let (state, mark) = (below(root, paths::CONTAINERD_STATE), below(root, paths::RESET_RUNTIME));
        fs_err::create_dir_all(&state).unwrap();
        fs_err::write(state.join("meta.db"), "torn").unwrap();
        fs_err::write(root.join("proc/uptime"), "100000.0 0.0\n").unwrap();
        for (answers, expected) in [(false, false), (true, false), (false, true)] {
            assert!(over(root, || answers).is_some());
            assert_eq!(mark.exists(), expected);
        }
        reset_runtime(root).unwrap();
        assert!(!mark.exists() && !state.join("meta.db").exists());
        let discarded = below(root, paths::DISCARDED_RUNTIME);
        assert!(discarded.join("meta.db").exists());
        // And once more, before the first one was removed.
        fs_err::write(state.join("meta.db"), "torn again").unwrap();
        reset_runtime(root).unwrap();
        assert_eq!(fs_err::read_to_string(discarded.join("meta.db")).unwrap(), "torn again");
        assert_eq!(state.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
