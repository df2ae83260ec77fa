//! `basalt clean`: gives disk space back.

use std::process::ExitCode;
use std::time::Duration;

use basalt_store::Store;
use miette::{Result, miette};

use super::{answer, answer_json};

/// Removes what was not used for so many days, or everything.
pub fn run(days: u64, all: bool, json: bool) -> Result<ExitCode> {
    let idle = if all {
        Duration::ZERO
    } else {
        Duration::from_secs(days.saturating_mul(24 * 60 * 60))
    };
    let collected = Store::collect(&Store::default_path()?, idle)?.ok_or_else(|| {
        miette!(
            help = "wait for the other basalt to end; if a cluster is running: ./basalt down",
            "the store is in use, so that nothing was removed"
        )
    })?;
    if json {
        answer_json(&serde_json::json!({ "removed": collected.items }));
    } else {
        answer(format!(
            "removed {} objects, trees and results from the store",
            collected.items
        ));
    }
    Ok(ExitCode::SUCCESS)
}
