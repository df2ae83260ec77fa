//! Checks of sandboxes: programs are run in two, which are made as those of builds.
//!
//! One has its writable layer in memory, so that nothing depends on the store's file system but reading; the other has it
//! in the store, as builds have. A sandbox that cannot be made says at which stage, and all stages before that one passed.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use basalt_process::ProcessError;
use basalt_sandbox::{Root, Sandbox};
use camino::{Utf8Path, Utf8PathBuf};

use super::Context;
use super::outcome::ProgramOutcome;
use super::report::{BUILDING, CheckFinding, CheckStatus};
use super::store;

pub mod restrictions;

use restrictions::Restrictions;

/// Time for a program in a sandbox, which takes a tenth of a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Folders of the host with its programs, for want of an SDK.
const HOST: [&str; 6] = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix/store"];

/// Script that uses the overlay as installations do: files are changed and removed, a folder is replaced, a program that
/// lies in a layer is run.
const SCRIPT: &str = "set -e
/probe/program
test \"$(cat /probe/kept)\" = upper
echo written >/probe/changed
rm /probe/removed
rm -r /probe/replaced
mkdir /probe/replaced
test -z \"$(ls -A /probe/replaced)\"
test -r /proc/self/status
echo done
";

/// Stages of a sandbox, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// User, PID, mount, network, IPC and UTS namespaces, and the mapping of the user.
    Namespaces,
    /// Overlay of the root.
    Overlay,
    /// Everything else: folders, devices.
    Mounts,
    /// `/proc` of the PID namespace, with its masks.
    Proc,
    /// No capabilities, Landlock, seccomp.
    Confinement,
    /// Start of the program.
    Start,
    /// End of the program, with success.
    Program,
}

/// End of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    /// Stage that failed; `None` when the program succeeded.
    failed: Option<Stage>,
    /// Error, or what a failed program wrote.
    text: String,
    /// Advice of the sandbox.
    help: Option<String>,
}

/// Runs programs in sandboxes.
pub fn examine(context: &Context) -> Vec<CheckFinding> {
    let workspace = match store::workspace(context, "sandbox", "run a program in a sandbox") {
        Ok(workspace) => workspace,
        Err(finding) => return vec![finding],
    };
    let host = context.sdk().map(|sdk| sdk.path);
    let run = |scratch: Option<Utf8PathBuf>| match sandbox(workspace.path(), host.as_deref(), scratch) {
        Ok(sandbox) => Run::of(sandbox.command("/bin/sh", ["-c", SCRIPT]).time_limit(LIMIT).output()),
        Err(error) => Run {
            failed: Some(Stage::Mounts),
            text: error.to_string(),
            help: None,
        },
    };
    let in_memory = run(None);
    let in_store = run(Some(workspace.path().join("scratch")));
    assess(&in_memory, &in_store, &Restrictions::read())
}

/// Describes a sandbox with two layers of ours and the programs of the SDK, or of the host.
fn sandbox(folder: &Utf8Path, sdk: Option<&Utf8Path>, scratch: Option<Utf8PathBuf>) -> io::Result<Sandbox> {
    let (upper, lower) = (folder.join("upper"), folder.join("lower"));
    for (layer, text) in [(&upper, "upper"), (&lower, "lower")] {
        let probe = layer.join("probe");
        fs_err::create_dir_all(probe.join("replaced"))?;
        fs_err::write(probe.join("replaced").join(text), text)?;
        for name in ["kept", "changed", "removed"] {
            fs_err::write(probe.join(name), text)?;
        }
    }
    let program = lower.join("probe/program");
    fs_err::write(&program, "#!/bin/sh\nexit 0\n")?;
    fs_err::set_permissions(&program, Permissions::from_mode(0o755))?;
    if let Some(scratch) = &scratch {
        fs_err::create_dir_all(scratch)?;
    }
    let mut layers = vec![upper, lower];
    layers.extend(sdk.map(Utf8Path::to_owned));
    let sandbox = Sandbox::new(Root { layers, scratch })
        .env("PATH", "/usr/bin:/usr/sbin:/bin")
        .env("LC_ALL", "C.UTF-8");
    if sdk.is_some() {
        return Ok(sandbox);
    }
    let there = HOST.into_iter().filter(|path| Utf8Path::new(path).exists());
    Ok(there.fold(sandbox, |sandbox, path| sandbox.show(path)))
}

impl Run {
    fn of(result: Result<basalt_process::Output, ProcessError>) -> Self {
        let is_sandbox = matches!(
            &result,
            Err(ProcessError::Failed { status, .. }) if status.code() == Some(basalt_sandbox::FAILED)
        );
        match ProgramOutcome::from(result) {
            ProgramOutcome::Succeeded(_) => Self {
                failed: None,
                text: "a program ran".to_owned(),
                help: None,
            },
            ProgramOutcome::Failed(text) if is_sandbox => Self::parse(&text),
            failed => Self {
                failed: Some(Stage::Program),
                text: failed.failure().unwrap_or_default().to_owned(),
                help: None,
            },
        }
    }

    /// Parses the last lines of a sandbox that failed: `sandbox: <error>` and `sandbox: help: <help>`.
    fn parse(text: &str) -> Self {
        let said: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("sandbox: ")).collect();
        let error = said.iter().find(|line| !line.starts_with("help: "));
        let error = error.map_or_else(|| text.to_owned(), |line| (*line).to_owned());
        Self {
            failed: Some(stage(&error)),
            help: said
                .iter()
                .find_map(|line| line.strip_prefix("help: "))
                .map(str::to_owned),
            text: error,
        }
    }

    /// Returns `true` if the stage was passed; `None` if it was not reached.
    fn passed(&self, stage: Stage) -> Option<bool> {
        match self.failed {
            Some(failed) if failed < stage => None,
            Some(failed) => Some(failed > stage),
            None => Some(true),
        }
    }
}

/// Finds the stage of an error of the sandbox by its text, which is all that leaves the process that fails.
fn stage(error: &str) -> Stage {
    if error.starts_with("the kernel refuses new namespaces") || error.starts_with("cannot map the user") {
        Stage::Namespaces
    } else if error.starts_with("cannot mount a stack of") {
        Stage::Overlay
    } else if error.starts_with("cannot mount") && error.contains("at `/proc") {
        Stage::Proc
    } else if error.starts_with("cannot confine the program") {
        Stage::Confinement
    } else if error.starts_with("cannot start `") {
        Stage::Start
    } else {
        Stage::Mounts
    }
}

fn assess(in_memory: &Run, in_store: &Run, restrictions: &Restrictions) -> Vec<CheckFinding> {
    let namespaces = finding(
        "user namespaces",
        "enter user, PID, mount, network, IPC and UTS namespaces",
        Stage::Namespaces,
        in_memory,
        restrictions.help(),
    );
    let mounts = finding(
        "mounts in namespaces",
        "mount tmpfs and devices in a user namespace",
        Stage::Mounts,
        in_memory,
        "a container or a security module forbids mounts: docker run --security-opt apparmor=unconfined \
         --security-opt seccomp=unconfined"
            .to_owned(),
    );
    let proc = finding(
        "/proc",
        "mount /proc in a PID namespace",
        Stage::Proc,
        in_memory,
        "docker run --security-opt systempaths=unconfined".to_owned(),
    );
    let confinement = finding(
        "confinement",
        "drop capabilities, enter a Landlock domain and a seccomp filter",
        Stage::Confinement,
        in_memory,
        "run it on a kernel with seccomp, outside of a container that forbids prctl".to_owned(),
    );
    let program = finding(
        "program in a sandbox",
        "run a shell script in a sandbox",
        Stage::Program,
        in_memory,
        "BASALT_LOG=debug ./basalt doctor    # shows the command".to_owned(),
    );
    vec![
        namespaces,
        overlay(in_store),
        mounts,
        proc,
        confinement,
        program,
        restrictions.assess(in_memory.failed.is_none() && in_store.failed.is_none()),
    ]
}

/// Assesses one stage; `help` counts where the sandbox gives none.
fn finding(name: &'static str, tried: &'static str, stage: Stage, run: &Run, help: String) -> CheckFinding {
    // A shell that does not start is a fault of the program, too.
    let passed = match (stage, run.failed) {
        (Stage::Program, Some(Stage::Start)) => Some(false),
        _ => run.passed(stage),
    };
    match passed {
        Some(true) => CheckFinding::passed(name, tried, "it works"),
        None => CheckFinding::skipped(name, tried, "not reached, because another part of the sandbox failed"),
        Some(false) => CheckFinding::new(name, CheckStatus::Failed, tried, run.text.as_str())
            .means(BUILDING, "every program of a build, and QEMU, runs in such a sandbox")
            .help(run.help.clone().unwrap_or(help)),
    }
}

/// Assesses the overlay whose writable layer is in the store: all that ran in that sandbox used it.
fn overlay(run: &Run) -> CheckFinding {
    let (name, tried) = ("overlayfs", "mount an overlay in the store, and use it");
    match run.failed {
        None => CheckFinding::passed(name, tried, "files can be written, removed and replaced"),
        Some(Stage::Namespaces | Stage::Mounts) => {
            CheckFinding::skipped(name, tried, "not reached, because another part of the sandbox failed")
        }
        Some(Stage::Proc | Stage::Confinement | Stage::Start) => {
            CheckFinding::passed(name, tried, "it was mounted; nothing ran on it")
        }
        Some(Stage::Overlay | Stage::Program) => CheckFinding::new(name, CheckStatus::Failed, tried, run.text.as_str())
            .means(BUILDING, "the roots of builds are overlays of trees in the store")
            .help(run.help.clone().unwrap_or_else(|| {
                "export BASALT_STORE=<an empty folder on ext4, xfs or btrfs>    # in a container: on a volume"
                    .to_owned()
            })),
    }
}

#[cfg(test)]
mod tests {
    use basalt_process::chain;
    use basalt_sandbox::SandboxError;
    use rustix::io::Errno;

    use super::*;

    fn mount(what: &str, path: &str) -> SandboxError {
        SandboxError::Mount {
            what: what.to_owned(),
            path: path.into(),
            help: None,
            source: Errno::PERM,
        }
    }

    #[test]
    fn errors_of_the_sandbox_name_their_stage() {
        let confine = SandboxError::Confine {
            layer: "the Landlock domain",
            source: io::ErrorKind::Unsupported.into(),
        };
        let ids = SandboxError::Ids {
            file: "/proc/self/uid_map",
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let start = SandboxError::Start {
            program: "/bin/sh".to_owned(),
            source: io::ErrorKind::NotFound.into(),
        };
        for (error, expected) in [
            (SandboxError::Namespaces(Errno::PERM), Stage::Namespaces),
            (ids, Stage::Namespaces),
            (mount("a stack of 3 trees", "/"), Stage::Overlay),
            (mount("proc", "/proc"), Stage::Proc),
            (mount("an empty file", "/proc/kcore"), Stage::Proc),
            (mount("tmpfs", "/tmp"), Stage::Mounts),
            (confine, Stage::Confinement),
            (start, Stage::Start),
        ] {
            let text = format!("sandbox: {}\nsandbox: help: do this", chain(&error));
            let run = Run::parse(&text);
            assert_eq!(run.failed, Some(expected), "{text}");
            assert_eq!(run.help.as_deref(), Some("do this"));
        }
    }

    fn run(failed: Option<Stage>) -> Run {
        Run {
            failed,
            text: "text".to_owned(),
            help: None,
        }
    }

    fn statuses(in_memory: Option<Stage>, in_store: Option<Stage>) -> Vec<CheckStatus> {
        let findings = assess(&run(in_memory), &run(in_store), &Restrictions::default());
        findings.into_iter().map(|finding| finding.status).collect()
    }

    #[test]
    fn stages_before_the_failed_one_passed_and_later_ones_are_unknown() {
        use CheckStatus::{Failed, Passed, Skipped};
        assert_eq!(statuses(None, None), [Passed; 7]);
        let namespaces = statuses(Some(Stage::Namespaces), Some(Stage::Namespaces));
        assert_eq!(namespaces[..6], [Failed, Skipped, Skipped, Skipped, Skipped, Skipped]);
        let overlay = statuses(None, Some(Stage::Overlay));
        assert_eq!(overlay[..6], [Passed, Failed, Passed, Passed, Passed, Passed]);
        let proc = statuses(Some(Stage::Proc), Some(Stage::Proc));
        assert_eq!(proc[..6], [Passed, Passed, Passed, Failed, Skipped, Skipped]);
        let confinement = statuses(Some(Stage::Confinement), Some(Stage::Confinement));
        assert_eq!(confinement[..6], [Passed, Passed, Passed, Passed, Failed, Skipped]);
        let start = statuses(Some(Stage::Start), Some(Stage::Start));
        assert_eq!(start[..6], [Passed, Passed, Passed, Passed, Passed, Failed]);
        let program = statuses(None, Some(Stage::Program));
        assert_eq!(program[..6], [Passed, Failed, Passed, Passed, Passed, Passed]);
    }
}
