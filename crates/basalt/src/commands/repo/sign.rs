//! `basalt repo sign`: signatures that are made on another machine.

use std::process::ExitCode;

use basalt_signing::Timestamp;
use basalt_snapshots::{Draft, ImportOutcome, SigningRound};
use miette::Result;

use super::open;
use crate::arguments::repo::Sign;
use crate::commands::{answer, answer_json};

/// Runs the verb.
pub fn run(what: &Sign, json: bool) -> Result<ExitCode> {
    match what {
        Sign::Status { repository } => match open(repository)?.draft()? {
            Some(draft) => show(&draft, &repository.name, json),
            None if json => answer_json(&serde_json::Value::Null),
            None => answer(format!("nothing in `{}` waits for signatures", repository.name)),
        },
        Sign::Export { folder, repository } => {
            let draft = open(repository)?.export(folder)?;
            if json {
                answer_json(&draft);
            } else {
                answer(format!(
                    "{} files to be signed by {} are in {folder}, with SHA256SUMS; README.txt says how",
                    draft.missing, draft.key
                ));
            }
        }
        Sign::Import { folder, repository } => match open(repository)?.import(folder, Timestamp::now())? {
            ImportOutcome::More(draft) => show(&draft, &repository.name, json),
            ImportOutcome::Published(snapshot) if json => answer_json(&snapshot),
            ImportOutcome::Published(snapshot) => answer(format!(
                "{} is current: {} packages, signed by {}\n{}",
                snapshot.name,
                snapshot.packages.len(),
                snapshot.key,
                snapshot.folder
            )),
        },
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the missing signatures and the next command.
pub fn show(draft: &Draft, name: &str, json: bool) {
    if json {
        return answer_json(draft);
    }
    let what = match draft.stage {
        SigningRound::Packages => format!("{} of {} packages wait", draft.missing, draft.packages),
        SigningRound::Index => "all packages are signed; the index waits".to_owned(),
    };
    answer(format!(
        "{what} for a signature by {}\nnext: ./basalt repo sign export --name {name} FOLDER",
        draft.key
    ));
}
