//! `basalt node`: nodes of a cluster, one by one.
//!
//! [`target`] chooses the cluster, [`machines`] has the verbs about machines of the local one, [`access`] those that work
//! through the API server of any cluster.

mod access;
mod machines;
mod target;

use std::process::ExitCode;

use miette::Result;

use super::{answer, answer_json};
use crate::arguments::node::{NodeArguments, NodeVerb};
use crate::checkout::Checkout;
use target::Target;

/// Runs a verb about nodes.
pub fn run(checkout: &Checkout, node: &NodeArguments, json: bool) -> Result<ExitCode> {
    let target = Target::choose(checkout, &node.cluster)?;
    match (&node.verb, &target) {
        (NodeVerb::Add { .. } | NodeVerb::Remove { .. } | NodeVerb::CutPower { .. }, _) => {
            machines::run(checkout, target.local()?, &node.verb, json)
        }
        // The power button works on machines that are off, or whose kubelet does not answer.
        (NodeVerb::List, Target::Local(cluster)) => machines::run(checkout, cluster, &node.verb, json),
        (NodeVerb::Reboot { flags, .. }, Target::Local(cluster)) if !flags.cordon && !flags.no_wait => {
            machines::run(checkout, cluster, &node.verb, json)
        }
        _ => access::run(checkout, &target, &node.verb, json),
    }
}

/// Prints the state that nodes are in now.
fn tell(json: bool, nodes: &[String], state: &str) {
    if json {
        answer_json(&serde_json::json!({ "nodes": nodes, "state": state }));
    } else {
        nodes.iter().for_each(|node| answer(format!("{node} is {state}")));
    }
}
