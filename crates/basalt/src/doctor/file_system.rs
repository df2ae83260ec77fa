//! Checks of the store's file system: names and modes that it keeps, and programs that run from it.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use fs_err::os::unix::fs::symlink;

use super::Context;
use super::environment::try_folder;
use super::outcome::ProgramOutcome;
use super::report::{BUILDING, CheckFinding, CheckStatus};
use super::store;

const KEPT: &str = "file names and modes";
const EXECUTION: &str = "running programs";

/// Length of the longest name of a file that Linux allows (NAME_MAX).
const LONGEST: usize = 255;

/// Properties of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept {
    /// `true` if names that differ in case alone are two files.
    cases: bool,
    /// `true` if modes are kept: a file that may not be executed, one that may, a folder that may not be written to.
    modes: bool,
    /// `true` if symbolic links are kept, also those that lead nowhere.
    links: bool,
    /// `true` if names may have 255 bytes, of any value.
    names: bool,
}

/// Examines the file system of the store.
pub fn examine(context: &Context) -> Vec<CheckFinding> {
    let tried = "make files and links in the store";
    let workspace = match store::workspace(context, KEPT, tried) {
        Ok(workspace) => workspace,
        Err(finding) => return vec![finding],
    };
    let (path, executes) = try_folder(workspace.path().as_std_path());
    vec![
        assess_kept(tried, &Kept::probe(workspace.path())),
        assess_execution(&path, &executes),
    ]
}

impl Kept {
    fn probe(folder: &Utf8Path) -> io::Result<Self> {
        Ok(Self {
            cases: Self::keeps_cases(folder)?,
            modes: Self::keeps_modes(folder)?,
            links: symlink("no/such/file", folder.join("link")).is_ok()
                && fs_err::read_link(folder.join("link")).is_ok_and(|target| target.as_os_str() == "no/such/file"),
            names: fs_err::write(folder.join("n".repeat(LONGEST)), "").is_ok()
                && fs_err::write(folder.join("a:b*c?d\"e\\f "), "").is_ok(),
        })
    }

    fn keeps_cases(folder: &Utf8Path) -> io::Result<bool> {
        fs_err::write(folder.join("Name"), "first")?;
        fs_err::write(folder.join("name"), "second")?;
        Ok(fs_err::read(folder.join("Name"))? == b"first")
    }

    fn keeps_modes(folder: &Utf8Path) -> io::Result<bool> {
        let path = folder.join("mode");
        fs_err::write(&path, "")?;
        for mode in [0o644, 0o755, 0o400] {
            // Some file systems refuse other modes than theirs, others ignore them.
            let set = fs_err::set_permissions(&path, Permissions::from_mode(mode));
            if set.is_err() || path.metadata()?.permissions().mode() & 0o7777 != mode {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn assess_kept(tried: &str, kept: &io::Result<Kept>) -> CheckFinding {
    let kept = match kept {
        Ok(kept) => kept,
        Err(error) => {
            return CheckFinding::new(KEPT, CheckStatus::Failed, tried, error.to_string())
                .means(BUILDING, "the store cannot be used")
                .help(other_disk());
        }
    };
    let lost: Vec<_> = [
        (kept.cases, "names that differ in case alone are one file"),
        (kept.modes, "modes are lost"),
        (kept.links, "there are no symbolic links"),
        (kept.names, "names are restricted"),
    ]
    .into_iter()
    .filter_map(|(kept, loss)| (!kept).then_some(loss))
    .collect();
    if lost.is_empty() {
        return CheckFinding::passed(KEPT, tried, "all are kept");
    }
    CheckFinding::new(KEPT, CheckStatus::Failed, tried, lost.join(", "))
        .means(BUILDING, "sources and trees differ from what their digests say")
        .help(other_disk())
}

fn assess_execution(path: &str, outcome: &ProgramOutcome) -> CheckFinding {
    let tried = format!("run a script in {path}");
    match outcome.failure() {
        None => CheckFinding::passed(EXECUTION, tried, "it runs"),
        Some(failure) => CheckFinding::new(EXECUTION, CheckStatus::Failed, tried, failure)
            .means(
                &["up", "kubectl", "sdk", "build", "test"],
                "programs that were built are run from the store",
            )
            .help(format!(
                "sudo mount -o remount,exec <the mount point of the store>    # or:\n{}",
                other_disk()
            )),
    }
}

fn other_disk() -> String {
    "export BASALT_STORE=<an empty folder on ext4, xfs or btrfs>".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_named() {
        let all = Kept {
            cases: true,
            modes: true,
            links: true,
            names: true,
        };
        for (kept, named) in [
            (Kept { cases: false, ..all }, "case"),
            (Kept { modes: false, ..all }, "modes"),
            (Kept { links: false, ..all }, "links"),
            (Kept { names: false, ..all }, "restricted"),
        ] {
            let finding = assess_kept("tried", &Ok(kept));
            assert_eq!(finding.status, CheckStatus::Failed);
            assert!(finding.result.contains(named), "{finding}");
        }
        assert_eq!(assess_kept("tried", &Ok(all)).status, CheckStatus::Passed);
        let error = assess_kept("tried", &Err(io::ErrorKind::StorageFull.into()));
        assert_eq!(error.status, CheckStatus::Failed);
    }

    #[test]
    fn the_file_system_of_tests_keeps_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = Kept::probe(Utf8Path::from_path(folder.path()).expect("UTF-8")).expect("probed");
        assert!(kept.cases && kept.modes && kept.links && kept.names, "{kept:?}");
    }

    #[test]
    fn noexec_is_a_failure() {
        let refused = ProgramOutcome::Failed("could not start `script`: Permission denied".to_owned());
        assert_eq!(assess_execution("/store", &refused).status, CheckStatus::Failed);
        assert_eq!(
            assess_execution("/store", &ProgramOutcome::Succeeded(String::new())).status,
            CheckStatus::Passed
        );
    }
}
