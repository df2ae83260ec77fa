//! Power cuts: while an image is pulled, and during the first boot.
//!
//! Disks of these machines are copy-on-write files, whose tables QEMU keeps in its memory until the machine flushes its disk.
//! So a killed QEMU is a real power cut: what was flushed is there, and of the rest, what went to places that had not been
//! written before is lost. [`what_is_not_flushed_is_lost`] holds that.

use std::time::{Duration, Instant};

use basalt_test_environment::{Failed, ensure, until};
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::image::{self, LargeImage};
use crate::node::{BOOT, MOUNTED, Node, READY, boot_id};

/// Size of the layer that is pulled, in bytes. Its content cannot be compressed.
const LAYER: usize = 192 << 20;
/// Time-out of an image's pull.
const PULL: Duration = Duration::from_secs(600);

pub fn what_is_not_flushed_is_lost(fixture: &Fixture) -> Result<(), Failed> {
    let disk = fixture.folder().join("cut.qcow2");
    // A pattern at one place, flushed, and at another one, not flushed; then it is killed.
    let script = format!(
        "qemu-img create -q -f qcow2 -o lazy_refcounts=on {disk} 64M && \
         (qemu-io -t unsafe -f qcow2 -c 'write -P 7 0 64k' -c flush -c 'write -P 7 1M 64k' -c 'sigraise 9' {disk} || true) && \
         qemu-io -f qcow2 -c 'read -P 7 0 64k' -c 'read -P 0 1M 64k' {disk}"
    );
    let told = fixture.tool("sh", &["-c", &script])?;
    ensure(
        !told.contains("verification failed") && told.matches("read 65536/65536").count() == 2,
        || told.clone(),
    )?;
    Ok(fs_err::remove_file(disk)?)
}

/// A pod whose end tells whether the image's large file is what it was.
fn checking_pod(node: &Node<'_>, name: &str, image: &LargeImage) -> Value {
    let check = format!("echo '{}  {}' | sha256sum -c", image.sha256, image::FILE);
    let container = json!({
        "name": "check",
        "image": image.name,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", check],
    });
    node.pod(name, &container, "Never")
}

fn phase(pod: &Value) -> &str {
    pod["status"]["phase"].as_str().unwrap_or_default()
}

/// Waits for an event of a pod.
fn event(fixture: &Fixture, pod: &str, reason: &str) -> Result<(), Failed> {
    let cluster = fixture.cluster()?;
    let selector = format!("--field-selector=involvedObject.name={pod},reason={reason}");
    until(&format!("{pod}: {reason}"), READY, || {
        cluster
            .kubectl(&["get", "events", &selector, "--output=name"])
            .is_ok_and(|names| !names.trim().is_empty())
    })
}

/// The power is cut early in a pull, late in one, and when the image was just unpacked and its container runs.
pub fn an_image_pull_survives_power_cuts(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = fixture.cluster()?;
    let mut node = Node::new(fixture, "pull", &fixture.node)?;
    node.switch_on()?;
    let mut boot = boot_id(&node.ready(None)?);
    for (seed, name, cut_after) in [
        (1, "pull-early", Some(Duration::from_secs(1))),
        (2, "pull-late", Some(Duration::from_secs(5))),
        (3, "pull-done", None),
    ] {
        let image = image::load(fixture, &format!("docker.io/tests/large:{seed}"), LAYER, seed)?;
        cluster.apply(&checking_pod(&node, name, &image))?;
        event(fixture, name, "Pulling")?;
        match cut_after {
            Some(pause) => {
                let began = Instant::now();
                until("the pull is under way", PULL, || began.elapsed() >= pause)?;
            }
            None => event(fixture, name, "Pulled")?,
        }
        node.cut_power();
        node.switch_on()?;
        boot = boot_id(&node.ready(Some(&boot))?);
        // The pod of before the cut is tried again, or is counted as failed when its container had started. Whichever it
        // was, the next one has to find the image whole.
        let pod = node.pod_until(name, "ends", |pod| ["Succeeded", "Failed"].contains(&phase(pod)))?;
        ensure(cut_after.is_none() || phase(&pod) == "Succeeded", || {
            format!("{:#}", pod["status"])
        })?;
        let again = format!("{name}-again");
        cluster.apply(&checking_pod(&node, &again, &image))?;
        let pod = node.pod_until(&again, "ends", |pod| ["Succeeded", "Failed"].contains(&phase(pod)))?;
        ensure(phase(&pod) == "Succeeded", || format!("{:#}", pod["status"]))?;
        cluster.kubectl(&["delete", "pod", name, &again, "--now"])?;
    }
    Ok(())
}

/// The power is cut at one step of the first boot after the other; then it goes through.
pub fn a_first_boot_survives_power_cuts(fixture: &Fixture) -> Result<(), Failed> {
    let mut node = Node::new(fixture, "first", &fixture.node)?;
    // Before the state partition is made, while it is made, when it is mounted, when the first program has written to it, and
    // when the certificate is there.
    for (text, pause) in [
        ("systemd-repart.service", Duration::ZERO),
        ("systemd-repart.service", Duration::from_secs(1)),
        (MOUNTED, Duration::ZERO),
        ("Started containerd.service", Duration::from_secs(1)),
    ] {
        node.switch_on()?;
        node.wait_for(text, BOOT)?;
        std::thread::sleep(pause);
        node.cut_power();
    }
    node.switch_on()?;
    let registered = node.until("the node has registered", READY, |node| !boot_id(node).is_empty())?;
    node.cut_power();
    node.switch_on()?;
    node.ready(Some(&boot_id(&registered)))?;
    ensure(!node.console().contains("made anew"), || node.console())
}
