//! Check of the store: opened as every verb opens it, and the space on its disk.

use basalt_store::{Store, StoreError, Workspace};
use camino::Utf8Path;
use miette::Diagnostic as _;

use super::Context;
use super::report::{BUILDING, CheckFinding, CheckStatus, STORING};

const NAME: &str = "store";
const SPACE: &str = "disk space";
const INODES: &str = "inodes";

/// Bytes that the store takes when `up` has built everything, with what is under way meanwhile.
const EVERYTHING: u64 = 20_000_000_000;
/// Bytes that are needed to go on with a store that has the SDK.
const FURTHER: u64 = 5_000_000_000;
/// Bytes below which hardly a package can be built.
const LEAST: u64 = 1_000_000_000;
/// Files and folders of the SDK, the toolchain and a large source tree, with a reserve.
const FILES: u64 = 500_000;

/// Free space of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Space {
    /// Bytes that this user may still write.
    bytes: u64,
    /// Files that this user may still make; `None` where the file system has no fixed number of them.
    files: Option<u64>,
    /// `true` if the SDK is in the store.
    has_sdk: bool,
}

/// Opens the store, and measures its disk.
pub fn examine(context: &Context) -> Vec<CheckFinding> {
    let opened = Store::default_path().and_then(|path| Store::open(&path));
    let finding = assess(opened.as_ref().map(|store| (store.root(), store.is_read_only())));
    let Ok(store) = opened else {
        return vec![finding];
    };
    let root = store.root().to_owned();
    // The first one that was opened stays.
    let _ = context.store.set(store);
    let mut findings = vec![finding];
    findings.extend(match measure(&root, context.sdk().is_some()) {
        Ok(space) => vec![assess_bytes(&root, space), assess_files(&root, space)],
        Err(error) => vec![CheckFinding::skipped(
            SPACE,
            format!("statvfs {root}"),
            error.to_string(),
        )],
    });
    findings
}

fn measure(root: &Utf8Path, has_sdk: bool) -> rustix::io::Result<Space> {
    let status = rustix::fs::statvfs(root.as_std_path())?;
    Ok(Space {
        bytes: status.f_bavail.saturating_mul(status.f_frsize),
        files: (status.f_files > 0).then_some(status.f_favail),
        has_sdk,
    })
}

fn assess(opened: Result<(&Utf8Path, bool), &StoreError>) -> CheckFinding {
    let tried = "open the store";
    match opened {
        Ok((root, false)) => CheckFinding::passed(
            NAME,
            tried,
            format!("{root} can be read and written, and its locks work"),
        ),
        Ok((root, true)) => CheckFinding::new(NAME, CheckStatus::Failed, tried, format!("{root} can only be read"))
            .means(STORING, "what is not in the store cannot be fetched or built")
            .help(format!(
                "make {root} writable, or: export BASALT_STORE=<a folder that you may write to>"
            )),
        Err(error) => {
            let finding = CheckFinding::new(NAME, CheckStatus::Failed, tried, basalt_process::chain(error));
            let finding = finding.means(STORING, "there is nowhere to keep what is fetched and built");
            match error.help() {
                Some(help) => finding.help(help.to_string()),
                None => finding.help("export BASALT_STORE=<an empty folder on a local disk>"),
            }
        }
    }
}

fn assess_bytes(root: &Utf8Path, space: Space) -> CheckFinding {
    let needed = if space.has_sdk { FURTHER } else { EVERYTHING };
    let status = match space.bytes {
        bytes if bytes < LEAST => CheckStatus::Failed,
        bytes if bytes < needed => CheckStatus::Warning,
        _ => CheckStatus::Passed,
    };
    let giga = |bytes: u64| {
        let tenths = bytes.saturating_add(50_000_000) / 100_000_000;
        format!("{}.{} GB", tenths / 10, tenths % 10)
    };
    let result = format!("{} are free, some {} are needed", giga(space.bytes), giga(needed));
    let finding = CheckFinding::new(SPACE, status, format!("statvfs {root}"), result);
    if status == CheckStatus::Passed {
        return finding;
    }
    finding
        .means(
            BUILDING,
            "builds end when the disk is full; what is finished by then is kept",
        )
        .help(more_space())
}

fn assess_files(root: &Utf8Path, space: Space) -> CheckFinding {
    let tried = format!("statvfs {root}");
    match space.files {
        None => CheckFinding::passed(INODES, tried, "their number is not limited"),
        Some(files) if files >= FILES || space.has_sdk && files >= FILES / 5 => {
            CheckFinding::passed(INODES, tried, format!("{files} are free"))
        }
        Some(files) => {
            let status = if files < FILES / 50 {
                CheckStatus::Failed
            } else {
                CheckStatus::Warning
            };
            CheckFinding::new(
                INODES,
                status,
                tried,
                format!("{files} are free, some {FILES} are needed"),
            )
            .means(
                BUILDING,
                "the SDK and sources are many small files: \"No space left on device\"",
            )
            .help(more_space())
        }
    }
}

fn more_space() -> String {
    "./basalt clean --days 0 --dry-run    # what could go\nexport BASALT_STORE=<an empty folder on a larger disk>"
        .to_owned()
}

/// Finding of a check that needs a store, where there is none.
fn absent(check: &'static str, tried: &str) -> CheckFinding {
    CheckFinding::skipped(check, tried, "there is no store to try it in")
}

/// Makes a folder in the store for the files of a check, which goes with it.
///
/// # Errors
/// The finding, when there is no store, or when nothing can be made in it.
pub fn workspace(context: &Context, check: &'static str, tried: &str) -> Result<Workspace, CheckFinding> {
    let store = context.store.get().ok_or_else(|| absent(check, tried))?;
    store
        .workspace()
        .map_err(|error| CheckFinding::skipped(check, tried, basalt_process::chain(&error)))
}

#[cfg(test)]
mod tests {
    use basalt_store::FileError;

    use super::*;

    const GIGA: u64 = 1_000_000_000;

    #[test]
    fn space_is_assessed_by_what_is_left_to_build() {
        for (giga, has_sdk, status) in [
            (100, false, CheckStatus::Passed),
            (19, false, CheckStatus::Warning),
            (19, true, CheckStatus::Passed),
            (4, true, CheckStatus::Warning),
            (0, true, CheckStatus::Failed),
            (0, false, CheckStatus::Failed),
        ] {
            let space = Space {
                bytes: giga * GIGA,
                files: None,
                has_sdk,
            };
            let finding = assess_bytes("/store".into(), space);
            assert_eq!(finding.status, status, "{giga} GB, {has_sdk}");
            assert_eq!(finding.help.is_some(), status != CheckStatus::Passed);
        }
    }

    #[test]
    fn inodes_are_assessed_by_what_is_left_to_build() {
        for (files, has_sdk, status) in [
            (None, false, CheckStatus::Passed),
            (Some(1_000_000), false, CheckStatus::Passed),
            (Some(200_000), false, CheckStatus::Warning),
            (Some(200_000), true, CheckStatus::Passed),
            (Some(50_000), true, CheckStatus::Warning),
            (Some(0), true, CheckStatus::Failed),
        ] {
            let space = Space {
                bytes: GIGA,
                files,
                has_sdk,
            };
            assert_eq!(
                assess_files("/store".into(), space).status,
                status,
                "{files:?}, {has_sdk}"
            );
        }
    }

    #[test]
    fn a_store_that_cannot_be_opened_comes_with_help() {
        let errors = [
            StoreError::NoPlace,
            StoreError::Foreign {
                root: "/mnt/disk".into(),
                name: "thesis".into(),
            },
            FileError::new("cannot create", "/x".into())(std::io::ErrorKind::Other.into()).into(),
        ];
        for error in errors {
            let finding = assess(Err(&error));
            assert_eq!(finding.status, CheckStatus::Failed, "{error}");
            assert!(finding.help.is_some(), "{error}");
        }
        assert_eq!(assess(Ok(("/s".into(), true))).status, CheckStatus::Failed);
        assert_eq!(assess(Ok(("/s".into(), false))).status, CheckStatus::Passed);
    }
}
