//! Boots that must not go well.

use std::time::Duration;

use basalt_machine::{
    Accelerator, Disk, Machine, NetworkDevice, RunningMachine, SdkTools, SystemdCredential, mac_address,
};
use basalt_node_config::defaults::CREDENTIAL;
use basalt_process::Command;
use basalt_release::Arch;
use basalt_test_environment::{Failed, console_text, ensure, has_all, shown};
use camino::Utf8Path;
use fs_err::os::unix::fs::FileExt as _;

use crate::fixture::Fixture;

/// Time-out of a boot on a busy machine without KVM.
const TIMEOUT: Duration = Duration::from_secs(240);

/// Starts a machine without a cluster.
fn start(fixture: &Fixture, name: &str, disk: &Utf8Path, config: Option<&str>) -> Result<RunningMachine, Failed> {
    let tools = SdkTools::new(&fixture.directory.sdk.path);
    let verdict = Accelerator::choose(&tools, Arch::X86_64, fixture.directory.store.root()).map_err(shown)?;
    let mut machine = Machine::new(name, fixture.folder().join(name), Arch::X86_64);
    machine.disks.push(Disk::overlay(disk, 4096));
    let mac = mac_address(name, 0);
    machine.networks.push(NetworkDevice::User {
        isolated: true,
        forwards: Vec::new(),
        mac,
    });
    machine
        .credentials
        .extend(config.map(|text| SystemdCredential::new(CREDENTIAL, text)));
    machine.reboots = false;
    machine.start(&tools, verdict.accelerator).map_err(shown)
}

/// Offset in the root file system of the first byte of one of its files.
fn place_in_root(fixture: &Fixture, path: &str) -> Result<u64, Failed> {
    let root = fixture.root()?;
    let extents = fixture.tool("dump.erofs", &["-e", &format!("--path={path}"), root.as_str()])?;
    // `   0:        0..  144638 |  144638 :       4096..     69632 |   65536`
    let first = extents.lines().find(|line| line.trim_start().starts_with("0:"));
    let physical = first.and_then(|line| line.split('|').nth(1)?.split(':').nth(1)?.split("..").next());
    let physical = physical.and_then(|number| number.trim().parse().ok());
    physical.ok_or_else(|| format!("no place of {path} in:\n{extents}").into())
}

pub fn a_corrupt_block_ends_the_boot(fixture: &Fixture) -> Result<(), Failed> {
    let copy = fixture.folder().join("corrupt.raw");
    let cp = Command::new("cp").args(["--reflink=auto", "--sparse=always"]);
    cp.arg(&fixture.disk).arg(&copy).output().map_err(shown)?;
    // One bit of the program that is process 1.
    let place = fixture.partition("root-a")?.offset_bytes + place_in_root(fixture, "/usr/lib/systemd/systemd")?;
    let disk = fs_err::File::options().read(true).write(true).open(&copy)?;
    let mut byte = [0];
    disk.read_exact_at(&mut byte, place)?;
    disk.write_all_at(&[byte[0] ^ 1], place)?;

    let mut running = start(fixture, "corrupt", &copy, None)?;
    let mut console = running.console();
    let panic = running.wait_for(&mut console, "Kernel panic", TIMEOUT).map_err(shown)?;
    has_all(&panic, &["dm-verity device corrupted"])?;
    let log = console_text(console.log());
    ensure(!log.contains("systemd["), || format!("it went on:\n{log}"))?;
    running.kill();
    Ok(fs_err::remove_file(copy)?)
}

pub fn a_wrong_config_is_told_on_the_console(fixture: &Fixture) -> Result<(), Failed> {
    let config = "apiVersion: basalt.dev/v1\nkind: NodeConfig\nclutser:\n  endpoint: https://10.0.0.1:6443\n";
    let mut running = start(fixture, "wrong", &fixture.disk, Some(config))?;
    let mut console = running.console();
    for words in ["unknown key `clutser`", "did you mean `cluster`"] {
        running.wait_for(&mut console, words, TIMEOUT).map_err(shown)?;
    }
    running.kill();
    Ok(())
}
