//! A cluster of real nodes, driven by the command and kubectl.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use basalt_machine::Qmp;
use basalt_test_environment::{Failed, console_text, ensure, has_all, is_long, marked_processes, shown, until};
use rustix::process::Signal;

use crate::fixture::Fixture;

/// Time-out of operations that need no boot.
const SOON: Duration = Duration::from_secs(60);
/// Time-out until a machine that was started writes to its console.
const BOOTING: Duration = Duration::from_secs(180);

/// Time-out of a reset until the node is Ready again, on a busy machine without KVM.
const SECOND_BOOT: Duration = Duration::from_secs(400);

/// Arguments of `kubectl exec` after the pod's name: the web server as a client.
const ASK: [&str; 3] = ["--", "/usr/bin/basalt-web", "-ask"];

/// Fails when a process of the cluster is there, or one of its mounts or files.
fn nothing_is_left(fixture: &Fixture) -> Result<(), Failed> {
    let mark = fixture.store().as_str();
    until("no process is left", SOON, || marked_processes(mark).is_empty())?;
    let mounts = fs_err::read_to_string("/proc/self/mountinfo")?;
    ensure(!mounts.contains(mark), || mounts.clone())
}

pub fn up_works_after_one_that_was_killed(fixture: &Fixture) -> Result<(), Failed> {
    fixture.down()?;
    let started = fixture.cli.start(&["up"])?;
    let console = fixture.store().join("cluster/node-1/console.log");
    until("the node boots", BOOTING, || {
        fs_err::metadata(&console).is_ok_and(|file| file.len() > 0)
    })?;
    started.signal(Signal::KILL)?;
    started.wait(SOON)?.ended_with(137)?;
    nothing_is_left(fixture)?;
    fixture.up(1).map(drop)
}

pub fn a_pod_answers(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    // A cluster that is there already is not started again.
    let ran = fixture.cli.run(&["up"], SOON)?.ended_with(0)?;
    has_all(&ran.stdout, &["running already"])?;
    let service = ["http://web.default.svc.cluster.local/"];
    let words = [&["exec", "deploy/web"], &ASK[..], &service].concat();
    has_all(
        &fixture.kubectl(&words)?,
        &["Hello from Basalt Linux", "node     node-1"],
    )
}

pub fn the_node_is_ready(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let nodes: serde_json::Value = serde_json::from_str(&fixture.kubectl(&["get", "nodes", "-o", "json"])?)?;
    let node = &nodes["items"][0];
    let conditions = node["status"]["conditions"].as_array().ok_or("no conditions")?;
    let ready = conditions
        .iter()
        .any(|one| one["type"] == "Ready" && one["status"] == "True");
    ensure(ready, || format!("{conditions:#?}"))?;
    let info = &node["status"]["nodeInfo"];
    let system = info["osImage"].as_str().unwrap_or_default();
    ensure(system.contains("Basalt Linux"), || format!("{info:#}"))?;
    let status = fixture.cli.run(&["--json", "status"], SOON)?.ended_with(0)?;
    let status: serde_json::Value = serde_json::from_str(&status.stdout)?;
    ensure(status["nodes"][0]["ready"] == true, || format!("{status:#}"))
}

pub fn the_node_knows_that_it_is_ready(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    // basalt-ready.service asks the API server with the kubelet's certificate before it tells that.
    let console = fixture.store().join("cluster/node-1/console.log");
    until("the node tells that it is ready", SOON, || {
        console_text(&console).contains("the node is ready")
    })
}

pub fn a_node_comes_back_after_a_reset(fixture: &Fixture) -> Result<(), Failed> {
    if !is_long() {
        // A node that comes back after a power cut is among the default's tests.
        basalt_test_output::skip("a_node_comes_back_after_a_reset", "a boot, only in `test --long`");
        return Ok(());
    }
    fixture.up(1)?;
    let files = basalt_machine::Files::new(fixture.store().join("cluster/node-1"));
    let times_ready = || console_text(&files.console_log()).matches("the node is ready").count();
    until("the node tells that it is ready", SOON, || times_ready() > 0)?;
    let before = times_ready();
    // As the button on the machine: nothing is unmounted, and for the API server the node is still Ready.
    Qmp::connect(&files.control_socket(), SOON, || Ok(()))
        .and_then(|mut control| control.reset())
        .map_err(shown)?;
    until("the node tells it again, in its second boot", SECOND_BOOT, || {
        times_ready() > before
    })
}

pub fn exec_logs_and_port_forward_work(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let own = ["http://127.0.0.1:8080/healthz"];
    let words = [&["exec", "deploy/web"], &ASK[..], &own].concat();
    has_all(&fixture.kubectl(&words)?, &["ok"])?;
    has_all(&fixture.kubectl(&["logs", "deploy/web"])?, &["answering on :8080"])?;
    let console = fixture.cli.run(&["logs", "node-1"], SOON)?.ended_with(0)?;
    ensure(!console.stdout.is_empty(), || {
        "the console of the node is silent".to_owned()
    })?;

    let forward = fixture.cli.start(&["kubectl", "port-forward", "deploy/web", ":8080"])?;
    let port = || {
        let said = forward.stdout_so_far();
        let rest = said.split("Forwarding from 127.0.0.1:").nth(1)?;
        rest.split(' ').next()?.parse::<u16>().ok()
    };
    until("the port is forwarded", SOON, || port().is_some())?;
    let mut stream = TcpStream::connect(("127.0.0.1", port().unwrap_or_default()))?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    has_all(&answer, &["200 OK", "Hello from Basalt Linux"])?;
    forward.signal_all(Signal::INT)?;
    forward.wait(SOON).map(drop)
}

pub fn down_leaves_nothing(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let ran = fixture.down()?;
    has_all(&ran.stdout, &["the cluster is gone"])?;
    nothing_is_left(fixture)?;
    let folder = fixture.store().join("cluster");
    ensure(!folder.exists(), || format!("{folder} is left"))?;
    let tmp: Vec<_> = fixture.store().join("tmp").read_dir_utf8()?.flatten().collect();
    ensure(tmp.is_empty(), || format!("{tmp:?}"))?;
    // Twice is no error.
    has_all(&fixture.down()?.stdout, &["there was no cluster"])
}

pub fn pods_of_two_nodes_reach_each_other(fixture: &Fixture) -> Result<(), Failed> {
    fixture.two_nodes()?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let pods: Vec<[String; 3]> = fixture
        .web_pods()?
        .iter()
        .map(|pod| {
            [
                text(&pod["metadata"]["name"]),
                text(&pod["spec"]["nodeName"]),
                text(&pod["status"]["podIP"]),
            ]
        })
        .collect();
    let [one, other] = &pods[..] else {
        return Err(format!("two pods were expected: {pods:?}").into());
    };
    ensure(one[1] != other[1], || format!("both on one node: {pods:?}"))?;
    for (from, to) in [(one, other), (other, one)] {
        let url = format!("http://{}:8080/", to[2]);
        let words = [&["exec", from[0].as_str()], &ASK[..], &[url.as_str()]].concat();
        let answer = fixture.kubectl(&words)?;
        // The other one sees the address of the pod that asks, not that of its node.
        has_all(
            &answer,
            &[&format!("node     {}", to[1]), &format!("client   {}:", from[2])],
        )?;
    }
    Ok(())
}
