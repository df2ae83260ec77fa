//! Tests on real machines, by the QEMU of the SDK tree that `BASALT_SDK` names. Without one they are skipped, with a
//! message.

#![cfg(test)]

use std::time::Duration;

use basalt_machine::{
    Accelerator, ConfigDiskImage, Disk, DiskFormat, Machine, MachineError, NetworkDevice, RunState, SdkTools, Stopped,
    SystemdCredential, mac_address, probe,
};
use basalt_release::Arch;
use camino::Utf8PathBuf;
use libtest_mimic::{Arguments, Failed, Trial};

/// Time-out of QEMU on a busy machine without KVM.
const TIMEOUT: Duration = Duration::from_secs(120);

fn main() {
    basalt_sandbox::enter_if_asked();
    let sdk = std::env::var("BASALT_SDK")
        .ok()
        .map(Utf8PathBuf::from)
        .filter(|sdk| sdk.is_dir());
    type Test = fn(&SdkTools) -> Result<(), Failed>;
    let tests: [(&str, Test); 3] = [
        (
            "the_guest_of_the_probe_comes_to_its_end",
            the_guest_of_the_probe_comes_to_its_end,
        ),
        (
            "firmware_boots_and_the_machine_is_controlled",
            firmware_boots_and_the_machine_is_controlled,
        ),
        (
            "what_qemu_refuses_is_told_in_its_words",
            what_qemu_refuses_is_told_in_its_words,
        ),
    ];
    let trials = tests.into_iter().map(|(name, test)| {
        let tree = sdk.clone();
        let trial = Trial::test(name, move || tree.map_or(Ok(()), |tree| test(&SdkTools::new(tree))));
        trial.with_ignored_flag(sdk.is_none())
    });
    let trials = trials.collect();
    if sdk.is_none() {
        basalt_test_output::skip_all("no machine is started, because BASALT_SDK does not name the tree of an SDK");
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn folder() -> Result<(tempfile::TempDir, Utf8PathBuf), Failed> {
    let folder = tempfile::tempdir()?;
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).map_err(|path| format!("{path:?}"))?;
    Ok((folder, path))
}

fn shown(error: &MachineError) -> Failed {
    basalt_process::chain(error).into()
}

fn the_guest_of_the_probe_comes_to_its_end(sdk: &SdkTools) -> Result<(), Failed> {
    let (_folder, path) = folder()?;
    match probe(sdk, Arch::X86_64, Accelerator::Tcg, &path).map_err(|error| shown(&error))? {
        None => Ok(()),
        Some(failure) => Err(format!("the guest {failure}").into()),
    }
}

fn firmware_boots_and_the_machine_is_controlled(sdk: &SdkTools) -> Result<(), Failed> {
    let (_folder, path) = folder()?;
    let image = path.join("image");
    fs_err::write(&image, vec![0; 1 << 20])?;
    let mut machine = Machine::new("test,1", path.join("machine,1"), Arch::X86_64);
    machine.memory_mib = 256;
    machine.disks.push(Disk::overlay(&image, 64));
    machine.config_disk = Some(ConfigDiskImage::with_node_config("kind: NodeConfig\n"));
    machine
        .credentials
        .push(SystemdCredential::new("basalt.node", vec![b'x'; 20_000]));
    machine.kernel_arguments.push("quiet".into());
    let mac = mac_address(&machine.name, 0);
    machine.networks.push(NetworkDevice::User {
        isolated: true,
        forwards: Vec::new(),
        mac,
    });

    let mut running = machine.start(sdk, Accelerator::Tcg).map_err(|error| shown(&error))?;
    let mut console = running.console();
    running
        .wait_for(&mut console, "Shell>", TIMEOUT)
        .map_err(|error| shown(&error))?;
    let state = running
        .control()
        .and_then(|mut control| control.status())
        .map_err(|error| shown(&error))?;
    assert_eq!(state, RunState::Running);
    // The shell of the firmware does not listen to the power button.
    let stopped = running
        .stop(Duration::from_millis(500))
        .map_err(|error| shown(&error))?;
    assert_eq!(stopped, Stopped::Unplugged);

    let read_back = fs_err::read(&image)?;
    assert!(read_back.iter().all(|byte| *byte == 0), "the image was written to");
    Ok(())
}

fn what_qemu_refuses_is_told_in_its_words(sdk: &SdkTools) -> Result<(), Failed> {
    let (_folder, path) = folder()?;
    let image = path.join("broken.qcow2");
    fs_err::write(&image, "this is no disk")?;
    let mut machine = Machine::new("refused", path.join("machine"), Arch::X86_64);
    machine.disks.push(Disk {
        source: basalt_machine::DiskSource::File {
            path: image,
            format: DiskFormat::Qcow2,
            read_only: true,
        },
        bus: basalt_machine::Bus::Virtio,
        serial: None,
    });
    match machine.start(sdk, Accelerator::Tcg) {
        Err(MachineError::Ended { last, .. }) if last.iter().any(|line| line.contains("qcow2")) => Ok(()),
        Err(error) => Err(shown(&error)),
        Ok(_) => Err("it was started".into()),
    }
}
