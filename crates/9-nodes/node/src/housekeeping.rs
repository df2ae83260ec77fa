//! Housekeeping on the state partition, once at each boot: records of dead kernels, journals that nobody bounds, what a
//! runtime left that was reset, and a reserve of space for the day on which it is full.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::apply::below;
use crate::{panics, paths};

/// Size of the file that is held in reserve, in bytes.
const RESERVE: u64 = 64 << 20;

/// Space below which `/var` counts as full, in bytes: containerd's database cannot grow.
const FULL: u64 = 32 << 20;

/// Journals of other machine ids that are kept, besides this boot's.
const OTHER_JOURNALS: usize = 1;

/// Action on the reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReserveAction {
    /// Leave it as it is.
    Nothing,
    /// Lay it by.
    Create,
    /// Give it up: with its space, containerd and the kubelet start, and the kubelet removes images and pods.
    Release,
}

impl ReserveAction {
    /// Action for a file system with so many bytes free and in all. The reserve is laid by only far from the threshold
    /// at which the kubelet evicts pods (10 % by default), which counts the reserve as used.
    pub fn choose(free: u64, total: u64, there: bool) -> Self {
        match there {
            true if free < FULL => Self::Release,
            false if free > (total / 5).saturating_add(RESERVE + FULL) => Self::Create,
            _ => Self::Nothing,
        }
    }
}

/// Does all of it, and returns what is worth telling. A part that fails does not keep the others from being done.
pub fn run(root: &Path) -> Vec<String> {
    let mut told = Vec::new();
    match tend_reserve(root) {
        Ok(ReserveAction::Release) => told.push(
            "/var is full: the reserve is given up, so that the kubelet starts and removes images and pods".to_owned(),
        ),
        Ok(_) => {}
        Err(error) => told.push(format!("cannot tend {}: {error}", paths::RESERVE)),
    }
    match panics::collect(root) {
        Ok(records) => told.extend(records.iter().map(|record| {
            let summary = record.summary();
            format!(
                "the kernel died at an earlier boot ({}): {summary}; see {}",
                record.reason,
                paths::PANICS
            )
        })),
        Err(error) => told.push(format!("records of the kernel stay where they are: {error}")),
    }
    let discarded = below(root, paths::DISCARDED_RUNTIME);
    let discarded = discarded.exists().then_some(discarded);
    for folder in stale_journals(journals(root)).into_iter().chain(discarded) {
        if let Err(error) = fs_err::remove_dir_all(&folder) {
            told.push(format!("cannot remove {}: {error}", folder.display()));
        }
    }
    told
}

fn tend_reserve(root: &Path) -> io::Result<ReserveAction> {
    let path = below(root, paths::RESERVE);
    let folder = path.parent().unwrap_or(root);
    fs_err::create_dir_all(folder)?;
    let space = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    let action = ReserveAction::choose(bytes(space.f_bfree), bytes(space.f_blocks), path.exists());
    match action {
        ReserveAction::Nothing => {}
        ReserveAction::Release => fs_err::remove_file(&path)?,
        ReserveAction::Create => {
            let file = fs_err::File::create(&path)?;
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, RESERVE)?;
        }
    }
    Ok(action)
}

/// Folders of journals, one for each machine id that this disk has seen, with the time of their last change.
fn journals(root: &Path) -> Vec<(SystemTime, PathBuf)> {
    let entries = fs_err::read_dir(below(root, "/var/log/journal"))
        .into_iter()
        .flatten()
        .flatten();
    let is_id = |name: &str| name.len() == 32 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    let folders = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_id));
    let dated = folders.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
    dated.collect()
}

/// The journals to remove. journald bounds only those of the present machine id, which are the newest.
fn stale_journals(mut journals: Vec<(SystemTime, PathBuf)>) -> Vec<PathBuf> {
    journals.sort();
    journals.reverse();
    journals
        .into_iter()
        .skip(1 + OTHER_JOURNALS)
        .map(|(_, path)| path)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn table() {
        use ReserveAction::{Create, Nothing, Release};
        let cases = [
            (0, 10 * GIB, true, Release),
            (FULL - 1, 10 * GIB, true, Release),
            (FULL, 10 * GIB, true, Nothing),
            (9 * GIB, 10 * GIB, true, Nothing),
            (0, 10 * GIB, false, Nothing),
            (2 * GIB, 10 * GIB, false, Nothing),
            (3 * GIB, 10 * GIB, false, Create),
        ];
        for (free, total, there, expected) in cases {
            assert_eq!(
                ReserveAction::choose(free, total, there),
                expected,
                "{free} {total} {there}"
            );
        }
    }

    proptest! {
        /// Space that is laid by is not given up at the next boot, and space that is given up is not laid by.
        #[test]
        fn it_does_not_swing(free: u64, total: u64) {
            if ReserveAction::choose(free, total, false) == ReserveAction::Create {
                prop_assert_eq!(ReserveAction::choose(free - RESERVE, total, true), ReserveAction::Nothing);
            }
            if free <= total && ReserveAction::choose(free, total, true) == ReserveAction::Release {
                prop_assert_eq!(ReserveAction::choose(free + RESERVE, total, false), ReserveAction::Nothing);
            }
        }
    }

    #[test]
    fn journals_of_many_ids_are_bounded() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let journals = vec![
            (at(3), "c".into()),
            (at(1), "a".into()),
            (at(4), "d".into()),
            (at(2), "b".into()),
        ];
        assert_eq!(stale_journals(journals), [PathBuf::from("b"), PathBuf::from("a")]);
        assert!(stale_journals(vec![(at(1), "a".into()), (at(2), "b".into())]).is_empty());
    }

    #[test]
    fn only_journals_are_journals() {
        let root = tempfile::tempdir().unwrap();
        let folder = below(root.path(), "/var/log/journal");
        for name in ["0123456789abcdef0123456789abcdef", "remote", "0123"] {
            fs_err::create_dir_all(folder.join(name)).unwrap();
        }
        assert_eq!(journals(root.path()).len(), 1);
    }

    #[test]
    fn a_machine_with_nothing_to_tend_tells_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(run(root.path()), Vec::<String>::new());
    }
}
