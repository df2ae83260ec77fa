//! `basalt store`: verification and path of the store.

use std::process::ExitCode;

use basalt_store::{DamagedObject, Store};
use miette::Result;

use super::{answer, answer_json};
use crate::arguments::StoreVerb;
use crate::checkout::open_store;
use crate::terminal::Terminal;

/// Verifies the store, or prints its path.
pub fn run(what: &StoreVerb, quiet: bool, json: bool) -> Result<ExitCode> {
    let store = open_store(&Terminal::new(quiet))?;
    match what {
        StoreVerb::Verify => verify(&store, quiet, json),
        StoreVerb::Path => {
            if json {
                answer_json(&serde_json::json!({ "path": store.root() }));
            } else {
                answer(store.root());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn verify(store: &Store, quiet: bool, json: bool) -> Result<ExitCode> {
    let damaged = store.verify(&Terminal::new(quiet))?;
    if json {
        let entry = |one: &DamagedObject| serde_json::json!({ "digest": one.digest, "why": one.why, "path": one.path });
        answer_json(&serde_json::json!({ "damaged": damaged.iter().map(entry).collect::<Vec<_>>() }));
    } else {
        for one in &damaged {
            answer(format!("{}: {}; it lies in {} now", one.digest, one.why, one.path));
        }
        answer(match damaged.len() {
            0 => "every object, folder and action result in the store is what its name or its checksum says".to_owned(),
            1 => "one thing was damaged; the next command that needs it makes it anew".to_owned(),
            many => format!("{many} things were damaged; the next command that needs them makes them anew"),
        });
    }
    Ok(if damaged.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
