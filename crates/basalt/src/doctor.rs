//! Checks of this machine: every check tries what the verbs do, and says which of them fail and what helps.
//!
//! ```text
//! CHECKS ──(probe: I/O, in a thread of its own, within a time limit)──▶ raw findings
//!        ──(assess: pure, tested by tables)──▶ CheckFinding ──▶ DoctorReport: text, JSON
//! ```
//!
//! Settings of the kernel are never asked whether something works; they are read only to choose the command that helps
//! when it does not. A probe that does not end (a dead network file system) is left behind and reported as such.

use std::sync::mpsc::{self, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use basalt_content::{ContentFile, DistributionContent};
use basalt_process::{ProcessError, wait};
use basalt_progress::{Outcome as Ended, Reporter, Unit};
use basalt_sdk::SdkTree;
use basalt_sdk::sdk_lock::SdkLock;
use basalt_store::Store;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

mod clock;
mod environment;
mod file_system;
mod hardware;
mod kvm;
mod mirror;
mod outcome;
mod programs;
mod report;
mod sandbox;
mod store;
mod sub_ids;

pub use report::DoctorReport;
use report::{CheckFinding, CheckStatus};

/// Interval at which the end of a probe is looked for.
const TICK: Duration = Duration::from_millis(20);

/// Check, or several that one probe answers.
struct Check {
    name: &'static str,
    /// Time after which the probe is left behind. Programs that it runs have shorter limits of their own.
    limit: Duration,
    run: fn(&Context) -> Vec<CheckFinding>,
}

/// All checks. Later ones use the store that `store` opens.
const CHECKS: &[Check] = &[
    check("kernel", 5, hardware::kernel),
    check("processors and memory", 5, hardware::capacity),
    check("clock", 5, clock::examine),
    check("environment", 20, environment::examine),
    check("store", 20, store::examine),
    check("programs", 120, programs::examine),
    check("file system", 20, file_system::examine),
    check("C compiler", 40, programs::c_compiler),
    check("sandbox", 60, sandbox::examine),
    check("sub-ids", 40, sub_ids::examine),
    check("Debian mirror", 90, mirror::examine),
    check("KVM", 30, kvm::examine),
];

/// Checks of what making the SDK takes.
const SDK_CHECKS: &[Check] = &[
    check("programs", 120, programs::of_the_sdk),
    check("sandbox", 60, sandbox::examine),
    check("sub-ids", 40, sub_ids::obstacles),
];

const fn check(name: &'static str, seconds: u64, run: fn(&Context) -> Vec<CheckFinding>) -> Check {
    Check {
        name,
        limit: Duration::from_secs(seconds),
        run,
    }
}

/// Data that several checks use.
#[derive(Debug)]
struct Context {
    /// Content of the distribution, with the lock of the SDK; `None` outside of a checkout.
    content: Option<DistributionContent>,
    /// Store, once a check has opened it.
    store: OnceLock<Store>,
}

impl Context {
    /// Returns the lock of the SDK's packages; `None` outside of a checkout.
    fn sdk_lock(&self) -> Option<SdkLock> {
        let text = fs_err::read_to_string(self.sdk_lock_path()?).ok()?;
        SdkLock::parse(&text).ok()
    }

    fn sdk_lock_path(&self) -> Option<Utf8PathBuf> {
        Some(self.content.as_ref()?.file(ContentFile::SdkLock).path)
    }

    /// Returns the tree of build tools, if the store has it.
    fn sdk(&self) -> Option<SdkTree> {
        let sdk = SdkTree::find(self.store.get()?, &self.sdk_lock_path()?)
            .ok()
            .flatten()?;
        sdk.path.is_dir().then_some(sdk)
    }

    /// Returns the status of a fault that keeps the SDK from being made: a warning once it is made.
    fn sdk_fault(&self) -> CheckStatus {
        if self.sdk().is_some() {
            CheckStatus::Warning
        } else {
            CheckStatus::Failed
        }
    }
}

/// Makes all checks.
///
/// # Errors
/// [`ProcessError::Interrupted`] after Ctrl-C.
pub fn examine(content: Option<DistributionContent>, reporter: &dyn Reporter) -> Result<DoctorReport, ProcessError> {
    let context = Arc::new(Context {
        content,
        store: OnceLock::new(),
    });
    let task = reporter.task("checking this machine", Unit::Items, Some(CHECKS.len() as u64));
    let mut findings = Vec::new();
    for check in CHECKS {
        task.detail(check.name);
        findings.extend(bounded(check, &context)?);
        task.advance(1);
    }
    task.finish(Ended::Done);
    Ok(DoctorReport::new(findings))
}

/// Findings that keep the SDK from being made on this machine.
#[derive(Debug, Error, Diagnostic)]
#[error("this machine lacks something that making the SDK takes:\n{}", results(findings))]
#[diagnostic(code(doctor::sdk), help("{}\n`./basalt doctor` makes all checks", helps(findings)))]
pub struct SdkObstacles {
    findings: Vec<CheckFinding>,
}

/// Looks for what keeps the SDK from being made on this machine, by the same checks as [`examine`]. The launcher looks for
/// the same before it has this command compiled.
///
/// # Errors
/// [`ProcessError::Interrupted`] after Ctrl-C.
pub fn sdk_obstacles(store: &Store) -> Result<Option<SdkObstacles>, ProcessError> {
    let context = Arc::new(Context {
        content: None,
        store: OnceLock::from(store.clone()),
    });
    let mut findings = Vec::new();
    for check in SDK_CHECKS {
        findings.extend(bounded(check, &context)?);
    }
    findings.retain(|finding| finding.status == CheckStatus::Failed && !finding.is_inconclusive());
    Ok((!findings.is_empty()).then_some(SdkObstacles { findings }))
}

/// Results of findings, a line each.
fn results(findings: &[CheckFinding]) -> String {
    let lines = findings.iter().map(|finding| {
        let first = finding.result.lines().next().unwrap_or_default();
        format!("  {}: {first}", finding.check)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What helps against findings, each once.
fn helps(findings: &[CheckFinding]) -> String {
    let mut helps: Vec<&str> = Vec::new();
    for help in findings.iter().filter_map(|finding| finding.help.as_deref()) {
        if !helps.contains(&help) {
            helps.push(help);
        }
    }
    helps.join("\n")
}

/// Runs a check in a thread of its own, and leaves it behind when it takes too long.
fn bounded(check: &'static Check, context: &Arc<Context>) -> Result<Vec<CheckFinding>, ProcessError> {
    let (sender, receiver) = mpsc::channel();
    let context = Arc::clone(context);
    // Nobody receives the findings of a thread that was left behind.
    std::thread::spawn(move || drop(sender.send((check.run)(&context))));
    let deadline = Instant::now() + check.limit;
    let found = wait::until(Some(deadline), TICK, || {
        Ok::<_, ProcessError>(match receiver.try_recv() {
            Ok(findings) => Some(findings),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(vec![
                CheckFinding::broken(check.name, "it panicked").help("this is a bug in basalt"),
            ]),
        })
    })?;
    Ok(found.unwrap_or_else(|| {
        let text = format!("no answer within {} s", check.limit.as_secs());
        vec![
            CheckFinding::broken(check.name, text)
                .help("does a network file system not answer? `df` and `ls` of your home and of the store tell"),
        ]
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Arc<Context> {
        Arc::new(Context {
            content: None,
            store: OnceLock::new(),
        })
    }

    #[test]
    fn a_probe_that_does_not_end_is_reported() {
        static SLOW: Check = check("slow", 0, |_| {
            std::thread::sleep(Duration::from_secs(5));
            Vec::new()
        });
        let began = Instant::now();
        let findings = bounded(&SLOW, &context()).expect("not interrupted");
        assert!(began.elapsed() < Duration::from_secs(4));
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].check, findings[0].status), ("slow", CheckStatus::Failed));
        assert!(findings[0].is_inconclusive());
    }

    #[test]
    fn a_probe_that_panics_is_reported_as_our_bug() {
        static BROKEN: Check = check("broken", 60, |_| panic!("on purpose"));
        let findings = bounded(&BROKEN, &context()).expect("not interrupted");
        assert_eq!(findings[0].status, CheckStatus::Failed);
        assert_eq!(findings[0].help.as_deref(), Some("this is a bug in basalt"));
    }

    #[test]
    fn obstacles_are_named_with_what_helps() {
        let finding = |check, help: &str| {
            CheckFinding::new(check, CheckStatus::Failed, "tried", "does not work\nmore").help(help)
        };
        let obstacles = SdkObstacles {
            findings: vec![finding("sub-ids", "usermod"), finding("mmdebstrap", "apt-get install")],
        };
        let text = obstacles.to_string();
        assert!(
            text.ends_with("\n  sub-ids: does not work\n  mmdebstrap: does not work"),
            "{text}"
        );
        let help = obstacles.help().map(|help| help.to_string()).unwrap_or_default();
        assert!(help.starts_with("usermod\napt-get install\n"), "{help}");
    }

    #[test]
    fn findings_of_a_probe_are_passed_on() {
        static QUICK: Check = check("quick", 60, |_| vec![CheckFinding::passed("quick", "tried", "result")]);
        let findings = bounded(&QUICK, &context()).expect("not interrupted");
        assert_eq!(findings, [CheckFinding::passed("quick", "tried", "result")]);
    }
}
