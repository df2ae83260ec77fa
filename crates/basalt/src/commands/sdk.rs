//! `basalt sdk`: the tree of build tools, and further trees.

use std::process::ExitCode;

use basalt_sandbox::{Network, Relaxation};
use miette::Result;

use super::{answer, answer_json, passed_on};
use crate::arguments::Sdk;
use crate::checkout::Checkout;

/// Makes a tree, locks its packages, or opens a shell in it.
pub fn run(checkout: &Checkout, what: &Sdk, json: bool) -> Result<ExitCode> {
    match what {
        Sdk::Build { tree } => {
            let sdk = checkout.tree(tree.as_deref())?;
            if json {
                answer_json(&serde_json::json!({ "path": sdk.path, "digest": sdk.root.digest }));
            } else {
                answer(&sdk.path);
            }
        }
        Sdk::Lock { tree } => lock(checkout, tree.as_deref(), json)?,
        Sdk::Shell { tree, network } => {
            let terminal = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
            let mut sandbox = checkout.tree(tree.as_deref())?.sandbox();
            sandbox = sandbox.relax(Relaxation::Terminal).env("TERM", terminal);
            if *network {
                sandbox = sandbox.network(Network::Inherited);
            }
            return Ok(passed_on(sandbox.command("bash", ["--norc"]).interactive()?));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn lock(checkout: &Checkout, tree: Option<&str>, json: bool) -> Result<()> {
    let mut changed = serde_json::Map::new();
    let definitions = match tree {
        Some(tree) => vec![checkout.tree_definition(tree)?],
        None => checkout.trees()?,
    };
    for definition in definitions {
        let name = definition.file_stem().unwrap_or_default();
        let changes = basalt_sdk::lock(&definition, &checkout.store, checkout.reporter())?;
        if !json {
            for change in &changes {
                let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "-".to_owned());
                answer(format!(
                    "{:<32} {} -> {}",
                    change.name,
                    version(&change.before),
                    version(&change.now)
                ));
            }
            answer(format!("{} packages changed in distro/sdk/{name}.lock", changes.len()));
        }
        changed.insert(name.to_owned(), serde_json::json!(changes));
    }
    if json {
        answer_json(&changed);
    }
    Ok(())
}
