//! `basalt logs`: log of a build, of a component of the cluster, or of a node's console.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use basalt_cluster::{ClusterError, LocalCluster};
use basalt_process::interrupt;
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Result};

use crate::checkout::Checkout;
use crate::output::Stdout;

/// Copies a log to standard output, and with `follow` goes on until Ctrl-C.
pub fn run(checkout: &Checkout, name: &str, follow: bool) -> Result<ExitCode> {
    let mut file = fs_err::File::open(find(checkout, name)?).into_diagnostic()?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer).into_diagnostic()?;
        if length > 0 {
            match Stdout.write_all(&buffer[..length]).and_then(|()| Stdout.flush()) {
                // `basalt logs x | head` is no error.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => break,
                written => written.into_diagnostic()?,
            }
        } else if !follow || interrupt::requested() {
            break;
        } else {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the path of a log. Logs of the cluster come first, since its components may have names of packages.
fn find(checkout: &Checkout, name: &str) -> Result<Utf8PathBuf> {
    let build = basalt_build::log::path(checkout.store.root(), name);
    match LocalCluster::open(checkout.cluster_state())?.log(name) {
        Ok(path) => Ok(path),
        Err(ClusterError::NoLog { .. } | ClusterError::Stopped) if build.is_file() => Ok(build),
        Err(ClusterError::Stopped) => {
            let folder = checkout.store.root().join("logs");
            Err(miette::miette!(
                help = format!("`ls {folder}` names the builds; `./basalt up` starts a cluster"),
                "no package `{name}` was built here, and no cluster is running"
            ))
        }
        Err(error) => Err(error.into()),
    }
}
