//! Machines of the local cluster.

use std::process::ExitCode;

use basalt_cluster::{ClusterError, LocalCluster, Variant};
use miette::Result;

use super::tell;
use crate::arguments::node::NodeVerb;
use crate::checkout::Checkout;
use crate::commands::{answer, answer_json, status};

/// Adds, lists, removes, reboots or cuts off nodes.
pub(super) fn run(checkout: &Checkout, cluster: &LocalCluster, verb: &NodeVerb, json: bool) -> Result<ExitCode> {
    let reporter = checkout.reporter();
    match verb {
        NodeVerb::Add { count, no_wait } => {
            let mut names = Vec::new();
            for _ in 0..*count {
                names.push(cluster.add_node(Variant::default())?);
            }
            // They boot at the same time.
            for name in names.iter().filter(|_| !no_wait) {
                cluster.await_node(name, None, reporter)?;
            }
            let state = if *no_wait { "started" } else { "Ready" };
            tell(json, &names, state);
        }
        NodeVerb::Remove { nodes } => {
            for name in nodes {
                cluster.remove_node(name, reporter)?;
            }
            tell(json, nodes, "removed");
        }
        NodeVerb::Reboot { nodes, .. } => {
            for name in nodes {
                cluster.reboot_node(name, reporter)?;
            }
            tell(json, nodes, "Ready");
        }
        NodeVerb::CutPower { nodes } => {
            for name in nodes {
                cluster.cut_power(name)?;
            }
            tell(json, nodes, "off");
        }
        _ => list(cluster, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(cluster: &LocalCluster, json: bool) -> Result<()> {
    let status = cluster.status()?.ok_or(ClusterError::Stopped)?;
    if json {
        answer_json(&serde_json::json!({ "nodes": status.nodes }));
    } else {
        answer(status::nodes(&status));
    }
    Ok(())
}
