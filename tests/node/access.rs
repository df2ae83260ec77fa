//! Ways into a node: `basalt node` against a real kubelet.

use std::time::Duration;

use basalt_test_environment::{Failed, Ran, ensure, has_all, is_long};
use serde_json::Value;

use crate::fixture::Fixture;

/// Time-out of an operation in a debug pod: the pull of its image on an emulated machine.
const OPERATION: Duration = Duration::from_secs(400);
/// Time-out of a restart on an emulated machine.
const RESTART: Duration = Duration::from_secs(900);

fn node(fixture: &Fixture, words: &[&str]) -> Result<Ran, Failed> {
    fixture.cli.run(&[&["node"], words].concat(), OPERATION)
}

/// Fails when a debug pod is left.
fn no_pod_is_left(fixture: &Fixture) -> Result<(), Failed> {
    let selector = "--selector=app.kubernetes.io/name=basalt-debug";
    let pods = fixture.kubectl(&["get", "pods", "-A", selector, "--output=name"])?;
    ensure(pods.trim().is_empty(), || pods.clone())
}

pub fn logs_and_usage_come_without_a_shell(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let logs = node(fixture, &["logs", "node-1", "--unit", "kubelet", "--tail", "500"])?.ended_with(0)?;
    has_all(&logs.stdout, &["kubelet"])?;
    let messages = node(fixture, &["dmesg", "node-1"])?.ended_with(0)?;
    has_all(&messages.stdout, &["kernel: Linux version"])?;
    let unknown = node(fixture, &["logs", "node-1", "--unit", "no-such-unit"])?;
    ensure(unknown.stdout.is_empty() || !unknown.stdout.contains("kubelet"), || {
        unknown.stdout.clone()
    })?;
    let usage = fixture.cli.json(&["node", "top", "node-1"], OPERATION, 0)?;
    ensure(
        usage["node"]["memory"].as_u64().is_some_and(|bytes| bytes > 50 << 20),
        || format!("{usage:#}"),
    )?;
    no_pod_is_left(fixture)
}

pub fn a_shell_sees_the_node(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let run = |program: &[&str]| node(fixture, &[&["shell", "node-1", "--"], program].concat());
    let script = "cat /host/usr/lib/os-release; exit 7";
    has_all(&run(&["sh", "-c", script])?.ended_with(7)?.stdout, &["Basalt Linux"])?;
    let status = run(&["nsenter", "-t", "1", "-m", "--", "basalt-node", "status"])?.ended_with(0)?;
    has_all(&status.stdout, &["node         node-1", "ready        yes"])?;
    let processes = fixture.cli.json(&["node", "ps", "node-1"], OPERATION, 0)?;
    let list = processes["processes"].as_array().ok_or("no processes")?;
    let has = |kind: &str, name: &str| {
        let is_it = |process: &Value| {
            process["owner"][kind]
                .as_str()
                .is_some_and(|owner| owner.contains(name))
        };
        list.iter().any(is_it)
    };
    ensure(
        has("unit", "kubelet.service") && has("pod", "kube-system/flannel"),
        || format!("{processes:#}"),
    )?;
    no_pod_is_left(fixture)
}

pub fn files_come_out_of_a_node(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let listed = node(fixture, &["files", "list", "node-1", "/etc/cni/net.d"])?.ended_with(0)?;
    has_all(&listed.stdout, &["flannel"])?;
    // A link of the node with an absolute target is one of the node, not of the pod.
    let shown = node(fixture, &["files", "show", "node-1", "/etc/machine-id"])?.ended_with(0)?;
    ensure(shown.stdout.trim().len() == 32, || shown.stdout.clone())?;
    let into = fixture.folder().join("pods");
    node(fixture, &["files", "copy", "node-1", "/var/log/pods", into.as_str()])?.ended_with(0)?;
    let logs = fs_err::read_dir(into.join("pods"))?.count();
    ensure(logs >= 3, || format!("{logs} pods have logs"))?;
    node(fixture, &["files", "show", "node-1", "/none"])?.ended_with(1)?;
    no_pod_is_left(fixture)
}

pub fn a_bundle_holds_no_secret(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let target = fixture.folder().join("bundle.tar.gz");
    let words = ["node", "bundle", "node-1", "--output", target.as_str()];
    let report = fixture.cli.json(&words, OPERATION * 5, 0)?;
    let failed: Vec<_> = report["parts"]
        .as_array()
        .ok_or("no parts")?
        .iter()
        .filter(|part| part["bytes"].is_null())
        .collect();
    ensure(failed.is_empty(), || format!("{failed:#?}"))?;
    let plan: Value = serde_json::from_slice(&fs_err::read(fixture.store().join("cluster/plan.json"))?)?;
    let token = plan["token_secret"].as_str().ok_or("the cluster has no token")?;
    let text = fixture.tool(
        "tar",
        &["--extract", "--to-stdout", "--gzip", "--file", target.as_str()],
    )?;
    has_all(&text, &["Left out on purpose", "Linux version", "MemTotal"])?;
    for secret in [token, "PRIVATE KEY-----"] {
        ensure(!text.contains(secret), || format!("`{secret}` is in the bundle"))?;
    }
    no_pod_is_left(fixture)
}

pub fn a_node_restarts_itself_and_is_reset(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let boot = || fixture.kubectl(&["get", "node", "node-1", "--output=jsonpath={.status.nodeInfo.bootID}"]);
    if is_long() {
        let before = boot()?;
        let words = ["node", "reboot", "node-1", "--cordon"];
        fixture.cli.run(&words, RESTART)?.ended_with(0)?;
        ensure(before != boot()?, || "it is the same boot".to_owned())?;
    }
    let before = boot()?;
    let mark = ["shell", "node-1", "--", "touch", "/host/var/lib/of-the-first-life"];
    node(fixture, &mark)?.ended_with(0)?;
    node(fixture, &["reset", "node-1"])?.ended_with(2)?;
    fixture
        .cli
        .run(&["node", "reset", "node-1", "--yes"], RESTART)?
        .ended_with(0)?;
    ensure(before != boot()?, || "it is the same boot".to_owned())?;
    let found = node(
        fixture,
        &["shell", "node-1", "--", "test", "-e", "/host/var/lib/of-the-first-life"],
    )?;
    found.ended_with(1).map(drop)
}
