//! Small machines and large ones: what a node keeps for itself, and many pods.

use std::time::Duration;

use basalt_test_environment::{Failed, Shell, ensure, until_every};
use serde_json::{Value, json};

use crate::fixture::{Fixture, has_condition, items};
use crate::node::{Node, TICK};

/// Pods of one round, and rounds.
const PODS: (usize, usize) = (30, 10);
/// Time-out of a round.
const ROUND: Duration = Duration::from_secs(900);
/// Share of memory that the system may have taken more of after the churn: 64 MiB.
const GROWTH: u64 = 64 << 20;

/// A number of bytes as Kubernetes writes it: `1234Ki`.
fn bytes(quantity: &Value) -> Result<u64, Failed> {
    let text = quantity.as_str().ok_or("no quantity")?;
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return Err(format!("{text} is no number of bytes").into()),
    };
    Ok(number.parse::<u64>()? * factor)
}

/// Memory that a node keeps from pods, in MiB.
fn kept(node: &Value) -> Result<u64, Failed> {
    let (all, free) = (
        bytes(&node["status"]["capacity"]["memory"])?,
        bytes(&node["status"]["allocatable"]["memory"])?,
    );
    Ok((all - free) >> 20)
}

/// A machine of 1.5 GiB whose battery is empty: its clock begins in 1970, and the network tells it the time.
pub fn a_small_machine_starts_in_1970(fixture: &Fixture) -> Result<(), Failed> {
    let mut node = Node::new(fixture, "small", &fixture.node)?;
    node.machine.memory_mib = 1536;
    node.machine.clock = Some("1970-01-01T00:00:00".to_owned());
    node.switch_on()?;
    let object = node.ready(None)?;
    // A quarter of what the kernel leaves, and what the kubelet holds for evictions.
    let kept = kept(&object)?;
    ensure((400..=520).contains(&kept), || {
        format!("{kept} MiB are kept: {:#}", object["status"])
    })?;
    let cluster = fixture.cluster()?;
    let container = json!({ "name": "web", "image": cluster.image("basalt-web")? });
    cluster.apply(&node.pod("small", &container, "Always"))?;
    node.pod_until("small", "runs", |pod| has_condition(pod, "Ready"))?;
    ensure(!node.console().contains("Out of memory"), || node.console())
}

/// Numbers that must not grow with the pods that have been: mounts, control groups, network namespaces, containers, bytes of
/// memory in use.
fn leftovers(shell: &mut Shell) -> Result<[u64; 5], Failed> {
    let mut number = |command: &str| -> Result<u64, Failed> {
        let text = shell.output(command, Duration::from_secs(120))?;
        let last = text.lines().rev().find_map(|line| line.trim().parse().ok());
        last.ok_or_else(|| format!("no number: {text}").into())
    };
    let crictl = "crictl --runtime-endpoint=unix:///run/containerd/containerd.sock";
    Ok([
        number("grep -c . /proc/self/mountinfo")?,
        number("find /sys/fs/cgroup/kubepods.slice -type d | wc -l")?,
        number("ls /run/netns 2>/dev/null | wc -l")?,
        number(&format!("{crictl} ps -a -q | wc -l"))?,
        number("awk '/^MemTotal/{t=$2}/^MemAvailable/{a=$2}END{print (t-a)*1024}' /proc/meminfo")?,
    ])
}

/// A machine of 16 GiB on which 300 pods come and go, in rounds.
pub fn three_hundred_pods_come_and_go(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = fixture.cluster()?;
    let mut node = Node::new(fixture, "large", &fixture.debug)?;
    node.machine.memory_mib = 16 * 1024;
    node.switch_on()?;
    let object = node.ready(None)?;
    // A quarter of 4 GiB, a fifth of the next 4, a tenth of the rest, and what the kubelet holds for evictions.
    let kept = kept(&object)?;
    ensure((2500..=2850).contains(&kept), || {
        format!("{kept} MiB are kept: {:#}", object["status"])
    })?;

    let (count, rounds) = PODS;
    let container = json!({ "name": "web", "image": cluster.image("basalt-web")? });
    let mut shell = node.shell()?;
    let mut first = None;
    for round in 0..rounds {
        let list: Vec<_> = (0..count)
            .map(|number| {
                let mut pod = node.pod(&format!("churn-{round}-{number}"), &container, "Always");
                pod["metadata"]["labels"] = json!({ "app": "churn" });
                pod
            })
            .collect();
        cluster.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": list }))?;
        let pods = || cluster.get(&["pods", "--selector=app=churn"]).unwrap_or_default();
        let what = format!("{count} pods of round {round} run");
        until_every(TICK, &what, ROUND, || {
            let pods = pods();
            items(&pods).len() == count && items(&pods).iter().all(|pod| has_condition(pod, "Ready"))
        })?;
        cluster.kubectl(&["delete", "pods", "--selector=app=churn", "--wait=false"])?;
        until_every(TICK, &format!("they are gone in round {round}"), ROUND, || {
            items(&pods()).is_empty()
        })?;
        if round == 0 {
            first = Some(leftovers(&mut shell)?);
        }
    }
    // Containers of the last round are removed a moment after their pods.
    let first = first.ok_or("no round")?;
    let mut last = [0; 5];
    let result = until_every(TICK, "nothing is left of them", Duration::from_secs(300), || {
        last = leftovers(&mut shell).unwrap_or([u64::MAX; 5]);
        let grew = last[..4].iter().zip(&first[..4]).any(|(last, first)| last > first);
        !grew && last[4] <= first[4].saturating_add(GROWTH)
    });
    result.map_err(|failed| {
        let text = failed.message().unwrap_or_default();
        format!(
            "{text}: mounts, control groups, network namespaces, containers, memory {last:?}, after one round {first:?}"
        )
    })?;
    node.ready_within(Duration::from_secs(60), None).map(drop)
}
