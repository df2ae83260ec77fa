//! Machines that come back by themselves: after a power cut, with a damaged disk, after a panic; and with disks beside
//! their own that are none of theirs.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use basalt_machine::{
    Accelerator, ConfigDiskImage, Disk, DiskFormat, DiskSource, Machine, NetworkDevice, RunningMachine, SdkTools,
    SystemdCredential, mac_address,
};
use basalt_process::Command;
use basalt_release::Arch;
use basalt_test_environment::{Failed, console_text, ensure, is_long, shown, until};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FallocateFlags;

use crate::fixture::Fixture;

/// Time-out of a boot on a busy machine without KVM.
const TIMEOUT: Duration = Duration::from_secs(240);
/// Size of the disks, in MiB.
const SIZE: u64 = 4096;
/// What systemd tells when the state partition is there.
const MOUNTED: &str = "Mounted var.mount";

const CA: &str = include_str!("../../crates/9-nodes/node-config/tests/certificates/ca.pem");

/// A NodeConfig for a cluster that nobody answers for.
fn config(endpoint: &str) -> String {
    let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\nhostname: recovery\ncluster:\n  endpoint: {endpoint}\n  \
         bootstrapToken: abcdef.0123456789abcdef\n  ca: |\n{ca}"
    )
}

/// A machine that tells of its units, with a disk and a network of its own.
fn machine(fixture: &Fixture, name: &str, disk: Disk) -> Machine {
    let mut machine = Machine::new(name, fixture.folder().join(name), Arch::X86_64);
    machine.disks.push(disk);
    let mac = mac_address(name, 0);
    machine.networks.push(NetworkDevice::User {
        isolated: true,
        forwards: Vec::new(),
        mac,
    });
    machine.kernel_arguments.push("systemd.show_status=1".to_owned());
    machine
}

fn start(fixture: &Fixture, machine: &Machine) -> Result<RunningMachine, Failed> {
    let tools = SdkTools::new(&fixture.directory.sdk.path);
    let verdict = Accelerator::choose(&tools, Arch::X86_64, fixture.directory.store.root()).map_err(shown)?;
    machine.start(&tools, verdict.accelerator).map_err(shown)
}

/// Starts a machine, waits for each of these texts in turn, and cuts its power. Returns all of its console.
fn boot_until(fixture: &Fixture, machine: &Machine, texts: &[&str]) -> Result<String, Failed> {
    let mut running = start(fixture, machine)?;
    let mut console = running.console();
    for text in texts {
        running.wait_for(&mut console, text, TIMEOUT).map_err(shown)?;
    }
    running.kill();
    Ok(console_text(console.log()))
}

pub fn disks_beside_its_own_change_nothing(fixture: &Fixture) -> Result<(), Failed> {
    let mut machine = machine(fixture, "tenant", Disk::overlay(&fixture.disk, SIZE));
    // A copy of the node's disk, as a snapshot that was attached to look into it.
    machine.disks.push(Disk::overlay(&fixture.disk, SIZE));
    // A volume whose file system has the label of a config disk; before the config disk by name.
    fs_err::create_dir_all(fixture.folder().join("tenant"))?;
    let path = fixture.folder().join("tenant/volume.raw");
    fs_err::write(
        &path,
        ConfigDiskImage::with_node_config(config("https://192.0.2.66:6443")).image()?,
    )?;
    machine.disks.push(Disk {
        source: DiskSource::File {
            path,
            format: DiskFormat::Raw,
            read_only: false,
        },
        bus: basalt_machine::Bus::Virtio,
        serial: Some("pvc-1".to_owned()),
    });
    machine.config_disk = Some(ConfigDiskImage::with_node_config(config("https://192.0.2.1:6443")));
    let mut running = start(fixture, &machine)?;
    let mut console = running.console();
    running.wait_for(&mut console, MOUNTED, TIMEOUT).map_err(shown)?;
    // Before or after that: the agent and the mount do not wait for one another.
    let told = || console_text(console.log()).contains("recovery joins https://");
    until("the agent tells what it joins", TIMEOUT, told)?;
    running.kill();
    let log = console_text(console.log());
    ensure(log.contains("joins https://192.0.2.1:6443"), || log.clone())?;
    ensure(!log.contains("192.0.2.66"), || log.clone())?;
    let size = |index| fs_err::metadata(machine.files().overlay(index)).map(|file| file.len());
    let (own, copy) = (size(0)?, size(1)?);
    // A state partition was made on the node's own disk, of which some is written when the power is cut; an overlay
    // that nobody wrote to has its tables only.
    ensure(own > 2 << 20 && copy < 1 << 20, || {
        format!("{own} bytes were written to the node's disk, {copy} to its copy")
    })
}

/// Offset and size in bytes of the state partition of a raw disk.
fn state_partition(fixture: &Fixture, disk: &Utf8Path) -> Result<(u64, u64), Failed> {
    let dump = fixture.tool("sfdisk", &["--json", disk.as_str()])?;
    let table: serde_json::Value = serde_json::from_str(&dump)?;
    let partitions = table["partitiontable"]["partitions"]
        .as_array()
        .ok_or("no partitions")?;
    let state = partitions.iter().find(|partition| partition["name"] == "state");
    let number = |key: &str| state?[key].as_u64();
    match (number("start"), number("size")) {
        (Some(start), Some(size)) => Ok((start * 512, size * 512)),
        _ => Err(format!("no state partition in\n{dump}").into()),
    }
}

/// A copy of the node's disk as a raw file, which tests can damage.
fn raw_copy(fixture: &Fixture, name: &str) -> Result<Utf8PathBuf, Failed> {
    let folder = fixture.folder().join(name);
    fs_err::create_dir_all(&folder)?;
    let copy = folder.join("disk.raw");
    let cp = Command::new("cp").args(["--reflink=auto", "--sparse=always"]);
    cp.arg(&fixture.disk).arg(&copy).output().map_err(shown)?;
    fs_err::OpenOptions::new()
        .write(true)
        .open(&copy)?
        .set_len(SIZE << 20)?;
    Ok(copy)
}

pub fn a_damaged_state_is_repaired_and_a_lost_one_made_anew(fixture: &Fixture) -> Result<(), Failed> {
    if !is_long() {
        let name = "a_damaged_state_is_repaired_and_a_lost_one_made_anew";
        basalt_test_output::skip(name, "four boots, only in `test --long`");
        return Ok(());
    }
    let path = raw_copy(fixture, "damaged")?;
    let disk = Disk {
        source: DiskSource::File {
            path: path.clone(),
            format: DiskFormat::Raw,
            read_only: false,
        },
        bus: basalt_machine::Bus::Virtio,
        serial: None,
    };
    let mut machine = machine(fixture, "damaged", disk);
    machine
        .credentials
        .push(SystemdCredential::new("basalt.node", config("https://192.0.2.1:6443")));
    boot_until(fixture, &machine, &[MOUNTED])?;
    // The power was cut.
    boot_until(fixture, &machine, &["was not unmounted in order", MOUNTED])?;
    let (start, size) = state_partition(fixture, &path)?;
    let file = fs_err::OpenOptions::new().write(true).open(&path)?.into_file();
    // The first superblock; its copies are left.
    file.write_all_at(&[0; 1024], start + 1024)?;
    boot_until(fixture, &machine, &["was damaged and is repaired", MOUNTED])?;
    // All of it.
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&file, flags, start, size)?;
    boot_until(fixture, &machine, &["is made anew", MOUNTED])?;
    Ok(fs_err::remove_file(path)?)
}

pub fn a_panic_is_told_at_the_next_boot(fixture: &Fixture) -> Result<(), Failed> {
    if !is_long() {
        let name = "a_panic_is_told_at_the_next_boot";
        basalt_test_output::skip(name, "two boots, only in `test --long`");
        return Ok(());
    }
    let mut machine = machine(fixture, "panic", Disk::overlay(&fixture.disk, SIZE));
    machine.kernel_arguments.push("unknown_nmi_panic".to_owned());
    machine
        .credentials
        .push(SystemdCredential::new("basalt.node", config("https://192.0.2.1:6443")));
    let mut running = start(fixture, &machine)?;
    let mut console = running.console();
    running.wait_for(&mut console, MOUNTED, TIMEOUT).map_err(shown)?;
    running
        .control()
        .and_then(|mut control| control.execute("inject-nmi", serde_json::json!({})))
        .map_err(shown)?;
    running.wait_for(&mut console, "Kernel panic", TIMEOUT).map_err(shown)?;
    // It starts again by itself, and the firmware has kept what the kernel said.
    let told = "the kernel died at an earlier boot";
    running.wait_for(&mut console, told, TIMEOUT).map_err(shown)?;
    running.kill();
    Ok(())
}
