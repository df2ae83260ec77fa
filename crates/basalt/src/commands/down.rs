//! `basalt down`: stops the cluster and removes its state.

use std::process::ExitCode;

use basalt_cluster::LocalCluster;
use miette::Result;

use super::{answer, answer_json};
use crate::checkout::Checkout;

/// Stops the cluster, if there is one.
pub fn run(checkout: &Checkout, json: bool) -> Result<ExitCode> {
    let ended = LocalCluster::open(checkout.cluster_state())?.down(checkout.reporter())?;
    if json {
        answer_json(&serde_json::json!({ "ended": ended }));
    } else if ended {
        answer("the cluster is gone, and all of its files");
    } else {
        answer("there was no cluster");
    }
    Ok(ExitCode::SUCCESS)
}
