//! The Debian workers' pods move to Basalt nodes, while a client counts every answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use basalt_cluster::topology::NodeNumber;
use basalt_test_environment::{Failed, ensure, has_all, until_every};
use serde_json::Value;

use crate::cluster::{KubeadmCluster, TICK};
use crate::fixture::Fixture;

/// The workload.
const SHOP: &str = include_str!("manifests/shop.yaml");
/// Port of its Service on each node.
const NODE_PORT: u16 = 30080;
/// Time between the starts of two requests.
const PACE: Duration = Duration::from_millis(100);
/// Time-out of one request. On a machine without KVM even a healthy answer may take a second.
const ANSWER: Duration = Duration::from_secs(20);
/// Time-out of waits for something that is named on the cluster.
const SOON: Duration = Duration::from_secs(300);
/// Time-out of the migration of two nodes.
const MIGRATION: Duration = Duration::from_secs(1800);

/// Counts of a client.
#[derive(Debug, Default)]
struct Answers {
    good: usize,
    slowest: Duration,
    lost: Vec<String>,
}

/// Asks the workload until told to stop.
fn ask(url: &str, stop: &AtomicBool) -> Answers {
    let mut answers = Answers::default();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .max_idle_connections(0)
        .build()
        .into();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        match agent.get(url).call() {
            Ok(_) => answers.good += 1,
            Err(error) => answers.lost.push(error.to_string()),
        }
        answers.slowest = answers.slowest.max(began.elapsed());
        std::thread::sleep(PACE.saturating_sub(began.elapsed()));
    }
    answers
}

/// Nodes of the workload's pods, sorted.
fn nodes_of_shop(cluster: &KubeadmCluster) -> Result<Vec<String>, Failed> {
    let pods = cluster.pods_ready("app=shop", 2)?;
    let mut nodes: Vec<_> = pods
        .iter()
        .filter_map(|pod| pod["spec"]["nodeName"].as_str())
        .map(str::to_owned)
        .collect();
    nodes.sort_unstable();
    Ok(nodes)
}

/// Annotation of a node.
fn annotation(cluster: &KubeadmCluster, node: &str, key: &str) -> String {
    let node = cluster.get(&["node", node]).unwrap_or_default();
    node["metadata"]["annotations"][key]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Takes the taints of a new node away, as a cloud's controller and Cluster API do when they have seen it.
fn initialize(cluster: &KubeadmCluster, node: &str) -> Result<(), Failed> {
    let patch = r#"{"spec": {"taints": null}}"#;
    cluster
        .kubectl(&["patch", "node", node, "--type=merge", "--patch", patch])
        .map(drop)
}

pub fn workloads_move_without_a_lost_request(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let new = [fixture.by_command()?, fixture.by_bootstrap_data()?];
    let old = fixture.workers()?;
    initialize(cluster, new[1])?;
    // The workload begins on the old nodes.
    for node in new {
        cluster.kubectl(&["cordon", node])?;
    }
    cluster.apply(&SHOP.replace("IMAGE_WEB", &fixture.machines().image("basalt-web")?))?;
    let before = nodes_of_shop(cluster)?;
    for node in new {
        cluster.kubectl(&["uncordon", node])?;
    }
    ensure(before == old, || format!("{before:?}, not {old:?}"))?;

    // It is cordoned and emptied meanwhile, and its kube-proxy goes on.
    let first_worker = NodeNumber::first(1).next().ok_or("no number")?;
    let url = format!(
        "http://127.0.0.1:{}/",
        fixture.machines().forward(first_worker, NODE_PORT)?
    );
    until_every(TICK, "the workload answers", SOON, || ureq::get(&url).call().is_ok())?;
    let stop = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let client = scope.spawn(|| ask(&url, &stop));
        let moved = migrate(fixture, old);
        stop.store(true, Ordering::Relaxed);
        let answers = client.join().map_err(|_| "the client panicked")?;
        moved.map(|()| answers)
    })?;
    ensure(answers.lost.is_empty() && answers.good > 100, || format!("{answers:?}"))?;

    let mut expected = new.map(str::to_owned);
    expected.sort_unstable();
    let after = nodes_of_shop(cluster)?;
    ensure(after == expected, || format!("{after:?}, not {expected:?}"))?;
    for node in old {
        let object: Value = cluster.get(&["node", node])?;
        ensure(object["spec"]["unschedulable"] == true, || {
            format!("{node} is not cordoned")
        })?;
    }
    Ok(())
}

/// Migrates the nodes. The budget stands in the way, by name and date, until somebody changes it.
fn migrate(fixture: &Fixture, old: &[String]) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let images = cluster.kubectl(&["get", "pods", "--all-namespaces", "--output=jsonpath={..image}"])?;
    let mut words = vec!["migrate"];
    words.extend(old.iter().map(String::as_str));
    words.extend(["--kubeconfig", cluster.kubeconfig.as_str(), "--ignore-daemonsets"]);
    words.extend(["--soak", "20s", "--deadline", "20m", "--probe-image"]);
    // The image of the workload: both systems have pulled it.
    let web = images.split_whitespace().find(|image| image.contains("basalt-web"));
    words.push(web.ok_or("no image of the web server")?);
    let plan = fixture
        .cli
        .run(&[&words[..], &["--plan-only"]].concat(), SOON)?
        .ended_with(0)?;
    has_all(
        &plan.stdout,
        &["ReplicaSet shop-", "waits for its budget", "DaemonSet kube-proxy"],
    )?;
    let running = fixture.cli.start(&[&words[..], &["--yes"]].concat())?;
    let blocked = || annotation(cluster, &old[0], "basalt.dev/migrate-blocked");
    until_every(TICK, "the wait for the budget is named", SOON, || {
        blocked().contains("disruption budget allows no eviction")
    })?;
    ensure(blocked().starts_with("20"), || format!("no date: {}", blocked()))?;
    // With one that spares a pod at a time it goes on.
    let patch = r#"{"spec": {"minAvailable": 1}}"#;
    cluster.kubectl(&["patch", "poddisruptionbudget", "shop", "--type=merge", "--patch", patch])?;
    let ran = running.wait(MIGRATION)?.ended_with(0)?;
    for node in old {
        has_all(&ran.stdout, &[node])?;
        let phase = annotation(cluster, node, "basalt.dev/migrate-phase");
        ensure(phase.contains("Done"), || {
            format!("{node}: {phase}\n{}\n{}", ran.stdout, ran.stderr)
        })?;
    }
    Ok(())
}
