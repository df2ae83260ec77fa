//! `basalt clean`: removes store entries to free disk space.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use basalt_store::{GcEntry, GcPlan, GcPolicy, GcStats};
use camino::Utf8Path;
use miette::Result;
use serde::Serialize;

use super::{answer, answer_json, human};
use crate::arguments::Clean;
use crate::checkout::open_store;
use crate::table::Table;
use crate::terminal::Terminal;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// Default of `--days`: days without use after which an entry is removed.
const DEFAULT_DAYS: u64 = 14;

/// Report for scripts. Sizes are bytes on the disk.
#[derive(Debug, Serialize)]
struct Report<'a> {
    dry_run: bool,
    /// Number of objects, trees, results and logs that were, or would be, removed.
    removed: u64,
    freed_bytes: u64,
    /// Number of entries that stay.
    kept: u64,
    kept_bytes: u64,
    /// Number of entries that stay only because they are in use.
    in_use: u64,
    /// Entries that would be removed; for a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<EntryReport<'a>>,
}

#[derive(Debug, Serialize)]
struct EntryReport<'a> {
    path: &'a Utf8Path,
    bytes: u64,
    /// Seconds since the last recorded use.
    unused_seconds: u64,
}

/// Removes entries that were not used for a number of days, that exceed a size, or all of them.
pub fn run(options: &Clean, quiet: bool, json: bool) -> Result<ExitCode> {
    let terminal = Terminal::new(quiet);
    let store = open_store(&terminal)?;
    let plan = store.plan_collection(&policy(options), &terminal)?;
    let stats = if options.dry_run {
        GcStats {
            removed: plan.removed.len() as u64,
            removed_bytes: bytes(&plan.removed),
            spared: 0,
        }
    } else {
        store.collect(&plan, &terminal)?
    };
    let report = report(options, &plan, stats);
    if json {
        answer_json(&report);
    } else {
        show(&report);
    }
    Ok(ExitCode::SUCCESS)
}

fn policy(options: &Clean) -> GcPolicy {
    let days = match (options.all, options.keep) {
        (true, _) => Some(0),
        (false, None) => Some(options.days.unwrap_or(DEFAULT_DAYS)),
        (false, Some(_)) => options.days,
    };
    GcPolicy {
        max_idle: days.map(|days| Duration::from_secs(days.saturating_mul(DAY))),
        max_bytes: options.keep.map(|size| size.as_u64()),
    }
}

fn bytes(entries: &[GcEntry]) -> u64 {
    entries.iter().map(|entry| entry.bytes).sum()
}

fn report<'a>(options: &Clean, plan: &'a GcPlan, stats: GcStats) -> Report<'a> {
    let now = SystemTime::now();
    let entry = |entry: &'a GcEntry| EntryReport {
        path: &entry.path,
        bytes: entry.bytes,
        unused_seconds: now.duration_since(entry.used).unwrap_or_default().as_secs(),
    };
    let stay = bytes(&plan.kept) + bytes(&plan.in_use) + bytes(&plan.removed) - stats.removed_bytes;
    Report {
        dry_run: options.dry_run,
        removed: stats.removed,
        freed_bytes: stats.removed_bytes,
        kept: (plan.kept.len() + plan.in_use.len() + plan.removed.len()) as u64 - stats.removed,
        kept_bytes: stay,
        in_use: plan.in_use.len() as u64 + stats.spared,
        entries: plan.removed.iter().filter(|_| options.dry_run).map(entry).collect(),
    }
}

fn show(report: &Report) {
    if report.dry_run && !report.entries.is_empty() {
        let mut table = Table::new(["would be removed", "size", "not used for"]);
        for entry in &report.entries {
            let idle = format!("{} days", entry.unused_seconds / DAY);
            table.row([entry.path.to_string(), human(entry.bytes), idle]);
        }
        answer(table);
    }
    let verb = if report.dry_run { "would remove" } else { "removed" };
    answer(format!(
        "{verb} {} objects, trees, results and logs: {}",
        report.removed,
        human(report.freed_bytes)
    ));
    let in_use = match report.in_use {
        0 => String::new(),
        number => format!(", {number} of them only because they are in use"),
    };
    answer(format!("{} stay{in_use}: {}", report.kept, human(report.kept_bytes)));
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Verb};

    fn parsed(words: &[&str]) -> std::result::Result<GcPolicy, clap::Error> {
        let words = ["basalt", "clean"].iter().chain(words);
        let arguments = Arguments::try_parse_from(words)?;
        let Verb::Clean(options) = arguments.verb else {
            panic!("{arguments:?}")
        };
        Ok(policy(&options))
    }

    #[test]
    fn options_become_limits() {
        let days = |days: u64| Some(Duration::from_secs(days * DAY));
        let cases: [(&[&str], Option<Duration>, Option<u64>); 10] = [
            (&[], days(14), None),
            (&["--days", "3"], days(3), None),
            (&["--days", "0"], days(0), None),
            (&["--keep", "20G"], None, Some(20_000_000_000)),
            (&["--keep", "20GiB"], None, Some(20 << 30)),
            (&["--keep", "1.5M", "--days", "3"], days(3), Some(1_500_000)),
            (&["--keep", "0"], None, Some(0)),
            (&["--all"], days(0), None),
            (&["--all", "--dry-run"], days(0), None),
            (
                &["--days", "18446744073709551615"],
                Some(Duration::from_secs(u64::MAX)),
                None,
            ),
        ];
        for (words, max_idle, max_bytes) in cases {
            let policy = parsed(words).expect("parsed");
            assert_eq!((policy.max_idle, policy.max_bytes), (max_idle, max_bytes), "{words:?}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for words in [
            &["--all", "--days", "3"][..],
            &["--all", "--keep", "3G"],
            &["--days", "-1"],
            &["--days", "18446744073709551616"],
            &["--keep", "much"],
            &["--keep", "-1G"],
            &["--keep", "3 parsecs"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
