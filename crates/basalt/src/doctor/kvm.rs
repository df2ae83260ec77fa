//! Check of KVM: the probe that `up` and `run` make, by a small guest in the SDK's QEMU.

use std::io;

use basalt_machine::{Accelerator, KVM as DEVICE, SdkTools};
use basalt_process::chain;
use basalt_release::Arch;

use super::Context;
use super::report::{CheckFinding, CheckStatus, RUNNING};

const NAME: &str = "KVM";

/// Usability of KVM, as far as it could be tried.
#[derive(Debug)]
enum Kvm {
    /// The device cannot be opened.
    Closed(io::ErrorKind),
    /// The device can be opened; without an SDK, no guest was run.
    Opened,
    /// Accelerator that the probe chose, with the reason.
    Probed(Accelerator, String),
    /// Error of a probe that could not be made.
    Failed(String),
}

/// Opens the device and runs the guest.
pub fn examine(context: &Context) -> Vec<CheckFinding> {
    let opened = fs_err::OpenOptions::new().read(true).write(true).open(DEVICE);
    let kvm = match (opened, context.store.get(), context.sdk()) {
        (Err(error), _, _) => Kvm::Closed(error.kind()),
        (Ok(_), Some(store), Some(sdk)) => {
            match Accelerator::choose(&SdkTools::new(sdk.path), Arch::X86_64, store.root()) {
                Ok(choice) => Kvm::Probed(choice.accelerator, choice.reason),
                Err(error) => Kvm::Failed(chain(&error)),
            }
        }
        (Ok(_), _, _) => Kvm::Opened,
    };
    vec![assess(&kvm)]
}

fn assess(kvm: &Kvm) -> CheckFinding {
    let slow = |result: String, help: &str| {
        CheckFinding::new(
            NAME,
            CheckStatus::Warning,
            format!("open {DEVICE}, run a small guest"),
            result,
        )
        .means(
            RUNNING,
            "virtual machines run by translation (TCG), some ten times slower",
        )
        .help(help)
    };
    let virtualization = "sudo modprobe -a kvm_intel kvm_amd    # or allow virtualization in the firmware, \
                          or nested virtualization in the hypervisor";
    match kvm {
        Kvm::Closed(io::ErrorKind::NotFound) => slow(format!("there is no {DEVICE}"), virtualization),
        Kvm::Closed(io::ErrorKind::PermissionDenied) => slow(
            format!("{DEVICE} may not be opened by this user"),
            "sudo usermod -aG kvm $USER    # and log in again",
        ),
        Kvm::Closed(kind) => slow(format!("{DEVICE} cannot be opened: {kind}"), virtualization),
        Kvm::Opened => CheckFinding::passed(
            NAME,
            format!("open {DEVICE}"),
            "it opens; a guest is run once the SDK is made (./basalt sdk build)",
        ),
        Kvm::Probed(Accelerator::Kvm, reason) => CheckFinding::passed(NAME, "run a small guest", reason.as_str()),
        Kvm::Probed(Accelerator::Tcg, reason) => slow(reason.clone(), virtualization),
        Kvm::Failed(error) => slow(
            format!("the probe failed: {error}"),
            "./basalt run node    # shows the error",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_guest_that_ran_shows_that_kvm_works() {
        let probed = |accelerator| Kvm::Probed(accelerator, "reason".to_owned());
        for (kvm, status) in [
            (probed(Accelerator::Kvm), CheckStatus::Passed),
            (probed(Accelerator::Tcg), CheckStatus::Warning),
            (Kvm::Failed("QEMU is missing".to_owned()), CheckStatus::Warning),
            (Kvm::Opened, CheckStatus::Passed),
            (Kvm::Closed(io::ErrorKind::NotFound), CheckStatus::Warning),
            (Kvm::Closed(io::ErrorKind::PermissionDenied), CheckStatus::Warning),
            (Kvm::Closed(io::ErrorKind::Other), CheckStatus::Warning),
        ] {
            let finding = assess(&kvm);
            assert_eq!(finding.status, status, "{kvm:?}");
            assert_eq!(finding.help.is_some(), status == CheckStatus::Warning);
        }
    }
}
