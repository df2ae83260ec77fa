//! Machines without a cluster: each disk that the root can be on, each way to a config disk, and config disks that are none.

use std::time::Duration;

use basalt_machine::{
    Board, Bus, CdDrive, ConfigDiskImage, Disk, DiskFormat, DiskSource, Machine, NetworkDevice, RunningMachine,
    mac_address,
};
use basalt_node_config::defaults::{DISK_FILE, DISK_LABEL};
use basalt_release::Arch;
use basalt_test_environment::{Failed, ensure, shown};
use camino::Utf8PathBuf;
use serde_json::json;

use crate::fixture::Fixture;
use crate::iso;
use crate::node::{BOOT, DISK, MOUNTED};

/// Time by which a config disk is later than the state partition, which may take most of the minute that the agent waits.
const LATE: Duration = Duration::from_secs(8);
/// Serial number that makes a disk a config disk (docs/node/recovery.md).
const CONFIG_SERIAL: &str = "basalt-config";

const CA: &str = include_str!("../../crates/9-nodes/node-config/tests/certificates/ca.pem");

/// A NodeConfig for a cluster that nobody answers for: an address for documentation, with this last number.
fn config(last: u8) -> String {
    let config = json!({
        "apiVersion": "basalt.dev/v1",
        "kind": "NodeConfig",
        "hostname": "hardware",
        "cluster": {
            "endpoint": format!("https://192.0.2.{last}:6443"),
            "bootstrapToken": "abcdef.0123456789abcdef",
            "ca": CA,
        },
    });
    format!("{config:#}\n")
}

/// A machine with its root on this bus.
fn machine(fixture: &Fixture, name: &str, root: Bus) -> Machine {
    let mut machine = Machine::new(name, fixture.folder().join(name), Arch::X86_64);
    machine.disks.push(Disk::overlay(&fixture.node, DISK).on(root));
    let mac = mac_address(name, 0);
    machine.networks.push(NetworkDevice::User {
        isolated: true,
        forwards: Vec::new(),
        mac,
    });
    machine.kernel_arguments.push("systemd.show_status=1".to_owned());
    machine
}

/// A file in the folder of a machine.
fn file(machine: &Machine, name: &str, content: &[u8]) -> Result<Utf8PathBuf, Failed> {
    fs_err::create_dir_all(&machine.folder)?;
    let path = machine.folder.join(name);
    fs_err::write(&path, content)?;
    Ok(path)
}

/// Waits for each of these texts, in any order.
fn tells(running: &mut RunningMachine, texts: &[&str]) -> Result<(), Failed> {
    for text in texts {
        let mut console = running.console();
        running.wait_for(&mut console, text, BOOT).map_err(shown)?;
    }
    Ok(())
}

/// Starts a machine that finds its config disk, and takes the state partition of its root's disk.
fn works(fixture: &Fixture, machine: &Machine, from: &str) -> Result<(), Failed> {
    let mut running = fixture.start(machine)?;
    tells(&mut running, &[&joins(1, from), MOUNTED])?;
    running.kill();
    Ok(fs_err::remove_dir_all(&machine.folder)?)
}

/// What the agent tells of a config that was found on a device.
fn joins(last: u8, device: &str) -> String {
    format!("hardware joins https://192.0.2.{last}:6443 (from {DISK_FILE} on /dev/{device})")
}

fn on_cd(machine: &mut Machine, bus: Bus) -> Result<(), Failed> {
    let image = iso::image(DISK_LABEL, DISK_FILE, config(1).as_bytes());
    let image = file(machine, "config.iso", &image)?;
    machine.cds.push(CdDrive { image, bus });
    Ok(())
}

fn config_disk(path: Utf8PathBuf, bus: Bus, serial: &str) -> Disk {
    Disk {
        source: DiskSource::File {
            path,
            format: DiskFormat::Raw,
            read_only: true,
        },
        bus,
        serial: Some(serial.to_owned()),
    }
}

pub fn an_nvme_root_and_a_cd_on_sata(fixture: &Fixture) -> Result<(), Failed> {
    let mut machine = machine(fixture, "nvme", Bus::Nvme);
    on_cd(&mut machine, Bus::Ata)?;
    works(fixture, &machine, "sr0")
}

pub fn a_scsi_root_and_a_cd_on_scsi(fixture: &Fixture) -> Result<(), Failed> {
    let mut machine = machine(fixture, "scsi", Bus::Scsi);
    on_cd(&mut machine, Bus::Scsi)?;
    works(fixture, &machine, "sr0")
}

pub fn a_board_of_1996_with_root_and_cd_on_ide(fixture: &Fixture) -> Result<(), Failed> {
    let mut machine = machine(fixture, "ide", Bus::Ata);
    machine.board = Board::Pc;
    on_cd(&mut machine, Bus::Ata)?;
    works(fixture, &machine, "sr0")
}

pub fn a_sata_root_and_a_usb_stick(fixture: &Fixture) -> Result<(), Failed> {
    let mut machine = machine(fixture, "sata", Bus::Ata);
    let stick = ConfigDiskImage::with_node_config(config(1)).image()?;
    let stick = file(&machine, "stick.img", &stick)?;
    machine.disks.push(config_disk(stick, Bus::Usb, "0815"));
    // The root is sda, and so is the stick where it is found first.
    let mut running = fixture.start(&machine)?;
    tells(
        &mut running,
        &["joins https://192.0.2.1:6443 (from node.yaml on /dev/sd", MOUNTED],
    )?;
    running.kill();
    Ok(fs_err::remove_dir_all(&machine.folder)?)
}

pub fn a_usb_stick_that_is_late(fixture: &Fixture) -> Result<(), Failed> {
    let mut machine = machine(fixture, "late", Bus::Virtio);
    machine.usb = true;
    let stick = ConfigDiskImage::with_node_config(config(1)).image()?;
    let stick = file(&machine, "stick.img", &stick)?;
    let mut running = fixture.start(&machine)?;
    // The agent looks for it since then, or for longer.
    tells(&mut running, &[MOUNTED])?;
    std::thread::sleep(LATE);
    let mut control = running.control().map_err(shown)?;
    let node = json!({
        "driver": "raw",
        "node-name": "late",
        "read-only": true,
        "file": { "driver": "file", "filename": stick },
    });
    control.execute("blockdev-add", node).map_err(shown)?;
    let device = json!({ "driver": "usb-storage", "bus": "usb.0", "drive": "late", "removable": true });
    control.execute("device_add", device).map_err(shown)?;
    drop(control);
    tells(&mut running, &[&joins(1, "sda")])?;
    running.kill();
    Ok(fs_err::remove_dir_all(&machine.folder)?)
}

/// Place in the image of a config disk at which the content of its file begins.
fn content_of(image: &[u8]) -> Result<usize, Failed> {
    let start = config(1).into_bytes();
    let place = image.windows(start.len()).position(|bytes| bytes == start);
    place.ok_or_else(|| "the file is not in one piece".into())
}

/// Disks that end early, a huge file, and one that is cut off in the middle, in machines side by side.
pub fn config_disks_that_are_none_are_told(fixture: &Fixture) -> Result<(), Failed> {
    let whole = ConfigDiskImage::with_node_config(config(1)).image()?;
    let huge = ConfigDiskImage::with_node_config(config(1) + &"# nothing\n".repeat(150_000)).image()?;
    let half = config(1);
    let half: String = half.chars().take(half.chars().count() / 2).collect();
    let half = ConfigDiskImage::with_node_config(half).image()?;
    // Of the bare one, the label is left, and what comes before the root folder: the kernel passes over blocks of a
    // folder that it cannot read, the agent does not. Of the torn one, all but the content of the file.
    let cases: [(&str, &[u8], &str); 4] = [
        (
            "bare",
            &whole[..8192],
            "cannot read the NodeConfig in node.yaml on /dev/vdb",
        ),
        (
            "torn",
            &whole[..content_of(&whole)?],
            "cannot read the NodeConfig in node.yaml on /dev/vdb",
        ),
        (
            "huge",
            &huge,
            "the NodeConfig in node.yaml on /dev/vdb is larger than 1 MiB",
        ),
        ("half", &half, "node.yaml on /dev/vdb:"),
    ];
    for pair in cases.chunks(2) {
        let mut running = Vec::new();
        for (name, content, told) in pair {
            let mut machine = machine(fixture, name, Bus::Virtio);
            let path = file(&machine, "config.raw", content)?;
            machine.disks.push(config_disk(path, Bus::Virtio, CONFIG_SERIAL));
            running.push((fixture.start(&machine)?, machine.folder, told));
        }
        for (mut machine, folder, told) in running {
            // No disk keeps a machine from having its state, and a way to look into it.
            tells(&mut machine, &[told, MOUNTED])?;
            machine.kill();
            fs_err::remove_dir_all(folder)?;
        }
    }
    Ok(())
}

/// The same disk attached twice, and another one beside them, less trusted.
pub fn of_several_config_disks_the_most_trusted_counts(fixture: &Fixture) -> Result<(), Failed> {
    let mut machine = machine(fixture, "twice", Bus::Virtio);
    let other = ConfigDiskImage::with_node_config(config(66)).image()?;
    let other = file(&machine, "other.img", &other)?;
    machine.disks.push(config_disk(other, Bus::Usb, "0815"));
    let own = ConfigDiskImage::with_node_config(config(1)).image()?;
    let own = file(&machine, "own.img", &own)?;
    for _ in 0..2 {
        machine.disks.push(config_disk(own.clone(), Bus::Virtio, CONFIG_SERIAL));
    }
    let mut running = fixture.start(&machine)?;
    let mut console = running.console();
    let told = running
        .wait_for(&mut console, "hardware joins https://", BOOT)
        .map_err(shown)?;
    ensure(told.contains("https://192.0.2.1:6443"), || told.clone())?;
    tells(&mut running, &[MOUNTED])?;
    running.kill();
    Ok(fs_err::remove_dir_all(&machine.folder)?)
}
