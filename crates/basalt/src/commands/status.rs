//! `basalt status`: state of the running cluster.

use std::process::ExitCode;

use basalt_cluster::{ClusterStatus, LocalCluster};
use miette::Result;

use super::{answer, answer_json};
use crate::checkout::Checkout;
use crate::table::Table;

/// Shows the cluster; that there is none is no error.
pub fn run(checkout: &Checkout, json: bool) -> Result<ExitCode> {
    let status = LocalCluster::open(checkout.cluster_state())?.status()?;
    if json {
        answer_json(&status);
        return Ok(ExitCode::SUCCESS);
    }
    match status {
        Some(status) => show(&status),
        None => answer("no cluster is running; ./basalt up starts one"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the state of a cluster for people.
pub fn show(status: &ClusterStatus) {
    answer(format!(
        "API server  {} (process {}, up for {})",
        status.endpoint,
        status.supervisor,
        age(status.seconds)
    ));
    answer(format!("registry    {}", status.registry));
    answer(format!("kubeconfig  {}", status.kubeconfig));
    if let Some(verdict) = &status.accelerator {
        answer(format!("processors  {}: {}", verdict.accelerator, verdict.reason));
    }
    let mut table = Table::new(["control plane", "state", "restarts"]);
    for component in &status.components {
        table.row([
            component.name.clone(),
            component.state.to_string(),
            component.restarts.to_string(),
        ]);
    }
    answer(format!("\n{table}"));
    answer(nodes(status));
    let Some(pods) = &status.pods else {
        return answer("the API server does not answer: ./basalt logs kube-apiserver");
    };
    let mut table = Table::new(["namespace", "pod", "node", "address", "state"]);
    for pod in pods {
        let state = if pod.ready {
            pod.state.clone()
        } else {
            format!("{}, not ready", pod.state)
        };
        table.row([
            pod.namespace.clone(),
            pod.name.clone(),
            pod.node.clone(),
            pod.address.clone(),
            state,
        ]);
    }
    answer(table);
}

/// Table of a cluster's nodes.
pub fn nodes(status: &ClusterStatus) -> impl std::fmt::Display {
    let mut table = Table::new(["node", "address", "machine", "in the cluster"]);
    for node in &status.nodes {
        let ready = match node.ready {
            Some(true) => "Ready",
            Some(false) => "not Ready",
            None => "not registered",
        };
        let machine = &node.machine;
        table.row([
            machine.name.clone(),
            machine.address.to_string(),
            machine.state.to_string(),
            ready.to_owned(),
        ]);
    }
    table
}

fn age(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
