//! The boot loader's count of tries: a slot that does not boot, and the one that takes its place.

use basalt_machine::{Bus, Disk, DiskFormat, DiskSource};
use basalt_process::Command;
use basalt_test_environment::{Failed, ensure, shown, until};
use camino::Utf8Path;

use crate::fixture::Fixture;
use crate::node::{BOOT, DISK, Node, READY};

/// File of the slot that does not boot: the boot loader takes it for the newest, as a number goes before letters, and this one
/// has more digits than a version of an image. It has two tries.
const BAD: &str = "basalt_99999999999999999999+2.efi";
/// The same after its tries.
const TRIED: &str = "basalt_99999999999999999999+0-2.efi";

/// EFI system partition of a disk, as mtools name it.
fn esp(fixture: &Fixture, disk: &Utf8Path) -> Result<String, Failed> {
    let dump = fixture.tool("sfdisk", &["--json", disk.as_str()])?;
    let table: serde_json::Value = serde_json::from_str(&dump)?;
    let partitions = table["partitiontable"]["partitions"].as_array().into_iter().flatten();
    let mut esp = partitions.filter(|partition| partition["name"] == "esp");
    let start = esp.next().and_then(|partition| partition["start"].as_u64());
    Ok(format!(
        "{disk}@@{}",
        start.ok_or_else(|| format!("no esp in\n{dump}"))? * 512
    ))
}

/// Names of the kernels on a disk.
fn kernels(fixture: &Fixture, esp: &str) -> Result<Vec<String>, Failed> {
    let list = fixture.tool("mdir", &["-b", "-i", esp, "::/EFI/Linux"])?;
    let names = list.lines().filter_map(|line| line.trim().rsplit('/').next());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// A kernel whose root hash is another one: the first block that it reads ends its boot.
fn bad_kernel(fixture: &Fixture) -> Result<Vec<u8>, Failed> {
    let mut kernel = fs_err::read(fixture.node.with_file_name("kernel.efi"))?;
    let hash = fixture.root_hash.as_bytes();
    let places: Vec<_> = kernel
        .windows(hash.len())
        .enumerate()
        .filter(|(_, bytes)| *bytes == hash)
        .map(|(place, _)| place)
        .collect();
    ensure(!places.is_empty(), || {
        "the root hash is not in the kernel's file".to_owned()
    })?;
    for place in places {
        kernel[place] = if kernel[place] == b'0' { b'1' } else { b'0' };
    }
    Ok(kernel)
}

pub fn a_slot_that_does_not_boot_gives_way_to_the_other(fixture: &Fixture) -> Result<(), Failed> {
    let mut node = Node::new(fixture, "fallback", &fixture.node)?;
    let path = node.machine.folder.join("disk.raw");
    let cp = Command::new("cp").args(["--reflink=auto", "--sparse=always"]);
    cp.arg(&fixture.node).arg(&path).output().map_err(shown)?;
    fs_err::OpenOptions::new()
        .write(true)
        .open(&path)?
        .set_len(DISK << 20)?;
    let esp = esp(fixture, &path)?;
    let good = kernels(fixture, &esp)?;
    ensure(good.len() == 1 && good[0].ends_with("+3.efi"), || format!("{good:?}"))?;
    let bad = node.machine.folder.join("bad.efi");
    fs_err::write(&bad, bad_kernel(fixture)?)?;
    fixture.tool("mcopy", &["-i", &esp, bad.as_str(), &format!("::/EFI/Linux/{BAD}")])?;
    node.machine.disks = vec![Disk {
        source: DiskSource::File {
            path,
            format: DiskFormat::Raw,
            read_only: false,
        },
        bus: Bus::Virtio,
        serial: None,
    }];

    node.switch_on()?;
    until("the bad slot has died twice", READY, || {
        node.console().matches("end Kernel panic").count() == 2
    })?;
    node.ready(None)?;
    // What was Ready is blessed, a moment later: its file has no count any more.
    node.wait_for("the node is ready", READY)?;
    node.wait_for("Finished systemd-bless-boot.service", BOOT)?;
    ensure(node.console().matches("end Kernel panic").count() == 2, || {
        node.console()
    })?;
    node.shut_down()?;
    let mut after = kernels(fixture, &esp)?;
    after.sort_unstable();
    let mut expected = [TRIED.to_owned(), good[0].replace("+3.efi", ".efi")];
    expected.sort_unstable();
    ensure(after == expected, || format!("{after:?}, not {expected:?}"))?;

    // From then on the good one starts at once.
    node.switch_on()?;
    node.wait_for("fallback joins https://", BOOT)?;
    ensure(!node.console().contains("Kernel panic"), || node.console())
}
