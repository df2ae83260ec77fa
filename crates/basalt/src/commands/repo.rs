//! `basalt repo`: signed repositories of packages, in snapshots.

use std::process::ExitCode;

use basalt_process::interrupt;
use basalt_progress::Reporter;
use basalt_signing::{Keyring, Timestamp};
use basalt_snapshots::{Repository, RepositoryServer, ServedSnapshot, Snapshot};
use miette::Result;

use super::{answer, answer_json, human};
use crate::arguments::repo::{self, Repo, Serve};
use crate::checkout::Checkout;
use crate::table::Table;
use crate::terminal::Terminal;

mod keys;
mod publish;
mod sign;

/// Runs the verb. Only publishing needs a checkout, and builds what is not in the store or the shared cache.
pub fn run(what: &Repo, open_checkout: impl FnOnce() -> Result<Checkout>, quiet: bool, json: bool) -> Result<ExitCode> {
    let terminal = Terminal::new(quiet);
    match what {
        Repo::Publish(options) => publish::run(options, &open_checkout()?, json),
        Repo::List { repository } => list(&open(repository)?, json),
        Repo::Check { snapshot, repository } => check(&chosen(repository, snapshot.as_deref())?, &terminal, json),
        Repo::Promote { snapshot, repository } => {
            let snapshot = open(repository)?.promote(snapshot)?;
            if json {
                answer_json(&snapshot);
            } else {
                answer(format!("{} is current", snapshot.name));
            }
            Ok(ExitCode::SUCCESS)
        }
        Repo::Prune { keep, repository } => prune(&open(repository)?, *keep, json),
        Repo::Serve(options) => serve(options, &terminal, json),
        Repo::Keys(what) => keys::run(what, &terminal, json),
        Repo::Sign(what) => sign::run(what, json),
    }
}

fn open(options: &repo::RepositoryName) -> Result<Repository> {
    Ok(Repository::new(&Repository::default_root()?, &options.name)?)
}

fn keyring() -> Result<Keyring> {
    Ok(Keyring::new(Keyring::default_path()?))
}

/// Returns the snapshot of a name, or the current one.
fn chosen(repository: &repo::RepositoryName, name: Option<&str>) -> Result<Snapshot> {
    let repository = open(repository)?;
    Ok(match name {
        Some(name) => repository.snapshot(name)?,
        None => repository.published()?,
    })
}

fn list(repository: &Repository, json: bool) -> Result<ExitCode> {
    let snapshots = repository.snapshots()?;
    let current = repository.current()?.map(|snapshot| snapshot.name);
    if json {
        let briefs: Vec<_> = snapshots
            .iter()
            .map(|snapshot| {
                serde_json::json!({
                    "name": snapshot.name, "current": Some(&snapshot.name) == current.as_ref(), "made": snapshot.made,
                    "key": snapshot.key, "packages": snapshot.packages.len(), "bytes": snapshot.bytes(),
                    "advisories": snapshot.advisories, "folder": snapshot.folder,
                })
            })
            .collect();
        answer_json(&briefs);
        return Ok(ExitCode::SUCCESS);
    }
    if snapshots.is_empty() {
        answer(format!(
            "nothing is published in `{}`; ./basalt repo publish does it",
            repository.name()
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new([
        "",
        "snapshot",
        "made (UTC)",
        "packages",
        "size",
        "advisories",
        "signed by",
    ]);
    for snapshot in &snapshots {
        let mark = if Some(&snapshot.name) == current.as_ref() {
            "*"
        } else {
            ""
        };
        table.row([
            mark.to_owned(),
            snapshot.name.clone(),
            snapshot.made.date_and_time(),
            snapshot.packages.len().to_string(),
            human(snapshot.bytes()),
            snapshot.advisories.to_string(),
            basalt_signing::key_id(&snapshot.key).to_owned(),
        ]);
    }
    answer(table);
    Ok(ExitCode::SUCCESS)
}

fn check(snapshot: &Snapshot, terminal: &Terminal, json: bool) -> Result<ExitCode> {
    // Signatures of expired keys are still valid for their time: all keys of the keyring are used.
    let entries = keyring()?.entries()?;
    let trusted: Vec<_> = entries.into_iter().map(|entry| entry.certificate).collect();
    let checked = snapshot.check(&trusted, Timestamp::now(), terminal)?;
    if json {
        answer_json(&checked);
    } else if checked.faults.is_empty() {
        answer(format!(
            "{} is as it was published: the index, and {} packages, signed by trusted keys",
            snapshot.name, checked.packages
        ));
    } else {
        let mut table = Table::new(["file", "what is wrong"]);
        for fault in &checked.faults {
            table.row([fault.file.clone(), fault.why.clone()]);
        }
        answer(table);
    }
    Ok(if checked.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn prune(repository: &Repository, keep: usize, json: bool) -> Result<ExitCode> {
    let (removed, bytes) = repository.prune(keep)?;
    let names: Vec<_> = removed.iter().map(|snapshot| snapshot.name.as_str()).collect();
    if json {
        answer_json(&serde_json::json!({ "removed": names, "bytes": bytes }));
    } else {
        for name in &names {
            answer(format!("removed {name}"));
        }
        answer(format!("{} snapshots removed, {} of RPMs", names.len(), human(bytes)));
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves a repository until Ctrl-C, which is no failure here.
fn serve(options: &Serve, terminal: &Terminal, json: bool) -> Result<ExitCode> {
    let repository = open(&options.repository)?;
    let target = match &options.snapshot {
        Some(name) => ServedSnapshot::Snapshot(repository.snapshot(name)?.folder),
        None => {
            repository.published()?;
            ServedSnapshot::Current(repository)
        }
    };
    let server = RepositoryServer::listen((options.bind, options.port).into(), target)?;
    if json {
        answer_json(&serde_json::json!({ "url": server.url() }));
    } else {
        let url = server.url();
        answer(format!(
            "serving on {url} until Ctrl-C\n\nfor a client, as /etc/yum.repos.d/basalt.repo (also at {url}basalt.repo):\n\n{}",
            server.repo_file()
        ));
    }
    server.run(&interrupt::requested, &|line| terminal.note(line));
    Ok(ExitCode::SUCCESS)
}
