//! Test cases about the life cycle of a cluster.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use basalt_cluster::Variant;
use basalt_cluster::control::MachineState;
use basalt_cluster::topology::{CONTROL_PLANE, REGISTRY_PORT};
use basalt_progress::Silent;
use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Fixture, INTERRUPTED, UpProcess};

/// Time-out for starting several dozen processes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

fn comes_up(fixture: &Fixture, nodes: u8) -> Result<serde_json::Value, Failed> {
    fixture
        .up(nodes, None)?
        .end()?
        .map_err(|message| format!("it did not come up: {message}\n{}", logs(fixture)).into())
}

fn fails(up: UpProcess) -> Result<String, Failed> {
    match up.end()? {
        Err(message) => Ok(message),
        Ok(report) => Err(format!("it came up: {report}").into()),
    }
}

fn contains(text: &str, words: &[&str]) -> Result<(), Failed> {
    match words.iter().find(|word| !text.contains(*word)) {
        Some(word) => Err(format!("`{word}` is not in: {text}").into()),
        None => Ok(()),
    }
}

fn logs(fixture: &Fixture) -> String {
    let logs = fixture
        .cluster()
        .and_then(|cluster| Ok(cluster.logs()?))
        .unwrap_or_default();
    let read = |(name, path): (String, camino::Utf8PathBuf)| {
        format!("--- {name}\n{}", fs_err::read_to_string(path).unwrap_or_default())
    };
    logs.into_iter().map(read).collect()
}

fn wait_for(what: &str, mut seen: impl FnMut() -> bool) -> Result<(), Failed> {
    let began = Instant::now();
    while !seen() {
        if began.elapsed() > TIMEOUT {
            return Err(format!("{what} did not happen within {} s", TIMEOUT.as_secs()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

pub fn a_cluster_comes_up_and_goes_without_a_trace(fixture: &Fixture) -> Result<(), Failed> {
    let report = comes_up(fixture, 2)?;
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

    let cluster = fixture.cluster()?;
    let status = cluster.status()?.ok_or("it is not running")?;
    assert_eq!(status.nodes.len(), 2);
    assert!(
        status.nodes.iter().all(|node| node.ready == Some(true)),
        "{:?}",
        status.nodes
    );
    assert!(status.pods.is_some(), "the API server did not answer from outside");
    contains(&fs_err::read_to_string(cluster.log("node-1")?)?, &["only plays"])?;
    let no_log = cluster.log("node-9").err().ok_or("there is a log of no node")?;
    contains(
        &format!("{:?}", miette::Report::from(no_log)),
        &["node-9", "kube-apiserver, "],
    )?;
    assert_eq!(cluster.kubectl(["fail"])?.to_std().status()?.code(), Some(7));
    assert_eq!(cluster.add_node(Variant::default())?, "node-3");
    assert_eq!(cluster.status()?.map(|status| status.nodes.len()), Some(3));
    let private = std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(fixture.state())?.permissions());
    assert_eq!(private & 0o077, 0, "others may look at the keys");

    assert!(cluster.down(&Silent)?);
    fixture.expect_nothing()?;
    assert!(!cluster.down(&Silent)?);
    assert!(cluster.status()?.is_none());
    assert!(cluster.kubectl(["get"]).is_err());
    Ok(())
}

/// Sends a request to the registry on the host's port; returns the head of the answer.
fn push(address: &str, method: &str, path: &str, body: &str) -> Result<String, Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: r\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

pub fn images_are_pushed_from_the_host_and_pulled_under_their_names(fixture: &Fixture) -> Result<(), Failed> {
    fs_err::write(fixture.path().join("registry/seed"), "an image of the cluster")?;
    comes_up(fixture, 1)?;
    let cluster = fixture.cluster()?;
    let url = cluster.registry()?;
    let address = url.strip_prefix("http://").ok_or("no URL")?;
    for (path, body) in [
        ("/v2/docker.io/library/app/manifests/1", "docker's"),
        ("/v2/quay.io/library/app/manifests/1", "quay's"),
        ("/v2/app/manifests/1", "our own"),
    ] {
        contains(&push(address, "PUT", path, body)?, &["201 Created"])?;
    }
    let pulled = |path: &str| cluster.ask(CONTROL_PLANE, REGISTRY_PORT, path);
    for (path, expected) in [
        ("/v2/library/app/manifests/1?ns=docker.io", (200, "docker's")),
        ("/v2/library/app/manifests/1?ns=quay.io", (200, "quay's")),
        ("/v2/app/manifests/1?ns=registry.basalt.local%3A5000", (200, "our own")),
        ("/v2/app/manifests/1?ns=localhost%3A15000", (200, "our own")),
        ("/v2/app/manifests/1?ns=ghcr.io", (404, "")),
    ] {
        let (status, body) = pulled(path)?;
        assert_eq!((status, body.as_str()), expected, "{path}");
    }
    // Those that the cluster itself runs stay.
    for method in ["PUT", "DELETE"] {
        let answer = push(address, method, "/v2/web/manifests/1", "another")?;
        contains(
            &answer,
            &["403 Forbidden", "DENIED", "registry.basalt.local:5000/web:1"],
        )?;
    }
    assert_eq!(pulled("/v2/web/manifests/1")?.0, 404, "it came to the registry");
    contains(
        &push(address, "PUT", "/v2/web/manifests/2", "another")?,
        &["201 Created"],
    )?;
    // Pushes do not reach what the cluster was made from.
    let seed = fixture.state().join("registry/seed");
    assert_eq!(fs_err::read_to_string(seed)?, "an image of the cluster");
    assert!(!fixture.path().join("registry/pushed").exists());
    Ok(())
}

pub fn a_cluster_that_ends_breaks_off_a_push(fixture: &Fixture) -> Result<(), Failed> {
    comes_up(fixture, 1)?;
    let cluster = fixture.cluster()?;
    assert!(cluster.runs_image("web", "1")? && !cluster.runs_image("web", "2")?);
    let url = cluster.registry()?;
    let address: SocketAddr = url.strip_prefix("http://").ok_or("no URL")?.parse()?;
    let listening = listeners(address.port())?;
    assert_eq!(listening, [Ipv4Addr::LOCALHOST], "others reach the registry");

    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let head = "PUT /v2/app/blobs/uploads/1?digest=sha256:ab HTTP/1.1\r\nHost: r\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(head.as_bytes())?;
    stream.write_all(&[0; 1000])?;
    assert!(cluster.down(&Silent)?);
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer);
    assert!(
        end.is_ok() || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset),
        "it still waits"
    );
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    assert!(!fixture.state().exists(), "what was pushed is left");
    Ok(())
}

/// IPv4 addresses of this machine that something listens on at a port, as /proc/net/tcp has them.
fn listeners(port: u16) -> Result<Vec<Ipv4Addr>, Failed> {
    let table = fs_err::read_to_string("/proc/self/net/tcp")?;
    let found = table.lines().skip(1).filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        // 0A: LISTEN.
        let (address, at) = words.get(1)?.split_once(':').filter(|_| words.get(3) == Some(&"0A"))?;
        let bits = u32::from_str_radix(address, 16).ok()?;
        (u16::from_str_radix(at, 16) == Ok(port)).then(|| Ipv4Addr::from(bits.to_le_bytes()))
    });
    Ok(found.collect())
}

/// Routes of the namespace that the cluster runs in: network and gateway, as /proc/net/route has them.
fn routes(fixture: &Fixture) -> Vec<(String, String)> {
    let inner = fixture
        .processes()
        .into_iter()
        .find(|line| line.contains("supervisor-inner"));
    let id = inner
        .and_then(|line| line.split(' ').next().map(str::to_owned))
        .unwrap_or_default();
    let table = fs_err::read_to_string(format!("/proc/{id}/net/route")).unwrap_or_default();
    let address = |digits: &str| {
        let bits = u32::from_str_radix(digits, 16).unwrap_or_default();
        Ipv4Addr::from(bits.to_le_bytes()).to_string()
    };
    let lines = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|words| words.len() > 2)
        .map(|words| (address(words[1]), address(words[2])))
        .collect()
}

pub fn the_control_plane_has_routes_to_pods(fixture: &Fixture) -> Result<(), Failed> {
    comes_up(fixture, 2)?;
    let expected = [
        ("10.244.1.0", "10.87.0.11"),
        ("10.244.2.0", "10.87.0.12"),
        ("10.96.0.0", "10.87.0.11"),
    ];
    wait_for("the routes", || {
        let routes = routes(fixture);
        expected.iter().all(|(network, gateway)| {
            routes
                .iter()
                .any(|route| (&*route.0, &*route.1) == (*network, *gateway))
        })
    })
}

/// State of a node's machine, and the time of its power-on.
fn machine(fixture: &Fixture, name: &str) -> Option<(MachineState, Option<u64>)> {
    let status = fixture.cluster().ok()?.status().ok()??;
    let node = status.nodes.into_iter().find(|node| node.machine.name == name)?;
    Some((node.machine.state, node.machine.power_on))
}

pub fn nodes_come_and_go(fixture: &Fixture) -> Result<(), Failed> {
    comes_up(fixture, 1)?;
    let cluster = fixture.cluster()?;
    let state = |name: &str| machine(fixture, name).map(|(state, _)| state);
    let power_on = || machine(fixture, "node-2").and_then(|(_, power_on)| power_on);
    assert_eq!(cluster.add_node(Variant::default())?, "node-2");
    cluster.await_node("node-2", None, &Silent)?;

    cluster.cut_power("node-2")?;
    assert_eq!(state("node-2"), Some(MachineState::Off));
    cluster.reboot_node("node-2", &Silent)?;
    assert_eq!(state("node-2"), Some(MachineState::Running));

    let disk = fixture.state().join("node-2/disk0.qcow2");
    fs_err::write(&disk, "what the node wrote")?;
    let machines = || {
        fixture
            .processes()
            .into_iter()
            .filter(|line| line.contains("qemu-system"))
            .count()
    };
    assert_eq!(machines(), 2);
    let first = power_on();
    cluster.reboot_node("node-2", &Silent)?;
    wait_for("the second boot", || {
        state("node-2") == Some(MachineState::Running) && power_on() > first && machines() == 2
    })?;
    assert_eq!(fs_err::read_to_string(&disk)?, "what the node wrote");

    cluster.remove_node("node-2", &Silent)?;
    assert_eq!(state("node-2"), None);
    assert!(!fixture.state().join("node-2").exists(), "its files are left");
    let gone = cluster.cut_power("node-2").err().ok_or("there is no such node")?;
    contains(&format!("{:?}", miette::Report::from(gone)), &["node-2", "node-1"])?;
    // Its number and its port are free.
    assert_eq!(cluster.add_node(Variant::default())?, "node-2");
    assert_eq!(state("node-2"), Some(MachineState::Running));
    Ok(())
}

pub fn nodes_are_connected_without_tap_devices(fixture: &Fixture) -> Result<(), Failed> {
    let up = fixture.up_with(2, None, "cable")?.end()?;
    up.map_err(|message| format!("it did not come up: {message}\n{}", logs(fixture)))?;
    for node in ["node-1", "node-2"] {
        contains(
            &fs_err::read_to_string(fixture.cluster()?.log(node)?)?,
            &["the bridge answers: true"],
        )?;
    }
    Ok(())
}

pub fn up_is_said_to_be_up(fixture: &Fixture) -> Result<(), Failed> {
    comes_up(fixture, 1)?;
    let message = fails(fixture.up(1, None)?)?;
    contains(&message, &["running already"])?;
    assert!(!message.contains("differs"), "{message}");
    contains(&fails(fixture.up(2, None)?)?, &["running already", "nodes: 1, not 2"])?;
    assert!(fixture.cluster()?.status()?.is_some(), "the cluster is gone");
    Ok(())
}

pub fn an_interrupt_leaves_nothing(fixture: &Fixture) -> Result<(), Failed> {
    fixture.set_fault("never-ready")?;
    for wait in [5, 50, 150, 400, 1500] {
        let up = fixture.up(1, None)?;
        wait_for("its beginning", || fixture.state().exists())?;
        std::thread::sleep(Duration::from_millis(wait));
        up.signal(Signal::INT)?;
        assert_eq!(fails(up)?.trim(), INTERRUPTED, "after {wait} ms");
        fixture
            .expect_nothing()
            .map_err(|failed| format!("after {wait} ms: {failed:?}"))?;
    }
    Ok(())
}

pub fn a_closed_pipe_leaves_nothing(fixture: &Fixture) -> Result<(), Failed> {
    for task in 1..=3 {
        let message = fails(fixture.up_to_closed_pipe(1, task)?)?;
        assert_eq!(message.trim(), INTERRUPTED, "task {task}");
        // Keys among it.
        fixture
            .expect_nothing()
            .map_err(|failed| format!("after task {task}: {failed:?}"))?;
    }
    Ok(())
}

pub fn up_that_is_killed_leaves_no_process_and_works_again(fixture: &Fixture) -> Result<(), Failed> {
    fixture.set_fault("never-ready")?;
    for wait in [20, 200, 1500] {
        let up = fixture.up(1, None)?;
        wait_for("its beginning", || fixture.state().exists())?;
        std::thread::sleep(Duration::from_millis(wait));
        up.signal(Signal::KILL)?;
        drop(up.end()?);
        // `up` may have been killed before it held the cluster, which then ends after a while.
        fixture.expect_quiet(Duration::from_secs(25))?;
    }
    fixture.set_fault("")?;
    comes_up(fixture, 1)?;
    assert!(fixture.cluster()?.down(&Silent)?);
    fixture.expect_nothing()
}

pub fn a_supervisor_that_is_killed_takes_all_with_it(fixture: &Fixture) -> Result<(), Failed> {
    comes_up(fixture, 1)?;
    let cluster = fixture.cluster()?;
    let supervisor = cluster.status()?.ok_or("it is not running")?.supervisor;
    let id = supervisor.parse().ok().and_then(Pid::from_raw).ok_or("no process id")?;
    kill_process(id, Signal::KILL)?;
    fixture.expect_quiet(Duration::from_secs(5))?;
    assert!(cluster.status()?.is_none());
    // Files that are left do not hinder the next start.
    comes_up(fixture, 1)?;
    assert!(cluster.down(&Silent)?);
    fixture.expect_nothing()
}

pub fn two_at_the_same_time(fixture: &Fixture) -> Result<(), Failed> {
    fixture.set_fault("never-ready")?;
    let first = fixture.up(1, None)?;
    wait_for("its beginning", || fixture.state().join("plan.json").exists())?;
    let message = fails(fixture.up(1, None)?)?;
    contains(&message, &["another `basalt`", &first.id().to_string()])?;
    first.signal(Signal::TERM)?;
    assert_eq!(fails(first)?.trim(), INTERRUPTED);
    fixture.expect_nothing()
}

pub fn a_component_that_does_not_stay_up_is_shown(fixture: &Fixture) -> Result<(), Failed> {
    fixture.set_fault("etcd-ends")?;
    let message = fails(fixture.up(1, None)?)?;
    contains(&message, &["etcd does not stay up", "exit status: 3", "the last words"])?;
    fixture.expect_quiet(Duration::from_secs(2))?;
    assert!(fixture.state().join("logs/etcd.log").exists(), "its log is gone");
    assert!(!fixture.state().join("pki").exists(), "its keys are still there");
    assert!(fixture.cluster()?.down(&Silent)?, "there was nothing to take away");
    fixture.expect_nothing()
}

/// Kills the first machine once its console has output: earlier there is none to show, and what runs is only the KVM probe.
/// Returns `up`, which runs on.
fn kill_machine(fixture: &Fixture, mut up: UpProcess) -> Result<UpProcess, Failed> {
    let console = fixture.state().join("node-1/console.log");
    let has_output = || fs_err::read_to_string(&console).is_ok_and(|text| text.contains("and says so"));
    wait_for("the words on its console", || has_output() || up.has_ended())
        .map_err(|failed| format!("{failed:?}\n{}", logs(fixture)))?;
    if !has_output() {
        return Err(format!("`up` ended before a machine had output: {}", fails(up)?).into());
    }
    let machine = fixture
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
    Ok(up)
}

pub fn a_machine_that_ends_is_shown(fixture: &Fixture) -> Result<(), Failed> {
    fixture.set_fault("never-ready")?;
    let up = kill_machine(fixture, fixture.up(1, None)?)?;
    contains(
        &fails(up)?,
        &["the machine of node-1 ended", "signal: 9", "and says so"],
    )?;
    fixture.expect_quiet(Duration::from_secs(2))?;
    assert!(fixture.state().join("logs/node-1.log").exists(), "its console is gone");
    Ok(())
}

pub fn a_machine_that_ends_while_objects_are_applied_is_shown(fixture: &Fixture) -> Result<(), Failed> {
    // kubectl would be tried again for twenty seconds, and its failure be shown.
    fixture.set_fault("kubectl-ends")?;
    let up = kill_machine(fixture, fixture.up(1, None)?)?;
    contains(&fails(up)?, &["the machine of node-1 ended", "signal: 9"])
}

pub fn a_node_that_is_off_is_not_waited_for(fixture: &Fixture) -> Result<(), Failed> {
    comes_up(fixture, 1)?;
    let cluster = fixture.cluster()?;
    cluster.cut_power("node-1")?;
    // For the API server, the node is still Ready.
    let error = cluster.await_node("node-1", None, &Silent).err().ok_or("it is off")?;
    contains(&error.to_string(), &["node-1", "switched off"])
}

pub fn a_full_disk_is_said_and_leaves_no_process(fixture: &Fixture) -> Result<(), Failed> {
    for size in [4, 40, 80] {
        let message = fails(fixture.up(1, Some(size))?)?;
        contains(&message, &["No space left on device"]).map_err(|failed| format!("{size} KiB: {failed:?}"))?;
        fixture.expect_quiet(Duration::from_secs(2))?;
    }
    Ok(())
}
