//! Test cases about the life cycle of a cluster.

use std::time::{Duration, Instant};

use basalt_progress::Silent;
use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};

use crate::home::{Home, INTERRUPTED, Up};

/// Time-out for starting several dozen processes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn comes_up(home: &Home, nodes: u8) -> Result<serde_json::Value, Failed> {
    home.up(nodes, None)?
        .end()?
        .map_err(|told| format!("it did not come up: {told}\n{}", logs(home)).into())
}

fn fails(up: Up) -> Result<String, Failed> {
    match up.end()? {
        Err(told) => Ok(told),
        Ok(report) => Err(format!("it came up: {report}").into()),
    }
}

fn contains(text: &str, words: &[&str]) -> Result<(), Failed> {
    match words.iter().find(|word| !text.contains(*word)) {
        Some(word) => Err(format!("`{word}` is not in: {text}").into()),
        None => Ok(()),
    }
}

fn logs(home: &Home) -> String {
    let logs = home
        .cluster()
        .and_then(|cluster| Ok(cluster.logs()?))
        .unwrap_or_default();
    let read = |(name, path): (String, camino::Utf8PathBuf)| {
        format!("--- {name}\n{}", std::fs::read_to_string(path).unwrap_or_default())
    };
    logs.into_iter().map(read).collect()
}

fn wait_for(what: &str, mut seen: impl FnMut() -> bool) -> Result<(), Failed> {
    let began = Instant::now();
    while !seen() {
        if began.elapsed() > PATIENCE {
            return Err(format!("{what} did not happen within {} s", PATIENCE.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

pub fn a_cluster_comes_up_and_goes_without_a_trace(home: &Home) -> Result<(), Failed> {
    let report = comes_up(home, 2)?;
    contains(&report["answer"].to_string(), &["Hello from nowhere"])?;
    let stages: Vec<_> = report["stages"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|stage| stage["stage"].to_string())
        .collect();
    contains(
        &stages.join(", "),
        &[
            "keys and plan",
            "control plane",
            "nodes Ready",
            "node-2: power-on to Ready",
            "answer through the Service",
        ],
    )?;

    let cluster = home.cluster()?;
    let status = cluster.status()?.ok_or("it is not running")?;
    assert_eq!(status.nodes.len(), 2);
    assert!(
        status.nodes.iter().all(|node| node.ready == Some(true)),
        "{:?}",
        status.nodes
    );
    assert!(status.pods.is_some(), "the API server did not answer from outside");
    contains(&std::fs::read_to_string(cluster.log("node-1")?)?, &["only plays"])?;
    let no_log = cluster.log("node-9").err().ok_or("there is a log of no node")?;
    contains(
        &format!("{:?}", miette::Report::from(no_log)),
        &["node-9", "kube-apiserver, "],
    )?;
    assert_eq!(cluster.kubectl(["fail"])?.to_std().status()?.code(), Some(7));
    assert_eq!(cluster.add_node(basalt_cluster::control::Variant::default())?, "node-3");
    assert_eq!(cluster.status()?.map(|status| status.nodes.len()), Some(3));
    let private = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(home.state())?.permissions());
    assert_eq!(private & 0o077, 0, "others may look at the keys");

    assert!(cluster.down(&Silent)?);
    home.expect_nothing()?;
    assert!(!cluster.down(&Silent)?);
    assert!(cluster.status()?.is_none());
    assert!(cluster.kubectl(["get"]).is_err());
    Ok(())
}

pub fn nodes_are_connected_without_tap_devices(home: &Home) -> Result<(), Failed> {
    let up = home.up_with(2, None, "cable")?.end()?;
    up.map_err(|told| format!("it did not come up: {told}\n{}", logs(home)))?;
    for node in ["node-1", "node-2"] {
        contains(
            &std::fs::read_to_string(home.cluster()?.log(node)?)?,
            &["the bridge answers: true"],
        )?;
    }
    Ok(())
}

pub fn up_is_said_to_be_up(home: &Home) -> Result<(), Failed> {
    comes_up(home, 1)?;
    let told = fails(home.up(1, None)?)?;
    contains(&told, &["running already"])?;
    assert!(!told.contains("differs"), "{told}");
    contains(&fails(home.up(2, None)?)?, &["running already", "nodes: 1, not 2"])?;
    assert!(home.cluster()?.status()?.is_some(), "the cluster is gone");
    Ok(())
}

pub fn an_interrupt_leaves_nothing(home: &Home) -> Result<(), Failed> {
    home.mood("never-ready")?;
    for wait in [5, 50, 150, 400, 1500] {
        let up = home.up(1, None)?;
        wait_for("its beginning", || home.state().exists())?;
        std::thread::sleep(Duration::from_millis(wait));
        up.signal(Signal::INT)?;
        assert_eq!(fails(up)?.trim(), INTERRUPTED, "after {wait} ms");
        home.expect_nothing()
            .map_err(|failed| format!("after {wait} ms: {failed:?}"))?;
    }
    Ok(())
}

pub fn up_that_is_killed_leaves_no_process_and_works_again(home: &Home) -> Result<(), Failed> {
    home.mood("never-ready")?;
    for wait in [20, 200, 1500] {
        let up = home.up(1, None)?;
        wait_for("its beginning", || home.state().exists())?;
        std::thread::sleep(Duration::from_millis(wait));
        up.signal(Signal::KILL)?;
        drop(up.end()?);
        // `up` may have been killed before it held the cluster, which then ends after a while.
        home.expect_quiet(Duration::from_secs(25))?;
    }
    home.mood("")?;
    comes_up(home, 1)?;
    assert!(home.cluster()?.down(&Silent)?);
    home.expect_nothing()
}

pub fn a_supervisor_that_is_killed_takes_all_with_it(home: &Home) -> Result<(), Failed> {
    comes_up(home, 1)?;
    let cluster = home.cluster()?;
    let supervisor = cluster.status()?.ok_or("it is not running")?.supervisor;
    let id = supervisor.parse().ok().and_then(Pid::from_raw).ok_or("no process id")?;
    kill_process(id, Signal::KILL)?;
    home.expect_quiet(Duration::from_secs(5))?;
    assert!(cluster.status()?.is_none());
    // Files that are left do not hinder the next start.
    comes_up(home, 1)?;
    assert!(cluster.down(&Silent)?);
    home.expect_nothing()
}

pub fn two_at_the_same_time(home: &Home) -> Result<(), Failed> {
    home.mood("never-ready")?;
    let first = home.up(1, None)?;
    wait_for("its beginning", || home.state().join("plan.json").exists())?;
    let told = fails(home.up(1, None)?)?;
    contains(&told, &["another `basalt`", &first.id().to_string()])?;
    first.signal(Signal::TERM)?;
    assert_eq!(fails(first)?.trim(), INTERRUPTED);
    home.expect_nothing()
}

pub fn a_component_that_does_not_stay_up_is_shown(home: &Home) -> Result<(), Failed> {
    home.mood("etcd-ends")?;
    let told = fails(home.up(1, None)?)?;
    contains(&told, &["etcd does not stay up", "exit status: 3", "the last words"])?;
    home.expect_quiet(Duration::from_secs(2))?;
    assert!(home.state().join("logs/etcd.log").exists(), "its log is gone");
    assert!(!home.state().join("pki").exists(), "its keys are still there");
    assert!(home.cluster()?.down(&Silent)?, "there was nothing to take away");
    home.expect_nothing()
}

pub fn a_machine_that_ends_is_shown(home: &Home) -> Result<(), Failed> {
    home.mood("never-ready")?;
    let up = home.up(1, None)?;
    // Killed once its console has output: earlier there is none to show, and what runs is only the KVM probe.
    wait_for("the words on its console", || {
        let console = home.state().join("node-1/console.log");
        std::fs::read_to_string(console).is_ok_and(|text| text.contains("and says so"))
    })?;
    let machine = home
        .processes()
        .into_iter()
        .find(|line| line.contains("qemu-system"))
        .ok_or("no machine")?;
    let id = machine
        .split(' ')
        .next()
        .and_then(|id| id.parse().ok())
        .and_then(Pid::from_raw)
        .ok_or("no id")?;
    kill_process(id, Signal::KILL)?;
    contains(
        &fails(up)?,
        &["the machine of node-1 ended", "signal: 9", "and says so"],
    )?;
    home.expect_quiet(Duration::from_secs(2))?;
    assert!(home.state().join("logs/node-1.log").exists(), "its console is gone");
    Ok(())
}

pub fn a_full_disk_is_said_and_leaves_no_process(home: &Home) -> Result<(), Failed> {
    for size in [4, 40, 80] {
        let told = fails(home.up(1, Some(size))?)?;
        contains(&told, &["No space left on device"]).map_err(|failed| format!("{size} KiB: {failed:?}"))?;
        home.expect_quiet(Duration::from_secs(2))?;
    }
    Ok(())
}
