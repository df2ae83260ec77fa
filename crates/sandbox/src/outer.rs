//! The first stage: namespaces, then the second stage as their process 1.

use std::process::Command;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::namespace::{self, Kinds};
use crate::{INIT, Network, Sandbox, SandboxError};

/// Enters the namespaces, runs the second stage, and returns its exit status.
pub(crate) fn run(sandbox: &Sandbox) -> Result<i32, SandboxError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(SandboxError::call("prctl"))?;
    namespace::enter_new(Kinds {
        network: sandbox.network == Network::None,
        processes: true,
        identity: true,
    })?;
    // A change of credentials has taken the signal away again.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(SandboxError::call("prctl"))?;
    let description = serde_json::to_string(sandbox).map_err(|error| SandboxError::Description(error.to_string()))?;
    let start = |source| SandboxError::Start {
        program: "/proc/self/exe".to_owned(),
        source,
    };
    let status = Command::new("/proc/self/exe")
        .arg(INIT)
        .arg(description)
        .status()
        .map_err(start)?;
    Ok(crate::init::code(status))
}
