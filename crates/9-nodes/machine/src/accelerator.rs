//! Choice of the accelerator: KVM where it works, QEMU's own translator (TCG) elsewhere.
//!
//! An open /dev/kvm is no proof: nested in some clouds' machines, it starts guests and then emulates them
//! instruction by instruction, or stops at the first that it does not know. So a guest of three hundred bytes is run,
//! which does what a kernel does, and KVM is used only when that one comes to its end in time. The verdict is kept
//! until the machine is booted again.

use std::process::Stdio;
use std::time::{Duration, Instant};

use basalt_process::interrupt;
use basalt_release::Arch;
use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::guest;
use crate::{Call, MachineError, QemuTools};

/// Device node of KVM.
pub const DEVICE: &str = "/dev/kvm";
/// Time-out of the probe's guest, which takes a tenth of a second on working hardware.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Means by which QEMU runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// Hardware virtualization by KVM.
    Kvm,
    /// QEMU's translator: available everywhere, but slower by an order of magnitude.
    Tcg,
}

/// Choice of an accelerator, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceleratorChoice {
    /// Chosen accelerator.
    pub accelerator: Accelerator,
    /// Reason for the choice, and what would change it, for the user.
    pub reason: String,
}

impl std::fmt::Display for Accelerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

impl AcceleratorChoice {
    fn tcg(reason: impl Into<String>) -> Self {
        Self {
            accelerator: Accelerator::Tcg,
            reason: reason.into(),
        }
    }
}

impl Accelerator {
    /// Chooses the accelerator for an architecture, with a probe of KVM. Its outcome is kept in a file in `cache` until
    /// the host is booted again.
    ///
    /// # Errors
    /// When the folder cannot be written to, or QEMU not be run.
    pub fn choose(tools: &dyn QemuTools, arch: Arch, cache: &Utf8Path) -> Result<AcceleratorChoice, MachineError> {
        if arch.name() != std::env::consts::ARCH {
            return Ok(AcceleratorChoice::tcg(format!(
                "{arch} is not the architecture of this machine"
            )));
        }
        if let Err(error) = fs_err::OpenOptions::new().read(true).write(true).open(DEVICE) {
            return Ok(AcceleratorChoice::tcg(match error.kind() {
                std::io::ErrorKind::NotFound => format!("there is no {DEVICE} here"),
                std::io::ErrorKind::PermissionDenied => {
                    format!("{DEVICE} may not be opened by this user: `sudo usermod -aG kvm $USER`, and log in again")
                }
                _ => format!("{DEVICE} cannot be opened: {error}"),
            }));
        }
        let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id")
            .map_err(MachineError::file("find out when this machine was booted"))?;
        let kept = cache.join(format!("kvm-{}.json", boot.trim()));
        if let Some(verdict) = fs_err::read(&kept)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
        {
            return Ok(verdict);
        }
        let failed =
            |failure: String| AcceleratorChoice::tcg(format!("{DEVICE} is there, but a small guest {failure}"));
        let verdict = match run_probe(tools, arch, Self::Kvm, cache)? {
            ProbeOutcome::Passed => AcceleratorChoice {
                accelerator: Self::Kvm,
                reason: "KVM ran a small guest".to_owned(),
            },
            ProbeOutcome::Failed(failure) => failed(failure),
            // A loaded machine, perhaps: the next one asks again.
            ProbeOutcome::TimedOut(failure) => return Ok(failed(failure)),
        };
        let text = serde_json::to_vec(&verdict)
            .map_err(|error| MachineError::file("keep the verdict on KVM")(error.into()))?;
        fs_err::write(&kept, text).map_err(MachineError::file("keep the verdict on KVM"))?;
        Ok(verdict)
    }

    /// Options of QEMU for the accelerator: `-accel` and `-cpu`.
    pub(crate) fn arguments(self, arch: Arch, vcpus: u32) -> Vec<String> {
        let (accel, cpu) = match (self, arch) {
            (Self::Kvm, _) => ("kvm".to_owned(), "host"),
            (Self::Tcg, Arch::X86_64) => {
                let threads = if vcpus > 1 { "multi" } else { "single" };
                (format!("tcg,thread={threads},tb-size=512"), TCG_CPU)
            }
            (Self::Tcg, Arch::Aarch64) => ("tcg,thread=multi,tb-size=512".to_owned(), "max,pauth-impdef=on"),
        };
        ["-accel", &accel, "-cpu", cpu].map(str::to_owned).to_vec()
    }
}

/// CPU model of TCG, without features that cost the translator more than they save the guest.
const TCG_CPU: &str = "max,la57=off";

/// Outcome of a probe; failures as a clause about the guest.
enum ProbeOutcome {
    Passed,
    Failed(String),
    TimedOut(String),
}

/// Runs the guest of the probe with an accelerator. Returns `None` when it succeeds, and otherwise a description of the
/// failure.
///
/// # Errors
/// When the guest cannot be written to `folder`, or QEMU not be run.
pub fn probe(
    tools: &dyn QemuTools,
    arch: Arch,
    accelerator: Accelerator,
    folder: &Utf8Path,
) -> Result<Option<String>, MachineError> {
    Ok(match run_probe(tools, arch, accelerator, folder)? {
        ProbeOutcome::Passed => None,
        ProbeOutcome::Failed(failure) | ProbeOutcome::TimedOut(failure) => Some(failure),
    })
}

fn run_probe(
    tools: &dyn QemuTools,
    arch: Arch,
    accelerator: Accelerator,
    folder: &Utf8Path,
) -> Result<ProbeOutcome, MachineError> {
    if arch == Arch::Aarch64 {
        // The probe is written for x86; where KVM for arm is offered, it has been real so far.
        return Ok(ProbeOutcome::Passed);
    }
    fs_err::create_dir_all(folder).map_err(MachineError::file("make a folder for the KVM probe"))?;
    let image = folder.join(format!("kvm-probe-{}.bin", std::process::id()));
    fs_err::write(&image, guest::firmware()).map_err(MachineError::file("write the guest of the KVM probe"))?;
    let device = format!("isa-debug-exit,iobase={},iosize=4", guest::PORT);
    let mut arguments = accelerator.arguments(arch, 1);
    let board = [
        "-machine",
        "q35",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-m",
        "16",
        "-no-reboot",
    ];
    arguments.extend(board.map(str::to_owned));
    arguments.extend(["-bios", image.as_str(), "-device", &device].map(str::to_owned));
    let command = tools.command(&Call {
        program: format!("qemu-system-{arch}"),
        arguments,
        reads: vec![image.clone()],
        devices: vec![DEVICE.into()],
        ..Call::default()
    });
    tracing::debug!(command = %command.pasteable(), "probing KVM");
    let outcome = end_of(&mut command.to_std());
    // The image is of no use after the probe.
    drop(fs_err::remove_file(&image));
    let outcome = outcome.map_err(MachineError::file("run the KVM probe"))?;
    interrupt::check()?;
    Ok(match outcome {
        Some(status) if status.code() == Some(guest::SUCCESS) => ProbeOutcome::Passed,
        Some(status) => ProbeOutcome::Failed(format!("failed in it ({status})")),
        None => ProbeOutcome::TimedOut(format!("did not come to its end within {} s in it", TIMEOUT.as_secs())),
    })
}

/// Runs a program; returns its exit status, or `None` when it had to be killed after the time-out.
fn end_of(command: &mut std::process::Command) -> std::io::Result<Option<std::process::ExitStatus>> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    while began.elapsed() < TIMEOUT && !interrupt::requested() {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}
