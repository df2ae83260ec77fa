//! `basalt run`: boots one machine with its console on this terminal.

use std::process::ExitCode;
use std::time::SystemTime;

use basalt_cluster::ClusterSize;
use basalt_machine::{
    Accelerator, DetachReason, Disk, Machine, NetworkDevice, SdkTools, SystemdCredential, attach, mac_address,
};
use basalt_node_config::defaults::CREDENTIAL;
use basalt_node_config::{Clock, KubeletMinor};
use basalt_process::interrupt;
use basalt_release::Arch;
use miette::{Result, miette};

use super::images;
use crate::arguments::Run;
use crate::checkout::{Checkout, read_text};

/// Boots an image, and removes the machine when the user leaves it or it powers off.
pub fn run(checkout: &Checkout, options: &Run) -> Result<ExitCode> {
    // Checked before anything is built: a mistake in the file must not cost the wait for the image.
    let definitions = images::definitions(checkout)?;
    images::check_disk(&definitions, &options.image)?;
    let kubelet = images::kubelet(&definitions, &options.image);
    let config = match checked_config(options, kubelet)? {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let images = images::make(checkout, &[options.image.as_str()])?;
    let image = images.get(&options.image).and_then(|image| image.disk());
    let image = image.ok_or_else(|| miette!("the image `{}` was composed without a disk", options.image))?;
    let tools = SdkTools::new(checkout.sdk()?.path);
    let arch = Arch::X86_64;
    let verdict = Accelerator::choose(&tools, arch, checkout.store.root())?;
    // Removed when dropped; after a kill -9, by the next basalt.
    let workspace = checkout.store.workspace()?;
    let mut machine = Machine::new(options.image.clone(), workspace.path(), arch);
    machine.vcpus = options.cpus;
    machine.memory_mib = options.memory;
    machine.disks.push(Disk::overlay(image, ClusterSize::DEFAULT.disk_mib));
    let mac = mac_address(&machine.name, 0);
    machine.networks.push(NetworkDevice::User {
        isolated: false,
        forwards: Vec::new(),
        mac,
    });
    machine
        .credentials
        .extend(config.map(|text| SystemdCredential::new(CREDENTIAL, text)));
    checkout.reporter().note(&format!(
        "{} runs on {} ({}); leave it with Ctrl-]",
        options.image, verdict.accelerator, verdict.reason
    ));
    let mut running = machine.start(&tools, verdict.accelerator)?;
    let left = attach(&running.files().console_socket())?;
    let switched_off = running.ended()?.is_some() || left == DetachReason::MachineEnded;
    running.kill();
    let last = if switched_off {
        "has switched itself off"
    } else {
        "was switched off"
    };
    checkout.reporter().note(&format!(
        "\n{} {last}, and is gone with all that it wrote",
        options.image
    ));
    interrupt::check()?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the text of the NodeConfig, if one was given; the exit code when it is not valid, after showing its
/// problems.
fn checked_config(options: &Run, kubelet: KubeletMinor) -> Result<Result<Option<String>, ExitCode>> {
    let Some(path) = &options.config else {
        return Ok(Ok(None));
    };
    let text = read_text(path)?;
    match basalt_node_config::check_for(path.as_str(), &text, Clock::Right(SystemTime::now()), kubelet) {
        Ok((_, warnings)) => {
            if !warnings.is_empty() {
                crate::show_problems(&warnings);
            }
            Ok(Ok(Some(text)))
        }
        Err(problems) => {
            crate::show_problems(&problems);
            Ok(Err(ExitCode::FAILURE))
        }
    }
}
