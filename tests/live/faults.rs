//! Faults of a node's own programs, its clock and its disk. What breaks them is a root shell; nobody mends them.

use std::time::{Duration, SystemTime};

use basalt_test_environment::{Failed, Shell, ensure, until_every};
use serde_json::{Value, json};

use crate::fixture::{Fixture, has_condition};
use crate::node::{BOOT, Node, READY, boot_id};

/// Time-out of commands.
const SOON: Duration = Duration::from_secs(120);
/// Interval of looks through the shell.
const TICK: Duration = Duration::from_secs(5);
/// Time-out of a step of the clock: chronyd asks its servers once in 64 s at first.
const STEPPED: Duration = Duration::from_secs(1200);
/// Time-out of the end of a kubelet that hangs: 7.5 to 10 minutes (docs/node/recovery.md), and its end by force.
const HANGS: Duration = Duration::from_secs(840);
/// Time-out of the end of a condition: the kubelet keeps one for five minutes.
const PRESSURE: Duration = Duration::from_secs(900);
/// File of containerd's database.
const DATABASE: &str = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db";

/// A debug node that is Ready, and its shell.
fn debug_node<'f>(fixture: &'f Fixture, name: &str) -> Result<(Node<'f>, Shell, String), Failed> {
    let mut node = Node::new(fixture, name, &fixture.debug)?;
    node.switch_on()?;
    let boot = boot_id(&node.ready(None)?);
    let shell = node.shell()?;
    Ok((node, shell, boot))
}

/// Starts a pod on a node, and waits until it runs.
fn starts_pods(fixture: &Fixture, node: &Node<'_>, name: &str) -> Result<(), Failed> {
    let container = json!({ "name": "web", "image": fixture.cluster()?.image("basalt-web")? });
    fixture.cluster()?.apply(&node.pod(name, &container, "Always"))?;
    node.pod_until(name, "runs", |pod| has_condition(pod, "Ready"))
        .map(drop)
}

/// Waits until the kubelet has renewed its lease twice: it works.
fn kubelet_works(fixture: &Fixture, node: &Node<'_>) -> Result<(), Failed> {
    let cluster = fixture.cluster()?;
    let renewed = || {
        let lease = cluster
            .get(&["--namespace=kube-node-lease", "lease", &node.name])
            .ok()?;
        lease["spec"]["renewTime"].as_str().map(str::to_owned)
    };
    for _ in 0..2 {
        let before = renewed();
        until_every(TICK, "the kubelet renews its lease", READY, || {
            let now = renewed();
            now.is_some() && now != before
        })
        .map_err(|failed| {
            let text = failed.message().unwrap_or_default();
            format!("{text}; the end of its console:\n{}", node.console_end())
        })?;
    }
    Ok(())
}

/// The last number in the output of a command.
fn number(shell: &mut Shell, command: &str) -> Result<i64, Failed> {
    let text = shell.output(command, SOON)?;
    let last = text.lines().rev().find_map(|line| line.trim().parse().ok());
    last.ok_or_else(|| format!("no number from `{command}`: {text}").into())
}

/// Seconds by which the machine's clock is ahead of ours.
fn ahead(shell: &mut Shell) -> Result<i64, Failed> {
    let own = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(number(shell, "date +%s")? - i64::try_from(own.as_secs())?)
}

/// The clock jumps by an hour, forwards and back. It is put right by the time servers of the network, and the node works.
pub fn a_clock_jumps_by_an_hour(fixture: &Fixture) -> Result<(), Failed> {
    let (mut node, mut shell, boot) = debug_node(fixture, "clock")?;
    // The first step is that of the start.
    until_every(TICK, "the clock is right", STEPPED, || {
        ahead(&mut shell).is_ok_and(|seconds| seconds.abs() < 5)
    })?;
    for (name, jump) in [("clock-fast", 3600), ("clock-slow", -3600)] {
        shell.output(&format!("date -s @$(( $(date +%s) + {jump} ))"), SOON)?;
        let off = ahead(&mut shell)?;
        ensure((off - jump).abs() < 60, || format!("the clock is ahead by {off} s"))?;
        if jump > 0 {
            starts_pods(fixture, &node, name)?;
        }
        until_every(TICK, "the clock is right again", STEPPED, || {
            ahead(&mut shell).is_ok_and(|seconds| seconds.abs() < 5)
        })?;
        node.ready(None)?;
        kubelet_works(fixture, &node)?;
        starts_pods(fixture, &node, &format!("{name}-after"))?;
    }
    ensure(boot_id(&node.object()?) == boot, || "it started again".to_owned())
}

/// Puts a program in the kubelet's place and ends the one that runs.
fn replace_kubelet(shell: &mut Shell, script: &str) -> Result<(), Failed> {
    let write =
        format!("printf '#!/usr/bin/sh\\n{script}\\n' >/run/kubelet-of-tests && chmod 755 /run/kubelet-of-tests");
    shell.output(&write, SOON)?;
    shell.output("mount --bind /run/kubelet-of-tests /usr/bin/kubelet", SOON)?;
    shell.output("systemctl kill --kill-whom=main --signal=KILL kubelet.service", SOON)?;
    Ok(())
}

fn restarts(shell: &mut Shell, unit: &str) -> Result<i64, Failed> {
    number(
        shell,
        &format!("systemctl show --value --property=NRestarts {unit}.service"),
    )
}

/// Ids of the containers of [`starts_pods`] that run. Messages of the machine may stand between them.
fn containers(shell: &mut Shell) -> Result<Vec<String>, Failed> {
    let list = "crictl --runtime-endpoint=unix:///run/containerd/containerd.sock ps -q --name '^web$'";
    let text = shell.output(list, SOON)?;
    let is_id = |line: &&str| line.len() == 64 && line.bytes().all(|digit| digit.is_ascii_hexdigit());
    Ok(text.lines().map(str::trim).filter(is_id).map(str::to_owned).collect())
}

/// Kubelets that exit at once, that hang, and that eat all memory. Pods and containerd run on, and a kubelet that can work does.
pub fn kubelets_that_exit_hang_and_eat_memory(fixture: &Fixture) -> Result<(), Failed> {
    let (mut node, mut shell, boot) = debug_node(fixture, "kubelet")?;
    starts_pods(fixture, &node, "beside-kubelets")?;
    let before = (containers(&mut shell)?, restarts(&mut shell, "containerd")?);
    ensure(before.0.len() == 1, || format!("containers: {before:?}"))?;

    replace_kubelet(&mut shell, "exit 1")?;
    let first = restarts(&mut shell, "kubelet")?;
    until_every(TICK, "it is started again and again", SOON * 2, || {
        restarts(&mut shell, "kubelet").is_ok_and(|count| count >= first + 4)
    })?;
    shell.output("umount -l /usr/bin/kubelet", SOON)?;
    kubelet_works(fixture, &node)?;

    let process = "systemctl show --value --property=MainPID kubelet.service";
    let hanging = number(&mut shell, process)?;
    shell.output(&format!("kill -STOP {hanging}"), SOON)?;
    until_every(TICK, "it is ended and started again", HANGS, || {
        number(&mut shell, process).is_ok_and(|id| id != 0 && id != hanging)
    })?;
    kubelet_works(fixture, &node)?;

    replace_kubelet(&mut shell, "exec tail /dev/zero")?;
    let first = restarts(&mut shell, "kubelet")?;
    until_every(TICK, "it is ended for its memory, twice", SOON * 5, || {
        restarts(&mut shell, "kubelet").is_ok_and(|count| count >= first + 2)
    })?;
    shell.output("umount -l /usr/bin/kubelet", SOON)?;
    kubelet_works(fixture, &node)?;

    let after = (containers(&mut shell)?, restarts(&mut shell, "containerd")?);
    ensure(after == before, || {
        format!("container and restarts of containerd: {after:?}, not {before:?}")
    })?;
    let object = node.ready(None)?;
    ensure(boot_id(&object) == boot, || "it started again".to_owned())
}

/// Tells the agent that the boot has lasted for a day, and has it look at its deadline.
fn miss_deadline(shell: &mut Shell) -> Result<(), Failed> {
    shell.output(
        "echo 86400.00 1.00 >/run/uptime && mount --bind /run/uptime /proc/uptime",
        SOON,
    )?;
    // The unit fails, which restarts a machine whose image is not one for looking into it.
    let (code, text) = shell.run("systemctl start basalt-deadline.service", SOON)?;
    ensure(code != 0, || text)?;
    shell.output("umount /proc/uptime && sync", SOON).map(drop)
}

/// A database of containerd that is no database: after two boots that missed their deadlines it starts from nothing.
pub fn a_damaged_database_of_containerd_is_left_behind(fixture: &Fixture) -> Result<(), Failed> {
    let (mut node, mut shell, boot) = debug_node(fixture, "database")?;
    shell.output("systemctl stop kubelet.service containerd.service", SOON)?;
    let damage = format!("dd if=/dev/urandom of={DATABASE} bs=4k count=16 conv=notrunc && sync");
    shell.output(&damage, SOON)?;
    for _ in 0..2 {
        drop(shell);
        node.cut_power();
        node.switch_on()?;
        shell = node.shell()?;
        until_every(TICK, "containerd has failed", BOOT, || {
            restarts(&mut shell, "containerd").is_ok_and(|count| count > 0)
        })?;
        miss_deadline(&mut shell)?;
    }
    drop(shell);
    node.cut_power();
    node.switch_on()?;
    node.wait_for("containerd did not start in two boots: it starts from nothing", BOOT)?;
    node.ready(Some(&boot))?;
    starts_pods(fixture, &node, "after-the-damage")
}

/// A disk that is full to the last block, and a power cut in that state.
pub fn a_full_var_is_told_and_ends(fixture: &Fixture) -> Result<(), Failed> {
    let (mut node, mut shell, boot) = debug_node(fixture, "full")?;
    until_every(TICK, "the reserve is laid by", BOOT, || {
        shell
            .run("test -e /var/lib/basalt/reserve", SOON)
            .is_ok_and(|(code, _)| code == 0)
    })?;
    // Most at once, then block by block. The file system counts 16 MiB as free that it gives to nobody but itself.
    let most = "fallocate -l $(( $(stat -f -c '%f * %S' /var) - 67108864 )) /var/lib/fill";
    shell.output(most, SOON)?;
    let (code, text) = shell.run("dd if=/dev/zero of=/var/lib/fill-too bs=4k; sync", SOON * 5)?;
    ensure(text.contains("No space left"), || format!("{code}: {text}"))?;
    drop(shell);
    node.cut_power();
    node.switch_on()?;
    node.wait_for("/var is full: the reserve is given up", BOOT)?;
    let object = node.until("it is Ready, and tells of its disk", READY, |node| {
        boot_id(node) != boot && has_condition(node, "Ready") && has_condition(node, "DiskPressure")
    })?;
    let mut shell = node.shell()?;
    shell.output("rm /var/lib/fill /var/lib/fill-too && sync", SOON)?;
    let free = |node: &Value| has_condition(node, "Ready") && !has_condition(node, "DiskPressure");
    let after = node.until("its disk is no matter any more", PRESSURE, free)?;
    ensure(boot_id(&after) == boot_id(&object), || "it started again".to_owned())?;
    starts_pods(fixture, &node, "after-the-flood")
}
